#!/bin/sh
# regress_trials.sh: what does `zo regress` find, and how often does it cry wolf? Copies of this tree get one bug each and are compared with the tree without it:
#
#   step      a step takes 10 % longer
#   part      matrix products take 20 % longer (they are more than 15 % of a step)
#   score     the learning rate is a tenth of what it should be; other bits are permitted, so that the score itself must tell
#   memory    every block of activations is 5 % larger
#   same      nothing: each verdict of a regression is a false alarm. It is one binary against itself, so times alone can raise one
#
# A bug counts as found where a figure that it belongs to is worse. Prints for each how often that was so, and the longest comparison. Settings go by the
# environment: TRIALS=20 of each bug, ALARMS=200 of none, SUITE=FILE, OPTIONS='--budget 3m' of `zo regress` (--disturbed where the machine is never idle),
# BUGS='step part' for some of them. Everything stands in build/regress_trials; a run that was broken off goes on with the next trial. Exit
# status 1 where fewer than 19 of 20 are found, or more than 1 of 100 is a false alarm.
set -eu
cd "$(dirname "$0")/.."
work=build/regress_trials
suite=${SUITE:-paper_configs/nightly/seconds.json}
trials=${TRIALS:-20}
alarms=${ALARMS:-200}
options=${OPTIONS:---budget 3m}
bugs=${BUGS:-step part score memory same}
make=${MAKE:-make}
stamp=$(git rev-parse HEAD && git diff HEAD | cksum && cksum "$suite" && echo "$options")
[ "$stamp" = "$(cat "$work/stamp" 2>/dev/null)" ] || rm -rf "$work" # of another tree, suite or options
mkdir -p "$work"
echo "$stamp" >"$work/stamp"

# copy NAME: the tree, built before with what is not changed
copy() {
    mkdir -p "$work/$1"
    if [ "$1" = base ]; then
        git ls-files -z | tar --null -T - -cf - | tar -x -C "$work/base"
    else
        cp -a "$work/base/." "$work/$1"
    fi
}

# bug FILE 'line that is found' 'line in its place'
bug() {
    grep -qF "$2" "$1" || { echo "regress_trials: $1 has no line: $2"; exit 2; }
    FIND=$2 PUT=$3 perl -0pi -e 's/\Q$ENV{FIND}\E/$ENV{PUT}/' "$1"
}

build() { $make -C "$work/$1" CUDA=0 zo >"$work/make.log" 2>&1 || { tail -20 "$work/make.log"; exit 2; }; }

# spin SECONDS: C that works that long
spin() { echo "for (double until = zo_now() + $1; zo_now() < until;) {}"; }

[ -x "$work/base/zo" ] || { copy base && build base; }
for name in $bugs; do
    tree=$work/$name
    [ ! -x "$tree/zo" ] || continue
    copy "$name"
    case $name in
    step) bug "$tree/bench/cell/step.c" '    *seconds = zo_now() - start;' "    $(spin '0.1 * (zo_now() - start)')
    *seconds = zo_now() - start;" ;;
    part) bug "$tree/core/clock.c" '    if (seconds > 0) {' "    if (part == ZO_PART_GEMM && seconds > 0) {
        $(spin '0.2 * seconds')
        seconds *= 1.2;
    }
    if (seconds > 0) {" ;;
    score) bug "$tree/bench/cell/step.c" '.lr = c->lr * zo_cell_schedule(c, step),' '.lr = 0.1 * c->lr * zo_cell_schedule(c, step),' ;;
    memory) bug "$tree/core/mem.c" '    void *block = zo_try_alloc(space, tag, bytes);' '    void *block = zo_try_alloc(space, tag, bytes + (tag == ZO_TAG_ACTIVATIONS ? (bytes + 19) / 20 : 0));' ;;
    same) ;;
    *) echo "regress_trials: there is no bug $name"; exit 2 ;;
    esac
    build "$name"
done

# failed FILE 'names of figures': is one of them worse?
failed() { grep -A 1 -E "name=\"($2)\">" "$1" | grep -q '<failure'; }

bad=0
echo "regress_trials: $suite, zo regress $options"
for name in $bugs; do
    case $name in
    step) figures='cpu|step' more='' ;;
    part) figures='gemm' more='' ;;
    score) figures='score' more='--other-bits' ;;
    memory) figures='[a-z]+ (activations|peak)' more='' ;;
    same) figures='.*' more='' ;;
    esac
    [ "$name" = same ] && n=$alarms || n=$trials
    list=$work/$name.tsv
    touch "$list"
    while [ "$(wc -l <"$list")" -lt "$n" ]; do
        began=$(date +%s)
        code=0
        # shellcheck disable=SC2086
        "$work/base/zo" regress --baseline "$work/base/zo" --program "$work/$name/zo" "$suite" --db "$work/$name.db" --junit "$work/junit.xml" $options $more \
            >"$work/said" 2>"$work/complained" || code=$?
        [ "$code" -ne 2 ] && [ "$code" -lt 4 ] || { cat "$work/complained"; exit 2; }
        found=0
        failed "$work/junit.xml" "$figures" && found=1
        printf '%s\t%s\n' "$found" $(($(date +%s) - began)) >>"$list"
        [ "$name" = same ] && [ $found = 1 ] && grep -B 1 '<failure' "$work/junit.xml" >>"$work/alarms"
    done
    awk -v name="$name" '{ n++; found += $1; most = $2 > most ? $2 : most } END {
        printf "%-7s %s %d of %d, %d s at most\n", name, name == "same" ? "false alarms" : "found", found, n, most
        exit name == "same" ? 100 * found > n : 20 * found < 19 * n }' "$list" || bad=1
done
exit $bad
