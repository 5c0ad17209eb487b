"""A mapping file as a tree of texts, lists and maps with positions: YAML without its surprises.

Every scalar stays the text that stands in the file. Anchors, aliases, tags, several documents, duplicate
keys, tabs between words, deep nesting and large files are refused, each with its position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from migrate.errors import MappingError, Problem
from migrate.mapping.yaml_words import MAX_DEPTH, UNCLOSED, in_plain_words

MAX_BYTES = 1_000_000
MAX_PROBLEMS = 100

Position = tuple[int, int]  # line and column, both from 1
Path_ = tuple[str | int, ...]

# libyaml where it is there: it reads 1 MB in the time that the other takes for 20 kB.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Text:
    """`plain`: written without quotes."""

    value: str
    at: Position
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """An unquoted `null` or `~`, where a key gives that a meaning."""
        return self.plain and self.value in ("null", "~")


@dataclass(frozen=True)
class Empty:
    """Nothing stands after the colon or the dash; `comment` is what a # swallowed."""

    at: Position
    comment: str = ""


@dataclass(frozen=True)
class Items:
    items: tuple[Node, ...]
    at: Position


@dataclass(frozen=True)
class Pairs:
    """Names are unique."""

    pairs: tuple[tuple[Text, Node], ...]
    at: Position

    def get(self, name: str) -> Node | None:
        return next((value for key, value in self.pairs if key.value == name), None)


Node = Text | Empty | Items | Pairs


@dataclass
class Problems:
    """Collects what is wrong, sorted by position at the end, one message per place."""

    file: str
    what: str = "mapping"  # the kind of file
    found: dict[tuple[Position, str], Problem] = field(default_factory=dict)

    def add(self, code: str, at: Position, message: str, hint: str = "") -> None:
        where = f"{self.file}:{at[0]}:{at[1]}"
        self.found.setdefault((at, message), Problem(code, where, message, hint))

    def raise_any(self) -> None:
        """Raises MappingError if there are problems; the first MAX_PROBLEMS of them."""
        if not self.found:
            return
        problems = [problem for _, problem in sorted(self.found.items(), key=lambda item: item[0])]
        more = len(problems) - MAX_PROBLEMS
        hint = f"and {more} more" if more > 0 else ""
        raise MappingError(
            problems[:MAX_PROBLEMS],
            hint=hint,
            what=self.what if self.what == "mapping" else f"{self.what} file",
        )


def read_tree(path: Path, shown: str, what: str = "mapping") -> Pairs:
    """The tree of a mapping file, or of another kind (`what`); `shown` is the file's name in messages.

    Raises MappingError: the file cannot be read or is no text, or its YAML is wrong."""
    problems = Problems(shown, what)
    text = _read_text(path, problems)
    tree = _Builder(text, problems).build()
    problems.raise_any()
    if not isinstance(tree, Pairs):
        problems.add(
            "wrong_type",
            tree.at,
            f"a {what} file is a map of names, such as migrate: 1",
            "see migrate schema",
        )
        problems.raise_any()
        raise AssertionError("unreachable")
    return tree


def plain(node: Node) -> object:
    """The tree without positions: str, list, dict, and None for an unquoted null or nothing."""
    if isinstance(node, Text):
        return None if node.is_null else node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    if isinstance(node, Pairs):
        return {key.value: plain(value) for key, value in node.pairs}
    return None


