#!/usr/bin/perl
# run.pl: mutation testing of the tree (`make mutants`). Single bugs (generate.pl) are put into a copy, each alone; what does not compile
# with warnings as errors is not counted; then the tests that enter the changed place run one after another, quickest first, until one
# fails. Which tests enter which line is measured first, by a build that marks the blocks it enters (only.c): build/mutants/map.
#
#   N=300       how many mutants that compile (at least N / 20 in each folder, the rest drawn uniformly from all places)
#   SEED=TEXT   which ones; the revision unless given, so that a later commit tries others
#   JOBS=2      how many at once              LIMIT=SECONDS   start no mutant after that time (0: no limit)
#   ONLY=REGEX  files to make bugs in         ASAN=1          what survives is tried again under the sanitizers
#   BY_HAND=0   without the ones of by_hand
#   TABLE=FILE  writes all results as they come, tab between fields; one that is there is gone on with (its survivors: RETRY)
#   PATIENCE=S  no more tests for a mutant after S seconds of them, as they took when it was measured what they enter (0: all)
#   RETRY=FILE  only the survivors of a former TABLE                TMPDIR=/dev/shm  keeps the tests' files in memory
#
# Prints the survivors with file, line and change, then what was tried, killed, did survive and did not compile. The exit status says only
# whether the machinery worked. Only modules of perl-base. Everything happens in build/mutants.
use strict;
use warnings;
use Cwd qw(getcwd);
use POSIX qw(:sys_wait_h);

my ($here) = $0 =~ m{^(.*)/};
chdir "$here/../.." or die "$here/../..: $!\n";
my $root = getcwd();
my $work = "$root/build/mutants";
my $scratch = $ENV{TMPDIR} || $work; # the tests' files: in memory, they do not wait for a disk
my $make = $ENV{MAKE} || 'make';
my ($most, $jobs, $limit, $patience) = ($ENV{N} || 300, $ENV{JOBS} || 2, $ENV{LIMIT} || 0, $ENV{PATIENCE} || 0);
my $seed = $ENV{SEED};
chomp($seed = `git rev-parse HEAD 2>/dev/null` || 'none') unless defined $seed && length $seed;
my $started = time;
my @folders = qw(core text backends models tasks optimizers bench results plots);
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL CUDA T V N SEED CFLAGS LDFLAGS)};
$ENV{LC_ALL} = 'C';
$ENV{OMP_WAIT_POLICY} = 'passive';
$ENV{CK_VERBOSITY} = 'normal';
$ENV{CK_DEFAULT_TIMEOUT} = 300;
$ENV{CCACHE_DEPEND} = 1;
$| = 1;

# What a build is made of: its variables for make. -O1 compiles in half the time, and guesses worse at what may happen.
my $link = '-Wl,--wrap=_tcase_add_test,--wrap=kill only.o';
my %build = (
    cover => "MODE=release CUDA=0 CFLAGS='-O1 -fno-inline-functions-called-once -g1 -fsanitize-coverage=trace-pc' LDFLAGS='$link'",
    base  => "MODE=release CUDA=0 CFLAGS='-Werror -Wno-error=maybe-uninitialized -Wno-error=format-truncation -O1' LDFLAGS='$link'",
    asan  => "MODE=asan CUDA=0 CFLAGS=-Werror LDFLAGS='$link'",
);
my %out = (cover => 'build/cpu-release', base => 'build/cpu-release', asan => 'build/cpu-asan');

