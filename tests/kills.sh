#!/bin/bash
# kills.sh: does anything of a run that is killed get lost? Cells of several methods run with short checkpoints, and this script kills them: the process of a cell,
# or `zo run` itself and its cell with it, by SIGKILL, at moments that a seeded generator chooses. Then the same command goes on. The kills are spread over what
# a cell can be doing. Before each one the cell is stopped, and its name says what that is (bench/cell/run.h, zo_cell_phase):
#
#   start        `zo run` has just begun: it looks at the database, checks cells or starts the first
#   load, train, eval, checkpoint, write   the cell reads its model, makes steps, evaluates, writes its checkpoint, or its rows
#
# After every kill the database must pass PRAGMA integrity_check. When all cells of a round have ended, the round is compared with one that nobody disturbed, bit
# for bit: every column of rows that is no time and no fact of the machine, every logged step, evaluation, sample and journal, and the files of weights. Peaks of
# memory may be less by the few hundred bytes of compiled products that docs/measuring.md tells of.
#
# KILLS=200 in all, SEED=1 of their moments, ZO=./zo the program, SCRATCH=FOLDER keeps what there is (else it is removed). Prints each kill, then a table.
# Exit status 1 where a database is damaged, a cell with a checkpoint began anew, none went on, or a figure or a weight is not equal.
set -u
cd "$(dirname "$0")/.." || exit 2
zo=$(realpath "${ZO:-./zo}")
kills=${KILLS:-200} seed=${SEED:-1}
[ -x "$zo" ] || { echo "kills: there is no program $zo; make builds it"; exit 2; }
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"
RANDOM=$seed
exec 9<> <(:)
nap() { read -rt "$1" -u 9; } # seconds; without a process
random_ms() { printf -v REPLY '0.%03d' $((RANDOM % $1)); }

config=$scratch/kills.json
cat >"$config" <<'CONFIG'
{"model": "synth-small", "task": "synth-sentiment", "form": "prompt", "context": 48, "batch": 4, "train": 32, "dev": 16, "test": 16, "threads": 1, "steps": 48,
 "eval_every": 5, "lr": 1e-4, "optimizer": ["mezo", {"name": "mezo-svrg", "q": 5}, {"name": "tezo-adam", "rank": 4}, "lozo", "fo-adamw", "mezo-adam"],
 "include": [{"optimizer": "mezo", "tune": {"name": "lora", "rank": 2}}, {"optimizer": "qzo", "quantised": "int8", "tune": "scales"},
             {"optimizer": "mezo", "realisation": "streamed", "accumulate": "log", "storage": "bf16"}]}
CONFIG
go() { exec "$zo" run "$config" --db "$scratch/$1.db" --save "$scratch/$1" --samples --checkpoint 0 --checkpoint-steps 3; }
ask() { "$zo" sql --db "$scratch/$1.db" --format csv "$2" | tail -n +2; }

# ---- comparing ---------------------------------------------------------------------------------------------------------------

other='run try cell shown began ended train_seconds eval_seconds load_seconds step_ms step_ms_median step_ms_q1 step_ms_q3 full_step_ms other_step_ms device_hours
 device_hours_total cpu_seconds foreign_seconds steal_seconds load_average switches disturbed rss_peak_bytes memory_limit_bytes resumed checkpoint_ms hours_error
 cpu_error peak_bytes train_peak_bytes memory_error host kernel device driver'
