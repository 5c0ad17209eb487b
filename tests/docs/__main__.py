"""`python -m tests.docs`: every page and table that is made from the program, written anew.

The table of types (docs/fidelity.md) needs the databases themselves: `python -m tests.fidelity`."""

from tests.docs import functions_table, pages

functions_table.write()
pages.write()
