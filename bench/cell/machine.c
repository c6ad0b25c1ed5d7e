/* machine.c: see machine.h. Linux: /proc/stat, getrusage, control groups of version 2. */
#include "bench/cell/machine.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"

#define GRAIN_SECONDS 0.03 /* /proc/stat counts hundredths of a second on each processor */

/* ---- load --------------------------------------------------------------------------------------------------------------- */

/* Adds up the processors of `may_use` in the text of /proc/stat; false when it has none of them. */
static bool sum_processors(const char *text, const cpu_set_t *may_use, zo_load *load)
{
    bool any = false;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    load->busy_seconds = load->steal_seconds = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        int cpu;
        unsigned long long user, nice, system, idle, wait, irq, softirq, steal;
        if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal) == 9 &&
            cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET(cpu, may_use)) {
            any = true;
            load->busy_seconds += tick * (double)(user + nice + system + irq + softirq);
            load->steal_seconds += tick * (double)steal;
        }
    }
    return any;
}

zo_load zo_load_read(void)
{
    zo_load load = {.wall_seconds = zo_now(), .cores = 1};
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    load.cpu_seconds = (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_sec +
                       1e-6 * (double)usage.ru_stime.tv_usec;
    load.switches = usage.ru_nivcsw;
    cpu_set_t may_use;
    char *text;
    size_t n;
    bool known = sched_getaffinity(0, sizeof may_use, &may_use) == 0;
    load.cores = known ? CPU_COUNT(&may_use) : 1;
    known = known && zo_read_file("/proc/stat", 16 << 20, &text, &n, NULL) == ZO_OK;
    if (known) {
        known = sum_processors(text, &may_use, &load);
        zo_free(text);
    }
    if (!known) {
        load.busy_seconds = load.steal_seconds = NAN;
    }
    return load;
}

double zo_load_average(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : NAN;
}

zo_disturbance zo_load_between(const zo_load *from, const zo_load *to, int threads)
{
    zo_disturbance d = {.cpu_seconds = to->cpu_seconds - from->cpu_seconds,
                        .steal_seconds = to->steal_seconds - from->steal_seconds,
                        .switches = to->switches - from->switches};
    double wall = to->wall_seconds - from->wall_seconds, work = threads < to->cores ? threads : to->cores;
    d.foreign_seconds = to->busy_seconds - from->busy_seconds - d.cpu_seconds;
    d.foreign_seconds = d.foreign_seconds < 0 ? 0 : d.foreign_seconds; /* the two clocks differ by a grain */
    d.disturbed = d.foreign_seconds > ((double)to->cores - work + 0.1 * work) * wall + GRAIN_SECONDS ||
                  d.steal_seconds > 0.02 * work * wall + GRAIN_SECONDS;
    return d;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

/* The number behind `key` in a file, or at its beginning; 0 where there is none ("max"). */
static uint64_t read_bytes(const char *path, const char *key)
{
    char *text;
    size_t n;
    uint64_t bytes = 0;
    if (zo_read_file(path, 1 << 20, &text, &n, NULL) != ZO_OK) {
        return 0;
    }
    const char *at = key != NULL ? strstr(text, key) : text;
    if (at != NULL) {
        bytes = strtoull(at + (key != NULL ? strlen(key) : 0), NULL, 10);
    }
    zo_free(text);
    return bytes;
}

static zo_status parse_size(const char *text, uint64_t *bytes, zo_err *err)
{
    static const struct { const char *name; double factor; } unit[] = {
        {"", 1},          {"B", 1},           {"K", 1024.0},       {"M", 1048576.0},       {"G", 1073741824.0},  {"T", 1099511627776.0},
        {"KiB", 1024.0},  {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}, {"KB", 1e3}, {"MB", 1e6},
        {"GB", 1e9},      {"TB", 1e12}};
    char *end;
    double number = strtod(text, &end);
    if (end != text && number > 0 && number < 1e18) {
        while (*end == ' ') {
            end++;
        }
        for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
            if (strcasecmp(end, unit[i].name) == 0 && number * unit[i].factor >= 1 && number * unit[i].factor < 1e18) {
                *bytes = (uint64_t)(number * unit[i].factor);
                return ZO_OK;
            }
        }
    }
    return zo_fail(err, ZO_EINPUT, "ZO_MEMORY_LIMIT is \"%.40s\"; expected a number of bytes above 0, or one with a unit such as 512M or 4G", text);
}

zo_status zo_memory_limit(uint64_t *bytes, zo_err *err)
{
    const char *wish = getenv("ZO_MEMORY_LIMIT");
    if (wish != NULL && wish[0] != '\0') {
        return parse_size(wish, bytes, err);
    }
    uint64_t limit = 1024 * read_bytes("/proc/meminfo", "MemAvailable:");
    uint64_t group = read_bytes("/sys/fs/cgroup/memory.max", NULL), used = read_bytes("/sys/fs/cgroup/memory.current", NULL);
    if (group > used && (limit == 0 || group - used < limit)) {
        limit = group - used;
    }
    *bytes = limit > 200u << 20 ? limit - (128u << 20) : limit;
    return ZO_OK;
}
