/* rows.c: which rows of a task's files the three splits hold, before any of them is encoded. Splits: task.h. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tasks/numpy_draw.h"
#include "tasks/task_impl.h"

#define NAME_BYTES 256

enum { STREAM_SPLIT_TRAIN = 0x7a01, STREAM_SPLIT_TEST = 0x7a02 };
enum { TABLE_TRAIN, TABLE_VALIDATION, TABLE_SHOWN = ZO_SPLITS }; /* of the official files; a k-shot folder has a table a split */

static const char *const part_name[ZO_FILE_PARTS] = {"training", "validation", "k-shot train", "k-shot dev", "k-shot test"};
static const char *const split_name[ZO_SPLITS] = {"train", "dev", "test"};

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static void add_note(zo_task_rows *rows, const char *text)
{
    size_t used = strlen(rows->note);
    if (!strstr(rows->note, text)) {
        snprintf(rows->note + used, sizeof rows->note - used, "%s%s", used ? "; " : "", text);
    }
}

/* Name of a source below the data folder: a k-shot part stands below spec->kshot_folder, its `@` is "<k>-<seed>". */
static void name_of(const zo_source *source, const zo_dataset_spec *spec, char name[NAME_BYTES])
{
    const char *at = strchr(source->path, '@');
    if (source->part < ZO_FILE_KSHOT_TRAIN) {
        snprintf(name, NAME_BYTES, "%s", source->path);
    } else if (!at) {
        snprintf(name, NAME_BYTES, "%s/%s", spec->kshot_folder, source->path);
    } else {
        snprintf(name, NAME_BYTES, "%s/%.*s%lld-%llu%s", spec->kshot_folder, (int)(at - source->path), source->path, (long long)spec->k,
                 (unsigned long long)spec->train_split_seed, at + 1);
    }
}

static void path_of(const zo_source *source, const zo_dataset_spec *spec, char path[4096])
{
    char name[NAME_BYTES];
    name_of(source, spec, name);
    zo_path_join(path, 4096, spec->data_dir, name);
}

static bool is_there(const char *path)
{
    char packed[4200];
    snprintf(packed, sizeof packed, "%s.gz", path);
    return zo_path_exists(path) || zo_path_exists(packed);
}

/* JSON lines are often named .json: that name counts where the other is not there. */
static void found_path(const zo_source *source, const zo_dataset_spec *spec, char path[4096])
{
    path_of(source, spec, path);
    size_t n = strlen(path);
    if (source->format == ZO_FORMAT_JSONL && n > 6 && strcmp(path + n - 6, ".jsonl") == 0 && !is_there(path)) {
        path[n - 1] = '\0';
        if (!is_there(path)) {
            path[n - 1] = 'l';
        }
    }
}

static bool file_there(const zo_source *source, const zo_dataset_spec *spec)
{
    char path[4096];
    found_path(source, spec, path);
    return is_there(path);
}

/* The lowest choice of a part whose files are all there; -1 when none is. */
static int choose_files(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part)
{
    bool known[ZO_TASK_CHOICES] = {false}, complete[ZO_TASK_CHOICES];
    for (int c = 0; c < ZO_TASK_CHOICES; c++) {
        complete[c] = true;
    }
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part) {
            known[s->choice] = true;
            complete[s->choice] = complete[s->choice] && file_there(s, spec);
        }
    }
    for (int c = 0; c < ZO_TASK_CHOICES; c++) {
        if (known[c] && complete[c]) {
            return c;
        }
    }
    return -1;
}

/* A parquet file of this part in the folders where its files are looked for, or in "data" there. */
static bool find_parquet(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part, char found[4096], char target[4096])
{
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        for (int below = 0; s->part == part && below < 2; below++) {
            char folder[4096], stem[64], path[4096];
            path_of(s, spec, path);
            char *name = strrchr(path, '/') + 1; /* a path below the data folder has one */
            snprintf(stem, sizeof stem, "%.*s", (int)strcspn(name, "."), name);
            snprintf(target, 4096, "%.*s%s", (int)(name - path), path, stem);
            name[-1] = '\0';
            if (below) {
                zo_path_join(folder, sizeof folder, path, "data");
            } else {
                snprintf(folder, sizeof folder, "%s", path);
            }
            DIR *entries = opendir(folder);
            for (struct dirent *e; entries && (e = readdir(entries));) {
                size_t n = strlen(e->d_name);
                if (n > 8 && strcmp(e->d_name + n - 8, ".parquet") == 0 && strncmp(e->d_name, stem, strlen(stem)) == 0) {
                    zo_path_join(found, 4096, folder, e->d_name);
                    closedir(entries);
                    return true;
                }
            }
            if (entries) {
                closedir(entries);
            }
        }
    }
    return false;
}

