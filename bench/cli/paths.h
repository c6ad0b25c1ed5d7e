/* paths.h: where this program is (the files that come with it: zo_share_find in core/io.h). */
#ifndef ZO_BENCH_CLI_PATHS_H
#define ZO_BENCH_CLI_PATHS_H

#ifdef __cplusplus
extern "C" {
#endif

/* /proc/self/exe; dies when that cannot be read. */
void zo_program_path(char path[4096]);

#ifdef __cplusplus
}
#endif
#endif
