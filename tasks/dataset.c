/* dataset.c: the rows of a task's three splits, encoded once when opened, and batches packed from them. Splits: task.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tasks/list.h"
#include "tasks/task_impl.h"

#define NOTE_BYTES 1000
#define TASKS ((int)(sizeof task_of / sizeof *task_of))

enum { STREAM_SPLIT_TRAIN = 0x7a01, STREAM_SPLIT_TEST = 0x7a02, STREAM_BATCHES = 0x7a03 };

#define X(id) extern const zo_task zo_task_##id;
ZO_TASK_LIST(X)
#undef X

static const zo_task *const task_of[] = {
#define X(id) &zo_task_##id,
    ZO_TASK_LIST(X)
#undef X
};

enum { SIZE_TOKENS, SIZE_SEQS, SIZE_ROWS, SIZE_SCORES, SIZES };

typedef struct split_data {
    zo_pack pack;
    int64_t *largest[SIZES]; /* (n + 1) each: [k] = sum over the k examples that are largest in this size */
    int64_t longest;
} split_data;

struct zo_dataset {
    const zo_task *task;
    zo_head head;
    int32_t word[ZO_TASK_CLASSES];
    split_data split[ZO_SPLITS];
    int64_t truncated;
    char note[NOTE_BYTES];
};

static const char *const split_name[ZO_SPLITS] = {"train", "dev", "test"};

/* ---- registry ------------------------------------------------------------------------------------------------------------- */

const zo_task *zo_task_find(const char *name, zo_err *err)
{
    const char *names[TASKS];
    for (int k = 0; k < TASKS; k++) {
        if (strcmp(task_of[k]->info.name, name) == 0) {
            return task_of[k];
        }
        names[k] = task_of[k]->info.name;
    }
    const char *near = zo_nearest(name, names, TASKS);
    zo_fail(err, ZO_EINPUT, "unknown task \"%s\"%s%s%s; `zo list tasks` shows all", name, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

int zo_task_list(const zo_task_info **list)
{
    static zo_task_info info[TASKS];
    for (int k = 0; k < TASKS; k++) {
        info[k] = task_of[k]->info;
        info[k].needs_data = task_of[k]->source != NULL;
        info[k].has_head = task_of[k]->texts > 0;
        info[k].has_mask_prompt = task_of[k]->mask_template != NULL;
        info[k].has_option_prompt = task_of[k]->prompt != NULL;
        info[k].has_prompt = info[k].has_mask_prompt || info[k].has_option_prompt;
    }
    *list = info;
    return TASKS;
}

/* ---- rows of a part ------------------------------------------------------------------------------------------------------- */

static void add_note(zo_dataset *dataset, const char *text)
{
    size_t used = strlen(dataset->note);
    if (!strstr(dataset->note, text)) {
        snprintf(dataset->note + used, sizeof dataset->note - used, "%s%s", used ? "; " : "", text);
    }
}

/* Name of a source below the data folder, the `@` replaced by the seed. */
static void name_of(const zo_source *source, const zo_dataset_spec *spec, char name[128])
{
    const char *at = strchr(source->path, '@');
    if (at) {
        snprintf(name, 128, "%.*s%llu%s", (int)(at - source->path), source->path, (unsigned long long)spec->data_seed, at + 1);
    } else {
        snprintf(name, 128, "%s", source->path);
    }
}

static void path_of(const zo_source *source, const zo_dataset_spec *spec, char path[4096])
{
    char name[128];
    name_of(source, spec, name);
    zo_path_join(path, 4096, spec->data_dir, name);
}

static bool file_there(const zo_source *source, const zo_dataset_spec *spec)
{
    char path[4096], packed[4200];
    path_of(source, spec, path);
    snprintf(packed, sizeof packed, "%s.gz", path);
    return zo_path_exists(path) || zo_path_exists(packed);
}

/* The lowest choice of a part whose files are all there; -1 when none is. */
static int choose_files(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part)
{
    enum { CHOICES = 8 };
    bool known[CHOICES] = {false}, complete[CHOICES];
    for (int c = 0; c < CHOICES; c++) {
        complete[c] = true;
    }
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part) {
            known[s->choice] = true;
            complete[s->choice] = complete[s->choice] && file_there(s, spec);
        }
    }
    for (int c = 0; c < CHOICES; c++) {
        if (known[c] && complete[c]) {
            return c;
        }
    }
    return -1;
}

