# What happens on a shard when a transaction ends: warnings, soft caps, notifications and the
# limit of deletions, in one phase and in two.  There nothing can be written to the registry,
# and nobody be notified before PREPARE.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use Test::More;

use_database('commit_on_shards');
psql(0, <<'SQL', must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), name text, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id', shard_count => 8);
SELECT instance_env.guard('users', user_key => '');
SQL

# What a server has written into its log since
my %offset;
sub log_since
{
	my ($node) = @_;
	my $log = "$ENV{PGHOST}/log$node";

	open my $fh, '<', $log or die "could not read $log: $!";
	seek $fh, $offset{$node} // 0, 0;
	my $text = join '', <$fh>;
	$offset{$node} = -s $log;
	return $text;
}

# Two development instances and one of production, each on a node that is known
my (@development, @node);
my $production;
foreach my $n (0 .. 19)
{
	my ($development, $p) = split /\|/, value(0, "SELECT development_id, production_id FROM instance_env.create_application('a$n')");
	my $on = value(0, <<"SQL");
SELECT nodeport - $ENV{PGPORT} FROM pg_dist_placement JOIN pg_dist_node USING (groupid)
WHERE shardid = get_shard_id_for_distribution_column('users', '$development'::uuid)
SQL

	if (!@node || (@node == 1 && $on != $node[0]))
	{
		push @development, $development;
		push @node, $on;
		$production //= $p;
	}
}
my ($one, $two) = @development;
is(scalar @node, 2, 'instances on two nodes');
my $port = $ENV{PGPORT};
my $on = value(0, <<"SQL");
SELECT nodeport - $port FROM pg_dist_placement JOIN pg_dist_node USING (groupid)
WHERE shardid = get_shard_id_for_distribution_column('users', '$production'::uuid)
SQL
value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");
value(0, "UPDATE instance_env.instance SET user_cap = 5 WHERE id IN ('$one', '$two')");

# So many users of each, in one statement
sub insert
{
	my (%users) = @_;
	my @rows = map { ("('$_')") x $users{$_} } sort keys %users;
	return 'INSERT INTO users (instance_id) VALUES ' . join(', ', @rows) . ';';
}

sub states
{
	my (undef, @messages) = @_;
	return join ' ', map { $_->{state} } @messages;
}

sub clean
{
	value(0, "DELETE FROM users WHERE instance_id IN ('$one', '$two')");
	log_since($_) foreach nodes();
	return;
}

#
# Thresholds
#

foreach my $node (nodes())
{
	clean();
	my ($out, @messages) = psql($node, insert($one => 3) . insert($one => 1));
	is(states($out, @messages), '01I01', "node $node: the client is warned by a statement of its own");
	like($messages[0]{message}, qr/has reached 80% of its cap of 5 in table "public\.users"$/, 'of the table, not the shard');
	is(states(psql($node, insert($one => 1) . insert($one => 1))), '01I01 23I01', 'and refused at the cap');

	clean();
	is(states(psql($node, 'BEGIN;' . insert($one => 4) . 'COMMIT;')), $node == $node[0] ? '01I01' : '',
		'Citus keeps to itself what COMMIT says on another node');
	like(log_since($node[0]), qr/WARNING:  development instance "$one" has reached 80%/, "which is in that server's log");

	clean();
	is(states(psql($node, 'BEGIN;' . insert($one => 4) . insert($two => 5) . 'COMMIT;')), $node == 0 ? '' : '01I01', 'and what PREPARE says');
	like(log_since($node[0]), qr/WARNING:  development instance "$one" has reached 80%/, 'in the one log');
	like(log_since($node[1]), qr/WARNING:  development instance "$two" has reached 100%/, 'and in the other');
}

# Whoever listens on the node of the shard hears what is committed in one phase there, and of
# two phases when the next user comes.  (psql tells of it after the next statement.)
clean();
my $heard = qr/Asynchronous notification "instance_env" with payload "\{"application": "a\d+", "instance": "$one", "relation": "public\.users", "users": (\d), "cap": 5, "percent": (\d+)\}"/;
my $listener = start($node[0], 'LISTEN instance_env; SELECT pg_sleep(3); SELECT 1;');
ok(wait_until($node[0], "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND pid <> pg_backend_pid()"), 'somebody listens');
psql(0, insert($one => 4), must => 1);
my ($out) = finish($listener);
like($out, $heard, 'a notification of one phase');
clean();
psql(0, 'BEGIN;' . insert($one => 4) . insert($production => 1) . insert($two => 1) . 'COMMIT;', must => 1);
$listener = start($node[0], 'LISTEN instance_env; SELECT pg_sleep(3); SELECT 1;');
ok(wait_until($node[0], "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND pid <> pg_backend_pid()"), 'somebody listens');
psql(0, insert($one => 1), must => 1);
($out) = finish($listener);
is(join(' ', sort map { /"percent": (\d+)/ } $out =~ /(Asynchronous .*)/g), '100 80', 'one of two phases comes with the next user');

