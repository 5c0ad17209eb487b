"""`python -m migrate` is the command line."""

import sys

from migrate.cli import main

if __name__ == "__main__":
    sys.exit(main())
