/* dataset.c: the tasks' registry, the rows of a task's three splits encoded once when opened, batches packed from them, metrics. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tasks/list.h"
#include "tasks/task_impl.h"

enum { STREAM_BATCHES = 0x7a03, TASKS_MOST = 256, FILES_MOST = 64, CLASSES_OLD = 6 };

enum { SIZE_TOKENS, SIZE_SEQS, SIZE_ROWS, SIZE_SCORES, SIZES };

typedef struct split_data {
    zo_pack pack;
    int64_t *largest[SIZES]; /* (n + 1) each: [k] = sum over the k examples that are largest in this size */
    int64_t longest, truncated;
    const char **source, **text; /* (n) of an identified dataset, else NULL; in `names` */
    int file;  /* of zo_dataset_put_away + 1; 0 = there is none */
    bool away;
} split_data;

struct zo_dataset {
    int64_t classes;
    bool scores;     /* regression */
    bool calibrated; /* behind a split's examples stand as many without content */
    zo_head head;
    int32_t answer_tokens, end[ZO_ENDS];
    int ends;
    split_data split[ZO_SPLITS];
    zo_table names;
    char note[ZO_NOTE_BYTES];
    int32_t word[]; /* (classes), with room for CLASSES_OLD, once the most: the ledger's figures of such tasks hold */
};

static const char *const split_name[ZO_SPLITS] = {"train", "dev", "test"};

/* ---- registry ------------------------------------------------------------------------------------------------------------- */

#define CODE(id) extern const zo_task zo_task_##id;
#define DESCRIBED(name)
ZO_TASK_LIST(CODE, DESCRIBED)
#undef CODE
#undef DESCRIBED

static const zo_task *task_of[TASKS_MOST];
static zo_task_info info_of[TASKS_MOST];
static int tasks;

static zo_task_info info_from(const zo_task *task)
{
    zo_task_info info = task->info;
    info.scores = task->scores;
    info.needs_data = task->source != NULL;
    info.has_head = task->texts > 0;
    info.has_mask_prompt = task->mask_template != NULL;
    info.has_option_prompt = task->prompt != NULL;
    info.own_option_prompt = task->own_prompt;
    info.has_prompt = info.has_mask_prompt || info.has_option_prompt;
    return info;
}

static void add_task(const zo_task *task)
{
    ZO_CHECK(tasks < TASKS_MOST, "there are more than %d tasks", TASKS_MOST);
    info_of[tasks] = info_from(task);
    task_of[tasks++] = task;
}

/* Once: the descriptions that are part of the program are read, and all tasks put in the order of list.h. */
static void make_list(void)
{
    static const struct { const zo_task *code; const char *name; } order[] = {
#define CODE(id) {&zo_task_##id, NULL},
#define DESCRIBED(name) {NULL, #name},
        ZO_TASK_LIST(CODE, DESCRIBED)
#undef CODE
#undef DESCRIBED
    };
    static zo_task_file file[FILES_MOST];
    bool placed[FILES_MOST] = {false};
    int files = 0;
    if (tasks > 0) {
        return;
    }
    for (const zo_task_text *t = zo_task_texts; t->text; t++, files++) {
        zo_err err = {.status = ZO_OK};
        ZO_CHECK(files < FILES_MOST, "there are more than %d tasks as JSON", FILES_MOST);
        ZO_CHECK(zo_task_file_parse(&file[files], t->text, strlen(t->text), t->path, &err) == ZO_OK, "%s", err.text);
    }
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        int f = 0;
        while (order[k].name && f < files && strcmp(file[f].task.info.name, order[k].name) != 0) {
            f++;
        }
        ZO_CHECK(f < files || !order[k].name, "tasks/list.h has a place for %s, and tasks/ has no description with that name", order[k].name);
        if (order[k].name) {
            placed[f] = true;
        }
        add_task(order[k].name ? &file[f].task : order[k].code);
    }
    for (int f = 0; f < files; f++) {
        if (!placed[f]) {
            add_task(&file[f].task);
        }
    }
}

