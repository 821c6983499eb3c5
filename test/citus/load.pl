# The cap and the transfer prohibition on a cluster, under a load from all of its nodes, judged
# by replaying what each worker has committed.  All rows of an instance are in one shard, so
# the WAL of its node has them in the order in which they were committed.
#
#   INSTANCE_ENV_CITUS_TRANSACTIONS   of each of the 16 clients, 300 by default
#   INSTANCE_ENV_STRESS_SEED          to repeat the scripts (not their timing)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use StressJudge;
use StressStatements qw(any chance);
use Test::More;

my $clients = 16;
my $transactions = $ENV{INSTANCE_ENV_CITUS_TRANSACTIONS} || 300;
my $seed = $ENV{INSTANCE_ENV_STRESS_SEED} || int rand 1_000_000_000;
note "INSTANCE_ENV_STRESS_SEED=$seed";
srand $seed;

use_database('load');
psql(0, <<'SQL', must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL, seen integer NOT NULL DEFAULT 0, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id', shard_count => 8);
SELECT instance_env.guard('users', user_key => 'id', coded => true);
CREATE TABLE arriving (LIKE users INCLUDING ALL);
SELECT create_distributed_table('arriving', 'instance_id', colocate_with => 'users');
SQL

# Development instances, each with its cap, and some of production.  Applications are made on
# all nodes.
my (%cap, @production);
foreach my $n (0 .. 5)
{
	my ($development, $production) = split /\|/, value($n % 3, "SELECT development_id, production_id FROM instance_env.create_application('load$n')");
	if ($n < 4)
	{
		$cap{$development} = 6 + 3 * $n;
		value(($n + 1) % 3, "SELECT instance_env.set_user_cap('$development', $cap{$development})");
		value(0, "SELECT instance_env.set_policy('$development', 'user_cap_thresholds', '[]')") if $n % 2;
	}
	else
	{
		push @production, $production;
		value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");
	}
}
my @development = sort keys %cap;
my @instances = sort @development, @production;

# Ids that exist before the load, for those who bring their own
my %ids;
foreach my $instance (@instances)
{
	@{ $ids{$instance} } = split /\n/,
	  value(0, "SELECT instance_env.new_user_id('$instance') FROM generate_series(1, " . $clients * 20 . ')');
}

my @workers = grep { $_ > 0 } nodes();
value($_, "SELECT pg_create_logical_replication_slot('judge', 'test_decoding')") foreach @workers;

#
# Transactions
#

sub one
{
	return chance(0.75) ? any(@development) : any(@production);
}

# An id of one's own, for which nobody else waits
sub own_id
{
	my ($client, $instance) = @_;
	return $ids{$instance}[ $client * 20 + int rand 20 ];
}

# A row of an instance, chosen without a function that Citus would not send to a shard
sub row
{
	my ($instance, $n) = @_;
	my $salt = int rand 1000;
	return "instance_id = '$instance' AND id IN (SELECT id FROM users WHERE instance_id = '$instance'"
	  . " ORDER BY pg_catalog.md5(id::text || '$salt') LIMIT $n)";
}

sub insert
{
	my ($client, $instance) = @_;
	my $new = "instance_env.new_user_id('$instance')";
	my $own = own_id($client, $instance);

	return any(
		"INSERT INTO users (instance_id, id) VALUES ('$instance', $new);",
		"INSERT INTO users (instance_id, id) VALUES ('$instance', $new);",
		"INSERT INTO users (instance_id, id) VALUES ('$instance', $new), ('$instance', $new);",
		"INSERT INTO users (instance_id, id) SELECT '$instance', $new FROM generate_series(1, @{[ any(1, 2, 4) ]});",
		"INSERT INTO users (instance_id, id) VALUES ('$instance', '$own') ON CONFLICT (instance_id, id) DO UPDATE SET seen = users.seen + 1;",
		"COPY users (instance_id, id) FROM STDIN;\n$instance\t$own\n\\.");
}

# Users come back to where they were, or others come in their place.
sub churn
{
	my ($client, $instance) = @_;
	my $delete = 'DELETE FROM users WHERE ' . row($instance, any(1, 1, 2, 3)) . ';';

	return $delete if chance(0.45);
	return ('BEGIN;', $delete, insert($client, $instance), any('COMMIT;', 'COMMIT;', 'ROLLBACK;')) if chance(0.5);
	return ('BEGIN;', $delete, 'SAVEPOINT s;', insert($client, $instance), 'ROLLBACK TO s;', insert($client, $instance), 'COMMIT;');
}

# Several instances at once, and so several nodes: always in the same order.
sub several
{
	my ($client) = @_;
	my @of = sort(one(), one(), any(@production));

	return ('BEGIN;', (map { insert($client, $_) } @of), any('COMMIT;', 'COMMIT;', 'ROLLBACK;')) if chance(0.5);
	return 'INSERT INTO users (instance_id, id) VALUES '
	  . join(', ', map { "('$_', instance_env.new_user_id('$_'))" } @of) . ';'
	  if chance(0.5);
	return 'COPY users (instance_id, id) FROM STDIN;' . join('', map { "\n$_\t" . own_id($client, $_) } @of) . "\n\\.";
}

# Ways to move a user.  None succeeds.
sub move
{
	my ($client) = @_;
	my ($from, $to) = (one(), one());
	return churn($client, $from) if $from eq $to;
	my $id = own_id($client, $from);
	my $theirs = 'users WHERE ' . row($from, 1);

	return any(
		"UPDATE users SET instance_id = '$to' WHERE " . row($from, 1) . ';',
		"UPDATE users SET id = '$id' WHERE " . row($to, 1) . ';',
		"INSERT INTO users (instance_id, id) VALUES ('$to', '$id');",
		"INSERT INTO users (instance_id, id) SELECT '$to', id FROM $theirs;",
		"INSERT INTO users (instance_id, id) VALUES ('$to', '$id') ON CONFLICT (instance_id, id) DO UPDATE SET seen = 1;",
		"INSERT INTO users (instance_id, id) VALUES ('$to', '$id') ON CONFLICT DO NOTHING;",
		"COPY users (instance_id, id) FROM STDIN;\n$to\t$id\n\\.",
		"BEGIN;\nDELETE FROM users WHERE instance_id = '$from' AND id = '$id';\n"
		  . "INSERT INTO users (instance_id, id) VALUES ('$to', '$id');\nCOMMIT;",
		"INSERT INTO arriving (instance_id, id) VALUES ('$to', '$id') ON CONFLICT DO NOTHING;\n"
		  . "MERGE INTO users u USING arriving a ON u.instance_id = a.instance_id AND u.id = a.id"
		  . " WHEN NOT MATCHED THEN INSERT (instance_id, id) VALUES (a.instance_id, a.id);");
}

sub transaction
{
	my ($client) = @_;
	my $p = rand;

	return insert($client, one()) if $p < 0.4;
	return churn($client, one()) if $p < 0.65;
	return several($client) if $p < 0.8;
	return 'UPDATE users SET seen = seen + 1 WHERE ' . row(one(), any(1, 3)) . ';' if $p < 0.85;
	return move($client);
}

my $began = time;
my @sessions = map {
	my $client = $_;
	start($client % 3, join("\n", (map { transaction($client) } 1 .. $transactions), ''))
} 0 .. $clients - 1;

#
# What came of it
#

# What is refused, and what the load brings about by itself.  COPY, and INSERT … SELECT that
# goes through the node of the client, do not keep the SQLSTATE of another node's error.
my $message = qr/has reached its cap of|was not made for the user's instance|duplicate key value|deadlock detected|distributed deadlock/;
my (%errors, %refused, @surprises);
foreach my $session (@sessions)
{
	my (undef, @messages) = finish($session);
	foreach (grep { $_->{severity} ne 'NOTICE' } @messages)
	{
		my $text = "$_->{state}: $_->{message}";

		$errors{ $_->{state} }++;
		$refused{cap}++ if $_->{message} =~ /has reached its cap of/;
		$refused{move}++ if $_->{message} =~ /was not made for/ or $text =~ /^0A000: modifying the partition value/;
		next if $_->{state} =~ /^(?:01I01|23I01|23I02|23505|25P01|25P02|40P01|40001|3B001)$/;
		next if $_->{state} eq 'XX000' and $_->{message} =~ $message;
		next if $text =~ /^0A000: modifying the partition value/;
		push @surprises, "node $session->{node}: $text";
	}
}
note sprintf '%d clients, %d transactions each, %d s; %s', $clients, $transactions, time - $began,
  join ', ', map { "$errors{$_} $_" } sort keys %errors;
is(join("\n", splice @surprises, 0, 20), '', 'no error but those that were to be expected');
cmp_ok($refused{cap} // 0, '>', $transactions, 'many users were refused at the cap');
cmp_ok($refused{move} // 0, '>', $transactions / 4, 'many moves were refused');

my (%home, @moved, %stat, %live);
foreach my $node (@workers)
{
	my @shards = split /\n/,
	  value($node, "SELECT format('public.users_%s', shardid) FROM pg_dist_shard WHERE logicalrelid = 'users'::regclass");
	my $judge = StressJudge->new(
		tables => \@shards,
		instance => 'instance_id',
		key => 'id',
		identity => [ 'instance_id', 'id' ],
		caps => \%cap);

	$judge->apply($_) foreach split /\n/, value($node, "SELECT data FROM pg_logical_slot_get_changes('judge', NULL, NULL)");
	value($node, "SELECT pg_drop_replication_slot('judge')");
	is(join("\n", @{ $judge->{broken} }), '', "node $node: every change could be replayed");
	is(join("\n", @{ $judge->{over} }), '', "node $node: no commit left an instance over its cap");
	push @moved, @{ $judge->{moved} };
	foreach my $id (keys %{ $judge->{home} })
	{
		my $instance = $home{$id} //= $judge->{home}{$id};
		push @moved, "$id of $instance came to $judge->{home}{$id}" if $instance ne $judge->{home}{$id};
	}
	$stat{$_} += $judge->{stat}{$_} foreach keys %{ $judge->{stat} };
	$live{$_} = 1 foreach $judge->rows('instance_id', 'id', 'seen');
}
is(join("\n", @moved), '', 'no user has been moved');
note join ', ', map { "$stat{$_} $_" } sort keys %stat;
cmp_ok($stat{inserts}, '>', 4 * $transactions, 'many users were admitted');
cmp_ok($stat{at_cap}, '>', $transactions / 2, 'many commits filled the last seat');
is(join("\n", sort split /\n/, value(1, "SELECT instance_id || ' ' || id || ' ' || seen FROM users")),
	join("\n", sort keys %live), 'the replay ends where the table is');
is(value(2, 'SELECT count(*) FROM users WHERE NOT instance_env.id_belongs(id, instance_id)'), 0, 'each user has an id of the instance');

# As many seats are left as the cap has, from any node.
foreach my $n (0 .. $#development)
{
	my ($instance, $node) = ($development[$n], $n % 3);
	my $cap = $cap{$instance};
	my $free = $cap - value($node, "SELECT count(*) FROM users WHERE instance_id = '$instance'");
	my ($out, @messages) = psql($node,
		"INSERT INTO users (instance_id, id) VALUES ('$instance', instance_env.new_user_id('$instance'));\n" x ($free + 2)
		  . "SELECT count(*) FROM users WHERE instance_id = '$instance';");

	is(join(' ', $out, map { $_->{state} } grep { $_->{severity} eq 'ERROR' } @messages), "$cap 23I01 23I01",
		"node $node: $free more users, and no more, for an instance of $cap");
}
is(value(0, "SELECT whole, problems FROM instance_env.guards WHERE relation = 'users'::regclass"), 't|{}', 'the guard is whole');

whole();
done_testing();
