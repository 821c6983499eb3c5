# The documents tell the truth.  Every SQL block of the README, of Concepts, of the Reference,
# of Adopting and of Clients runs as it stands, in a database of the document's own: it fails where it says
# so, with the SQLSTATE that it says, and nowhere else; what is shown as its output is its
# output.  The tables of the Reference list what there is, each once, with its arguments,
# what it returns, and who may call it.  Links lead somewhere.

use strict;
use warnings;
use File::Basename;
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @documents = ('README.md', 'CHANGELOG.md', glob('doc/*.md'));
my %text = map { $_ => slurp_file($_) } @documents;

# A section of a document, without the heading.
sub section
{
	my ($document, $title) = @_;
	my ($level) = $text{$document} =~ /^(#+) \Q$title\E$/m or die "$document has no section $title";
	my ($text) = "$text{$document}## \n" =~ /^$level \Q$title\E\n(.*?)^(?:\Q$level\E|##) /ms;
	return $text;
}

# The cells of all rows of tables in a text, headings left out.
sub rows
{
	my ($text) = @_;
	return map { [ /\| (.*?) (?=\|)/g ] } grep { /^\| `/ } split /\n/, $text;
}

# What is between backticks in a cell, or in a text.
sub code
{
	my ($text) = @_;
	return $text =~ /`([^`]*)`/g;
}

# The fenced blocks of a document: language, first line's number, section, text, and whether
# nothing but an empty line is between it and the block before.
sub blocks
{
	my ($document) = @_;
	my ($section, $block, $number, $adjacent) = ('', undef, 0, 0);
	my @blocks;

	foreach my $line (split /^/, $text{$document})
	{
		$number++;
		if ($block)
		{
			if ($line =~ /^```$/)
			{
				push @blocks, $block;
				($block, $adjacent) = (undef, 1);
				next;
			}
			$block->{text} .= $line;
		}
		elsif ($line =~ /^```(.*)$/)
		{
			$block = { language => $1, line => $number + 1, section => $section, text => '', adjacent => $adjacent };
		}
		else
		{
			$section = $1 if $line =~ /^## (.*)$/;
			$adjacent &&= $line =~ /^$/;
		}
	}
	die "$document: a block has no end" if $block;
	return @blocks;
}

# The errors that a block announces, by the number of the line that ends the statement.
sub announced
{
	my ($sql) = @_;
	my ($number, $quoted, @states, %announced) = (0, 0);

	foreach my $line (split /\n/, $sql)
	{
		$number++;
		push @states, $1 if $line =~ /-- ERROR, SQLSTATE (\w{5})$/;
		$quoted ^= 1 foreach $line =~ /\$\$/g;
		next if $quoted or $line !~ /;\s*(?:--.*)?$/;
		$announced{$number} = "@states" if @states;
		@states = ();
	}
	return %announced;
}

my $node = PostgreSQL::Test::Cluster->new('documents');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;

# Runs SQL blocks in a database, each in a session of its own, and returns what they print.
sub run_blocks
{
	my ($document, $database, @blocks) = @_;
	my (@announced, @raised, $previous);
	my $output = '';

	foreach my $block (@blocks)
	{
		if ($block->{language} eq 'text')
		{
			next unless $block->{adjacent} and $previous;
			foreach my $line (split /\n/, $block->{text})
			{
				my $pattern = join '.+', map { quotemeta } split /…/, $line, -1;
				like($previous, qr/^$pattern$/m, "$document: line $block->{line} is what is printed");
			}
		}
		next unless $block->{language} eq 'sql';

		my ($stdout, $stderr);
		$node->psql($database, $block->{text}, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0,
			extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		my %announced = announced($block->{text});
		push @announced, map { "line @{[ $_ + $block->{line} - 1 ]}: $announced{$_}" } sort { $a <=> $b } keys %announced;
		while ($stderr =~ /^psql:<stdin>:(\d+): (?:ERROR|FATAL|PANIC):  (\w{5})/mg)
		{
			push @raised, "line @{[ $1 + $block->{line} - 1 ]}: $2";
		}
		$stderr =~ s/^psql:<stdin>:\d+: (\w+):  \w{5}: /$1:  /mg;
		$previous = "$stdout\n$stderr\n";
		$output .= $previous;
	}
	is(join("\n", @raised), join("\n", @announced), "$document: statements fail where it says so, and nowhere else");
	return $output;
}

#
# The README
#

my @readme = blocks('README.md');
my ($example) = @readme;
is($example->{section}, '', 'the README begins with an example');
is($example->{text} =~ tr/\n//, 5, 'of five lines');
like($example->{text}, qr/^SELECT instance_env\.guard\(.*-- ERROR, SQLSTATE 23I01\n\z/ms, 'that guards a table and fills it');
cmp_ok($text{'README.md'} =~ tr/\n//, '<', 350, 'and it is short');

my ($create) = join('', map { $_->{text} } grep { $_->{section} eq 'Installing' } @readme) =~ /-c '([^']+)'/;
is($create, 'CREATE EXTENSION instance_env', 'it says how to create the extension');
$node->safe_psql('postgres', 'CREATE DATABASE readme');
$node->safe_psql('readme', $create);

my @removing = grep { $_->{section} eq 'Removing' } @readme;
my $stdout = run_blocks('README.md', 'readme', grep { $_->{section} ne 'Removing' } @readme);
my $sql = join "\n", map { $_->{text} } grep { $_->{language} eq 'sql' } @readme;
my @announced = $sql =~ /-- ERROR, SQLSTATE (\w{5})/g;
cmp_ok(scalar @announced, '>=', 4, 'it shows errors');
like($stdout, qr/^users\|instance_id\|id\|t\|t$/m, 'and leaves a table that is guarded');

# From an empty database to a promoted application: what the reader is to see on the way
my $production = '00000000-0000-4000-8000-00000000000f';
my @promoted = ('clone_setting|session.lifetime||3600',
	qq(activate|$production|{"status": "inactive"}|{"status": "active"}));
like($stdout, qr/^domain\|[^\n]* has no domain\./m, 'validate() tells what is missing');
my $promotions = () = $stdout =~ /^\Q$promoted[0]\E\n\Q$promoted[1]\E$/mg;
is($promotions, 3, 'rehearsed, promoted and, after a rollback, promoted again, with the same rows');
like($stdout, qr/^restore_setting\|session.lifetime\|3600\|\n\Qdeactivate|$production\E/m, 'the rollback takes it back');
like($stdout, qr/^setting\|session.lifetime\|600\|3600\|development$/m, 'and the drift is seen');
is( $node->safe_psql('readme', 'SELECT type, status FROM instance_env.instances WHERE application = $$shop$$ ORDER BY type'),
	"development|active\nproduction|active", 'the application is promoted');
foreach my $function (qw(create_application guard set_setting create_secret_key validate promote dry_run rollback_promotion))
{
	like($sql, qr/\b$function\b/, "the walk-through shows $function");
}

# What it says of removal: the extension does not go while a table is guarded; then rows,
# indexes and foreign keys stay.
my ($drop) = $removing[0]->{text} =~ /^(DROP EXTENSION .*;)$/m;
my $rows = $node->safe_psql('readme', 'SELECT count(*) FROM users');
my $left = q{SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid IN ('users'::regclass, 'sessions'::regclass)
	UNION ALL SELECT conname FROM pg_constraint WHERE conrelid = 'sessions'::regclass ORDER BY 1};
my $before = $node->safe_psql('readme', $left);
like($before, qr/^instance_env_sessions_instance_id_user_id_fkey$/m, 'guard() has made a foreign key');
$node->psql('readme', "\\set VERBOSITY sqlstate\n$drop", stderr => \my $refusal, on_error_stop => 0);
like($refusal, qr/ERROR:  2BP01/, 'the extension is not dropped while a table is guarded');
$node->safe_psql('postgres', 'CREATE DATABASE cascaded TEMPLATE readme');
my $cascade = $drop =~ s/;$/ CASCADE;/r;
$node->psql('cascaded', "\\set VERBOSITY sqlstate\n$cascade", stderr => \$refusal, on_error_stop => 0);
like($refusal, qr/ERROR:  55I05/, 'nor with CASCADE, because it has users of production');
$node->safe_psql('cascaded', "SET instance_env.allow_destructive = on; $cascade");
run_blocks('README.md', 'readme', @removing);
foreach my $database ('readme', 'cascaded')
{
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_extension WHERE extname = 'instance_env'}), 0,
		"$database: the extension is dropped");
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), 0, 'with all triggers');
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_namespace WHERE nspname = 'instance_env'}), 0, 'and its schema');
	is($node->safe_psql($database, 'SELECT count(*) FROM users'), $rows, 'rows stay');
	is($node->safe_psql($database, $left), $before, 'so do indexes and foreign keys');
}

