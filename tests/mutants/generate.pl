#!/usr/bin/perl
# generate.pl SEED FILE...: every single bug that can be made in these C and CUDA files, one a line, tab between fields (of several of one
# kind at one place, such as n + 1 and n - 1, the seed takes one):
#
#   file  line  kind  offset  length  function  first line of it  last line of it  new text  old text
#
# `new text` takes the place of the `length` bytes at `offset`; newlines in either text are written as spaces. Kinds:
#
#   comparison   < for <=, == for !=, && for ||, a condition turned round        dropped     a statement, break, continue
#   one          n + 1 for n at a bound, an index, an offset                     swapped     two arguments of a call
#   sign         + for -, * for /, ++ for --, -x for x, & for |                  neighbour   the next field of the structure,
#   constant     another number, false for true                                              another local of the same type
#
# `places`, beside this file, says where none is made. Only modules of perl-base.
use strict;
use warnings;

my ($here) = $0 =~ m{^(.*)/};
my $seed = shift @ARGV;
my %rule;
open my $places, '<', "$here/places" or die "$here/places: $!\n";
while (<$places>) {
    next if /^\s*(#|$)/;
    my ($kind, $pattern) = /^(\w+)\s+(.*?)\s{2,}\S/ or die "$here/places:$.: not a kind, a pattern and a reason\n";
    push @{$rule{$kind}}, qr/$pattern/;
}
sub hits { my ($kind, $text) = @_; for (@{$rule{$kind} || []}) { return 1 if $text =~ $_ } return 0 }

# FNV-1a of a text, 32 bits, its low bits mixed.
sub hash_of { my $h = 2166136261; $h = ($h ^ $_) * 16777619 & 0xffffffff for unpack 'C*', $_[0]; return ($h ^ $h >> 15) * 2246822519 & 0xffffffff }

sub slurp { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!\n"; local $/; my $text = <$in>; return $text }

# A file as tokens: [kind, text, offset, line]; comments and directives are left out, and what stands under #ifdef of a compiler or tool
# that the tests are not built with.
my $elsewhere = qr/^#\s*(?:ifdef\s+|if\s+defined\W*)(?:__CUDACC__|__CUDA_ARCH__|__SANITIZE_ADDRESS__|__clang__)\b/;
sub tokens {
    my ($text) = @_;
    my ($line, @token, @branch) = (1); # branch: is each #if that is open one of those, and on which side are we
    pos($text) = 0;
    while (pos($text) < length $text) {
        my $at = pos $text;
        my $kind;
        if    ($text =~ m{\G\s+}gc)                                              { }
        elsif ($text =~ m{\G//[^\n]*}gc || $text =~ m{\G/\*.*?\*/}gcs)           { }
        elsif ($text =~ m{\G#(?:[^\n\\]|\\.)*}gcs) {
            my $directive = substr $text, $at, pos($text) - $at;
            if    ($directive =~ /^#\s*if/)   { push @branch, $directive =~ $elsewhere ? 1 : 0 }
            elsif ($directive =~ /^#\s*else/) { $branch[-1] = -$branch[-1] if @branch }
            elsif ($directive =~ /^#\s*endif/) { pop @branch }
        }
        elsif ($text =~ m{\G(?:[a-zA-Z_]\w*)}gc)                                 { $kind = 'name' }
        elsif ($text =~ m{\G(?:0[xX][0-9a-fA-F]+\w*|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\w*)}gc) { $kind = 'number' }
        elsif ($text =~ m{\G"(?:[^"\\]|\\.)*"}gcs)                               { $kind = 'string' }
        elsif ($text =~ m{\G'(?:[^'\\]|\\.)*'}gcs)                               { $kind = 'character' }
        elsif ($text =~ m{\G(?:<<<|>>>|<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)}gcs) { $kind = 'operator' }
        push @token, [$kind, substr($text, $at, pos($text) - $at), $at, $line] if $kind && !grep { $_ == 1 } @branch;
        $line += substr($text, $at, pos($text) - $at) =~ tr/\n//;
    }
    return \@token;
}

# The fields of every structure of the tree, each with its neighbour of the same type.
my %neighbour; # field -> { other field }
sub fields {
    my ($token) = @_;
    for (my $i = 0; $i < @$token; $i++) {
        next unless $token->[$i][1] =~ /^(struct|union)$/;
        my $j = $i + 1;
        $j++ if $j < @$token && $token->[$j][0] eq 'name';
        next unless $j < @$token && $token->[$j][1] eq '{';
        my (@field, $type, $start);
        $start = $j + 1;
        my $depth = 1;
        for ($j++; $j < @$token && $depth; $j++) {
            my $t = $token->[$j][1];
            if ($t eq '{') { $depth++; $start = $j + 1 }
            elsif ($t eq '}') { $depth--; $start = $j + 1 }
            elsif ($t eq ';') {
                my @part = @{$token}[$start .. $j - 1];
                $start = $j + 1;
                next if grep { $_->[1] eq '(' } @part;
                my ($first, @names) = ('');
                my $bracket = 0;
                for (my $k = 0; $k < @part; $k++) {
                    $bracket++ if $part[$k][1] eq '[';
                    $bracket-- if $part[$k][1] eq ']';
                    my $next = $k + 1 < @part ? $part[$k + 1][1] : ',';
                    if (!$bracket && $part[$k][0] eq 'name' && $next =~ /^[,\[]$/) { push @names, $part[$k][1] }
                    elsif (!@names && $part[$k][0] eq 'name') { $first .= " $part[$k][1]" }
                    elsif (!@names && $part[$k][1] eq '*') { $first .= ' *' }
                }
                push @field, map { [$_, $first] } @names;
            }
        }
        for my $k (0 .. $#field - 1) {
            my ($a, $b) = @field[$k, $k + 1];
            next unless $a->[1] eq $b->[1];
            $neighbour{$a->[0]}{$b->[0]} = 1;
            $neighbour{$b->[0]}{$a->[0]} = 1;
        }
    }
}

my %text = map { $_ => slurp($_) } @ARGV;
my %tokens = map { $_ => tokens($text{$_}) } @ARGV;
fields($tokens{$_}) for sort @ARGV;

my %other = ('<' => ['<=', '>='], '<=' => ['<', '>'], '>' => ['>=', '<='], '>=' => ['>', '<'], '==' => ['!='], '!=' => ['=='],
    '&&' => ['||'], '||' => ['&&']);
my %sign = ('+' => ['-'], '-' => ['+'], '*' => ['/'], '/' => ['*'], '%' => ['/'], '++' => ['--'], '--' => ['++'], '+=' => ['-=', '='],
    '-=' => ['+='], '*=' => ['/='], '/=' => ['*='], '<<' => ['>>'], '>>' => ['<<'], '&' => ['|'], '|' => ['&'], '^' => ['|'], '|=' => ['&='],
    '&=' => ['|='], '^=' => ['|=']);
my %number = (true => 1, false => 0);
my %keyword = map { $_ => 1 } qw(if else for while do switch case default return break continue goto sizeof typedef struct union enum static
    const extern inline void int char float double long short unsigned signed bool restrict volatile register auto NULL true false template
    typename class using namespace nullptr);

for my $file (@ARGV) {
    next if hits('file', $file);
    my $token = $tokens{$file};
    my $cuda = $file =~ /\.cuh?$/;

    # What each brace is, what each parenthesis belongs to, where each statement begins and ends.
    my (@brace, @paren, @function, @in_call, @statement, %span);
    my (@open, @inner);      # inner: the brace that a token stands in
    my (@commas, @in_room);  # in_room: is a token in the second argument of a call that says there how much its first has room for
    my ($function, $first_line, $begin, $function_at) = ('', 0, 0, -1);
    my @match;
    for my $i (0 .. $#$token) {
        my ($kind, $t, undef, $line) = @{$token->[$i]};
        if ($t eq '(') {
            push @paren, $i;
            push @commas, 0;
        } elsif ($t eq ')') {
            my $open = pop @paren;
            pop @commas;
            ($match[$open], $match[$i]) = ($i, $open) if defined $open;
        } elsif ($t eq '{') {
            my $before = $i ? $token->[$i - 1] : ['', '', 0, 0];
            my $what = 'block';
            if (!$function) {
                if ($before->[0] eq 'string' || ($i > 1 && $token->[$i - 2][1] eq 'namespace')) { $what = 'outside' }
                elsif ($before->[1] eq ')') {
                    my $open = $match[$i - 1];
                    $open = $match[$open - 2] while defined $open && $open > 1 && $token->[$open - 1][1] =~ /^(__attribute__|__launch_bounds__)$/
                        && $token->[$open - 2][1] eq ')';
                    $function = defined $open && $open ? $token->[$open - 1][1] : '?';
                    ($first_line, $function_at, $what) = ($line, $i, 'function');
                } else { $what = 'data' }
            }
            push @brace, $what;
            push @open, $i;
            @paren = @commas = () if $what eq 'function';
        } elsif ($t eq '}') {
            my $what = pop @brace || '';
            pop @open;
            if ($what eq 'function') {
                $span{$function_at} = [$function, $first_line, $line];
                ($function, $function_at) = ('', -1);
            }
        }
        $function[$i] = $function_at;
        $inner[$i] = @open ? $open[-1] : 0;
        $commas[-1]++ if $t eq ',' && @commas;
        $in_room[$i] = grep { $commas[$_] == 1 && $paren[$_] && hits('room', $token->[$paren[$_] - 1][1]) } 0 .. $#paren;
        $in_call[$i] = [map { $_ ? $token->[$_ - 1][1] : '' } @paren];
        $statement[$i] = $begin;
        $begin = $i + 1 if !@paren && $t =~ /^[;{}]$/ || ($t eq ':' && !@paren && $token->[$begin][1] =~ /^(case|default)$/);
    }
    my %whole; # the text of a statement, by where it begins
    for my $i (0 .. $#$token) { $whole{$statement[$i]} .= ($whole{$statement[$i]} ? ' ' : '') . $token->[$i][1] }
    s/ ?(->|[.()\[\],;]) ?/$1/g for values %whole;

    # Locals of each function by type, for neighbours among identifiers.
    my %locals;
    for my $i (0 .. $#$token) {
        next unless $token->[$i][0] eq 'name' && !$keyword{$token->[$i][1]} && $i && $i < $#$token;
        my ($before, $after) = ($token->[$i - 1], $token->[$i + 1]);
        next unless $after->[1] =~ /^[,;=)\[]$/;
        my $j = $i - 1;
        my $type = '';
        while ($j >= 0 && ($token->[$j][0] eq 'name' || $token->[$j][1] eq '*')) { $type = "$token->[$j][1] $type"; $j-- }
        next unless $type =~ /^(?:const )?(?:unsigned )?(?:int|long|size_t|int32_t|int64_t|uint32_t|uint64_t|float|double|bool|char|zo_\w+)\b/;
        next if $type =~ /\breturn\b/;
        my $owner = $function[$i];
        if ($owner < 0) { # a parameter: of the function whose body comes next
            my $k = $i;
            $k++ while $k < $#$token && $token->[$k][1] !~ /^[;{]$/;
            next unless $token->[$k][1] eq '{';
            $owner = $k;
        }
        push @{$locals{$owner}{$type}}, $token->[$i][1];
        my $k = $i + 1; # int a, b, c;
        while ($function[$i] >= 0 && $k < $#$token && $token->[$k][1] ne ';') {
            last if $token->[$k][1] =~ /^[{}()]$/;
            push @{$locals{$owner}{$type}}, $token->[$k + 1][1] if $token->[$k][1] eq ',' && $token->[$k + 1][0] eq 'name';
            $k++;
        }
    }
    my %sibling;
    for my $owner (keys %locals) {
        for my $type (sort keys %{$locals{$owner}}) {
            my %seen;
            my @names = grep { !$seen{$_}++ } @{$locals{$owner}{$type}};
            next if @names < 2;
            $sibling{$owner}{$names[$_]} = $names[($_ + 1) % @names] for 0 .. $#names;
        }
    }

    my %made; # by kind and place
    my $emit = sub {
        my ($kind, $first, $last, $new) = @_;
        my ($start, $end) = ($token->[$first][2], $token->[$last][2] + length $token->[$last][1]);
        my $old = substr $text{$file}, $start, $end - $start;
        return if $old eq $new;
        my $span = $function[$first] >= 0 ? $span{$function[$first]} : undef;
        my ($name, $from, $to) = $span ? @$span : ('', 0, 0);
        return if $span && hits('function', "$file:$name");
        tr/\n\t/  / for $old, $new;
        push @{$made{"$start $kind"}}, join("\t", $file, $token->[$first][3], $kind, $start, $end - $start, $name || '-', $from, $to, $new, $old);
    };

    for my $i (0 .. $#$token) {
        my ($kind, $t, $at, $line) = @{$token->[$i]};
        my $inside = $function[$i] >= 0;
        my $whole = $whole{$statement[$i]} || '';
        next if grep { hits('call', $_) } @{$in_call[$i]};
        next if hits('statement', $whole) || $in_room[$i];
        my ($before, $after) = ($i ? $token->[$i - 1] : ['', '', 0, 0], $i < $#$token ? $token->[$i + 1] : ['', '', 0, 0]);
        my $value = $before->[0] =~ /^(number|string|character)$/ || ($before->[0] eq 'name' && !$keyword{$before->[1]}) || $before->[1] =~ /^[)\]]$/;

        # constants, in functions and in tables
        if ($kind eq 'number' && $whole !~ /^enum\b.*(MOST|MAX|ROOM|SIZE|BYTES)/) {
            next if hits('name', $before->[1]) || ($i > 1 && hits('name', $token->[$i - 2][1])) || hits('name', "$before->[1]");
            next if $before->[1] eq '[' && $i > 1 && $token->[$i - 2][0] eq 'name' && $whole =~ /^(static |const )*(char|int|float|double|int64_t|struct|uint32_t|zo_\w+)\b[^=]*$/;
            next if $before->[1] eq '[' && $i > 2 && $token->[$i - 2][0] eq 'name' && $whole =~ /^(static |const )*char\b/
                && !@{$in_call[$i]} && $token->[$i - 3][1] =~ /^(,|\*|char)$/; # room for a text beside others
            next if $after->[1] eq ':' && $before->[1] eq 'case';
            my @new;
            if ($t =~ /^(\d+)([uUlL]*)$/) {
                @new = $1 == 0 ? ("1$2") : (($1 + 1) . $2, ($1 - 1) . $2);
            } elsif ($t =~ /^0[xX]([0-9a-fA-F]+)([uUlL]*)$/ && length $1 <= 8) {
                @new = (sprintf('0x%X%s', hex($1) ^ 1, $2));
            } elsif ($t =~ /^([\d.]+(?:[eE][+-]?\d+)?)([fFlL]*)$/) {
                my ($number, $suffix) = ($1 == 0 ? 1 : $1 == 1 ? 2 : $1 / 2, $2);
                $number = "$number.0" unless $number =~ /[.e]/;
                @new = ($number . $suffix);
            }
            $emit->('constant', $i, $i, $_) for @new;
            next;
        }
        if ($kind eq 'name' && $t =~ /^(true|false)$/) {
            $emit->('constant', $i, $i, $t eq 'true' ? 'false' : 'true');
            next;
        }
        next unless $inside;

        if ($kind eq 'operator') {
            # template brackets and pointer declarators are no operators of values
            my $spaced = $at && substr($text{$file}, $at - 1, 1) eq ' ' && substr($text{$file}, $at + length $t, 1) eq ' ';
            if ($other{$t} && $spaced) { $emit->('comparison', $i, $i, $_) for @{$other{$t}} }
            elsif ($sign{$t} && $value && ($spaced || $t =~ /^(\+\+|--)$/)) { $emit->('sign', $i, $i, $_) for @{$sign{$t}} }
            elsif ($t =~ /^(\+\+|--)$/) { $emit->('sign', $i, $i, $sign{$t}[0]) }
            elsif ($t eq '-' && !$value && $after->[0] ne 'number') { $emit->('sign', $i, $i, '') }
            elsif ($t eq '!' && !$value) { $emit->('comparison', $i, $i, '') }
        }

        # if (x), while (x) without a comparison: turned round
        if ($t eq '(' && $before->[1] =~ /^(if|while)$/ && defined $match[$i]) {
            my $condition = join ' ', map { $_->[1] } @{$token}[$i + 1 .. $match[$i] - 1];
            if ($condition !~ /[<>]|==|!=|&&|\|\||^!/) {
                my ($first, $last) = ($i, $match[$i]);
                my ($s, $e) = ($token->[$first][2], $token->[$last][2] + 1);
                my $inner = substr $text{$file}, $s + 1, $e - $s - 2;
                $emit->('comparison', $first, $last, "(!($inner))");
            }
        }

        # names: a neighbouring field, another local; a bound or index that is off by one
        if ($kind eq 'name' && !$keyword{$t} && $after->[1] ne '(') {
            if ($before->[1] =~ /^(->|\.)$/) {
                $emit->('neighbour', $i, $i, $_) for sort keys %{$neighbour{$t} || {}};
            } elsif ($value == 0 && $sibling{$function[$i]}{$t} && $before->[0] ne 'name' && $before->[1] !~ /^[*&]$/ ) {
                $emit->('neighbour', $i, $i, $sibling{$function[$i]}{$t});
            }
            if (($before->[1] =~ /^(<|<=|>|>=|==|\[|=|\+|return)$/ || $before->[1] eq ',' && @{$in_call[$i]}) && $after->[1] =~ /^[;,)\]+]$/
                && !hits('name', $t) && $t =~ /^(n|i|j|k|[a-z]*_?(n|rows|cols|count|at|index|length|begin|end|first|last|steps|step|rank|row|col))$/) {
                $emit->('one', $i, $i, "($t + 1)");
            }
        }

        # statements
        if ($i == $statement[$i] && !@{$in_call[$i]} && $kind eq 'name' || ($t eq '*' && $i == $statement[$i])) {
            my $end = $i;
            $end++ while $end < $#$token && !($token->[$end][1] =~ /^[;{}]$/ && @{$in_call[$end]} == 0);
            if ($token->[$end][1] eq ';') {
                my $alone = $t =~ /^(break|continue)$/ || ($t !~ /^(return|else|do|case|default|goto|if|for|while|switch)$/
                    && (($whole =~ /^[\w.\->\[\]*() +]+ (=|[-+*\/|&^]=|<<=|>>=) / && $whole !~ /^(const |static |struct |enum |union )?\w+ \*?\w+ = / && $whole !~ /^\w+ (\* ?)+(const )?\w+ ?=/ && $whole !~ /^(const|static|struct|unsigned) /)
                        || $whole =~ /^\w+\(/ || $whole =~ /(\+\+|--) ?;?$/));
                my $plain = $whole;
                $plain =~ s/;$//;
                my $of = $inner[$i] && $token->[$inner[$i] - 1][1] eq ')' ? $match[$inner[$i] - 1] : undef;
                my $needless = $t eq 'break' && $token->[$end + 1][1] eq '}' && $of && $token->[$of - 1][1] eq 'switch'; # after it the switch ends
                if ($alone && !$needless && !hits('drop', $plain)) {
                    # an empty statement; in a switch without break the next case follows
                    $emit->('dropped', $i, $end, ';');
                }
            }
        }

        # arguments
        if ($t eq '(' && $before->[0] eq 'name' && !$keyword{$before->[1]} && defined $match[$i] && !hits('swap', $before->[1]) && !hits('call', $before->[1])) {
            my (@argument, $depth);
            my $start = $i + 1;
            $depth = 0;
            for my $k ($i + 1 .. $match[$i]) {
                my $u = $token->[$k][1];
                if ($k == $match[$i] || ($u eq ',' && !$depth)) {
                    push @argument, [$start, $k - 1] if $k > $start;
                    $start = $k + 1;
                }
                $depth++ if $u =~ /^[(\[{]$/;
                $depth-- if $u =~ /^[)\]}]$/;
            }
            for my $k (0 .. $#argument - 1) {
                next if $k == 0 && $before->[1] =~ m{^fmaf?$}; # its factors
                my ($a, $b) = @argument[$k, $k + 1];
                my @part = map { my ($s, $e) = ($token->[$_->[0]][2], $token->[$_->[1]][2] + length $token->[$_->[1]][1]);
                    [$s, $e, substr $text{$file}, $s, $e - $s] } $a, $b;
                next if ($number{$part[0][2]} // $part[0][2]) eq ($number{$part[1][2]} // $part[1][2]) || $part[0][2] =~ /^"/ || $part[1][2] =~ /^"/ || $part[0][2] =~ /^&?err$|NULL|ZO_HOST|ZO_TAG/ || $part[1][2] =~ /^&?err$|^NULL$|ZO_TAG/;
                my $between = substr $text{$file}, $part[0][1], $part[1][0] - $part[0][1];
                $emit->('swapped', $a->[0], $b->[1], $part[1][2] . $between . $part[0][2]);
            }
        }
    }
    for (map { $_->[1] } sort { $a->[0] <=> $b->[0] || $a->[1] cmp $b->[1] } map { [/^(\d+)/, $_] } keys %made) {
        my @choice = @{$made{$_}};
        print $choice[hash_of("$seed $file $_") % @choice], "\n";
    }
}
