#!/bin/sh
# check_ptx.sh: what nvcc makes of the kernels that move arrays: each instantiation of the kernels below reads and writes four numbers by one
# instruction (v4 in PTX; in machine code 64 or 128 bits, where cuobjdump is), as often at least as the table says; `whole` kernels, which
# have no ragged ends, store nothing else. A compiler that takes a float4 apart shows here, without a card. Skipped where nvcc is not.
set -eu
cd "$(dirname "$0")/.."
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)}
[ -n "$nvcc" ] || { echo 'skipped: no nvcc here, the instructions of the kernels were not looked at'; exit 0; }
cuobjdump=${CUOBJDUMP:-$(command -v cuobjdump || ls "$(dirname "$nvcc")/cuobjdump" 2>/dev/null || true)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# file kernel loads stores; kernel<N>: of the template's first argument N, a number or a type, in place of the kernel's own line.
# Rules 9, small, and 16, positive, are those of rule_flat that read nothing beside the weights.
cat >"$work/table" <<'TABLE'
form form_kernel 1 1 whole
form chosen_kernel 1 1
update apply_flat 1 1
update apply_panels 4 4
update rule_flat 3 3
update rule_flat<9> 2 3
update rule_flat<16> 1 1
update rule_panels 4 4
update fill_normal 0 1
update find_not_finite 1 0
linear pack_kernel 1 1 whole
elementwise flat 2 1
elementwise flat<op_scale> 1 1
elementwise flat<op_softcap> 1 1
elementwise finish_rows 2 2
elementwise gather_rows 1 1
elementwise add_to_rows 2 1
elementwise norm_rows 4 2
elementwise norm_backward_rows 4 1
attention rope_rows 4 2
attention attend 4 1
attention attend_backward_queries 4 1
attention attend_backward_keys 4 1
TABLE

flags='-std=c++17 -O3 -arch=sm_80 -fmad=false -I. -D_GNU_SOURCE'
for file in $(cut -d' ' -f1 "$work/table" | uniq); do
    # shellcheck disable=SC2086
    "$nvcc" $flags -ptx "backends/cuda/$file.cu" -o "$work/$file.ptx"
    # each kernel's loads and stores of memory that is not shared, by width
    awk -v file="$file" '
        function tell() { if (name != "") print file, name, load4, store4, store1 }
        /\.entry [A-Za-z_0-9]+\(/ { tell(); name = $0; sub(/.*\.entry /, "", name); sub(/\(.*/, "", name); load4 = store4 = store1 = 0 }
        match($0, /[ \t](ld|st)(\.[a-z]+)*(\.v[24])?\.[a-z][0-9]+/) {
            op = substr($0, RSTART + 1, RLENGTH - 1)
            if (op ~ /\.(shared|param|local|const)/) next
            if (op ~ /^ld.*\.v4/) load4++
            if (op ~ /^st.*\.v4/) store4++
            if (op ~ /^st/ && op !~ /\.v4/) store1++
        }
        END { tell() }' "$work/$file.ptx" >>"$work/ptx"
    if [ -n "$cuobjdump" ]; then
        # shellcheck disable=SC2086
        "$nvcc" $flags -cubin "backends/cuda/$file.cu" -o "$work/$file.cubin"
        "$cuobjdump" -sass "$work/$file.cubin" | awk -v file="$file" '
            function tell() { if (name != "") print file, name, load4, store4, store1 }
            /Function : / { tell(); name = $NF; load4 = store4 = store1 = 0 }
            / LDG?\.E[.A-Z_]*\.(64|128)/ { load4++ }
            / STG?\.E[.A-Z_]*\.(64|128)/ { store4++; next }
            / STG?\.E/ { store1++ }
            END { tell() }' >>"$work/sass"
    fi
done

check() { # FILE WHAT
    awk -v what="$2" '
        NR == FNR { file[$2] = $1; loads[$2] = $3; stores[$2] = $4; whole[$2] = $5; next }
        {
            best = ""
            for (kernel in file) {
                # as the name stands in the mangled one: its length before it, the first argument behind it
                split(kernel, part, /[<>]/)
                mangled = "^_Z[A-Za-z]*" length(part[1]) part[1] (part[2] == "" ? "[^a-z_]" : part[2] ~ /^[0-9]/ ? "ILi" part[2] "E" : "I" length(part[2]) part[2] "E")
                if ($1 == file[kernel] && $2 ~ mangled && length(kernel) > length(best)) best = kernel
            }
            if (best == "") next
            seen[best]++
            if ($3 < loads[best] || $4 < stores[best] || (whole[best] != "" && $5 > 0)) {
                printf "check_ptx: %s: %s reads four numbers at once in %d places and writes them in %d, others in %d; expected %d, %d%s\n", \
                    what, $2, $3, $4, $5, loads[best], stores[best], whole[best] != "" ? " and no others" : ""
                bad = 1
            }
        }
        END {
            for (kernel in file) if (!seen[kernel]) { printf "check_ptx: %s: there is no kernel %s in backends/cuda/%s.cu\n", what, kernel, file[kernel]; bad = 1 }
            for (kernel in file) n += seen[kernel]
            if (!bad) printf "check: %d kernels move four numbers at once (%s)\n", n, what
            exit bad
        }' "$work/table" "$1"
}
status=0
check "$work/ptx" PTX || status=1
if [ -n "$cuobjdump" ]; then
    check "$work/sass" 'machine code of sm_80' || status=1
else
    echo 'skipped: no cuobjdump here, the machine code of the kernels was not looked at'
fi
exit $status