#
# Concepts, Reference, Adopting, Clients and Scaling
#

# The recipes need tables of their own, see all_recipes; and Citus a cluster, see
# test/citus/document.pl.
foreach my $document ('doc/concepts.md', 'doc/reference.md', 'doc/adopting.md', 'doc/clients.md', 'doc/scaling.md')
{
	my $database = basename($document, '.md');

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	run_blocks($document, $database, grep { $_->{section} !~ /^(?:Recipes$|Citus)/ } blocks($document));
}

#
# The functions, as the catalogue has them and as the Reference writes them.
#

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION instance_env;
CREATE ROLE backend;
CREATE ROLE monitor;
CREATE ROLE guard;
CREATE ROLE admin;
SELECT instance_env.grant_backend('backend'), instance_env.grant_monitor('monitor'), instance_env.grant_guard('guard'),
	instance_env.grant_admin('admin');

CREATE VIEW described AS
SELECT p.proname, p.oid, p.prorettype, p.prosrc,
	format('`%s(%s)`', p.proname, regexp_replace(regexp_replace(i.args, 'timestamp with time zone', 'timestamptz', 'g'),
		' DEFAULT (NULL|''[^'']*''|[^ ,:]+)(::[^,]*)?', ' = \1', 'g'))
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

my $reference = 'doc/reference.md';
my @functions = rows(section($reference, 'Functions'));
my ($own) = section($reference, 'Functions') =~ /^(The remaining functions .*)/ms;
my %internal = map { $_ => 1 } $own =~ /`(\w+)`/g;
delete @internal{qw(activity guard guards readiness secret_keys)};
my $internal = join ', ', map { "'$_'" } sort keys %internal;