static zo_status files_missing(const zo_task *task, const zo_dataset_spec *spec, zo_file_part part, zo_err *err)
{
    static const char *const what[ZO_FILE_PARTS] = {"training", "validation", "k-shot train", "k-shot dev", "k-shot test"};
    char looked[600] = "";
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part) {
            char name[128];
            name_of(s, spec, name);
            size_t used = strlen(looked);
            snprintf(looked + used, sizeof looked - used, "%s%s", used ? ", " : "", name);
        }
    }
    if (!looked[0]) {
        return zo_fail(err, ZO_EINPUT, "task %s has no %s file; use another split scheme or 0 examples of that split", task->info.name, what[part]);
    }
    return zo_fail(err, ZO_EIO, "task %s: no %s file; looked in %s for %s (or with .gz); point --data at the folder that has it", task->info.name, what[part],
                   spec->data_dir, looked);
}

/* All rows of a part into `table`. *found is false (and nothing an error) when the files are not there and `optional`. */
static zo_status read_part(zo_dataset *dataset, const zo_dataset_spec *spec, zo_file_part part, bool optional, zo_table *table, bool *found, zo_err *err)
{
    const zo_task *task = dataset->task;
    *found = true;
    if (!task->source) {
        task->generate(table, part);
        return ZO_OK;
    }
    int choice = choose_files(task, spec, part);
    *found = choice >= 0;
    if (!*found) {
        return optional ? ZO_OK : files_missing(task, spec, part, err);
    }
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        if (s->part == part && s->choice == choice) {
            char path[4096];
            path_of(s, spec, path);
            zo_status status = zo_source_read(task, s, path, table, err);
            if (status) {
                return status;
            }
            if (s->note) {
                add_note(dataset, s->note);
            }
        }
    }
    if (table->n == 0) {
        return zo_fail(err, ZO_EINPUT, "task %s: its %s file has no rows; fetch it again", task->info.name, part == ZO_FILE_TRAIN ? "training" : "validation");
    }
    return ZO_OK;
}

/* ---- splits --------------------------------------------------------------------------------------------------------------- */

/* A list of rows: order[first .. first + n) of a table; order NULL = file order. */
typedef struct pick { const zo_table *table; const int32_t *order; int64_t first, n; } pick;

/* Cut consecutive picks for `n` splits out of `size` rows. A count of -1 takes what the others leave. */
static zo_status cut_picks(const zo_task *task, const zo_dataset_spec *spec, const zo_split *split, int n, int64_t size, const char *what, pick *picks, zo_err *err)
{
    int64_t asked = 0;
    int rest = -1;
    for (int k = 0; k < n; k++) {
        int64_t count = spec->count[split[k]];
        if (count < -1) {
            return zo_fail(err, ZO_EINPUT, "task %s: %lld %s examples cannot be; give a number, 0 for none or \"all\"", task->info.name, (long long)count, split_name[split[k]]);
        }
        if (count == -1 && rest >= 0) {
            return zo_fail(err, ZO_EINPUT, "task %s: %s and %s both take \"all\" of the %s rows; give one of them a number", task->info.name, split_name[split[rest]],
                           split_name[split[k]], what);
        }
        if (count == -1) {
            rest = k;
        } else {
            asked = asked > INT64_MAX - count ? INT64_MAX : asked + count;
        }
    }
    if (asked > size || (rest >= 0 && asked == size)) {
        char list[200] = "";
        for (int k = 0; k < n; k++) {
            size_t used = strlen(list);
            int64_t count = spec->count[split[k]];
            if (count == -1) {
                snprintf(list + used, sizeof list - used, "%s%s = all", used ? ", " : "", split_name[split[k]]);
            } else if (count) {
                snprintf(list + used, sizeof list - used, "%s%s = %lld", used ? ", " : "", split_name[split[k]], (long long)count);
            }
        }
        return zo_fail(err, ZO_EINPUT, "task %s has %lld %s rows, too few for %s; ask for fewer in the config (without \"dev\" and \"test\" there, they are 500 and "
                       "1000)", task->info.name, (long long)size, what, list);
    }
    int64_t first = 0;
    for (int k = 0; k < n; k++) {
        pick *p = &picks[split[k]];
        p->first = first;
        p->n = k == rest ? size - asked : spec->count[split[k]];
        first += p->n;
    }
    return ZO_OK;
}

