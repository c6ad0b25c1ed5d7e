/* task_impl.h: what a task file describes, and what the readers and the encoder share. Private to tasks/.
 *
 * A task is a zo_task value: where its rows are, how labels are spelled, and its three forms as data:
 *   head      the texts through the tokenizer's own template; a classification head reads the first (encoder) or last token
 *   mask      an LM-BFF template and label words (encoders) (MeZO's medium models)
 *   options   a prompt and its options (causal models), MeZO's large models */
#ifndef ZO_TASKS_TASK_IMPL_H
#define ZO_TASKS_TASK_IMPL_H

#include "tasks/answers.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ZO_TASK_FIELDS = 5,
    ZO_TASK_CLASSES = 128,
    ZO_TASK_CHOICES = 32,    /* of files of one part */
    ZO_TASK_KEY_BYTES = 64,  /* of a column's name, NUL included */
    ZO_TASK_WORD_BYTES = 63, /* of a label word, NUL included: a space goes before it */
    ZO_TASK_COLUMNS = 64,    /* of a file of columns */
    ZO_TASK_LEVELS = 3,      /* of lists inside lists whose elements are rows */
    ZO_TASK_PARTS = 16       /* pieces of a mask template */
};

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

/* Candidates of a row that brings its own (ReCoRD's entities). At least one is right. Of a task that generates: the right answers alone, without credit. */
typedef struct zo_candidates {
    int32_t n;           /* 1 to ZO_TASK_CLASSES */
    const char **text;   /* (n) UTF-8 */
    zo_credit *credit;   /* (n) or NULL; what each is worth beside the right ones */
    bool *right;         /* (n) */
} zo_candidates;

typedef struct zo_record {
    char *field[ZO_TASK_FIELDS]; /* UTF-8 texts, NULL beyond the task's; owned by the table */
    zo_candidates *own;          /* of a task whose rows bring their candidates, else NULL; the table's */
    const char *file;            /* the file below the data folder; NULL: made here. The table's */
    int32_t number;              /* of the row in that file, from 1 */
    int32_t label;               /* the class, or of candidates the first right answer's; of a score its side of the middle, which is 1's */
    float share;                 /* of a score: 0 for the least there can be, 1 for the most */
} zo_record;

typedef struct zo_table {
    zo_record *record; /* (n) */
    int64_t n, room;
    char **block;      /* storage of the texts */
    int blocks, block_room;
    size_t used, size; /* of the last block */
    const char *file;  /* that rows are being read from, below the data folder */
    int32_t number;    /* of the row that was read last */
    const char *note;  /* said in the dataset's note: what `finish` did to the rows; NULL = nothing */
    int64_t left_out;  /* rows of the files that are no rows here: their label is one of zo_task.left_out, they are too short in a ragged file, or
                        * a text of theirs is empty in one that has such rows */
} zo_table;

