/* device_peaks.c: the device peaks of a backend, and what is measured on all of them alike. */
#include "backends/device_peaks.h"

#include <string.h>

#include "backends/list.h"
#include "core/clock.h"

#define X(name) extern const zo_device_peaks zo_##name##_device_peaks;
ZO_BACKEND_LIST(X)
#undef X

const zo_device_peaks *zo_device_peaks_of(const zo_backend *be)
{
    static const zo_device_peaks *const all[] = {
#define X(name) &zo_##name##_device_peaks,
        ZO_BACKEND_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i]->backend, be->name) == 0) {
            return all[i];
        }
    }
    zo_die(__FILE__, __LINE__, "backend %s has no device peaks; backends/list.h and device_peaks.h disagree", be->name);
}

double zo_work_seconds(zo_backend *be, void (*work)(zo_backend *be, void *context), void *context)
{
    enum { CALLS = 4, BURSTS = 25 };
    const double most_seconds = 0.3;
    work(be, context);
    be->wait(be);
    double least = 0, began = zo_now();
    for (int burst = 0; burst < BURSTS && (burst == 0 || zo_now() - began < most_seconds); burst++) {
        double start = zo_now();
        for (int i = 0; i < CALLS; i++) {
            work(be, context);
        }
        be->wait(be);
        double seconds = (zo_now() - start) / CALLS;
        least = burst == 0 || seconds < least ? seconds : least;
    }
    return least;
}

typedef struct copying { void *from, *to; size_t bytes; } copying;

static void copy_once(zo_backend *be, void *context)
{
    const copying *c = context;
    be->copy(be, c->to, c->from, c->bytes);
}

double zo_copy_rate(zo_backend *be, size_t bytes)
{
    copying c = {be->alloc(be, ZO_TAG_WORKSPACE, bytes), be->alloc(be, ZO_TAG_WORKSPACE, bytes), bytes};
    double seconds = zo_work_seconds(be, copy_once, &c);
    be->release(be, c.from);
    be->release(be, c.to);
    return 2.0 * (double)bytes / seconds;
}
