"""Mappings that load, and what they become."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from migrate.errors import MappingError
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Check, Default, Field, Find, FromColumn, Keep, Mapping, Ref, Step

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
GOLDENS = HERE / "goldens"
# Processor seconds: tells what runs away from what is slow on a busy machine; benchmarks/startup.py measures.
RUNAWAY = 3.0
ENVIRONMENT = {
    "ACME_URL": "files:exports/",
    "CRM_URL": "postgresql://me:hunter2@host/crm",
    "DEFAULT_OWNER": "owner@example.com",
}
MINIMAL = """migrate: 1
name: demo
source: {system: acme, url: "sqlite:///data/source.db"}
target: {url: "sqlite:////srv/target.db"}
entities:
  accounts: {from: companies, key: id, into: accounts, fields: {legacy_id: id}}
"""


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> Mapping:
    file = folder / "m.yaml"
    file.write_text(text, encoding="utf-8")
    return load_mapping(file, environment or {})


def problems(folder: Path, text: str | bytes, environment: dict[str, str] | None = None) -> list[str]:
    file = folder / "m.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MappingError) as caught:
        load_mapping(file, environment or {})
    assert caught.value.exit_code == 2
    return [f"{p.where.removeprefix(str(file) + ':')} {p.message}" for p in caught.value.problems]


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """The libraries that check patterns and SQL are loaded on first use; that is not what the tests time."""
    load_mapping(SAMPLES / "core.yaml", ENVIRONMENT)


@pytest.fixture(scope="module")
def core() -> Mapping:
    return load_mapping(SAMPLES / "core.yaml", ENVIRONMENT)


@pytest.mark.parametrize("file", sorted(GOLDENS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_problem_has_its_place(file: Path) -> None:
    wanted = file.with_suffix(".expected").read_text(encoding="utf-8")
    started = time.process_time()
    with pytest.raises(MappingError) as caught:
        load_mapping(file, {})
    seconds = time.process_time() - started
    found = "".join(
        f"{p.where.removeprefix(str(file) + ':')} [{p.code}] {p.message}"
        + (f" ({p.hint})" if p.hint else "")
        + "\n"
        for p in caught.value.problems
    )
    assert found == wanted
    assert re.fullmatch(r"(\d+:\d+ \[[a-z_]+\] .+\n)+", found)
    assert "hunter2" not in str(caught.value)
    assert seconds < RUNAWAY


def test_goldens_are_many() -> None:
    assert len(list(GOLDENS.glob("*.yaml"))) >= 40


# --- values


def test_scalars_stay_text(core: Mapping) -> None:
    country = core.entities["accounts"].fields["country"].map
    assert country is not None
    assert country.values == {"UK": "GB", "U.K.": "GB", "England": "GB", "NO": "NO", "?": None}
    industry = core.entities["accounts"].fields["industry"].map
    assert industry is not None
    assert industry.values == {"01": "farming", "02": "mining"}


def test_yaml_one_words_are_no_booleans(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "{legacy_id: id}",
        "{a: {value: NO}, b: {value: 010}, c: {value: 1e3}, d: {value: 2024-01-01}, on: off}",
    )
    fields = load(tmp_path, text).entities["accounts"].fields
    assert [fields[name].value for name in "abcd"] == ["NO", "010", "1e3", "2024-01-01"]
    assert fields["on"].from_ == "off"


def test_short_forms(core: Mapping) -> None:
    accounts = core.entities["accounts"]
    assert accounts.fields["legacy_id"] == Field(from_="id")
    assert accounts.match == {"legacy_id": None}
    assert core.entities["users"].match == {"email": "mail"}
    assert accounts.fields["parent_id"].ref == Ref(to="accounts")
    assert accounts.fields["zip"].do == (Step(name="pad", arguments={"width": "5", "with": "0"}),)
    assert accounts.fields["revenue"].do == (Step(name="currency"), Step(name="round", arguments="0"))
    assert accounts.fields["name"].check == (Check(name="required"), Check(name="max_length", argument="120"))
    assert core.policy.max_quarantine == 0.02
    assert accounts.max_quarantine == 0.05
    assert core.policy.backup.tables == ("touched",)
    assert core.policy.backup.keep == Keep(last=3, daily=7, monthly=12)
    assert core.left_behind[1].why == "nobody has one"
    assert core.entities["rows_of_a_log"].key_is_line
    assert core.entities["rows_of_a_list"].key_is_content
    assert core.entities["calls"].key == ("id", "no")


@pytest.mark.parametrize("word", ["line", "content"])
def test_columns_named_line_and_content_are_columns_in_a_list(tmp_path: Path, word: str) -> None:
    entity = load(tmp_path, MINIMAL.replace("key: id", f"key: [{word}]")).entities["accounts"]
    assert (entity.key, entity.key_is_line, entity.key_is_content) == ((word,), False, False)


def test_write_follows_match(core: Mapping, tmp_path: Path) -> None:
    assert core.entities["contacts"].write == "add"
    assert (
        load(tmp_path, MINIMAL.replace("into:", "match: legacy_id, into:")).entities["accounts"].write
        == "add_or_update"
    )


def test_on_fail_of_a_rule_wins_over_the_fields(core: Mapping) -> None:
    assert core.entities["accounts"].fields["size"].check[0].on_fail == "warn"
    kind = core.entities["contacts"].fields["kind"].check
    assert [(c.name, c.argument) for c in kind] == [
        ("in", ("a", "b")),
        ("pattern", "^[a-z]$"),
        ("unique", None),
    ]


def test_references_and_find(core: Mapping) -> None:
    owner = core.entities["accounts"].fields["owner_id"].ref
    assert owner == Ref(to="users", missing=Find(table="users", where={"email": "owner@example.com"}))
    subject = core.entities["calls"].fields["subject_id"].ref
    assert subject == Ref(kind="parent_type", kinds={"Account": "accounts", "Contact": "contacts"})
    campaign = core.entities["contacts"].fields["campaign_id"].find
    assert campaign == Find(table="campaigns", by="name", missing=Default(default=None))


def test_cycles_and_self_references_are_legal(tmp_path: Path) -> None:
    text = MINIMAL.replace("{legacy_id: id}", "{boss: {from: b, ref: accounts}, p: {from: c, ref: people}}")
    text += "  people: {from: people, key: id, into: accounts, fields: {a: {from: d, ref: accounts}}}\n"
    assert set(load(tmp_path, text).entities) == {"accounts", "people"}


def test_several_sources(tmp_path: Path) -> None:
    text = MINIMAL.replace("source: {system", "sources:\n  crm: {system").replace(
        "from: companies", "from: {source: crm, table: companies}"
    )
    mapping = load(tmp_path, text)
    assert mapping.sources["crm"].name == "crm"
    assert mapping.entities["accounts"].source == "crm"
    assert (
        load(tmp_path, text.replace("{source: crm, table: companies}", "companies"))
        .entities["accounts"]
        .source
        == "crm"
    )


def test_values_key_holds_words_that_are_options(core: Mapping) -> None:
    assert core.maps["stage"].values == {"file": "filed", "table": "tabled"}


# --- environment, addresses, digest


def test_relative_addresses_are_below_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "m.yaml").write_text(MINIMAL)
    mapping = load_mapping(folder / "m.yaml", {})
    assert mapping.base == str(tmp_path)
    assert mapping.sources["source"].url == f"sqlite:///{tmp_path}/data/source.db"
    assert mapping.target.url == "sqlite:////srv/target.db"
    beside = load(tmp_path, MINIMAL.replace("sqlite:///data/source.db", "files:exports/"))
    assert (beside.base, beside.sources["source"].url) == (str(tmp_path), f"files:{tmp_path}/exports/")


@pytest.mark.parametrize(
    "text",
    [
        "scratch: {url: 'sqlite:////s.db'}",
        "scratch: sqlite:////s.db",
        "scratch: {source: 'sqlite:////s.db', target: 'sqlite:////s.db'}",
    ],
)
def test_scratch_forms(tmp_path: Path, text: str) -> None:
    scratch = load(tmp_path, MINIMAL + text + "\n").scratch
    assert (scratch.source, scratch.target) == ("sqlite:////s.db", "sqlite:////s.db")


def test_defaults_of_references(tmp_path: Path) -> None:
    text = MINIMAL.replace("{legacy_id: id}", "{a: {value: \"${A:-x}${B}\"}, b: {value: '$${A}'}}")
    fields = load(tmp_path, text, {"A": "", "B": "y"}).entities["accounts"].fields
    assert (fields["a"].value, fields["b"].value) == ("xy", "${A}")


def test_no_secret_in_problems_or_digest(tmp_path: Path) -> None:
    text = MINIMAL.replace('"sqlite:////srv/target.db"', '"${CRM_URL}"')
    one = load(tmp_path, text, {"CRM_URL": "postgresql://me:hunter2@host/crm"})
    two = load(tmp_path, text, {"CRM_URL": "postgresql://me:changed@host/crm"})
    assert one.target.url != two.target.url
    assert one.digest == two.digest
    assert len(one.digest) == 64
    for wrong in ("oracle://me:hunter2@host/crm", "hunter2", "me:hunter2@host", "files:hunter2"):
        found = problems(tmp_path, text, {"CRM_URL": wrong})
        assert len(found) == 1
        assert "hunter2" not in found[0]


def test_password_by_reference_is_fine(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        '"sqlite:////srv/target.db"', '"postgresql://me:${PW}@host/crm?application_name=x"'
    )
    assert load(tmp_path, text, {"PW": "p"}).target.url == "postgresql://me:p@host/crm?application_name=x"


def test_digest_ignores_layout_and_sees_content(tmp_path: Path) -> None:
    digest = load(tmp_path, MINIMAL).digest
    assert load(tmp_path, "# a comment\n" + MINIMAL.replace("key: id,", "key:   'id' ,")).digest == digest
    assert load(tmp_path, MINIMAL.replace("key: id", "key: no")).digest != digest


def test_positions_name_keys(core: Mapping) -> None:
    lines = (SAMPLES / "core.yaml").read_text().splitlines()
    file, line, column = core.positions["entities.accounts.fields.name"].rsplit(":", 2)
    assert file == str(SAMPLES / "core.yaml")
    assert lines[int(line) - 1][int(column) - 1 :].startswith("name: {from: company_name")


# --- hostile and broken files


def test_not_a_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(MappingError, match=words) as caught:
            load_mapping(path, {})
        assert caught.value.exit_code == 2
    (tmp_path / "m.yml").write_text(MINIMAL)
    with pytest.raises(MappingError, match=r"did you mean m\.yml"):
        load_mapping(tmp_path / "m.yaml", {})


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        (b"", "1:1", "the file is empty"),
        (b"  \n\n# x\n", "1:1", "the file is empty"),
        (b"a: 1\nb: caf\xe9\n", "2:7", "not UTF-8"),
        ("a: ö\xff".encode("utf-16"), "1:1", "not UTF-8"),
        (b"a: 1\nb: \x00\n", "2:4", "a NUL byte"),
        (b"a: " + b"x" * 1_000_001, "1:1", "larger than 1000 kB"),
        (b"[" * 10_000, ("1:51", "1:1001"), "nested deeper than 50"),  # newer libyaml stops by itself, later
        (b"{a: " * 10_000 + b"1" + b"}" * 10_000, "1:201", "nested deeper than 50"),
        (b"- " * 10_000 + b"x", "1:101", "nested deeper than 50"),
        (b"a: &a [x]\nb: [" + b"*a, " * 50_000 + b"*a]", "1:4", "anchors and aliases"),
        (b"a: [" + b"*a, " * 50_000 + b"*a]", "1:5", "anchors and aliases"),
        (b"a: '" + b"\n" * 200_000, "1:4", "not closed"),
        (b"? " * 100_000, "1:101", "nested deeper than 50"),
    ],
    ids=range(13),
)
def test_hostile_files_end_fast_and_clearly(
    tmp_path: Path, data: bytes, where: str | tuple[str, ...], words: str
) -> None:
    started = time.process_time()
    found = problems(tmp_path, data)
    assert time.process_time() - started < RUNAWAY
    assert len(found) == 1
    assert found[0].startswith(where)
    assert words in found[0]


def test_many_problems_are_capped(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "{legacy_id: id}", "{" + ", ".join(f"f{i}: {{from: a, ref: no{i}}}" for i in range(300)) + "}"
    )
    file = tmp_path / "m.yaml"
    file.write_text(text)
    with pytest.raises(MappingError) as caught:
        load_mapping(file, {})
    assert len(caught.value.problems) == 100
    assert "and 200 more" in str(caught.value)


def test_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load_mapping(tmp_path / "m.yaml", {}).name == "demo"


def test_a_large_honest_mapping_is_fast(tmp_path: Path) -> None:
    fields = ", ".join(
        f'f{i}: {{from: c{i}, do: [trim, {{replace: {{from: a, to: b}}}}], check: {{max_length: 20}}, why: "x"}}'
        for i in range(60)
    )
    text = MINIMAL + "".join(
        f"  e{i}: {{from: t{i}, key: id, into: t{i}, fields: {{{fields}}}}}\n" for i in range(60)
    )
    assert len(text) < 1_000_000
    started = time.process_time()
    mapping = load(tmp_path, text)
    assert time.process_time() - started < 10 * RUNAWAY
    assert len(mapping.entities) == 61


def test_a_salt_comes_from_the_environment(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "{legacy_id: id}", "{a: {from: a, do: [{hash: {salt: '${SALT}'}}, {pad: {width: {from: w}}}]}}"
    )
    mapping = load(tmp_path, text, {"SALT": "pepper"})
    assert mapping.entities["accounts"].fields["a"].do == (
        Step(name="hash", arguments={"salt": "pepper"}),
        Step(name="pad", arguments={"width": FromColumn(from_="w")}),
    )
    assert mapping.resolved["pepper"] == "${SALT}"
    assert [m.partition(" ")[2] for m in problems(tmp_path, text)] == [
        "the environment variable SALT is not set"
    ]
