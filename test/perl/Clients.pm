
=pod

=head1 NAME

Clients - runs programs that talk to the server, and installs those that npm has

=cut

package Clients;

use strict;
use warnings;

use Exporter qw(import);
use File::Copy;
use IPC::Run;

use PostgreSQL::Test::Utils;

our @EXPORT = qw(output_of install_from_npm);

# Runs a command; returns what it prints, standard error included, and whether it succeeds
# in time.
sub output_of
{
	my ($seconds, @command) = @_;
	my $output = '';
	my $succeeded = eval {
		IPC::Run::run(\@command, '<', \undef, '>&', \$output, IPC::Run::timeout($seconds));
	};
	return ($output, $succeeded);
}

# A folder with what is in test/clients and the packages that it needs, of the versions in the
# lock file; or nothing and the reason why they cannot be had.
sub install_from_npm
{
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my @flags = qw(--ignore-scripts --no-audit --no-fund --prefer-offline --no-update-notifier
	  --fetch-retries=1 --fetch-timeout=20000);

	my ($version, $found) = output_of(10, 'node', '--version');
	return (undef, 'there is no node 18 or newer') unless $found and $version =~ /^v(\d+)/ and $1 >= 18;
	(undef, $found) = output_of(20, 'npm', '--version');
	return (undef, 'there is no npm') unless $found;

	copy($_, $folder) or die "$_: $!" foreach glob 'test/clients/*';
	# the user may have no home
	$ENV{npm_config_cache} //= "$folder/cache" unless defined $ENV{HOME} and -w $ENV{HOME};
	my ($output, $installed) = output_of(120, 'npm', 'ci', '--prefix', $folder, @flags);
	return (undef, 'npm cannot install the clients: ' . ($output =~ /^(npm error.*)$/m ? $1 : 'no answer in time'))
	  unless $installed;
	return $folder;
}

1;
