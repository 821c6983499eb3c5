-- Instance columns of each type: rows name their instance by its id or its external key.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(158);

CREATE SCHEMA app;
CREATE DOMAIN app.account AS bigint CHECK (VALUE <> 0);
SELECT instance_env.create_application('shop', 'pro', development_key => '7', production_key => '8') \gset
SELECT instance_env.create_application('blog', 'pro', development_key => '-7', production_key => '9') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset
-- none of these is how an integer is written
SELECT instance_env.create_application('zeros', development_key => '07', production_key => '+7');
SELECT instance_env.create_application('words', development_key => '7x', production_key => '0x7');
SELECT instance_env.create_application('large', development_key => '99999999999999999999', production_key => '-0');

CREATE FUNCTION pg_temp.check_type(type text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	parted boolean;
	what text;
BEGIN
	FOREACH parted IN ARRAY ARRAY[false, true] LOOP
		what := type || CASE WHEN parted THEN ', partitioned: ' ELSE ': ' END;
		EXECUTE format('CREATE TABLE app.users (id integer PRIMARY KEY, tenant %s, n integer DEFAULT 0)%s', type,
			CASE WHEN parted THEN ' PARTITION BY HASH (id)' END);
		IF parted THEN
			CREATE TABLE app.users0 PARTITION OF app.users FOR VALUES WITH (MODULUS 2, REMAINDER 0);
			CREATE TABLE app.users1 PARTITION OF app.users FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		END IF;
		PERFORM instance_env.guard('app.users', 'tenant');
		RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES (1, '6')$q$, '23I03', NULL, what || 'an unknown instance');
		RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES (1, NULL)$q$, '23502', NULL, what || 'no instance');
		RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES (1, '8')$q$, '23I04', NULL, what || 'an instance that is not active');
		INSERT INTO app.users VALUES (1, '7'), (2, '7');
		RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES (3, '7')$q$, '23I01', NULL, what || 'one too many');
		RETURN NEXT lives_ok($q$INSERT INTO app.users VALUES (4, '-7')$q$, what || 'another instance');
		RETURN NEXT throws_ok($q$UPDATE app.users SET tenant = '-7' WHERE id = 1$q$, '23I02', NULL, what || 'a user who moves');
		DELETE FROM app.users WHERE id = 1;
		RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES (1, '-7')$q$, '23I02', NULL, what || 'a user who left and returns elsewhere');
		RETURN NEXT lives_ok($q$INSERT INTO app.users VALUES (5, '7')$q$, what || 'the seat is free again');
		RETURN NEXT lives_ok($q$UPDATE app.users SET n = 1, id = id + 10 WHERE id <> 4$q$, what || 'other columns may change');
		RETURN NEXT is((SELECT array_agg(users ORDER BY users) FROM instance_env.usage WHERE NOT estimated), '{0,0,0,1,2}',
			what || 'usage');
		EXECUTE $q$CALL instance_env.reset_development(instance_env.instance_id('shop', 'development'))$q$;
		RETURN NEXT is((SELECT array_agg(tenant::text) FROM app.users), '{-7}', what || 'reset_development()');
		RETURN NEXT throws_ok($q$SELECT instance_env.drop_application(instance_env.application_id('blog'))$q$, '55000', NULL,
			what || 'drop_application() finds the row');
		RETURN NEXT lives_ok($q$SELECT instance_env.drop_application(instance_env.application_id('zeros'));
			SELECT instance_env.create_application('zeros', development_key => '07', production_key => '+7')$q$,
			what || 'and none where none can be');
		DROP TABLE app.users;
	END LOOP;
END $$;
SELECT pg_temp.check_type(type) FROM unnest(ARRAY['text', 'varchar(20)', 'char(20)', 'smallint', 'bigint']) type;

-- what is not written as an integer names nothing
CREATE TABLE app.users (id integer PRIMARY KEY, tenant integer);
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
INSERT INTO app.users VALUES (1, 07), (2, '+7');
SELECT is((SELECT users FROM instance_env.usage WHERE NOT estimated AND application = 'shop'), 2::bigint, 'the same number');
SELECT is((SELECT sum(users) FROM instance_env.usage WHERE NOT estimated AND application <> 'shop'), 0::numeric, 'names no other instance');
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 2147483647)$$, '23I03', NULL, 'nor does the largest');
DROP TABLE app.users;

