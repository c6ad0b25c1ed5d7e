#!/bin/sh
# Every header compiles by itself: as C11, and as CUDA C++ where there is an nvcc (the CUDA backend includes them).
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
echo "$headers" | xargs -P "$jobs" -n 1 sh -c "$each"' >"$scratch/$name.cu"
    "$NVCC" -x cu -std=c++17 -Werror all-warnings -Xcompiler -Wall,-Wno-unused-function -diag-suppress 177 $flags -c "$scratch/$name.cu" -o "$scratch/$name.o" ||
    { echo "    $1 does not compile alone as CUDA C++"; exit 1; }' sh || exit 1
echo "check: $(echo "$headers" | wc -l) headers compile alone as CUDA C++"
