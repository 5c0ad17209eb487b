"""Which rows are one and the same: exact keys, similarity (Splink on DuckDB), and clusters guarded against chains."""
