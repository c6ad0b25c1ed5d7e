#!/bin/sh
# plan_trials.sh: `zo plan` against the runs that come after it: 20 cells of mixed methods, batches and contexts, half of them on the synthetic encoder that `zo demo`
# pretrains, half at the sizes of a DistilBERT or, where MODELS has it, on minilm-l6. Prints predicted and measured, cell by cell. Memory must be within 3 %; time is to be
# within 25 %, and is judged where the machine was idle: STRICT=1. Times are of processors too (`cpu`), which other work disturbs less. Minutes; not in the gate.
#
#   [MODELS=folder] [STRICT=1] tests/plan_trials.sh
#
# Exit status 1 where a prediction is further off.
set -eu
cd "$(dirname "$0")/.."
zo=${ZO:-./zo} models=${MODELS:-/nonexistent}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
second='"model": "shape:distilbert", "init": "random"' name=shape:distilbert
if [ -e "$models/minilm-l6/config.json" ]; then
    second='"model": "minilm-l6"' name=minilm-l6
fi
# MODEL BATCH CONTEXT STEPS METHODS: one line of the matrix
matrix() {
    printf '{%s, "batch": %s, "context": %s, "steps": %s, "optimizer": [%s]}' "$1" "$2" "$3" "$4" "$5"
}
small='"model": "synth-small"'
{
    printf '{"name": "plan-trials", "task": "synth-lengths", "fill": true, "form": "head", "train": 64, "dev": 32, "test": 32, "seed": 0, "threads": 1, "include": [\n'
    matrix "$small" 8 32 150 '"mezo", "fo-sgd", {"name": "mezo-svrg", "q": 5}' && echo ,
    matrix "$small" 16 64 80 '{"name": "mezo", "realisation": "streamed"}, "mezo-adam", {"name": "tezo-adam", "realisation": "sidepath"}' && echo ,
    matrix "$small" 32 64 60 '"fo-adamw", "lozo", {"name": "mezo", "queries": 2}' && echo ,
    matrix "$small" 4 128 80 '"hizoo"' && echo ,
    matrix "$second" 2 32 40 '"mezo", "fo-sgd", {"name": "mezo-svrg", "q": 4}' && echo ,
    matrix "$second" 4 64 25 '{"name": "mezo", "realisation": "streamed"}, "mezo-adam", "fo-adamw"' && echo ,
    matrix "$second" 8 128 12 '"lezo", {"name": "mezo", "tune": {"name": "lora", "rank": 4, "alpha": 8, "on": "q,v"}}, {"name": "fo-adamw", "checkpoint": true}' && echo ,
    matrix "$second" 16 64 12 '"subzo"'
    echo ']}'
} >"$scratch/trials.json"
set -- --db "$scratch/trials.db"
[ "$name" = shape:distilbert ] || set -- "$@" --models "$models"
"$zo" plan "$scratch/trials.json" "$@" >"$scratch/plan" 2>&1 || { cat "$scratch/plan"; exit 1; }
"$zo" run "$scratch/trials.json" "$@" >"$scratch/run" 2>&1 || { cat "$scratch/run"; exit 1; }
"$zo" sql --db "$scratch/trials.db" "
    SELECT model, optimizer || CASE WHEN tune LIKE 'lora%' THEN ' on lora' ELSE '' END || CASE realisation WHEN 'inplace' THEN '' ELSE ' ' || realisation END AS method, batch, context,
           round(train_peak_bytes * (1 + memory_error) / 1e6, 1) AS 'MB said', round(train_peak_bytes / 1e6, 1) AS 'MB', round(100 * memory_error, 1) AS 'off %',
           round(3600 * device_hours_total * (1 + hours_error), 2) AS 's said', round(3600 * device_hours_total, 2) AS 's', round(100 * hours_error, 0) AS 'off, %',
           round(100 * cpu_error, 0) AS 'cpu, %' FROM runs WHERE status = 'done' ORDER BY model, run"
sum=$("$zo" sql --db "$scratch/trials.db" --json "SELECT count(*) AS cells, sum(abs(memory_error) > 0.03 OR memory_error IS NULL) AS memory, sum(abs(hours_error) > 0.25 OR hours_error IS NULL) AS time,
           sum(abs(cpu_error) > 0.25 OR cpu_error IS NULL) AS cpu FROM runs WHERE status = 'done'")
field() { printf %s "$sum" | grep -oE "\"$1\":[[:space:]]*[0-9]+" | grep -oE '[0-9]+$'; }
echo "$(field cells) cells; memory more than 3 % off: $(field memory); time more than 25 % off: $(field time) by the wall, $(field cpu) by processors"
[ "$(field cells)" = 20 ] && [ "$(field memory)" = 0 ] && { [ -z "${STRICT:-}" ] || [ "$(field time)" = 0 ]; }
