/* grid.h: a config file expanded into cells. Any key may hold a value or a list; the cells are the product of all lists, in the
 * order model, task, form, then the other keys of the table in bench/cell/keys.c, then the optimizer with the lists inside its object, then
 * the seed. `exclude` is a list of partial cells that are left out; each entry of `include` is a config of its own that inherits
 * what it does not say. A cell is normalised (keys that its optimizer cannot read are set to one value), so equal work has one hash. */
#ifndef ZO_BENCH_MATRIX_GRID_H
#define ZO_BENCH_MATRIX_GRID_H

#include "bench/cell/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The key "tuning": see tuning.h. */
typedef struct zo_tuning {
    bool there;
    int64_t seed, rates, most;
    double factor;
} zo_tuning;

typedef struct zo_grid {
    char path[4096];
    char name[ZO_OPT_STRING_BYTES]; /* `name`, or the file's name without .json */
    int64_t n;
    zo_cell *cell; /* (n) */
    int64_t merged, excluded; /* cells that equalled another one; cells that `exclude` took out */
    zo_tuning tuning;
} zo_grid;

/* Reads and expands. Every mistake that can be seen without opening a model or a data file is found here. `with`: an object of keys of a cell that
 * stand in place of what the file says anywhere (--with, --device, --model); NULL = as the file says. They are part of a cell and of its hash as if the
 * file had said them. */
zo_status zo_grid_read(zo_grid *grid, const char *path, const struct cJSON *with, zo_err *err);
/* Such an object from the texts of --with, --model and --device, each of which may be NULL; NULL where all are. The caller deletes it. */
zo_status zo_with_of(const char *keys, const char *model, const char *device, struct cJSON **with, zo_err *err);
/* Where `with` puts another model into the table at `path`: a precision of its cells that their device does not have (f16 of a table for a GPU, on "auto" of a
 * machine without one) becomes f32, as if `with` had said so of every cell; `with` says it then, and `said` (size) has it in a sentence, else "". A table as
 * its file has it, or whose precision `with` names, is left as it is. */
zo_status zo_with_fit(struct cJSON *with, const char *path, char *said, size_t size, zo_err *err);
/* zo_grid_read of a text (`path` stands for it in messages). */
zo_status zo_grid_parse(zo_grid *grid, const char *text, const char *path, zo_err *err);
void zo_grid_free(zo_grid *grid);
/* Keeps the cells that `partial` matches: a JSON object as an entry of "exclude". ZO_EINPUT where that is no such object, or none is left. */
zo_status zo_grid_keep(zo_grid *grid, const char *partial, zo_err *err);
/* Gives each cell the text of what tells it from the others of its optimizer (zo_cell.varied); those read have it. */
void zo_grid_label(zo_grid *grid);

/* A partial cell is an object of keys of a cell and `optimizer`, as the entries of "exclude" are. Checked, with views as the texts that cells have them
 * in; then, of a whole config (zo_cell_whole_config): does it have all these values, or one of each list? */
zo_status zo_partial_read(struct cJSON *partial, const char *where, zo_err *err);
bool zo_partial_matches(const struct cJSON *config, const struct cJSON *partial);

#ifdef __cplusplus
}
#endif
#endif
