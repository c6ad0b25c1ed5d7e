#!/bin/sh
# nightly.sh [SUITE.json]: a night's work, from the root of the tree. Builds this revision, and asks whether it is worse than the last one that was good.
# The first night has none: it runs the suite. Leaves in $NIGHTLY (results/nightly):
#   regress.md, regress.xml   the verdicts: as a table, and as JUnit's XML
#   history.svg               processor time of a step over all nights
#   report.html               what ran, in one file
#   good                      the last revision that was not worse
# REGRESS and HISTORY: options of the two commands, such as --disturbed on a machine that is never idle. Exit status: that of zo regress.
set -eu
suite=${1:-paper_configs/nightly/minutes.json}
out=${NIGHTLY:-results/nightly}
mkdir -p "$out"
git diff --quiet HEAD || { echo 'nightly: the tree has changes that are not committed; a night is of a revision'; exit 2; }
head=$(git rev-parse HEAD)
make zo
status=0
if [ -s "$out/good" ]; then
    # shellcheck disable=SC2086 # options are words
    ./zo regress --baseline "$(cat "$out/good")" "$suite" --db "$out/regress.db" --junit "$out/regress.xml" ${REGRESS:-} >"$out/regress.md" || status=$?
    cat "$out/regress.md"
else
    ./zo run "$suite" --db "$out/regress.db"
fi
[ $status -ne 0 ] || echo "$head" >"$out/good"
if [ $status -ne 2 ]; then
    # shellcheck disable=SC2086
    ./zo history cpu --db "$out/regress.db" --plot "$out/history.svg" ${HISTORY:-} || echo 'nightly: no history, for the reason above'
    ./zo report --db "$out/regress.db" --html "$out/report.html" || echo 'nightly: no report, for the reason above'
fi
exit $status
