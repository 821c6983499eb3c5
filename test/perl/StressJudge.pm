
=pod

=head1 NAME

StressJudge - replays what test_decoding reports and judges every commit

=head1 DESCRIPTION

Polling a table under load proves little: what a query sees is one state in
thousands.  The WAL holds all of them, in the order in which they were
committed.  The judge keeps the live rows of one guarded table, applies each
transaction as it was decoded, and asks after each COMMIT:

=over

=item * does an instance hold more rows than its cap, and more than before?

=item * does a key live in an instance other than the one in which it first
lived?

=item * does the change make sense at all: a row deleted that was not there, a
row that changed its instance?

=back

A transaction's own intermediate states are not judged, only what it leaves.

=cut

package StressJudge;

use strict;
use warnings;

# tables:   as test_decoding prints them, "public.member": the table, or its
#           partitions
# instance: the instance column
# key:      the user key column
# identity: array of the columns of the replica identity
# caps:     instance => cap
sub new
{
	my ($class, %arg) = @_;
	my $self = {
		%arg,
		is_mine => { map { $_ => 1 } @{ $arg{tables} } },
		live => {},         # replica identity => { column => value }
		count => {},        # instance => live rows
		home => {},         # key => the instance it first lived in
		before => undef,    # instance => count at BEGIN, of those touched
		arrived => {},      # rows that this transaction added
		xid => undef,
		over => [],         # commits that grew an instance beyond its cap
		moved => [],        # keys seen in a second instance
		broken => [],       # what cannot be replayed
		stat => {
			map { $_ => 0 }
			  qw(commits inserts updates deletes truncates at_cap worst)
		},
	};
	return bless $self, $class;
}

# Replay all lines of a file handle.
sub replay
{
	my ($self, $fh) = @_;
	while (my $line = <$fh>)
	{
		chomp $line;
		$self->apply($line);
	}
	return $self;
}

# Replay one line of test_decoding's output.
sub apply
{
	my ($self, $line) = @_;

	if ($line =~ /^BEGIN(?: (\d+))?/)
	{
		$self->{xid} = $1;
		$self->{before} = {};
		$self->{arrived} = {};
	}
	elsif ($line =~ /^COMMIT/)
	{
		$self->_judge_commit;
		$self->{before} = undef;
	}
	elsif ($line =~ /^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE): (.*)$/s)
	{
		my ($tables, $action, $rest) = ($1, $2, $3);

		# TRUNCATE lists all the tables it empties
		my @mine = grep { $self->{is_mine}{$_} } split /, /, $tables;
		return unless @mine;
		$self->{stat}{ lc($action) . 's' }++;

		if ($action eq 'INSERT')
		{
			$self->_add(_columns($rest));
		}
		elsif ($action eq 'DELETE')
		{
			$self->_remove(_columns($rest));
		}
		elsif ($action eq 'TRUNCATE')
		{
			# nobody truncates one partition only
			$self->_remove($_) foreach map { {%$_} } values %{ $self->{live} };
		}
		else
		{
			# old-key is there only when the replica identity changes
			my ($old, $new) = $rest =~ /^old-key: (.*?) new-tuple: (.*)$/s;
			$new = _columns(defined $new ? $new : $rest);
			$old = defined $old ? _columns($old) : $new;
			$self->_replace($old, $new);
		}
	}
	elsif ($line ne '' && $line !~ /^message:/)
	{
		$self->_broken("not understood: $line");
	}
	return;
}

# The rows that live now, one text each, sorted; values of the named columns
# separated by a space.
sub rows
{
	my ($self, @column) = @_;
	return sort map { join ' ', @{$_}{@column} } values %{ $self->{live} };
}

# "name[type]:value" pairs, text values quoted as SQL does
sub _columns
{
	my ($text) = @_;
	my %value;
	while ($text =~
		/\G\s*("(?:[^"]|"")+"|[^\s\[]+)\[((?:[^\[\]]|\[\])*)\]:('(?:[^']|'')*'|\S+)/g)
	{
		my ($name, $value) = ($1, $3);
		$name =~ s/^"(.*)"$/$1/s and $name =~ s/""/"/g;
		$value =~ s/^'(.*)'$/$1/s and $value =~ s/''/'/g;
		$value{$name} = $value;
	}
	return \%value;
}

sub _identity
{
	my ($self, $row) = @_;
	return join "\t",
	  map { defined $_ ? $_ : '(none)' } @{$row}{ @{ $self->{identity} } };
}

# Remember what an instance held when this transaction began.
sub _touch
{
	my ($self, $instance) = @_;
	$self->{count}{$instance} //= 0;
	$self->{before}{$instance} //= $self->{count}{$instance};
	return;
}

sub _add
{
	my ($self, $row) = @_;
	my $id = $self->_identity($row);
	my $instance = $row->{ $self->{instance} };

	return $self->_broken("row added twice: $id")
	  if exists $self->{live}{$id};
	$self->_touch($instance);
	$self->{live}{$id} = $row;
	$self->{arrived}{$id} = 1;
	$self->{count}{$instance}++;
	return;
}

sub _remove
{
	my ($self, $row) = @_;
	my $id = $self->_identity($row);
	my $gone = delete $self->{live}{$id};

	return $self->_broken("row deleted that was not there: $id")
	  unless $gone;
	$self->_touch($gone->{ $self->{instance} });
	$self->{count}{ $gone->{ $self->{instance} } }--;
	delete $self->{arrived}{$id};
	return;
}

sub _replace
{
	my ($self, $old, $new) = @_;
	my $id = $self->_identity($old);
	my $was = $self->{live}{$id};

	return $self->_broken("row updated that was not there: $id")
	  unless $was;
	push @{ $self->{moved} }, "xid $self->{xid}: row $id changed its instance"
	  if $was->{ $self->{instance} } ne $new->{ $self->{instance} };

	# the same identity is the usual case: nothing comes or goes
	if ($self->_identity($new) eq $id)
	{
		$self->{live}{$id} = $new;
		return;
	}
	$self->_remove($old);
	$self->_add($new);
	return;
}

sub _judge_commit
{
	my ($self) = @_;
	my $stat = $self->{stat};

	$stat->{commits}++;
	return $self->_broken('COMMIT without BEGIN') unless $self->{before};

	foreach my $instance (sort keys %{ $self->{before} })
	{
		my $cap = $self->{caps}{$instance};
		my $count = $self->{count}{$instance};

		# an instance without a cap may hold any number
		next unless defined $cap;
		$stat->{at_cap}++ if $count == $cap;
		next unless $count > $cap && $count > $self->{before}{$instance};

		$stat->{worst} = $count - $cap if $count - $cap > $stat->{worst};
		push @{ $self->{over} },
		  "xid $self->{xid}: instance $instance holds $count of $cap";
	}

	foreach my $id (sort keys %{ $self->{arrived} })
	{
		my $row = $self->{live}{$id};
		my $key = $row->{ $self->{key} };
		my $instance = $row->{ $self->{instance} };
		my $home = ($self->{home}{$key} //= $instance);

		push @{ $self->{moved} },
		  "xid $self->{xid}: key $key of $home came to $instance"
		  if $home ne $instance;
	}
	return;
}

sub _broken
{
	my ($self, $message) = @_;
	my $xid = defined $self->{xid} ? $self->{xid} : '?';
	push @{ $self->{broken} }, "xid $xid: $message";
	return;
}

1;