const zo_task *zo_task_find(const char *name, zo_task_file *own, zo_err *err)
{
    const char *names[TASKS_MOST];
    size_t n = strlen(name);
    if (strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".json") == 0)) {
        ZO_CHECK(own, "the task %s is a path, and there is no room to read it", name);
        return zo_task_file_read(own, name, err) == ZO_OK ? &own->task : NULL;
    }
    make_list();
    for (int k = 0; k < tasks; k++) {
        if (strcmp(task_of[k]->info.name, name) == 0) {
            return task_of[k];
        }
        names[k] = task_of[k]->info.name;
    }
    const char *near = zo_nearest(name, names, tasks);
    zo_fail(err, ZO_EINPUT, "unknown task \"%.64s\"%s%s%s; `zo list tasks` shows all, and a task of your own is the path of its description, such as ./%.64s.json",
            name, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "", name);
    return NULL;
}

zo_status zo_task_info_of(const char *name, zo_task_info *info, zo_err *err)
{
    static zo_task_file own;
    zo_err ignored;
    err = err ? err : &ignored;
    const zo_task *task = zo_task_find(name, &own, err);
    if (!task) {
        return err->status;
    }
    *info = info_from(task);
    return ZO_OK;
}

int zo_task_list(const zo_task_info **list)
{
    make_list();
    *list = info_of;
    return tasks;
}

/* ---- open ----------------------------------------------------------------------------------------------------------------- */

static int compare_down(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* (n + 1): [k] = sum over the k that are largest in this size, of the n examples at row[] (NULL: the first). The caller frees it. */
static int64_t *sum_largest(const zo_pack *pack, const int32_t *row, int64_t n, int size)
{
    int64_t *sum = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n + 1) * sizeof *sum);
    for (int64_t k = 0; k < n; k++) {
        const zo_packed *e = &pack->example[row ? row[k] : k];
        sum[k + 1] = size == SIZE_TOKENS ? e->tokens : size == SIZE_SEQS ? e->seqs : size == SIZE_ROWS ? e->rows : e->scores;
    }
    qsort(sum + 1, (size_t)n, sizeof *sum, compare_down);
    for (int64_t k = 1; k <= n; k++) {
        sum[k] += sum[k - 1];
    }
    return sum;
}

static void measure_split(split_data *split)
{
    for (int size = 0; size < SIZES; size++) {
        split->largest[size] = sum_largest(&split->pack, NULL, split->pack.n, size);
    }
    split->longest = split->pack.n ? split->largest[SIZE_TOKENS][1] : 0;
}

static void identify(zo_dataset *dataset, const zo_task_rows *rows, zo_split s, const char *task)
{
    size_t n = (size_t)rows->n[s] + 1;
    split_data *split = &dataset->split[s];
    split->source = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *split->source);
    split->text = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *split->text);
    for (int32_t k = 0; k < rows->n[s]; k++) {
        const zo_record *record = zo_rows_at(rows, s, k);
        split->source[k] = zo_table_printf(&dataset->names, "%s#%d", record->file ? record->file : task, (int)record->number);
        split->text[k] = zo_table_text(&dataset->names, record->field[0], strlen(record->field[0]));
    }
}

