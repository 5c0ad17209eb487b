"""The row flow as a Sankey diagram: laid out by d3-sankey, drawn as inline SVG; no script reaches the page.

d3-sankey and what it needs lie in `d3/` as they were published (decision 0063). They run here, in an embedded
interpreter that knows nothing of files and networks, and give places and paths; a template writes them down.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

WIDTH = 560  # of the drawing; it is scaled to the room there is, and its letters with it
NODES = 12  # entities at most; the smaller ones together are the last
_LIBRARIES = ("d3-array.min.js", "d3-path.min.js", "d3-shape.min.js", "d3-sankey.min.js")
_LISTENED_TO = 500  # characters
_MEMORY, _SECONDS = 64 << 20, 10
_APART = 24  # between two nodes: room for the words of one that is as thin as a line
_EDGE = 16  # above and below, for the words of the outermost
_ONE_AT_A_TIME = threading.Lock()
_LAYOUT = """
function layout(text) {
  const given = JSON.parse(text);
  const found = d3.sankey().nodeId(n => n.id).nodeWidth(10).nodePadding(given.apart).nodeSort(null)
    .extent([[1, given.edge], [given.width - 1, given.height - given.edge]])(given);
  const path = d3.sankeyLinkHorizontal();
  return JSON.stringify({
    nodes: found.nodes.map(n => ({id: n.id, x: n.x0, y: n.y0, width: n.x1 - n.x0, height: n.y1 - n.y0})),
    links: found.links.map(l => ({source: l.source.id, target: l.target.id, width: l.width, path: path(l)})),
  });
}
"""


def flow(balances: Mapping[str, Mapping[str, int]], fates: Sequence[str]) -> dict[str, Any] | None:
    """What the template draws: entities on the left, fates on the right, a band for the rows of each pair; None where there
    are no rows. Pure: the same balances give the same picture."""
    left = _fewer({name: balance for name, balance in balances.items() if balance.get("in")}, fates)
    links = [(name, fate, int(b.get(fate, 0))) for name, b in left for fate in fates if b.get(fate, 0)]
    if not links:
        return None
    right = {fate: sum(n for _, f, n in links if f == fate) for fate in fates if any(f == fate for _, f, _ in links)}  # fmt: skip
    sources = {name: int(b["in"]) for name, b in left}
    height = 2 * _EDGE + 150 + _APART * (max(len(left), len(right)) - 1)
    asked = {
        "width": WIDTH, "height": height, "apart": _APART, "edge": _EDGE,
        "nodes": [*({"id": f"from {n}"} for n in range(len(left))), *({"id": fate} for fate in right)],
        "links": [{"source": f"from {[*sources].index(e)}", "target": f, "value": n} for e, f, n in links],
    }  # fmt: skip
    placed = json.loads(_layout(json.dumps(asked)))
    words = [(name, rows, "") for name, rows in sources.items()] + [(f, n, f) for f, n in right.items()]
    nodes = [{**node, "name": name, "rows": rows, "fate": fate} for node, (name, rows, fate) in zip(placed["nodes"], words, strict=True)]  # fmt: skip
    bands = [{**band, "entity": e, "fate": f, "rows": n} for band, (e, f, n) in zip(placed["links"], links, strict=True)]  # fmt: skip
    return {
        "width": WIDTH,
        "height": height,
        "nodes": nodes,
        "bands": bands,
        "says": _words(sources, right, links),
    }


def _words(
    sources: Mapping[str, int], right: Mapping[str, int], links: Sequence[tuple[str, str, int]]
) -> str:
    """The picture for who does not see it; by entity too where that is not too long to listen to."""
    told = ", ".join(f"{n:,} {fate}" for fate, n in right.items())
    whole = f"Row flow from entities to where their rows went. Of {sum(sources.values()):,} rows: {told}."
    by_entity = "; ".join(
        f"{name} {rows:,} in, " + ", ".join(f"{n:,} {f}" for e, f, n in links if e == name)
        for name, rows in sources.items()
    )
    said = f"{whole} By entity: {by_entity}."
    return said if len(said) <= _LISTENED_TO else f"{whole} “Entity by entity”, after it, tells the rest."


def _fewer(
    balances: Mapping[str, Mapping[str, int]], fates: Sequence[str]
) -> list[tuple[str, Mapping[str, int]]]:
    """In the order of the document, at most NODES of them."""
    if len(balances) <= NODES:
        return list(balances.items())
    largest = sorted(balances, key=lambda name: -balances[name]["in"])[: NODES - 1]
    rest = [b for name, b in balances.items() if name not in largest]
    together = {fate: sum(int(b.get(fate, 0)) for b in rest) for fate in ("in", *fates)}
    return [*((n, b) for n, b in balances.items() if n in largest), (f"{len(rest)} smaller ones", together)]


@cache
def _engine() -> Any:
    import quickjs

    context = quickjs.Context()
    context.set_memory_limit(_MEMORY)
    context.set_time_limit(_SECONDS)
    folder = resources.files("migrate.report.html") / "d3"
    for name in _LIBRARIES:
        context.eval(folder.joinpath(name).read_text(encoding="utf-8"))
    context.eval(_LAYOUT)
    return context.get("layout")


def _layout(asked: str) -> str:
    with _ONE_AT_A_TIME:  # an interpreter is for one thread
        return str(_engine()(asked))
