# What doc/monitoring.md says works as it stands, for a role that may do nothing but monitor: its
# queries return what their exporter is told to make metrics and labels of, both exporters have
# the same metrics, alerts are about metrics that there are, and each question has an answer.
# YAML is read as CPAN::Meta::YAML, a module of Perl's own, does: without flow style.

use strict;
use warnings;

use CPAN::Meta::YAML;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $document = slurp_file('doc/monitoring.md');

# The fenced blocks of a section, in a language
sub blocks
{
	my ($section, $language) = @_;
	my ($text) = "$document\n## \n" =~ /^## \Q$section\E\n(.*?)^## /ms or die "there is no section $section";
	return $text =~ /^```$language\n(.*?)^```$/msg;
}

sub yaml
{
	my ($text) = @_;
	my $documents = CPAN::Meta::YAML->read_string($text);
	is(scalar @$documents, 1, 'a block is one document');
	return $documents->[0];
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;

# Runs a query as the monitoring role; returns the names of columns, and the rows as references
# to hashes.  What separates them is in no value, whatever a name contains.
sub ask
{
	my ($sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', $sql, on_error_die => 0,
		extra_params => [ '-U', 'monitoring', '-P', 'tuples_only=off', '-P', 'footer=off', '-P', 'fieldsep=' . "\x1f",
			'-P', 'recordsep=' . "\x1e", '-P', 'null=(null)' ]);
	is("$status$stderr", 0, "a monitoring role runs " . ($sql =~ s/\s+/ /gr));
	my ($head, @lines) = split /\x1e\n?/, $stdout // '';
	my @columns = split /\x1f/, $head // '';
	my @rows;
	foreach my $line (@lines)
	{
		my %row;
		@row{@columns} = split /\x1f/, $line, -1;
		push @rows, \%row;
	}
	return (\@columns, @rows);
}

#
# A database where there is something to see
#

my $hostile = q{"><b>shop</b> \\ ' {a="b"} ü};
my $name = $hostile =~ s/'/''/gr;
my ($make_role) = blocks('A role to monitor with', 'sql');
$node->safe_psql('postgres', 'CREATE EXTENSION instance_env');
$node->safe_psql('postgres', $make_role);
$node->safe_psql('postgres', <<"SQL");
SET standard_conforming_strings = on;
SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000001');
SELECT instance_env.create_application('$name', 'pro', 'd0000000-0000-4000-8000-000000000002');
SELECT instance_env.create_application('blocked');
CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid);
CREATE TABLE broken (id integer PRIMARY KEY, instance_id uuid);
SELECT instance_env.guard(r) FROM unnest('{users,broken}'::regclass[]) r;
SELECT instance_env.set_user_cap(i, 5) FROM unnest('{d0000000-0000-4000-8000-000000000001,d0000000-0000-4000-8000-000000000002}'::uuid[]) i;
INSERT INTO users SELECT n, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(1, 4) n;
INSERT INTO users SELECT n, 'd0000000-0000-4000-8000-000000000002' FROM generate_series(11, 15) n;
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', 'session.lifetime', '1');
SELECT count(instance_env.consume_message('d0000000-0000-4000-8000-000000000001', 'sms', '+15005550006')) FROM generate_series(1, 17);
SELECT instance_env.associate_domain('e0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT count(instance_env.verify_domain('e0000000-0000-4000-8000-000000000001', 'shop.example.com', record))
FROM instance_env.dns_records('e0000000-0000-4000-8000-000000000001');
SELECT count(instance_env.create_secret_key('e0000000-0000-4000-8000-000000000001'));
SET application_name = 'release 7';
SELECT count(*) FROM instance_env.promote('shop');
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', 'session.lifetime', '2');
ALTER TABLE broken DISABLE TRIGGER instance_env_user_cap;
SELECT instance_env.unverify_domain('e0000000-0000-4000-8000-000000000001', 'shop.example.com', record)
FROM instance_env.dns_records('e0000000-0000-4000-8000-000000000001') LIMIT 1;
SQL
foreach my $id (21 .. 23)
{
	$node->psql('postgres', "INSERT INTO users VALUES ($id, 'd0000000-0000-4000-8000-000000000002')", stderr => \my $refusal);
	like($refusal, qr/limit|cap|users/, 'a sign-up is refused');
}

#
# Metrics
#

# What an exporter is told: by metric its type, help, labels and query
my %postgres;
my ($queries, @more) = blocks('postgres_exporter', 'yaml');
is(scalar @more, 0, 'postgres_exporter has one file');
$queries = yaml($queries);
foreach my $query (sort keys %$queries)
{
	my ($told) = $queries->{$query};
	my (@labels, %values);

	like($told->{cache_seconds}, qr/^\d+$/, "$query is cached");
	foreach my $column (@{ $told->{metrics} })
	{
		my ($of, @others) = keys %$column;
		is(scalar @others, 0, "$query: a column at a time");
		my ($usage, $description) = @{ $column->{$of} }{qw(usage description)};
		like($usage, qr/^(?:LABEL|GAUGE|COUNTER)$/, "$query, $of: what it is");
		if ($usage eq 'LABEL')
		{
			push @labels, $of;
			next;
		}
		$postgres{"${query}_$of"} = { type => lc $usage, help => $description, value => $of, sql => $told->{query} };
		$values{$of} = 1;
	}
	$postgres{"${query}_$_"}{labels} = "@labels" foreach keys %values;

	my ($columns, @rows) = ask($told->{query});
	is("@{[ sort @$columns ]}", "@{[ sort @labels, keys %values ]}", "$query: what it returns is what is told of it");
	cmp_ok(scalar @rows, '>=', 1, "$query has something to tell");
	my %seen;
	foreach my $row (@rows)
	{
		like($row->{$_}, qr/^-?\d+(?:\.\d+)?$/, "$query, $_: a number") foreach sort keys %values;
		unlike($row->{$_}, qr/^(?:\(null\))?$/, "$query, $_: a label") foreach @labels;
		ok(!$seen{ join "\x1f", @$row{@labels} }++, "$query: a series has one value");
	}
}
like($_, qr/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, "$_ can be the name of a metric") foreach sort keys %postgres;
foreach my $metric (sort keys %postgres)
{
	is($metric =~ /_total$/ ? 'counter' : 'gauge', $postgres{$metric}{type}, "$metric has the name of what it is");
	like($_, qr/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/, "$_ can be a label") foreach split / /, $postgres{$metric}{labels};
}

my %sql;
foreach my $block (blocks('sql_exporter', 'yaml'))
{
	my $collector = yaml($block);
	my %queries = map { $_->{query_name} => $_->{query} } @{ $collector->{queries} };
	my %used;

	like($collector->{min_interval}, qr/^\d+[sm]$/, "$collector->{collector_name} has an interval");
	foreach my $metric (@{ $collector->{metrics} })
	{
		my ($metric_name, $value) = ($metric->{metric_name}, "@{ $metric->{values} }");
		is($sql{$metric_name}, undef, "$metric_name is told of once");
		$used{ $metric->{query_ref} } = 1;
		$sql{$metric_name} = { type => $metric->{type}, help => $metric->{help}, value => $value,
			sql => $queries{ $metric->{query_ref} }, labels => "@{ $metric->{key_labels} // [] }" };
	}
	is("@{[ sort keys %used ]}", "@{[ sort keys %queries ]}", 'each query is used');
}
is_deeply(\%sql, \%postgres, 'both exporters have the same metrics');

# What there is to see is seen
sub values_of
{
	my ($metric) = @_;
	my ($columns, @rows) = ask($postgres{$metric}{sql});
	my @labels = split / /, $postgres{$metric}{labels};
	return join "\n", sort map { my $row = $_; join '|', (map { $row->{$_} } @labels), $row->{ $postgres{$metric}{value} } } @rows;
}

is(values_of('instance_env_usage_percent'), join("\n", sort "shop|public.users|hard|80.0", "$hostile|public.users|hard|100.0"), 'who is near the cap');
is(values_of('instance_env_usage_state'), join("\n", sort "shop|public.users|hard|1", "$hostile|public.users|hard|2"), 'and who is full');
like(values_of('instance_env_activity_refused_total'), qr/^\Q$hostile\E\|public\.users\|3$/m, 'three sign-ups were refused');
is(values_of('instance_env_guard_whole'), "public.broken|0\npublic.users|1", 'a guard is broken');
like(values_of('instance_env_readiness_errors'), qr/^blocked\|inactive\|[1-9]/m, 'a promotion is blocked');
like(values_of('instance_env_readiness_errors'), qr/^shop\|active\|[1-9]/m, 'production has become invalid');
is(values_of('instance_env_messages_percent'), 'shop|development|sms|85.0', 'a quota is nearly used');
is(values_of('instance_env_promotions_total'), 1, 'there was a promotion');
is(values_of('instance_env_counting_enabled'), 1, 'refusals are counted');

#
# Alerts
#

my ($rules) = blocks('Alerts', 'yaml');
my %alerts;
foreach my $group (@{ yaml($rules)->{groups} })
{
	foreach my $rule (@{ $group->{rules} })
	{
		my $alert = $rule->{alert};
		my $expression = $rule->{expr};
		my @metrics = $expression =~ /\b(instance_env_\w+)/g;
		my %labels;

		ok(!$alerts{$alert}++, "$alert is there once");
		cmp_ok(scalar @metrics, '>', 0, "$alert is about metrics");
		foreach my $metric (@metrics)
		{
			ok($postgres{$metric}, "$alert: there is a metric $metric");
			$labels{$_} = 1 foreach split / /, $postgres{$metric}{labels} // '';
		}
		foreach my $label ($expression =~ /(\w+)=~?"/g, $rule->{annotations}{summary} =~ /\$labels\.(\w+)/g)
		{
			ok($labels{$label}, "$alert: there is a label $label");
		}
		is($expression =~ tr/(// - $expression =~ tr/)//, 0, "$alert: parentheses match");
		like($rule->{for} // '0s', qr/^\d+[smhd]$/, "$alert: for how long");
		like($rule->{labels}{severity}, qr/^(?:info|warning|critical)$/, "$alert: how bad it is");
		ok($document =~ /`$alert`/ || $alert !~ /^(?:PromotionBlocked|ProductionNotValid)$/, "$alert is explained");
	}
}
foreach my $about (qw(usage_percent activity_refused_total guard_whole readiness_errors))
{
	like($rules, qr/instance_env_$about\b/, "there is an alert on $about");
}

#
# Answers
#

my %answers;
my @questions = blocks('Answers in one query', 'sql');
foreach my $question (@questions, blocks('How much it costs', 'sql'))
{
	my ($columns, @rows) = ask($question);
	cmp_ok(scalar @rows, '>=', 1, 'there is an answer');
	my ($view) = $question =~ /FROM instance_env\.(\w+)/;
	$answers{$view} = \@rows;
}
is("@{[ sort keys %answers ]}", 'activity events guards instance_diff promotions readiness usage', 'to each question');
is("@{[ map { $_->{refused_today} } @{ $answers{activity} } ]}", 3, 'three sign-ups were refused today');
ok((grep { $_->{step} eq 'activate' && $_->{application} eq 'shop' && $_->{application_name} eq 'release 7' }
		@{ $answers{promotions} }), 'who promoted, by what, and what that changed');
is("@{[ map { qq($_->{relation} $_->{whole}) } @{ $answers{guards} } ]}", 'public.broken f public.users t', 'which guards are whole');
ok((grep { $_->{application} eq 'blocked' && $_->{error} =~ /domain/ } @{ $answers{readiness} }), 'what blocks production');

# What the role may not do
foreach my $refused ('SELECT FROM instance_env.event', 'SELECT instance_env.set_user_cap(NULL, NULL)',
	"SELECT instance_env.forget_events('2001-01-01')", 'SELECT FROM public.users')
{
	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$refused", stderr => \my $error, extra_params => [ '-U', 'monitoring' ]);
	like($error, qr/ERROR:  (?:42501|25006)/, "it may not: $refused");
}
$node->psql('postgres', 'CREATE TABLE t ()', stderr => \my $error, extra_params => [ '-U', 'monitoring' ]);
like($error, qr/read-only transaction/, 'it writes nothing');

done_testing();
