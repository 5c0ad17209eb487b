"""Exported files as a source: CSV (any delimiter), JSON lines, Parquet. Read only."""
