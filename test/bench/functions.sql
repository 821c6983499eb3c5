-- What a backend is asked on every request: a thousand requests, of both instances of the
-- first application, on hosts below its root and elsewhere.

UPDATE instance_env.application SET plan = 'enterprise' WHERE name = 'application 1';
SELECT instance_env.associate_domain('e0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.create_secret_key(('{d0000000-0000-4000-8000-000000000001,e0000000-0000-4000-8000-000000000001}'::uuid[])[1 + n % 2]) AS key
	INTO TEMP TABLE made FROM generate_series(1, 10) n;

CREATE TABLE request AS
SELECT instance_env.application_id('application 1') AS application,
	('{d0000000-0000-4000-8000-000000000001,e0000000-0000-4000-8000-000000000001}'::uuid[])[1 + n % 2] AS instance,
	(ARRAY['pr-' || n || '.example.com', 'shop.example.com', 'pr-' || n || '.vercel.app', 'localhost:3000',
		'branch-' || n || '.shop.example.com:443'])[1 + n % 5] AS host,
	(ARRAY(SELECT key FROM made))[1 + n % 10] AS key,
	'application ' || 1 + n % 2 AS name, (ARRAY['development', 'production'])[1 + n % 2] AS type
FROM generate_series(1, 1000) n;
VACUUM ANALYZE request;
