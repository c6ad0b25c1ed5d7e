#!/bin/sh
# The code is spaced and indented as .clang-format says. clang-format would break some lines elsewhere (it knows no struct on one line), so
# two things are compared with what it makes of a file: the text with every run of white space made one space, and the indentation of lines that
# begin a statement. Debian 12's clang-format 14 is the one that counts; where it is not installed, nothing is checked, and a line says so.
set -eu
cd "$(dirname "$0")/.."
case $(clang-format --version 2>/dev/null) in
*' 14.'*) ;;
*) echo 'check: no clang-format 14 here, spacing and indentation not looked at'; exit 0 ;;
esac
exec perl - <<'PERL'
use strict;
use warnings;
use File::Temp 'tempdir';

sub slurp { local $/; open my $in, '<', $_[0] or die "check_format: $_[0]: $!\n"; return scalar <$in> }

# One space for each run of white space, none inside brackets: where lines break is no difference.
sub squeezed {
    my ($text) = @_;
    $text =~ s/\\\n/ /g;
    $text =~ s/\s+/ /g;
    $text =~ s/([({\[]) /$1/g;
    $text =~ s/ ([)}\]])/$1/g;
    return $text;
}

# Lines that begin a statement or a declaration, as [number, indentation, text without white space].
sub beginnings {
    my ($text) = @_;
    my ($number, $begins, @line) = (0, 0);
    for (split /\n/, $text) {
        $number++;
        next if /^\s*$/;
        my ($indent) = /^( *)/;
        (my $bare = $_) =~ s/\s+//g;
        push @line, [$number, length $indent, $bare] if $begins && !/^\s*(#|\/\*|\*|\/\/)/;
        s{\s*(/\*.*?\*/|//.*)\s*$}{};
        $begins = /[;{}]$/ && !/^\s*#/;
    }
    return @line;
}

# What is wrong: one text or nothing.
sub fault {
    my ($mine, $formatted) = @_;
    my ($is, $want) = (squeezed($mine), squeezed($formatted));
    if ($is ne $want) {
        my $at = 0;
        $at++ while substr($is, $at, 1) eq substr($want, $at, 1);
        my $from = $at > 40 ? $at - 40 : 0;
        return 'has "' . substr($is, $from, 80) . '" where clang-format has "' . substr($want, $from, 80) . '"';
    }
    my (%here, %there); # lines of the same text, in order; where one file has more of them, which is which is not known
    push @{$here{$_->[2]}}, $_ for beginnings($mine);
    push @{$there{$_->[2]}}, $_ for beginnings($formatted);
    for my $text (sort { $here{$a}[0][0] <=> $here{$b}[0][0] } keys %here) {
        my ($mine, $theirs) = ($here{$text}, $there{$text} // []);
        next unless @$mine == @$theirs;
        for my $i (0 .. $#$mine) {
            my ($number, $is, $want) = ($mine->[$i][0], $mine->[$i][1], $theirs->[$i][1]);
            return "line $number begins $is columns in, and clang-format puts it at $want" if $is != $want;
        }
    }
    return;
}

die "check_format: sees no spaces\n" unless fault("int a;\nint b=1;\n", "int a;\nint b = 1;\n");
die "check_format: sees no indentation\n" unless fault("{\n    a();\n      b();\n}\n", "{\n    a();\n    b();\n}\n");
die "check_format: sees a line that breaks elsewhere\n" if fault("struct a { int b; };\nf(c,\n  d);\n", "struct a {\n    int b;\n};\nf(c, d);\n");

my @file = grep { !m{^build/} && $_ ne 'text/tokenizer_unicode.h' } glob '{*,*/*,*/*/*}/*.{c,h,cu,cuh,cpp}'; # which a script writes
my %mine = map { $_ => slurp($_) } @file;
my $scratch = tempdir(CLEANUP => 1);
system('cp', '--parents', '.clang-format', @file, $scratch) == 0 && chdir $scratch && system('clang-format', '-i', @file) == 0
    or die "check_format: clang-format did not run over the files\n";
my $bad = 0;
for (@file) {
    my $why = fault($mine{$_}, slurp($_)) // next;
    print "$_: $why\n";
    $bad = 1;
}
chdir '/';
print 'check: ', scalar @file, " files are spaced and indented as .clang-format says\n" unless $bad;
exit $bad;
PERL
