
=pod

=head1 NAME

StressLoad - random SQL scripts for the stress test

=head1 DESCRIPTION

A script is a pure function of the seed, the session's name and the round, so
that the application_name in the server's log tells how to get it again.

The load must not be able to deadlock by itself, so that any deadlock is the
extension's.  Whoever has inserted or deleted a row, and so has a claim to a seat
that others may wait for, must not wait for anything but a seat.  Hence:

=over

=item 1. A statement that may wait for a row or a key comes first in its
transaction, and is about one row.  While it waits its transaction has nothing
that another could want: a row that waits in a unique index is not yet in that
index, nor in any made later.  (Many rows are updated one by one, in the order of
their keys, by a transaction that does nothing else.)

=item 2. All other statements touch only rows that are their session's own, and
insert keys that nobody else uses.

=item 3. TRUNCATE comes first in its transaction, and gives up after a short
lock_timeout.

=back

The only other thing to wait for is a seat, or the same key in another instance,
and that is what is tested.

=cut

package StressLoad;

use strict;
use warnings;

use Digest::MD5 qw(md5);

use parent 'StressStatements';
use StressStatements qw(any chance);

# seed, name, round: which script
# table, instances:  the guarded table, and what its instance column may hold
sub new
{
	my ($class, %arg) = @_;
	my $self = bless {%arg}, $class;

	# perl's generator is the same on all platforms
	srand(unpack 'L', md5("$arg{seed} $arg{name} $arg{round}"));
	return $self;
}

#
# Transactions
#

sub _begin
{
	return 'BEGIN ISOLATION LEVEL '
	  . any('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ',
		'SERIALIZABLE')
	  . ';';
}

# Load 1: a bit of everything
sub mixed
{
	my ($self) = @_;

	# a transaction each; a savepoint would be out of place
	return any($self->insert, $self->delete, $self->update) if chance(0.2);
	return $self->swap if chance(0.1);
	return $self->first if chance(0.25);

	my @body = (
		$self->_begin,
		chance(0.4) ? $self->first : (),
		map { $self->step } 1 .. any(1, 2, 3));

	return (@body, 'ROLLBACK;') if chance(0.15);
	return (@body, 'COMMIT;')
	  unless $self->{prepares} && chance(0.15);

	# Prepared, and some left open while this session goes on; a few are left
	# to the session that resolves orphans.
	my $gid = "$self->{name}-$self->{round}-" . ++$self->{prepared};
	push @body, "PREPARE TRANSACTION '$gid';", $self->_pause(0.5);
	push @body, $self->mixed if chance(0.3);
	push @body, any('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$gid';"
	  unless chance(0.02);
	return @body;
}

# A row of load 2's table, locked or not
sub _row
{
	my ($self, $instance) = @_;
	return "id = (SELECT id FROM $self->{table}"
	  . " WHERE instance_id = '$instance' ORDER BY random() LIMIT 1)";
}

# Load 2: two updates for each insert or delete; more inserts than deletes, so
# that the instances stay at their caps.  Every update changes an indexed
# column, so that none is HOT.
sub updates
{
	my ($self) = @_;
	my $table = $self->{table};
	my $instance = $self->_instance;
	my $p = rand;

	return "UPDATE $table SET seen = seen + 1 WHERE " . $self->_row($instance) . ';'
	  if $p < 0.48;

	# many rows at once
	my $n = any(5, 15, 40);
	return <<"SQL" if $p < 0.63;
DO \$\$
DECLARE
	row record;
BEGIN
	FOR row IN SELECT id FROM $table WHERE instance_id = '$instance' ORDER BY id LIMIT $n
	LOOP
		UPDATE $table SET seen = seen + 1 WHERE id = row.id;
	END LOOP;
END \$\$;
SQL

	# a row that is updated while others hold share locks has a multixact
	return (
		'BEGIN;',
		"SELECT seen FROM $table WHERE " . $self->_row($instance) . ' FOR KEY SHARE;',
		$self->_pause(1), 'COMMIT;')
	  if $p < 0.66;

	# the rest inserts and deletes, in instances that are not somebody's own
	$instance = any(@{ $self->{contended} });
	my $insert = "INSERT INTO $table (instance_id) VALUES ('$instance')";
	my $delete = "DELETE FROM $table WHERE " . $self->_row($instance);

	return "$insert;" if $p < 0.86;
	return "$delete;" if $p < 0.93;
	return ($self->_begin, "$delete;", "$insert;", any('COMMIT;', 'ROLLBACK;'))
	  if $p < 0.97;
	return "WITH gone AS ($delete RETURNING instance_id)"
	  . " INSERT INTO $table (instance_id) TABLE gone;";
}

# Load 2, in an instance that nobody else inserts into: it is full, this deletes
# a row and inserts one, in one transaction or in two.  There is always a seat,
# whatever the others' updates do, so that a refusal is an error.
sub own
{
	my ($self) = @_;
	my $table = $self->{table};
	my $insert = "INSERT INTO $table (instance_id) VALUES ('$self->{own}')";
	my $delete = "DELETE FROM $table WHERE " . $self->_row($self->{own});

	return ("$delete;", "$insert;") if chance(0.5);
	return ('BEGIN;', "$delete;", "$insert;", 'COMMIT;') if chance(0.5);
	return "WITH gone AS ($delete RETURNING instance_id)"
	  . " INSERT INTO $table (instance_id) TABLE gone;";
}

# A script of n transactions of a kind
sub script
{
	my ($self, $kind, $n) = @_;

	# in half of the scripts each statement is a subtransaction of its own
	my @line = '\set ON_ERROR_ROLLBACK ' . any('on', 'off');
	push @line, $self->$kind foreach 1 .. $n;
	return join "\n", @line, '';
}

# What makes trouble beside load 1: kills, TRUNCATE, VACUUM
sub trouble
{
	my ($self, $victims) = @_;
	my @line = ("SET lock_timeout = '150ms';");

	foreach (1 .. 10)
	{
		push @line,
		  'SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
		  . " WHERE application_name ~ '^$victims' AND state <> 'idle'"
		  . ' ORDER BY random() LIMIT 1;';
		push @line, 'SELECT pg_sleep(' . rand(0.2) . ');';
		push @line, $self->_begin, "TRUNCATE $self->{table};", $self->insert,
		  any('COMMIT;', 'ROLLBACK;')
		  if chance(0.35);
	}
	push @line, 'RESET lock_timeout;', "VACUUM (FREEZE) $self->{table};"
	  if chance(0.5);
	return join "\n", @line, '';
}

# Beside both loads: a snapshot that for a while keeps dead versions from being
# removed, so that a scan has many to pass and takes longer; then, twice, more
# invalidation messages at once than the queue has room for (4096), so that every
# session loses all that it has cached.
sub unrest
{
	my $snapshot = <<'SQL';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pg_am;
SELECT pg_sleep(0.5);
COMMIT;
SQL
	my $flood = <<'SQL';
BEGIN;
SELECT format('CREATE TEMPORARY TABLE flood (%s) ON COMMIT DROP', string_agg(format('c%s integer', n), ', '))
	FROM generate_series(1, 1500) AS n \gexec
COMMIT;
SELECT pg_sleep(0.1);
SQL
	return ($snapshot . $flood x 2) x 3;
}

# Ends prepared transactions whose session does not: it was killed, or left them
sub resolve
{
	return <<'SQL';
SELECT format('%s PREPARED %L', CASE WHEN random() < 0.5 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid)
	FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '0.4 s' \gexec
SELECT pg_sleep(0.1);
SQL
}

1;