def _read_text(path: Path, problems: Problems) -> str:
    start = (1, 1)
    data = b""
    try:
        if path.is_dir():
            problems.add(
                "file", start, f"this is a folder, not a {problems.what} file", "name the YAML file in it"
            )
        elif not path.is_file():
            problems.add("file", start, "there is no such file", _other_file(path))
        elif path.stat().st_size > MAX_BYTES:
            problems.add(
                "too_large",
                start,
                f"the file is larger than {MAX_BYTES // 1000} kB",
                "a mapping holds rules, data live elsewhere",
            )
        else:
            data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no file name"
        problems.add("file", start, f"the file cannot be read: {reason}")
    problems.raise_any()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rsplit(b"\n", 1)[-1].decode("utf-8", "replace")) + 1
        message = f"the file is not UTF-8: byte 0x{data[error.start]:02X} is no character in it"
        problems.add("encoding", (line, column), message, "save the file as UTF-8")
        problems.raise_any()
        raise AssertionError("unreachable") from None
    wrong = _FORBIDDEN.search(text)
    if wrong:
        what = "a NUL byte" if wrong[0] == "\0" else f"the control character U+{ord(wrong[0]):04X}"
        problems.add(
            "encoding",
            _position(text, wrong.start()),
            f"{what} stands here",
            'write "\\u…" in double quotes if it is meant',
        )
    elif not re.sub(r"(?m)^\s*(#.*)?$", "", text).strip():
        problems.add(
            "empty", start, "the file is empty", "migrate schema and migrate demo show what belongs into it"
        )
    problems.raise_any()
    return text


def _other_file(path: Path) -> str:
    for ending in (".yaml", ".yml"):
        other = path.with_suffix(ending) if path.name else path
        if other != path and other.is_file():
            return f"did you mean {other.name}?"
    return ""


def _position(text: str, offset: int) -> Position:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Stop(Exception):
    """The rest of the file is not worth reading."""


