
# What is notified when a threshold is passed: the payload is JSON in whatever encoding, shorter
# than PostgreSQL allows whatever the names.  And that a threshold is noticed without shared
# memory as well, and by transactions that commit at the same time.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;

my $dev = 'dddddddd-0000-0000-0000-000000000001';

# A session that listens inserts a user into an instance with a cap of 1: what it is told.
sub payloads
{
	my ($node, $database, $application, $table) = @_;
	my ($status, $out, $err) = $node->psql(
		$database, qq{
		SET client_min_messages = error;
		BEGIN;
		SELECT instance_env.create_application($application, development_id => '$dev');
		SELECT instance_env.set_user_cap('$dev', 1);
		CREATE TABLE $table (id integer PRIMARY KEY, instance_id uuid);
		SELECT count(*) FROM instance_env.guard(\$t\$$table\$t\$);
		COMMIT;
		LISTEN instance_env;
		INSERT INTO $table VALUES (1, '$dev');
		SELECT 1;
		DROP TABLE $table;
		SELECT instance_env.drop_application(instance_env.application_id($application));},
		on_error_stop => 1);
	is($status, 0, 'it is committed') or diag $err;
	my @payloads = $out =~ /^Asynchronous notification "instance_env" with payload "(.*)" received from/mg;
	return @payloads;
}

sub told
{
	my ($node, $database, $application, $table, $what) = @_;
	my @payloads = payloads($node, $database, $application, $table);
	is(scalar @payloads, 2, "$what: one for each threshold");
	return map {
		like($_, qr/^[ -~]*$/, "$what: ASCII");
		cmp_ok(length $_, '<', 8000, "$what: not too long");
		my $json = eval { decode_json($_) } || {};
		is_deeply(
			[ sort keys %$json ],
			[qw(application cap instance percent relation users)],
			"$what: JSON with all keys");
		$json;
	} @payloads;
}

# Of two that take the instance to its cap, the first has looked and has yet to become visible:
# it waits for a standby.  The second one waits for it, for a while.
sub waits_for_one_that_has_looked
{
	my ($node) = @_;
	my @psql = ('psql', '-XqAt', '-d', $node->connstr('postgres'));
	my $insert = "INSERT INTO race (instance_id) VALUES ('$dev')";
	my ($out, $first, $second, $quick) = ('', '', '', '');

	$node->safe_psql(
		'postgres', qq{
		DELETE FROM race WHERE id NOT IN (SELECT id FROM race LIMIT 100);
		SELECT instance_env.set_user_cap('$dev', 102);
		SELECT instance_env.set_policy('$dev', 'user_cap_thresholds', '[100]');
		ALTER SYSTEM SET synchronous_standby_names = 'nobody';
		SELECT pg_reload_conf();});
	$node->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = 'nobody'});
	my $one = IPC::Run::start([ @psql, '-c', $insert ], '>', \$out, '2>', \$first);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'});

	my $release = IPC::Run::start(
		[
			@psql, '-c', q{DO $$
				BEGIN
					FOR i IN 1 .. 500 LOOP
						PERFORM pg_stat_clear_snapshot();
						EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND wait_event = 'Extension');
						PERFORM pg_sleep(0.01);
					END LOOP;
				END $$},
			'-c', 'ALTER SYSTEM RESET synchronous_standby_names',
			'-c', 'SELECT pg_reload_conf()'
		]);
	my $two = IPC::Run::start([ @psql, '-c', 'SET synchronous_commit = off', '-c', $insert ], '>', \$out, '2>', \$second);
	$_->finish for $release, $one, $two;
	is($first, '', 'the first one does not reach the cap');
	like($second, qr/has reached 100% of its cap of 102/, 'the second one does, and says so');

	# it gives up if that takes too long
	$node->safe_psql('postgres', q{
		DELETE FROM race WHERE id IN (SELECT id FROM race LIMIT 2);
		ALTER SYSTEM SET synchronous_standby_names = 'nobody';
		SELECT pg_reload_conf();});
	$node->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = 'nobody'});
	$one = IPC::Run::start([ @psql, '-c', $insert ], '>', \$out, '2>', \$first);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'});
	$two = IPC::Run::start([ @psql, '-c', 'SET synchronous_commit = off', '-c', $insert ], '>', \$out, '2>', \$quick);
	$two->finish;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM race'), 101, 'it does not wait for ever');
	$node->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();});
	$one->finish;
	is("$first$quick", '', 'nobody has seen the cap reached');
	my ($status, $told, $warning) = $node->psql(
		'postgres', "BEGIN; DELETE FROM race WHERE id IN (SELECT id FROM race LIMIT 1); $insert; COMMIT");
	like($warning, qr/has reached 100% of its cap of 102/, 'the next one says so');
	return;
}

