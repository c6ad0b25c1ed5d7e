/* cmd.h: the commands of `zo`. Each takes its own argc and argv (argv[0] = the command's name) and returns the exit code:
 * 0 done, 1 some cell failed, 2 the input was wrong. One line here, one in main.c's table, with an example or two that tests/bench/test_help.c types. */
#ifndef ZO_BENCH_CLI_CMD_H
#define ZO_BENCH_CLI_CMD_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What `zo help bench` says, and `zo bench` without a word. */
#define ZO_BENCH_HELP                                                                                                                 \
    "usage: zo bench rng  [--threads N] [--device NAME | --ms N] [--json]\n"                                                          \
    "       zo bench peaks [--threads N] [--device NAME] [--json]\n"                                                                  \
    "       zo bench device [--threads N] [--device NAME] [--json]\n"                                                                 \
    "       zo bench gemm [--threads N] [--ms N] [--json]\n"                                                                          \
    "       zo bench step MODEL [OPTIONS] [--json]\n"                                                                                 \
    "\n"                                                                                                                              \
    "rng: normals a second; with --device those of its kernels, and of its vendor's generator. peaks: a large product in each precision,\n"\
    "and a large copy. device: whether it is there and opens, what it is; exit status 3 where there is none. gemm: linear layers at the\n"\
    "shapes of small models, weights stored or drawn on the way. step: the time of a\n"                                               \
    "training step on a model and a task, and where it goes; it runs what a cell of `zo run` runs.\n"                                 \
    "  --threads N         0 = all cores that the process may use (0)\n"                                                              \
    "  --ms N              milliseconds of repetitions behind each figure; the least time counts (400)\n"                             \
    "  --json              one JSON object or list on standard output\n"                                                              \
    "Options of step, as the keys of a config (`zo help run`):\n"                                                                     \
    "  --task NAME         (sst2)            --form head|prompt    (head)\n"                                                          \
    "  --optimizer NAME    (what `zo list optimizers` calls usual), or an object such as '{\"name\": \"NAME\", \"lr\": 1e-4}'\n"      \
    "  --batch N           (16)              --context N           (128)\n"                                                           \
    "  --precision f32|bf16|tf32|f16 (f32)   --realisation inplace|streamed|sidepath (streamed)\n"                                    \
    "  --storage f32|bf16|f16 (f32)          --accumulate weights|log (weights)\n"                                                    \
    "  --steps N           steps that count, after two that warm up (20)\n"                                                           \
    "  --train N           examples (1000)   --init pretrained|random (pretrained)\n"                                                 \
    "  --fill              every text is brought to --context tokens\n"                                                               \
    "  --roofline          measure the device's peaks too, and say what share of them the step has\n"                                 \
    "  --peaks FILE        the same with peaks that `zo bench peaks --json` has written\n"                                            \
    "  --device NAME       cpu, cuda, cuda:N or auto (cpu)\n"                                                                         \
    "  --data DIR          task files ($ZO_DATA)\n"                                                                                   \
    "  --models DIR        where model names are looked up first ($ZO_MODELS)\n"

int zo_cmd_run(int argc, char **argv);
int zo_cmd_plan(int argc, char **argv);
int zo_cmd_tail(int argc, char **argv);
int zo_cmd_samples(int argc, char **argv);
int zo_cmd_replay(int argc, char **argv);
int zo_cmd_profile(int argc, char **argv);
int zo_cmd_export(int argc, char **argv);
int zo_cmd_report(int argc, char **argv);
int zo_cmd_compare(int argc, char **argv);
int zo_cmd_diff(int argc, char **argv);
int zo_cmd_regress(int argc, char **argv);
int zo_cmd_history(int argc, char **argv);
int zo_cmd_best(int argc, char **argv);
int zo_cmd_merge(int argc, char **argv);
int zo_cmd_prune(int argc, char **argv);
int zo_cmd_plot(int argc, char **argv);
int zo_cmd_sql(int argc, char **argv);
int zo_cmd_get(int argc, char **argv);
int zo_cmd_list(int argc, char **argv);
int zo_cmd_show(int argc, char **argv);
int zo_cmd_tokenize(int argc, char **argv);
int zo_cmd_score(int argc, char **argv);
int zo_cmd_inspect(int argc, char **argv);
int zo_cmd_bench(int argc, char **argv);      /* rng, gemm, step */
int zo_cmd_bench_step(int argc, char **argv); /* the one of them that runs a model */
int zo_cmd_demo(int argc, char **argv);
int zo_cmd_version(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
