#!/bin/sh
# check_kernels.sh LOG: every __global__ function of backends/cuda/*.cu was launched by some test under the shim, and with more than one block,
# else a grid that is too small is not noticed. LOG has the kernels that the tests' processes launched (tests/shim/coverage.cpp). Prints each kernel with
# its launches, threads and the most blocks of a grid in x; names those that are missing.
set -eu
cd "$(dirname "$0")/.."
declared=$(cat backends/cuda/*.cu backends/cuda/*.cuh | tr '\n' ' ' | sed 's/__launch_bounds__([^)]*)//g' | grep -oE '__global__ +void +[A-Za-z_0-9]+' | awk '{ print $3 }' | sort -u)
[ -n "$declared" ] || { echo 'check_kernels: no kernel found in backends/cuda/*.cu'; exit 1; }
# a launch is written name, or (name<arguments>)
sed -E 's/^\(?([A-Za-z_0-9]+).* ([0-9]+) ([0-9]+) ([0-9]+)$/\1 \2 \3 \4/' "$1" |
    awk '{ launches[$1] += $2; threads[$1] += $3; if ($4 > most[$1]) most[$1] = $4 }
        END { for (k in launches) print k, launches[k], threads[k], most[k] }' | sort >"$1.sums"
missing= single=
for kernel in $declared; do
    line=$(grep "^$kernel " "$1.sums") || { missing="$missing $kernel"; continue; }
    # shellcheck disable=SC2086
    printf '%-28s %9s launches %12s threads, at most %s blocks\n' $line
    [ "${line##* }" -gt 1 ] || single="$single $kernel"
done
[ -z "$missing" ] || { echo "check_kernels: no test launches$missing"; exit 1; }
[ -z "$single" ] || { echo "check_kernels: every launch in the tests has one block:$single"; exit 1; }
