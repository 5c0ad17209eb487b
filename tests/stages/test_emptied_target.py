"""A second run onto a target whose rows somebody deleted in the meantime."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import balance, small


@pytest.mark.fineprint(12)
@pytest.mark.parametrize("left", [0, 1])
def test_f12_rows_that_are_gone_from_the_target_are_not_inserted_twice(tmp_path: Path, left: int) -> None:
    """Also where the table is empty altogether: known rows are `target_gone`, their children wait."""
    world = small(tmp_path)
    world.run()
    world.target.run("DELETE FROM contacts", f"DELETE FROM accounts WHERE legacy_id > '{left}'")
    world.source.run("INSERT INTO people VALUES (4, 2, 'Di', 'di@example.com')")
    document = world.run()
    gone = {'["1"]': ["target_gone"], '["2"]': ["target_gone"]}
    assert world.codes("accounts") == {k: v for k, v in gone.items() if k > f'["{left}"]'}
    found = world.codes("contacts")
    assert "target_gone" in found['["3"]']
    assert found['["4"]'] == ["parent_quarantined"]
    assert balance(document, "accounts")["quarantined"] == 2 - left
    assert world.target.one("SELECT count(*) FROM contacts") == 0