# of what has the same name and does the same, one is enough
my $there = $node->safe_psql('postgres', <<SQL);
SET search_path = pg_catalog, instance_env;
SELECT written, audience FROM public.described
WHERE prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND proname NOT IN ($internal)
AND oid <> 'instance_env.instance_id(text, instance_env.instance_type)'::regprocedure AND prosrc !~ '_by_name\$'
ORDER BY written COLLATE "C";
SQL
is(join("\n", sort map { "$_->[0]|$_->[2]" } @functions),
	$there, 'the Reference lists each function once, as it is, for whom it is');
is($node->safe_psql('postgres', "SELECT DISTINCT proname FROM described WHERE proname IN ($internal) ORDER BY 1"),
	join("\n", sort keys %internal), 'and what it calls internal exists');

my @roles = map { $_->[1] } grep { @$_ == 3 } map { [ /\| (.*?) (?=\|)/g ] }
	grep { /`grant_/ } split /\n/, section($reference, 'Roles');
is(join("\n", sort map { s/[`()]//gr } @roles),
	$node->safe_psql('postgres', q{SELECT proname FROM described WHERE proname LIKE 'grant\_%' ORDER BY proname COLLATE "C"}),
	'it lists each role that can be granted once');

#
# All else that the Reference lists
#

