#!/bin/sh
# The documents for people. In README.md, CONTRIBUTING.md, CHANGELOG.md, docs/ and each room's README.md: sentences are short, links and #anchors
# lead somewhere, and every command, test and source file that is named exists. check_prose.sh -v shows words a sentence by document.
#
# A sentence ends at . ! or ?, or at the colon that ends a paragraph. Tables, headings and code are no prose. An item of a list without an end of
# its own ("- no padding,") is a label and is left out of the mean, yet not out of the longest.
set -eu
cd "$(dirname "$0")/.."
exec perl - "$@" <<'PERL'
use strict;
use warnings;

my ($MEAN, $LONGEST) = (14, 40); # words a sentence: the mean of a document, and the longest of all
my @ROOMS = qw(core text backends models models/files tasks optimizers optimizers/engine bench results plots tests);
my @HEADS = ('For', 'In', 'Out', 'Leave alone'); # what a room's README.md says, each in bold

sub slurp { local $/; open my $in, '<:encoding(UTF-8)', $_[0] or die "check_prose: $_[0]: $!\n"; return <$in> }
binmode STDOUT, ':encoding(UTF-8)';

my %command = map { $_ => 1 } slurp('bench/cli/main.c') =~ /^\s*\{"([a-z]+)", (?:zo_)?cmd_\w+,/mg;
my %target = map { $_ => 1 } map { split ' ' } map { slurp($_) =~ /^([a-z][\w -]*):(?!=)/mg } 'Makefile', glob 'make/*.mk';
die "check_prose: no commands in bench/cli/main.c, or no targets in the Makefile\n" unless $command{run} && $target{test};

my %anchors; # of other files
sub anchors { # of a document's text: GitHub's names of its headings
    (my $text = $_[0]) =~ s/^```.*?^```//msg;
    my %name;
    for ($text =~ /^#+ +(.+?)\s*$/mg) {
        s/\[([^\]]*)\]\([^)]*\)/$1/g;
        s/[^\w\s-]//g;
        tr/ /-/;
        $name{lc $_} = 1;
    }
    return \%name;
}

# What is wrong with a line of shell or a text between backquotes that is one.
sub command_fault {
    my ($line) = @_;
    $line =~ s/"[^"]*"|'[^']*'/Q/g;
    $line =~ s/(^|\s)#.*//;
    for my $part (split /&&|\|\|?|;/, $line) {
        my @word = grep { !/^[A-Z_]+=/ } split ' ', $part;
        my $first = shift @word // next;
        if ($first =~ m{^(\./)?zo$}) {
            return "no command of zo: `zo $word[0]`" if @word && $word[0] =~ /^[a-z]+$/ && !$command{$word[0]};
        } elsif ($first eq 'make') {
            for (grep { !/^-|=/ } @word) { return "no target of make: `make $_`" unless $target{$_} }
            if ($part =~ /\btest\b.*\bT=([a-z_]+)/ && !@{[glob "tests/*/test_$1.c"]}) { return "no test of this name: `$1`" }
        }
    }
    return;
}

