--
-- Ids that carry their instance: what is said
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT FROM instance_env.create_application('coded ids', 'pro', 'c0000000-0000-4000-8000-000000063b50', 'c0000000-0000-4000-8000-0000000055c7');

-- an instance that does not exist, or is not told
SELECT instance_env.new_user_id('c0000000-0000-4000-8000-00000000000f');
SELECT instance_env.new_user_id(NULL);
SELECT instance_env.new_user_id('coded ids');
SELECT instance_env.new_user_id();
CREATE SCHEMA coded_ids;
CREATE TABLE coded_ids.users (id uuid DEFAULT instance_env.new_user_id(), instance_id uuid, CHECK (instance_env.id_belongs(id, instance_id)));
INSERT INTO coded_ids.users (instance_id) VALUES ('c0000000-0000-4000-8000-000000063b50');

-- codes that collide: these two ids have one, and so have the two after them
SELECT instance_env.create_application('x', development_id => 'c0000000-0000-4000-8000-0000000806cb');
SELECT instance_env.create_application('x', production_id => 'c0000000-0000-4000-8000-0000000806cb');
SELECT instance_env.create_application('x', development_id => 'c0000000-0000-4000-8000-00000023836e',
	production_id => 'c0000000-0000-4000-8000-000000312938');
SELECT instance_env.adopt_application('x', production_id => 'c0000000-0000-4000-8000-0000001f8092');
\set VERBOSITY terse
INSERT INTO instance_env.instance (id, application, type, status, external_key)
VALUES ('c0000000-0000-4000-8000-0000000806cb', gen_random_uuid(), 'production', 'active', 'x');
\set VERBOSITY default

-- the log does not repeat what follows from the ids
SELECT jsonb_path_query_array(after, '$.instances[*].keyvalue().key ? (@ starts with "c")') FROM instance_env.event WHERE item = 'coded ids';

DROP TABLE coded_ids.users;
DROP SCHEMA coded_ids;
SELECT instance_env.drop_application('coded ids');
