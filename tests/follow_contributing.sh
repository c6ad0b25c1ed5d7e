#!/bin/sh
# follow_contributing.sh: does in a copy of the tree what CONTRIBUTING.md tells a newcomer to do, word for word: the blocks of shell of "Your first
# estimator" and "A plot" in their order, and a block of C into the file that the line before it names. It ends when a command fails, and at the
# end the pictures must be there. Takes some minutes (a build, two suites, twelve runs); part of .ci/nightly. SCRATCH=FOLDER keeps the copy.
set -eu
cd "$(dirname "$0")/.."
copy=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy"
git ls-files -co --exclude-standard | while read -r f; do [ -e "$f" ] && echo "$f"; done | tar -cf - -T - | tar -xf - -C "$copy"
cd "$copy"
perl -ne '
    if (/^## (.*)/) { $in = $1 eq "Your first estimator" || $1 eq "A plot" }
    next unless $in;
    if (/^```(\w*)$/ && $kind eq "") {
        $kind = $1 || "text";
        if ($kind eq "c") {
            $before =~ /`([\w.\/]+)`:$/ or die "CONTRIBUTING.md:$.: no line before this block names its file\n";
            print "cat >$1 <<\x27END OF FILE\x27\n";
        }
    } elsif (/^```$/) {
        print "END OF FILE\n" if $kind eq "c";
        $kind = "";
    } elsif ($kind ne "") {
        print if $kind =~ /^(c|sh)$/;
    } else { $before = $_ if /\S/ }' CONTRIBUTING.md >follow.sh
grep -q '^make test T=optimizers' follow.sh || { echo 'follow_contributing: found no commands in CONTRIBUTING.md'; exit 1; }
sh -eux follow.sh
for picture in accuracy_vs_work loss_vs_work projected_vs_work; do
    [ -s "results/plots/$picture.png" ] || { echo "follow_contributing: no picture $picture"; exit 1; }
done
echo 'followed: an estimator and a plot as CONTRIBUTING.md says'