zo_status zo_dataset_open(zo_dataset **out, const zo_dataset_spec *spec, zo_err *err)
{
    zo_err own;
    err = err ? err : &own;
    *out = NULL;
    zo_task_file own_task;
    const zo_task *task = zo_task_find(spec->task, &own_task, err);
    if (!task) {
        return err->status;
    }
    zo_encoder *encoder;
    if (zo_encoder_open(&encoder, task, spec, err)) {
        return err->status;
    }
    zo_task_rows rows;
    if (zo_rows_open(&rows, task, spec, err)) {
        zo_encoder_close(encoder);
        return err->status;
    }
    int classes = task->info.classes;
    zo_dataset *dataset = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *dataset + (size_t)(classes > CLASSES_OLD ? classes : CLASSES_OLD) * sizeof *dataset->word);
    dataset->classes = classes;
    dataset->head = zo_encoder_head(encoder);
    dataset->answer_tokens = task->answer_tokens;
    dataset->ends = zo_encoder_ends(encoder, dataset->end);
    dataset->scores = task->scores;
    dataset->calibrated = spec->calibration != ZO_CALIBRATE_NONE;
    const int32_t *words = zo_encoder_words(encoder);
    if (words) {
        memcpy(dataset->word, words, (size_t)classes * sizeof *words);
    }
    memcpy(dataset->note, rows.note, sizeof dataset->note);
    zo_status status = ZO_OK;
    const zo_record **shown = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)spec->demonstrations + 1) * sizeof *shown);
    for (int s = 0; s < ZO_SPLITS && !status; s++) {
        split_data *split = &dataset->split[s];
        for (int32_t k = 0; k < rows.n[s] && !status; k++) {
            int64_t n = rows.shown[s] ? spec->demonstrations : 0;
            for (int64_t d = 0; d < n; d++) {
                shown[d] = zo_rows_shown(&rows, (zo_split)s, k, d, n);
            }
            status = zo_encode(encoder, zo_rows_at(&rows, (zo_split)s, k), s == ZO_TRAIN, shown, n, &split->pack, &split->truncated, err);
        }
        for (int32_t k = 0; k < rows.n[s] && dataset->calibrated && !status; k++) {
            int64_t n = rows.shown[s] && spec->calibration == ZO_CALIBRATE_ICL_SFC ? spec->demonstrations : 0;
            for (int64_t d = 0; d < n; d++) {
                shown[d] = zo_rows_shown(&rows, (zo_split)s, k, d, n);
            }
            status = zo_encode_free(encoder, zo_rows_at(&rows, (zo_split)s, k), shown, n, &split->pack, err);
        }
    }
    zo_free(shown);
    for (int s = ZO_DEV; s < ZO_SPLITS && spec->identify && !status; s++) {
        identify(dataset, &rows, (zo_split)s, task->info.name);
    }
    if (task->own_prompt && dataset->head == ZO_HEAD_OPTIONS) {
        size_t used = strlen(dataset->note);
        snprintf(dataset->note + used, sizeof dataset->note - used, "%s%s: the causal prompt is our own, no paper has one", used ? "; " : "", task->info.name);
    }
    zo_rows_close(&rows);
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
        zo_free(dataset->split[s].source);
        zo_free(dataset->split[s].text);
        if (dataset->split[s].file) {
            close(dataset->split[s].file - 1);
        }
    }
    zo_table_free(&dataset->names);
    zo_free(dataset);
}

/* ---- away ----------------------------------------------------------------------------------------------------------------- */

typedef struct part { void **at; size_t bytes; } part;
enum { PARTS = ZO_POOLS + 1 };

static void parts_of(zo_pack *pack, part part_of[PARTS])
{
    zo_row_pool *pool[ZO_POOLS];
    zo_pack_pools(pack, pool);
    for (int k = 0; k < PARTS - 1; k++) {
        part_of[k] = (part){(void **)&pool[k]->at, (size_t)pool[k]->n * sizeof *pool[k]->at};
        pool[k]->room = pool[k]->n; /* what comes back */
    }
    part_of[PARTS - 1] = (part){(void **)&pack->example, (size_t)pack->n * sizeof *pack->example};
    pack->room = pack->n;
}

/* A file without a name; -1 where there is no place for it. */
static int file_without_name(const char *folder)
{
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) { /* a file system without such */
        char path[4096];
        zo_path_join(path, sizeof path, folder, "zo.XXXXXX");
        file = mkostemp(path, O_CLOEXEC);
        if (file >= 0) {
            unlink(path);
        }
    }
    return file;
}

