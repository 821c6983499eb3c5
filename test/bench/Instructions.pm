
=pod

=head1 NAME

Instructions - how many instructions a row costs

=head1 DESCRIPTION

A time is only as good as the machine is quiet; a number of instructions is the same each
time.  callgrind counts those of a server in single-user mode, on fresh copies of one data
directory.  Two numbers of rows are inserted and the results subtracted, so that all that is
done once does not count.  A first row, which does not count either, shows the server
around.

=cut

package Instructions;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use POSIX ();

use Bench;
use Variants;

our @EXPORT = qw(instructions cannot_count count_instructions);

# In development the instance has this many users before.
my $users = 400;

# What is counted: the statements for so many rows, and the two numbers of rows.
my %kind = (
	instructions_production => {
		rows => [ 1000, 3000 ],
		statements => sub { _insert($_[0], $production, "n <= $_[1]") }
	},
	instructions_development => {
		rows => [ 20, 80 ],
		statements => sub { _insert($_[0], $development, "n <= $_[1]") }
	},
	instructions_development_each => {
		rows => [ 20, 80 ],
		statements => sub {
			my ($variant, $rows) = @_;
			return join '', map { _insert($variant, $development, "n = $_") } 1 .. $rows;
		}
	},
	instructions_deleted => {
		rows => [ 1000, 3000 ],
		statements => sub {
			my ($variant, $rows) = @_;
			return _insert($variant, $production, 'n <= 3000') .
			  "DELETE FROM $variant.users WHERE id IN (SELECT e FROM source WHERE n <= $rows);\n\n";
		}
	});

# The names of all that can be counted.
sub instructions
{
	return sort keys %kind;
}

sub cannot_count
{
	return system('command -v valgrind >/dev/null') == 0 ? undef : 'there is no valgrind';
}

sub _insert
{
	my ($variant, $instance, $condition) = @_;

	# in single-user mode, an empty line ends a statement
	my $id = substr $instance, 0, 1;
	return "INSERT INTO $variant.users (id, instance_id, email) "
	  . "SELECT $id, '$instance', email FROM source WHERE $condition;\n\n";
}

# Run with a server of its own, $data; $cmd runs while that is up.
sub _with_server
{
	my ($data, $sub) = @_;
	my @pg_ctl = ('pg_ctl', '-D', $data, '-l', "$data.log", '-s', '-w');
	system(@pg_ctl, 'start') == 0 or croak "could not start $data";
	my $done = eval {
		local $ENV{PGPORT} = 5433;
		$sub->();
		1;
	};
	my $error = $@;
	system(@pg_ctl, 'stop') == 0 or croak "could not stop $data";
	croak $error unless $done;
	return;
}

# A data directory with a table of each variant.
sub _prepare
{
	my ($data, @variants) = @_;
	my $preload = psql('postgres', 'SHOW shared_preload_libraries');

	system("initdb -D '$data' -U postgres -A trust -N --locale=C --encoding=UTF8 >'$data.log' 2>&1")
	  == 0
	  or croak 'initdb failed';
	open my $conf, '>>', "$data/postgresql.conf" or croak $!;
	print $conf "port = 5433\nlisten_addresses = ''\nunix_socket_directories = '$ENV{PGHOST}'\n",
	  "fsync = off\nautovacuum = off\njit = off\nshared_preload_libraries = '$preload'\n";
	close $conf or croak $!;

	_with_server(
		$data,
		sub {
			psql('postgres', 'CREATE DATABASE bench');
			psql_file('bench', 'registry.sql', applications => 5);
			psql('bench',
				"CREATE TABLE source AS SELECT n, 'user' || n || '\@example.com' AS email, "
				  . join(', ', map { "coded_id((SELECT encode(code, 'hex') FROM instance_env.instance WHERE id = '$_')) AS "
						  . substr($_, 0, 1) } $development, $production)
				  . ' FROM generate_series(1, 5000) n',
				'CREATE UNIQUE INDEX ON source (n)');
			foreach my $variant (@variants)
			{
				make_table('bench', $variant, undef, $users);
				attach('bench', $variant);
			}
			psql('bench', 'VACUUM (FREEZE, ANALYZE)');
		});
	return;
}

# All instructions of one server that runs the statements.
sub _count
{
	my ($data, $statements, @setting) = @_;
	my $run = "$data.$$";

	system('cp', '-a', $data, $run) == 0 or croak 'could not copy';
	open my $handle, '>', "$run.in" or croak $!;
	print $handle $statements;
	close $handle or croak $!;

	my $cmd = join ' ', 'valgrind --tool=callgrind', "--callgrind-out-file='$run.out'",
	  'postgres --single -j -F', (map { "-c '$_'" } @setting),
	  "-D '$run' bench <'$run.in' >'$run.log' 2>&1";
	system($cmd) == 0 or croak "failed: $cmd";
	open $handle, '<', "$run.log" or croak $!;
	my $log = join '', <$handle>;
	close $handle;
	croak $log if $log =~ /(ERROR|FATAL|PANIC):/;
	$log =~ /Collected : (\d+)/ or croak "no result: $log";
	my $count = $1;
	system('rm', '-rf', $run, "$run.in", "$run.out", "$run.log");
	return $count;
}

# Several at once: a list of lists of arguments.  Nothing here depends on time.
sub _counts
{
	my @pipes = map {
		my $pid = open(my $pipe, '-|');
		croak "could not fork: $!" unless defined $pid;
		if ($pid == 0)
		{
			my $count = eval { _count(@$_) };
			print defined $count ? "$count\n" : '';
			print STDERR $@ unless defined $count;
			STDOUT->flush;
			POSIX::_exit(defined $count ? 0 : 1);
		}
		$pipe;
	} @_;
	return map {
		my $count = readline $_;
		close $_ or croak 'could not count';
		chomp $count;
		$count;
	} @pipes;
}

# Calls $record with workload, variant, repetition and value, for all kinds named.
sub count_instructions
{
	my ($record, @kinds) = @_;
	my $data = "$ENV{PGHOST}/instructions";
	my @variants = ('unguarded', 'guarded', 'unkeyed', 'coded', @peers);

	# the same table, but another server
	my %setting = (guarded => 'guarded_scan', unkeyed => 'unkeyed_scan');
	my $without = without_memory();

	_prepare($data, @variants);
	foreach my $kind (@kinds)
	{
		my ($few, $many) = @{ $kind{$kind}{rows} };
		my $statements = $kind{$kind}{statements};
		my $one = sub {
			my ($variant, @arg) = @_;
			my $first = _insert($variant, $development, 'n = 5000');
			my ($less, $more) =
			  _counts(map { [ $data, $first . $statements->($variant, $_), @arg ] } $few, $many);
			return ($more - $less) / ($many - $few);
		};
		foreach my $variant (@variants)
		{
			$record->($kind, $variant, 1, $one->($variant));
			$record->($kind, $setting{$variant}, 1, $one->($variant, $without))
			  if $setting{$variant} && $kind =~ /development/;
		}
		print " $kind";
	}
	system('rm', '-rf', $data);
	return;
}

1;
