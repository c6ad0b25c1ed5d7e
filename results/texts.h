/* texts.h: a list of distinct texts in the order of their coming. */
#ifndef ZO_RESULTS_TEXTS_H
#define ZO_RESULTS_TEXTS_H

#include "core/hashmap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* {0} is an empty list; zo_texts_free. */
typedef struct zo_texts { char **text; int n; zo_hashmap index; } zo_texts;

/* The index of a text, which is added (as a copy) where it is new: then it is the former n. */
int zo_texts_index(zo_texts *texts, const char *text);
void zo_texts_free(zo_texts *texts);

#ifdef __cplusplus
}
#endif
#endif
