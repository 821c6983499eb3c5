-- What the extension consists of, a line for each property of each object, the same wherever and
-- however it was installed: two installations are the same if these lines are.  Run it with
-- psql -X as a superuser.
--
-- Of each object the whole row of the system catalogue is taken, whatever columns this version
-- of PostgreSQL has there, except for those that are listed below with a reason.  An OID becomes
-- the name of the object; an expression is printed by the function that PostgreSQL has for it.

\set QUIET on
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_STOP on

BEGIN;
-- a translated, shortened, or otherwise printed name or value would be a difference
SET LOCAL search_path = pg_catalog;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL client_min_messages = warning;
SET LOCAL lc_messages = 'C';
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL bytea_output = hex;
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = postgres;
SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1;

--
-- The objects: the extension, its members, whatever else is in its schema, and what belongs to
-- one of them: indexes, constraints, triggers, defaults, rules.  Names in pg_toast hold an OID;
-- whether a table has one there, follows from its columns, present and past.
--

CREATE TEMP TABLE part ON COMMIT DROP AS
WITH RECURSIVE part (classid, objid) AS (
	SELECT 'pg_extension'::regclass::oid, oid FROM pg_extension WHERE extname = 'instance_env'
	UNION
	SELECT d.classid, d.objid
	FROM part p JOIN pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid
	WHERE (d.deptype IN ('e', 'i', 'a', 'P', 'S') OR p.classid = 'pg_namespace'::regclass)
		AND NOT EXISTS (SELECT FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
			AND c.relnamespace = 'pg_toast'::regnamespace)
)
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object FROM part;

CREATE TEMP TABLE property (object text, catalogue text, name text, value text) ON COMMIT DROP;

--
-- Their rows.
--

CREATE TEMP TABLE definition (catalogue text, expression text) ON COMMIT DROP;
INSERT INTO pg_temp.definition VALUES
	('pg_proc', 'CASE WHEN c.prokind <> ''a'' THEN pg_get_functiondef(c.oid) END'),
	('pg_constraint', 'pg_get_constraintdef(c.oid)'),
	('pg_trigger', 'pg_get_triggerdef(c.oid)'),
	('pg_rewrite', 'pg_get_ruledef(c.oid)'),
	('pg_attrdef', 'pg_get_expr(c.adbin, c.adrelid)'),
	('pg_policy', 'concat_ws('' CHECK '', pg_get_expr(c.polqual, c.polrelid), pg_get_expr(c.polwithcheck, c.polrelid))'),
	('pg_statistic_ext', 'pg_get_statisticsobjdef(c.oid)'),
	('pg_index', 'pg_get_indexdef(c.indexrelid)'),
	-- numbers rise by one, or by less where a label was added later
	('pg_type', '(SELECT array_agg(enumlabel ORDER BY enumsortorder)::text FROM pg_enum WHERE enumtypid = c.oid)'),
	-- attnum counts dropped columns, too
	('pg_attribute', '(SELECT ''position '' || count(*) FROM pg_attribute a
		WHERE a.attrelid = c.attrelid AND a.attnum BETWEEN 1 AND c.attnum AND NOT a.attisdropped)'),
	-- in no particular order
	('pg_extension', '(SELECT string_agg(concat_ws('' '', t.oid::regclass::text, t.condition), ''; '' ORDER BY t.oid::regclass::text COLLATE "C")
		FROM unnest(c.extconfig, c.extcondition) AS t (oid, condition))');

CREATE TEMP TABLE omitted (catalogue text, name text) ON COMMIT DROP;
INSERT INTO pg_temp.omitted VALUES
	-- where the rows are, and how many
	('pg_class', 'relfilenode'), ('pg_class', 'reltoastrelid'), ('pg_class', 'relpages'), ('pg_class', 'reltuples'),
	('pg_class', 'relallvisible'), ('pg_class', 'relallfrozen'), ('pg_class', 'relfrozenxid'), ('pg_class', 'relminmxid'),
	('pg_index', 'indcheckxmin'),
	-- stays true when the last is dropped
	('pg_class', 'relhasindex'), ('pg_class', 'relhasrules'), ('pg_class', 'relhastriggers'), ('pg_class', 'relhassubclass'),
	-- how rows are read that were there before a column was added
	('pg_attribute', 'atthasmissing'), ('pg_attribute', 'attmissingval'),
	-- columns by number, dropped ones counted; the definition has their names
	('pg_class', 'relnatts'), ('pg_attribute', 'attnum'), ('pg_attrdef', 'adnum'), ('pg_index', 'indkey'),
	('pg_constraint', 'conkey'), ('pg_constraint', 'confkey'), ('pg_trigger', 'tgattr'),
	-- see the definition
	('pg_extension', 'extconfig'), ('pg_extension', 'extcondition');

CREATE TEMP TABLE catalogue_row (catalogue text, object text, properties jsonb) ON COMMIT DROP;

-- A catalogue whose rows are objects has an OID; the others add to an object of pg_class, or, if
-- they have the columns objoid and classoid, to any.
SELECT format('INSERT INTO pg_temp.catalogue_row SELECT %L, %s, to_jsonb(c) || jsonb_build_object(''definition'', %s)
	FROM pg_temp.part p JOIN %I c ON p.classid = %s AND p.objid = c.%I WHERE %s',
	k.catalogue, k.object, coalesce(d.expression, 'NULL'), k.catalogue, k.classid, k.key, k.condition)