parts='seconds form gemm attention elementwise head backward update data train_seconds run'
# columns TABLE 'those that are not': quote() of each of the others, which loses no bit, as one text
columns() {
    local names other=${2//$'\n'/}
    names=$(ask whole "SELECT group_concat('quote(x.' || name || ')', ' || '','' || ') FROM pragma_table_info('$1') WHERE instr(' $other ', ' ' || name || ' ') = 0")
    names=${names#\"}
    echo "${names%\"}"
}
# dump DB: all that must be equal, a line a fact
dump() {
    ask "$1" "SELECT hash || ' ' || $of_runs FROM runs x ORDER BY hash"
    local table
    for table in steps evaluations samples predictions; do
        local of=of_$table
        ask "$1" "SELECT '$table ' || (SELECT hash FROM runs r WHERE r.run = x.run) || ' ' || ${!of} FROM $table x WHERE x.run IN (SELECT run FROM runs) ORDER BY 1"
    done
    ask "$1" "SELECT 'journal ' || hash || ' ' || group_concat(hex(entry), '') FROM (SELECT hash, entry FROM runs JOIN journal j USING (run) ORDER BY hash, j.step) GROUP BY hash"
}
# compare DB: prints what is unequal
compare() {
    dump "$1" >"$scratch/$1.dump"
    diff "$scratch/whole.dump" "$scratch/$1.dump" | grep '^[<>]' | cut -c 1-300
    local hash file
    for hash in $hashes; do
        for file in "$scratch/whole/$hash"/*; do
            cmp "$file" "$scratch/$1/$hash/${file##*/}" 2>&1
        done
    done
    ask "$1" "SELECT hash || ' ' || peak_bytes || ' ' || train_peak_bytes FROM runs ORDER BY hash" | paste -d ' ' - "$scratch/whole.peaks" | awk '
        $2 > $5 || $2 < $5 - 10000 || $3 > $6 || $3 < $6 - 10000 { print "peaks of", $1 ":", $2, $3, "and not", $5, $6 }'
    ls "$scratch/$1.db."*.checkpoint* 2>/dev/null
    ask "$1" "SELECT 'running: ' || try FROM tries WHERE status = 'running'"
}

echo "kills: $kills kills, seed $seed, $("$zo" version | head -1)"
(go whole) 2>"$scratch/whole.said" || { cat "$scratch/whole.said"; exit 2; }
cells=$(ask whole 'SELECT count(*) FROM runs')
hashes=$(ask whole "SELECT hash FROM runs WHERE status = 'done'")
[ "$(echo "$hashes" | wc -w)" = "$cells" ] || { echo 'kills: a cell of the undisturbed run is not done'; exit 2; }
of_runs=$(columns runs "$other") of_steps=$(columns steps "$parts") of_evaluations=$(columns evaluations "$parts")
of_samples=$(columns samples run) of_predictions=$(columns predictions run)
dump whole >"$scratch/whole.dump"
ask whole "SELECT hash || ' ' || peak_bytes || ' ' || train_peak_bytes FROM runs ORDER BY hash" >"$scratch/whole.peaks"
echo "kills: the undisturbed run has $cells cells and $(wc -l <"$scratch/whole.dump") facts"

# ---- killing -----------------------------------------------------------------------------------------------------------------

state() { # of process $1, in REPLY; empty when it is gone
    REPLY=
    { read -r REPLY <"/proc/$1/stat"; } 2>/dev/null
    REPLY=${REPLY##*) }
    REPLY=${REPLY%% *}
}
child_of() { REPLY=; { read -r REPLY <"/proc/$1/task/$1/children"; } 2>/dev/null; REPLY=${REPLY%% *}; } # a line without an end
phase_of() { { read -r REPLY <"/proc/$1/comm"; } 2>/dev/null || REPLY=; REPLY=${REPLY#zo }; }
# stop PID: halts it, or returns 1 when it has ended
stop() {
    kill -STOP "$1" 2>/dev/null || return 1
    while state "$1"; [ "$REPLY" != T ]; do
        case $REPLY in '' | Z | X) return 1 ;; esac
    done
}
declare -A count=()
done_kills=0 corrupt=0 resumed=0 anew=0 unequal=0 lost=0
# note WHO PHASE: a kill that has happened, and how the database is
note() {
    done_kills=$((done_kills + 1))
    count[$1.$2]=$((${count[$1.$2]:-0} + 1))
    local intact=none
    if [ -s "$scratch/$name.db" ]; then
        intact=$(ask "$name" "SELECT group_concat(integrity_check) || (SELECT count(*) FROM pragma_foreign_key_check) FROM pragma_integrity_check" 2>&1)
        [ "$intact" = ok0 ] || corrupt=$((corrupt + 1))
    fi
    printf 'kill %3d: %-6s %-10s database %s\n' "$done_kills" "$1" "$2" "$intact"
}

phases=(load train eval checkpoint write)
# attack RUN CELL: one kill of this cell, at the chosen phase; nothing when the cell is gone before
attack() {
    local want=${phases[RANDOM % ${#phases[@]}]} who=cell
    [ $((RANDOM % 4)) != 0 ] || who=parent
    [ "$want" = load ] && random_ms 60 || random_ms 500
    nap "$REPLY"
    while stop "$2"; do
        phase_of "$2"
        if [ "$REPLY" = "$want" ]; then
            [ $who = cell ] && kill -KILL "$2" || kill -KILL "$1"
            while state "$2"; [ -n "$REPLY" ] && [ "$REPLY" != Z ]; do nap 0.002; done
            note $who "$want"
            return
        fi
        kill -CONT "$2" 2>/dev/null
        random_ms 4
        nap "$REPLY"
    done
}

for ((round = 1; done_kills < kills; round++)); do
    name=round$round
    for ((pass = 1, code = 1; code != 0; pass++)); do
        go $name 2>>"$scratch/$name.said" &
        run=$! last=
        if [ $done_kills -lt "$kills" ] && [ $((pass % 4)) = 2 ]; then
            random_ms 300
            nap "$REPLY"
            kill -KILL $run 2>/dev/null && wait $run 2>/dev/null
            note parent start
            continue
        fi
        while kill -0 $run 2>/dev/null && state $run && [ "$REPLY" != Z ]; do
            child_of $run
            cell=$REPLY
            phase_of "${cell:-0}"
            if [ -n "$cell" ] && [ "$cell" != "$last" ] && [ -n "$REPLY" ] && [ "$REPLY" != check ]; then
                last=$cell
                [ $done_kills -lt "$kills" ] && [ $pass -le 6 ] && [ $((RANDOM % 4)) != 0 ] && attack $run "$cell"
            fi
            nap 0.003
        done
        wait $run 2>/dev/null
        code=$?
        [ $pass -lt 40 ] || { echo "kills: $name does not end"; tail -20 "$scratch/$name.said"; exit 1; }
    done
    compare $name >"$scratch/$name.unequal"
    n=$(wc -l <"$scratch/$name.unequal")
    unequal=$((unequal + n))
    on=$(ask $name 'SELECT count(*) FROM tries WHERE resumed > 0')
    resumed=$((resumed + on))
    anew=$((anew + $(ask $name 'SELECT count(*) FROM tries') - on - cells))
    lost=$((lost + $(grep -c 'begins anew' "$scratch/$name.said")))
    echo "$name: $((pass - 1)) starts, $done_kills kills so far, $on tries went on, $n facts unequal"
    head -5 "$scratch/$name.unequal"
done 2> >(grep -v Killed >&2)

echo
echo '| killed at | the cell | zo run |'
echo '|---|--:|--:|'
for phase in start "${phases[@]}"; do
    echo "| $phase | ${count[cell.$phase]:-0} | ${count[parent.$phase]:-0} |"
done
echo
echo "$done_kills kills in $((round - 1)) rounds of $cells cells: $resumed tries went on, $anew began anew before their first checkpoint, $lost with one," \
    "$corrupt damaged databases, $unequal facts unequal"
[ $corrupt = 0 ] && [ $lost = 0 ] && [ $resumed -gt 0 ] && [ $unequal = 0 ]
