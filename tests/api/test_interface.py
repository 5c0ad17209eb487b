"""The public names: each is a function, whichever is asked for first, and nothing is loaded before it is."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from types import FunctionType

from migrate import api

FRESH = """
import sys
from migrate import api
assert not {"polars", "sqlalchemy", "duckdb"} & sys.modules.keys()
api.examples
assert "sqlalchemy" not in sys.modules
assert all(callable(getattr(api, name)) for name in api.__all__)
"""


def test_every_name_is_a_function_and_has_one_home() -> None:
    homes = [name for names in api._HOMES.values() for name in names]
    assert sorted(homes) == sorted(api.__all__)
    assert all(isinstance(getattr(api, name), FunctionType) for name in api.__all__)
    modules = {module.name for module in pkgutil.iter_modules(api.__path__)}
    assert not modules & set(api.__all__), "to import such a module would put it in the function's place"


def test_looking_at_a_mapping_loads_no_ledger() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
