/* names.c: see names.h. */
#include "models/files/names.h"

#include <stdio.h>
#include <string.h>

#include "core/err.h"

/* "layer.12.attn.q" against "layer.#.attn.q": the block's number, or -1 when it does not fit; *rest gets what
 * follows. */
static int pattern_fits(const char *name, const char *pattern, const char **rest)
{
    int block = 0;
    while (*pattern != '\0') {
        if (*pattern == '#') {
            if (*name < '0' || *name > '9') {
                return -1;
            }
            for (block = 0; *name >= '0' && *name <= '9'; name++) {
                block = block * 10 + (*name - '0');
            }
            pattern++;
        } else if (*name++ != *pattern++) {
            return -1;
        }
    }
    *rest = name;
    return block;
}

const zo_name_row *zo_name_row_of(const zo_family *family, const char *name, int *block, const char **ending)
{
    for (const zo_name_row *row = family->names; row->ours != NULL; row++) {
        const char *rest;
        *block = pattern_fits(name, row->ours, &rest);
        if (*block < 0) {
            continue;
        }
        if (*rest == '\0') {
            /* Tables have no ending here and .weight there; a row that spells the ending has it on both sides. */
            *ending = strstr(row->ours, ".weight") != NULL || strstr(row->ours, ".bias") != NULL ? "" : ".weight";
            return row;
        }
        if (strcmp(rest, ".weight") == 0 || strcmp(rest, ".bias") == 0) {
            *ending = rest;
            return row;
        }
    }
    zo_die(__FILE__, __LINE__, "parameter %s has no name in the table of family %s", name, family->name);
}

bool zo_name_spell(char out[ZO_NAME_BYTES], const char *prefix, const char *theirs, int choice, int block,
                  const char *ending)
{
    for (; choice > 0; choice--) {
        theirs = strpbrk(theirs, "|&");
        if (theirs == NULL) {
            return false;
        }
        theirs++;
    }
    int used = snprintf(out, ZO_NAME_BYTES, "%s", prefix);
    for (; strchr("|&", *theirs) == NULL; theirs++) {
        used += *theirs == '#' ? snprintf(out + used, (size_t)(ZO_NAME_BYTES - used), "%d", block)
                               : snprintf(out + used, (size_t)(ZO_NAME_BYTES - used), "%c", *theirs);
    }
    used += snprintf(out + used, (size_t)(ZO_NAME_BYTES - used), "%s", ending);
    ZO_CHECK(used < ZO_NAME_BYTES, "a tensor's name is longer than %d bytes", ZO_NAME_BYTES);
    return true;
}

int zo_names_written(const char *theirs)
{
    int n = 1;
    while ((theirs = strpbrk(theirs, "|&")) != NULL && *theirs++ == '&') {
        n++;
    }
    return n;
}

bool zo_name_is_shared(const zo_family *family, const zo_name_row *row)
{
    int rows = 0;
    for (const zo_name_row *other = family->names; other->ours != NULL; other++) {
        rows += strcmp(other->theirs, row->theirs) == 0;
    }
    return rows > 1;
}

int64_t zo_outputs_of(const zo_param *p)
{
    return p->kind == ZO_PARAM_VECTOR ? p->cols : p->rows;
}

zo_joined zo_name_joined(const zo_family *family, const zo_layout *layout, int at)
{
    int block;
    const char *ending;
    const zo_name_row *own = zo_name_row_of(family, layout->param[at].name, &block, &ending);
    zo_joined j = {0};
    for (const zo_name_row *row = family->names; row->ours != NULL; row++) {
        zo_tensor_name name;
        if (strcmp(row->theirs, own->theirs) != 0) {
            continue;
        }
        zo_name_spell(name, "", row->ours, 0, block, ending);
        int param = row == own ? at : zo_layout_find(layout, name);
        ZO_CHECK(param >= 0 && j.n < ZO_MOST_JOINED, "%s, one tensor with %s, is not in the layout, or one too many", name, layout->param[at].name);
        int64_t outputs = zo_outputs_of(&layout->param[param]);
        j.part = param == at ? j.n : j.part;
        j.before += row < own ? outputs : 0;
        j.all += outputs;
        j.param[j.n++] = param;
    }
    return j;
}

const zo_tensor *zo_name_find(const zo_tensors *tensors, const zo_family *family, const char *before, const char *name, const char *ending,
                              zo_stored *stored, char tried[ZO_NAME_BYTES])
{
    int block;
    const char *own;
    const zo_name_row *row = zo_name_row_of(family, name, &block, &own);
    static const char *const none[] = {"", NULL};
    /* TensorFlow's names of a norm's parameters, in old BERT files. */
    const char *old = ending != NULL ? NULL : strcmp(own, ".weight") == 0 ? ".gamma" : strcmp(own, ".bias") == 0 ? ".beta" : NULL;
    ending = ending != NULL ? ending : own;
    char spelt[ZO_NAME_BYTES], start[ZO_NAME_BYTES];
    *stored = row->stored;
    tried[0] = '\0';
    for (const char *const *prefix = row->base ? family->prefixes : none; *prefix != NULL; prefix++) {
        snprintf(start, sizeof start, "%s%s", before, *prefix);
        for (int choice = 0; zo_name_spell(spelt, start, row->theirs, choice, block, ending); choice++) {
            if (tried[0] == '\0') {
                memcpy(tried, spelt, sizeof spelt);
            }
            const zo_tensor *t = zo_tensors_find(tensors, spelt);
            if (t == NULL && old != NULL) {
                zo_name_spell(spelt, start, row->theirs, choice, block, old);
                t = zo_tensors_find(tensors, spelt);
            }
            if (t != NULL) {
                return t;
            }
        }
    }
    return NULL;
}

/* Does a pattern of zo_silent_row fit? */
static bool silent_fits(const char *name, const char *pattern)
{
    bool anywhere = pattern[0] == '*';
    for (const char *at = name; at != NULL; at = strchr(at, '.') != NULL ? strchr(at, '.') + 1 : NULL) {
        const char *rest;
        if (pattern_fits(at, pattern + anywhere, &rest) >= 0 && (*rest == '.' || *rest == '\0')) {
            return true;
        }
        if (!anywhere) {
            break;
        }
    }
    return false;
}

bool zo_name_silent(const zo_family *family, const char *name, bool class_head, bool lm_head)
{
    for (const zo_silent_row *row = family->silent; row->pattern != NULL; row++) {
        bool here = row->when == ZO_SILENT_ALWAYS || (row->when == ZO_SILENT_CLASS && !class_head) || (row->when == ZO_SILENT_LM && !lm_head);
        if (here && silent_fits(name, row->pattern)) {
            return true;
        }
    }
    return false;
}
