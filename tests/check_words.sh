#!/bin/sh
# Words that have no place in the tree. A line that needs one says why in a comment holding "allowed:".
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0
if git rev-parse --git-dir >/dev/null 2>&1; then
    list_files() { git ls-files -co --exclude-standard; }
else
    list_files() { find . -name build -prune -o -type f -print | sed 's|^\./||'; }
fi
all=$(list_files | grep -E '\.(c|h|cu|cuh|sh|py|gp|sql|md|json)$|^Makefile$|^\.ci/' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
code=$(echo "$all" | grep -E '\.(c|h|cu|cuh)$')
program=$(echo "$code" | grep -v '^tests/')

# ban 'why' 'extended regexp' files...
ban() {
    why=$1 words=$2
    shift 2
    [ $# -gt 0 ] || return 0
    found=$(grep -nE "$words" "$@" /dev/null | grep -v 'allowed:')
    [ -z "$found" ] && return 0
    echo "$found"
    echo "    $why"
    bad=1
}

# The patterns are written so that this file does not hold the words.
# shellcheck disable=SC2086
{
    ban 'no path of one machine: take it from an option, an environment variable or the repository root' \
        '/(wor[k]|farm|hom[e]/[a-z]+|roo[t])/' $all
    ban 'no flag that lets the compiler change arithmetic' \
        '[-](Ofas[t]|ffast-mat[h]|funsafe-mat[h]|fassociative-mat[h])|use_fast_mat[h]' $all
    ban 'say it in an issue, or do it' '\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b' $all
    ban 'no unbounded, shell-running or stateful C function: snprintf, strtol, strtok_r, posix_spawn, mkstemp' \
        '(^|[^a-zA-Z0-9_])(system|gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|tmpnam|alloca)\(' $program
    ban 'one generator: core/rng.h' '(^|[^a-zA-Z0-9_])(rand|srand|random|drand48|lrand48)\(' $code
    ban 'every byte through the ledger: zo_alloc, zo_realloc, zo_strdup (core/mem.h)' \
        '(^|[^a-zA-Z0-9_>.])(malloc|calloc|realloc|strdup|strndup|asprintf|aligned_alloc|posix_memalign)\(' \
        $(echo "$program" | grep -v '^core/mem\.c$')
    ban 'tabs only in the Makefile' "$(printf '\t')" $code
}
[ $bad = 0 ] && echo 'check: no banned words'
exit $bad