static zo_status files_missing(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part, zo_err *err)
{
    char looked[1000] = "";
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part) {
            char name[NAME_BYTES];
            name_of(s, spec, name);
            size_t used = strlen(looked);
            snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : "", name);
        }
    }
    char parquet[4096], target[4096];
    if (find_parquet(task, spec, part, parquet, target)) {
        return zo_fail(err, ZO_EIO, "task %s: %s is a parquet file, which is not read here; convert it: " ZO_FROM_PARQUET, task->info.name, parquet, parquet, target);
    }
    if (!looked[0]) {
        return zo_fail(err, ZO_EINPUT, "task %s has no %s file; use another split scheme or 0 examples of that split", task->info.name, part_name[part]);
    }
    return zo_fail(err, ZO_EIO, "task %s: no %s file; looked in %s for %s (or with .gz); point --data at the folder that has it", task->info.name, part_name[part],
                   spec->data_dir, looked);
}

/* Are the files of a part there? */
static bool part_there(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part)
{
    return !task->source || choose_files(task, spec, part) >= 0;
}

/* All rows of a part into table `at` of the rows. */
static zo_status read_part(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_file_part part, int at, zo_err *err)
{
    zo_table *table = &rows->table[at];
    if (!task->source) {
        task->generate(table, part);
        return ZO_OK;
    }
    int choice = choose_files(task, spec, part);
    if (choice < 0) {
        return files_missing(task, spec, part, err);
    }
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part && s->choice == choice) {
            char path[4096], name[NAME_BYTES];
            found_path(s, spec, path);
            name_of(s, spec, name);
            table->file = zo_table_text(table, name, strlen(name));
            table->number = 0;
            zo_status status = zo_source_read(task, s, path, table, err);
            if (status) {
                return status;
            }
            if (s->note) {
                add_note(rows, s->note);
            }
            if (table->note) {
                char note[200];
                snprintf(note, sizeof note, "%s: %s", task->info.name, table->note);
                add_note(rows, note);
            }
        }
    }
    if (table->left_out > 0) {
        char note[200];
        snprintf(note, sizeof note, "%s: %lld row%s of the %s file %s left out: no label, no text, or cut short", task->info.name, (long long)table->left_out,
                 table->left_out == 1 ? "" : "s", part_name[part], table->left_out == 1 ? "is" : "are");
        add_note(rows, note);
    }
    if (table->n == 0) {
        return zo_fail(err, ZO_EINPUT, "task %s: its %s file has no rows; fetch it again", task->info.name, part_name[part]);
    }
    if (table->n > INT32_MAX) {
        return zo_fail(err, ZO_EINPUT, "task %s: its %s file has %lld rows, more than 2^31; make it smaller", task->info.name, part_name[part],
                       (long long)table->n);
    }
    return ZO_OK;
}

/* ---- draws ---------------------------------------------------------------------------------------------------------------- */

/* order (n), to be freed: a permutation of 0..n-1 by `seed`, as numpy draws it or from a stream of our own. */
static int32_t *draw(const zo_dataset_spec *spec, uint64_t seed, uint32_t stream, int64_t n)
{
    int32_t *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n + 1) * sizeof *order);
    if (spec->scheme != ZO_SPLIT_DRAWN) {
        zo_numpy_permutation((uint32_t)seed, order, (int32_t)n);
        return order;
    }
    for (int32_t k = 0; k < (int32_t)n; k++) {
        order[k] = k;
    }
    zo_stream s = {.seed = seed, .tensor = stream, .role = ZO_ROLE_DATA};
    zo_shuffle(s, order, (int32_t)n);
    return order;
}

