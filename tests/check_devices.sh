#!/bin/sh
# check_devices.sh [MAKE]: the choices of CUDA= are what the Makefile says, and a build without a card tells so instead of taking another
# device. With nvcc the GPU backend is built too (warnings are errors) and started.
set -u
cd "$(dirname "$0")/.." || exit 2
make=${1:-make}
unset CUDA MAKEFLAGS MFLAGS MAKELEVEL
export CFLAGS="${CFLAGS--Werror}" # of the gate, so that nothing is compiled twice
fail() { echo "    $1"; exit 1; }

said=$($make -n CUDA=1 NVCC= zo 2>&1) && fail 'CUDA=1 without nvcc is not an error'
echo "$said" | grep -q 'CUDA=1 needs nvcc' || fail "CUDA=1 without nvcc says: $said"
said=$($make -n CUDA=yes zo 2>&1) && fail 'CUDA=yes is not an error'
$make -n CUDA=auto NVCC= zo >/dev/null 2>&1 || fail 'CUDA=auto without nvcc does not fall back to the processor'
$make -n -B CUDA=0 zo 2>/dev/null | grep -qE '\.cu |nvcc .*-c' && fail 'CUDA=0 compiles a CUDA file'
$make -n NVCC= zo >/dev/null 2>&1 || fail 'without nvcc the default is not the processor alone'
echo 'check: CUDA=0, 1 and auto are what they say'

step='bench step synth-tiny --task synth-acceptability --form prompt --init random --optimizer mezo --steps 1'
$make CUDA=0 zo >/dev/null || fail 'CUDA=0 does not build'
# shellcheck disable=SC2086
said=$(./zo $step --device cuda 2>&1) && fail 'a build without the CUDA backend runs on "cuda"'
echo "$said" | grep -q 'built without the CUDA backend' || fail "--device cuda without the backend says: $said"
# shellcheck disable=SC2086
./zo $step --device auto >/dev/null || fail '--device auto does not run on the processor'

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null) || nvcc=
[ -n "$nvcc" ] || { echo 'check: no nvcc here, the CUDA backend is not built'; exit 0; }
$make CUDA=1 zo >/dev/null || fail 'CUDA=1 does not build without a warning'
# shellcheck disable=SC2086
if ./zo $step --device cuda >/dev/null 2>&1; then
    echo 'check: CUDA=1 builds, and there is a card: make gpu-check proves it'
else
    # shellcheck disable=SC2086
    said=$(./zo $step --device cuda 2>&1)
    echo "$said" | grep -q 'no CUDA device' || fail "--device cuda without a card says: $said"
    # shellcheck disable=SC2086
    ./zo $step --device auto >/dev/null || fail '--device auto does not run on the processor'
    bench/gpu-check >/dev/null 2>&1
    [ $? = 3 ] || fail 'gpu-check without a card does not exit with 3'
    echo 'check: CUDA=1 builds; without a card it says so, and auto takes the processor'
fi
$make CUDA=0 zo >/dev/null