#
# Soft caps
#

value(0, "UPDATE instance_env.instance SET cap_mode = 'soft' WHERE id IN ('$one', '$two')");
foreach my $node (nodes())
{
	clean();
	is(states(psql($node, insert($one => 5) . insert($one => 1))), '01I01 01I02', "node $node: a soft cap takes one more");
	like(log_since($node[0]), qr/LOG:  instance_env event "user_cap_exceeded" of table "public\.users"\n.*DETAIL:  .*instance $one, before 5, after 6\./,
		"an event that cannot be written to the audit log is in that of the server");

	clean();
	is(states(psql($node, 'BEGIN;' . insert($one => 6) . insert($two => 6) . 'COMMIT;')), $node == 0 ? '' : '01I01 01I02', 'so it does in two phases');
	like(log_since($node[$_]), qr/event "user_cap_exceeded"/, 'and that is in the log') foreach 0, 1;
	is(value($node, "SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM users WHERE instance_id IN ('$one', '$two') GROUP BY instance_id) AS c"),
		'6 6', 'all are there');
}
value(0, "UPDATE instance_env.instance SET cap_mode = 'hard' WHERE id IN ('$one', '$two')");

#
# What takes several shards
#

clean();
my ($copied, @copy) = psql(0, 'COPY users (instance_id) FROM STDIN;' . "\n$one" x 6 . "\n$two\n\\.\n");
is(states($copied, @copy), 'XX000', 'COPY does not keep the SQLSTATE of another node');
like($copy[0]{message}, qr/^development instance "$one" has reached its cap of 5 users$/, 'but the message');
is(value(1, "SELECT count(*) FROM users WHERE instance_id IN ('$one', '$two')"), 0, 'and none of its rows is there');
is(states(psql(0, "INSERT INTO users (instance_id) SELECT '$one' FROM generate_series(1, 6);")), 'XX000', 'nor does INSERT ... SELECT');
is(states(psql(0, 'BEGIN;' . insert($one => 2) . insert($two => 5) . 'SAVEPOINT s;' . insert($two => 1) . 'ROLLBACK TO s;' . insert($one => 3) . 'COMMIT;')),
	'23I01', 'a savepoint gives back what it has undone');
is(value(1, "SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM users WHERE instance_id IN ('$one', '$two') GROUP BY instance_id) AS c"),
	'5 5', 'and all else is there');
is(states(psql(1, "INSERT INTO users (instance_id, id, name) SELECT instance_id, id, 'again' FROM users WHERE instance_id = '$one' ON CONFLICT (instance_id, id) DO UPDATE SET name = excluded.name;")),
	'', 'an upsert of those who are there takes no seat');

#
# The limit of deletions
#

value(0, insert($production => 4));
psql($_, "ALTER SYSTEM SET instance_env.destructive_rows = 3;\nSELECT pg_reload_conf();", must => 1) foreach nodes();
sleep 1;
my $delete = "DELETE FROM users WHERE instance_id = '$production';";
foreach my $node (nodes())
{
	fails($node, $delete, '55I05', qr/^cannot delete more than 3 users of production in one statement$/m, "node $node: too many at once");
	is(states(psql($node, "BEGIN; SET LOCAL instance_env.allow_destructive = on; $delete ROLLBACK;")),
		$node == $on ? '' : '55I05', 'what is set on one node counts there');
	log_since($_) foreach nodes();
	is(states(psql($node, "BEGIN; SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL instance_env.allow_destructive = on; $delete ROLLBACK;")),
		'', 'on all nodes, it does');
	like(log_since($on), qr/LOG:  instance_env event "delete" of table "public\.users"\n.*DETAIL:  Session user postgres, instance $production\./,
		"and is in that server's log");
}

whole();
done_testing();