/* A split = n rows of table `at`: order[0 .. n), or first .. first + n - 1 where order is NULL. */
static void take(zo_task_rows *rows, zo_split split, int at, const int32_t *order, int64_t first, int64_t n)
{
    rows->from[split] = at;
    rows->n[split] = (int32_t)n;
    rows->row[split] = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n + 1) * sizeof *rows->row[split]);
    for (int64_t k = 0; k < n; k++) {
        rows->row[split][k] = order ? order[k] : (int32_t)(first + k);
    }
}

static int64_t at_most(int64_t count, int64_t n)
{
    return count < 0 || count > n ? n : count;
}

/* Shares of `size` rows for the splits of split[]: what is asked, -1 = what the others leave. Where there are too few rows, those first
 * in the list are served first, or, `fair`, each gets its proportion, yet one row where that is none, and the first what rounding leaves. */
static void share(const zo_dataset_spec *spec, const zo_split *split, int nsplit, bool fair, int64_t size, int64_t got[ZO_SPLITS])
{
    int64_t asked = 0, left = size;
    for (int k = 0; k < nsplit; k++) {
        int64_t count = spec->count[split[k]];
        asked += count < 0 ? 0 : at_most(count, INT32_MAX);
    }
    fair = fair && asked > size;
    for (int k = 0; k < nsplit; k++) {
        int64_t count = at_most(spec->count[split[k]], INT32_MAX);
        if (spec->count[split[k]] >= 0) {
            int64_t part = fair ? count * size / asked : at_most(count, left);
            got[split[k]] = part == 0 && fair && count > 0 ? 1 : part;
            left -= got[split[k]];
        }
    }
    for (int k = 0; k < nsplit; k++) {
        if (spec->count[split[k]] < 0) {
            got[split[k]] = fair ? 0 : left;
            left = fair ? left : 0;
        }
    }
    for (int largest = 0; fair && left < 0; left++, largest = 0) { /* the ones came out of the largest */
        for (int k = 1; k < nsplit; k++) {
            largest = got[split[k]] >= got[split[largest]] ? k : largest; /* of equals the last */
        }
        got[split[largest]]--;
    }
    got[split[0]] += left * fair;
}

/* ---- splits --------------------------------------------------------------------------------------------------------------- */

/* No two of the splits that share a file may take all of it. */
static zo_status check_counts(const zo_task *task, const zo_dataset_spec *spec, const zo_split *split, int nsplit, const char *what, zo_err *err)
{
    int rest = -1;
    for (int k = 0; k < nsplit; k++) {
        int64_t count = spec->count[split[k]];
        if (count < -1) {
            return zo_fail(err, ZO_EINPUT, "task %s: %lld %s examples cannot be; give a number, 0 for none or \"all\"", task->info.name, (long long)count,
                           split_name[split[k]]);
        }
        if (count == -1 && rest >= 0) {
            return zo_fail(err, ZO_EINPUT, "task %s: %s and %s both take \"all\" of the %s rows; give one of them a number", task->info.name,
                           split_name[split[rest]], split_name[split[k]], what);
        }
        rest = count == -1 ? k : rest;
    }
    return ZO_OK;
}