class _Builder:
    """From parser events to the tree, without recursion."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.text, self.problems = text, problems
        self.lines = text.splitlines()
        self.spans: list[tuple[Position, Position]] = []  # of scalars

    def build(self) -> Node:
        root: Node = Empty((1, 1))
        try:
            root = self._nodes(iter(yaml.parse(self.text, Loader=_LOADER)))
            self._check_tabs()
        except _Stop:
            pass
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self.problems.add("yaml", (1, 1), f"this is not YAML: {error}")
        return root

    def _nodes(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        stack: list[tuple[Position, list[Node], bool]] = []  # where, children, is a map
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._document(event, root is not None)
            elif isinstance(event, yaml.AliasEvent):
                self._refuse(
                    event, "alias", "anchors and aliases (&name, *name) are not allowed", "repeat the value"
                )
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._no_extras(event)
                if len(stack) >= MAX_DEPTH:
                    self._refuse(
                        event,
                        "too_deep",
                        f"nested deeper than {MAX_DEPTH} levels",
                        "a mapping needs fewer than ten",
                    )
                stack.append((_at(event.start_mark), [], isinstance(event, yaml.MappingStartEvent)))
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                at, children, is_map = stack.pop()
                node: Node = self._pairs(at, children) if is_map else self._items(at, children)
                root = self._place(stack, node, root)
            elif isinstance(event, yaml.ScalarEvent):
                self._no_extras(event)
                root = self._place(stack, self._scalar(event), root)
        return root if root is not None else Empty((1, 1))

    def _place(
        self, stack: list[tuple[Position, list[Node], bool]], node: Node, root: Node | None
    ) -> Node | None:
        if stack:
            stack[-1][1].append(node)
            return root
        return node

    def _scalar(self, event: Any) -> Node:
        at, is_plain = _at(event.start_mark), event.style in (None, "")
        self.spans.append((at, _at(event.end_mark)))
        if event.value == "" and is_plain:
            line = self.lines[at[0] - 1] if at[0] <= len(self.lines) else ""
            comment = re.match(r"\s*(#.*)", line[at[1] - 1 :])
            return Empty(at, comment[1] if comment else "")
        return Text(event.value, at, is_plain)

    def _items(self, at: Position, children: list[Node]) -> Items:
        return Items(tuple(children), at)

    def _pairs(self, at: Position, children: list[Node]) -> Pairs:
        pairs: dict[str, tuple[Text, Node]] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if isinstance(key, Empty):
                self.problems.add("empty", key.at, "a name is missing before the colon")
            elif not isinstance(key, Text):
                self.problems.add(
                    "wrong_type",
                    key.at,
                    "a name is a text, not a list or a map",
                    "quote it if it starts with [ or {",
                )
            elif key.value in pairs:
                first = pairs[key.value][0].at[0]
                self.problems.add(
                    "duplicate_key",
                    key.at,
                    f"`{key.value}` stands here twice, first on line {first}",
                    "keep one",
                )
            else:
                pairs[key.value] = (key, value)
        return Pairs(tuple(pairs.values()), at)

    def _document(self, event: Any, second: bool) -> None:
        if second:
            self._refuse(event, "documents", "a second document starts here (---)", "one mapping per file")
        if event.version or event.tags:
            self._refuse(event, "directive", "% directives are not allowed", "remove the line")

    def _no_extras(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(
                event,
                "alias",
                "anchors and aliases (&name, *name) are not allowed",
                'repeat the value; a text that starts with & or * is quoted: "&…"',
            )
        if event.tag is not None:
            self._refuse(
                event,
                "tag",
                f"tags ({event.tag.removeprefix('tag:yaml.org,2002:') or '!'}) are not allowed",
                'a text that starts with ! is quoted: "!…"',
            )

    def _refuse(self, event: Any, code: str, message: str, hint: str) -> None:
        self.problems.add(code, _at(event.start_mark), message, hint)
        raise _Stop

    # --- tabs

    def _check_tabs(self) -> None:
        """Tabs outside texts and comments: YAML allows some, and editors make them look like blanks."""
        if "\t" not in self.text:
            return
        for number, line in enumerate(self.lines, 1):
            for match in re.finditer("\t", line):
                if self._covered((number, match.start() + 1)):
                    continue
                before = [m.start() + 1 for m in re.finditer("#", line[: match.start()])]
                if any(not self._covered((number, column)) for column in before):
                    break  # a comment
                if not line.strip():
                    break
                self._tab((number, match.start() + 1))
                break

    def _covered(self, at: Position) -> bool:
        return any(start <= at < end for start, end in self.spans)

    def _tab(self, at: Position) -> None:
        self.problems.add("tab", at, "a tab stands here", "use blanks")

    # --- syntax errors

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        at = _at(mark) if mark else (1, 1)
        for number in range(max(1, at[0] - 1), min(at[0], len(self.lines)) + 1):
            tab = re.match(r" *(\t)", self.lines[number - 1])
            if tab:
                self._tab((number, tab.start(1) + 1))
                return
        start = max(1, min(at[0] - 2, _at(error.context_mark)[0] if error.context_mark else at[0]))
        for number in range(start, min(at[0], len(self.lines)) + 1):
            hidden = re.search(r"(?<=\s)#[^\n]*[\]}]\s*,?\s*$", self.lines[number - 1])
            opened = hidden and self.lines[number - 1][: hidden.start()]
            if (
                hidden
                and opened
                and opened.count("{") + opened.count("[") > opened.count("}") + opened.count("]")
            ):
                message = "a # after a blank starts a comment, so the bracket before it is never closed"
                self.problems.add(
                    "yaml", (number, hidden.start() + 1), message, 'quote a text that holds " #"'
                )
                return
        for number in range(start, min(at[0], len(self.lines)) + 1):
            bare = re.search(r"""[{\[,][^"'#]*?(?<!["'$])(\$\{\w)""", self.lines[number - 1])
            if bare:
                self.problems.add(
                    "yaml",
                    (number, bare.start(1) + 1),
                    "inside { } and [ ] a reference must be quoted",
                    'write "${NAME}"',
                )
                return
        if error.context_mark and any(phrase in (error.problem or "") for phrase in UNCLOSED):
            at = _at(error.context_mark)
        line = self.lines[at[0] - 1] if at[0] <= len(self.lines) else ""
        message, hint = in_plain_words(error, line[at[1] - 1 : at[1]])
        self.problems.add("yaml", at, message, hint)


def _at(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1
