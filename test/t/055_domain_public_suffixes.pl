# Every rule of the Public Suffix List on this machine gives the root that the list gives: by
# the algorithm of publicsuffix.org, which is implemented here once more, without libpsl.  And
# which list that is: instance_env.public_suffix_file, and what becomes of one that is none.

use strict;
use warnings;
use utf8;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($list) = grep { -e } '/usr/share/publicsuffix/public_suffix_list.dat', '/usr/share/publicsuffix/effective_tld_names.dat';
plan skip_all => 'there is no Public Suffix List on this machine (on Debian, install publicsuffix)' unless $list;

# RFC 3492, section 6.3: a label in punycode
sub punycode
{
	my ($label) = @_;
	my @code = map { ord } split //, $label;
	my @basic = grep { $_ < 128 } @code;
	my ($n, $delta, $bias, $h) = (128, 0, 72, scalar @basic);
	my $output = join('', map { chr } @basic) . (@basic ? '-' : '');

	return $label if @basic == @code;
	while ($h < @code)
	{
		my ($m) = sort { $a <=> $b } grep { $_ >= $n } @code;
		$delta += ($m - $n) * ($h + 1);
		$n = $m;
		foreach my $c (@code)
		{
			$delta++ if $c < $n;
			next if $c != $n;
			my ($q, $k) = ($delta, 36);
			while (1)
			{
				my $t = $k <= $bias ? 1 : $k >= $bias + 26 ? 26 : $k - $bias;
				last if $q < $t;
				my $digit = $t + ($q - $t) % (36 - $t);
				$output .= chr($digit + ($digit < 26 ? 97 : 22));
				$q = int(($q - $t) / (36 - $t));
				$k += 36;
			}
			$output .= chr($q + ($q < 26 ? 97 : 22));
			$delta = $h == @basic ? int($delta / 700) : int($delta / 2);
			$delta += int($delta / ($h + 1));
			for ($k = 0; $delta > 455; $k += 36) { $delta = int($delta / 35) }
			$bias = $k + int(36 * $delta / ($delta + 38));
			$delta = 0;
			$h++;
		}
		$delta++;
		$n++;
	}
	return "xn--$output";
}
is(punycode('bücher'), 'xn--bcher-kva', 'punycode');
is(punycode('公司'),   'xn--55qx5d',    'punycode without ASCII');