sub slurp { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!\n"; local $/; my $text = <$in>; return $text // '' }
sub spew { my ($path, $text) = @_; open my $out, '>:raw', $path or die "$path: $!\n"; print $out $text; close $out or die "$path: $!\n" }
sub hash_of { my $h = 2166136261; $h = ($h ^ $_) * 16777619 & 0xffffffff for unpack 'C*', $_[0];
    $h = ($h ^ $h >> 16) * 0x45d9f3b & 0xffffffff; return ($h ^ $h >> 15) }
sub say_now { printf "%5ds  %s\n", time - $started, join '', @_ }

# Copies of the tree ------------------------------------------------------------------------------------------------------------------

chomp(my @files = `git ls-files -co --exclude-standard 2>/dev/null || find . -name build -prune -o -type f -print | sed 's|^./||'`);
@files = grep { -f $_ && !/\.pyc$/ } @files;

sub sync_tree {
    my ($name) = @_;
    my $tree = "$work/$name/tree";
    system('mkdir', '-p', $tree);
    symlink "$root/../shared", "$work/$name/shared" if -d '../shared' && !-e "$work/$name/shared";
    my %wanted;
    for my $file (@files) {
        $wanted{$file} = 1;
        my ($a, $b) = ([lstat $file], [lstat "$tree/$file"]);
        next if @$b && $a->[7] == $b->[7] && $a->[9] == $b->[9];
        if (@$b && $a->[7] == $b->[7] && slurp($file) eq slurp("$tree/$file")) { next }
        (my $folder = "$tree/$file") =~ s{/[^/]*$}{};
        system('mkdir', '-p', $folder) unless -d $folder;
        system('cp', $file, "$tree/$file") == 0 or die "cp $file\n"; # a new time: make compiles it
    }
    chomp(my @there = `cd '$tree' && find . -name build -prune -o -type f -print | sed 's|^./||'`);
    for (@there) { unlink "$tree/$_" unless $wanted{$_} || /^(zo|only\.o)$/ }
}

sub build_tree {
    my ($name, $kind) = @_;
    my $tree = "$work/$name/tree";
    system("cd '$tree' && gcc -O1 -D_GNU_SOURCE -c tests/mutants/only.c -o only.new && { cmp -s only.new only.o && rm only.new || mv only.new only.o; }") == 0
        or die "only.c does not compile\n";
    if (system("cd '$tree' && $make -s -j$jobs $build{$kind} zo tests >'$work/$name/log' 2>&1") != 0) {
        system('tail', '-n', '40', "$work/$name/log");
        die "mutants: the tree itself does not build\n";
    }
}

# A pool of processes: $next->() gives a job or undef, $do->(job, slot) runs in a process of its own, $done->(job, text it returned) here.
sub pool {
    my ($next, $do, $done) = @_;
    my (%busy, $over);
    my @free = (1 .. $jobs);
    while (1) {
        while (@free && !$over) {
            my $job = $next->();
            if (!defined $job) { $over = 1; last }
            my $slot = shift @free;
            my $answer = "$work/answer.$slot";
            unlink $answer;
            my $pid = fork;
            die "fork: $!\n" unless defined $pid;
            if (!$pid) {
                spew($answer, $do->($job, $slot));
                POSIX::_exit(0);
            }
            $busy{$pid} = [$job, $slot, $answer];
        }
        last unless %busy;
        my $pid = waitpid -1, 0;
        my $entry = delete $busy{$pid} or next;
        $over = 0; # the answer may ask for more
        push @free, $entry->[1];
        die "mutants: a worker died\n" unless -e $entry->[2];
        $done->($entry->[0], slurp($entry->[2]));
    }
}

# One test function of one program: (status, seconds). The status is that of the program, or 'time'. Where the machine allows it, in a
# process namespace of its own, so that nothing is left behind.
my $alone = system('unshare --pid --fork --kill-child --mount-proc true 2>/dev/null') == 0 ? 'unshare --pid --fork --kill-child --mount-proc ' : '';
sub run_test {
    my ($name, $kind, $program, $test, $cpu_seconds, $wall_seconds) = @_;
    my ($begin) = POSIX::times();
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;
    if (!$pid) {
        setpgrp 0, 0;
        chdir "$work/$name/tree" or POSIX::_exit(126);
        $ENV{ZO_TESTS_ONLY} = $test;
        $ENV{TMPDIR} = "$scratch/$name/tmp";
        $ENV{ASAN_OPTIONS} = 'allocator_may_return_null=1';
        my $memory = $kind eq 'asan' ? '' : 'ulimit -d 12000000; ';
        exec 'sh', '-c', "ulimit -c 0; ulimit -t $cpu_seconds; ulimit -f 4000000; ${memory}exec $alone'$out{$kind}/tests/$program' >'$work/$name/output' 2>&1 </dev/null";
    }
    my ($status, $waited) = ('time', 0);
    my $tick = 0.002;
    while ($waited < $wall_seconds) {
        if (waitpid($pid, WNOHANG) == $pid) { $status = $?; last }
        select undef, undef, undef, $tick;
        $waited += $tick;
        $tick = $tick * 1.3 if $tick < 0.1;
    }
    kill 'KILL', -$pid;
    waitpid $pid, 0 if $status eq 'time';
    my ($end) = POSIX::times();
    return ($status, ($end - $begin) / POSIX::sysconf(&POSIX::_SC_CLK_TCK));
}

# Which tests enter which lines -----------------------------------------------------------------------------------------------------------

my (%entered, %cost); # entered{file}{line} = [test...], a test is "program function"; cost{test} = seconds
my %files_of;         # files_of{test} = {file => 1} that it enters
sub measure {
    sync_tree('cover');
    build_tree('cover', 'cover');
    my $tree = "$work/cover/tree";
    system('mkdir', '-p', "$work/map", "$work/hits", "$scratch/cover/tmp");
    chomp(my @programs = `cd '$tree/$out{cover}/tests' && ls -d test_* | grep -v '\\.'`);
    my (%todo, @task);
    for my $program (@programs) {
        my $key = `cd '$tree' && cksum <'$out{cover}/tests/$program'; cat tests/*/$program.c | cksum`;
        next if -e "$work/map/$program" && slurp("$work/map/$program") =~ /^\Q$key\E/;
        $todo{$program} = $key;
        my @names = map { /^test: (\w+)/ ? $1 : () } `cd '$tree' && ZO_TESTS_ONLY='?' '$out{cover}/tests/$program' 2>/dev/null`;
        push @task, map { [$program, $_] } @names;
    }
    say_now(scalar(@task), ' tests are asked which lines they enter') if @task;
    my %answer;
    my $i = 0;
    pool(sub { $i < @task ? $task[$i++] : undef },
        sub {
            my ($program, $test) = @{$_[0]};
            my $folder = "$work/hits/$program.$test";
            system('rm', '-rf', $folder);
            system('mkdir', '-p', $folder);
            $ENV{ZO_COVER} = $folder;
            my ($status, $seconds) = run_test('cover', 'cover', $program, $test, 300, 600);
            my $hits = '';
            for my $map (glob "$folder/*") {
                my $bytes = slurp($map);
                my ($binary) = $map =~ m{/([^/]*)$};
                my @at;
                push @at, $-[0] while $bytes =~ /\x01/g;
                $hits .= "$binary @at\n";
            }
            system('rm', '-rf', $folder);
            return "$status $seconds\n$hits";
        },
        sub { my ($task, $text) = @_; $answer{$task->[0]}{$task->[1]} = $text; });
    for my $program (sort keys %todo) {
        my (%at, %line); # of each binary: the addresses, and their lines
        for my $text (values %{$answer{$program} || {}}) {
            for (split /\n/, $text) { my ($binary, @at) = split / /; next unless $binary =~ /^(test_\w+|zo)$/; $at{$binary}{$_} = 1 for @at }
        }
        for my $binary (keys %at) {
            my $path = $binary eq 'zo' ? "$out{cover}/zo" : "$out{cover}/tests/$binary";
            next unless -e "$tree/$path";
            my @at = sort { $a <=> $b } keys %{$at{$binary}};
            spew("$work/addresses", join '', map { sprintf "%x\n", $_ - 1 } @at);
            my @lines = `cd '$tree' && addr2line -e '$path' <'$work/addresses'`;
            for my $k (0 .. $#at) {
                my ($file, $line) = $lines[$k] =~ m{^(.*?):(\d+)} or next;
                $file =~ s{^\Q$tree\E/}{};
                $file =~ s{^\./}{};
                $line{$binary}{$at[$k]} = "$file $line" if $file =~ m{^[\w/]+\.(c|h|cu|cuh)$} && $file !~ m{^(/|tests)};
            }
        }
        my $map = $todo{$program};
        for my $test (sort keys %{$answer{$program} || {}}) {
            my ($first, @rest) = split /\n/, $answer{$program}{$test};
            my %lines;
            for (@rest) {
                my ($binary, @at) = split / /;
                for (@at) { my $where = $line{$binary}{$_} or next; my ($file, $line) = split / /, $where; $lines{$file}{$line} = 1 }
            }
            $map .= "test $test $first\n";
            $map .= "$_ " . join(' ', sort { $a <=> $b } keys %{$lines{$_}}) . "\n" for sort keys %lines;
        }
        spew("$work/map/$program", $map);
    }
    my $skipped = 0;
    my %is = map { $_ => 1 } @programs;
    for my $path (glob "$work/map/*") {
        my ($program) = $path =~ m{/([^/]*)$};
        if (!$is{$program}) { unlink $path; next }
        my ($test, $usable);
        for (split /\n/, slurp($path)) {
            if (/^test (\w+) (\S+) (\S+)/) {
                ($test, $usable) = ("$program $1", $2 eq '0');
                $cost{$test} = $3 if $usable;
                $skipped++ unless $usable;
            } elsif ($usable && m{^(\S+/\S+) ([\d ]+)$}) {
                my $file = $1;
                $files_of{$test}{$file} = 1;
                push @{$entered{$file}{$_}}, $test for split / /, $2;
            }
        }
    }
    say_now(scalar(keys %cost), ' tests are used', $skipped ? ", $skipped are not, since they fail where nothing is changed" : '');
}

# Groups of tests that may notice a change at a line of a function that stands at first..last: those that enter the nearest place at or above
# the line, then others that enter the function, then others that enter the file (what was compiled into its caller has no place of its own).
# Of what nobody enters and is outside functions, such as a table: the tests of its room, then all.
sub tests_of {
    my ($m) = @_;
    my $lines = $entered{$m->{file}} || {};
    my %seen;
    my @near;
    for (my $l = $m->{line}; $m->{last} && $l >= $m->{first}; $l--) {
        if ($lines->{$l}) { @near = grep { !$seen{$_}++ } @{$lines->{$l}}; last }
    }
    my @function = grep { !$seen{$_}++ } map { @{$lines->{$_} || []} } $m->{last} ? ($m->{first} - 2 .. $m->{last}) : ();
    my @file = grep { !$seen{$_}++ } map { @$_ } values %$lines;
    unless ($m->{last} || %$lines) {
        my ($room) = $m->{file} =~ m{^(\w+)};
        @near = grep { !$seen{$_}++ && /^(\w+)/ && -e "tests/$room/$1.c" } keys %cost;
        @file = grep { !$seen{$_}++ } keys %cost;
    }
    return [\@near, \@function, \@file];
}

# One mutant ------------------------------------------------------------------------------------------------------------------------------

# Does the test pass where nothing is changed? Asked once for each that a mutant failed.
sub passes {
    my ($kind, $test) = @_;
    my ($program, $function) = split / /, $test;
    my $memory = "$work/passes/$kind.$program.$function";
    return slurp($memory) if -e $memory;
    my ($status) = run_test($kind, $kind, $program, $function, 300, 600);
    spew($memory, $status eq '0' ? 1 : 0);
    return $status eq '0';
}

# Puts the worker's tree back as the base is: sources, objects; what was linked is linked again when it is asked for.
sub restore {
    my ($name, $kind, $file, $stamp) = @_;
    system('cp', '-p', "$work/$kind/tree/$file", "$work/$name/tree/$file") == 0 or die "cp\n";
    chomp(my @new = `cd '$work/$name/tree/$out{$kind}' && find . -newer '$stamp' -type f ! -path './tests/logs/*'`);
    for (@new) {
        if (/\.(o|d)$/ && -e "$work/$kind/tree/$out{$kind}/$_") { system('cp', '-p', "$work/$kind/tree/$out{$kind}/$_", "$work/$name/tree/$out{$kind}/$_") }
        else { unlink "$work/$name/tree/$out{$kind}/$_" }
    }
}

# The program with the mutant. Of a header, only what the tests to come enter is compiled again: the rest is as it was, and never runs.
sub link_program {
    my ($name, $kind, $m, $program, $tests) = @_;
    my $tree = "$work/$name/tree";
    my $target = "'$out{$kind}/tests/$program'" . ($program eq 'test_step' ? ' zo' : '');
    my $do = "CCACHE_DISABLE=1 timeout 600 $make -s -j1 $build{$kind}";
    my $first = '';
    if ($m->{file} =~ /\.(h|cuh)$/ && $program ne 'test_step') {
        my %files = map { %{$files_of{$_} || {}} } grep { /^$program / } @$tests;
        my @objects = grep { -e "$tree/$_.d" && slurp("$tree/$_.d") =~ /\b\Q$m->{file}\E\b/ } map { s/\.\w+$//r }
            (map { s{^\Q$tree\E/}{}r } glob "$tree/$out{$kind}/tests/*/$program.o"), map { /\.cu$/ ? "$out{$kind}/shim/$_" : "$out{$kind}/$_" } grep { /\.(c|cu)$/ } keys %files;
        $first = "$do " . join(' ', map { "$_.o" } @objects) . ' && ' if @objects;
        $do .= " -o $m->{file}";
    }
    return system("cd '$tree' && { $first$do $target; } >'$work/$name/log' 2>&1") == 0;
}

sub try_mutant {
    my ($m, $slot, $kind) = @_;
    my $name = "$kind-$slot";
    my $tree = "$work/$name/tree";
    my $groups = tests_of($m);
    my @any = map { @$_ } @$groups;
    return "survived\tno test enters the file" unless @any;
    my $stamp = "$work/$name/stamp";
    spew($stamp, '');
    select undef, undef, undef, 0.01;
    my $text = slurp("$tree/$m->{file}");
    substr($text, $m->{offset}, $m->{length}) = $m->{new};
    unlink "$tree/$m->{file}";
    spew("$tree/$m->{file}", $text);
    my (%linked, $verdict);
    my ($ran, $spent) = (0, 0);
    GROUP: for my $group (@$groups) {
        my @left = @$group;
        while (@left) {
            my ($best, $least) = (0);
            for my $k (0 .. $#left) {
                my ($program) = split / /, $left[$k];
                my $seconds = $cost{$left[$k]} + ($linked{$program} ? 0 : 0.4);
                ($best, $least) = ($k, $seconds) if !defined $least || $seconds < $least;
            }
            my $test = splice @left, $best, 1;
            last GROUP if $patience && $ran && $spent + $cost{$test} > $patience;
            $spent += $cost{$test};
            my ($program, $function) = split / /, $test;
            if (!$linked{$program}) {
                if (!link_program($name, $kind, $m, $program, \@any)) {
                    $verdict = "uncompiled\t" . (slurp("$work/$name/log") =~ /error: (.*)/ ? $1 : '');
                    last GROUP;
                }
                $linked{$program} = 1;
            }
            my $cpu = 10 + int(8 * $cost{$test} * ($kind eq 'asan' ? 4 : 1));
            my ($status, $seconds) = run_test($name, $kind, $program, $function, $cpu, 60 + 6 * $cpu);
            $ran++;
            if ($status ne '0' && passes($kind, $test)) {
                $verdict = "killed\t$test" . ($status eq 'time' ? ' (time)' : '');
                last GROUP;
            }
        }
    }
    restore($name, $kind, $m->{file}, $stamp);
    return $verdict || "survived\t$ran of " . @any . ' tests';
}

sub ready_workers {
    my ($kind) = @_;
    sync_tree($kind);
    build_tree($kind, $kind);
    my $key = `cd '$work/$kind/tree' && find . -name '*.o' -printf '%p %T@\n' | sort | cksum`;
    if (!-e "$work/$kind/key" || slurp("$work/$kind/key") ne $key) {
        system("rm -f '$work'/passes/$kind.*; rm -rf '$work/$kind'-*; mkdir -p '$work/passes'");
        spew("$work/$kind/key", $key);
    }
    system('mkdir', '-p', "$scratch/$kind/tmp");
    for my $slot (1 .. $jobs) {
        my $name = "$kind-$slot";
        system("rm -rf '$work/$name'; mkdir -p '$work/$name' '$scratch/$name/tmp'; cp -a '$work/$kind/tree' '$work/$name/tree'") == 0 or die "mutants: no room for a copy\n";
        symlink "$root/../shared", "$work/$name/shared" if -d '../shared' && !-e "$work/$name/shared";
    }
}

# The mutants -----------------------------------------------------------------------------------------------------------------------------

my $only = $ENV{ONLY} || '.';
my @sources = grep { m{^(?:@{[join '|', @folders]})/[\w/]+\.(?:c|h|cu|cuh)$} && /$only/ } @files;

# by_hand: blocks of a line "FILE: what is wrong", lines "-old" and lines "+new".
sub by_hand {
    my @all;
    return @all if defined $ENV{BY_HAND} && !$ENV{BY_HAND};
    for my $block (split /\n\n+/, slurp('tests/mutants/by_hand')) {
        my ($file, $what) = $block =~ m{^([\w/]+\.\w+): (.*)}m or next;
        next unless $file =~ /$only/;
        my $old = join "\n", $block =~ /^-(.*)$/mg;
        my $new = join "\n", $block =~ /^\+(.*)$/mg;
        my $text = -e $file ? slurp($file) : '';
        my $at = index $text, $old;
        if ($at < 0 || index($text, $old, $at + 1) >= 0) {
            print "by_hand: $file: $what: the old text is there ", ($at < 0 ? 'no more' : 'more than once'), "\n";
            next;
        }
        my $line = 1 + (substr($text, 0, $at) =~ tr/\n//);
        push @all, {file => $file, line => $line, kind => 'by hand', offset => $at, length => length $old, new => $new, first => $line,
            last => $line + ($old =~ tr/\n//), shown => $what};
    }
    return @all;
}

system('mkdir', '-p', $work);
measure();
ready_workers('base');

my (%queue, @all);
open my $list, '-|', 'perl', 'tests/mutants/generate.pl', $seed, @sources or die "generate.pl: $!\n";
while (<$list>) {
    chomp;
    my %m;
    @m{qw(file line kind offset length function first last new old)} = split /\t/;
    $m{order} = hash_of("$seed $m{file} $m{offset} $m{kind}");
    $m{shown} = "$m{kind}: $m{old}  ->  $m{new}";
    $m{shown} = "$m{kind}: $m{old}" if $m{kind} eq 'dropped';
    push @all, \%m;
}
close $list or die "generate.pl failed\n";
@all = sort { $a->{order} <=> $b->{order} || $a->{offset} <=> $b->{offset} } @all;
for my $m (@all) { my ($folder) = $m->{file} =~ m{^(\w+)/}; push @{$queue{$folder}}, $m }
if ($ENV{RETRY}) { # the same change in the same function, at the nearest line
    my (%by, %again);
    push @{$by{"$_->{file} $_->{function} $_->{shown}"}}, $_ for @all;
    for (split /\n/, slurp($ENV{RETRY})) {
        my ($verdict, $file, $line, $function, $shown) = split /\t/;
        next unless $verdict eq 'survived';
        my ($near) = sort { abs($a->{line} - $line) <=> abs($b->{line} - $line) } grep { !$again{$_} } @{$by{"$file $function $shown"} || []};
        if ($near) { $again{$near} = 1 } else { print "RETRY: $file:$line $function: $shown: is there no more\n" }
    }
    @all = grep { $again{$_} } @all;
    %queue = ();
}
my @hand = $ENV{RETRY} ? () : by_hand();
my $hands = @hand;
say_now(scalar(@all), " places, $hands mutants by hand; seed $seed");

my (%tried, %count, @survivor, @table);
my %known; # verdicts of a TABLE that is there already
if ($ENV{TABLE} && -e $ENV{TABLE} && !$ENV{RETRY}) {
    for (split /\n/, slurp($ENV{TABLE})) {
        my ($verdict, $file, $line, undef, $shown, $why) = split /\t/;
        $known{"$file:$line $shown"} = "$verdict\t$why";
    }
}
sub known { my ($m) = @_; return $known{"$m->{file}:$m->{line} $m->{shown}"} }
my $next_mutant = sub {
    return undef if $limit && time - $started > $limit;
    return shift @hand if @hand;
    my $done = 0;
    $done += $_ for values %tried;
    for my $folder (@folders) { # first each folder's share
        next if ($tried{$folder} || 0) >= int($most / 20);
        while (my $m = shift @{$queue{$folder} || []}) { next if $m->{taken}; $m->{taken} = 1; $tried{$folder}++; return $m }
    }
    return undef if $done >= $most;
    while (my $m = shift @all) {
        next if $m->{taken};
        $m->{taken} = 1;
        my ($folder) = $m->{file} =~ m{^(\w+)/};
        $tried{$folder}++;
        return $m;
    }
    return undef;
};
my $report = sub {
    my ($m, $answer) = @_;
    my ($verdict, $why) = split /\t/, $answer, 2;
    my ($folder) = $m->{file} =~ m{^(\w+)/};
    $count{$verdict}++;
    $tried{$folder}-- if $verdict eq 'uncompiled' && $m->{kind} ne 'by hand';
    push @survivor, $m if $verdict eq 'survived';
    $m->{why} = $why;
    push @table, join("\t", $verdict, $m->{file}, $m->{line}, $m->{function} || '', $m->{shown}, $why);
    if ($ENV{TABLE} && !defined known($m)) { # as it comes, so that a run that is stopped goes on from there
        open my $out, '>>:raw', $ENV{TABLE} or die "$ENV{TABLE}: $!\n";
        print $out "$table[-1]\n";
        close $out;
    }
    say_now("$verdict  $m->{file}:$m->{line}  $m->{shown}  [$why]") if $ENV{V} || $verdict ne 'uncompiled';
};
pool($next_mutant, sub { my ($m, $slot) = @_; return known($m) // try_mutant($m, $slot, 'base') }, $report);

if ($ENV{ASAN} && @survivor) {
    say_now(scalar(@survivor), ' survivors under the sanitizers');
    ready_workers('asan');
    my @again = @survivor;
    @survivor = ();
    pool(sub { shift @again }, sub { try_mutant($_[0], $_[1], 'asan') }, sub {
        my ($m, $answer) = @_;
        my ($verdict, $why) = split /\t/, $answer, 2;
        if ($verdict eq 'survived') { push @survivor, $m; return }
        $count{survived}--;
        $count{killed}++;
        push @table, join("\t", 'killed', $m->{file}, $m->{line}, $m->{function} || '', $m->{shown}, "$why, sanitizers");
        say_now("killed  $m->{file}:$m->{line}  $m->{shown}  [$why, sanitizers]");
    });
}
spew($ENV{TABLE}, join("\n", @table) . "\n") if $ENV{TABLE};

print "\n";
for my $m (sort { $a->{file} cmp $b->{file} || $a->{line} <=> $b->{line} } @survivor) {
    printf "survived: %s:%d %s: %s (%s)\n", $m->{file}, $m->{line}, $m->{function} || '', $m->{shown}, $m->{why};
}
my ($killed, $survived, $uncompiled) = map { $count{$_} || 0 } qw(killed survived uncompiled);
my $tried = $killed + $survived;
print "by folder: ", join(', ', map { "$_ " . ($tried{$_} || 0) } @folders), "; by hand $hands\n";
printf "%d tried, %d killed, %d survived (%.1f %% killed); %d did not compile and are not counted; seed %s; %d s\n", $tried, $killed, $survived,
    $tried ? 100 * $killed / $tried : 0, $uncompiled, $seed, time - $started;
