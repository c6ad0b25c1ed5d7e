#!/bin/sh
# fuzz.sh FOLDER RUNS PROGRAM...: each libFuzzer program (tests/fuzz/fuzz_*.c) for RUNS executions, one of databases for a hundredth, from seeds that
# are made here of our own golden files; what was found goes on in FOLDER/NAME. JOBS=2 at once. A verdict line each, then the sum; the exit
# status is 1 when one crashed (the input is then in FOLDER, as a file that the program takes as its argument).
set -u
folder=$1 runs=$2
shift 2
golden=tests/golden
mkdir -p "$folder"

# Put a file into a corpus, behind one byte that says what to read it as.
seed() { # corpus byte file name
    { printf "$2"; cat "$3"; } >"$1/$4"
}
# The seeds of a program, by its name.
seeds() { # name program
    to=$folder/$1
    mkdir -p "$to"
    n=0
    case $1 in
    config)
        for f in "$golden"/models/*/config.json; do seed "$to" '\000' "$f" "model-$((n += 1))"; done
        for f in "$golden"/variants/*.json.gz; do # a row a line, with its config
            gzip -dc "$f" | sed -n 's/.*"config": \({.*}\), "tensors".*/\1/p' >"$to.rows"
            while read -r row; do printf '\000%s' "$row" >"$to/variant-$((n += 1))"; done <"$to.rows"
        done
        rm -f "$to.rows"
        for f in paper_configs/*/*.json; do [ "$(wc -c <"$f")" -gt 1500 ] || seed "$to" '\001' "$f" "run-$((n += 1))"; done
        ;;
    json) for f in "$golden"/models/*/config.json; do cp "$f" "$to/$((n += 1))"; done ;;
    task) cp tasks/*.json "$to" ;;
    safetensors) for f in "$golden"/models/*/golden.safetensors; do head -c 2000 "$f" >"$to/$((n += 1))"; cp "$f" "$to/$((n += 1))"; done ;;
    torch_file) for f in "$golden"/torch/*/*.bin; do cp "$f" "$to/$((n += 1))"; done ;;
    tsv | jsonl)
        while [ $n -lt 40 ]; do
            byte=$(printf '\\%03o' $n)
            {
                printf "$byte"
                if [ "$1" = tsv ]; then
                    printf 'sentence\tlabel\tquestion\tquality\t#1 String\t#2 String\nit is "good"\t1\tis it\t0\ta\tb\n1,a b,c\nDESC:manner How ?\n'
                else
                    printf '{"premise": "a b", "hypothesis": "c", "question": "cause", "choice1": "d", "choice2": "e", "passage": "p", "idx": 0, "label": 1, "text": "t", "word": "w", "sentence1": "a w", "sentence2": "w", "start1": 2, "end1": 3, "start2": 0, "end2": 1, "target": {"span1_text": "a", "span2_text": "b", "span1_index": 0, "span2_index": 1}}\n'
                fi
            } >"$to/$((n += 1))"
        done
        ;;
    db | tokenizer) ZO_FUZZ_SEEDS=$to "$2" -runs=0 >/dev/null 2>&1 ;;
    esac
}
one() { # program
    name=${1##*/fuzz_}
    count=$runs
    case $name in db) count=$((runs / 100)) ;; esac
    seeds "$name" "$1"
    start=$(date +%s)
    if ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 OMP_NUM_THREADS=1 "$1" -runs="$count" -max_len=4096 -timeout=20 -rss_limit_mb=4000 -print_final_stats=1 \
        -artifact_prefix="$folder/$name-" -seed="${SEED:-1}" "$folder/$name" >"$folder/$name.log" 2>&1; then verdict=ok; else verdict=FAIL; fi
    done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log")
    printf '%-5s fuzz_%-18s %10s executions %6d s\n' $verdict "$name" "${done:-0}" $(($(date +%s) - start)) | tee "$folder/$name.verdict"
    [ $verdict = ok ] || tail -n 30 "$folder/$name.log" | sed 's/^/      /'
}
rm -f "$folder"/*.verdict
n=0
for program in "$@"; do
    one "$program" &
    n=$((n + 1))
    [ $((n % ${JOBS:-2})) != 0 ] || wait
done
wait
cat "$folder"/*.verdict | awk '{ sum += $3; bad += $1 != "ok"; n++ } END { printf "%d fuzzers, %.0f executions, %d failed\n", n, sum, bad; exit bad > 0 }'
