--
-- Domains and promotion: what is said
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('promotion test', 'pro',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
SELECT production_id FROM instance_env.create_application('promotion other',
	production_id => 'a0000000-0000-4000-8000-000000000002');

-- Names: a reason for each that is refused.
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', '');
\echo :SQLSTATE
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'localhost');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'Shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'https://shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com:8080');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com/path');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop..example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com.');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', '-shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop-.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'my_shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shöp.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.c');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', '10.0.0.1');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', repeat('a', 64) || '.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', repeat('a.', 130) || 'com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.vercel.app');

-- whose domain
SELECT instance_env.associate_domain('d0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.associate_domain('00000000-0000-0000-0000-000000000000', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', NULL);
SELECT instance_env.associate_domain(NULL, 'shop.example.com');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT * FROM instance_env.promote(instance_env.application_id('promotion test'));
\echo :SQLSTATE
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'second.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'satellite.example.com', false);
SELECT name, is_primary, verified_at IS NOT NULL AS verified FROM instance_env.domain WHERE instance::text LIKE 'a0000000-%' ORDER BY name;

-- promote()
SELECT * FROM instance_env.promote(NULL);
SELECT * FROM instance_env.promote('00000000-0000-0000-0000-000000000000');
SELECT * FROM instance_env.promote(instance_env.application_id('promotion test'));
SELECT * FROM instance_env.promote(instance_env.application_id('promotion other'));
SELECT * FROM instance_env.promote(instance_env.application_id('promotion other'), 'not valid');
SELECT * FROM instance_env.promote(instance_env.application_id('promotion other'), 'shop.example.com');
SELECT * FROM instance_env.promote(instance_env.application_id('promotion other'), 'other.example.com');
SELECT name, is_primary, verified_at IS NOT NULL AS verified FROM instance_env.domain WHERE instance::text LIKE 'a0000000-%' ORDER BY name;
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', d.name) FROM instance_env.domain d
WHERE is_primary AND instance = 'a0000000-0000-4000-8000-000000000001';
SELECT step, item, before, after - 'verified_at' AS after
FROM instance_env.promote(instance_env.application_id('promotion test'));
SELECT * FROM instance_env.promote(instance_env.application_id('promotion test'));
SELECT application, type, status, domain FROM instance_env.instances WHERE application LIKE 'promotion %' ORDER BY 1, 2;

SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT * FROM instance_env.promote(instance_env.application_id('promotion test'));

-- A dry run, also one that is refused, leaves the session as it was.
SELECT * FROM instance_env.promote(instance_env.application_id('promotion other'), dry_run => true);
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'other.example.org');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'other.example.org');
SELECT step, item, before, after FROM instance_env.promote(instance_env.application_id('promotion other'), dry_run => true);
SELECT status FROM instance_env.instances WHERE application = 'promotion other' AND type = 'production';
SELECT count(*) FROM instance_env.promotions WHERE application = 'promotion other';

-- rollback_promotion()
SELECT * FROM instance_env.rollback_promotion(NULL);
SELECT * FROM instance_env.rollback_promotion('00000000-0000-0000-0000-000000000000');
SELECT * FROM instance_env.rollback_promotion(instance_env.application_id('promotion other'));
SELECT step, item FROM instance_env.promote(instance_env.application_id('promotion other'));
CREATE TABLE promotion_users (id integer PRIMARY KEY, instance_id uuid);
SELECT FROM instance_env.guard('promotion_users');
INSERT INTO promotion_users VALUES (1, 'a0000000-0000-4000-8000-000000000002'), (2, 'a0000000-0000-4000-8000-000000000002');
SELECT * FROM instance_env.rollback_promotion(instance_env.application_id('promotion other'));
\echo :SQLSTATE
BEGIN;
SET LOCAL instance_env.allow_destructive = on;
DROP TABLE promotion_users;
COMMIT;
SELECT step, item, before, after FROM instance_env.rollback_promotion(instance_env.application_id('promotion other'));
SELECT * FROM instance_env.rollback_promotion(instance_env.application_id('promotion other'));
SELECT application, changes, rolled_back_at IS NOT NULL AS rolled_back FROM instance_env.promotions
WHERE application LIKE 'promotion %' ORDER BY id;

-- staging environments
SELECT instance_env.instance_id('promotion test', 'staging');
\echo :SQLSTATE
SELECT instance_env.instance_id('promotion test', 'preview');
SELECT instance_env.instance_id('promotion test', repeat('Ω', 100));
SELECT instance_env.instance_id('promotion test', 'staging'::instance_env.instance_type);
SELECT instance_env.instance_id('promotion test', 'production');
SELECT FROM instance_env.create_staging_application(instance_env.application_id('promotion test'), 'second.example.com');
SELECT FROM instance_env.create_staging_application(instance_env.application_id('promotion test'), 'staging..second.example.com');
SELECT FROM instance_env.create_staging_application(instance_env.application_id('promotion test'), NULL);
SELECT FROM instance_env.create_staging_application(instance_env.application_id('promotion test'), 'staging.second.example.com');
SELECT FROM instance_env.create_staging_application(instance_env.application_id('promotion test'), 'staging2.second.example.com');
SELECT i.application, i.type, i.status, i.domain, o.name AS staging_of
FROM instance_env.instances i JOIN instance_env.application a ON a.id = i.application_id
JOIN instance_env.application o ON o.id = a.staging_of WHERE o.name = 'promotion test' ORDER BY i.type;

SELECT instance_env.drop_application(instance_env.application_id(n)) FROM unnest(ARRAY['promotion test', 'promotion other', 'promotion test staging']) n;
