"""Sessions that are used again, and the one whose lock keeps others out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from migrate.connectors.sessions import Idle, Keeper
from migrate.errors import Busy


@dataclass
class Session:
    lost: bool = False
    broken: bool = False
    closed: bool = False

    def close(self) -> None:
        self.closed = True


def idle() -> Idle[Session]:
    return Idle(Session, lambda s: not s.lost, lambda s: s.broken)


def test_a_session_is_used_again() -> None:
    sessions = idle()
    first = sessions.take()
    sessions.give_back(first, True)
    assert sessions.take() is first
    assert sessions.take() is not first


@pytest.mark.parametrize(("usable", "broken"), [(False, False), (True, True)])
def test_a_session_that_failed_or_is_broken_is_closed(usable: bool, broken: bool) -> None:
    sessions = idle()
    session = Session(broken=broken)
    sessions.give_back(session, usable)
    assert session.closed
    assert sessions.take() is not session


def test_a_session_that_was_lost_while_it_waited_is_left_out() -> None:
    sessions = idle()
    kept, lost = Session(), Session()
    sessions.give_back(kept, True)
    sessions.give_back(lost, True)
    lost.lost = True
    assert sessions.take() is kept
    assert lost.closed


def test_a_session_in_which_something_failed_is_not_lent_again() -> None:
    sessions = idle()
    with pytest.raises(KeyboardInterrupt), sessions.lent() as session:
        raise KeyboardInterrupt
    assert session.closed


def test_the_lock_that_was_lost_is_taken_again_or_somebody_has_it() -> None:
    free, made = [True], []

    def connect() -> Session:
        made.append(Session())
        return made[-1]

    keeper = Keeper("url", connect, lambda _: free[0], lambda s: not s.lost)
    with pytest.raises(Busy, match="keys are reserved by the run that holds"):
        keeper.session("keys are reserved")
    with keeper.holding():
        first = keeper.session("")
        assert keeper.session("") is first
        first.lost = True
        second = keeper.session("")
        assert second is not first
        second.lost, free[0] = True, False
        with pytest.raises(Busy, match="another run holds"):
            keeper.session("")
    assert all(s.closed for s in made)
    with pytest.raises(Busy), keeper.holding():
        pytest.fail("somebody else has it")
