/* unknown.c: see unknown.h. */
#include "optimizers/unknown.h"

#include <string.h>

static const zo_unknown unknown[] = {
    {"curvzo", "CurvZO", "arXiv 2603.21725", "its algorithm: tables of results alone could be read"},
    {"aim-zo", "AIM-ZO", NULL, "its algorithm: what was noted of its paper is tables of results (code: EkkoXy/AIM-ZO)"},
    {"agzo", "AGZO", "arXiv 2601.17261", "which matrices it treats, how often their bases are made anew, and lr; no code is public, and it reads activations, which the verbs do not give"},
    {"grzo", "GRZO", "arXiv 2606.02857", "whether the mean of a group is taken off, what vectors and embeddings get, and how groups of 10 go with one direction an example"},
    {"loren", "LOREN", "arXiv 2511.07971", "the gradient in its vector a, where a begins, the scale of a step, and what vectors get; its direction u - alpha (a'u) a is known"},
};

int zo_unknown_list(const zo_unknown **list)
{
    *list = unknown;
    return (int)(sizeof unknown / sizeof *unknown);
}

const zo_unknown *zo_unknown_find(const char *name)
{
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        if (strcmp(unknown[i].name, name) == 0) {
            return &unknown[i];
        }
    }
    return NULL;
}