static int32_t *draw_order(uint64_t seed, uint32_t stream, int64_t n)
{
    ZO_CHECK(n <= INT32_MAX, "%lld rows are more than a permutation holds", (long long)n);
    int32_t *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *order);
    for (int32_t k = 0; k < (int32_t)n; k++) {
        order[k] = k;
    }
    zo_stream s = {.seed = seed, .tensor = stream, .role = ZO_ROLE_DATA};
    zo_shuffle(s, order, (int32_t)n);
    return order;
}

static zo_status encode_pick(zo_dataset *dataset, zo_encoder *encoder, zo_split split, const pick *p, zo_err *err)
{
    for (int64_t k = 0; k < p->n; k++) {
        int64_t row = p->order ? p->order[p->first + k] : p->first + k;
        zo_status status = zo_encode(encoder, &p->table->record[row], split == ZO_TRAIN, &dataset->split[split].pack, &dataset->truncated, err);
        if (status) {
            return status;
        }
    }
    return ZO_OK;
}

/* DRAWN and FIRST. */
static zo_status open_official(zo_dataset *dataset, const zo_dataset_spec *spec, zo_encoder *encoder, zo_err *err)
{
    const zo_task *task = dataset->task;
    bool drawn = spec->scheme == ZO_SPLIT_DRAWN, wants_train = spec->count[ZO_TRAIN] != 0 || (drawn && spec->count[ZO_DEV] != 0);
    bool wants_validation = spec->count[ZO_TEST] != 0 || (!drawn && spec->count[ZO_DEV] != 0), have_train = true, have = true;
    zo_table train = {0}, validation = {0};
    int32_t *train_order = NULL, *test_order = NULL;
    pick picks[ZO_SPLITS] = {{0}};
    zo_status status = ZO_OK;
    if (wants_train) {
        status = read_part(dataset, spec, ZO_FILE_TRAIN, task->train_from_validation, &train, &have_train, err);
    }
    if (!status && (wants_validation || !have_train)) {
        status = read_part(dataset, spec, ZO_FILE_VALIDATION, false, &validation, &have, err);
    }
    if (!status && !have_train) {
        /* All three splits out of the validation file, without overlap. */
        char note[200];
        snprintf(note, sizeof note, "%s: train%s from the validation file, the train file is not there", task->info.name,
                 drawn ? ", dev and test drawn" : ", dev and test taken in order");
        add_note(dataset, note);
        const zo_split all[] = {ZO_TRAIN, ZO_DEV, ZO_TEST};
        status = cut_picks(task, spec, all, 3, validation.n, "validation", picks, err);
        train_order = drawn ? draw_order(spec->data_seed, STREAM_SPLIT_TRAIN, validation.n) : NULL;
        for (int s = 0; s < ZO_SPLITS; s++) {
            picks[s].table = &validation;
            picks[s].order = train_order;
        }
    } else if (!status && drawn) {
        const zo_split first[] = {ZO_TRAIN, ZO_DEV}, second[] = {ZO_TEST};
        if (wants_train) {
            status = cut_picks(task, spec, first, 2, train.n, "training", picks, err);
            train_order = draw_order(spec->data_seed, STREAM_SPLIT_TRAIN, train.n);
        }
        if (!status && wants_validation) {
            status = cut_picks(task, spec, second, 1, validation.n, "validation", picks, err);
            test_order = picks[ZO_TEST].n < validation.n ? draw_order(spec->data_seed, STREAM_SPLIT_TEST, validation.n) : NULL;
        }
        picks[ZO_TRAIN].table = picks[ZO_DEV].table = &train;
        picks[ZO_TRAIN].order = picks[ZO_DEV].order = train_order;
        picks[ZO_TEST].table = &validation;
        picks[ZO_TEST].order = test_order;
    } else if (!status) {
        const zo_split first[] = {ZO_TRAIN}, second[] = {ZO_DEV, ZO_TEST};
        if (wants_train) {
            status = cut_picks(task, spec, first, 1, train.n, "training", picks, err);
        }
        if (!status && wants_validation) {
            status = cut_picks(task, spec, second, 2, validation.n, "validation", picks, err);
        }
        picks[ZO_TRAIN].table = &train;
        picks[ZO_DEV].table = picks[ZO_TEST].table = &validation;
    }
    for (int s = 0; s < ZO_SPLITS && !status; s++) {
        status = encode_pick(dataset, encoder, (zo_split)s, &picks[s], err);
    }
    zo_free(train_order);
    zo_free(test_order);
    zo_table_free(&train);
    zo_table_free(&validation);
    return status;
}