static bool write_all(int file, const char *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(file, from + done, bytes - done);
        if (n <= 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool read_all(int file, char *to, size_t bytes, off_t at)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(file, to + done, bytes - done, at + (off_t)done);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

zo_status zo_dataset_put_away(zo_dataset *dataset, zo_split s, zo_err *err)
{
    split_data *split = &dataset->split[s];
    part part_of[PARTS];
    if (split->away) {
        return ZO_OK;
    }
    parts_of(&split->pack, part_of);
    if (!split->file && split->pack.n > 0) {
        const char *folder = getenv("TMPDIR");
        folder = folder && folder[0] ? folder : "/tmp";
        int file = file_without_name(folder);
        bool written = file >= 0;
        for (int k = 0; k < PARTS && written; k++) {
            written = write_all(file, *part_of[k].at, part_of[k].bytes);
        }
        if (!written) {
            zo_fail(err, ZO_EIO, "the %s examples cannot be put away while the model trains: a file in %.200s cannot be %s (%s); set TMPDIR to a "
                    "folder with room", split_name[s], folder, file < 0 ? "made" : "written", strerror(errno));
            if (file >= 0) {
                close(file);
            }
            return ZO_EIO;
        }
        split->file = file + 1;
    }
    for (int k = 0; k < PARTS; k++) {
        zo_free(*part_of[k].at);
        *part_of[k].at = NULL;
    }
    for (int size = 0; size < SIZES; size++) {
        zo_free(split->largest[size]);
        split->largest[size] = NULL;
    }
    split->away = true;
    return ZO_OK;
}

void zo_dataset_fetch(zo_dataset *dataset, zo_split s)
{
    split_data *split = &dataset->split[s];
    part part_of[PARTS];
    off_t at = 0;
    if (!split->away) {
        return;
    }
    parts_of(&split->pack, part_of);
    for (int k = 0; k < PARTS; k++) {
        *part_of[k].at = zo_alloc(ZO_HOST, ZO_TAG_DATA, part_of[k].bytes);
        ZO_CHECK(read_all(split->file - 1, *part_of[k].at, part_of[k].bytes, at), "the %s examples that were put away cannot be read again: %s",
                 split_name[s], strerror(errno));
        at += (off_t)part_of[k].bytes;
    }
    split->away = false;
    measure_split(split);
}

/* ---- asked about ---------------------------------------------------------------------------------------------------------- */

zo_head zo_dataset_head(const zo_dataset *dataset)
{
    return dataset->head;
}

int zo_dataset_classes(const zo_dataset *dataset)
{
    return (int)dataset->classes;
}

const int32_t *zo_dataset_words(const zo_dataset *dataset)
{
    return dataset->head == ZO_HEAD_WORDS ? dataset->word : NULL;
}

int32_t zo_dataset_size(const zo_dataset *dataset, zo_split split)
{
    return (int32_t)(dataset->calibrated ? dataset->split[split].pack.n / 2 : dataset->split[split].pack.n);
}

int64_t zo_dataset_truncated_in(const zo_dataset *dataset, zo_split split)
{
    return dataset->split[split].truncated;
}

int64_t zo_dataset_truncated(const zo_dataset *dataset)
{
    int64_t sum = 0;
    for (int s = 0; s < ZO_SPLITS; s++) {
        sum += dataset->split[s].truncated;
    }
    return sum;
}

int64_t zo_dataset_longest(const zo_dataset *dataset, zo_split split)
{
    return dataset->split[split].longest;
}

static const zo_packed *example_at(const zo_dataset *dataset, zo_split split, int32_t index)
{
    const zo_pack *pack = &dataset->split[split].pack;
    ZO_CHECK(index >= 0 && index < pack->n, "example %d of %s asked, which has %lld", index, split_name[split], (long long)pack->n);
    ZO_CHECK(!dataset->split[split].away, "an example of %s asked, which are away: zo_dataset_fetch them first", split_name[split]);
    return &pack->example[index];
}

int64_t zo_dataset_tokens(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return example_at(dataset, split, index)->tokens;
}

int32_t zo_dataset_label(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return example_at(dataset, split, index)->label;
}

static const char *name_at(const zo_dataset *dataset, const char *const *name, zo_split split, int32_t index)
{
    ZO_CHECK(name != NULL && index >= 0 && index < zo_dataset_size(dataset, split), "example %d of %s is not identified", index, split_name[split]);
    return name[index];
}

const char *zo_dataset_source(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return name_at(dataset, dataset->split[split].source, split, index);
}

const char *zo_dataset_text(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return name_at(dataset, dataset->split[split].text, split, index);
}

const char *zo_dataset_note(const zo_dataset *dataset)
{
    return dataset->note;
}

zo_sizes zo_dataset_bounds(const zo_dataset *dataset, zo_split split, int32_t n)
{
    const split_data *data = &dataset->split[split];
    ZO_CHECK(!data->away, "bounds of %s asked, whose examples are away: zo_dataset_fetch them first", split_name[split]);
    int64_t bound[SIZES], size = data->pack.n;
    for (int k = 0; k < SIZES; k++) {
        const int64_t *sum = data->largest[k];
        bound[k] = n <= size ? sum[n < 0 ? 0 : n] : size ? n * sum[1] : 0;
    }
    return (zo_sizes){bound[SIZE_TOKENS], bound[SIZE_SEQS], bound[SIZE_ROWS], bound[SIZE_SCORES]};
}

zo_sizes zo_dataset_bounds_of(const zo_dataset *dataset, zo_split split, const int32_t *row, int32_t rows, int32_t n)
{
    const split_data *data = &dataset->split[split];
    ZO_CHECK(!data->away && n <= rows, "bounds of %d of %d rows of %s asked: fetch them first, and ask for no more than there are", n, rows, split_name[split]);
    int64_t bound[SIZES];
    for (int k = 0; k < SIZES; k++) {
        int64_t *sum = sum_largest(&data->pack, row, rows, k);
        bound[k] = sum[n];
        zo_free(sum);
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

uint64_t zo_batch_bytes(const zo_sizes *size, int64_t n)
{
    int64_t options = size->scores > 0 ? size->seqs : 0; /* each is a sequence, and some of these are prompts */
    int64_t ints = 3 * size->tokens + 2 * size->seqs + 1 + size->rows + 2 * size->scores + options + 1 + 3 * n + 1; /* shares are as wide */
    return sizeof(zo_batch) + (uint64_t)ints * sizeof(int32_t);
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
    batch->share = dataset->scores ? zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *batch->share) : NULL;
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
        if (dataset->scores) {
            batch->share[k] = e->share;
        }
        batch->example_start[k + 1] = batch->options;
        batch->paper_sequences += e->paper_sequences;
        batch->paper_tokens += e->paper_tokens;
    }
    batch->examples = n;
    return batch;
}

int32_t zo_dataset_answer_tokens(const zo_dataset *dataset)
{
    return dataset->answer_tokens;
}

int zo_dataset_answer_ends(const zo_dataset *dataset, const int32_t **end)
{
    *end = dataset->end;
    return dataset->ends;
}

/* Where the part of an example begins in a pool, and its length, by where those of all examples end. */
static int32_t part_at(const zo_row_pool *end, int32_t index, int32_t *n)
{
    ZO_CHECK(index < end->n, "example %d has nothing to write behind: zo_dataset_prompts and _credit are of tasks that write, and of training rows where \"writes_train\" says so", index);
    int32_t from = index > 0 ? end->at[index - 1] : 0;
    *n = end->at[index] - from;
    return from;
}

int64_t zo_dataset_prompt_tokens(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n)
{
    int64_t tokens = 0;
    for (int32_t k = 0; k < n; k++) {
        int32_t length;
        example_at(dataset, split, index[k]);
        part_at(&dataset->split[split].pack.prompt_end, index[k], &length);
        tokens += length;
    }
    return tokens;
}

uint64_t zo_prompts_bytes(int64_t tokens, int64_t n)
{
    return sizeof(zo_batch) + (uint64_t)(2 * tokens + 2 * n + 1) * sizeof(int32_t);
}

zo_batch *zo_dataset_prompts(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n)
{
    const zo_pack *pack = &dataset->split[split].pack;
    int64_t tokens = zo_dataset_prompt_tokens(dataset, split, index, n);
    int32_t length;
    ZO_CHECK(tokens <= INT32_MAX, "prompts of %lld tokens do not fit 31 bits", (long long)tokens);
    zo_batch *batch = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *batch);
    *batch = (zo_batch){.examples = n, .seqs = n, .id = batch_ints(tokens), .position = batch_ints(tokens), .start = batch_ints(n + 1), .parent = batch_ints(n)};
    for (int32_t k = 0; k < n; k++) {
        int32_t from = part_at(&pack->prompt_end, index[k], &length);
        memcpy(batch->id + batch->tokens, pack->prompt.at + from, (size_t)length * sizeof *batch->id);
        for (int32_t t = 0; t < length; t++) {
            batch->position[batch->tokens + t] = t;
        }
        batch->tokens += length;
        batch->start[k + 1] = batch->tokens;
        batch->parent[k] = -1;
    }
    return batch;
}

zo_credit zo_dataset_credit(const zo_dataset *dataset, zo_split split, int32_t index, const char *answer)
{
    const zo_pack *pack = &dataset->split[split].pack;
    const char *gold[ZO_TASK_CLASSES];
    int32_t ints, n = 0;
    example_at(dataset, split, index);
    const char *at = (const char *)(pack->gold.at + part_at(&pack->gold_end, index, &ints)), *end = at + (size_t)ints * sizeof(int32_t);
    for (; at < end && *at; at += strlen(at) + 1) { /* what is left of the last int is zeros */
        gold[n++] = at;
    }
    return zo_answer_credit(answer, gold, n);
}

zo_batch *zo_dataset_free_batch(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n)
{
    ZO_CHECK(dataset->calibrated, "a batch without content asked of a dataset that is not calibrated");
    int32_t size = zo_dataset_size(dataset, split), *behind = batch_ints(n);
    for (int32_t k = 0; k < n; k++) {
        behind[k] = size + index[k];
    }
    zo_batch *batch = sizes_of(dataset, split, behind, n).scores > 0 ? zo_dataset_batch(dataset, split, behind, n) : NULL;
    zo_free(behind);
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
        zo_stream s = {.seed = seed, .tensor = STREAM_BATCHES, .step = (uint32_t)epoch, .query = order->number, .role = ZO_ROLE_DATA};
        zo_shuffle(s, order->row, train_size);
    }
    memcpy(index, order->row + first, (size_t)n * sizeof *index);
    zo_free(own.row);
    return n;
}

