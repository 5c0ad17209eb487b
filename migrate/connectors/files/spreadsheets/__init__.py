"""Excel and OpenDocument files: python-calamine reads them, and what it does not hand on is looked up beside it."""
