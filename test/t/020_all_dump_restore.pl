# Dump and restore: whichever way a database travels, its guards, its registry and the
# memory of departed users travel along.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $tempdir = PostgreSQL::Test::Utils::tempdir;

# Runs statements one after the other, each in a transaction of its own, and compares the
# SQLSTATE of each with what is expected of it.
sub states_are
{
	my ($db, $name, @expected) = @_;
	my ($script, $wanted, $got) = ('', '', '');

	while (my ($state, $sql) = splice(@expected, 0, 2))
	{
		$script .= "$sql;\n\\echo :SQLSTATE\n";
		$wanted .= "$state $sql\n";
	}
	$node->psql($db, $script, stdout => \my $stdout, on_error_stop => 0);
	my @got = split /\n/, $stdout;
	$got .= (shift(@got) // 'none') . " $1\n" while $wanted =~ /^\S+ (.*)$/mg;
	is($got . join("\n", @got), $wanted, $name);
	return;
}

# A database with every kind of guard.  app.users sorts before instance_env, public."user"
# after it, in the order in which pg_dump writes tables.
sub create_source
{
	my ($db, @schemas) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql(
		$db, q{
		CREATE EXTENSION instance_env;
		SELECT instance_env.create_application('shop', 'pro',
			development_id => 'dddddddd-0000-0000-0000-000000000001',
			production_id => 'eeeeeeee-0000-0000-0000-000000000001',
			development_key => 'dev', production_key => 'prod');
		SELECT instance_env.create_application('bank',
			development_id => 'dddddddd-0000-0000-0000-000000000002',
			production_id => 'eeeeeeee-0000-0000-0000-000000000002',
			development_key => 'dev2', production_key => 'prod2');
		SELECT instance_env.create_application('idle',
			development_id => 'dddddddd-0000-0000-0000-000000000003',
			development_key => 'dev3');
		SELECT instance_env.set_user_cap('dddddddd-0000-0000-0000-000000000001', 3);
		SELECT instance_env.suspend_instance('dddddddd-0000-0000-0000-000000000003');
		SELECT instance_env.associate_domain('eeeeeeee-0000-0000-0000-000000000001', 'shop.example.org');
		SELECT instance_env.verify_domain('eeeeeeee-0000-0000-0000-000000000001', 'shop.example.org');
		SELECT instance_env.promote(instance_env.application_id('shop'));
		SELECT instance_env.set_social_connection('dddddddd-0000-0000-0000-000000000001', 'google');
		SELECT instance_env.set_social_connection('eeeeeeee-0000-0000-0000-000000000001', 'google', 'id', 'vault:google', '{openid}');
		SELECT instance_env.enable_feature('eeeeeeee-0000-0000-0000-000000000001', 'passkeys');
		INSERT INTO instance_env.feature (name, plan, settings, description) VALUES ('our_own', 'pro', '{own.quoted,sms.sender}', 'a feature of our own');
		SELECT instance_env.enable_feature('dddddddd-0000-0000-0000-000000000001', 'our_own', 2);
		INSERT INTO instance_env.setting_section VALUES ('own', true, 'a section of our own');
		SELECT instance_env.set_setting('dddddddd-0000-0000-0000-000000000001', 'own.quoted', '"it''s \"quoted\""');
		SELECT instance_env.set_setting('dddddddd-0000-0000-0000-000000000001', 'session.lifetime', '1');
		SELECT instance_env.set_setting('dddddddd-0000-0000-0000-000000000001', 'session.lifetime', 'null');
		SELECT instance_env.associate_domain('eeeeeeee-0000-0000-0000-000000000001', 'shop.example.net', false);
		SELECT instance_env.set_policy('eeeeeeee-0000-0000-0000-000000000001', 'rate_limit', '7');
		SELECT instance_env.set_allowed_origins('eeeeeeee-0000-0000-0000-000000000001', '{https://app.example.net,https://*.preview.example.net}');
		SELECT instance_env.add_redirect_url('dddddddd-0000-0000-0000-000000000001', 'com.example.app://callback');
		SELECT instance_env.create_secret_key('dddddddd-0000-0000-0000-000000000001');
		INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
		VALUES ('production', 'our_own', '[1]', true, 'a policy of our own');
		SELECT instance_env.set_policy('eeeeeeee-0000-0000-0000-000000000001', 'sms_per_month', '1');
		SELECT instance_env.consume_message('eeeeeeee-0000-0000-0000-000000000001', 'sms', '+491');
		INSERT INTO instance_env.social_provider (name, offers_shared) VALUES ('our_own', true);
		SELECT instance_env.add_hosting_suffix('sites.example.com', true, 'our own');
	});

	if (grep { $_ eq 'app' } @schemas)
	{
		# Rows that the extension brings, changed.
		$node->safe_psql(
			$db, q{
			UPDATE instance_env.policy_default SET value = '1234' WHERE instance_type = 'production' AND name = 'rate_limit';
			UPDATE instance_env.policy_default SET value = '400' WHERE instance_type = 'development' AND name = 'user_cap';
			UPDATE instance_env.social_provider SET offers_shared = false WHERE name = 'xero';
			UPDATE instance_env.feature SET plan = 'free' WHERE name = 'allowlist';
			UPDATE instance_env.setting_section SET cloned = false WHERE name = 'branding';
			SELECT instance_env.add_hosting_suffix('render.com', false)});

		# A table that has had another name since it was guarded, and one that refers to it.
		$node->safe_psql(
			$db, q{
			CREATE SCHEMA app;
			CREATE TABLE app.accounts (instance_id text, id text, PRIMARY KEY (instance_id, id));
			SELECT instance_env.guard('app.accounts', user_key => 'id');
			INSERT INTO app.accounts VALUES ('dev', 'a'), ('dev', 'gone'), ('dev', 'b'), ('prod', 'p');
			DELETE FROM app.accounts WHERE id = 'gone';
			ALTER TABLE app.accounts RENAME TO users;
			INSERT INTO app.users VALUES ('dev', 'c');
			CREATE TABLE app.visits (instance_id text, user_id text, note text);
			SELECT instance_env.guard('app.visits', user_key => 'user_id', counted => false, user_table => 'app.users');
			INSERT INTO app.visits VALUES ('dev', 'a', 'first'), ('dev', 'a', 'second'), ('prod', 'p', '');
		});
	}
	if (grep { $_ eq 'public' } @schemas)
	{
		# A partitioned table with names that must be quoted, and more production users than
		# any development instance may hold.
		$node->safe_psql(
			$db, q{
			CREATE TABLE "user" ("instanceId" uuid, id text, "from" text, PRIMARY KEY ("instanceId", id, "from"))
				PARTITION BY LIST ("from");
			CREATE TABLE "user here" PARTITION OF "user" FOR VALUES IN ('here');
			CREATE TABLE "user there" PARTITION OF "user" DEFAULT;
			SELECT instance_env.guard('"user"', 'instanceId', 'id');
			INSERT INTO "user"
			SELECT 'dddddddd-0000-0000-0000-000000000001', x, CASE WHEN x < 'b' THEN 'here' ELSE 'there' END
			FROM unnest('{a, b, gone}'::text[]) AS x;
			DELETE FROM "user" WHERE id = 'gone';
			INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000001', 'c', 'here');
			INSERT INTO "user"
			SELECT 'eeeeeeee-0000-0000-0000-000000000001', 'p' || x, 'here' FROM generate_series(1, 600) AS x;
		});
	}
	return;
}

# Settings and the audit log came along, nothing was recorded anew (but where guard() has
# repaired what --disable-triggers left), and the log's numbers go on.
sub check_log
{
	my ($db, $name, $from) = @_;
	my $settings = q{SELECT instance, config_version, name, value, setting(instance, name)
		FROM setting s JOIN instance i ON i.id = instance ORDER BY 1, 3};
	my $last = $node->safe_psql($from, 'SELECT max(id) FROM instance_env.event');
	my $log = "SELECT * FROM event WHERE id <= $last ORDER BY id";

	is( $node->safe_psql($db, "SET search_path = instance_env; $settings"),
		$node->safe_psql($from, "SET search_path = instance_env; $settings"),
		"$name: the settings are the same");
	is( $node->safe_psql($db, "SET search_path = instance_env; $log"),
		$node->safe_psql($from, "SET search_path = instance_env; $log"),
		"$name: the audit log is the same");
	is( $node->safe_psql($db, 'SELECT * FROM instance_env.promotion ORDER BY id'),
		$node->safe_psql($from, 'SELECT * FROM instance_env.promotion ORDER BY id'),
		"$name: the history of promotions is the same");
	is( $node->safe_psql($db, 'SELECT nextval($$instance_env.promotion_id_seq$$) > max(id) FROM instance_env.promotion'),
		't', "$name: and goes on");
	is( $node->safe_psql(
			$db, qq{
			SELECT count(*) FROM instance_env.event WHERE id > $last AND action <> 'guard';
			SELECT instance_env.suspend_instance('dddddddd-0000-0000-0000-000000000002');
			SELECT instance_env.resume_instance('dddddddd-0000-0000-0000-000000000002');
			SELECT count(*) FROM instance_env.event WHERE id > $last AND action <> 'guard'}),
		"0\n\n\n2",
		"$name: the audit log goes on");
	return;
}

# All rows of the registry, but for the log, to which guard() may have added.
sub registry
{
	my ($db) = @_;

	return $node->safe_psql(
		$db, q{
		SELECT format('SELECT %L, t::text FROM %s t ORDER BY t::text COLLATE "C"', c.oid::regclass, c.oid::regclass)
		FROM pg_extension e, pg_class c
		WHERE e.extname = 'instance_env' AND c.relkind = 'r' AND c.relnamespace = 'instance_env'::regnamespace
			AND c.relname <> 'event' ORDER BY c.relname \gexec});
}

# What must hold in a restored database.  Changes it.
sub check
{
	my ($db, $name, @schemas) = @_;

	is(registry($db), registry('source_' . join('_', @schemas)), "$name: every table of the registry is the same");

	is( $node->safe_psql(
			$db, 'SELECT count(*), bool_and(whole) FROM instance_env.guards'),
		(@schemas == 2 ? 3 : $schemas[0] eq 'app' ? 2 : 1) . '|t',
		"$name: every guard is whole");
	is( $node->safe_psql(
			$db, q{
			SELECT application, type, status, plan, user_cap, domain, domain_verified_at IS NOT NULL, external_key
			FROM instance_env.instances ORDER BY instance_id
			LIMIT 5}),
		$node->safe_psql(
			"source_" . join('_', @schemas), q{
			SELECT application, type, status, plan, user_cap, domain, domain_verified_at IS NOT NULL, external_key
			FROM instance_env.instances ORDER BY instance_id
			LIMIT 5}),
		"$name: the registry is the same");
	is( $node->safe_psql(
			$db, q{
			SELECT type, provider, source, client_id, scopes FROM instance_env.social_connections ORDER BY type;
			SELECT type, feature, quantity, needed_plan FROM instance_env.instance_features ORDER BY type, feature}),
		"development|google|shared||\nproduction|google|own|id|{openid}\n"
		  . "development|our_own|2|pro\nproduction|passkeys|1|pro\nproduction|satellite_domains|1|pro",
		"$name: social connections and features are the same");
	is( $node->safe_psql(
			$db, q{
			SELECT name, root FROM instance_env.domain ORDER BY name;
			SELECT name, hosting, description FROM instance_env.hosting_suffix WHERE NOT builtin OR changed ORDER BY name}),
		"shop.example.net|example.net\nshop.example.org|example.org\n"
		  . ((grep { $_ eq 'app' } @schemas) ? "render.com|f|a hosting provider's\n" : '')
		  . 'sites.example.com|t|our own',
		"$name: domains and suffixes are the same");
	states_are(
		$db,
		"$name: credentials in production",
		'23I05' => q{INSERT INTO instance_env.social_connection VALUES ('eeeeeeee-0000-0000-0000-000000000001', 'x', 'development', 'shared')},
		'55000' => q{UPDATE instance_env.instance SET type = 'production' WHERE type = 'development'});
	states_are(
		$db,
		"$name: messages that have been sent",
		'55I04' => q{SELECT instance_env.consume_message('eeeeeeee-0000-0000-0000-000000000001', 'sms', '+491')});
	check_log($db, $name, 'source_' . join('_', @schemas));

	if (grep { $_ eq 'app' } @schemas)
	{
		states_are(
			$db,
			"$name: app.users",
			# the cap
			'23I01' => q{INSERT INTO app.users VALUES ('dev', 'd')},
			'00000' => q{INSERT INTO app.users VALUES ('dev', 'a') ON CONFLICT DO NOTHING},
			'00000' => q{INSERT INTO app.users SELECT 'prod', 'q' || x FROM generate_series(1, 600) AS x},
			# the registry
			'23I03' => q{INSERT INTO app.users VALUES ('nowhere', 'x')},
			'23I04' => q{INSERT INTO app.users VALUES ('prod2', 'x')},
			'23I04' => q{INSERT INTO app.users VALUES ('dev3', 'x')},
			'23502' => q{INSERT INTO app.users VALUES (NULL, 'x')},
			# users live where they live
			'23I02' => q{UPDATE app.users SET instance_id = 'dev2' WHERE id = 'b'},
			'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'a')},
			'23I02' => q{INSERT INTO app.users VALUES ('prod', 'a')},
			# or have lived
			'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'gone')},
			'23I02' => q{INSERT INTO app.users VALUES ('prod', 'gone')},
			# what refers to them follows
			'23503' => q{INSERT INTO app.visits VALUES ('dev2', 'a', 'other instance')},
			'23I02' => q{UPDATE app.visits SET instance_id = 'dev2', user_id = NULL WHERE user_id = 'a'},
			'00000' => q{INSERT INTO app.visits VALUES ('dev', 'b', 'third')},
			# further departures are remembered, too, and free their seats
			'00000' => q{DELETE FROM app.users WHERE id = 'c'},
			'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'c')},
			'00000' => q{INSERT INTO app.users VALUES ('dev', 'gone')},
			'23I01' => q{INSERT INTO app.users VALUES ('dev', 'c')},
			'55I05' => q{TRUNCATE app.users CASCADE},
			'00000' => q{SET LOCAL instance_env.allow_destructive = on\; TRUNCATE app.users CASCADE},
			'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'a')},
			'00000' => q{INSERT INTO app.users VALUES ('dev', 'a'), ('dev', 'b'), ('dev', 'c')},
			'23I01' => q{INSERT INTO app.users VALUES ('dev', 'd')});
	}
	if (grep { $_ eq 'public' } @schemas)
	{
		my $dev = q{'dddddddd-0000-0000-0000-000000000001'};
		my $dev2 = q{'dddddddd-0000-0000-0000-000000000002'};
		my $prod = q{'eeeeeeee-0000-0000-0000-000000000001'};

		states_are(
			$db,
			qq{$name: public."user"},
			'23I01' => qq{INSERT INTO "user" VALUES ($dev, 'd', 'here')},
			'23I01' => qq{INSERT INTO "user there" VALUES ($dev, 'd', 'there')},
			'00000' => qq{UPDATE "user" SET "from" = 'there' WHERE id = 'a'},
			'00000' => qq{INSERT INTO "user" VALUES ($prod, 'q', 'here')},
			'23I03' => qq{INSERT INTO "user" VALUES ('00000000-0000-0000-0000-000000000000', 'x', 'here')},
			'23I02' => qq{UPDATE "user" SET "instanceId" = $dev2 WHERE id = 'a'},
			'23I02' => qq{UPDATE "user" SET "instanceId" = $dev2, "from" = 'here' WHERE id = 'a'},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'a', 'here')},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'gone', 'here')},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'p600', 'there')},
			'00000' => qq{DELETE FROM "user there" WHERE id = 'b'},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'b', 'here')},
			'00000' => qq{INSERT INTO "user" VALUES ($dev, 'd', 'here')},
			'23I01' => qq{INSERT INTO "user" VALUES ($dev, 'e', 'here')},
			'00000' => qq{TRUNCATE "user there"},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'a', 'here')},
			'00000' => qq{INSERT INTO "user" VALUES ($dev, 'e', 'here')},
			'23I01' => qq{INSERT INTO "user" VALUES ($dev, 'f', 'here')},
			'55I05' => qq{TRUNCATE "user"},
			'00000' => q{SET LOCAL instance_env.allow_destructive = on\; TRUNCATE "user"},
			'23I02' => qq{INSERT INTO "user" VALUES ($dev2, 'p600', 'here')},
			'00000' => qq{CREATE TABLE "user later" PARTITION OF "user" FOR VALUES IN ('later')},
			'23I03' => qq{INSERT INTO "user" VALUES ('00000000-0000-0000-0000-000000000000', 'x', 'later')});
	}
	return;
}

