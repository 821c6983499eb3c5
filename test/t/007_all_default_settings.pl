# "make installcheck" passes on a server as it comes: without preloading, and without prepared
# transactions.  Here are the tests that these are for; each has an expected output without.

use strict;
use warnings;

use Cwd;
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = getcwd();
my @specs = map { /(\w+)\.spec$/ } grep { slurp_file($_) =~ /PREPARE TRANSACTION/ } glob 'test/specs/*.spec';
my @others = grep { slurp_file($_) =~ /^PREPARE TRANSACTION/m } glob 'test/sql/*.sql';
cmp_ok(scalar @specs, '>', 0, 'there are such tests');
is("@others", '', 'but none that is not an isolation test');

my $node = PostgreSQL::Test::Cluster->new('default');
$node->init;
$node->start;
is($node->safe_psql('postgres', 'SHOW max_prepared_transactions; SHOW shared_preload_libraries'), "0\n", 'a server as it comes');

# Out of tree, so that it is not mistaken for the run of which this is part
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES VPATH TESTS)};
local @ENV{qw(PGHOST PGPORT)} = ($node->host, $node->port);
my $output;
ok( run([ 'make', '-C', PostgreSQL::Test::Utils::tempdir, '-f', "$source/Makefile", "VPATH=$source", 'installcheck',
			'PG_CONFIG=' . ($ENV{PG_CONFIG} // 'pg_config'), 'REGRESS=', 'TAP_TESTS=', "ISOLATION=@specs" ],
		'>', \$output, '2>&1'),
	"make installcheck: @specs")
  or diag($output);

$node->stop;
done_testing();
