#!/bin/sh
# Who may include whom (see CONTRIBUTING.md). Prints every line that breaks the direction and fails.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0

# may FOLDER 'extended regexp of permitted "..." includes'
may() {
    folder=$1 permitted=$2
    files=$(find "$folder" -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null | sort)
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086
    wrong=$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $files /dev/null | grep -vE "\"($permitted)\"")
    [ -z "$wrong" ] && return 0
    echo "$wrong"
    echo "    $folder/ may include only: $permitted"
    bad=1
}

may core 'core/[a-z0-9_]+\.h'
may backends '(core|backends)/[a-z0-9_]+\.(h|cuh)'
may models '(core|backends|models)/[a-z0-9_]+\.h'
may tasks '(core|tasks)/[a-z0-9_]+\.h|models/(tokenizer|batch)\.h'
may optimizers '(core|backends|optimizers)/[a-z0-9_]+\.h'
may results '(core|results)/[a-z0-9_]+\.h'
may plots '(core|plots)/[a-z0-9_]+\.h'

# CUDA stays behind the seam.
folders=$(ls -d core backends models tasks optimizers results plots bench 2>/dev/null)
# shellcheck disable=SC2086
if grep -rnE --include='*.c' --include='*.h' 'include[[:space:]]*[<"](cuda|cublas|cudnn|curand|nvml)' $folders; then
    echo "    only *.cu and *.cuh files include CUDA headers"
    bad=1
fi
# shellcheck disable=SC2086
if grep -rnE --include='*.c' --include='*.h' '#[[:space:]]*if.*\bZO_CUDA\b' $folders | grep -v '^backends/list\.h:'; then
    echo "    ZO_CUDA is asked for in backends/list.h and nowhere else"
    bad=1
fi

# A method is known by its name in optimizers/ alone; configs and tests name methods too, and prose.
names=$(sed -n 's/.*\.name = "\([a-z0-9-]*\)".*/\1/p' optimizers/*.c | sort -u | tr '\n' '|')
# shellcheck disable=SC2086
if grep -rnE --exclude-dir=.venv --include='*.c' --include='*.h' --include='*.cu*' --include='*.py' --include='*.gp' --include='*.sql' "\"(${names%|})\"" ${folders%optimizers*} ${folders#*optimizers}; then
    echo "    a method's name stands outside optimizers/: let its estimator say what is asked (optimizers/estimator.h)"
    bad=1
fi

[ $bad = 0 ] && echo 'check: includes point one way'
exit $bad