static zo_status open_kshot(zo_dataset *dataset, const zo_dataset_spec *spec, zo_encoder *encoder, zo_err *err)
{
    static const zo_file_part part_of[ZO_SPLITS] = {ZO_FILE_KSHOT_TRAIN, ZO_FILE_KSHOT_DEV, ZO_FILE_KSHOT_TEST};
    const zo_task *task = dataset->task;
    bool has_folder = false;
    for (const zo_source *s = task->source; s && s->format != ZO_FORMAT_END; s++) {
        has_folder = has_folder || s->part == ZO_FILE_KSHOT_TRAIN;
    }
    if (!has_folder) {
        return zo_fail(err, ZO_EINPUT, "task %s has no k-shot folders; use the split scheme drawn or first", task->info.name);
    }
    for (int s = 0; s < ZO_SPLITS; s++) {
        if (spec->count[s] == 0) {
            continue;
        }
        zo_table table = {0};
        bool found;
        zo_file_part part = part_of[s];
        if (s == ZO_TEST && choose_files(task, spec, part) < 0 && choose_files(task, spec, ZO_FILE_VALIDATION) >= 0) {
            char note[200];
            snprintf(note, sizeof note, "%s: test is the validation file, the k-shot folder has none", task->info.name);
            add_note(dataset, note);
            part = ZO_FILE_VALIDATION;
        }
        zo_status status = read_part(dataset, spec, part, false, &table, &found, err);
        if (status == ZO_EIO && err && s != ZO_TEST) {
            char what[120];
            snprintf(what, sizeof what, "data_seed %llu (the published k-shot seeds are 13, 21, 42, 87 and 100)", (unsigned long long)spec->data_seed);
            zo_fail_in(err, what);
        }
        pick picks[ZO_SPLITS] = {{0}};
        const zo_split one[] = {(zo_split)s};
        int32_t *order = NULL;
        if (!status) {
            status = cut_picks(task, spec, one, 1, table.n, split_name[s], picks, err);
        }
        if (!status) {
            /* All rows in the file's order; fewer are drawn, because the files are sorted by class. */
            order = picks[s].n < table.n ? draw_order(spec->data_seed, STREAM_SPLIT_TEST, table.n) : NULL;
            picks[s].table = &table;
            picks[s].order = order;
            status = encode_pick(dataset, encoder, (zo_split)s, &picks[s], err);
        }
        zo_free(order);
        zo_table_free(&table);
        if (status) {
            return status;
        }
    }
    return ZO_OK;
}

