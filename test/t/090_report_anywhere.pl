# report() is the same page whatever the encodings of client and database are: plain ASCII, and
# the characters that were meant.  And on a standby.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->start;

# The report of a database, as bytes, without the time.
sub report
{
	my ($database, @settings) = @_;
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } @settings;
	return $node->safe_psql($database, 'SELECT instance_env.report()') =~ s/\d\d:\d\d UTC//gr;
}

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application(U&'caf\00E9 \+01F6D2');
	});
my $page = report('postgres');
like($page, qr/<bdi>caf&#xE9; &#x1F6D2;</, 'characters that are not ASCII');
like($page, qr/\A[\n\t -~]+\z/, 'the page is ASCII');
is(report('postgres', "client_encoding=$_"), $page, "and the same for a client with $_") foreach qw(LATIN1 SJIS GB18030);

foreach my $encoding (qw(LATIN1 EUC_JP SQL_ASCII MULE_INTERNAL))
{
	my %name = (
		LATIN1 => [ 'caf\351', 'caf&#xE9;' ],
		EUC_JP => [ '\305\354\265\376', '&#x6771;&#x4EAC;' ],
		SQL_ASCII => [ 'caf\351 caf\303\251', 'caf&#xFFFD; caf&#xE9;' ],
		MULE_INTERNAL => [ 'caf\201\351', 'caf' ]);
	my $database = lc $encoding;

	$node->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->safe_psql($database, 'CREATE EXTENSION instance_env');
	$node->safe_psql($database,
		"SELECT instance_env.create_application(convert_from('$name{$encoding}[0]'::bytea, '$encoding'))");
	my $report = report($database);
	like($report, qr/\A[\n\t -~]+\z/, "a database in $encoding: the page is ASCII, too");
	like($report, qr/<bdi>\Q$name{$encoding}[1]\E/, 'with the characters that were meant');
}

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
like($standby->safe_psql('postgres', 'SELECT instance_env.report()'),
	qr{instance_env [\d.]+, standby</p>.*<bdi>caf&#xE9; &#x1F6D2;<.*</html>}s, 'a standby has it, too');

done_testing();
