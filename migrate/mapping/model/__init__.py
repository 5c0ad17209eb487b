"""The mapping file as typed, frozen values. Strict: an unknown key is an error.

`migrate.mapping.load.load_mapping` is the only way in: it keeps every scalar text until a key here
asks for a type, normalises the short forms, and turns every error into file:line:column.
Lists and dicts are never shared with the caller; nothing here connects to anything.
"""

from migrate.mapping.model.entity import (
    Cell,
    Entity,
    Example,
    Existing,
    LeftBehind,
    OnGone,
    Stays,
    TableCheck,
    Was,
)
from migrate.mapping.model.field import (
    Argument,
    Arguments,
    Bands,
    Case,
    Check,
    Default,
    Field,
    Find,
    FromColumn,
    Item,
    ListFile,
    ListOf,
    MapTable,
    Origin,
    Outcome,
    Ref,
    Step,
    ValueMap,
)
from migrate.mapping.model.file import Mapping
from migrate.mapping.model.policy import Backup, Encrypt, Keep, Policy, Sign
from migrate.mapping.model.source import Scratch, Source, SourceColumn, SourceTable, Target

__all__ = [
    "Argument",
    "Arguments",
    "Backup",
    "Bands",
    "Case",
    "Cell",
    "Check",
    "Default",
    "Encrypt",
    "Entity",
    "Example",
    "Existing",
    "Field",
    "Find",
    "FromColumn",
    "Item",
    "Keep",
    "LeftBehind",
    "ListFile",
    "ListOf",
    "MapTable",
    "Mapping",
    "OnGone",
    "Origin",
    "Outcome",
    "Policy",
    "Ref",
    "Scratch",
    "Sign",
    "Source",
    "SourceColumn",
    "SourceTable",
    "Stays",
    "Step",
    "TableCheck",
    "Target",
    "ValueMap",
    "Was",
]
