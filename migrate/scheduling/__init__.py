"""Backups, drills and prunes by the clock: when they are due, the loop, and units for schedulers outside."""