# An empty database to restore into; the one before it is no longer needed.
my $copies = 0;
my $copy = 'twin';

sub next_copy
{
	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $copy");
	$copy = 'copy' . ++$copies;
	$node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
	return $copy;
}

sub dump_ok
{
	my ($db, $file, @options) = @_;
	return $node->command_ok(
		[ 'pg_dump', '--file' => "$tempdir/$file", @options, $db ],
		"pg_dump @options");
}

sub restore_ok
{
	my ($db, $file, @options) = @_;
	return $node->command_ok(
		[ 'pg_restore', '--exit-on-error', '--dbname' => $db, @options, "$tempdir/$file" ],
		"pg_restore @options");
}

sub psql_ok
{
	my ($db, $file) = @_;
	return $node->command_ok(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$tempdir/$file", '-o', "$tempdir/psql.out", $db ],
		'psql reads the dump');
}

my @both = ('app', 'public');
my $source = 'source_app_public';
create_source($source, @both);
create_source('source_public', 'public');

# The checks hold in the source itself, or they would say little about a copy.  A template
# copies the files.
$node->safe_psql('postgres', "CREATE DATABASE twin TEMPLATE $source");
check('twin', 'template', @both);

# Everything at once.

dump_ok($source, 'plain.sql');
psql_ok(next_copy(), 'plain.sql');
check($copy, 'plain', @both);

