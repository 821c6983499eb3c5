
=pod

=head1 NAME

StressTrial - runs one load against one guarded table, and tests what came of it

=cut

package StressTrial;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use StressClients;
use StressJudge;

# Everything that needs a test of its own against a load: run it, then have the
# judge replay what it committed.
#
# node, seconds, session, support: see StressClients
# table, caps, identity:  see StressJudge; the key is called id, the instance
#                         column instance_id
# fill:                   SQL that fills the table before the load
# errors:                 see StressClients::server_errors
#
# Returns the judge, the sessions' tally, and the number of errors by SQLSTATE.
sub run
{
	my (%arg) = @_;
	my ($node, $table) = @arg{qw(node table)};
	my $slot = "judge_$table";

	$node->safe_psql('postgres',
		"SELECT pg_create_logical_replication_slot('$slot', 'test_decoding')");
	$node->safe_psql('postgres', $arg{fill}) if $arg{fill};

	my $offset = -s $node->logfile;
	my $tally = StressClients::run(
		node => $node,
		seconds => $arg{seconds},
		session => $arg{session},
		support => $arg{support});

	_no_prepared_transactions($node, $table);

	my ($errors, $surprises) =
	  StressClients::server_errors($node, $offset, %{ $arg{errors} });
	_none("$table: no unexpected error in the server's log", @$surprises);
	is($errors->{'40P01'} || 0, 0, "$table: no deadlock");

	my $judge = StressJudge->new(
		tables => [ map { "public.$_" } _leaves($node, $table) ],
		instance => 'instance_id',
		key => 'id',
		identity => $arg{identity},
		caps => $arg{caps});
	_judge($node, $table, $slot, $judge);

	my $stat = $judge->{stat};
	note "$table: ", join ', ', map { "$stat->{$_} $_" } sort keys %$stat;
	note "$table: ", join ', ', map { "$errors->{$_} $_" } sort keys %$errors;
	note "$table: ", join ', ',
	  map { StressClients::total($tally, $_) . ' ' . lc $_ }
	  ('ROUNDS', 'COMMIT', 'ROLLBACK', 'PREPARE TRANSACTION',
		'COMMIT PREPARED', 'ROLLBACK PREPARED');
	return ($judge, $tally, $errors);
}

# After a load: the indexes hold every row, the guard is whole, and every
# instance accepts exactly as many users as it has seats.
sub aftermath
{
	my ($node, $table, $caps) = @_;

	# This finds also index entries that were killed although somebody needs
	# them.
	my $relations = join ', ',
	  map { "'$_'::regclass" }
	  (_leaves($node, $table), 'instance_env.departed_user');
	is( $node->safe_psql('postgres', <<"SQL"), '', "$table: heap and indexes agree");
SELECT r, v.* FROM unnest(ARRAY[$relations]) AS r, verify_heapam(r) AS v;
SELECT 'too few indexes' FROM pg_index WHERE indrelid IN ($relations)
	HAVING count(bt_index_check(indexrelid, true)::text) < 4;
SQL

	is( $node->safe_psql('postgres',
			"SELECT whole, problems FROM instance_env.guards WHERE relation = '$table'::regclass"),
		't|{}',
		"$table: the guard is whole");

	foreach my $instance (sort { $caps->{$a} <=> $caps->{$b} } keys %$caps)
	{
		my $cap = $caps->{$instance};
		my $these = "FROM $table WHERE instance_id = '$instance'";

		# some seats are free, and some of these only just now
		$node->safe_psql('postgres',
			"DELETE $these AND id = ANY (ARRAY(SELECT id $these LIMIT 3))");
		my $free = $cap - $node->safe_psql('postgres', "SELECT count(*) $these");

		my ($status, $out, $err) = $node->psql(
			'postgres',
			"\\set VERBOSITY sqlstate\n"
			  . "INSERT INTO $table (instance_id) VALUES ('$instance');\n"
			  x ($free + 2)
			  . "SELECT count(*) $these;",
			on_error_stop => 0);
		is( join(' ', $out, $err =~ /ERROR:  (\w+)/g),
			"$cap 23I01 23I01",
			"$table: $free more users, and no more, for an instance of $cap");
	}
	return;
}

# The table itself, or its partitions
sub _leaves
{
	my ($node, $table) = @_;
	my @leaves = split /\n/,
	  $node->safe_psql('postgres',
		"SELECT relid FROM pg_partition_tree('$table') WHERE isleaf");
	return @leaves ? @leaves : $table;
}

# Nothing found, or say what: not all of it
sub _none
{
	my ($name, @found) = @_;
	return is(scalar @found, 0, $name)
	  || diag join "\n", @found[ 0 .. ($#found > 19 ? 19 : $#found) ];
}

# End what is left of two-phase commit once the sessions are gone.
sub _no_prepared_transactions
{
	my ($node, $table) = @_;

	$node->poll_query_until('postgres', <<'SQL') or die 'sessions did not end';
SELECT NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND pid <> pg_backend_pid());
SQL
	my $left = $node->safe_psql('postgres', <<'SQL');
SELECT format('%s PREPARED %L', CASE WHEN random() < 0.5 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid)
	FROM pg_prepared_xacts;
SQL
	$node->safe_psql('postgres', $_) foreach split /\n/, $left;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
		0, "$table: no prepared transaction is left");
	return;
}

# Replay the WAL.
sub _judge
{
	my ($node, $table, $slot, $judge) = @_;

	# with synchronous_commit off the last commits may not be in it yet
	$node->safe_psql('postgres', 'CHECKPOINT');
	open my $changes, '-|', 'psql', '-X', '-d', $node->connstr('postgres'),
	  '-c',
	  "COPY (SELECT data FROM pg_logical_slot_get_changes('$slot', NULL, NULL)) TO STDOUT"
	  or die "could not run psql: $!";
	$judge->replay($changes);
	ok(close($changes), "$table: the WAL was decoded");
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");

	_none("$table: no commit left an instance over its cap",
		@{ $judge->{over} });
	_none("$table: no user came to another instance", @{ $judge->{moved} });
	_none("$table: every change could be replayed", @{ $judge->{broken} });

	my $rows = $node->safe_psql('postgres',
		"SELECT instance_id || ' ' || id || ' ' || seen FROM $table");
	ok( join("\n", sort split /\n/, $rows) eq
		  join("\n", $judge->rows('instance_id', 'id', 'seen')),
		"$table: the replay ends where the table is");
	return;
}

1;