/* All three splits out of the validation file, without overlap: test by its own seed, train and dev out of the other rows. */
static zo_status split_validation(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    const zo_split all[] = {ZO_TRAIN, ZO_DEV, ZO_TEST};
    int64_t got[ZO_SPLITS], size = rows->table[TABLE_VALIDATION].n;
    bool first = spec->scheme == ZO_SPLIT_FIRST;
    char note[200];
    snprintf(note, sizeof note, "%s: train%s from the validation file, the train file is not there", task->info.name,
             first ? ", dev and test taken in order" : ", dev and test drawn");
    add_note(rows, note);
    zo_status status = check_counts(task, spec, all, 3, "validation", err);
    if (status) {
        return status;
    }
    share(spec, all, 3, !first, size, got);
    if (first) {
        take(rows, ZO_TRAIN, TABLE_VALIDATION, NULL, 0, got[ZO_TRAIN]);
        take(rows, ZO_DEV, TABLE_VALIDATION, NULL, got[ZO_TRAIN], got[ZO_DEV]);
        take(rows, ZO_TEST, TABLE_VALIDATION, NULL, got[ZO_TRAIN] + got[ZO_DEV], got[ZO_TEST]);
        return ZO_OK;
    }
    int32_t *test = draw(spec, spec->test_split_seed, STREAM_SPLIT_TEST, size);
    take(rows, ZO_TEST, TABLE_VALIDATION, test, 0, got[ZO_TEST]);
    int64_t others = size - got[ZO_TEST];
    bool *tested = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(size + 1) * sizeof *tested);
    for (int64_t k = 0; k < got[ZO_TEST]; k++) {
        tested[test[k]] = true;
    }
    for (int64_t k = 0, n = 0; k < size; k++) {
        if (!tested[k]) {
            test[n++] = (int32_t)k; /* the others, in the file's order */
        }
    }
    int32_t *order = draw(spec, spec->train_split_seed, STREAM_SPLIT_TRAIN, others);
    for (int64_t k = 0; k < others; k++) {
        order[k] = test[order[k]];
    }
    take(rows, ZO_TRAIN, TABLE_VALIDATION, order, 0, got[ZO_TRAIN]);
    take(rows, ZO_DEV, TABLE_VALIDATION, order + got[ZO_TRAIN], 0, got[ZO_DEV]);
    zo_free(tested);
    zo_free(test);
    zo_free(order);
    return ZO_OK;
}

/* DRAWN and MEZO: train and dev out of the train file, test out of the validation file. */
static zo_status split_drawn(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, bool wants_train, zo_err *err)
{
    static const zo_split train_first[] = {ZO_TRAIN, ZO_DEV}, dev_first[] = {ZO_DEV, ZO_TRAIN}, test[] = {ZO_TEST};
    bool mezo = spec->scheme == ZO_SPLIT_MEZO;
    zo_status status = ZO_OK;
    if (wants_train) {
        int64_t got[ZO_SPLITS], size = rows->table[TABLE_TRAIN].n;
        status = check_counts(task, spec, train_first, 2, "training", err);
        if (!status) {
            share(spec, mezo ? dev_first : train_first, 2, !mezo, size, got);
            int32_t *order = draw(spec, spec->train_split_seed, STREAM_SPLIT_TRAIN, size);
            take(rows, ZO_TRAIN, TABLE_TRAIN, order, 0, got[ZO_TRAIN]);
            take(rows, ZO_DEV, TABLE_TRAIN, order + got[ZO_TRAIN], 0, got[ZO_DEV]);
            zo_free(order);
        }
    }
    if (!status && spec->count[ZO_TEST] != 0) {
        int64_t size = rows->table[TABLE_VALIDATION].n, n = at_most(spec->count[ZO_TEST], size);
        status = check_counts(task, spec, test, 1, "validation", err);
        if (!status) {
            /* MeZO permutes even where all rows are taken; a sum over them in another order would have other last bits. */
            int32_t *order = n < size || (mezo && spec->count[ZO_TEST] > 0) ? draw(spec, spec->test_split_seed, STREAM_SPLIT_TEST, size) : NULL;
            take(rows, ZO_TEST, TABLE_VALIDATION, order, 0, n);
            zo_free(order);
        }
    }
    return status;
}

/* FIRST: train = the first of the train file, dev and test = the first of the validation file. */
static zo_status split_first(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, bool wants_train, zo_err *err)
{
    static const zo_split train[] = {ZO_TRAIN}, others[] = {ZO_DEV, ZO_TEST};
    int64_t got[ZO_SPLITS];
    zo_status status = check_counts(task, spec, train, 1, "training", err);
    status = status ? status : check_counts(task, spec, others, 2, "validation", err);
    if (status) {
        return status;
    }
    if (wants_train) {
        take(rows, ZO_TRAIN, TABLE_TRAIN, NULL, 0, at_most(spec->count[ZO_TRAIN], rows->table[TABLE_TRAIN].n));
    }
    share(spec, others, 2, false, rows->table[TABLE_VALIDATION].n, got);
    take(rows, ZO_DEV, TABLE_VALIDATION, NULL, 0, got[ZO_DEV]);
    take(rows, ZO_TEST, TABLE_VALIDATION, NULL, got[ZO_DEV], got[ZO_TEST]);
    return ZO_OK;
}

