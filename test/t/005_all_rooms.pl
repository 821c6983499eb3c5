# The rooms of the source: what doc/hacking.md has in its map is what the files include and
# what the object files call.  A room knows only rooms below it, and no two files of one room
# call each other in a circle.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# The map, from the top down: a room, and the rooms that it knows
my (@rooms, %knows);
foreach (slurp_file('doc/hacking.md') =~ /^(\| `\w+\/` \|.*)/mg)
{
	my ($room, $knows) = /`(\w+)\/` \|([^|]*)\|/;
	push @rooms, $room;
	$knows{$room} = { map { $_ => 1 } $knows =~ /\w+/g };
}
is("@{[ sort @rooms ]}", join(' ', sort map { m{^src/(\w+)/$} } glob 'src/*/'), 'the map has all folders of src');

my %below;
foreach my $room (reverse @rooms)
{
	is(join(' ', grep { !$below{$_} } sort keys %{ $knows{$room} }), '', "all that $room knows is further down in the map");
	$below{$room} = 1;
}

# What they include
foreach my $room (@rooms)
{
	my %included = map { $_ => 1 }
		map { slurp_file($_) =~ m{^#include "(\w+)/\w+\.h"$}mg } glob "src/$room/*.[ch]";
	is(join(' ', grep { $knows{$_} && $_ ne $room } sort keys %included), join(' ', sort keys %{ $knows{$room} }),
		"$room includes the headers of those rooms, and of no others");
}

# What they call
my (%defined_in, %called);
foreach my $object (glob 'src/*/*.o')
{
	my ($stdout, $stderr);
	next unless -e $object =~ s/\.o$/.c/r;
	IPC::Run::run([ 'nm', '-P', $object ], '>', \$stdout, '2>', \$stderr) or die "nm $object: $stderr";
	foreach (split /\n/, $stdout)
	{
		next unless /^((?:ienv|instance_env)_\w+) (\w)/;
		if ($2 eq 'U') { $called{$object}{$1} = 1 }
		else           { $defined_in{$1} = $object }
	}
}

SKIP:
{
	skip 'there are no object files: build the extension here first', 3 + @rooms unless %called;
	my (@upward, @unknown, %calls);
	foreach my $object (sort keys %called)
	{
		my ($room) = $object =~ m{^src/(\w+)/};
		foreach my $symbol (sort keys %{ $called{$object} })
		{
			my $other = $defined_in{$symbol};
			if (!defined $other) { push @unknown, "$object: $symbol"; next }
			my ($its_room) = $other =~ m{^src/(\w+)/};
			push @upward, "$object: $symbol" if $its_room ne $room && !$knows{$room}{$its_room};
			$calls{$object}{$other} = 1 if $its_room eq $room && $other ne $object;
		}
	}
	is(join("\n", @unknown), '', 'each function that a room calls is defined in one');
	is(join("\n", @upward), '', 'none is of a room that the caller does not know');

	# whoever calls nobody, or only those that are gone, goes; what stays is in a circle
	my %left = map { $_ => 1 } keys %called, values %defined_in;
	while (my @free = grep { my $file = $_; !grep { $left{$_} } keys %{ $calls{$file} } } keys %left)
	{
		delete @left{@free};
	}
	is(join(' ', sort keys %left), '', 'no files of a room call each other in a circle');

	# What SQL calls is declared in the part of the room that defines it.
	foreach my $room (@rooms)
	{
		my %declared = map { $_ => 1 } slurp_file("sql/parts/$room.sql") =~ /'MODULE_PATHNAME', '(\w+)'/g;
		is(join(' ', grep { ($defined_in{$_} // '') !~ m{^src/$room/} } sort keys %declared),
			'', "sql/parts/$room.sql declares functions of $room");
	}
}

done_testing();
