# The stress test again, with the bound in shared memory admitting where it can.

use strict;
use warnings;
use FindBin;

$ENV{INSTANCE_ENV_STRESS_PRELOAD} = 1;
do "$FindBin::Bin/010_stress.pl";
die $@ if $@;
