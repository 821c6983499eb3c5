# Ids that carry their instance, wherever they are made: the examples in test/vectors agree
# with the extension, and with the functions that the Reference shows in other languages,
# both ways.  A language that is missing is skipped.  And what uses these ids comes through a
# dump.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Clients;

my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
my $folder = PostgreSQL::Test::Utils::tempdir;

my @columns = qw(ms counter random instance code id belongs what);
my @vectors = map { my %v; @v{@columns} = split /\t/; \%v } grep { /^[-\d]/ } split /\n/, slurp_file('test/vectors/coded_ids.tsv');
my @good = grep { $_->{belongs} eq 'yes' } @vectors;
cmp_ok(scalar @good, '>=', 14, 'there are ids that belong to their instance');
cmp_ok(@vectors - @good, '>=', 14, 'and others');

#
# The file itself, by what the Reference says of the form
#

sub uuid
{
	return join '-', unpack('H8 H4 H4 H4 H12', $_[0]);
}

# What random bytes may have been at the beginning: bits that are no use are 1.
sub random_bytes
{
	my ($vector) = @_;
	my $random = $vector->{random} | 0xc00000;
	return pack('H12 n C n H10', 'f' x 12, $vector->{counter} | 0xf000, $random >> 16, $random & 0xffff, 'f' x 10);
}