FROM (
	SELECT DISTINCT classid::regclass::text, 'p.object', classid::text, 'oid', 'true' FROM pg_temp.part
	UNION ALL VALUES
		('pg_attribute', 'pg_describe_object(p.classid, p.objid, c.attnum)', '''pg_class''::regclass', 'attrelid', 'c.attnum > 0 AND NOT c.attisdropped'),
		('pg_index', 'p.object', '''pg_class''::regclass', 'indexrelid', 'true'),
		('pg_sequence', 'p.object', '''pg_class''::regclass', 'seqrelid', 'true'),
		('pg_inherits', 'p.object', '''pg_class''::regclass', 'inhrelid', 'true'),
		('pg_description', 'pg_describe_object(p.classid, p.objid, c.objsubid)', 'c.classoid', 'objoid', 'true'),
		('pg_seclabel', 'pg_describe_object(p.classid, p.objid, c.objsubid)', 'c.classoid', 'objoid', 'true'),
		('pg_init_privs', 'pg_describe_object(p.classid, p.objid, c.objsubid)', 'c.classoid', 'objoid', 'true')
) AS k (catalogue, object, classid, key, condition)
	LEFT JOIN pg_temp.definition d ON d.catalogue = k.catalogue \gexec

-- The columns to describe, and which of them refer to an object.  An expression as it is stored
-- has OIDs in it.  Where none of the definitions above prints it, it is left as it is: a
-- difference that should not be is better than one that nobody sees.
CREATE TEMP TABLE wanted ON COMMIT DROP AS
SELECT c.catalogue, a.attname::text AS name, a.atttypid = 'aclitem[]'::regtype AS is_acl, f.pktable, f.is_array
FROM (SELECT DISTINCT catalogue FROM pg_temp.catalogue_row) c
	JOIN pg_attribute a ON a.attrelid = c.catalogue::regclass AND a.attnum > 0
	LEFT JOIN (SELECT fktable, fkcols[1] AS fkcol, pktable, is_array FROM pg_get_catalog_foreign_keys()
			   WHERE pkcols = '{oid}') f ON f.fktable = a.attrelid AND f.fkcol = a.attname
WHERE a.attname NOT IN ('oid', 'objoid', 'classoid', 'objsubid')
	AND NOT EXISTS (SELECT FROM pg_temp.omitted o WHERE o.catalogue = c.catalogue AND o.name = a.attname)
	AND NOT (a.atttypid = 'pg_node_tree'::regtype
			 AND EXISTS (SELECT FROM pg_temp.definition d WHERE d.catalogue = c.catalogue))
UNION ALL SELECT catalogue, 'definition', false, NULL, NULL FROM pg_temp.definition;

INSERT INTO pg_temp.property
SELECT r.object, r.catalogue, e.key,
	CASE
		WHEN e.value IN ('null', '"0"') THEN NULL
		WHEN w.is_acl THEN
			(SELECT string_agg(i, ' ' ORDER BY i COLLATE "C") FROM jsonb_array_elements_text(e.value) i)
		-- Some minor versions note there at which place of the WAL a column was made.
		WHEN e.key = 'attoptions' THEN
			(SELECT string_agg(i, ' ' ORDER BY i COLLATE "C") FROM jsonb_array_elements_text(e.value) i WHERE i NOT LIKE 'pg_attver=%')
		WHEN w.is_array THEN
			(SELECT string_agg(coalesce(pg_describe_object(w.pktable, nullif(i.oid, '0')::oid, 0), '0'), ' ' ORDER BY i.n)
			 FROM jsonb_array_elements_text(e.value) WITH ORDINALITY AS i (oid, n))
		WHEN w.pktable IS NOT NULL AND e.value #>> '{}' ~ '^[0-9]+$' THEN
			coalesce(pg_describe_object(w.pktable, (e.value #>> '{}')::oid, 0), 'none')
		ELSE e.value #>> '{}'
	END
FROM pg_temp.catalogue_row r CROSS JOIN jsonb_each(r.properties) e
	JOIN pg_temp.wanted w ON w.catalogue = r.catalogue AND w.name = e.key;

--
-- What they depend on, and in which way; 'e' is what makes a member.
--

INSERT INTO pg_temp.property
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), 'pg_depend', d.deptype::text,
	pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_temp.part p JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid;

--
-- The rows that tables hold, and where sequences stand.
--

SELECT format('INSERT INTO pg_temp.property SELECT %L, ''rows'', '''', to_jsonb(t)::text FROM (SELECT * FROM %s) t', p.object, c.oid::regclass)
FROM pg_temp.part p JOIN pg_class c ON p.classid = 'pg_class'::regclass AND c.oid = p.objid
WHERE c.relkind IN ('r', 'p', 'S') \gexec

SELECT line
FROM pg_temp.property, concat(object, ' | ', catalogue, ' ', name, ' = ', replace(value, E'\n', E'\\n')) AS line
ORDER BY line COLLATE "C";
ROLLBACK;
