#!/bin/sh
#SBATCH --job-name=zo
#SBATCH --array=0-4
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
# A matrix on a cluster: one task a seed, each with a database of its own, which one writer has.
#   sbatch examples/nightly/slurm.sh CONFIG.json
# Two minutes before its time ends a task is asked to end. It saves where its cell is, and the same command goes on there: that is why it is queued
# again. When all have ended:  ./zo merge results/all.db results/part.*.db && ./zo report --db results/all.db
set -u
config=${1:?a config}
seed=${SLURM_ARRAY_TASK_ID:?a task of an array}
mkdir -p results
./zo run "$config" --only "{\"seed\": $seed}" --db "results/part.$seed.db" &
run=$!
asked=
trap 'asked=yes; kill -TERM $run' TERM
status=0
wait $run || status=$?
if [ -n "$asked" ]; then
    wait $run # the first one ended by the signal
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$seed" # this task alone
fi
exit $status