/* ---- fingerprints --------------------------------------------------------------------------------------------------------- */

static uint64_t add_text(uint64_t print, const char *text)
{
    return text ? zo_fnv1a(zo_fnv1a(print, "+", 1), text, strlen(text) + 1) : zo_fnv1a(print, "-", 1);
}

static uint64_t add_number(uint64_t print, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return add_text(print, text);
}

static uint64_t add_fields(uint64_t print, const zo_record *record)
{
    for (int32_t k = 0; record->own && !record->own->credit && k < record->own->n; k++) {
        print = add_text(print, record->own->text[k]);
    }
    for (int f = 0; f < ZO_TASK_FIELDS; f++) {
        print = add_text(print, record->field[f]);
    }
    return print;
}

zo_status zo_dataset_fingerprint(const zo_dataset_spec *spec, uint64_t *print, zo_err *err)
{
    zo_err own;
    zo_task_rows rows;
    err = err ? err : &own;
    *print = 0;
    zo_task_file own_task;
    const zo_task *task = zo_task_find(spec->task, &own_task, err);
    if (!task || zo_rows_open(&rows, task, spec, err)) {
        return err->status;
    }
    uint64_t sum = ZO_FNV_START;
    if (spec->calibration != ZO_CALIBRATE_NONE) {
        sum = add_text(add_number(sum, spec->calibration), task->free_prompt);
    }
    for (int s = 0; s < ZO_SPLITS; s++) {
        sum = add_number(sum, rows.n[s]);
        for (int32_t k = 0; k < rows.n[s]; k++) {
            const zo_record *record = zo_rows_at(&rows, (zo_split)s, k);
            sum = add_number(sum, record->label);
            sum = task->scores ? zo_fnv1a(sum, &record->share, sizeof record->share) : sum;
            sum = add_fields(sum, record);
            for (int64_t d = 0; rows.shown[s] && d < spec->demonstrations; d++) {
                const zo_record *demonstration = zo_rows_shown(&rows, (zo_split)s, k, d, spec->demonstrations);
                sum = add_fields(add_number(sum, demonstration->label), demonstration);
            }
        }
    }
    zo_rows_close(&rows);
    *print = sum;
    return ZO_OK;
}