dump_ok($source, 'inserts.sql', '--inserts', '--rows-per-insert=50', '--load-via-partition-root');
psql_ok(next_copy(), 'inserts.sql');
check($copy, 'plain, INSERT', @both);

dump_ok($source, 'custom.dump', '--format=custom');
restore_ok(next_copy(), 'custom.dump');
check($copy, 'custom', @both);

# With --jobs, tables are loaded in no particular order: the archive knows of none between
# those that an extension made.  So any order must do, the worst as well.
my ($list) = run_command([ 'pg_restore', '--list', "$tempdir/custom.dump" ]);
my @data = $list =~ /^.* TABLE DATA .*$/mg;
$list =~ s/^.* TABLE DATA .*$/pop @data/gme;
append_to_file("$tempdir/reversed.list", $list);
restore_ok(next_copy(), 'custom.dump', "--use-list=$tempdir/reversed.list");
check($copy, 'data in reverse', @both);

restore_ok(next_copy(), 'custom.dump', '--jobs=4');
check($copy, 'custom, in parallel', @both);

restore_ok(next_copy(), 'custom.dump', '--single-transaction');
check($copy, 'single transaction', @both);

# A copy of a copy: what a restored database has learnt travels on.
next_copy();
restore_ok($copy, 'custom.dump');
$node->safe_psql($copy, q{DELETE FROM app.users WHERE id = 'b'; INSERT INTO app.users VALUES ('dev', 'late')});
dump_ok($copy, 'second.dump', '--format=custom');
restore_ok(next_copy(), 'second.dump');
states_are(
	$copy,
	'copy of a copy',
	'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'gone')},
	'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'b')},
	'23I02' => q{INSERT INTO app.users VALUES ('dev2', 'late')},
	'23I01' => q{INSERT INTO app.users VALUES ('dev', 'x')});

