"""Rows that only the database refuses, found on the server itself."""

from __future__ import annotations

# Finds the refused rows on the server: ranges are tried left to right, halved where they fail and doubled
# where they go in, each under a savepoint of its own (plpgsql's EXCEPTION block). Rows refused for a foreign
# key are tried again at the end, for their parent may stand later in the batch (last first, so that a chain
# of them goes in at one pass); until then they do not count towards the limit. One round trip in place of
# bad · log2(rows / bad); connectors.bisect does the same from outside. Errors that are not about a row are
# raised again as they are.
_SEARCH = """
DECLARE
  migrate_next bigint := 0; migrate_lo bigint; migrate_hi bigint; migrate_end bigint := {rows};
  migrate_size bigint := {size}; migrate_bad bigint := {bad}; migrate_again boolean := true; migrate_row record;
  migrate_state text; migrate_constraint text; migrate_column text;
BEGIN
  WHILE migrate_next < migrate_end AND migrate_bad <= {stop_after} LOOP
    migrate_lo := migrate_next; migrate_hi := least(migrate_lo + migrate_size, migrate_end);
    BEGIN
      {statement};
      migrate_next := migrate_hi; migrate_size := migrate_size * 2;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS migrate_state = RETURNED_SQLSTATE, migrate_constraint = CONSTRAINT_NAME,
        migrate_column = COLUMN_NAME;
      IF migrate_state !~ '^(22|23|P0|44|54000)' THEN RAISE; END IF;
      IF migrate_hi - migrate_lo = 1 THEN
        INSERT INTO pg_temp.{refused} VALUES (migrate_lo, migrate_state, coalesce(nullif(migrate_constraint, ''), migrate_column));
        migrate_bad := migrate_bad + (migrate_state <> '23503')::int; migrate_next := migrate_hi; migrate_size := 1;
      ELSE
        migrate_size := (migrate_hi - migrate_lo) / 2;
      END IF;
    END;
  END LOOP;
  WHILE migrate_again AND migrate_bad <= {stop_after} LOOP
    migrate_again := false;
    FOR migrate_row IN SELECT ordinal FROM pg_temp.{refused} WHERE state = '23503' ORDER BY ordinal DESC LOOP
      BEGIN
        migrate_lo := migrate_row.ordinal; migrate_hi := migrate_lo + 1;
        {statement};
        DELETE FROM pg_temp.{refused} WHERE ordinal = migrate_lo;
        migrate_again := true;
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS migrate_state = RETURNED_SQLSTATE, migrate_constraint = CONSTRAINT_NAME,
          migrate_column = COLUMN_NAME;
        IF migrate_state !~ '^(22|23|P0|44|54000)' THEN RAISE; END IF;
        UPDATE pg_temp.{refused} SET state = migrate_state, place = coalesce(nullif(migrate_constraint, ''), migrate_column)
        WHERE ordinal = migrate_lo;
      END;
    END LOOP;
  END LOOP;
END"""


def search_sql(
    statement: str, *, joint: str, ordinal: str, refused: str, rows: int, bad: int, stop_after: int
) -> str:
    """The body that carries out `statement`, which writes the rows of a staging table `s`, for all rows that it can.

    The others are in pg_temp.`refused` (ordinal, state, place); it ends once they and the `bad` ones found before are
    more than `stop_after`. `joint`: WHERE, or AND where the statement has conditions already."""
    return _SEARCH.format(
        rows=rows,
        size=max(rows // 2, 1),
        bad=bad,
        stop_after=stop_after,
        refused=refused,
        statement=f"{statement} {joint} s.{ordinal} >= migrate_lo AND s.{ordinal} < migrate_hi",
    )