zo_status zo_task_fingerprint(const char *name, bool ranks_options, uint64_t *print, zo_err *err)
{
    zo_err ignored;
    zo_task_file own_task;
    err = err ? err : &ignored;
    *print = 0;
    const zo_task *task = zo_task_find(name, &own_task, err);
    if (!task) {
        return err->status;
    }
    const int number[] = {task->info.classes, task->texts, task->pair_of[0], task->pair_of[1], task->first_limit, task->teacher_forcing};
    uint64_t sum = add_text(ZO_FNV_START, task->info.name);
    for (size_t k = 0; k < sizeof number / sizeof *number; k++) {
        sum = add_number(sum, number[k]);
    }
    bool prompt = !task->own_prompt || ranks_options; /* one of our own came later than rows of the other forms */
    sum = add_text(add_text(sum, task->mask_template), prompt ? task->prompt : NULL);
    for (int c = 0; c < CLASSES_OLD || c < task->info.classes; c++) {
        sum = add_text(add_text(add_text(sum, task->label[c]), task->mask_word[c]), prompt ? task->option[c] : NULL);
    }
    sum = task->younger ? add_text(sum, task->younger) : sum;
    *print = task->answer_tokens > 0 ? add_number(sum, task->answer_tokens) : sum;
    return ZO_OK;
}

/* ---- metrics -------------------------------------------------------------------------------------------------------------- */