# is_listed(SECTION, WHAT, QUERY, FUNCTION): the rows of the section's table, each as FUNCTION
# makes of its cells, are those of the query.
sub is_listed
{
	my ($section, $what, $query, $row) = @_;
	my @listed = sort map { join '|', $row->(@$_) } rows(section($reference, $section));

	is(join("\n", @listed), join("\n", sort split /\n/, $node->safe_psql('postgres', $query)), "it lists each $what once, as it is");
	return;
}

is_listed('Types', 'type',
	q{SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
	  WHERE t.typnamespace = 'instance_env'::regnamespace GROUP BY t.typname},
	sub { (code($_[0]), join ', ', code($_[1])) });

is_listed('Views', 'view',
	q{SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	  WHERE c.relnamespace = 'instance_env'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 GROUP BY c.relname},
	sub { (code($_[0]), join ', ', code($_[2])) });

is_listed('Policies', 'policy',
	q{SELECT name, d.value, p.value, CASE WHEN d.overridable AND p.overridable THEN 'both' WHEN d.overridable THEN 'development'
	  WHEN p.overridable THEN 'production' END
	  FROM instance_env.policy_defaults d JOIN instance_env.policy_defaults p USING (name)
	  WHERE d.instance_type = 'development' AND p.instance_type = 'production'},
	sub { (code($_[0]), (map { $_ eq '–' ? 'null' : code($_) } @_[1, 2]), $_[3]) });

is_listed('Names of the service', 'name of the service',
	q{SELECT name, value, description FROM instance_env.service_names},
	sub { (code($_[0]), code($_[1]), $_[2]) });

is_listed('Catalogue of features', 'feature',
	q{SELECT name, plan, CASE WHEN production_only THEN 'yes' ELSE 'no' END, development_limit, array_to_string(settings, ', ')
	  FROM instance_env.feature},
	sub { (code($_[0]), @_[1 .. 3], join ', ', code($_[4])) });

is_listed('Setting sections', 'section of settings',
	q{SELECT name, CASE WHEN cloned THEN 'yes' ELSE 'no' END FROM instance_env.setting_section},
	sub { (code($_[0]), $_[1]) });

my ($shared, $not_shared) = section($reference, 'Social providers') =~ /offer shared credentials in development:(.*?)^These do not: (.*?);/ms;
foreach ([ 'true', $shared ], [ 'false', $not_shared ])
{
	is(join("\n", code($_->[1])),
		$node->safe_psql('postgres',
			"SELECT name FROM instance_env.social_provider WHERE offers_shared = $_->[0] ORDER BY name COLLATE \"C\""),
		"it lists each social provider once, shared credentials: $_->[0]");
}

