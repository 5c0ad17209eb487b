"""The end of a server's transaction, and what leads to it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from migrate.connectors.locked import Locked
from migrate.connectors.transactions import Ending, whole
from migrate.errors import MigrateError, Unreachable


@dataclass
class Transaction:
    told: list[str] = field(default_factory=list)

    def rollback(self) -> None:
        self.told.append("rollback")

    def name_holders(self, error: Locked) -> None:
        self.told.append(f"holders of {error.where}")

    @whole
    def fail(self, error: BaseException) -> None:
        raise error


@pytest.mark.fineprint(1)
def test_f01_any_error_inside_rolls_back_and_a_lock_names_its_holders() -> None:
    transaction = Transaction()
    with pytest.raises(KeyboardInterrupt):
        transaction.fail(KeyboardInterrupt())
    with pytest.raises(Locked):
        transaction.fail(Locked("waited", where="t"))
    assert transaction.told == ["rollback", "rollback", "holders of t"]


@pytest.mark.fineprint(1)
def test_f01_a_transaction_ends_once() -> None:
    told: list[object] = []

    def roll_back() -> bool:
        told.append("rolled back")
        return True

    def unanswered() -> bool:
        raise MigrateError("no answer")

    def ending() -> Ending:
        told.clear()
        return Ending(roll_back, told.append)

    good = ending()
    good.check_open()
    good.commit(lambda: True)
    good.rollback()
    assert told == [True]
    with pytest.raises(MigrateError, match="over"):
        good.check_open()
    with pytest.raises(Unreachable, match="over already"):
        good.commit(lambda: True)
    with pytest.raises(Unreachable, match="not the one that is open"):
        ending().commit(lambda: False)
    assert told == ["rolled back", True]
    with pytest.raises(MigrateError, match="no answer"):
        ending().commit(unanswered)
    assert told == [False]
