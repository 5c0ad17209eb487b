"""The mapping language, declared: every key with its shape, its description, and the keys that are still to come."""

from migrate.mapping.language.entity import ENTITY
from migrate.mapping.language.field import FIELD
from migrate.mapping.language.file import FILE, VERSION, homes, read_ahead

__all__ = ["ENTITY", "FIELD", "FILE", "VERSION", "homes", "read_ahead"]