static zo_status open_official(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    bool first = spec->scheme == ZO_SPLIT_FIRST, dev = spec->count[ZO_DEV] != 0;
    bool wants_train = (spec->count[ZO_TRAIN] != 0 && !spec->evaluate_only) || (!first && dev);
    bool wants_validation = spec->count[ZO_TEST] != 0 || (first && dev);
    bool out_of_validation = wants_train && task->train_from_validation && !part_there(task, spec, ZO_FILE_TRAIN);
    zo_status status = ZO_OK;
    if (wants_train && !out_of_validation) {
        status = read_part(rows, task, spec, ZO_FILE_TRAIN, TABLE_TRAIN, err);
    }
    if (!status && (wants_validation || out_of_validation)) {
        status = read_part(rows, task, spec, ZO_FILE_VALIDATION, TABLE_VALIDATION, err);
    }
    if (status) {
        return status;
    }
    return out_of_validation ? split_validation(rows, task, spec, err)
           : first           ? split_first(rows, task, spec, wants_train, err)
                             : split_drawn(rows, task, spec, wants_train, err);
}

/* What LM-BFF's tool writes into a k-shot folder: of a permutation of the train file the first k rows a class are train, the next k dev;
 * classes as they come in the permutation. A class with fewer rows gives fewer. */
static void draw_kshot(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec)
{
    const zo_table *table = &rows->table[TABLE_TRAIN];
    int32_t *order = draw(spec, spec->train_split_seed, 0, table->n), *chosen[2], n[2] = {0};
    int32_t first[ZO_TASK_CLASSES], seen[ZO_TASK_CLASSES] = {0};
    int classes = 0;
    for (int64_t k = 0; k < table->n; k++) { /* classes in order of coming */
        int32_t label = table->record[order[k]].label;
        if (seen[label]++ == 0) {
            first[classes++] = label;
        }
    }
    for (int s = 0; s < 2; s++) {
        chosen[s] = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(table->n + 1) * sizeof **chosen);
    }
    for (int c = 0; c < classes; c++) {
        int64_t of_class = 0;
        for (int64_t k = 0; k < table->n && of_class / 2 < spec->k; k++) {
            if (table->record[order[k]].label == first[c]) {
                int s = of_class++ >= spec->k;
                chosen[s][n[s]++] = order[k];
            }
        }
    }
    char note[300];
    snprintf(note, sizeof note, "%s: there is no folder %lld-%llu below %s; its rows are drawn from the training file as LM-BFF's tool draws them, and are the "
             "authors' where that is the file that they drew from", task->info.name, (long long)spec->k, (unsigned long long)spec->train_split_seed,
             spec->kshot_folder);
    add_note(rows, note);
    for (int s = 0; s < 2; s++) {
        take(rows, s ? ZO_DEV : ZO_TRAIN, TABLE_TRAIN, chosen[s], 0, at_most(spec->count[s ? ZO_DEV : ZO_TRAIN], n[s]));
        zo_free(chosen[s]);
    }
    zo_free(order);
}

