/* paths.c: see paths.h. */
#include "bench/cli/paths.h"

#include <unistd.h>

#include "core/err.h"

void zo_program_path(char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 4095);
    ZO_CHECK(n > 0, "/proc/self/exe cannot be read; is /proc mounted?");
    path[n] = '\0';
}