const char *zo_metric_name(zo_metric metric)
{
#define ZO_METRIC(id, name) #name,
    static const char *const name[ZO_METRICS] = {ZO_METRIC_LIST(ZO_METRIC)};
#undef ZO_METRIC
    ZO_CHECK((unsigned)metric < ZO_METRICS, "metric %d", (int)metric);
    return name[metric];
}

const char *zo_metric_fault(zo_metric metric, const zo_task_info *task)
{
    switch (metric) {
    case ZO_EXACT_MATCH:
    case ZO_TOKEN_F1:
        return task->classes == 0 ? NULL : "of answers in words";
    case ZO_ACCURACY:
        return task->writes ? "of choices, and here a model writes" : NULL;
    case ZO_PEARSON:
    case ZO_SPEARMAN:
        return task->scores ? NULL : "of scores (regression)";
    case ZO_F1:
    case ZO_MACRO_F1:
    case ZO_MATTHEWS:
        return task->scores ? "of classes, and each row has a score" : task->classes == 0 ? "of classes, of which there are none" : NULL;
    default:
        return NULL;
    }
}

/* ZO_CREDITS of a candidate of an example. */
static const int32_t *credit_of(const zo_dataset *dataset, zo_split split, int32_t index, int32_t option)
{
    const zo_packed *e = example_at(dataset, split, index);
    ZO_CHECK(option >= 0 && option < e->options, "option %d of %d", option, e->options);
    return dataset->split[split].pack.credit.at + (e->option + option) * ZO_CREDITS;
}

bool zo_dataset_right(const zo_dataset *dataset, zo_split split, int32_t index, int32_t choice)
{
    return dataset->classes > 0 ? choice == zo_dataset_label(dataset, split, index) : credit_of(dataset, split, index, choice)[ZO_CREDIT_RIGHT] != 0;
}

static void add_credit(const int32_t *credit, double weight, double metric[ZO_METRICS])
{
    zo_credit c = {.shared = credit[ZO_CREDIT_SHARED], .words = credit[ZO_CREDIT_WORDS]};
    metric[ZO_ACCURACY] += weight * (credit[ZO_CREDIT_RIGHT] != 0);
    metric[ZO_EXACT_MATCH] += weight * (credit[ZO_CREDIT_EXACT] != 0);
    metric[ZO_TOKEN_F1] += weight * zo_credit_f1(&c);
}

/* The three metrics of a task whose rows bring their candidates; choice NULL: each candidate as likely. */
static void credit_metrics(const zo_dataset *dataset, zo_split split, const int32_t *choice, double metric[ZO_METRICS])
{
    int32_t n = zo_dataset_size(dataset, split);
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] = n > 0 && (m == ZO_ACCURACY || m == ZO_EXACT_MATCH || m == ZO_TOKEN_F1) ? 0 : NAN;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t options = example_at(dataset, split, i)->options;
        for (int32_t o = choice ? choice[i] : 0; o < (choice ? choice[i] + 1 : options); o++) {
            add_credit(credit_of(dataset, split, i, o), choice ? 1 : 1.0 / options, metric);
        }
    }
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] /= n;
    }
}

static int32_t *labels_of(const zo_dataset *dataset, zo_split split)
{
    int32_t n = zo_dataset_size(dataset, split), *label = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *label);
    for (int32_t i = 0; i < n; i++) {
        label[i] = zo_dataset_label(dataset, split, i);
    }
    return label;
}

bool zo_dataset_scores(const zo_dataset *dataset)
{
    return dataset->scores;
}

float zo_dataset_share(const zo_dataset *dataset, zo_split split, int32_t index)
{
    return example_at(dataset, split, index)->share;
}

double zo_pearson(const double *x, const double *y, int32_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int32_t i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int32_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    double r = xy / sqrt(xx) / sqrt(yy); /* 0 / 0 where a side is constant */
    bool varies = false, also = false;
    for (int32_t i = 1; i < n; i++) { /* rounding leaves a constant side a sum above 0 */
        varies = varies || x[i] != x[0];
        also = also || y[i] != y[0];
    }
    return varies && also && isfinite(r) ? fmax(-1, fmin(1, r)) : NAN;
}

typedef struct ranked { double value; int32_t at; } ranked;