/* ---- open ----------------------------------------------------------------------------------------------------------------- */

static int compare_down(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static void measure_split(split_data *split)
{
    const zo_pack *pack = &split->pack;
    for (int size = 0; size < SIZES; size++) {
        int64_t *sum = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(pack->n + 1) * sizeof *sum);
        for (int64_t k = 0; k < pack->n; k++) {
            const zo_packed *e = &pack->example[k];
            sum[k + 1] = size == SIZE_TOKENS ? e->tokens : size == SIZE_SEQS ? e->seqs : size == SIZE_ROWS ? e->rows : e->scores;
        }
        qsort(sum + 1, (size_t)pack->n, sizeof *sum, compare_down);
        if (size == SIZE_TOKENS) {
            split->longest = pack->n ? sum[1] : 0;
        }
        for (int64_t k = 1; k <= pack->n; k++) {
            sum[k] += sum[k - 1];
        }
        split->largest[size] = sum;
    }
}

zo_status zo_dataset_open(zo_dataset **out, const zo_dataset_spec *spec, zo_err *err)
{
    zo_err own;
    err = err ? err : &own;
    *out = NULL;
    const zo_task *task = zo_task_find(spec->task, err);
    if (!task) {
        return err->status;
    }
    if (task->source && !spec->data_dir) {
        return zo_fail(err, ZO_EINPUT, "task %s reads files and no data folder is given; say --data DIR (it has %s)", task->info.name, task->info.files);
    }
    if (task->source && !zo_path_is_dir(spec->data_dir)) {
        return zo_fail(err, ZO_EIO, "the data folder %s is not there; say --data DIR (task %s reads %s)", spec->data_dir, task->info.name, task->info.files);
    }
    zo_encoder *encoder;
    if (zo_encoder_open(&encoder, task, spec, err)) {
        return err->status;
    }
    zo_dataset *dataset = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *dataset);
    dataset->task = task;
    dataset->head = zo_encoder_head(encoder);
    const int32_t *words = zo_encoder_words(encoder);
    if (words) {
        memcpy(dataset->word, words, (size_t)task->info.classes * sizeof *words);
    }
    zo_status status = spec->scheme == ZO_SPLIT_KSHOT ? open_kshot(dataset, spec, encoder, err) : open_official(dataset, spec, encoder, err);
    zo_encoder_close(encoder);
    if (status) {
        zo_dataset_close(dataset);
        return status;
    }
    for (int s = 0; s < ZO_SPLITS; s++) {
        measure_split(&dataset->split[s]);
    }
    *out = dataset;
    return ZO_OK;
}

void zo_dataset_close(zo_dataset *dataset)
{
    if (!dataset) {
        return;
    }
    for (int s = 0; s < ZO_SPLITS; s++) {
        zo_pack_free(&dataset->split[s].pack);
        for (int size = 0; size < SIZES; size++) {
            zo_free(dataset->split[s].largest[size]);
        }
    }
    zo_free(dataset);
}

/* ---- asked about ---------------------------------------------------------------------------------------------------------- */

zo_head zo_dataset_head(const zo_dataset *dataset)
{
    return dataset->head;
}

int zo_dataset_classes(const zo_dataset *dataset)
{
    return dataset->task->info.classes;
}

const int32_t *zo_dataset_words(const zo_dataset *dataset)
{
    return dataset->head == ZO_HEAD_WORDS ? dataset->word : NULL;
}

int32_t zo_dataset_size(const zo_dataset *dataset, zo_split split)
{
    return (int32_t)dataset->split[split].pack.n;
}

int64_t zo_dataset_truncated(const zo_dataset *dataset)
{
    return dataset->truncated;
}

int64_t zo_dataset_longest(const zo_dataset *dataset, zo_split split)
{
    return dataset->split[split].longest;
}

