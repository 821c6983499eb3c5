-- What registry_functions.sql has made goes again, on whatever node.
\pset format unaligned
\pset tuples_only on
SET ROLE citus_admin;
SELECT instance_env.forbid_instance('citus_backend', instance_env.application_id('shop'));
SELECT instance_env.suspend_instance(instance_env.instance_id(name, 'production')) FROM unnest('{shop, live}'::text[]) AS name;
SELECT instance_env.drop_application('shop staging');
SELECT instance_env.drop_application(instance_env.application_id('shop'));
SELECT instance_env.drop_application('live');
RESET ROLE;
SELECT instance_env.revoke_access(role::regrole) FROM unnest('{citus_admin, citus_backend, citus_monitor, citus_guard}'::text[]) AS role;
SELECT count(*) FROM instance_env.application;
SELECT count(*) FROM instance_env.instance;
SELECT count(*) FROM instance_env.instance_allowance;