static zo_status open_kshot(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    static const zo_file_part part_of[ZO_SPLITS] = {ZO_FILE_KSHOT_TRAIN, ZO_FILE_KSHOT_DEV, ZO_FILE_KSHOT_TEST};
    bool has_folder = false;
    for (const zo_source *s = task->source; s && s->format != ZO_FORMAT_END; s++) {
        has_folder = has_folder || s->part == ZO_FILE_KSHOT_TRAIN;
    }
    if (!has_folder) {
        return zo_fail(err, ZO_EINPUT, "task %s has no k-shot folders; use the split scheme drawn, first or mezo", task->info.name);
    }
    if (spec->k < 1) {
        return zo_fail(err, ZO_EINPUT, "task %s: a k of %lld rows a class cannot be; give a number above 0", task->info.name, (long long)spec->k);
    }
    if (!spec->kshot_folder[0] || strchr(spec->kshot_folder, '/') || spec->kshot_folder[0] == '.' || strlen(spec->kshot_folder) > 64) {
        return zo_fail(err, ZO_EINPUT, "\"%.80s\" is not the name of a folder below the data folder; give one such as \"k-shot\"", spec->kshot_folder);
    }
    bool wants_folder = spec->count[ZO_DEV] != 0 || (spec->count[ZO_TRAIN] != 0 && !spec->evaluate_only);
    bool drawn = wants_folder && !part_there(task, spec, ZO_FILE_KSHOT_TRAIN) && !part_there(task, spec, ZO_FILE_KSHOT_DEV) &&
                 part_there(task, spec, ZO_FILE_TRAIN);
    for (int s = 0; s < ZO_SPLITS; s++) {
        const zo_split one[] = {(zo_split)s};
        zo_status status = check_counts(task, spec, one, 1, split_name[s], err);
        if (status) {
            return status;
        }
        if (drawn && s == ZO_TRAIN) {
            status = read_part(rows, task, spec, ZO_FILE_TRAIN, TABLE_TRAIN, err);
            if (status) {
                return status;
            }
            draw_kshot(rows, task, spec);
        }
        if ((drawn && s != ZO_TEST) || spec->count[s] == 0 || (s == ZO_TRAIN && spec->evaluate_only)) {
            continue;
        }
        zo_file_part part = part_of[s];
        if (s == ZO_TEST && !part_there(task, spec, part) && part_there(task, spec, ZO_FILE_VALIDATION)) {
            char note[200];
            snprintf(note, sizeof note, "%s: test is the validation file, the k-shot folder has none", task->info.name);
            add_note(rows, note);
            part = ZO_FILE_VALIDATION;
        }
        status = read_part(rows, task, spec, part, s, err);
        if (status == ZO_EIO && s != ZO_TEST) {
            char what[160];
            snprintf(what, sizeof what, "train_split_seed %llu (the published k-shot seeds are 13, 21, 42, 87 and 100)",
                     (unsigned long long)spec->train_split_seed);
            zo_fail_in(err, what);
        }
        if (status) {
            return status;
        }
        /* All rows in the file's order; fewer are drawn, because the files are sorted by class. */
        int64_t size = rows->table[s].n, n = at_most(spec->count[s], size);
        uint64_t seed = s == ZO_TEST ? spec->test_split_seed : spec->train_split_seed;
        int32_t *order = n < size ? draw(spec, seed, 0, size) : NULL;
        take(rows, (zo_split)s, s, order, 0, n);
        zo_free(order);
    }
    return ZO_OK;
}

/* ---- demonstrations ------------------------------------------------------------------------------------------------------- */

/* Rows that may be shown: all of the training file or, where there is none, those of the validation file that are in neither dev nor test. The caller zo_frees
 * them. */
static int32_t *showable(const zo_task_rows *rows, bool out_of_validation, int32_t *n)
{
    int64_t size = rows->table[TABLE_SHOWN].n;
    int32_t *list = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(size + 1) * sizeof *list);
    bool *taken = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(size + 1) * sizeof *taken);
    for (int s = ZO_DEV; s < ZO_SPLITS && out_of_validation; s++) {
        for (int32_t k = 0; k < rows->n[s]; k++) {
            taken[rows->row[s][k]] = true;
        }
    }
    *n = 0;
    for (int64_t k = 0; k < size; k++) {
        if (!taken[k]) {
            list[(*n)++] = (int32_t)k;
        }
    }
    zo_free(taken);
    return list;
}

