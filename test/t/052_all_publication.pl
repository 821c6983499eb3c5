# Publications of all tables, those of the extension among them: the publisher's functions
# still work, and a subscriber that has the extension gets what the publisher has, be it the
# rows that both have from the start.  The statements are those of the Reference.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
my ($dev2, $prod2) = ('d0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002');

my ($section) = slurp_file('doc/reference.md') =~ /^## Publishing and subscribing\n(.*?)(?:^## |\z)/ms;
my @commands = $section =~ /^```sh\n(.*?)^```$/msg;
my @statements = $section =~ /^```sql\n(.*?)^```$/msg;
is(scalar @commands, 2, 'the Reference has the commands to subscribe');
my ($all, $registry) = map { /^(CREATE PUBLICATION .*?;)$/ms } @statements;
like($all,      qr/FOR ALL TABLES/,       'and the statements to publish all tables');
like($registry, qr/FOR TABLES IN SCHEMA/, 'and the registry');
my ($numbers) = grep { /promotion_id_seq/ } @statements;

my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } qw(publisher subscriber);
$publisher->init(allows_streaming => 'logical');
$subscriber->init;
$publisher->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$_->start foreach $publisher, $subscriber;

# Where the Reference's commands lead
$ENV{PUBLISHER} = $publisher->connstr . ' dbname=postgres';

sub run_commands
{
	my ($database, $commands, $name) = @_;
	local $ENV{SUBSCRIBER} = $subscriber->connstr($database);
	# the name of a slot is that of its subscription
	$commands =~ s/\bsubscriber\b/$database/g;
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	$subscriber->command_ok([ 'bash', '-e', '-o', 'pipefail', '-c', $commands ], $name);
	return;
}

# All rows of the registry's tables
sub tables
{
	my ($node, $database, $without) = @_;

	return $node->safe_psql(
		$database, qq{
		SELECT format('SELECT %L, t::text FROM %s t ORDER BY t::text COLLATE "C"', c.oid::regclass, c.oid::regclass)
		FROM pg_extension e, unnest(e.extconfig) AS t (oid) JOIN pg_class c USING (oid)
		WHERE e.extname = 'instance_env' AND c.relkind = 'r' AND c.relname <> '$without' ORDER BY c.relname \\gexec});
}

sub same_tables
{
	my ($database, $name, $without) = @_;

	$publisher->wait_for_catchup($database);
	is(tables($subscriber, $database, $without // ''), tables($publisher, 'postgres', $without // ''), $name);
	return;
}

# Which SQLSTATE a statement leads to
sub state_of
{
	my ($node, $database, $sql) = @_;

	$node->psql($database, "$sql;\n\\echo :SQLSTATE", stdout => \my $state, on_error_stop => 0);
	return $state;
}

#
# The publisher
#

$publisher->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', 'pro', development_id => '$dev', production_id => '$prod');
	SELECT instance_env.create_application('bank', 'pro', development_id => '$dev2', production_id => '$prod2');
	SELECT instance_env.set_user_cap('$dev', 3);
	CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
	SELECT instance_env.guard('users');
	INSERT INTO users VALUES (1, '$dev'), (2, '$dev'), (3, '$dev2');
	DELETE FROM users WHERE id = 2;
	UPDATE instance_env.feature SET plan = 'enterprise' WHERE name = 'passkeys';
	UPDATE instance_env.policy_default SET value = '7' WHERE name = 'rate_limit';
	INSERT INTO instance_env.social_provider (name, offers_shared) VALUES ('our_own', true);
	INSERT INTO instance_env.setting_section VALUES ('own', true, 'a section of our own');
	SELECT instance_env.associate_domain('$prod', 'shop.example.com');
	SELECT instance_env.create_secret_key('$dev');
	$all});
is($publisher->safe_psql('postgres', q{
	SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_extension e, unnest(e.extconfig) AS t (oid) JOIN pg_class c USING (oid)
	WHERE e.extname = 'instance_env' AND c.relkind = 'r' AND c.relreplident = 'd'
	AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)}),
	'', 'each table of the extension can be published');

#
# A subscriber with a copy of the schema
#

$subscriber->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(copied own);
run_commands('copied', $commands[0], 'the schema is copied');
run_commands('copied', $commands[1], 'and subscribed to');
$subscriber->wait_for_subscription_sync($publisher, 'copied', 'copied');
same_tables('copied', 'all tables are copied');
is($subscriber->safe_psql('copied', 'SELECT relation, whole FROM instance_env.guards'), 'users|t', 'the table is guarded');

