"""The whole of a mapping."""

from __future__ import annotations

from pydantic import Field as Key

from migrate.mapping.model.entity import Entity, LeftBehind, TableCheck
from migrate.mapping.model.field import ValueMap
from migrate.mapping.model.policy import Policy
from migrate.mapping.model.source import Scratch, Source, Target
from migrate.mapping.road_model import Split
from migrate.mapping.strict import Strict


class Mapping(Strict):
    """The whole file. `digest` is the SHA-256 of its canonical content (without secrets), `path` where it came from."""

    name: str
    description: str = ""
    sources: dict[str, Source]
    target: Target
    scratch: Scratch = Scratch()
    policy: Policy = Policy()
    maps: dict[str, ValueMap] = Key(default_factory=dict)
    entities: dict[str, Entity]
    split: dict[str, Split] = Key(default_factory=dict)  # by table
    left_behind: tuple[LeftBehind, ...] = ()
    checks: tuple[TableCheck, ...] = ()
    glossary: dict[str, str] = Key(default_factory=dict)
    reasons: dict[str, str] = Key(default_factory=dict)  # `why` of everything else, by its place: "policy"
    path: str = ""
    base: str = ""  # folder that relative paths resolve against
    digest: str = ""
    files: dict[str, str] = Key(default_factory=dict)  # files that it names → SHA-256 of their bytes
    positions: dict[str, str] = Key(
        default_factory=dict
    )  # "entities.accounts.fields.name" → file:line:column
    resolved: dict[str, str] = Key(
        default_factory=dict, repr=False
    )  # text from the environment → as the file says it: for everything that is shown