/* As MeZO's code: a seed a row, or the one seed that is given, and by it a permutation of the training rows, of which the first are shown. */
static zo_status draw_demonstrations(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    enum { SEEDS_BELOW = 10000 };
    bool kshot = spec->scheme == ZO_SPLIT_KSHOT, out_of_validation = !kshot && task->train_from_validation && !part_there(task, spec, ZO_FILE_TRAIN);
    zo_status status = read_part(rows, task, spec, kshot ? ZO_FILE_KSHOT_TRAIN : out_of_validation ? ZO_FILE_VALIDATION : ZO_FILE_TRAIN, TABLE_SHOWN, err);
    int32_t size, *from = showable(rows, out_of_validation, &size);
    int64_t each = spec->demonstrations;
    if (!status && each > size) {
        zo_free(from);
        return zo_fail(err, ZO_EINPUT, "task %s: %lld \"demonstrations\" are asked for, and there are %d training rows; give fewer", task->info.name, (long long)each,
                       size);
    }
    int32_t *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)size + 1) * sizeof *order);
    for (int s = ZO_DEV; s < ZO_SPLITS && !status; s++) {
        uint32_t *seed = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)rows->n[s] + 1) * sizeof *seed);
        rows->shown[s] = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)(rows->n[s] * each) + 1) * sizeof *rows->shown[s]);
        zo_numpy_integers(0, SEEDS_BELOW, seed, rows->n[s]);
        for (int32_t k = 0; k < rows->n[s]; k++) {
            if (k == 0 || !spec->demonstrate_once) {
                zo_numpy_permutation(spec->demonstrate_once ? (uint32_t)spec->train_split_seed : seed[k], order, size);
            }
            for (int64_t d = 0; d < each; d++) {
                rows->shown[s][k * each + d] = from[order[d]];
            }
        }
        zo_free(seed);
    }
    if (!status && out_of_validation) {
        char note[200];
        snprintf(note, sizeof note, "%s: demonstrations from the validation file, without the rows of dev and test, the train file is not there", task->info.name);
        add_note(rows, note);
    }
    zo_free(from);
    zo_free(order);
    return status;
}

/* ---- open ----------------------------------------------------------------------------------------------------------------- */

zo_status zo_rows_open(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    memset(rows, 0, sizeof *rows);
    if (task->source && !spec->data_dir) {
        return zo_fail(err, ZO_EINPUT, "task %s reads files and no data folder is given; say --data DIR (it has %s)", task->info.name, task->info.files);
    }
    if (task->source && !zo_path_is_dir(spec->data_dir)) {
        return zo_fail(err, ZO_EIO, "the data folder %s is not there; say --data DIR (task %s reads %s)", spec->data_dir, task->info.name, task->info.files);
    }
    bool numpy = spec->scheme == ZO_SPLIT_MEZO || spec->scheme == ZO_SPLIT_KSHOT || (spec->demonstrations > 0 && spec->demonstrate_once);
    if (numpy && (spec->train_split_seed > UINT32_MAX || spec->test_split_seed > UINT32_MAX)) {
        uint64_t seed = spec->train_split_seed > UINT32_MAX ? spec->train_split_seed : spec->test_split_seed;
        return zo_fail(err, ZO_EINPUT, "a split seed of %llu is above numpy's 4294967295; give a smaller one", (unsigned long long)seed);
    }
    zo_status status = spec->scheme == ZO_SPLIT_KSHOT ? open_kshot(rows, task, spec, err) : open_official(rows, task, spec, err);
    if (!status && spec->evaluate_only) {
        rows->n[ZO_TRAIN] = 0;
    }
    if (!status && spec->demonstrations > 0) {
        status = draw_demonstrations(rows, task, spec, err);
    }
    if (status) {
        zo_rows_close(rows);
    }
    return status;
}

void zo_rows_close(zo_task_rows *rows)
{
    for (int s = 0; s < ZO_SPLITS; s++) {
        zo_table_free(&rows->table[s]);
        zo_free(rows->row[s]);
        zo_free(rows->shown[s]);
    }
    zo_table_free(&rows->table[TABLE_SHOWN]);
    memset(rows, 0, sizeof *rows);
}

const zo_record *zo_rows_at(const zo_task_rows *rows, zo_split split, int32_t index)
{
    return &rows->table[rows->from[split]].record[rows->row[split][index]];
}

const zo_record *zo_rows_shown(const zo_task_rows *rows, zo_split split, int32_t index, int64_t at, int64_t demonstrations)
{
    return &rows->table[TABLE_SHOWN].record[rows->shown[split][index * demonstrations + at]];
}