static int by_value(const void *a, const void *b)
{
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* rank (n): from 1, of equal values the mean. */
static void ranks_of(const double *x, int32_t n, double *rank)
{
    ranked *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *order);
    for (int32_t i = 0; i < n; i++) {
        order[i] = (ranked){.value = x[i], .at = i};
    }
    qsort(order, (size_t)n, sizeof *order, by_value);
    for (int32_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && order[j].value == order[i].value;) {
            j++;
        }
        for (int32_t k = i; k < j; k++) {
            rank[order[k].at] = (i + 1 + j) / 2.0;
        }
    }
    zo_free(order);
}

double zo_spearman(const double *x, const double *y, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) {
            return NAN;
        }
    }
    double *rank = zo_alloc(ZO_HOST, ZO_TAG_DATA, (2 * (size_t)n + 1) * sizeof *rank);
    ranks_of(x, n, rank);
    ranks_of(y, n, rank + n);
    double r = zo_pearson(rank, rank + n, n);
    zo_free(rank);
    return r;
}

static void score_metrics(const zo_dataset *dataset, zo_split split, const int32_t *choice, const double *share, double metric[ZO_METRICS])
{
    int32_t n = zo_dataset_size(dataset, split), right = 0;
    double *gold = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *gold);
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] = NAN;
    }
    for (int32_t i = 0; i < n; i++) {
        gold[i] = (double)zo_dataset_share(dataset, split, i);
        right += choice[i] == zo_dataset_label(dataset, split, i);
    }
    if (n > 0) {
        metric[ZO_ACCURACY] = (double)right / n;
        metric[ZO_PEARSON] = zo_pearson(share, gold, n);
        metric[ZO_SPEARMAN] = zo_spearman(share, gold, n);
    }
    zo_free(gold);
}

void zo_dataset_metrics(const zo_dataset *dataset, zo_split split, const int32_t *choice, const double *share, double metric[ZO_METRICS])
{
    if (dataset->classes == 0) {
        credit_metrics(dataset, split, choice, metric);
        return;
    }
    if (dataset->scores) {
        score_metrics(dataset, split, choice, share, metric);
        return;
    }
    int32_t *label = labels_of(dataset, split);
    zo_metrics(choice, label, zo_dataset_size(dataset, split), (int)dataset->classes, metric);
    zo_free(label);
}

void zo_chance(const int32_t *label, int32_t n, int classes, double metric[ZO_METRICS])
{
    double random = 1.0 / classes, sum = 0;
    int occurring = 0;
    int64_t *count = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)classes * sizeof *count);
    for (int32_t i = 0; i < n; i++) {
        if (label[i] >= 0 && label[i] < classes) {
            count[label[i]]++;
        }
    }
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] = NAN;
    }
    if (n > 0) {
        for (int c = 0; c < classes; c++) {
            double share = (double)count[c] / n, f1 = 2 * share * random / (share + random);
            occurring += count[c] > 0;
            sum += f1;
            if (c == 1 && classes == 2) {
                metric[ZO_F1] = f1;
            }
        }
        metric[ZO_ACCURACY] = random;
        metric[ZO_MACRO_F1] = occurring > 0 ? sum / occurring : NAN;
        metric[ZO_MATTHEWS] = 0;
    }
    zo_free(count);
}

void zo_dataset_chance(const zo_dataset *dataset, zo_split split, double metric[ZO_METRICS])
{
    if (dataset->answer_tokens > 0) {
        for (int m = 0; m < ZO_METRICS; m++) {
            metric[m] = m == ZO_EXACT_MATCH || m == ZO_TOKEN_F1 ? 0 : NAN;
        }
        return;
    }
    if (dataset->classes == 0) {
        credit_metrics(dataset, split, NULL, metric);
        return;
    }
    int32_t *label = labels_of(dataset, split), n = zo_dataset_size(dataset, split);
    zo_chance(label, n, (int)dataset->classes, metric);
    zo_free(label);
    if (dataset->scores && n > 0) {
        metric[ZO_F1] = metric[ZO_MACRO_F1] = metric[ZO_MATTHEWS] = NAN;
        metric[ZO_PEARSON] = metric[ZO_SPEARMAN] = 0;
    }
}

void zo_metrics(const int32_t *choice, const int32_t *label, int32_t n, int classes, double metric[ZO_METRICS])
{
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] = NAN;
    }
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
    if (classes == 2) {
        metric[ZO_F1] = chosen[1] + labelled[1] > 0 ? 2.0 * (double)right[1] / (double)(chosen[1] + labelled[1]) : 0;
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
