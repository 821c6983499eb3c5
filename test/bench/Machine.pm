
=pod

=head1 NAME

Machine - what the benchmark has run on

=cut

package Machine;

use strict;
use warnings;

use Exporter 'import';

use Bench;

our @EXPORT = qw(machine);

sub _first_match
{
	my ($file, $pattern) = @_;
	open my $handle, '<', $file or return;
	while (<$handle>)
	{
		return $1 if /$pattern/;
	}
	return;
}

# In one line: processor, memory, versions.
sub machine
{
	my ($db) = @_;
	my $model = _first_match('/proc/cpuinfo', qr/^model name\s*:\s*(.*\S)/) || 'unknown processor';
	my $memory = _first_match('/proc/meminfo', qr/^MemTotal:\s*(\d+) kB/) || 0;
	my $system = _first_match('/etc/os-release', qr/^PRETTY_NAME="?([^"]*)/) || $^O;
	my $cores = `getconf _NPROCESSORS_ONLN`;
	my ($server) = psql($db, 'SHOW server_version') =~ /^(\S+)/;
	my $extension = psql($db, "SELECT extversion FROM pg_extension WHERE extname = 'instance_env'");

	chomp $cores;
	return sprintf '%s, %d cores, %.0f GB of memory; %s, PostgreSQL %s, instance_env %s',
	  $model, $cores, $memory / 1024 / 1024, $system, $server, $extension;
}

1;
