#!/bin/sh
# Every header compiles by itself as C11, and where there is an nvcc all but those of one folder (*_impl.h) together as
# CUDA C++: the CUDA backend includes them, and no two give one name to two things.
set -u
cd "$(dirname "$0")/.." || exit 2
: "${CC:=gcc}" "${NVCC:=}"
headers=$(find core text backends models tasks optimizers results plots bench -name '*.h' 2>/dev/null | sort)
jobs=$(nproc 2>/dev/null || echo 1)
flags="-I. $(pkg-config --cflags sqlite3 libcjson libpcre2-8 libutf8proc 2>/dev/null)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Twice in one unit: the include guard is tried too.
each='name=$(echo "$1" | tr / _); printf "#include \"%s\"\n#include \"%s\"\n" "$1" "$1"'
export CC NVCC flags scratch
echo "$headers" | xargs -P "$jobs" -n 1 sh -c "$each"' >"$scratch/$name.c"
    $CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wno-unused-function -Werror -fsyntax-only $flags "$scratch/$name.c" ||
    { echo "    $1 does not compile alone as C11"; exit 1; }' sh || exit 1
echo "check: $(echo "$headers" | wc -l) headers compile alone as C11"

[ -n "$NVCC" ] || { echo 'check: no nvcc here, headers not tried as CUDA C++'; exit 0; }
shared=$(echo "$headers" | grep -v '_impl\.h$')
for header in $shared; do printf '#include "%s"\n' "$header"; done >"$scratch/all.cu"
"$NVCC" -x cu -std=c++17 -Werror all-warnings -Xcompiler -Wall,-Wno-unused-function -diag-suppress 177 $flags -c "$scratch/all.cu" -o "$scratch/all.o" ||
    { echo '    the headers do not compile as CUDA C++'; exit 1; }
echo "check: $(echo "$shared" | wc -l) headers compile together as CUDA C++"
