/* paths.c: see paths.h. */
#include "bench/paths.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/io.h"

void zo_program_path(char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 4095);
    ZO_CHECK(n > 0, "/proc/self/exe cannot be read; is /proc mounted?");
    path[n] = '\0';
}

zo_status zo_find_shared(const char *name, char path[4096], zo_err *err)
{
    snprintf(path, 4096, "%s", name);
    if (zo_path_exists(path)) {
        return ZO_OK;
    }
    char program[4096];
    zo_program_path(program);
    *strrchr(program, '/') = '\0';
    static const char *const from[] = {"", "/../..", "/../share/zo"};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        int n = snprintf(path, 4096, "%s%s/%s", program, from[i], name);
        if (n < 4096 && zo_path_exists(path)) {
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EINPUT, "%s: is neither here nor beside the program %s; start zo in its source tree, or install it", name, program);
}