# Section by section.

next_copy();
restore_ok($copy, 'custom.dump', "--section=$_") foreach qw(pre-data data post-data);
check($copy, 'sections of one archive', @both);

next_copy();
restore_ok($copy, 'custom.dump', '--section=pre-data');
restore_ok($copy, 'custom.dump', '--section=data', '--schema=instance_env');
restore_ok($copy, 'custom.dump', '--section=data', '--exclude-schema=instance_env', '--jobs=3');
restore_ok($copy, 'custom.dump', '--section=post-data', '--jobs=3');
check($copy, 'sections, the registry first, then in parallel', @both);

next_copy();
foreach my $section (qw(pre-data data post-data))
{
	dump_ok($source, "$section.sql", "--section=$section");
	psql_ok($copy, "$section.sql");
}
check($copy, 'sections dumped one by one', @both);

# Data only, into a database that has the schema: the triggers are there and do their work
# on every row.  Where the users' schema comes after instance_env in the alphabet, the
# registry is loaded first, and all is well.

dump_ok('source_public', 'schema.dump', '--format=custom', '--schema-only');
dump_ok('source_public', 'data.dump', '--format=custom', '--data-only');
dump_ok('source_public', 'data.sql', '--data-only');

restore_ok(next_copy(), 'schema.dump');
is($node->safe_psql($copy, 'SELECT count(*) FROM instance_env.application'),
	'0', 'a schema without data has no applications');