# All faults of a document: (file, text) to a list of sentences. Fills $words and $sentences.
my ($words, $sentences);
sub faults {
    my ($file, $text) = @_;
    my @fault;
    ($words, $sentences) = (0, 0);
    my ($folder) = $file =~ m{^(.*/)} ? $1 : '';

    # Blocks of code go out first.
    my @block;
    (my $prose = $text) =~ s/^([ \t]*)```(\w*)\n(.*?)^\1```[ \t]*$/push @block, [$2, $3]; "\n"/msge;
    my %made; # files that a document makes: by a shell's >, or in a block below "`FILE`:"
    $made{$1} = 1 while $text =~ /`([\w.\/]+)`:\s*```/g;
    for (@block) {
        my ($language, $code) = @$_;
        $made{$1} = 1 while $code =~ /> *([\w.\/-]+)/g;
        next unless $language eq 'sh';
        $code =~ s/<<'?(\w+)'?.*?^\1$//msg;
        $code =~ s/\\\n//g;
        for (split /\n/, $code) { my $why = command_fault($_); push @fault, $why if $why }
    }
    my @inline = $prose =~ /`([^`]+)`/g;
    for (@inline) {
        s/\s+/ /g;
        next unless m{^(\./zo|zo|make) };
        my $why = command_fault($_);
        push @fault, $why if $why;
    }
    # Files of the tree. NAME, PAPER and DIR stand for names.
    for my $code (@inline, map { $_->[1] } grep { $_->[0] ne 'c' } @block) {
        while ($code =~ m{(?<![\w./\$-])((?:\.?[a-z_]\w*/)+[\w.*-]+\.(?:c|h|cu|cuh|sh|pl|py|gp|sql|md|mk|json))\b}g) {
            my $path = $1;
            my ($top) = $path =~ m{^([^/]+)};
            next if !-d $top || $path =~ /NAME|PAPER|DIR/ || $made{$path} || $path =~ m{^(build|results/(?!schema|views))};
            push @fault, "no such file: `$path`" unless grep { -e } glob $path;
        }
    }

    $prose =~ s/<!--.*?-->//sg;
    (my $linked = $prose) =~ s/`[^`]+`/code/g;
    for my $link ($linked =~ /\]\(([^)\s]+)\)/g, $linked =~ /\bsrc="([^"]+)"/g) {
        next if $link =~ /^(https?|mailto):/;
        my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
        my $to = $path eq '' ? $file : $folder . $path;
        1 while $to =~ s{(?:^|(?<=/))(?!\.\./)[^/]+/\.\./}{};
        if ($path ne '' && !-e $to) { push @fault, "a link to nowhere: $link"; next }
        next unless defined $anchor;
        my $there = $path eq '' ? anchors($text) : ($anchors{$to} //= anchors(slurp($to)));
        push @fault, "no heading has this anchor: $link" unless $there->{$anchor};
    }

    # Sentences.
    $linked =~ s/!?\[([^\]]*)\]\([^)]*\)/$1/g;
    $linked =~ s/^\s*([|#<]|---).*$//mg;
    $linked =~ s/^(\s*)([-*]|\d+\.) +/\n$1/mg;
    for my $paragraph (split /\n\s*\n/, $linked) {
        $paragraph =~ s/\s+/ /g;
        $paragraph =~ s/^ | $//g;
        my @piece = split /(?<=[.!?])["')*_]* (?=\S)/, $paragraph;
        for my $piece (@piece) {
            my $n = grep { /\w/ } split ' ', $piece;
            push @fault, "a sentence of $n words, more than $LONGEST: \"" . substr($piece, 0, 60) . '..."' if $n > $LONGEST;
            next unless $piece =~ /[.!?:]["')*_]*$/;
            $words += $n;
            $sentences++;
        }
    }
    push @fault, sprintf 'words a sentence are %.1f in the mean, more than %d', $words / $sentences, $MEAN if $sentences && $words / $sentences > $MEAN;

    my ($room) = $file =~ m{^(\w+)/README\.md$};
    if ($room && grep { $_ eq $room } @ROOMS) {
        for my $head (@HEADS) { push @fault, "does not say **$head**" unless $text =~ /\*\*\Q$head\E\.?\*\*/ }
        for (grep { /^[\w*]+\.(c|h|cu|gp|sql|sh)$/ } @inline) { push @fault, "no such file in $room/: `$_`" unless grep { -e } glob "$room/$_" }
    }
    return @fault;
}

# A check that cannot fail checks nothing: each of these must be found, and nothing in the last.
my @must = (
    ['a link to no file', '[x](docs/nowhere.md)'],
    ['a link to no file from a folder', '[x](README.md/../../docs/nowhere.md)'],
    ['an anchor of no heading', "# Here\n\n[x](#there)"],
    ['an anchor of no heading elsewhere', '[x](README.md#nowhere-at-all)'],
    ['a picture that is not there', '<img src="plots/nowhere.png">'],
    ['a command that is not there', "```sh\nmake && ./zo fly --json\n```"],
    ['a command in a sentence', 'So `zo fly` it.'],
    ['a target that is not there', "```sh\nmake CUDA=0 cake\n```"],
    ['a test that is not there', 'See `make test T=nothing`.'],
    ['a file that is not there', 'It stands in `core/nothing.c`.'],
    ['a sentence too long', 'Go. ' x 9 . 'So ' . 'on and ' x 20 . 'on.'],
    ['a mean too high', ('Word ' . 'word ' x 13 . 'end. ') x 3],
);
for (@must) {
    my ($what, $text) = @$_;
    die "check_prose: does not find $what\n" unless faults('x.md', $text) == 1;
}
my @none = faults('x.md', "# A `b`, c\n\nSee [it](#a-b-c) and [that](README.md). Run `make test T=core`.\n\n```sh\n./zo run x.json | cat # cake\n" .
    "cat > plots/mine.gp <<'END'\nmake cake\nEND\n```\n\nLook at `plots/mine.gp` and `tests/*/test_*.c`.\n");
die "check_prose: finds what is not wrong: $none[0]\n" if @none;
die "check_prose: a room may say nothing\n" unless faults('core/README.md', 'It is a room.') == @HEADS;
die "check_prose: a room may name a file of another\n" unless faults('core/README.md', 'It is `mem.c`, and `mezo.c` too.') == @HEADS + 1;

my $bad = 0;
my ($all_words, $all_sentences) = (0, 0);
my @documents = (qw(README.md CONTRIBUTING.md CHANGELOG.md), glob('docs/*.md'), map { "$_/README.md" } @ROOMS);
for my $file (@documents) {
    if (!-e $file) { print "$file: is not there\n"; $bad = 1; next }
    my $text = slurp($file);
    for (faults($file, $text)) { print "$file: $_\n"; $bad = 1 }
    printf "%5.1f words a sentence, %4d sentences  %s\n", $words / ($sentences || 1), $sentences, $file if "@ARGV" eq '-v';
    $all_words += $words;
    $all_sentences += $sentences;
}
printf "check: %d documents, %.1f words a sentence\n", scalar @documents, $all_words / $all_sentences unless $bad;
exit $bad;
PERL
