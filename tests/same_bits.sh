#!/bin/sh
# same_bits.sh REVISION: does this tree compute what REVISION computed? Both are built (no CUDA backend) and run one matrix on tiny models of
# random weights: every optimizer with each option that changes its arithmetic x realisation x storage x accumulate, 10 steps. Every bit must be
# equal of: hashes and status of each row, losses, projected gradients and learning rates of all steps, dev and test losses after
# every other step and at the end (functions of all weights), drift, counters, and peaks by phase of params, grads, opt_state, snapshot and
# activations. Peaks of workspace, data and other, and bytes written by sweeps (fewer where more is swept at once), are listed where they
# differ. Everything is kept in build/same_bits; what needs the processor and not the card is compared, so the kernels of the CUDA backend are
# left to their tests.
set -eu
[ $# = 1 ] || { echo 'usage: tests/same_bits.sh REVISION'; exit 2; }
cd "$(dirname "$0")/.."
revision=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "same_bits: there is no revision $1 here"; exit 2; }
work=build/same_bits
old=$work/$revision
make=${MAKE:-make}
mkdir -p "$work"

if [ ! -e "$old/Makefile" ]; then
    mkdir -p "$old.new"
    git archive "$revision" | tar -x -C "$old.new"
    mv "$old.new" "$old"
fi
for tree in "$old" .; do
    $make -C "$tree" CUDA=0 zo >"$work/make.log" 2>&1 || { tail -20 "$work/make.log"; exit 1; }
done

cat >"$work/matrix.json" <<'CONFIG'
{
    "name": "same-bits", "model": ["shape:roberta-tiny", "shape:opt-tiny"], "init": "random", "task": "synth-sentiment", "form": "prompt",
    "context": 32, "batch": 4, "train": 12, "dev": 8, "test": 8, "steps": 10, "eval_every": 2, "selection": "best-test", "threads": 1, "lr": 1e-3,
    "realisation": ["inplace", "streamed", "sidepath"], "storage": ["f32", "bf16", "f16"], "accumulate": ["weights", "log"],
    "optimizer": [
        {"name": "mezo", "queries": [1, 3], "weight_decay": [0, 0.1]},
        {"name": "mezo", "weight_decay": 0.1, "decay_on": "all"},
        {"name": "mezo-svrg", "eta2": 1e-3, "q": [2, 5], "mode": ["paper", "released", "replay"], "window": 2, "kappa": 0.99},
        {"name": "mezo-svrg", "eta2": 1e-3, "q": 3, "z": "fresh", "mode": ["paper", "replay"]},
        {"name": ["tezo", "tezo-m", "tezo-adam"], "rank": 4},
        {"name": "tezo", "rank": 0, "scale": "none"},
        {"name": "tezo", "rank": 3, "scale": "rank", "rest_lr": 2e-3},
        {"name": ["tezo-m", "tezo-adam"], "rank": 3, "embeddings": ["rest", "freeze"]},
        {"name": ["tezo", "tezo-adam"], "rank": 3, "rest": "freeze"},
        {"name": "tezo-adam", "rank": 3, "bias_correction": false, "rest_normalised": false},
        {"name": "fo-sgd", "momentum": [0, 0.9], "weight_decay": [0, 0.05], "clip": [0, 0.5]},
        {"name": "fo-sgd", "checkpoint": true, "schedule": "linear"},
        {"name": "fo-adamw", "weight_decay": [0, 0.05], "clip": [0, 0.5]},
        {"name": "fo-adamw", "checkpoint": true, "schedule": "linear"}
    ],
    "exclude": [
        {"realisation": "inplace", "accumulate": "log"},
        {"realisation": "sidepath", "optimizer": ["mezo", "mezo-svrg"]},
        {"optimizer": ["fo-sgd", "fo-adamw"], "storage": ["bf16", "f16"]},
        {"optimizer": ["fo-sgd", "fo-adamw"], "accumulate": "log"}
    ]
}
CONFIG

cell="hash, model, optimizer, realisation, storage, accumulate, optimizer_options"
number="printf('%!.20g', coalesce(\$, 'nan'))"
of() { echo "$number" | sed "s/\\$/$1/"; }
cat >"$work/equal.sql" <<SQL
SELECT $cell, status, $(of drift_max) AS drift, $(of paper_queries) AS queries, normals, forwards, $(of flops) AS flops, tokens, examples, steps,
       (SELECT group_concat(step || ':' || $(of loss) || ':' || $(of projected) || ':' || $(of lr), ' ') FROM
           (SELECT * FROM steps WHERE run = r.run ORDER BY step)) AS losses,
       (SELECT group_concat(step || split || ':' || $(of loss) || ':' || $(of accuracy), ' ') FROM
           (SELECT * FROM evaluations WHERE run = r.run ORDER BY step, split)) AS evaluations,
       (SELECT group_concat(phase || ' ' || tag || ':' || bytes, ' ') FROM
           (SELECT * FROM memory WHERE run = r.run AND tag NOT IN ('workspace', 'data', 'other') ORDER BY phase, tag)) AS peaks
FROM runs r ORDER BY $cell
SQL
cat >"$work/listed.sql" <<SQL
SELECT phase || ' ' || tag AS place, optimizer || ' ' || realisation || ' ' || storage || ' ' || accumulate || ' ' || optimizer_options AS cell,
       model, bytes FROM runs JOIN memory USING (run) WHERE tag IN ('workspace', 'data', 'other')
UNION ALL
SELECT 'written', optimizer || ' ' || realisation || ' ' || storage || ' ' || accumulate || ' ' || optimizer_options, model, weight_bytes_written FROM runs
ORDER BY 2, 3, 1
SQL

# side NAME FOLDER: runs the matrix with the program of FOLDER, and leaves what is compared in NAME.equal and NAME.listed
side() {
    rm -f "$work/$1.db" "$work/$1.db-wal" "$work/$1.db-shm"
    "$2/zo" run "$work/matrix.json" --db "$work/$1.db" >"$work/$1.log" 2>&1 || { tail -5 "$work/$1.log"; return 1; }
    "$2/zo" sql --db "$work/$1.db" "$(cat "$work/equal.sql")" --format csv >"$work/$1.equal"
    "$2/zo" sql --db "$work/$1.db" "$(cat "$work/listed.sql")" --format csv >"$work/$1.listed"
}
side before "$old" &
first=$!
side after . && second=0 || second=1
wait $first && [ $second = 0 ] || { echo 'same_bits: a matrix did not run to its end'; exit 1; }

rows=$(($(wc -l <"$work/after.equal") - 1))
done=$(grep -c ',done,' "$work/after.equal" || true)
if cmp -s "$work/before.listed" "$work/after.listed"; then
    echo 'same_bits: workspace, data, other and bytes written are equal too'
else
    diff "$work/before.listed" "$work/after.listed" >"$work/listed.diff" || true
    echo "same_bits: $(grep -c '^>' "$work/listed.diff") peaks of workspace, data and other, and sums of bytes written, differ ($work/listed.diff)"
fi
if ! cmp -s "$work/before.equal" "$work/after.equal"; then
    diff "$work/before.equal" "$work/after.equal" >"$work/equal.diff" || true
    cut -c1-300 "$work/equal.diff" | head -20
    echo "same_bits: of $rows cells $(grep -c '^>' "$work/equal.diff") are not equal bit for bit ($work/equal.diff)"
    exit 1
fi
echo "same_bits: $rows cells, $done of them done, are equal bit for bit to those of $1"
