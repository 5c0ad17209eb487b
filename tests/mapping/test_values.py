"""Recipes, defaults, let values and named maps, as the model has them after reading."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from migrate.mapping import map_files
from migrate.mapping.load import load_mapping
from migrate.mapping.map_files import MapFile, Trouble, kept_name, read_map_file
from migrate.mapping.model import Bands, Case, Check, Default, Field, Mapping, MapTable, Origin, Ref, Step
from migrate.mapping.usage import columns_read, read_tables, source_columns, used_columns
from migrate.planning import digest_of

HERE = Path(__file__).parent
SAMPLE = HERE / "samples" / "values.yaml"


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return load_mapping(SAMPLE, {})


@pytest.fixture(scope="module")
def fields(mapping: Mapping) -> dict[str, Field]:
    return mapping.entities["accounts"].fields


def rules(field: Field) -> list[tuple[str, str]]:
    return [(check.name, check.on_fail) for check in field.check]


def test_a_recipe_stands_before_the_fields_own_words(fields: dict[str, Field]) -> None:
    phone = fields["phone"]
    assert phone.first_of == ("tel", "tel2")
    assert phone.do == (Step(name="digits"), Step(name="pad", arguments="9"))
    # The later recipe's on_fail wins over the earlier one's, for all rules that say nothing themselves.
    assert rules(phone) == [("min_length", "stop"), ("max_length", "stop"), ("required", "stop")]
    assert (phone.when, phone.why) == ("tel IS NOT NULL", "the target is narrow")
    plain = fields["plain"]
    assert rules(plain) == [("min_length", "empty_and_flag"), ("in", "warn")]


def test_defaults_are_for_what_says_nothing(mapping: Mapping, fields: dict[str, Field]) -> None:
    trim = (Step(name="trim"),)
    assert (fields["legacy_id"].do, fields["legacy_id"].do_if_text) == (trim, True)
    assert (fields["bare"].do, fields["own"].do) == ((), (Step(name="upper"),))
    assert (fields["user"].do, fields["always"].do, fields["label"].do) == ((), (), ())
    assert (fields["user"].ref, fields["phone"].do_if_text) == (Ref(to="accounts"), False)
    # An entity's own defaults win over the file's.
    assert (fields["own"].lossy, fields["label"].lossy) == ("error", "quarantine")
    assert fields["country"].unmapped == Default(default="other")
    assert (fields["stage"].unmapped, fields["banded"].unmapped) == ("quarantine", "stop")
    let = mapping.entities["accounts"].let
    assert rules(let["address"]) == [("required", "warn"), ("max_length", "stop")]
    assert (let["site"].do, let["address"].do) == (trim, (Step(name="lower"),))
    assert list(let) == ["site", "address", "size"]


def test_origins(fields: dict[str, Field]) -> None:
    assert fields["segment"].choose == (
        Case(when="staff >= 250", value="enterprise"),
        Case(when="staff >= 10", from_="staff_words"),
        Case(when="staff >= 1", expr="'size ' || staff"),
    )
    assert (fields["segment"].otherwise, fields["rest"].otherwise) == (Origin(value="none"), "stop")
    assert fields["label"].text == "{{{id}}} {company_name}"
    limits = (("-1.5", None), ("1", "1"), ("10", "ten"))
    assert fields["band"].bands == Bands(limits=limits, above="500", has_above=True)
    assert fields["phone"].check[0] == Check(name="min_length", argument="5", on_fail="stop")


def test_maps(mapping: Mapping, fields: dict[str, Field]) -> None:
    industry = fields["industry"].map
    assert industry is not None
    assert industry.values == {"01": "farming", "0,2": None, "AB": "abbey"}
    assert (industry.ignore, industry.file) == ("case", "maps/industry.csv")
    assert fields["stage"].map == mapping.maps["stage"]
    assert mapping.maps["stage"].values == {"Won": "done", "file": "document", "ignore": "1"}
    kind = fields["kind"].map
    assert kind is not None
    assert kind.table == MapTable(source="source", table="record_types", from_="id", to="developer_name")
    assert fields["inline"].map is not None
    assert fields["inline"].map.values == {"table": "a", "from": "b"}


def test_all_columns_that_are_read_are_counted(mapping: Mapping, fields: dict[str, Field]) -> None:
    entity = mapping.entities["accounts"]
    assert columns_read(fields["segment"]) == ["staff_words", "staff"]
    assert columns_read(fields["label"]) == ["id", "company_name"]
    assert columns_read(fields["phone"]) == ["tel", "tel2"]
    used = used_columns(mapping, "source", "companies")
    assert {"mail", "mail2", "country", "staff", "staff_words", "tel", "tel2", "company_name"} <= used
    assert not used & {"site", "size", "record_types"}
    assert read_tables(mapping) == {"source": ("companies", "record_types")}
    assert used_columns(mapping, "source", "record_types") == {"id", "developer_name"}
    assert source_columns(entity, Field(text="{address} {site} {x}")) == ["mail", "mail2", "country", "x"]


def test_what_a_file_says_is_part_of_the_mapping(tmp_path: Path) -> None:
    def copy() -> Mapping:
        return load_mapping(tmp_path / "values.yaml", {})

    def plan_digest(made: Mapping) -> str:
        return digest_of(made.entities["accounts"].model_dump(mode="json"))

    shutil.copy(SAMPLE, tmp_path)
    shutil.copytree(SAMPLE.parent / "maps", tmp_path / "maps")
    before = copy()
    file = tmp_path / "maps" / "industry.csv"
    file.write_text(file.read_text().replace("farming", "farms"))
    after = copy()
    assert before.digest != after.digest
    assert plan_digest(before) != plan_digest(after)
    assert before.files.keys() == {"maps/industry.csv"}
    # A run reads its own copy.
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(SAMPLE.parent / "maps" / "industry.csv", kept / kept_name("maps/industry.csv"))
    assert load_mapping(tmp_path / "values.yaml", {}, kept=kept).digest == before.digest


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a.csv is empty"),
        (b"k,v\n", "has a header and no rows"),
        (b"k,k,v\na,b,c\n", 'has several columns "k"'),
        (b"k,v\na,\xff\n", "a.csv:2 is not UTF-8"),
        (b'k,v\n"a"b,c\n', "a.csv:2 is no CSV"),
        (b"k,v\na\n", "a.csv:2 has 1 values, the header has 2"),
        (b"k,v\na,1\na,1\na,\n", 'a.csv:4 gives "a" another result'),
    ],
)
def test_files_that_are_no_map(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    trouble = read_map_file(tmp_path, "a.csv", "k", "v")
    assert isinstance(trouble, Trouble)
    assert words in trouble.message


def test_files_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes('\ufeffk,v\r\n"a,b","x\ny"\r\n,empty\r\nß,\r\n'.encode())
    read = read_map_file(tmp_path, "a.csv", "k", "v")
    assert isinstance(read, MapFile)
    assert read.values == {"a,b": "x\ny", "": "empty", "ß": None}
    monkeypatch.setattr(map_files, "MAX_BYTES", 10)
    large = read_map_file(tmp_path, "a.csv", "k", "v")
    assert isinstance(large, Trouble)
    assert "larger than" in large.message
