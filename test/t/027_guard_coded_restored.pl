# Tables that are guarded by coded ids, after dump and restore: as they were, and to whom they
# belong. Also a restore of data alone, and a logical subscriber.

use strict;
use warnings;

use Digest::SHA 'sha256';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %instance = (
	dev => 'd0000000-0000-4000-8000-000000000001',
	prod => 'e0000000-0000-4000-8000-000000000001',
	other => 'e0000000-0000-4000-8000-000000000002');

# An id as new_user_id() makes it.
sub coded
{
	my ($name, $n) = @_;
	my $code = unpack 'H10', sha256(pack 'H32', $instance{$name} =~ s/-//gr);

	return sprintf '0199aabb-ccdd-8%03x-8000-00%s', $n, $code;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\nautovacuum = off");
$node->start;

my $old = 'a0000000-0000-4000-8000-000000000001';
my $schema = q{
	CREATE TABLE users ("Id" uuid PRIMARY KEY, instance_id uuid NOT NULL);
	CREATE TABLE by_key (gone text, tenant text NOT NULL, id uuid, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
	ALTER TABLE by_key DROP gone;
	CREATE TABLE by_key_dev PARTITION OF by_key FOR VALUES IN ('dev');
	CREATE TABLE by_key_rest PARTITION OF by_key DEFAULT};
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql(
	'source', qq{
	CREATE EXTENSION instance_env;
	SELECT FROM instance_env.create_application('shop', 'pro', development_id => '$instance{dev}', production_id => '$instance{prod}',
		development_key => 'dev', production_key => 'prod');
	SELECT FROM instance_env.create_application('blog', 'pro', production_id => '$instance{other}', production_key => 'other');
	UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
	$schema;
	INSERT INTO users VALUES ('$old', '$instance{prod}');
	SELECT FROM instance_env.guard('users', coded => true);
	SELECT FROM instance_env.guard('by_key', 'tenant', coded => true);
	INSERT INTO users VALUES ('} . coded('prod', 1) . qq{', '$instance{prod}'), ('} . coded('dev', 1) . qq{', '$instance{dev}');
	INSERT INTO by_key VALUES ('dev', '} . coded('dev', 1) . q{'), ('other', '} . coded('other', 1) . q{')});

# What the guard says, and what it does.
sub check
{
	my ($db, $what) = @_;

	is( $node->safe_psql($db, 'SELECT relation, instance_column, user_key, coded, whole, problems FROM instance_env.guards ORDER BY relation::text'),
		"by_key|tenant|id|t|t|{}\nusers|instance_id|Id|t|t|{}", "$what: the guards are whole");
	my %want = (
		"INSERT INTO users VALUES ('" . coded('prod', 2) . "', '$instance{prod}')" => '',
		"INSERT INTO users VALUES ('" . coded('prod', 2) . "', '$instance{other}')" => '23I02',
		"INSERT INTO users VALUES (gen_random_uuid(), '$instance{prod}')" => '23I02',
		"DELETE FROM users WHERE \"Id\" = '$old'; INSERT INTO users VALUES ('$old', '$instance{prod}')" => '23I02',
		"UPDATE users SET \"Id\" = gen_random_uuid() WHERE \"Id\" = '$old'" => '23I02',
		"UPDATE users SET \"Id\" = '" . coded('prod', 3) . "' WHERE \"Id\" = '$old'" => '',
		"INSERT INTO by_key VALUES ('dev', '" . coded('dev', 2) . "')" => '',
		"INSERT INTO by_key VALUES ('other', '" . coded('dev', 1) . "')" => '23I02',
		"UPDATE by_key SET tenant = 'other' WHERE tenant = 'dev'" => '23I02',
		'TRUNCATE users' => '55I05',
		'TRUNCATE by_key_rest' => '55I05');
	foreach my $sql (sort keys %want)
	{
		$node->psql($db, "\\set VERBOSITY sqlstate\nBEGIN;\n$sql;\nROLLBACK;\n", stderr => \my $stderr);
		my ($state) = $stderr =~ /ERROR:  (\w+)/;
		is($state || '', $want{$sql}, "$what: $sql");
	}
	return;
}

check('source', 'source');
my $tempdir = PostgreSQL::Test::Utils::tempdir;
command_ok([ 'pg_dump', '--format=custom', "--file=$tempdir/dump", '--dbname' => $node->connstr('source') ], 'pg_dump');
foreach my $jobs (1, 3)
{
	$node->safe_psql('postgres', "CREATE DATABASE copy_$jobs");
	command_ok([ 'pg_restore', '--exit-on-error', "--jobs=$jobs", '--dbname' => $node->connstr("copy_$jobs"), "$tempdir/dump" ],
		"restored with $jobs jobs");
	check("copy_$jobs", "restored with $jobs jobs");
	is($node->safe_psql("copy_$jobs", "SELECT count(*) FROM instance_env.departed_user"), '0', '… and nothing was recorded');
	is( $node->safe_psql("copy_$jobs", "SELECT DISTINCT action FROM instance_env.guard('users', coded => true)
			UNION ALL SELECT DISTINCT action FROM instance_env.guard('by_key', 'tenant', coded => true)"),
		"found\nfound", '… and guard() finds all that it needs');
}

# Data alone, into tables that are guarded: an id of another form is an arrival.
$node->safe_psql('copy_1', 'SET instance_env.allow_destructive = on; TRUNCATE users');
my @restore = ('pg_restore', '--data-only', '--table=users', '--dbname' => $node->connstr('copy_1'));
command_fails_like([ @restore, "$tempdir/dump" ], qr/was not made for the user's instance/, 'data alone: refused with an old id');
$node->safe_psql('copy_1', 'UPDATE users SET "Id" = \'' . coded('prod', 4) . "' WHERE \"Id\" = '$old'");
$node->safe_psql('source', 'UPDATE users SET "Id" = \'' . coded('prod', 4) . "' WHERE \"Id\" = '$old'");
command_ok([ 'pg_dump', '--format=custom', "--file=$tempdir/data", '--data-only', '--table=users', '--dbname' => $node->connstr('source') ], 'pg_dump of data');
command_ok([ @restore, '--exit-on-error', "$tempdir/data" ], 'data alone: taken when all ids are coded');

# A subscriber takes what the publisher has taken, counts it, and refuses others.
$node->safe_psql('postgres', 'CREATE DATABASE subscriber');
$node->safe_psql('source', 'CREATE PUBLICATION users FOR TABLE users');
$node->safe_psql('source', "SELECT FROM pg_create_logical_replication_slot('users', 'pgoutput')");
$node->safe_psql(
	'subscriber', qq{
	CREATE EXTENSION instance_env;
	SELECT FROM instance_env.create_application('shop', 'pro', development_id => '$instance{dev}', production_id => '$instance{prod}');
	SELECT instance_env.set_user_cap('$instance{dev}', 3);
	UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
	$schema;
	SELECT FROM instance_env.guard('users', coded => true);
	CREATE SUBSCRIPTION users CONNECTION '} . $node->connstr . q{ dbname=source' PUBLICATION users WITH (create_slot = false)});
$node->wait_for_subscription_sync($node, 'users', 'subscriber');
$node->safe_psql('source', "SELECT instance_env.unguard('users')");
$node->safe_psql('source', "INSERT INTO users VALUES ('$old', '$instance{prod}'), ('" . coded('dev', 5) . "', '$instance{dev}')");
$node->wait_for_catchup('users');
is($node->safe_psql('subscriber', 'SELECT count(*) FROM users'), '5', 'a subscriber has what the publisher has');
$node->psql('subscriber', "\\set VERBOSITY sqlstate\nINSERT INTO users VALUES ('a0000000-0000-4000-8000-000000000009', '$instance{prod}')", stderr => \my $stderr);
like($stderr, qr/23I02/, '… and takes no such id itself');
$node->psql('subscriber', "\\set VERBOSITY sqlstate\nINSERT INTO users VALUES ('" . coded('dev', 6) . "', '$instance{dev}'), ('" . coded('dev', 7) . "', '$instance{dev}')",
	stderr => \$stderr);
like($stderr, qr/23I01/, '… and counts what it was given');
$node->safe_psql('subscriber', 'DROP SUBSCRIPTION users');

done_testing;
