"""Where real data lie that are no part of this repository: $MIGRATE_SHARED, or `shared` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared(*parts: str) -> Path:
    """A file or folder of the shared data; the test is skipped where it is not there."""
    base = Path(os.environ.get("MIGRATE_SHARED") or ROOT.parent / "shared")
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data here: {'/'.join(parts)} is not below {base.name}/ (set MIGRATE_SHARED)")
    return path
