/* cmd.h: the commands of `zo`. Each takes its own argc and argv (argv[0] = the command's name) and returns the exit code:
 * 0 done, 1 some cell failed, 2 the input was wrong. One line here, one in main.c's table. */
#ifndef ZO_BENCH_CMD_H
#define ZO_BENCH_CMD_H

#ifdef __cplusplus
extern "C" {
#endif

int zo_cmd_run(int argc, char **argv);
int zo_cmd_report(int argc, char **argv);
int zo_cmd_plot(int argc, char **argv);
int zo_cmd_sql(int argc, char **argv);
int zo_cmd_list(int argc, char **argv);
int zo_cmd_tokenize(int argc, char **argv);
int zo_cmd_score(int argc, char **argv);
int zo_cmd_inspect(int argc, char **argv);
int zo_cmd_bench(int argc, char **argv);      /* rng, gemm, step */
int zo_cmd_bench_step(int argc, char **argv); /* the one of them that runs a model */
int zo_cmd_demo(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
