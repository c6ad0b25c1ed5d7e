#!/bin/sh
# two_nights.sh: two nights of examples/nightly/nightly.sh in a scratch clone of HEAD. For the second the kernel of matrix products runs each product twice, which
# changes no bit: the night must end with 1, and its report name products (gemm) and nothing of memory. REGRESS: options of `zo regress`, such as
# --disturbed where the machine is never idle. Some minutes; part of .ci/nightly. SCRATCH=FOLDER keeps the clone.
set -eu
cd "$(dirname "$0")/.."
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT
git clone --quiet . "$scratch/tree"
cd "$scratch/tree"
suite=paper_configs/nightly/seconds.json
export NIGHTLY="$scratch/night" CUDA=0 HISTORY=--disturbed
sh examples/nightly/nightly.sh $suite
[ "$(cat "$NIGHTLY/good")" = "$(git rev-parse HEAD)" ] || { echo 'two_nights: the first night left no good revision'; exit 1; }
perl -0pi -e 's/(    DNNL_CHECK\(dnnl_primitive_execute\(product->primitive, stream, 4, args\)\);\n)/$1    if (!product->gemm.add) {\n    $1    }\n/' backends/cpu/gemm.c
git -c user.name=night -c user.email=night@example.org commit --quiet -am 'Products twice' || { echo 'two_nights: the kernel is another one, and this script has to follow it'; exit 2; }
status=0
sh examples/nightly/nightly.sh $suite || status=$?
[ $status = 1 ] || { echo "two_nights: the second night ended with $status, and 1 was expected"; exit 1; }
grep -q 'gemm.*worse' "$NIGHTLY/regress.md" || { echo 'two_nights: the report does not name products'; exit 1; }
if grep -qE '(activations|peak|params|bits).*worse' "$NIGHTLY/regress.md"; then
    echo 'two_nights: the report names what did not change'
    exit 1
fi
for file in regress.xml history.svg report.html; do
    [ -s "$NIGHTLY/$file" ] || { echo "two_nights: no $file"; exit 1; }
done
grep -q "^$(git rev-parse HEAD~1)$" "$NIGHTLY/good" || { echo 'two_nights: a night that is worse was taken for a good one'; exit 1; }
echo 'two_nights: the second night names the kernel that takes longer'
