"""What is asked of the catalogue. Every relation is named by its oid, which is what the parts of a table are joined by."""

from __future__ import annotations

META = "migrate_meta"  # the schema of our own tables, which are nobody's data
_USER_SCHEMAS = f"n.nspname <> '{META}' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND strpos(n.nspname, '.') = 0"

TABLES = f"""
SELECT c.oid::int8 AS oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relispartition, c.relpersistence,
       obj_description(c.oid, 'pg_class') AS comment,
       ARRAY(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno) AS parents,
       pg_get_partkeydef(c.oid) AS partition_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ({_USER_SCHEMAS} OR n.nspname = '{META}')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname <> 'public', n.nspname, c.relname"""
COLUMNS = """
SELECT a.attrelid::int8 AS relation, a.attname, a.attnum, a.attnotnull, a.attidentity, a.attgenerated,
       a.atttypid::int8 AS type, a.atttypmod AS modifier, format_type(a.atttypid, a.atttypmod) AS native,
       pg_get_expr(d.adbin, d.adrelid) AS expression, col_description(a.attrelid, a.attnum) AS comment,
       CASE WHEN a.attcollation <> t.typcollation
            THEN (SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname)
                  FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace WHERE l.oid = a.attcollation) END AS collation
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum"""
TYPES = """
WITH RECURSIVE used(oid) AS (
    SELECT unnest(%s::int8[])::oid
    UNION SELECT part.oid FROM used u JOIN pg_type t ON t.oid = u.oid, LATERAL (VALUES (t.typelem), (t.typbasetype)) part(oid)
    WHERE part.oid <> 0
)
SELECT t.oid::int8 AS oid, t.typname, n.nspname, t.typtype, t.typcategory, t.typelem::int8 AS element,
       t.typbasetype::int8 AS base, t.typtypmod, format_type(t.typbasetype, t.typtypmod) AS base_native, e.extname, es.nspname AS extschema,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
FROM used u JOIN pg_type t ON t.oid = u.oid JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid LEFT JOIN pg_namespace es ON es.oid = e.extnamespace"""
SEQUENCES = """
SELECT a.attrelid::int8 AS relation, a.attnum, s.oid::int8 AS oid, n.nspname, s.relname, a.attidentity, a.attname, q.*,
       format_type(q.seqtypid, NULL) AS native, own.refobjid IS NOT NULL AS owned,
       has_sequence_privilege(s.oid, 'SELECT') AS readable
FROM pg_attribute a
JOIN LATERAL (
    SELECT d.objid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass
) used(oid) ON true
JOIN pg_class s ON s.oid = used.oid AND s.relkind = 'S'
JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
LEFT JOIN pg_depend own ON own.classid = 'pg_class'::regclass AND own.objid = s.oid AND own.refobjid = a.attrelid
      AND own.refobjsubid = a.attnum AND own.deptype IN ('a', 'i')
WHERE a.attrelid = ANY(%s) ORDER BY a.attrelid, a.attnum, owned, s.relname"""
CONSTRAINTS = """
SELECT c.conrelid::int8 AS relation, c.conname, c.contype, c.condeferrable, c.condeferred, c.convalidated,
       c.confupdtype, c.confdeltype, c.confmatchtype, pg_get_constraintdef(c.oid) AS definition,
       fn.nspname AS ref_schema, fc.relname AS ref_table,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, at)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.at) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, at)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.at) AS ref_columns
FROM pg_constraint c LEFT JOIN pg_class fc ON fc.oid = c.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
WHERE c.conrelid = ANY(%s) AND c.contype IN ('p', 'u', 'f', 'c', 'x') AND (c.contype <> 'f' OR c.conparentid = 0)
ORDER BY c.conrelid, c.conname"""
INDEXES = """
SELECT i.indrelid::int8 AS relation, c.relname, i.indisunique, i.indisvalid, pg_get_indexdef(i.indexrelid) AS definition,
       CASE WHEN i.indexprs IS NULL THEN
            ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, at)
                  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.at) ELSE '{}' END AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, c.relname"""
TRIGGERS = """
SELECT tgrelid::int8 AS relation, tgname FROM pg_trigger WHERE tgrelid = ANY(%s) AND NOT tgisinternal ORDER BY 1, 2"""
RULES = "SELECT ev_class::int8 AS relation, rulename FROM pg_rewrite WHERE ev_class = ANY(%s) ORDER BY 1, 2"
EXTENSIONS = """
SELECT DISTINCT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
WHERE (d.classid = 'pg_type'::regclass AND d.objid::int8 = ANY(%s))
   OR (d.classid = 'pg_opclass'::regclass AND d.objid IN
       (SELECT unnest(indclass::oid[]) FROM pg_index WHERE indrelid = ANY(%s))) ORDER BY 1"""
OTHERS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind, n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm', 'f') AND {_USER_SCHEMAS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 'function', n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_USER_SCHEMAS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'sequence that no column uses', n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND {_USER_SCHEMAS} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
  AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e')) AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
UNION ALL
SELECT 'schema with a dot in its name', 'public', nspname FROM pg_namespace WHERE strpos(nspname, '.') > 0
ORDER BY 1, 2, 3"""