-- char(n): blanks at the end mean nothing
CREATE TABLE app.users (id integer PRIMARY KEY, tenant char(5));
SELECT instance_env.create_application('blank', development_key => 'b ') \gset
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
INSERT INTO app.users VALUES (1, '7'), (2, '7   ');
SELECT throws_ok($$INSERT INTO app.users VALUES (3, '7  ')$$, '23I01', NULL, 'char(n): the cap counts both');
SELECT lives_ok($$UPDATE app.users SET tenant = '7 '$$, 'char(n): that is no move');
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 'b ')$$, '23I03', NULL, 'char(n): a key that ends with a blank names nothing');
DROP TABLE app.users;

-- a domain
CREATE TABLE app.users (id integer PRIMARY KEY, tenant app.account);
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
INSERT INTO app.users VALUES (1, 7), (2, 7);
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 7)$$, '23I01', NULL, 'a domain over bigint');
DROP TABLE app.users;

-- several columns, or an expression: a generated column
SELECT instance_env.create_application('pair', development_key => 'app/dev', production_key => 'app/prod') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('pair', 'development'), 2) \gset
CREATE TABLE app.users
(
	app_id varchar(64), tenant_id varchar(64), user_id char(36),
	tenant text GENERATED ALWAYS AS (app_id || '/' || tenant_id) STORED,
	PRIMARY KEY (app_id, tenant_id, user_id)
);
CREATE TABLE app.parted (LIKE app.users INCLUDING ALL) PARTITION BY HASH (tenant_id);
CREATE TABLE app.parted0 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.parted1 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE FUNCTION pg_temp.check_generated(t regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.guard(t, 'tenant', 'user_id');
	RETURN NEXT lives_ok(format($q$INSERT INTO %s VALUES ('app', 'dev', 'u1'), ('app', 'dev', 'u2')$q$, t), t || ': admitted');
	RETURN NEXT throws_ok(format($q$INSERT INTO %s VALUES ('app', 'dev', 'u3')$q$, t), '23I01', NULL, t || ': the cap');
	RETURN NEXT throws_ok(format($q$INSERT INTO %s VALUES ('app', 'nowhere', 'u3')$q$, t), '23I03', NULL, t || ': unknown');
	RETURN NEXT throws_ok(format($q$INSERT INTO %s VALUES ('app', NULL, 'u3')$q$, t), '23502', NULL, t || ': null');
	RETURN NEXT throws_ok(format($q$UPDATE %s SET tenant_id = 'prod' WHERE user_id = 'u1'$q$, t), '23I02', NULL, t || ': a move');
	RETURN NEXT throws_ok(format($q$INSERT INTO %s VALUES ('app', 'dev', 'u1') ON CONFLICT (app_id, tenant_id, user_id)
		DO UPDATE SET app_id = 'other'$q$, t), '23I02', NULL, t || ': a move by ON CONFLICT');
	EXECUTE format('DELETE FROM %s WHERE user_id = %L', t, 'u1');
	RETURN NEXT lives_ok(format($q$INSERT INTO %s VALUES ('app', 'dev', 'u4')$q$, t), t || ': the seat of a user who left');
	RETURN NEXT is((SELECT whole FROM instance_env.guards WHERE relation = t), true, t || ': the guard is whole');
	EXECUTE $q$CALL instance_env.reset_development(instance_env.instance_id('pair', 'development'))$q$;
	RETURN NEXT lives_ok(format($q$INSERT INTO %s VALUES ('app', 'dev', 'u2')$q$, t), t || ': after a reset');
	PERFORM instance_env.unguard(t);
END $$;
SELECT pg_temp.check_generated(t) FROM unnest(ARRAY['app.users', 'app.parted']::regclass[]) t;
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
SELECT is_empty($$SELECT FROM instance_env.guards WHERE user_key IS NOT NULL$$,
	'what the instance is computed from is no part of the user key');

-- another expression would move every user
SELECT current_setting('server_version_num')::integer >= 170000 AS can_set_expression \gset
\if :can_set_expression
SELECT throws_ok($$ALTER TABLE app.users ALTER tenant SET EXPRESSION AS ('app/prod')$$, '55000', NULL, 'SET EXPRESSION');
SELECT throws_ok($$ALTER TABLE app.parted ALTER tenant SET EXPRESSION AS ('app/prod');
	SELECT instance_env.guard('app.parted', 'tenant', '')$$, '23I04', NULL, 'which an unguarded table may do first');
\else
SELECT throws_ok($$ALTER TABLE app.users ALTER tenant SET EXPRESSION AS ('app/prod')$$, '42601', NULL, 'SET EXPRESSION');
SELECT pass('cannot be tried here');
\endif

SELECT * FROM finish();
ROLLBACK;
