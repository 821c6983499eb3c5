-- distribute() without Citus, and numbers of events and promotions, which each node of a
-- cluster gives out itself.  What needs a cluster is in test/citus/nodes.pl.
SET client_min_messages = warning;
BEGIN;
SET search_path = public, pg_catalog;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(9);

SELECT throws_ok('SELECT * FROM instance_env.distribute()', '0A000', 'extension "citus" is not installed in this database',
	'distribute() needs Citus');
CREATE ROLE instance_env_somebody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_somebody;
GRANT EXECUTE ON FUNCTION instance_env.distribute(), instance_env.node_offset() TO instance_env_somebody;
SET ROLE instance_env_somebody;
SELECT throws_ok('SELECT * FROM instance_env.distribute()', '42501', 'permission denied to distribute the registry',
	'and a superuser');
RESET ROLE;

-- a table of this name, wherever a search_path finds it, is not Citus's catalog
CREATE TABLE pg_dist_shard (logicalrelid regclass, shardid bigint);
CREATE TABLE pg_dist_local_group (groupid integer);
INSERT INTO pg_dist_shard VALUES ('instance_env.instance', 102008);
INSERT INTO pg_dist_local_group VALUES (7);
SELECT is(instance_env.node_offset(), 0::bigint, 'a single server adds nothing to its numbers');
SELECT lives_ok($$SELECT instance_env.create_application('a')$$, 'and reads its own tables');
SELECT is((SELECT min(id) FROM instance_env.event), 1::bigint, 'events are numbered from 1');
SELECT is((SELECT count(*) FROM instance_env.event WHERE id > 1000), 0::bigint, 'none of them above');
SELECT is(instance_env.application_id('a'), (SELECT id FROM instance_env.application), 'applications are found');
SELECT is(pg_get_serial_sequence('instance_env.event', 'id')::regclass, 'instance_env.event_id_seq'::regclass, 'the sequence belongs to its column');
SELECT is(pg_get_serial_sequence('instance_env.promotion', 'id')::regclass, 'instance_env.promotion_id_seq'::regclass, 'and that of promotions');

SELECT * FROM finish();
ROLLBACK;
