# The version is written once, in the control file; what has to repeat it agrees.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $control = slurp_file('instance_env.control');
my ($version) = $control =~ /^default_version\s*=\s*'([^']+)'/m;
like($version, qr/^\d+\.\d+$/, 'the control file has a version');

# PGXN wants three numbers.
my $meta = decode_json(slurp_file('META.json'));
is($meta->{version}, "$version.0", 'META.json has the version');
is($meta->{provides}{instance_env}{version},
	"$version.0", 'META.json provides the version');
is($meta->{provides}{instance_env}{file},
	"sql/instance_env--$version.sql", 'META.json names the install script, which the archive has');

my ($newest) = slurp_file('CHANGELOG.md') =~ /^## (\S+)/m;
is($newest, $version, 'CHANGELOG.md begins with the version');

my $node = PostgreSQL::Test::Cluster->new('version');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION instance_env');
is( $node->safe_psql(
		'postgres',
		"SELECT extversion FROM pg_extension WHERE extname = 'instance_env'"),
	$version,
	'CREATE EXTENSION installs the version');
$node->stop;

done_testing();
