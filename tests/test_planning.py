"""Where backups are restored for their proof, by what the mapping says and by the engines of its sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate.connectors.registry import open_scratch
from migrate.errors import MappingError, UsageError
from migrate.mapping.load import load_mapping
from migrate.planning import scratch_url

PG, MY = "postgresql://me@one/a", "mysql://me@two/b"


def mapping(tmp_path: Path, scratch: str, source: str = PG, target: str = MY) -> Path:
    file = tmp_path / "mapping.yaml"
    file.write_text(
        f"migrate: 1\nname: x\nsource: {{system: s, url: '{source}'}}\ntarget: {{url: '{target}'}}\n{scratch}\n"
        "entities: {a: {from: a, key: id, into: a, fields: {name: name}}}\n"
    )
    return file


def test_one_url_is_for_the_side_that_it_fits(tmp_path: Path) -> None:
    read = load_mapping(mapping(tmp_path, f"scratch: '{PG}/spare'"), {})
    assert scratch_url(read, "source", "source") == ("postgresql", f"{PG}/spare")
    assert scratch_url(read, "target") == ("mysql", MY)


def test_a_side_with_a_place_of_another_engine_is_told_where_it_says_so(tmp_path: Path) -> None:
    read = load_mapping(mapping(tmp_path, f"scratch: {{source: '{PG}/spare', target: '{PG}'}}"), {})
    assert scratch_url(read, "source", "source") == ("postgresql", f"{PG}/spare")
    with pytest.raises(MappingError) as error:
        scratch_url(read, "target")
    [problem] = error.value.problems
    assert (
        problem.message
        == "the target is mysql, and its backup cannot be restored into postgresql to prove it"
    )
    assert ":5:" in problem.where


def test_a_file_is_no_place_for_a_server(tmp_path: Path) -> None:
    read = load_mapping(mapping(tmp_path, "scratch: {source: 'sqlite:///s.db'}"), {})
    with pytest.raises(MappingError, match="cannot be restored into sqlite"):
        scratch_url(read, "source", "source")


def test_a_source_of_another_engine_has_no_default(tmp_path: Path) -> None:
    read = load_mapping(mapping(tmp_path, f"scratch: '{MY}'"), {})
    with pytest.raises(MappingError, match="no place for the restore test of the source"):
        scratch_url(read, "source", "source")


def test_no_scratch_of_another_engine_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a backup of postgresql cannot be restored into mysql"):
        open_scratch("postgresql", MY, folder=tmp_path, name="n", run="r")