restore_ok($copy, 'data.dump');
check($copy, 'data only', 'public');

restore_ok(next_copy(), 'schema.dump');
psql_ok($copy, 'data.sql');
check($copy, 'data only, plain', 'public');

# Where it comes before instance_env, no instance is known yet.  That must fail cleanly,
# and leave nothing behind that keeps another way from working.

dump_ok($source, 'schema.dump', '--format=custom', '--schema-only');
dump_ok($source, 'data.dump', '--format=custom', '--data-only');

restore_ok(next_copy(), 'schema.dump');
$node->command_checks_all(
	[ 'pg_restore', '--single-transaction', '--dbname' => $copy, "$tempdir/data.dump" ],
	1,
	[qr/^$/],
	[ qr/ERROR:.*instance.*"dev" does not exist/, qr/HINT:/ ],
	'users before the registry: refused with a hint');
is( $node->safe_psql($copy, 'SELECT count(*) FROM app.users') . '|'
	  . $node->safe_psql($copy, 'SELECT count(*) FROM instance_env.application'),
	'0|0',
	'users before the registry: nothing is left behind');

# the registry first
restore_ok($copy, 'data.dump', '--schema=instance_env');
restore_ok($copy, 'data.dump', '--exclude-schema=instance_env');
check($copy, 'data only, the registry first', @both);

