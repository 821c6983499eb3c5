# "Getting started" in the README runs as it stands: it fails where it says so, with the
# SQLSTATE that it says, and nowhere else.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my ($section) = $readme =~ /^## Getting started\n(.*?)^## /ms;
my $sql = join "\n", $section =~ /^```sql\n(.*?)^```/msg;
my @announced = $sql =~ /-- ERROR, SQLSTATE (\w{5})/g;
cmp_ok(scalar @announced, '>=', 4, 'the section shows errors');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION instance_env');

my ($stdout, $stderr);
$node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql",
	stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
my @raised = $stderr =~ /ERROR:  (\w{5})/g;
is("@raised", "@announced", 'its statements fail where it says so, and nowhere else');
like($stdout, qr/^users\|instance_id\|id\|t\|t$/m, 'and leave a table that is guarded');

$node->stop;
done_testing();
