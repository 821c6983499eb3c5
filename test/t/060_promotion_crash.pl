# A backend that is killed in the middle of a promotion leaves all of it or nothing: what
# is active has all of development's settings, its history and its events; what is not has
# none of them.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{INSTANCE_ENV_CRASH_ROUNDS} || 12;
my $seed = $ENV{INSTANCE_ENV_CRASH_SEED} || int rand 1_000_000_000;
my $settings = 1000;

note "INSTANCE_ENV_CRASH_SEED=$seed";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
restart_after_crash = on
log_min_messages = fatal
});
$node->start;

# The last application is for taking the time.
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id serial PRIMARY KEY, instance_id text);
	SELECT instance_env.guard('users');
	INSERT INTO instance_env.setting_section (name, cloned, description) VALUES ('crash', true, 'test');
	SELECT instance_env.create_application('app' || i, production_key => 'live' || i) FROM generate_series(1, $rounds + 1) i;
	SELECT instance_env.associate_domain(instance_id, application || '-example.com'),
		instance_env.verify_domain(instance_id, application || '-example.com')
	FROM instance_env.instances WHERE type = 'production';
	INSERT INTO instance_env.setting
	SELECT instance_id, 'crash.' || n, to_jsonb(repeat('x', 100))
	FROM instance_env.instances, generate_series(1, $settings) n WHERE type = 'development';
});

# What there is of a promotion: 0 of 0, or all of it.
sub traces
{
	my ($application) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT i.status,
			(SELECT count(*) FROM instance_env.setting s WHERE s.instance = i.id) AS settings,
			(SELECT count(*) FROM instance_env.event e WHERE e.instance = i.id AND e.action = 'promote') AS events,
			(SELECT count(*) FROM instance_env.promotion p WHERE p.application = i.application) AS promotions,
			(SELECT coalesce(max(jsonb_array_length(p.changes)), 0) FROM instance_env.promotion p WHERE p.application = i.application) AS changes
		FROM instance_env.instance i WHERE i.id = instance_env.instance_id('$application', 'production')});
}

my $all = join '|', 'active', $settings, $settings + 1, 1, $settings + 1;
my $nothing = 'inactive|0|0|0|0';

sub promotion
{
	my ($n) = @_;
	return "SELECT count(*) FROM instance_env.promote(instance_env.application_id('app$n'))";
}

my $last = $rounds + 1;
my $begun = time;
is($node->safe_psql('postgres', promotion($last)), $settings + 1, 'a promotion without a crash');
my $duration = time - $begun;
note sprintf 'it takes %.0f ms', 1000 * $duration;
is(traces("app$last"), $all, 'leaves all of it');

my %outcome = ($all => 0, $nothing => 0);

foreach my $n (1 .. $rounds)
{
	my ($in, $out, $err) = ('', '', '');
	my $psql = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$in .= "SELECT pg_backend_pid();\n";
	$psql->pump until $out =~ /^(\d+)\n/;
	my $pid = $1;

	# Some survive their promotion: what has been committed stays.
	$in .= promotion($n) . ";\n";
	$psql->pump_nb;
	usleep(int rand 1.2e6 * $duration);
	is(kill('KILL', $pid), 1, "round $n: a backend is killed");
	$in .= "\\q\n";
	eval { $psql->finish };
	$node->poll_query_until('postgres', 'SELECT true')
	  or die 'the server does not come back';

	my $traces = traces("app$n");
	ok(exists $outcome{$traces}, "round $n: all or nothing") or diag $traces;
	is($traces, $all, "round $n: what the client was told of is there") if $out =~ /^@{[$settings + 1]}$/m;
	$outcome{$traces}++;

	# Whichever it was, the rest of the way is open.
	$node->psql('postgres', "INSERT INTO users (instance_id) VALUES ('live$n');\n\\echo :SQLSTATE\n",
		stdout => \my $state, on_error_stop => 0);
	is($state, $traces eq $all ? '00000' : '23I04', "round $n: users are admitted accordingly");
	is( $node->safe_psql('postgres', promotion($n)),
		$traces eq $all ? 0 : $settings + 1, "round $n: promoted again, for good");
	is(traces("app$n"), $all, "round $n: all of it is there");
}

note "all: $outcome{$all}, nothing: $outcome{$nothing}";
cmp_ok($outcome{$nothing}, '>', 0, 'some were killed before they had committed');

$node->stop;
done_testing();
