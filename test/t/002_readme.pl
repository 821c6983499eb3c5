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

# From an empty database to a promoted application: what the reader is to see on the way
my $production = '00000000-0000-4000-8000-00000000000f';
my @promoted = ('clone_setting|session.lifetime||3600',
	qq(activate|$production|{"status": "inactive"}|{"status": "active"}));
like($stdout, qr/^domain\|[^\n]* has no domain\./m, 'validate() tells what is missing');
my $promotions = () = $stdout =~ /^\Q$promoted[0]\E\n\Q$promoted[1]\E$/mg;
is($promotions, 3, 'rehearsed, promoted and, after a rollback, promoted again, with the same rows');
like($stdout, qr/^restore_setting\|session.lifetime\|3600\|\n\Qdeactivate|$production\E/m, 'the rollback takes it back');
like($stdout, qr/^setting\|session.lifetime\|600\|3600\|development$/m, 'and the drift is seen');
is( $node->safe_psql('postgres', 'SELECT type, status FROM instance_env.instances WHERE application = $$shop$$ ORDER BY type'),
	"development|active\nproduction|active", 'the application is promoted');
foreach my $function (qw(create_application guard set_setting create_secret_key validate promote dry_run rollback_promotion))
{
	like($sql, qr/\b$function\b/, "the walk-through shows $function");
}

$node->stop;
done_testing();
