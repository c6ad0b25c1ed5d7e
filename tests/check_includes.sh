#!/bin/sh
# Who may include whom (see CONTRIBUTING.md). Prints every line that breaks the direction and fails.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0

# may FOLDER 'extended regexp of permitted "..." includes'
may() {
    folder=$1 permitted=$2
    files=$(find "$folder" -maxdepth 1 \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null | sort)
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086
    wrong=$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $files /dev/null | grep -vE "\"($permitted)\"")
    [ -z "$wrong" ] && return 0
    echo "$wrong"
    echo "    $folder/ may include only: $permitted"
    bad=1
}

# A room without its own rooms: *.c and headers that stand in it.
# Plug-ins see the installed header alone.
may examples/plugin_c 'none'
rooms='examples/plugin_c core text backends backends/cpu backends/cuda models models/files tasks optimizers optimizers/engine results plots bench/synth bench/cell bench/matrix bench/cli'
n='[a-z0-9_]+\.h'
may core "core/$n"
may text "(core|text)/$n"
may backends "(core|backends)/$n"
may backends/cpu "(core|backends|backends/cpu)/$n"
may backends/cuda "(core|backends|backends/cuda)/[a-z0-9_]+\.(h|cuh)"
may models "(core|text|backends|models|models/files)/$n"
may models/files "(core|text|backends|models|models/files)/$n"
may tasks "(core|tasks)/$n|text/(tokenizer|batch)\.h"
may optimizers "(core|backends|optimizers)/$n" # methods do not see what serves them
may optimizers/engine "(core|backends|optimizers|optimizers/engine)/$n"
may results "(core|results)/$n"
may plots "(core|plots)/$n"
may bench/synth "(core|text|backends|models|models/files|tasks|optimizers|optimizers/engine|bench/synth)/$n"
may bench/cell "(core|text|backends|models|models/files|tasks|optimizers|optimizers/engine|results|bench/synth|bench/cell)/$n"
may bench/matrix "(core|text|backends|models|models/files|tasks|optimizers|optimizers/engine|results|bench/synth|bench/cell|bench/matrix)/$n"
may bench/cli "(core|text|backends|models|models/files|tasks|optimizers|optimizers/engine|results|plots|bench/synth|bench/cell|bench/matrix|bench/cli)/$n"

# A folder with code is a room: none is looked at by nobody.
for folder in $(git ls-files '*.c' '*.h' '*.cu' '*.cuh' 2>/dev/null | grep -v '^tests/' | sed 's|/[^/]*$||' | sort -u); do
    case " $rooms " in *" $folder "*) ;; *) echo "    $folder/ has code and no line in tests/check_includes.sh"; bad=1 ;; esac
done

# Tests stand in the room of what they test: make looks nowhere else.
for file in tests/test_*.c tests/fuzz_*.c; do
    [ -e "$file" ] && { echo "    $file stands in no room; put it into tests/ROOM/"; bad=1; }
done

# No header includes itself by way of others.
if ! find core text backends models tasks optimizers results plots bench -name '*.h' -o -name '*.cuh' | while read -r header; do
    sed -n "s|^[[:space:]]*#[[:space:]]*include[[:space:]]*\"\([^\"]*\)\".*|$header \1|p" "$header"
done | tsort >/dev/null; then
    echo '    headers include each other in a circle (tsort names them)'
    bad=1
fi

# CUDA stays behind the seam.
folders=$(ls -d core text backends models tasks optimizers results plots bench 2>/dev/null)
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
# (`{.name = ` begins the description of a set.)
names=$(sed -n 's/.*[^{]\.name = "\([a-z0-9-]*\)".*/\1/p' optimizers/*.c | sort -u | tr '\n' '|')
# shellcheck disable=SC2086
if grep -rnE --exclude-dir=.venv --include='*.c' --include='*.h' --include='*.cu*' --include='*.py' --include='*.gp' --include='*.sql' "\"(${names%|})\"" ${folders%optimizers*} ${folders#*optimizers}; then
    echo "    a method's name stands outside optimizers/: let its estimator say what is asked (optimizers/estimator.h)"
    bad=1
fi

[ $bad = 0 ] && echo 'check: includes point one way'
exit $bad
