/* tune_pattern.c: the view of parameters whose names fit a pattern. MeZO-SVRG (Gautam et al., arXiv 2404.08080) trains part of a model so: its
 * released code (amazon-science/mezo_svrg, commit 002e156) has, in our names, "layer.5.*,class.*" for DistilBERT,
 * "layer.2[0-3].*,class.*" for RoBERTa-large, and for GPT-2 XL "layer.4[5-7].*", without the fresh head. */
#include <fnmatch.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "models/tune.h"

typedef struct options { char on[ZO_OPT_STRING_BYTES]; } options;

static const zo_opt keys[] = {
    {.key = "on", .type = ZO_OPT_STRING, .offset = offsetof(options, on), .text = "",
     .help = "patterns over parameter names (docs/tune.md), separated by commas, as a shell's: * any text, ? a letter, [0-3] one of these"},
    {.key = NULL}};

static zo_status choose(const void *read, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)head;
    const options *o = read;
    char patterns[sizeof o->on], *rest = NULL;
    snprintf(patterns, sizeof patterns, "%s", o->on);
    memset(frozen, true, (size_t)layout->n * sizeof *frozen);
    for (const char *pattern = strtok_r(patterns, ",", &rest); pattern != NULL; pattern = strtok_r(NULL, ",", &rest)) {
        bool fits = false;
        for (int t = 0; t < layout->n; t++) {
            bool here = fnmatch(pattern, layout->param[t].name, 0) == 0;
            frozen[t] = frozen[t] && !here;
            fits = fits || here;
        }
        if (!fits) {
            return zo_fail(err, ZO_EINPUT, "\"tune\" \"pattern\": \"%.100s\" fits no parameter of this model (%s) and task, whose names go from %s to %s; docs/tune.md "
                           "has all", pattern, arch->family, layout->param[0].name, layout->param[layout->n - 1].name);
        }
    }
    return ZO_OK;
}

const zo_tune_kind zo_tune_pattern = {.name = "pattern", .help = "parameters whose names fit one of some patterns", .options = keys, .choose = choose,
                                      .scales = true};
