#!/bin/sh
# run.sh LOGS TEST...: run Check programs, JOBS at once (as many as there are processors), a verdict line each when it ends, with its time and
# that of all processors, which other work on the machine does not lengthen; then "N passed, N failed, N skipped" alone on the last line; the exit status is 1 when anything failed. A check that prints a line "skipped: what, and what
# it wants" counts as skipped, not as passed; so does such a line of a program without checks. A program that dies before its summary counts
# as one failure. V=1 shows all output; else only a failing program's, and lines that begin with "skipped:" or "measured:". When all tests of
# the CUDA backend are among them, every kernel must have been launched (check_kernels.sh). Their files stand in memory where /dev/shm has room
# and TMPDIR says nothing else: they wait for a disk some thousand times.
set -u

# one LOGS TEST: runs it, prints its verdict, and leaves "passed failed skipped" in LOGS/NAME.counts.
one() {
    name=${2##*/}
    log=$1/$name.log
    start=$(date +%s%N)
    status=0
    "$2" >"$log" 2>&1 || status=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    # of the program and what it started: the second line of `times`, "0m1.23s 0m0.45s"
    times >"$log.times"
    cpu=$(awk -F'[ms ]+' 'NR == 2 { print int(1000 * (60 * $1 + $2 + 60 * $3 + $4)) }' "$log.times")
    # Check's summary, once per runner: "98%: Checks: 50, Failures: 1, Errors: 0"
    counts=$(awk -F'[:,]' '/^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ { n += $3; bad += $5 + $7; seen = 1 }
        END { if (seen) print n, bad }' "$log")
    checks=${counts% *} bad=${counts#* }
    if [ -z "$counts" ]; then
        checks=0 bad=0
        [ $status = 0 ] && grep -q '^skipped:' "$log" || { checks=1 bad=1; echo "(no summary; exit status $status)" >>"$log"; }
    elif [ $status != 0 ] && [ "$bad" = 0 ]; then
        checks=$((checks + 1)) bad=1
        echo "(all checks passed, yet the exit status is $status)" >>"$log"
    fi
    skips=$(grep -c '^skipped:' "$log")
    [ "$skips" -le $((checks - bad)) ] && good=$((checks - bad - skips)) || good=0
    if [ "$bad" = 0 ]; then
        printf 'ok    %-24s %4d checks %7d ms, %7d of processors\n' "$name" "$checks" "$ms" "$cpu"
        if [ "${V:-}" = 1 ]; then sed 's/^/      /' "$log"; else sed -n '/^skipped:\|^measured:/s/^/      /p' "$log"; fi
    else
        printf 'FAIL  %-24s %4d of %d checks failed, %d ms\n' "$name" "$bad" "$checks" "$ms"
        sed 's/^/      /' "$log"
    fi >"$log.verdict"
    cat "$log.verdict"
    echo "$good $bad $skips" >"$1/$name.counts"
}

if [ "$1" = --one ]; then
    one "$2" "$3"
    exit 0
fi

logs=$1
shift
[ $# -gt 0 ] || { echo 'no test has this name: T=X runs tests/*/test_X.c'; exit 1; }
mkdir -p "$logs"
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-300}" CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-3}" CK_VERBOSITY="${CK_VERBOSITY:-normal}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-allocator_may_return_null=1}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
# Idle threads sleep: tests are small, and spinning beside other programs makes them many times slower.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
export ZO_SHIM_KERNELS="$PWD/$logs/kernels.$$"
scratch=
if [ -z "${TMPDIR:-}" ] && [ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')" -gt 2000000 ] 2>/dev/null; then
    scratch=$(mktemp -d /dev/shm/zo-tests.XXXXXX) && printf '#!/bin/sh\n' >"$scratch/runs" && chmod +x "$scratch/runs"
    if "$scratch/runs" 2>/dev/null; then export TMPDIR="$scratch"; fi # else programs may not be started there
fi
trap 'rm -rf "$ZO_SHIM_KERNELS" "$ZO_SHIM_KERNELS.sums" ${scratch:+"$scratch"}' EXIT
rm -f "$logs"/*.counts
printf '%s\n' "$@" | V=${V:-} xargs -P "${JOBS:-$(nproc)}" -I '{}' "$0" --one "$logs" '{}'
passed=0 failed=0 skipped=0
for program in "$@"; do
    good=0 bad=1 skips=0 # of a program that left nothing
    [ ! -e "$logs/${program##*/}.counts" ] || read -r good bad skips <"$logs/${program##*/}.counts"
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
done
complete=1
for source in "${0%/*}"/*/test_cuda_*.c; do
    [ -f "$source" ] || { echo "$0: no test of the CUDA backend found"; exit 1; }
    name=${source##*/}
    case " $* " in *"/${name%.c} "*) ;; *) complete= ;; esac
done
if [ -n "$complete" ]; then
    if "${0%/*}/check_kernels.sh" "$ZO_SHIM_KERNELS" >"$logs/check_kernels.log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %-24s %4d kernels were launched\n' check_kernels "$(wc -l <"$logs/check_kernels.log")"
        [ "${V:-}" != 1 ] || sed 's/^/      /' "$logs/check_kernels.log"
    else
        failed=$((failed + 1))
        echo 'FAIL  check_kernels'
        sed 's/^/      /' "$logs/check_kernels.log"
    fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
