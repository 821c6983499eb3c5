
=pod

=head1 NAME

StressStatements - random statements on a guarded table

=head1 DESCRIPTION

Those of two kinds, and which is which matters: see StressLoad.

The table has the columns instance_id, id (text, with a default that is unique),
seen (indexed), and owner: the name of the only session that may touch the row,
or null.

=cut

package StressStatements;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(any chance);

sub any { return $_[ int rand @_ ] }
sub chance { return rand() < $_[0] }

sub _instance
{
	my ($self) = @_;
	return any(@{ $self->{instances} });
}

# A list of instances, of at most two kinds
sub _instance_list
{
	my ($self, $n) = @_;
	my @kind = ($self->_instance, $self->_instance);
	return map { any(@kind) } 1 .. $n;
}

# A few milliseconds in which the others get on
sub _pause
{
	return chance($_[1]) ? (sprintf 'SELECT pg_sleep(%.4f);', rand 0.01) : ();
}

#
# Statements that wait for no row: on rows of this session, for the middle of a
# transaction
#

# My rows of an instance, as an array of keys.  Another transaction can have
# locked them only if this session has prepared it: hence SKIP LOCKED.  An
# InitPlan, for a subquery in a join could be run, and lock rows, many times.
sub _my_rows
{
	my ($self, $instance, $n) = @_;
	return "ANY (ARRAY(SELECT id FROM $self->{table}"
	  . " WHERE instance_id = '$instance' AND owner = '$self->{name}'"
	  . " ORDER BY random() LIMIT $n FOR UPDATE SKIP LOCKED))";
}

# New rows, half of them mine
sub insert
{
	my ($self, @instance) = @_;
	my $table = "$self->{table} (instance_id, owner)";
	my $owner = any("'$self->{name}'", "'$self->{name}'", 'NULL');

	@instance = $self->_instance_list(any(1, 1, 1, 2, 3, 6)) unless @instance;
	return "INSERT INTO $table SELECT '$instance[0]', $owner"
	  . " FROM generate_series(1, " . @instance . ");"
	  if chance(0.2);
	return "INSERT INTO $table VALUES "
	  . join(', ', map { "('$_', $owner)" } @instance) . ';';
}

sub delete
{
	my ($self, $instance, $n) = @_;
	$instance //= $self->_instance;
	$n //= any(1, 2, 4, 12);
	return "DELETE FROM $self->{table} WHERE instance_id = '$instance'"
	  . ' AND id = ' . $self->_my_rows($instance, $n) . ';';
}

sub update
{
	my ($self) = @_;
	my $instance = $self->_instance;

	# sometimes the key changes; the instance never does
	return "UPDATE $self->{table} SET "
	  . any('seen = seen + 1', 'seen = seen + 1', 'id = DEFAULT')
	  . " WHERE instance_id = '$instance' AND id = "
	  . $self->_my_rows($instance, any(1, 2, 5)) . ';';
}

# Delete and insert as many, in one statement or in two
sub swap
{
	my ($self) = @_;
	my $instance = $self->_instance;
	my $n = any(1, 1, 2, 4);
	my $delete = $self->delete($instance, $n);

	return ($delete, $self->_pause(0.3), $self->insert(($instance) x $n))
	  if chance(0.4);
	$delete =~ s/;$//;
	return "WITH gone AS ($delete RETURNING instance_id, owner)"
	  . " INSERT INTO $self->{table} (instance_id, owner) TABLE gone;";
}

# A part that may be undone on its own
sub savepoint
{
	my ($self) = @_;
	my $name = 's' . ++$self->{savepoints};
	my @body = map { $self->step } 1 .. any(1, 2);
	return (
		"SAVEPOINT $name;", @body,
		chance(0.5)
		? "ROLLBACK TO SAVEPOINT $name;"
		: "RELEASE SAVEPOINT $name;");
}

# One of them all
sub step
{
	my ($self) = @_;
	my $p = rand;
	return (
		  $p < 0.40 ? $self->insert
		: $p < 0.60 ? $self->delete
		: $p < 0.75 ? $self->swap
		: $p < 0.85 ? $self->update
		:             $self->savepoint,
		$self->_pause(0.15));
}

#
# Statements that may wait for one row or one key: on what several sessions want,
# only for the beginning of a transaction
#

# A row that anybody may touch.  It is not locked here: to lock the newest version
# of a row, and then to change the one that the statement's snapshot sees, can
# deadlock with another that does the same.
sub _any_row
{
	my ($self, $instance) = @_;
	return "(SELECT id FROM $self->{table} WHERE instance_id = '$instance'"
	  . ' AND owner IS NULL ORDER BY random() LIMIT 1)';
}

sub first
{
	my ($self) = @_;
	my $table = $self->{table};
	my $instance = $self->_instance;
	my $row = "instance_id = '$instance' AND id = " . $self->_any_row($instance);
	my $p = rand;

	return "DELETE FROM $table WHERE $row;" if $p < 0.20;
	return "UPDATE $table SET seen = seen + 1 WHERE $row;" if $p < 0.30;
	return "UPDATE $table SET id = DEFAULT WHERE $row;" if $p < 0.35;
	return "SELECT seen FROM $table WHERE $row FOR KEY SHARE;" if $p < 0.40;
	return "COPY $table (instance_id, owner) FROM STDIN;\n"
	  . join("\n",
		(map { "$_\t" . any('\N', $self->{name}) }
			  $self->_instance_list(any(1, 2, 5))),
		'\.')
	  if $p < 0.55;

	# a key that is new about now, wanted by several instances at once
	my $shared = "'shared-' || floor(extract(epoch FROM clock_timestamp()) * 2)"
	  . ' || ' . any("'-a'", "'-b'");

	return "INSERT INTO $table (instance_id, id) SELECT '$instance', $shared;"
	  if $p < 0.65;
	return "DELETE FROM $table WHERE instance_id = '$instance' AND id = $shared;"
	  if $p < 0.70;

	# a key of this instance that others insert too
	my $key = "pool-$instance-" . int rand 12;
	my $insert = "INSERT INTO $table AS t (instance_id, id) VALUES ('$instance', '$key')";

	return "$insert;" if $p < 0.75;
	return "$insert ON CONFLICT (instance_id, id) DO NOTHING;" if $p < 0.80;
	return "$insert ON CONFLICT (instance_id, id) DO UPDATE SET seen = t.seen + 1;"
	  if $p < 0.90;
	return "MERGE INTO $table AS t USING (SELECT '$instance'::uuid AS i, '$key' AS k) AS s"
	  . ' ON t.instance_id = s.i AND t.id = s.k'
	  . ' WHEN MATCHED THEN UPDATE SET seen = t.seen + 1'
	  . ' WHEN NOT MATCHED THEN INSERT (instance_id, id) VALUES (s.i, s.k);';
}

1;