static const zo_packed *example_at(const zo_dataset *dataset, zo_split split, int32_t index)
{
    const zo_pack *pack = &dataset->split[split].pack;
    ZO_CHECK(index >= 0 && index < pack->n, "example %d of %s asked, which has %lld", index, split_name[split], (long long)pack->n);
    return &pack->example[index];
}

int32_t zo_dataset_label(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return example_at(dataset, split, index)->label;
}

const char *zo_dataset_note(const zo_dataset *dataset)
{
    return dataset->note;
}

zo_sizes zo_dataset_bounds(const zo_dataset *dataset, zo_split split, int32_t n)
{
    const split_data *data = &dataset->split[split];
    int64_t bound[SIZES], size = data->pack.n;
    for (int k = 0; k < SIZES; k++) {
        const int64_t *sum = data->largest[k];
        bound[k] = n <= size ? sum[n < 0 ? 0 : n] : size ? n * sum[1] : 0;
    }
    return (zo_sizes){bound[SIZE_TOKENS], bound[SIZE_SEQS], bound[SIZE_ROWS], bound[SIZE_SCORES]};
}

static zo_sizes sizes_of(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n)
{
    zo_sizes sum = {0};
    for (int32_t k = 0; k < n; k++) {
        const zo_packed *e = example_at(dataset, split, index[k]);
        sum.tokens += e->tokens;
        sum.seqs += e->seqs;
        sum.rows += e->rows;
        sum.scores += e->scores;
    }
    return sum;
}

static void raise_to(int64_t *most, int64_t n)
{
    *most = n > *most ? n : *most;
}

void zo_dataset_measure(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n, zo_sizes *most)
{
    zo_sizes sum = sizes_of(dataset, split, index, n);
    raise_to(&most->tokens, sum.tokens);
    raise_to(&most->seqs, sum.seqs);
    raise_to(&most->rows, sum.rows);
    raise_to(&most->scores, sum.scores);
}

/* ---- batches -------------------------------------------------------------------------------------------------------------- */

static int32_t *batch_ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof(int32_t));
}

zo_batch *zo_dataset_batch(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n)
{
    const zo_pack *pack = &dataset->split[split].pack;
    zo_sizes size = sizes_of(dataset, split, index, n);
    int64_t options = 0;
    for (int32_t k = 0; k < n; k++) {
        options += example_at(dataset, split, index[k])->options;
    }
    ZO_CHECK(size.tokens <= INT32_MAX, "a batch of %lld tokens does not fit 31 bits", (long long)size.tokens);
    zo_batch *batch = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *batch);
    batch->id = batch_ints(size.tokens);
    batch->position = batch_ints(size.tokens);
    batch->type = batch_ints(size.tokens);
    batch->start = batch_ints(size.seqs + 1);
    batch->parent = batch_ints(size.seqs);
    batch->row = batch_ints(size.rows);
    batch->at = batch_ints(size.scores);
    batch->target = batch_ints(size.scores);
    batch->option_start = batch_ints(options + 1);
    batch->example_start = batch_ints(n + 1);
    batch->label = batch_ints(n);
    for (int32_t k = 0; k < n; k++) {
        const zo_packed *e = example_at(dataset, split, index[k]);
        size_t bytes = (size_t)e->tokens * sizeof(int32_t);
        memcpy(batch->id + batch->tokens, pack->id.at + e->token, bytes);
        memcpy(batch->position + batch->tokens, pack->position.at + e->token, bytes);
        memcpy(batch->type + batch->tokens, pack->type.at + e->token, bytes);
        for (int32_t s = 0; s < e->seqs; s++) {
            int32_t parent = pack->parent.at[e->seq + s], at = batch->seqs + s;
            batch->parent[at] = parent < 0 ? -1 : batch->seqs + parent;
            batch->start[at + 1] = batch->start[at] + pack->length.at[e->seq + s];
        }
        for (int32_t r = 0; r < e->rows; r++) {
            batch->row[batch->rows + r] = batch->tokens + pack->row.at[e->row + r];
        }
        for (int32_t s = 0; s < e->scores; s++) {
            batch->at[batch->scores + s] = batch->rows + pack->at.at[e->score + s];
            batch->target[batch->scores + s] = pack->target.at[e->score + s];
        }
        for (int32_t o = 0; o < e->options; o++) {
            int32_t at = batch->options + o;
            batch->option_start[at + 1] = batch->option_start[at] + pack->option.at[e->option + o];
        }
        batch->tokens += e->tokens;
        batch->seqs += e->seqs;
        batch->rows += e->rows;
        batch->scores += e->scores;
        batch->options += e->options;
        batch->label[k] = e->label;
        batch->example_start[k + 1] = batch->options;
        batch->paper_sequences += e->paper_sequences;
        batch->paper_tokens += e->paper_tokens;
    }
    batch->examples = n;
    return batch;
}