void zo_table_free(zo_table *table);
zo_record *zo_table_add(zo_table *table);
/* `bytes` writable bytes + a NUL that live as long as the table. */
char *zo_table_text(zo_table *table, const char *text, size_t bytes);
/* The same of zeroed memory for anything. */
void *zo_table_room(zo_table *table, size_t bytes);
/* The same from a format. */
char *zo_table_printf(zo_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ZO_LAST_COLUMN "#last"

typedef enum zo_format {
    ZO_FORMAT_END = 0,
    ZO_FORMAT_TSV,       /* tab-separated; a column is named by its header, or "#3" in a file without header. GLUE's files quote nothing;
                            a file in which every quote is one of CSV's (pandas, to_csv(sep="\t")) is read so (read.c) */
    ZO_FORMAT_CSV,       /* comma-separated with "..." around fields that need it, line feeds too; columns as in TSV */
    ZO_FORMAT_JSONL,     /* an object a line, or all of them in one list; the file may be named .json too; "target.span1_text" goes down into an object. Of keys and columns "a|b" is a or, where that is
                            not there, b */
    ZO_FORMAT_JSON_MAP,  /* one object of objects: {"0": {...}, "1": {...}} */
    ZO_FORMAT_LABEL_TEXT, /* label, one space, text: "#0" and "#1" */
    ZO_FORMAT_JSON_TREE  /* one object, in whose lists (zo_source.each) the rows are: {"data": [{"paragraphs": [...]}]} */
} zo_format;

/* Which rows a file holds. The KSHOT parts' paths are below the k-shot folder, with "<k>-<seed>" at their `@`. */
typedef enum zo_file_part { ZO_FILE_TRAIN, ZO_FILE_VALIDATION, ZO_FILE_KSHOT_TRAIN, ZO_FILE_KSHOT_DEV, ZO_FILE_KSHOT_TEST, ZO_FILE_PARTS } zo_file_part;

typedef enum zo_empty { ZO_EMPTY_REFUSE, ZO_EMPTY_DROP, ZO_EMPTY_KEEP } zo_empty;

typedef struct zo_source {
    zo_file_part part;
    int choice;        /* alternatives of a part, below ZO_TASK_CHOICES: of the lowest whose files are all there, all files are read in order */
    const char *path;  /* below the data folder, `.gz` permitted behind it */
    zo_format format;  /* ZO_FORMAT_END ends a list */
    const char *label; /* column or key; ZO_LAST_COLUMN = the last one of each row, in a ragged file */
    const char *field[ZO_TASK_FIELDS];
    const char *join[ZO_TASK_FIELDS]; /* of TSV and CSV: the column whose text goes behind it, after a space; NULL = none */
    const char *each[ZO_TASK_LEVELS]; /* of JSON: a list in each object, a list in each element of that: the elements of the last one are the rows, and a key
                        * that a row lacks is looked for in what it stands in; NULL ends it */
    const char *note;  /* said in the dataset's note when this file is read; NULL = nothing to say */
    char label_end;    /* a label ends before this character ("DESC:manner"); 0 = none */
    zo_empty empty;    /* what rows with an empty text are */
    const char *candidates; /* of JSON, in place of classes: a list in each row, of texts or of {"start", "end"}, characters of field[0] from 0, the last one
                             * too. Each text once, in order of their bytes. `label` is then the list of the right ones, texts or {"text"} */
    const char *answers[ZO_TASK_FIELDS]; /* of JSON, in place of classes: where the row's right answers are, in this order, the first of them the one that is
                             * trained on. "a.b" goes into each element of a list; an object is one text, its members with spaces between; "a|b" is b where a
                             * holds no text. NULL ends it, and `label` is the first */
    bool ragged;       /* of TSV and CSV: rows may have other numbers of columns than the header; those that lack one that is read are left out */
    const char *const *spelling; /* (classes): how labels are spelled here, where that is not the task's way; NULL = zo_task.label */
    /* After a row is read, before anything sees it: mends its fields, or refuses it (`where` is "file:line"); NULL = nothing. */
    zo_status (*finish)(zo_record *record, zo_table *table, const char *where, zo_err *err);
} zo_source;

/* The files that the `datasets` library writes of a task: to_json as .jsonl, to_csv as .csv; the validation split has three names. They are
 * choices of the parts from `first` on, six in all. */
enum { ZO_EXPORTS = 6 };
#define ZO_EXPORT(first, folder, ...)                                                                                                  \
    ZO_EXPORT_AS(first, folder, ".jsonl", .format = ZO_FORMAT_JSONL, __VA_ARGS__),                                                     \
        ZO_EXPORT_AS((first) + 3, folder, ".csv", .format = ZO_FORMAT_CSV, __VA_ARGS__)
#define ZO_EXPORT_AS(first, folder, extension, ...)                                                                                    \
    {.part = ZO_FILE_TRAIN, .choice = first, .path = folder "/train" extension, __VA_ARGS__},                                          \
        {.part = ZO_FILE_VALIDATION, .choice = first, .path = folder "/dev" extension, __VA_ARGS__},                                   \
        {.part = ZO_FILE_VALIDATION, .choice = (first) + 1, .path = folder "/validation" extension, __VA_ARGS__},                      \
        {.part = ZO_FILE_VALIDATION, .choice = (first) + 2, .path = folder "/val" extension, __VA_ARGS__}

struct zo_task;
/* Append the rows of one file, `path` itself; or of its text (bytes, and a NUL behind them), which is written to, `path` for messages. The
 * first error ends the reading. err is not NULL. */
zo_status zo_source_read(const struct zo_task *task, const zo_source *source, const char *path, zo_table *table, zo_err *err);
zo_status zo_source_parse(const struct zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err);

/* What makes JSON lines of a parquet file, which are not read here: of a printf with both paths. */
#define ZO_FROM_PARQUET "python3 -c \"import pandas; pandas.read_parquet('%s').to_json('%s.jsonl', orient='records', lines=True)\""

/* Is a text (of so many bytes) one of the spellings "a|b|c"? Is a key a column by number, "#3" ("#1 String" is a name)? */
bool zo_spelled_as(const char *spellings, const char *text, size_t bytes);
bool zo_is_column_number(const char *key);

/* ---- text as Python has it ---------------------------------------------------------------------------------------------- */

/* str.lstrip, str.rstrip: *text (of *n bytes of UTF-8) moves past the white space that str.isspace knows, at its front, at its end. */
void zo_strip_left(const char **text, size_t *n);
void zo_strip_right(const char *text, size_t *n);
/* str.lower of the first `n` bytes of a text, the rest as it is, and the first character of a text in upper case: one character for one,
 * into the table. */
char *zo_text_lower(zo_table *table, const char *text, size_t n);
char *zo_text_capital(zo_table *table, const char *text);

/* ---- tasks --------------------------------------------------------------------------------------------------------------- */

typedef struct zo_task {
    zo_task_info info;
    const char *label[ZO_TASK_CLASSES]; /* spellings of each class in the files, apart by '|' */
    const zo_source *source;            /* NULL for synthetic tasks */
    const char *left_out;               /* spellings of labels whose rows are left out, apart by '|' (SNLI's "-": no gold label); NULL = none */
    bool scores;                        /* rows have a score from score_least to score_most in place of a class: classes are its two ends */
    double score_least, score_most;
    bool train_from_validation;         /* where the training file is absent: all splits out of the validation file, and say so */
    /* synthetic tasks: append the rows of a part (ZO_FILE_TRAIN or _VALIDATION) */
    void (*generate)(zo_table *table, zo_file_part part);

    int texts;                          /* head form: field[0] alone (1) or the pair field[0], field[1] (2); 0 = no head form */
    int pair_of[2];                     /* the fields of the head form, when they are not 0 and 1 */

    const char *mask_template;          /* LM-BFF's language; NULL = no such form */
    const char *mask_word[ZO_TASK_CLASSES];
    int first_limit;                    /* most tokens of field 0 in the mask form (first_sent_limit); 0 = none */

    const char *prompt;                 /* option form: text with {0}..{4} for fields; NULL = no such form */
    const char *option[ZO_TASK_CLASSES]; /* what follows the prompt, same language; option c belongs to class c. Of a task with no classes (info.classes
                                          * 0) rows bring candidates, and option[0] with the candidate at {o} is each one's */
    const char *free_prompt;            /* in place of the prompt where options are calibrated: without content. NULL = nothing, as for most of MeZO's tasks */
    bool own_prompt;                    /* no paper has this prompt: it is of this program, and rows say so */
    unsigned strip;                     /* bit f: white space at both ends of field f goes before the option form */
    void (*prepare)(zo_record *record, zo_table *storage); /* after that; NULL = nothing */
    int answer_tokens;                  /* > 0: the answer is written by the model, at most so many tokens up to a line's end, and compared with the row's
                                         * (record.own); trained and asked for its loss on the first of them. 0: options are ranked */
    bool teacher_forcing;               /* trained on the right option alone (ZO_HEAD_SPAN) */
    const char *younger;                /* settings that came after the first rows, in words, for the fingerprint; NULL = all have their defaults */
} zo_task;

/* Why the encoder could not use a mask template, or a prompt or an option, of a task of so many texts, as the rest of a sentence that begins
 * with its key; NULL = nothing. */
const char *zo_mask_template_fault(const char *mask_template, int texts);
const char *zo_prompt_fault(const char *prompt, int texts);

/* ---- tasks described in JSON (docs/tasks.md) ------------------------------------------------------------------------------ */

enum { ZO_TASK_SOURCES = 96, ZO_TASK_SPELLINGS = 1024, ZO_TASK_TEXT_BYTES = 1 << 14 };

/* A task that was read from its description, with all that it points to: it stays where it was read. No byte is the ledger's, so that a
 * description takes nothing of what a run is measured by. */
typedef struct zo_task_file {
    zo_task task;
    zo_source source[ZO_TASK_SOURCES + 1];
    int sources;
    const char *spelling[ZO_TASK_SPELLINGS];
    int spellings;
    char text[ZO_TASK_TEXT_BYTES];
    size_t used;
} zo_task_file;

/* From text (bytes, and a NUL behind them), `path` for messages; or from the file. err is not NULL. */
zo_status zo_task_file_parse(zo_task_file *file, const char *text, size_t bytes, const char *path, zo_err *err);
zo_status zo_task_file_read(zo_task_file *file, const char *path, zo_err *err);

/* The descriptions that are part of the program, by name; the last has no text. The Makefile writes this table. */
typedef struct zo_task_text { const char *path, *text; } zo_task_text;
extern const zo_task_text zo_task_texts[];

/* A task by its name, or by the path of its description: what ends with ".json" or has a slash. That one is read into *own, which may be NULL
 * for a name. NULL: err says why, with a did-you-mean. */
const zo_task *zo_task_find(const char *task, zo_task_file *own, zo_err *err);

/* ---- rows of the splits ---------------------------------------------------------------------------------------------------- */

enum { ZO_NOTE_BYTES = 1000 };

typedef struct zo_task_rows {
    zo_table table[ZO_SPLITS + 1]; /* the last is that of the demonstrations */
    int32_t *shown[ZO_SPLITS];     /* (n, demonstrations) rows of that; NULL = none */
    int from[ZO_SPLITS];     /* the table that a split takes its rows from */
    int32_t *row[ZO_SPLITS]; /* (n): rows of that table */
    int32_t n[ZO_SPLITS];
    char note[ZO_NOTE_BYTES];
} zo_task_rows;

/* spec->tokenizer, form, causal and context are not read. On failure nothing is left to close. */
zo_status zo_rows_open(zo_task_rows *rows, const zo_task *task, const zo_dataset_spec *spec, zo_err *err);
void zo_rows_close(zo_task_rows *rows);
const zo_record *zo_rows_at(const zo_task_rows *rows, zo_split split, int32_t index);
/* Demonstration number `at` of a row. */
const zo_record *zo_rows_shown(const zo_task_rows *rows, zo_split split, int32_t index, int64_t at, int64_t demonstrations);

/* ---- encoded examples ---------------------------------------------------------------------------------------------------- */

/* A packed example, as it goes into a batch; all indices are relative to the example. */
typedef struct zo_packed {
    int64_t token, seq, row, score, option; /* where it begins in the pools */
    int32_t tokens, seqs, rows, scores, options;
    int32_t label;
    float share;
    int32_t paper_sequences;
    int64_t paper_tokens;
} zo_packed;

enum { ZO_CREDIT_RIGHT, ZO_CREDIT_EXACT, ZO_CREDIT_SHARED, ZO_CREDIT_WORDS, ZO_CREDITS }; /* of an option, in zo_pack.credit */

typedef struct zo_row_pool { int32_t *at; int64_t n, room; } zo_row_pool;
int32_t *zo_pool_add(zo_row_pool *pool, int64_t n); /* room for n more, counted in; valid until the next call */

typedef struct zo_pack {
    zo_packed *example; /* (n) */
    int64_t n, room;
    zo_row_pool id, position, type;  /* per token */
    zo_row_pool length, parent;      /* per sequence: tokens; parent's index in the example or -1 */
    zo_row_pool row;                 /* per row: token index in the example */
    zo_row_pool at, target;          /* per score */
    zo_row_pool option;              /* per option: number of scores */
    zo_row_pool prompt, prompt_end;  /* of a task that generates: tokens of the prompts alone; per example where its own end */
    zo_row_pool gold, gold_end;      /* and the right answers' bytes, each with a NUL behind it, four an int; per example where its own end, in ints */
    zo_row_pool credit;              /* per option of a task whose rows bring their candidates: right, exact, shared, words (tasks/answers.h) */
} zo_pack;
enum { ZO_POOLS = 14 };
void zo_pack_pools(zo_pack *pack, zo_row_pool *pool[ZO_POOLS]); /* all of them */
void zo_pack_free(zo_pack *pack);

typedef struct zo_encoder zo_encoder;
/* Checks that the task has the form for this kind of model and that label words are single tokens. */
zo_status zo_encoder_open(zo_encoder **encoder, const zo_task *task, const zo_dataset_spec *spec, zo_err *err);
void zo_encoder_close(zo_encoder *encoder);
zo_head zo_encoder_head(const zo_encoder *encoder);
const int32_t *zo_encoder_words(const zo_encoder *encoder); /* (classes) or NULL */
/* Of a task that generates: the tokens that end an answer. Returns how many, at most ZO_ENDS. */
enum { ZO_ENDS = 2 };
int zo_encoder_ends(const zo_encoder *encoder, int32_t end[ZO_ENDS]);
/* Append the options of an example behind the task's prompt without content (zo_dataset_free_batch). */
zo_status zo_encode_free(zo_encoder *encoder, const zo_record *record, const zo_record *const *shown, int64_t n, zo_pack *pack, zo_err *err);
/* Append one example; `gold_only`: the right option alone. Counts cut sequences in *truncated. shown (n): demonstrations that go before it, for a
 * head that ranks options; NULL = none. */
zo_status zo_encode(zo_encoder *encoder, const zo_record *record, bool gold_only, const zo_record *const *shown, int64_t n, zo_pack *pack, int64_t *truncated,
                    zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
