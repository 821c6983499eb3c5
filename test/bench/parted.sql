-- The users' table of one variant, in 1,000 partitions by the user key.
--
-- schema: which

SET instance_env.allow_destructive = on;
DROP SCHEMA IF EXISTS :schema CASCADE;
CREATE SCHEMA :schema;
CREATE TABLE :schema.users (id bigint PRIMARY KEY, instance_id uuid NOT NULL) PARTITION BY RANGE (id);
CREATE INDEX users_instance_id ON :schema.users (instance_id);
SELECT format('CREATE TABLE %1$I.users_%2$s PARTITION OF %1$I.users FOR VALUES FROM (%3$s) TO (%4$s)',
	:'schema', i, i * 1000, (i + 1) * 1000) FROM generate_series(0, 999) i \gexec