#
# What each function does arrives
#

foreach my $change (
	[ 'social connections',
		"SELECT instance_env.set_social_connection('$dev', 'github')",
		"SELECT instance_env.remove_social_connection('$dev', 'github')" ],
	[ 'settings',
		"SELECT instance_env.set_setting('$dev', 'session.lifetime', '1')",
		"SELECT instance_env.set_setting('$dev', 'session.lifetime', NULL)" ],
	[ 'policies', "SELECT instance_env.set_policy('$dev', 'banner', '\"x\"')", "SELECT instance_env.reset_policy('$dev', 'banner')" ],
	[ 'features', "SELECT instance_env.enable_feature('$dev', 'passkeys')", "SELECT instance_env.disable_feature('$dev', 'passkeys')" ],
	[ 'keys', "SELECT instance_env.create_secret_key('$dev')",
		"SELECT instance_env.revoke_secret_key('$dev', min(hint)) FROM instance_env.api_key WHERE instance = '$dev'" ],
	[ 'domains',
		"SELECT instance_env.verify_domain('$prod', 'shop.example.com')",
		"SELECT instance_env.change_domain('$prod', 'shop.example.org')",
		"SELECT instance_env.verify_domain('$prod', 'shop.example.org')" ],
	[ 'redirect URLs',
		"SELECT instance_env.add_redirect_url('$dev', 'com.example.app://callback')",
		"SELECT instance_env.set_allowed_origins('$dev', '{https://a.example.net,https://b.example.net}')",
		"SELECT instance_env.remove_redirect_url('$dev', 'https://b.example.net')" ],
	[ 'promotions',
		"SELECT instance_env.promote(instance_env.application_id('shop'))",
		"SELECT instance_env.rollback_promotion(instance_env.application_id('shop'))" ],
	[ 'instances', "SELECT instance_env.suspend_instance('$dev2')", "SELECT instance_env.resume_instance('$dev2')" ],
	[ 'applications', "SELECT instance_env.rename_application(instance_env.application_id('shop'), 'store')" ],
	[ 'builtin rows',
		"UPDATE instance_env.feature SET plan = 'pro' WHERE name = 'passkeys'",
		"DELETE FROM instance_env.social_provider WHERE name = 'xero'",
		"UPDATE instance_env.setting_section SET cloned = false WHERE name = 'sms'",
		"SELECT instance_env.add_hosting_suffix('render.com', false)",
		"UPDATE instance_env.policy_default SET value = '400' WHERE name = 'user_cap' AND instance_type = 'development'" ],
	[ 'the audit log', 'DELETE FROM instance_env.event WHERE id < 5' ],
	[ 'departures',
		"INSERT INTO users VALUES (4, '$dev2'); DELETE FROM users WHERE id = 4",
		"BEGIN; INSERT INTO users VALUES (5, '$dev2'); DELETE FROM users WHERE id = 5; INSERT INTO users VALUES (5, '$dev2');"
		  . ' DELETE FROM users WHERE id = 5; COMMIT' ],
	[ 'a reset', "CALL instance_env.reset_development('$dev2', settings => true)" ])
{
	my ($name, @changes) = @$change;

	is(join("\n", map { state_of($publisher, 'postgres', $_) =~ s/.*\n//sr } @changes), join("\n", ('00000') x @changes), "$name: changed");
	same_tables('copied', "$name: replicated");
}

#
# Users, caps and departures on the subscriber
#

sub users_state
{
	my ($sql) = @_;
	return state_of($subscriber, 'copied', $sql);
}

is($subscriber->safe_psql('copied', 'TABLE users'), "1|$dev", 'the users are those of the publisher');
is(users_state("INSERT INTO users VALUES (2, '$dev2')"), '23I02', 'a user who departed there cannot arrive elsewhere here');
is(users_state("INSERT INTO users VALUES (5, '$dev')"),  '23I02', 'nor one who departed since');
is(users_state("INSERT INTO users VALUES (11, '$dev'), (12, '$dev'), (13, '$dev')"), '23I01', 'users who have come by replication are counted');
is(users_state("INSERT INTO users VALUES (11, '$dev'), (12, '$dev')"), '00000', 'there are two seats');
$publisher->safe_psql('postgres', "INSERT INTO users VALUES (21, '$dev')");
$publisher->wait_for_catchup('copied');
is($subscriber->safe_psql('copied', "SELECT users, state FROM instance_env.usage WHERE instance_id = '$dev'"),
	'4|full', 'a user who comes by replication is not refused');
is(users_state("INSERT INTO users VALUES (14, '$dev')"), '23I01', 'but counted');
$publisher->safe_psql('postgres', 'DELETE FROM users WHERE id IN (1, 21)');
$publisher->wait_for_catchup('copied');
is(users_state("INSERT INTO users VALUES (14, '$dev')"), '00000', 'who departs by replication leaves a seat');
is(users_state("INSERT INTO users VALUES (21, '$dev2')"), '23I02', 'and is remembered');
is($subscriber->safe_psql('copied', 'DELETE FROM users WHERE id > 10'), '', 'users of the subscriber depart');

is($publisher->safe_psql('postgres', q{SELECT instance_env.forget_departed('infinity') > 3}), 't', 'the publisher can forget');
$publisher->wait_for_catchup('copied');
is($subscriber->safe_psql('copied', 'SELECT count(*) FROM instance_env.departed_user'), '3', 'and so does the subscriber');
is(users_state("INSERT INTO users VALUES (2, '$dev2')"), '00000', 'one who is forgotten may come');
is(users_state("INSERT INTO users VALUES (11, '$dev2')"), '23I02', 'not one who departed on the subscriber');
is(state_of($publisher, 'postgres', "DELETE FROM users; SELECT instance_env.drop_application(instance_env.application_id('bank'))")
	  =~ s/.*\n//sr, '00000', 'the publisher can drop an application');
same_tables('copied', 'drop_application() is replicated', 'departed_user');

#
# A switch to the subscriber: its numbers go on where those of the publisher ended.
#

$subscriber->safe_psql('copied', 'DROP SUBSCRIPTION copied');
$subscriber->safe_psql('copied', $numbers);
is(users_state("SELECT FROM instance_env.set_user_cap('$dev', 5)") . '|' . users_state("SELECT FROM instance_env.create_application('new')"),
	'00000|00000', 'the former subscriber goes on by itself');

#
# A subscriber with events, and changed builtin rows, of its own, to the registry alone
#

$publisher->safe_psql('postgres', $registry);
$subscriber->safe_psql('own', qq{
	CREATE EXTENSION instance_env;
	SELECT setval('instance_env.event_id_seq', 1000000000000);
	CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
	SELECT instance_env.guard('users');
	UPDATE instance_env.feature SET plan = 'enterprise' WHERE name IN ('allowlist', 'passkeys');
	UPDATE instance_env.policy_default SET value = '450' WHERE name = 'user_cap' AND instance_type = 'development'});
run_commands('own', $commands[1] =~ s/everything/registry/r, 'the registry is subscribed to');
$subscriber->wait_for_subscription_sync($publisher, 'own', 'own');
$subscriber->safe_psql('own', "DELETE FROM instance_env.social_provider WHERE name = 'xero'");
same_tables('own', 'all is as on the publisher', 'event');
is($subscriber->safe_psql('own', 'SELECT action, item FROM instance_env.event WHERE id > 1000000000000'), 'guard|public.users',
	'but for its own events');
$publisher->safe_psql('postgres', "SELECT instance_env.set_setting('$dev', 'session.lifetime', '1')");
$publisher->wait_for_catchup('own');
is(state_of($subscriber, 'own', "INSERT INTO users SELECT i, '$dev' FROM generate_series(1, 4) i"), '23I01', 'its cap holds there');

# Where a session acts as if it replicated, a builtin row that is there is no duplicate.
is( $subscriber->safe_psql(
		'own', q{
		CREATE TABLE copy AS TABLE instance_env.policy_default;
		SET session_replication_role = replica;
		INSERT INTO instance_env.policy_default TABLE copy;
		SELECT count(*) = (SELECT count(*) FROM copy) FROM instance_env.policy_default}),
	't', 'builtin rows can be copied over themselves');
is(state_of($subscriber, 'own', q{INSERT INTO instance_env.policy_default SELECT * FROM copy WHERE NOT changed LIMIT 1}),
	'23505', 'otherwise they are duplicates');

$subscriber->stop;
$publisher->stop;
done_testing();
