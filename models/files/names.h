/* names.h: from canonical parameter names to the names that files have, by the family's table (models/family.h). Private to models/files/. */
#ifndef ZO_MODELS_FILES_NAMES_H
#define ZO_MODELS_FILES_NAMES_H

#include "models/family.h"
#include "models/files/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_NAME_BYTES = 256 };
typedef char zo_tensor_name[ZO_NAME_BYTES];

/* The row of a canonical name, its block and the ending (".weight", ".bias") that the row leaves open. Dies where there is none: a layout never
 * lists what its family has no name for, but for adapters, whose weight has one. */
const zo_name_row *zo_name_row_of(const zo_family *family, const char *name, int *block, const char **ending);

/* The `choice`-th spelling of a row with prefix, block and ending put in; false where there are not so many. */
bool zo_name_spell(zo_tensor_name out, const char *prefix, const char *theirs, int choice, int block, const char *ending);

/* How many spellings of a row are written: the first ones. */
int zo_names_written(const char *theirs);

/* The tensor of parameter `name` under any of its spellings, or NULL. Names begin with `before`, and end as the parameter's own does, or with
 * `ending` where that is not NULL. *stored says how it lies there; `tried` gets the first name looked for. */
const zo_tensor *zo_name_find(const zo_tensors *tensors, const zo_family *family, const char *before, const char *name, const char *ending,
                              zo_stored *stored, zo_tensor_name tried);

/* Is the row's tensor that of other rows too? */
bool zo_name_is_shared(const zo_family *family, const zo_name_row *row);

/* The rows of a matrix, the numbers of a vector. */
int64_t zo_outputs_of(const zo_param *param);

/* The parameters that are one tensor with parameter `at` of the layout, itself among them: rows of the table with one name. */
enum { ZO_MOST_JOINED = 3 };
typedef struct zo_joined {
    int n, part;               /* how many; which of them `at` is */
    int param[ZO_MOST_JOINED]; /* of the layout, in the order of the file */
    int64_t before, all;       /* outputs of those before it, and of all */
} zo_joined;
zo_joined zo_name_joined(const zo_family *family, const zo_layout *layout, int at);

/* May a tensor of this name be passed over without a word (zo_silent_row)? class, lm: whether an objective has that head. */
bool zo_name_silent(const zo_family *family, const char *name, bool class_head, bool lm_head);

#ifdef __cplusplus
}
#endif
#endif
