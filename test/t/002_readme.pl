# The README tells the truth.  "Getting started" runs as it stands: it fails where it says
# so, with the SQLSTATE that it says, and nowhere else.  The reference tables name what there
# is, each once, with its arguments, what it returns, and who may call it.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');

# A section, without the heading.
sub section
{
	my ($title) = @_;
	my ($level) = $readme =~ /^(#+) \Q$title\E$/m or die "README has no section $title";
	my ($text) = $readme =~ /^$level \Q$title\E\n(.*?)^(?:\Q$level\E|##) /ms;
	return $text;
}

# The cells of all rows of tables in a text, headings left out.
sub rows
{
	my ($text) = @_;
	return map { [ /\| (.*?) (?=\|)/g ] } grep { /^\| `/ } split /\n/, $text;
}

my $sql = join "\n", section('Getting started') =~ /^```sql\n(.*?)^```/msg;
my @announced = $sql =~ /-- ERROR, SQLSTATE (\w{5})/g;
cmp_ok(scalar @announced, '>=', 4, 'the section shows errors');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION instance_env');

my ($stdout, $stderr);
$node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql",
	stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
my @raised = $stderr =~ /ERROR:  (\w{5})/g;
is("@raised", "@announced", 'its statements fail where it says so, and nowhere else');
like($stdout, qr/^users\|instance_id\|id\|t\|t$/m, 'and leave a table that is guarded');

#
# The functions, as the catalogue has them and as the README writes them.
#

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE backend;
CREATE ROLE monitor;
CREATE ROLE guard;
CREATE ROLE admin;
SELECT instance_env.grant_backend('backend'), instance_env.grant_monitor('monitor'), instance_env.grant_guard('guard'),
	instance_env.grant_admin('admin');

CREATE VIEW described AS
SELECT p.proname, p.oid, p.prorettype,
	format('`%s(%s)`', p.proname, regexp_replace(regexp_replace(i.args, 'timestamp with time zone', 'timestamptz', 'g'),
		' DEFAULT (NULL|[^ ,:]+)(::[^,]*)?', ' = \1', 'g'))
	|| CASE WHEN o.columns IS NOT NULL THEN format(' → `(%s)`', o.columns)
			WHEN p.prorettype = 'void'::regtype THEN ''
			ELSE format(' → `%s`', format_type(p.prorettype, NULL)) END AS written,
	CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everybody'
		ELSE coalesce(nullif(concat_ws(', ', CASE WHEN has_function_privilege('backend', p.oid, 'EXECUTE') THEN 'backend' END,
				CASE WHEN has_function_privilege('monitor', p.oid, 'EXECUTE') THEN 'monitor' END,
				CASE WHEN has_function_privilege('guard', p.oid, 'EXECUTE') THEN 'guard' END), ''),
			CASE WHEN has_function_privilege('admin', p.oid, 'EXECUTE') THEN 'admin' ELSE 'nobody' END) END AS audience
FROM pg_proc p,
	-- an INOUT argument of a function is one that can be given, of the procedure it is the result
	LATERAL (SELECT string_agg(regexp_replace(a, '^(INOUT|IN) ', ''), ', ' ORDER BY n) AS args
		FROM regexp_split_to_table(pg_get_function_arguments(p.oid), ', ') WITH ORDINALITY AS r (a, n)
		WHERE a !~ CASE p.prokind WHEN 'p' THEN '^(OUT|INOUT) ' ELSE '^OUT ' END) i,
	LATERAL (SELECT string_agg(p.proargnames[n], ', ' ORDER BY n) AS columns
		FROM generate_subscripts(p.proargmodes, 1) AS n WHERE p.proargmodes[n] IN ('o', 'b', 't')) o
WHERE p.pronamespace = 'instance_env'::regnamespace;
SQL

my @functions = rows(section('Functions'));
my ($own) = section('Functions') =~ /^(The remaining functions .*)/ms;
my %internal = map { $_ => 1 } $own =~ /`(\w+)`/g;
delete @internal{qw(guard guards)};
my $internal = join ', ', map { "'$_'" } sort keys %internal;

# of what has the same name and does the same, one is enough
my $there = $node->safe_psql('postgres', <<SQL);
SET search_path = pg_catalog, instance_env;
SELECT written, audience FROM public.described
WHERE prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND proname NOT IN ($internal)
AND oid <> 'instance_env.instance_id(text, instance_env.instance_type)'::regprocedure
ORDER BY written COLLATE "C";
SQL
is(join("\n", sort map { "$_->[0]|$_->[2]" } @functions),
	$there, 'it lists each function once, as it is, for whom it is');
is($node->safe_psql('postgres', "SELECT DISTINCT proname FROM described WHERE proname IN ($internal) ORDER BY 1"),
	join("\n", sort keys %internal), 'and what it calls internal exists');

my @views = map { $_->[0] =~ /^`(\w+)`$/ } rows(section('Views'));
is(join("\n", sort @views), $node->safe_psql('postgres',
		q{SELECT relname FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind = 'v'
		  ORDER BY relname COLLATE "C"}),
	'it lists each view once');

my @parameters = map { $_->[0] =~ /^`([\w.]+)`$/ } rows(section('Settings of the server'));
is(join("\n", sort @parameters),
	$node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE name LIKE 'instance\_env.%' ORDER BY 1}),
	'it lists each setting of the server once');

my @states = map { $_->[0] =~ /^`(\w+)`$/ } rows(section('Errors'));
my @defined = map { join '', /'(\w)'/g } slurp_file('src/instance_env.h') =~ /^#define ERRCODE_IENV_\w+\s+(.*)$/mg;
is("@{[ sort @states ]}", "@{[ sort @defined ]}", 'it lists each SQLSTATE once');

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

# GitHub's anchors
my %anchors = map { my $a = lc; $a =~ s/[^\w -]//g; $a =~ tr/ /-/; ("#$a" => 1) } $readme =~ /^#+ (.*)$/mg;
my @dead = grep { !$anchors{$_} && !-e $_ } $readme =~ /\]\(([^)]+)\)/g;
is("@dead", '', 'its links lead somewhere');

$node->stop;
done_testing();