int32_t zo_batch_order(uint64_t seed, int32_t train_size, int32_t b, int64_t step, zo_order *kept, int32_t *index)
{
    ZO_CHECK(train_size > 0 && b > 0 && step >= 0, "batch order asked for %d rows, batch %d, step %lld", train_size, b, (long long)step);
    int64_t steps = ((int64_t)train_size + b - 1) / b, epoch = step / steps, first = step % steps * b;
    int32_t n = first + b <= train_size ? b : (int32_t)(train_size - first);
    zo_order own = {.row = NULL}, *order = kept ? kept : &own;
    if (!order->row || order->epoch != epoch) {
        order->row = order->row ? order->row : zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)train_size * sizeof *order->row);
        order->epoch = epoch;
        for (int32_t k = 0; k < train_size; k++) {
            order->row[k] = k;
        }
        zo_stream s = {.seed = seed, .tensor = STREAM_BATCHES, .step = (uint32_t)epoch, .role = ZO_ROLE_DATA};
        zo_shuffle(s, order->row, train_size);
    }
    memcpy(index, order->row + first, (size_t)n * sizeof *index);
    zo_free(own.row);
    return n;
}

/* ---- metrics -------------------------------------------------------------------------------------------------------------- */

void zo_metrics(const int32_t *choice, const int32_t *label, int32_t n, int classes, double metric[ZO_METRICS])
{
    metric[ZO_ACCURACY] = metric[ZO_MACRO_F1] = metric[ZO_MATTHEWS] = NAN;
    if (n <= 0) {
        return;
    }
    int64_t *right = zo_alloc(ZO_HOST, ZO_TAG_DATA, 3 * (size_t)classes * sizeof *right), *chosen = right + classes, *labelled = chosen + classes;
    int64_t hits = 0;
    for (int32_t k = 0; k < n; k++) {
        ZO_CHECK(label[k] >= 0 && label[k] < classes, "label %d of %d classes", label[k], classes);
        labelled[label[k]]++;
        if (choice[k] >= 0 && choice[k] < classes) {
            chosen[choice[k]]++;
        }
        if (choice[k] == label[k]) {
            right[label[k]]++;
            hits++;
        }
    }
    double f1 = 0, cross = 0, chosen2 = 0, labelled2 = 0, total = n;
    int present = 0;
    for (int c = 0; c < classes; c++) {
        if (chosen[c] + labelled[c] > 0) {
            f1 += 2.0 * (double)right[c] / (double)(chosen[c] + labelled[c]);
            present++;
        }
        cross += (double)chosen[c] * (double)labelled[c];
        chosen2 += (double)chosen[c] * (double)chosen[c];
        labelled2 += (double)labelled[c] * (double)labelled[c];
    }
    zo_free(right);
    double spread = (total * total - chosen2) * (total * total - labelled2);
    metric[ZO_ACCURACY] = (double)hits / total;
    metric[ZO_MACRO_F1] = f1 / present;
    metric[ZO_MATTHEWS] = spread > 0 ? ((double)hits * total - cross) / sqrt(spread) : 0;
}
