-- What enter(), allow_instance() and forbid_instance() say
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT FROM instance_env.adopt_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.create_application('bank', development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002');
CREATE ROLE instance_env_regress_backend;
CREATE ROLE instance_env_regress_team;
SELECT FROM instance_env.grant_backend('instance_env_regress_backend');

-- nobody lets anybody in by itself
SET ROLE instance_env_regress_backend;
SELECT FROM instance_env.enter('d0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.enter('c0000000-0000-4000-8000-000000000001');
RESET ROLE;

-- allowed
SELECT FROM instance_env.allow_instance('instance_env_regress_backend', 'shop');
SELECT FROM instance_env.allow_instance('instance_env_regress_backend', type => 'development');
SELECT role, application, type FROM instance_env.instance_access ORDER BY application;
SET ROLE instance_env_regress_backend;
SELECT FROM instance_env.enter('d0000000-0000-4000-8000-000000000001');
SELECT instance_env.current_instance(), instance_env.current_instance_key();
SELECT FROM instance_env.enter('a0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.enter('a0000000-0000-4000-8000-000000000002');
SELECT FROM instance_env.enter('c0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.enter(NULL);
SET instance_env.current_instance = 'd0000000-0000-4000-8000-000000000001';
SELECT instance_env.current_instance();
SELECT FROM instance_env.leave();
SELECT FROM instance_env.allow_instance('instance_env_regress_backend');
RESET ROLE;
SELECT FROM instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.enter('a0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.enter('a0000000-0000-4000-8000-000000000002');
-- a banner of one's own
SELECT FROM instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"100 %s: shop, development"');
SELECT FROM instance_env.enter('d0000000-0000-4000-8000-000000000001');
SELECT FROM instance_env.leave();

-- forbidden
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', 'shop', 'production');
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', 'shop', 'development');
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', 'bank');
SELECT FROM instance_env.allow_instance('instance_env_regress_team');
SELECT FROM instance_env.allow_instance('instance_env_regress_team', 'shop', 'production');
GRANT instance_env_regress_team TO instance_env_regress_backend;
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend');
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', type => 'development');
SELECT role, application, type FROM instance_env.instance_access ORDER BY application;
-- a member that does not inherit, but may SET ROLE
REVOKE instance_env_regress_team FROM instance_env_regress_backend;
ALTER ROLE instance_env_regress_backend NOINHERIT;
GRANT instance_env_regress_team TO instance_env_regress_backend;
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', 'shop', 'production');
ALTER ROLE instance_env_regress_backend SUPERUSER;
SELECT FROM instance_env.forbid_instance('instance_env_regress_backend', 'bank');

-- what makes no sense
SELECT FROM instance_env.allow_instance('instance_env_regress_team', instance_env.application_id('shp'));
SELECT FROM instance_env.allow_instance('instance_env_regress_team', 'shp');
SELECT FROM instance_env.allow_instance('instance_env_regress_nobody', 'shop');
SELECT FROM instance_env.allow_instance('0');

SELECT FROM instance_env.revoke_access('instance_env_regress_team');
SELECT FROM instance_env.revoke_access('instance_env_regress_backend');
DROP ROLE instance_env_regress_backend, instance_env_regress_team;
SELECT FROM instance_env.drop_application('shop');
SELECT FROM instance_env.drop_application('bank');
