#!/bin/sh
# published_tables.sh: every shipped table of a paper, planned with small models in place of its own: all of its cells are opened (model, rows, prompts, method), and
# none may be refused. Nothing is trained. The small models have random weights, and the tokenizers of two real ones, whose folders smollm2-135m and minilm-l6 stand
# below MODELS; rows come from DATA. Of the test rows few are read; train and dev are the tables' own. Minutes; part of .ci/nightly.
#
#   DATA=folder MODELS=folder tests/published_tables.sh [paper_configs/PAPER/TABLE.json ...]
#
# Exit status 1 where a cell is refused. Last line: tables, cells, refused cells.
set -u
cd "$(dirname "$0")/.."
data=${DATA:-../shared/data} models=${MODELS:-../shared/models} zo=${ZO:-./zo}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in smollm2-135m/tokenizer.json minilm-l6/vocab.txt; do
    [ -e "$models/$name" ] || { echo "published_tables: there is no $models/$name; set MODELS"; exit 2; }
done
mkdir "$scratch/causal" "$scratch/masked"
cp "$models"/smollm2-135m/tokenizer* "$scratch/causal"
cp "$models"/minilm-l6/vocab.txt "$models"/minilm-l6/tokenizer_config.json "$scratch/masked"
cat >"$scratch/causal/config.json" <<CONFIG
{"model_type": "llama", "vocab_size": 49152, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 48, "num_attention_heads": 2,
 "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true}
CONFIG
cat >"$scratch/masked/config.json" <<CONFIG
{"model_type": "bert", "vocab_size": 30522, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 24, "num_attention_heads": 2,
 "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
CONFIG

[ $# -gt 0 ] || set -- $(grep -l '"expect"' paper_configs/*/*.json | grep -v '^paper_configs/claims/')
tables=0 refused=0 cells=0
for table; do
    status=0
    sed -E "s#\"(roberta|distilbert)-[a-z]+[a-z-]*\"#\"$scratch/masked\"#g; s#\"(facebook/opt|gpt2|huggyllama/|meta-llama/)[^\"]*\"#\"$scratch/causal\"#g" "$table" >"$scratch/table.json"
    "$zo" plan "$scratch/table.json" --memory --json --data "$data" --db "$scratch/plans.db" --with \
        '{"init": "random", "test": 8, "precision": "f32"}' >"$scratch/said" 2>"$scratch/errors" || status=$?
    tables=$((tables + 1))
    n=$(grep -oE '^[0-9]+ cells?' "$scratch/errors" | tail -n 1 | cut -d' ' -f1)
    no=$(grep -oE '[0-9]+ of which do not fit' "$scratch/errors" | cut -d' ' -f1)
    cells=$((cells + ${n:-0}))
    if [ $status -ne 0 ]; then
        refused=$((refused + ${no:-1}))
        printf 'FAIL  %-45s %s\n' "$table" "$(tail -n 1 "$scratch/errors")"
        grep -oE '"why": *"[^"]*(\\"[^"]*)*"' "$scratch/said" | sort | uniq -c | grep -v '""' | sed 's/^/      /'
    else
        printf 'ok    %-45s %s cells\n' "$table" "$n"
    fi
done
echo "$tables tables, $cells cells, $refused refused"
[ $refused -eq 0 ] && [ "$cells" -gt 0 ]
