/* cmd_get.c: `zo get`: a model or data set from the hub into the cache (models/files/fetch.h). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "models/files/fetch.h"
#include "tasks/task.h"

typedef struct progress { char file[256]; int percent; bool terminal; } progress;

/* A line a file on standard error; on a terminal it counts. */
static void say(void *context, const char *file, uint64_t had, uint64_t bytes)
{
    progress *p = context;
    int percent = bytes > 0 ? (int)(had * 100.0 / bytes) : 100;
    bool whole = had == bytes;
    if (strcmp(p->file, file) != 0) {
        snprintf(p->file, sizeof p->file, "%s", file);
        p->percent = -1;
    }
    if (percent == p->percent || (!p->terminal && !whole)) {
        return;
    }
    p->percent = percent;
    fprintf(stderr, "%s%-50s %10.1f MB%s", p->terminal ? "\r" : "", file, (double)bytes / 1e6, whole ? "\n" : "");
    if (!whole) {
        fprintf(stderr, " %3d %%", percent);
    }
    fflush(stderr);
}

int zo_cmd_get(int argc, char **argv)
{
    static const char start[] = "datasets/";
    const char *name[1];
    int names;
    zo_err err = {0};
    char folder[4096];
    const zo_arg table[] = {{NULL, ZO_ARG_FLAG, NULL}};
    zo_status status = zo_args_read(argc, argv, table, name, 1, 1, &names, "zo get MODEL | datasets/NAME", &err);
    if (status == ZO_OK) {
        progress p = {.percent = -1, .terminal = isatty(STDERR_FILENO) == 1};
        bool data = strncmp(name[0], start, sizeof start - 1) == 0;
        zo_fetch fetch = {.name = name[0] + (data ? sizeof start - 1 : 0), .reads = data ? zo_task_reads : NULL, .say = say, .context = &p};
        status = zo_fetch_files(&fetch, folder, &err);
        if (p.terminal && p.percent >= 0 && p.percent < 100) {
            fputc('\n', stderr);
        }
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo get: %s\n", err.text);
        return 2;
    }
    puts(folder);
    return 0;
}