# the same from the dump's side
dump_ok($source, 'registry.sql', '--data-only', '--table=instance_env.*');
dump_ok($source, 'users.sql', '--data-only', '--exclude-schema=instance_env');
restore_ok(next_copy(), 'schema.dump');
psql_ok($copy, $_) foreach qw(registry.sql users.sql);
check($copy, 'data only, the registry dumped first', @both);

# Or without the triggers.  What enables them again makes all of them ordinary triggers,
# and guard() puts that right.  (Further down the guards do without.)  The registry's own
# are needed, for rows that the extension brings have been changed.
restore_ok(next_copy(), 'schema.dump');
restore_ok($copy, 'data.dump', '--schema=instance_env');
restore_ok($copy, 'data.dump', '--exclude-schema=instance_env', '--disable-triggers');
$node->safe_psql(
	$copy, q{
	SELECT instance_env.guard('app.users', user_key => 'id');
	SELECT instance_env.guard('app.visits', user_key => 'user_id', counted => false, user_table => 'app.users');
	SELECT instance_env.guard('"user"', 'instanceId', 'id')});
check($copy, 'data only, triggers disabled', @both);

# What only a load without triggers can bring back: users of a suspended instance, and more
# users than the cap, since the cap was lowered later.  They stay, and no other joins them.
$node->safe_psql(
	'source_public', q{
	INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000002', 'z', 'here');
	SELECT instance_env.suspend_instance('dddddddd-0000-0000-0000-000000000002');
	SELECT instance_env.set_user_cap('dddddddd-0000-0000-0000-000000000001', 1)});
dump_ok('source_public', 'schema.dump', '--format=custom', '--schema-only');
dump_ok('source_public', 'data.dump', '--format=custom', '--data-only');
dump_ok('source_public', 'custom.dump', '--format=custom');
restore_ok(next_copy(), 'schema.dump');
$node->command_fails(
	[ 'pg_restore', '--single-transaction', '--dbname' => $copy, "$tempdir/data.dump" ],
	'data only: users beyond the cap are refused');
restore_ok($copy, 'data.dump', '--disable-triggers');

sub check_beyond
{
	my ($db, $name) = @_;
	return states_are(
		$db,
		"$name: users beyond the cap and of a suspended instance",
		'23I01' => q{INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000001', 'd', 'here')},
		'23I04' => q{INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000002', 'y', 'here')},
		'00000' => q{DELETE FROM "user" WHERE id IN ('a', 'b')},
		'23I01' => q{INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000001', 'd', 'here')},
		'00000' => q{DELETE FROM "user" WHERE id = 'c'},
		'00000' => q{INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000001', 'd', 'here')},
		'23I01' => q{INSERT INTO "user" VALUES ('dddddddd-0000-0000-0000-000000000001', 'e', 'here')});
}
check_beyond($copy, 'data only, triggers disabled');

# a whole dump loads the data before the triggers are there
restore_ok(next_copy(), 'custom.dump');
check_beyond($copy, 'custom');

$node->stop;

done_testing();