# The rules: by name, their kind (a wildcard's is of the name below which it is) and section
my (%plain, %wildcard, %exception, $private, %private);
open my $file, '<:encoding(UTF-8)', $list or die "$list: $!";
while (<$file>)
{
	$private = 1 if /BEGIN PRIVATE DOMAINS/;
	next if m{^//} || !/^(\S+)/;
	my $rule = $1;
	my $kind = $rule =~ s/^!// ? \%exception : $rule =~ s/^\*\.// ? \%wildcard : \%plain;
	my $name = lc join '.', map { punycode($_) } split /\./, $rule;
	$kind->{$name} = 1;
	$private{$name} = 1 if $private;
}
close $file;

# The suffix of a name by the algorithm: the exception without its first label, or the longest
# rule, or the last label.
sub suffix
{
	my @labels = split /\./, $_[0];
	my ($longest, @tails) = ($labels[-1], map { join '.', @labels[ $_ .. $#labels ] } 0 .. $#labels);

	foreach my $i (0 .. $#tails)
	{
		return $tails[ $i + 1 ] if $exception{ $tails[$i] };
	}
	foreach my $i (reverse 0 .. $#tails)
	{
		$longest = $tails[$i] if $plain{ $tails[$i] } || ($i < $#tails && $wildcard{ $tails[ $i + 1 ] });
	}
	return $longest;
}

sub root
{
	my ($name) = @_;
	my $suffix = suffix($name);
	return '' if $name eq $suffix;
	return $name =~ /([^.]+\.\Q$suffix\E)$/ ? $1 : die;
}
is(root('www.city.kobe.jp'),   'city.kobe.jp', 'an exception');
is(root('a.b.c.kobe.jp'),      'b.c.kobe.jp',  'a wildcard');
is(root('www.shop.com.uy'),    'shop.com.uy',  'a rule');
is(root('www.nosuchtld'),      'www.nosuchtld', 'no rule');

my $node = PostgreSQL::Test::Cluster->new('suffixes');
$node->init;
$node->start;
my $tempdir = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', 'pro', production_id => 'eeeeeeee-0000-0000-0000-000000000001');
	CREATE TABLE asked (name text, root text)});

# All rules, the single labels too.  Of a wildcard *.x, x itself is not asked for: libpsl takes
# it for a suffix, as browsers do, since nobody has names right below it.
my @names;
foreach my $rule (sort keys %plain, sort keys %exception)
{
	push @names, $rule, "zq7.$rule", "www.zq7.$rule", "a.b.zq7.$rule";
}
foreach my $rule (sort keys %wildcard)
{
	push @names, "zq6.$rule", "zq7.zq6.$rule", "www.zq7.zq6.$rule";
}
@names = grep { !$wildcard{$_} || $plain{$_} } @names;
append_to_file("$tempdir/names", join('', map { $_ . "\t" . root($_) . "\n" } @names));
$node->safe_psql('postgres', "COPY asked FROM '$tempdir/names'");

# What has been added to the list by the extension is taken out of it: the list alone is meant.
sub differences
{
	my ($what) = @_;
	is( $node->safe_psql(
			'postgres', q{
			BEGIN;
			DELETE FROM instance_env.hosting_suffix;
			SELECT name, root, instance_env.domain_root(name) FROM asked
			WHERE coalesce(instance_env.domain_root(name), '') <> coalesce(root, '') LIMIT 20;
			ROLLBACK}),
		'',
		"$what: each of " . @names . ' names has the root that it gives');
}
cmp_ok(scalar(grep { /\./ } keys %plain, keys %wildcard), '>', 5000, 'there are rules of several labels');
my ($stdout, $stderr);
$node->append_conf('postgresql.conf', "instance_env.public_suffix_file = '$list'");
$node->reload;
differences("the text of the list");
$node->adjust_conf('postgresql.conf', 'instance_env.public_suffix_file', undef);
$node->reload;

SKIP:
{
	my $dafsa = $list =~ s/dat$/dafsa/r;

	# a list that the package has in both forms
	skip "there is no $dafsa", 1 unless -e $dafsa && $dafsa =~ /public_suffix_list/;
	$node->append_conf('postgresql.conf', "instance_env.public_suffix_file = '$dafsa'");
	$node->reload;
	differences('its compiled form');
	$node->adjust_conf('postgresql.conf', 'instance_env.public_suffix_file', undef);
	$node->reload;
}

# Which names are providers': those that the private section has, and no others.
append_to_file("$tempdir/private", join('', map { $_ . "\t" . ($private{ suffix($_) } // 0) . "\n" } grep { /^zq7\.(?!zq6)/ } @names));
$node->safe_psql('postgres', "CREATE TABLE sections (name text, private boolean); COPY sections FROM '$tempdir/private'");
$node->append_conf('postgresql.conf', "instance_env.public_suffix_file = '$list'");
$node->reload;
is( $node->safe_psql(
		'postgres', q{
		BEGIN;
		DELETE FROM instance_env.hosting_suffix;
		SELECT s.name, s.private, p.reason FROM sections s, instance_env.check_preview('shop', s.name) p
		WHERE (p.reason = 'hosting_provider') <> s.private
			AND p.reason NOT IN ('service_domain', 'local') LIMIT 20;
		ROLLBACK}),
	'',
	'the private section is that of providers');

#
# Another list, while sessions last.
#

my $rules = slurp_file($list);
sub write_list
{
	my ($name, $text) = @_;
	open my $out, '>', "$tempdir/$name.new" or die $!;
	print $out $text;
	close $out;
	rename "$tempdir/$name.new", "$tempdir/$name" or die $!;
}

sub set_file
{
	my ($path) = @_;
	$node->adjust_conf('postgresql.conf', 'instance_env.public_suffix_file', defined $path ? "'$path'" : undef);
	$node->reload;
}

my $ask = q{SELECT instance_env.domain_root('www.theirs.zq7shop.com');};
my $session = $node->background_psql('postgres', on_error_stop => 0);
sub session_asks
{
	my ($expected, $name) = @_;
	my $answer = '';

	# it takes notice of a reload at its next command or the one after
	foreach (1 .. 50)
	{
		$answer = $session->query($ask);
		last if $answer eq $expected;
		select undef, undef, undef, 0.1;
	}
	return is($answer, $expected, $name);
}

write_list('newer.dat', $rules . "\n// ===BEGIN PRIVATE DOMAINS===\nzq7shop.com\n// ===END PRIVATE DOMAINS===\n");
session_asks('zq7shop.com', 'a session with the first list');
my $associate = q{SELECT instance_env.associate_domain('eeeeeeee-0000-0000-0000-000000000001', 'mine.zq7shop.com', false);};
$node->safe_psql('postgres', $associate);
my $preview = q{SELECT reason FROM instance_env.check_preview('shop', 'theirs.zq7shop.com')};
is($session->query("$preview;"), 'production_root', 'by which the application has all names');
set_file("$tempdir/newer.dat");
session_asks('theirs.zq7shop.com', 'goes by another after a reload');
is($session->query("$preview;"), 'hosting_provider', 'and so does what it has cached');
is($node->safe_psql('postgres', $preview), 'hosting_provider', 'as a new session does');
is($node->safe_psql('postgres', q{SELECT name, root FROM instance_env.domain}), 'mine.zq7shop.com|zq7shop.com', 'the root stays as it was stored');
$node->command_ok([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', $associate ], 'the domain is still there to be named');
$node->safe_psql('postgres', q{SELECT instance_env.remove_domain('eeeeeeee-0000-0000-0000-000000000001', 'mine.zq7shop.com')});
is($node->psql('postgres', $associate), 3, 'but it is no domain that one could have now');

# A file that cannot be one: what was in use stays, with a warning, and nothing fails.
write_list('words.dat', "// a file\nroot:x:0:0\ncom\n");
write_list('empty.dat', '');

# nor a part of one, which lacks what comes last: the section of providers, or some of it
write_list('part.dat', substr($rules, 0, index($rules, 'BEGIN PRIVATE DOMAINS') + 30));
write_list('most.dat', substr($rules, 0, length($rules) - 200) =~ s/END PRIVATE.*//sr);
write_list('registries.dat', $rules =~ s/(BEGIN PRIVATE DOMAINS===).*(?=\n.*END PRIVATE)/$1/sr);
mkdir "$tempdir/folder.dat";
system 'mkfifo', "$tempdir/fifo.dat";
open my $large, '>', "$tempdir/large.dat";
truncate $large, 20 * 1024 * 1024;
close $large;
foreach my $name (qw(words.dat empty.dat part.dat most.dat registries.dat folder.dat fifo.dat large.dat absent.dat))
{
	set_file("$tempdir/$name");
	my $answer = '';
	my $stderr;
	foreach (1 .. 50)
	{
		$node->psql('postgres', $ask, stdout => \$answer, stderr => \$stderr);
		last if $stderr =~ /WARNING/ && slurp_file($node->logfile) =~ /\Q$name\E/;
		select undef, undef, undef, 0.1;
	}
	like($stderr, qr/WARNING:  could not use the file that instance_env\.public_suffix_file names: \w.*\nDETAIL:.*\nHINT:/, "$name: a warning");
	unlike($stderr, qr/\Q$tempdir\E/, "$name: which does not show what only superusers may see");
	is($answer, 'zq7shop.com', "$name: the system's own list");
	is($session->query($ask), 'theirs.zq7shop.com', "$name: a session keeps the one that it had");
}

# A file that has been replaced is noticed at the next reload, or after a minute.
set_file("$tempdir/newer.dat");
session_asks('theirs.zq7shop.com', 'back to the newer one');
write_list('newer.dat', $rules);
$node->reload;
session_asks('zq7shop.com', 'a file that has been replaced');
set_file(undef);
session_asks('zq7shop.com', 'and to that of the system');
$session->quit;

# Who may set it, and see it
$node->adjust_conf('postgresql.conf', 'instance_env.public_suffix_file', undef);
$node->reload;
is($node->psql('postgres', q{LOAD 'instance_env'; SET instance_env.public_suffix_file = '/etc/passwd'}), 3, 'a session cannot set it');
is($node->safe_psql('postgres', q{SET instance_env.public_suffix_file = '/etc/passwd'; LOAD 'instance_env'; SHOW instance_env.public_suffix_file}),
	'', 'nor before the library is loaded');
$node->safe_psql('postgres', 'CREATE ROLE visitor; GRANT USAGE ON SCHEMA instance_env TO visitor');
is($node->safe_psql('postgres', q{SET ROLE visitor; SELECT instance_env.domain_root('www.example.co.uk')}), 'example.co.uk', 'anybody may ask');
$node->psql('postgres', q{SET ROLE visitor; SELECT instance_env.domain_root('x.com'); SHOW instance_env.public_suffix_file}, stderr => \$stderr);
like($stderr, qr/ERROR: .*public_suffix_file/, 'but not where the list is');

$node->stop;
done_testing();