is_listed('Server parameters', 'parameter',
	q{SELECT name, boot_val FROM pg_settings WHERE name LIKE 'instance\_env.%'},
	sub { (code($_[0]), $_[1] =~ s/^–$//r) });

my $id = $node->safe_psql('postgres', <<'SQL');
SELECT production_id FROM instance_env.create_application('shop');
SELECT instance_env.associate_domain(production_id, 'shop.example.com') FROM instance_env.applications;
SQL
$id =~ s/\s.*//s;
is_listed('DNS records', 'DNS record',
	qq{SELECT record, replace(target, replace('$id', '-', ''), '{id}') FROM instance_env.dns_records('$id') WHERE type = 'CNAME'},
	sub { map { code($_) } @_[0, 1] });

my $addresses = join ' UNION ALL ', map { "SELECT '$_()', instance_env.$_(development_id), instance_env.$_(production_id) FROM a" }
	qw(account_portal_url frontend_api_host oauth_consent_domain oauth_callback_url);
is_listed('Addresses', 'address',
	qq{WITH a AS (SELECT d.instance_id AS development_id, p.instance_id AS production_id, d.slug, p.domain FROM instance_env.instances d
	  JOIN instance_env.instances p USING (application_id) WHERE d.type = 'development' AND p.type = 'production')
	  SELECT f.name, replace(f.d, a.slug, '{slug}'), replace(f.p, a.domain, '{domain}') FROM a, ($addresses) AS f (name, d, p)},
	sub { map { code($_) } @_[0 .. 2] });

my ($header) = grep { -e } ('src/base/errcodes.h', 'src/instance_env.h');
my @states = map { $_->[0] =~ /^`(\w+)`$/ } rows(section($reference, 'Errors'));
my @defined = map { join '', /'(\w)'/g } slurp_file($header) =~ /^#define ERRCODE_IENV_\w+\s+(.*)$/mg;
cmp_ok(scalar @defined, '>', 0, "$header defines SQLSTATEs");
is("@{[ sort @states ]}", "@{[ sort @defined ]}", 'it lists each SQLSTATE once');

# Each sentence of the page: what it names exists, and all_page.sql has the sentence, if it is
# said to test it.
my @sentences = grep { @$_ == 3 && $_->[1] =~ /`/ } map { [ /\| (.*?) (?=\|)/g ] }
	split /\n/, section($reference, 'The page, sentence by sentence');
# a sentence that is tested in two parts stands there as two
my $page = lc join ' ', slurp_file('test/pgtap/all_page.sql') =~ /'"((?:[^']|'')*)"/g;
$page =~ s/''/'/g;
my %functions = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT DISTINCT proname FROM described');
my @missing;
cmp_ok(scalar @sentences, '>=', 22, 'the Reference has the sentences of the page');
foreach my $row (@sentences)
{
	my ($sentence, $functions, $tests) = @$row;
	my $words = lc $sentence =~ s/[.]$//r;

	push @missing, grep { !$functions{$_} } $functions =~ /`(\w+)\(\)`/g;
	push @missing, grep { !-e "test/pgtap/$_.sql" } $tests =~ /`(\w+)`/g;
	push @missing, $sentence if $tests =~ /`all_page`/ && index($page, $words) < 0;
	push @missing, "a test, or a function, of: $sentence" if $tests !~ /`/ || $functions !~ /`/;
}
is(join("\n", @missing), '', 'each has functions and tests');

#
# Form
#

# The headings of a document as GitHub's anchors
sub anchors
{
	my ($document) = @_;
	my $text = slurp_file($document);

	$text =~ s/^```.*?^```$//msg;
	return map { my $a = lc; $a =~ s/[^\w -]//g; $a =~ tr/ /-/; $a } $text =~ /^#+ (.*)$/mg;
}

foreach my $document (@documents)
{
	my @languages = grep { !/^(?:sql|sh|text|js|ts|prisma|yaml|json|python|perl|go|c)$/ } map { $_->{language} } blocks($document);
	is("@languages", '', "$document: each block says what it is");

	my %count;
	$count{$_}++ foreach anchors($document);
	my @twice = $document eq 'CHANGELOG.md' ? () : sort grep { $count{$_} > 1 } keys %count;
	is("@twice", '', "$document: no heading is there twice");

	my @dead;
	foreach my $link ($text{$document} =~ /\]\(([^)]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $file = $path eq '' ? $document : File::Spec->catfile(dirname($document), $path);

		push @dead, $link unless -e $file and (!defined $anchor or grep { $_ eq $anchor } anchors($file));
	}
	is("@dead", '', "$document: its links lead somewhere");

	# with the room or without it
	my %sources = map { (basename($_) => 1, s/^src\///r => 1, $_ => 1) } glob 'src/*.[ch] src/*/*.[ch]';
	my @unknown = grep { !$sources{$_} } $text{$document} =~ /`([\w\/]+\.[ch])`/g;
	is("@unknown", '', "$document: the source files that it names exist");
}

# Contents come first and name every section.
foreach my $document ('README.md', 'doc/concepts.md', 'doc/adopting.md', 'doc/monitoring.md', 'doc/scaling.md', $reference)
{
	my ($head) = $text{$document} =~ /^(.*?)^## /ms;
	my ($contents) = $head =~ /^(Contents: .*?)\n\n/ms;
	my @named = $contents =~ /\[([^]]+)\]\(#/g;
	my @sections = $text{$document} =~ /^## (.*)$/mg;

	is(join("\n", @named), join("\n", @sections), "$document: its contents name each section, in order");
}

$node->stop;
done_testing();