for my $preload (1, 0)
{
	my $node = PostgreSQL::Test::Cluster->new($preload ? 'threshold' : 'no_memory');
	$node->init(allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf',
		$preload ? "shared_preload_libraries = 'instance_env'\n" : "instance_env.buckets = 0\n");
	$node->start;
	my %database = (postgres => 'UTF8', latin => 'LATIN1', ascii => 'SQL_ASCII', japanese => 'EUC_JP');
	for (sort keys %database)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE template0 ENCODING '$database{$_}'")
		  if $_ ne 'postgres';
		$node->safe_psql($_, 'CREATE EXTENSION instance_env');
	}

	my ($first, $second) = told($node, 'postgres', q{'shop'}, 'users', 'a name');
	is_deeply(
		$second,
		{ application => 'shop', instance => $dev, relation => 'public.users', users => 1, cap => 1, percent => 100 },
		'what it says');
	is($first->{percent}, 80, 'the lower threshold first');

	($first) = told($node, 'postgres', q{E'"\\\\ \t\n\x01\x7f </script> \u00e9 \u958b \U0001F511'}, q{"it's ""quoted"" \\ \u{00e9}"},
		'hostile names');
	is($first->{application}, "\"\\ \t\n\x01\x7f </script> \x{e9} \x{958b} \x{1F511}", 'the same name');
	is($first->{relation}, q{public."it's ""quoted"" \ \u{00e9}"}, 'and the same table');

	($first) = told($node, 'postgres', q{repeat('x', 2048)}, 'users', 'the longest name');
	is($first->{application}, 'x' x 2048, 'is whole');
	($first) = told($node, 'postgres', q{repeat(E'\x01', 2048)}, q{"} . ('"" ' x 20) . q{"}, 'the longest when escaped');
	like($first->{application}, qr/^\x01{600,}\.\.\.$/, 'is clipped');
	($first) = told($node, 'postgres', q{repeat(E'\U0001F511', 512)}, 'users', 'characters of four bytes');
	like($first->{application}, qr/^\x{1F511}{300,}\.\.\.$/, 'is clipped between two characters');

	($first) = told($node, 'latin', q{chr(233) || 'x'}, 'users', 'LATIN1');
	is($first->{application}, "\x{e9}x", 'is converted');
	($first) = told($node, 'japanese', q{convert_from('\xb3ab', 'EUC_JP')}, 'users', 'EUC_JP');
	is($first->{application}, "\x{958b}", 'is converted');
	($first) = told($node, 'ascii', q{E'\xe9\xff'}, 'users', 'SQL_ASCII');
	is($first->{application}, "\x{e9}\x{ff}", 'is taken byte by byte');

	# two hundred that commit at the same time pass each threshold once
	$node->safe_psql(
		'postgres', qq{
		SELECT instance_env.create_application('shop', development_id => '$dev');
		CREATE TABLE race (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, instance_id uuid);
		SELECT count(*) FROM instance_env.guard('race');
		SELECT instance_env.set_user_cap('$dev', 200);
		SELECT instance_env.set_policy('$dev', 'user_cap_thresholds', '[10, 25, 50, 60, 75, 80, 90, 95]');});
	my $script = $node->basedir . '/race.sql';
	append_to_file($script, "INSERT INTO race (instance_id) VALUES ('$dev');\n");
	my ($pout, $perr) = run_command(
		[ 'pgbench', '-n', '-c', '10', '-j', '2', '-t', '20', '-f', $script, $node->connstr('postgres') ]);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM race'), 200, 'all have committed');
	for my $percent (10, 25, 50, 60, 75, 80, 90, 95)
	{
		my $times = () = $perr =~ /has reached $percent% of its cap/g;
		if ($preload)
		{
			is($times, 1, "$percent % is passed once");
		}
		else
		{
			cmp_ok($times, '<=', 1, "$percent % is passed once at most");
		}
	}

	waits_for_one_that_has_looked($node) if $preload;

	# whoever comes in for one who leaves, and goes again, is not taken for one who stays
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE swap (id integer PRIMARY KEY, instance_id uuid DEFAULT '$dev');
		SELECT count(*) FROM instance_env.guard('swap');
		SELECT instance_env.set_user_cap('$dev', 10);
		SELECT instance_env.set_policy('$dev', 'user_cap_thresholds', '[80]');
		INSERT INTO swap SELECT generate_series(1, 8);});
	my $n = 0;
	for my $swap (
		'SAVEPOINT a; INSERT INTO swap VALUES (101); ROLLBACK TO a',
		'SAVEPOINT a; INSERT INTO swap VALUES (101), (102); RELEASE a; DELETE FROM swap WHERE id > 100',
		'INSERT INTO swap VALUES (101), (102); SAVEPOINT a; UPDATE swap SET id = id + 100 WHERE id > 100; DELETE FROM swap WHERE id > 100',
		'INSERT INTO swap VALUES (101), (102); SAVEPOINT a; DELETE FROM swap WHERE id > 101; INSERT INTO swap VALUES (103); ROLLBACK TO a; DELETE FROM swap WHERE id > 100',
		'INSERT INTO swap VALUES (101); COMMIT; BEGIN; DELETE FROM swap WHERE id > 100')
	{
		$n++;
		my ($status, $out, $err) = $node->psql('postgres',
			"BEGIN; DELETE FROM swap WHERE id = $n; $swap; COMMIT; INSERT INTO swap VALUES ($n)");
		my $times = () = $err =~ /has reached 80%/g;
		is($times, 1, "falls to 7 users and comes back: $swap") or diag $err;
	}

	# a transaction that has become read-only
	my ($status, $out, $err) = $node->psql(
		'postgres', qq{
		SELECT instance_env.set_user_cap('$dev', 10, 'soft');
		BEGIN; INSERT INTO swap SELECT generate_series(11, 15); SET TRANSACTION READ ONLY; COMMIT;},
		on_error_stop => 1);
	is($status, 0, 'what has become read-only can go beyond a soft cap') or diag $err;
	is($node->safe_psql('postgres', q{SELECT count(*) FROM instance_env.events WHERE action = 'user_cap_exceeded'}),
		1, 'an event is recorded');
	$node->safe_psql('postgres', "DROP TABLE swap; SELECT instance_env.set_user_cap('$dev', 200, 'hard')");

	# nobody is there to be warned by
	($status, $out, $err) = $node->psql(
		'postgres', qq{
		SET client_min_messages = warning;
		DELETE FROM race WHERE id IN (SELECT id FROM race LIMIT 10);
		BEGIN;
		INSERT INTO race (instance_id) SELECT '$dev' FROM generate_series(1, 10);
		DROP EXTENSION instance_env CASCADE;
		COMMIT;},
		on_error_stop => 1);
	is("$status $err", '0 ', 'the extension can be dropped by a transaction that passes a threshold');
	$node->stop;
}

done_testing();