foreach my $vector (@good)
{
	my $hash = sha256(pack 'H*', $vector->{instance} =~ tr/-//dr);
	my $random = $vector->{random} | 0x800000;

	is($vector->{code}, unpack('H10', $hash), "$vector->{what}: the code");
	is($vector->{id}, uuid(pack('n N n C n a5', $vector->{ms} >> 32, $vector->{ms} & 0xffffffff,
				$vector->{counter} | 0x8000, $random >> 16, $random & 0xffff, $hash)), "$vector->{what}: the id");
}

#
# The extension
#

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT FROM instance_env.create_application('shop', development_id => '$dev', production_id => '$prod');
	CREATE TABLE vector (n serial, ms bigint, counter integer, random integer, instance uuid, code text, id uuid, belongs text, what text);
	INSERT INTO vector (} . join(', ', @columns) . ') VALUES ' . join(', ', map {
		my $vector = $_;
		'(' . join(', ', map { my $value = $vector->{$_}; $value eq '-' ? 'NULL' : "'" . $value =~ s/'/''/gr . "'" } @columns) . ')'
	} @vectors));

my $disagree = sub
{
	my ($name, $condition) = @_;
	is($node->safe_psql('postgres', "SELECT what FROM vector WHERE $condition ORDER BY n"), '', $name);
};
$disagree->('the extension: id_belongs()', q{instance_env.id_belongs(id, instance) IS DISTINCT FROM (belongs = 'yes')});
$disagree->('the extension: id_time()', q{1000 * extract(epoch FROM instance_env.id_time(id)) IS DISTINCT FROM ms});
$disagree->('the extension: the code', q{code <> encode(substr(sha256(uuid_send(instance)), 1, 5), 'hex')});
$disagree->('the registry has it', q{EXISTS (SELECT FROM instance_env.instance i WHERE i.id = vector.instance AND encode(i.code, 'hex') <> vector.code)});
$disagree->('the extension: id_instance()', qq{belongs = 'yes' AND instance IN ('$dev', '$prod') AND instance_env.id_instance(id) IS DISTINCT FROM instance});
$disagree->('the extension: ids that are none', q{ms IS NULL AND instance_env.id_instance(id) IS NOT NULL});

# Which of these ids are not as the extension makes them for development, or are not of now?
sub strangers
{
	my (@ids) = @_;
	my $ids = join ', ', map { "('$_')" } @ids;
	return $node->safe_psql('postgres', qq{
		SELECT id FROM (VALUES $ids) i (text), LATERAL CAST(text AS uuid) AS id
		WHERE instance_env.id_instance(id) IS DISTINCT FROM '$dev' OR NOT instance_env.id_belongs(id, '$dev')
			OR instance_env.id_time(id) NOT BETWEEN now() - interval '5 minutes' AND now() + interval '5 minutes'
			OR id::text <> text});
}
my @made = split /\n/, $node->safe_psql('postgres', "SELECT instance_env.new_user_id('$dev') FROM generate_series(1, 3)");
is(strangers(@made), '', 'it knows its own ids');
isnt(strangers($vectors[-1]{id}), '', 'and no other');

#
# Other languages.  Each program reads lines of an instance and, if the id is to be a certain
# one, a time and random bytes, and prints an id for each.
#

my $input = join '', map { join(' ', $_->{instance}, $_->{ms}, unpack('H*', random_bytes($_))) . "\n" } @good;
$input .= "$dev\n" x 3;

# The block of a section of the Reference in a language
sub documented
{
	my ($language) = @_;
	my ($section) = slurp_file('doc/reference.md') =~ /^## Coded ids\n(.*?)^## /ms or die 'there is no section of coded ids';
	my ($block) = $section =~ /^```$language\n(.*?)^```$/ms or die "it has no block in $language";
	return $block;
}

my %program = (
	js => {
		files => {
			'user_id.mjs' => documented('js'),
			'main.mjs' => <<'JS' },
import { readFileSync } from 'node:fs';
import { newUserId } from './user_id.mjs';

for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
  const [instance, ms, random] = line.split(' ');
  console.log(ms ? newUserId(instance, Number(ms), Buffer.from(random, 'hex')) : newUserId(instance));
}
JS
		command => sub { (output_of(20, 'node', '--version'))[1] ? ('node', "$folder/main.mjs") : () }
	},
	python => {
		files => {
			'user_id.py' => documented('python'),
			'main.py' => <<'PYTHON' },
import sys
from user_id import new_user_id

for line in sys.stdin:
    instance, *given = line.split()
    print(new_user_id(instance, int(given[0]), bytes.fromhex(given[1])) if given else new_user_id(instance))
PYTHON
		command => sub {
			foreach my $python ('python3', '/usr/bin/python3')
			{
				return ($python, "$folder/main.py") if (output_of(20, $python, '--version'))[1];
			}
			return;
		}
	},
	go => {
		files => {
			'user_id.go' => documented('go') =~ s/^package userid$/package main/mr,
			'main.go' => <<'GO' },
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func bytes16(text string) (bytes [16]byte) {
	if _, err := hex.Decode(bytes[:], []byte(strings.ReplaceAll(text, "-", ""))); err != nil {
		panic(err)
	}
	return
}

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		id, err := New(bytes16(fields[0]))
		if len(fields) > 1 {
			ms, _ := strconv.ParseInt(fields[1], 10, 64)
			id = Make(bytes16(fields[0]), ms, bytes16(fields[2]))
		}
		if err != nil {
			panic(err)
		}
		fmt.Printf("%x-%x-%x-%x-%x\n", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
}
GO
		command => sub { (output_of(20, 'go', 'version'))[1] ? ('go', 'run', "$folder/user_id.go", "$folder/main.go") : () }
	});

# the user may have no home
local @ENV{qw(GOCACHE GOPATH GO111MODULE GOFLAGS GOTOOLCHAIN)} = ("$folder/cache", "$folder/go", 'off', '', 'local');
foreach my $language (sort keys %program)
{
	my $files = $program{$language}{files};
	my @command = $program{$language}{command}->();
  SKIP:
	{
		skip "there is nothing to run $language with" unless @command;

		append_to_file("$folder/$_", $files->{$_}) foreach sort keys %$files;
		my ($out, $err) = ('', '');
		my $succeeded = eval { IPC::Run::run(\@command, '<', \$input, '>', \$out, '2>', \$err, IPC::Run::timeout(300)) };
		ok($succeeded, "$language: the function runs") or diag($err);
		my @ids = split /\n/, $out;
		is(join("\n", @ids[ 0 .. $#good ]), join("\n", map { $_->{id} } @good), "$language: it makes the ids that the file has");
		my @new = @ids[ @good .. $#ids ];
		is(scalar @new, 3, "$language: it makes new ones");
		is(strangers(@new), '', "$language: which the extension knows");
		my %different = map { $_ => 1 } @new;
		is(scalar keys %different, 3, "$language: all different");
	}
}

#
# Defaults, a CHECK, generated columns and an index come through a dump, and work there
#

$node->safe_psql('postgres', qq{
	CREATE TABLE users (
		id uuid PRIMARY KEY DEFAULT instance_env.new_user_id(),
		instance_id uuid NOT NULL DEFAULT instance_env.current_instance(),
		belongs boolean GENERATED ALWAYS AS (instance_env.id_belongs(id, instance_id)) STORED,
		made timestamptz GENERATED ALWAYS AS (instance_env.id_time(id)) STORED,
		CONSTRAINT coded CHECK (instance_env.id_belongs(id, instance_id)));
	CREATE INDEX users_made ON users (instance_env.id_time(id));
	SELECT count(*) FROM instance_env.guard('users');
	SELECT instance_env.enter('$dev');
	INSERT INTO users SELECT FROM generate_series(1, 10);
	CREATE DATABASE restored;});
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$folder/dump.sql" ], 'it is dumped');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-o', File::Spec->devnull, '-f', "$folder/dump.sql" ], 'and restored');
foreach my $table ('SELECT * FROM users ORDER BY id', 'SELECT id, code FROM instance_env.instance ORDER BY id')
{
	is($node->safe_psql('restored', $table), $node->safe_psql('postgres', $table), "the same: $table");
}
my ($status) = $node->psql('restored', "INSERT INTO users DEFAULT VALUES", on_error_stop => 1);
isnt($status, 0, 'the default asks for an instance there');
$node->safe_psql('restored', "SELECT instance_env.enter('$dev'); INSERT INTO users DEFAULT VALUES; INSERT INTO users VALUES ('"
	  . $good[2]{id} . "', '$dev')");
is($node->safe_psql('restored', q{SELECT count(*) FROM users WHERE belongs}), '12', 'and makes ids');
$node->psql('restored', "\\set VERBOSITY sqlstate\nINSERT INTO users VALUES (gen_random_uuid(), '$dev')", stderr => \my $refusal, on_error_stop => 0);
like($refusal, qr/ERROR:  23514/, 'others are refused');

$node->stop;
done_testing();
