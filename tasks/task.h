/* task.h: text in, (token spans, options, label) out; splits, templates, metric. A task is a description in
 * JSON (docs/tasks.md) or, where text is prepared, a C file and a line in list.h. Tasks know the tokenizer and the batch; they know nothing of transformers or optimizers. */
#ifndef ZO_TASKS_TASK_H
#define ZO_TASKS_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "tasks/answers.h"
#include "text/batch.h"
#include "text/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_form { ZO_FORM_HEAD, ZO_FORM_PROMPT } zo_form;
typedef enum zo_split { ZO_TRAIN, ZO_DEV, ZO_TEST, ZO_SPLITS } zo_split;

/* How train / dev / test are taken from the task's files; recorded in every row. What `permutation` draws is numpy's
 * RandomState(seed).permutation (tasks/numpy_draw.h), so that the rows are those of the papers' code.
 *   DRAWN  a permutation of the official train file by a stream of our own: first `train`, then `dev`, each in proportion where there are
 *          too few; test = the official validation file, cut by a permutation when it is longer
 *   FIRST  train = the first rows of the train file, dev = the first rows of the validation file, test = the rows after those
 *          (MeZO-SVRG's released code: 512/256; its paper: 512/256/256)
 *   KSHOT  the LM-BFF folders <kshot_folder>/TASK/<k>-<train_split_seed> (MeZO on RoBERTa); test = the folder's test file. Fewer rows
 *          than a file has are the first of its permutation, of test by test_split_seed (LM-BFF's k-shot-1k-test: 1000 by 42).
 *          Where the folder is not there and the train file is, train and dev are drawn from it as LM-BFF's tool draws them, and the note
 *          says so
 *   MEZO   MeZO on OPT: the first train + dev of permutation(train_split_seed) of the train file, dev is their end and is served first
 *          where there are too few (CB and COPA: 1000 and 100 of 250 and 400); test = the first of permutation(test_split_seed) of the
 *          validation file, where MeZO has one seed for both
 * Where a task says that its train file is not to be had (boolq), DRAWN and MEZO take test and then train and dev out of the validation
 * file, without overlap, and the note says so. */
typedef enum zo_split_scheme { ZO_SPLIT_DRAWN, ZO_SPLIT_FIRST, ZO_SPLIT_KSHOT, ZO_SPLIT_MEZO } zo_split_scheme;

/* What MeZO's code takes off the log-probability of an option: nothing; that of the same option behind a prompt without content (its --sfc, after
 * Holtzman et al. 2021, "surface form competition"); the same with the demonstrations in front (its --icl_sfc). */
typedef enum zo_calibration { ZO_CALIBRATE_NONE, ZO_CALIBRATE_SFC, ZO_CALIBRATE_ICL_SFC } zo_calibration;

typedef struct zo_dataset_spec {
    const char *task;       /* "sst2", "synth-sentiment", ..., or the path of a description ("./mine.json", docs/tasks.md) */
    zo_form form;
    const char *data_dir;   /* the layout of shared/data; NULL for synthetic tasks */
    zo_tokenizer *tokenizer; /* borrowed until zo_dataset_open returns; not const because it keeps a cache */
    bool causal;            /* decoder model: HEAD reads the last token, PROMPT ranks options; encoder: CLS, label words at the mask */
    int64_t context;        /* most tokens of a sequence; longer ones are cut as the papers do (the prompt's left end for causal,
                               the longer sentence first for encoders), and counted in `truncated` */
    bool fill;              /* every sequence is brought to exactly `context` tokens by repeating its text (memory studies only) */
    zo_split_scheme scheme;
    uint64_t train_split_seed, test_split_seed; /* of train and dev; of test. KSHOT and MEZO: below 2^32 */
    int64_t k;                /* KSHOT: rows a class in the folder's name (16, 512), >= 1 */
    const char *kshot_folder; /* KSHOT: a folder below data_dir, "k-shot" or "k-shot-1k-test"; not NULL */
    int64_t count[ZO_SPLITS]; /* examples at most, 0 = none, -1 = all; zo_dataset_size says how many there are, which may be none */
    int64_t demonstrations;   /* in-context learning: training rows with their answers in front of each row of dev and test, 0 = none; PROMPT of causal
                                 models alone. Drawn as MeZO's code draws them: each row has a set of its own, the first of a permutation of the training
                                 file (of KSHOT: of the folder's) by a seed out of [0, 10000), which seed 0 draws */
    bool demonstrate_once;    /* the same demonstrations before every row: the first of numpy's permutation by train_split_seed (MeZO's --train_set_seed) */
    zo_calibration calibration; /* NONE, or PROMPT of causal models alone: zo_dataset_free_batch */
    bool identify;            /* zo_dataset_source and _text are asked of dev and test */
    bool evaluate_only;       /* nothing is trained: train is empty, and its file is read only where dev comes out of it */
    bool writes_train;        /* of a task whose answers the model writes: training rows have prompts and right answers too (zo_dataset_prompts, _credit) */
} zo_dataset_spec;

/* F1 is that of class 1, as GLUE's and the papers' for MRPC: tasks of two classes only. MACRO_F1 is the mean over classes (CB).
 * EXACT_MATCH and TOKEN_F1 are of answers in words (tasks/answers.h), the mean over examples of the most over its right answers (ReCoRD). PEARSON and
 * SPEARMAN are correlations of scores with gold scores, for regression. X(enumerator, name in configs, columns and titles). */
#define ZO_METRIC_LIST(X)       \
    X(ACCURACY, accuracy)       \
    X(F1, f1)                   \
    X(MACRO_F1, macro_f1)       \
    X(MATTHEWS, matthews)       \
    X(EXACT_MATCH, exact_match) \
    X(TOKEN_F1, token_f1)       \
    X(PEARSON, pearson)         \
    X(SPEARMAN, spearman)
typedef enum zo_metric {
#define ZO_METRIC(id, name) ZO_##id,
    ZO_METRIC_LIST(ZO_METRIC)
#undef ZO_METRIC
    ZO_METRICS
} zo_metric;
#define ZO_METRIC_CHOICES "accuracy|f1|macro_f1|matthews|exact_match|token_f1|pearson|spearman" /* the same, of a zo_opt */
const char *zo_metric_name(zo_metric metric);

typedef struct zo_dataset zo_dataset; /* opaque: encoded examples of three splits */

zo_status zo_dataset_open(zo_dataset **dataset, const zo_dataset_spec *spec, zo_err *err);
void zo_dataset_close(zo_dataset *dataset);

zo_head zo_dataset_head(const zo_dataset *dataset);
int zo_dataset_classes(const zo_dataset *dataset);           /* CLASS and WORDS; the labels' number for options, 0 where rows bring their own */
const int32_t *zo_dataset_words(const zo_dataset *dataset);  /* (classes) label-word ids for WORDS, else NULL */
int32_t zo_dataset_size(const zo_dataset *dataset, zo_split split);
/* Sequences that were cut to the context or by the template's own limit (every option of an example is one); of all splits, and of one. */
int64_t zo_dataset_truncated(const zo_dataset *dataset);
int64_t zo_dataset_truncated_in(const zo_dataset *dataset, zo_split split);
int64_t zo_dataset_longest(const zo_dataset *dataset, zo_split split); /* tokens of the longest packed example */
int64_t zo_dataset_tokens(const zo_dataset *dataset, zo_split split, int32_t index); /* and of one: what a batch packs, and a pass runs, for it */
/* The label that a batch carries: the class, or the right option's index among the options that the batch has. */
int32_t zo_dataset_label(const zo_dataset *dataset, zo_split split, int32_t index);
/* Of an identified dataset, dev and test: which row of which file, "glue/SST-2/dev.tsv#17" (the first is 1; of a synthetic task "synth-sentiment#17"), and
 * its first text. */
const char *zo_dataset_source(const zo_dataset *dataset, zo_split split, int32_t index);
const char *zo_dataset_text(const zo_dataset *dataset, zo_split split, int32_t index);
const char *zo_dataset_note(const zo_dataset *dataset);      /* e.g. "boolq: train drawn from the validation file, the train file is not there" */
/* Packed sizes, for reserve. */
typedef struct zo_sizes { int64_t tokens, seqs, rows, scores; } zo_sizes;
/* The largest of each over any batch of `n` distinct examples of a split (any at all when n > size): upper bounds, each of its own
 * worst batch. For a batch that is not known yet. The same of the examples at row (rows) alone, n of them or fewer. */
zo_sizes zo_dataset_bounds(const zo_dataset *dataset, zo_split split, int32_t n);
zo_sizes zo_dataset_bounds_of(const zo_dataset *dataset, zo_split split, const int32_t *row, int32_t rows, int32_t n);
/* Each of *most is raised to what the batch of the `n` examples index[] takes. */
void zo_dataset_measure(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n, zo_sizes *most);

/* A split's examples out of memory, into a file of $TMPDIR (or /tmp) that has no name and ends with the process, and back, and out again:
 * what an evaluation reads is held while it reads it. While they are away only zo_dataset_size, _truncated and _longest of the split may be
 * asked. What is where it shall be stays there. ZO_EIO where the file cannot be written; that it cannot be read again dies. */
zo_status zo_dataset_put_away(zo_dataset *dataset, zo_split split, zo_err *err);
void zo_dataset_fetch(zo_dataset *dataset, zo_split split);

/* Pack `n` examples (indices into the split) into a new batch. Options of one example share their longest common prefix as a
 * parent sequence; the last token of an option, whose output nobody reads, is not run. Tasks of teacher forcing (copa:
 * ZO_HEAD_SPAN) put the right option alone into batches of ZO_TRAIN, because MeZO trains on it alone, and all options into batches
 * of the other splits, where prediction compares them. The caller frees it. */
zo_batch *zo_dataset_batch(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n);

/* Of a task whose answers the model writes: how many tokens at most, and the tokens that end one; 0 of another task. */
int32_t zo_dataset_answer_tokens(const zo_dataset *dataset);
int zo_dataset_answer_ends(const zo_dataset *dataset, const int32_t **end);
/* And of examples that are evaluated, or trained on where the spec says writes_train: the tokens that an answer is written behind, a sequence each, in a batch that
 * asks for nothing (the caller frees it); how many these are, and what such a batch takes in the ledger (DATA); and what an answer in words is worth beside the
 * right ones. Behind a row of training the answer is written where its right one stood when both were cut to the context (MeZO's code, --non_diff). */
zo_batch *zo_dataset_prompts(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n);
int64_t zo_dataset_prompt_tokens(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n);
uint64_t zo_prompts_bytes(int64_t tokens, int64_t n);
zo_credit zo_dataset_credit(const zo_dataset *dataset, zo_split split, int32_t index, const char *answer);
/* Of a calibrated dataset, dev and test: the options of the same examples behind the prompt without content, in the same order. An option whose first token
 * nothing predicts has no score. NULL: none of the batch has one, as of "Yes" and "No" behind nothing where the tokenizer puts no token in front. */
zo_batch *zo_dataset_free_batch(const zo_dataset *dataset, zo_split split, const int32_t *index, int32_t n);

/* What the batch of n examples of at most this size takes in the ledger (DATA), at most. */
uint64_t zo_batch_bytes(const zo_sizes *size, int64_t n);

/* Order in which training examples are visited: epoch e is a Fisher-Yates permutation drawn from (seed, e); a batch may span two
 * epochs only at the end of one (the last, shorter batch of an epoch is dropped as DataLoader(drop_last) does not: it is kept and
 * is shorter, as HF Trainer). index gets the rows of step `step` (from 0) for batch size b; returns how many. A pure function: `kept` only
 * spares drawing an epoch's permutation at each of its steps. It is {0} at first, serves one seed and one train_size, and its owner
 * frees `row`; NULL = draw it anew. Orders of another `number` are other draws: of several that one run has. */
typedef struct zo_order { int32_t *row; int64_t epoch; uint32_t number; } zo_order; /* row (train_size) */
int32_t zo_batch_order(uint64_t seed, int32_t train_size, int32_t b, int64_t step, zo_order *kept, int32_t *index);

/* Content hashes (64-bit FNV-1a), to tell whether a result is of the same data and the same task. Of the rows: their labels and texts as
 * read, split by split in order; nothing is encoded, spec->tokenizer may be NULL. Of a task, by its name or path: its name, templates, label
 * words, spellings, fields and limits. Files and columns are not of it: the rows tell. Nor is a causal prompt that no paper has, but where it is
 * what the run uses (`ranks_options`: form prompt, causal model). */
zo_status zo_dataset_fingerprint(const zo_dataset_spec *spec, uint64_t *print, zo_err *err);
zo_status zo_task_fingerprint(const char *task, bool ranks_options, uint64_t *print, zo_err *err);

/* metric[m] of choices against labels over `classes` classes, as scikit-learn defines them: classes that occur in neither are left
 * out of macro-F1, an F1 of a class never chosen rightly is 0, and Matthews (any number of classes: Gorodkin's R_K) is 0 when one
 * side is constant. F1 is NaN with more than two classes, all are for n = 0. A choice outside the classes is wrong. */
void zo_metrics(const int32_t *choice, const int32_t *label, int32_t n, int classes, double metric[ZO_METRICS]);
/* Of all examples of a split: choice (zo_dataset_size). Where rows bring their candidates, accuracy is the share of choices that are one of the
 * right ones, as MeZO counts. Of regression share (zo_dataset_size) is the score that was predicted, from 0 to 1, and accuracy is of the sides of the
 * middle; else it is not read. What the task has not is NaN. */
void zo_dataset_metrics(const zo_dataset *dataset, zo_split split, const int32_t *choice, const double *share, double metric[ZO_METRICS]);
bool zo_dataset_scores(const zo_dataset *dataset); /* is it regression */
float zo_dataset_share(const zo_dataset *dataset, zo_split split, int32_t index); /* of regression: the gold score, from 0 (the least) to 1 */
/* Pearson's r of x (n) and y (n), and Spearman's: Pearson's of their ranks, equal values having the mean of theirs (as scipy's). Sums are float64 about the
 * means. NaN for n < 2, and where either side has one value alone or one that is not finite. */
double zo_pearson(const double *x, const double *y, int32_t n);
double zo_spearman(const double *x, const double *y, int32_t n);
bool zo_dataset_right(const zo_dataset *dataset, zo_split split, int32_t index, int32_t choice);
/* What choosing classes at random gives on such labels, on average: accuracy 1/C, an F1 of 2 p (1/C) / (p + 1/C) where the class has
 * the share p (macro: their mean over classes that occur), Matthews 0. */
void zo_chance(const int32_t *label, int32_t n, int classes, double metric[ZO_METRICS]);
/* That of a split; where rows bring their candidates, each of a row's is as likely as any other of it. What is
 * written at random is never right. */
void zo_dataset_chance(const zo_dataset *dataset, zo_split split, double metric[ZO_METRICS]);

typedef struct zo_task_info {
    const char *name, *title;
    bool needs_data;
    zo_metric headline;        /* what GLUE, LM-BFF and MeZO report: F1 for MRPC, Matthews for CoLA, accuracy for the others */
    int classes;               /* 0: each row brings its candidates, or the model writes the answer; of regression 2, the two ends */
    bool writes;               /* the model writes the answer */
    bool scores;               /* regression: a score in place of a class */
    bool has_head, has_prompt; /* has_prompt: one of the two below */
    const char *files;         /* what it reads below the data folder; NULL for synthetic tasks */
    bool has_mask_prompt;      /* for encoders */
    bool has_option_prompt;    /* for causal models */
    bool own_option_prompt;    /* that one is of this program; no paper has it */
} zo_task_info;
/* Why a task cannot be scored by a metric, as the rest of "... is"; NULL = it can. F1 of more than two classes is not asked here. */
const char *zo_metric_fault(zo_metric metric, const zo_task_info *task);
int zo_task_list(const zo_task_info **list); /* all tasks of the program, for `zo list tasks` and did-you-mean */
/* Of a task by its name, or by the path of its description, which is read and checked: what ends with ".json" or has a slash. The texts of a
 * path's are good until the next call. */
zo_status zo_task_info_of(const char *task, zo_task_info *info, zo_err *err);

/* Whether a file of this name (its end says how it is written) is one that a task may read. */
bool zo_task_reads(const char *file);

/* Synthetic language (tasks/synth.c), generated by seed, no data needed. Writes config-free tokenizer files (vocab.txt,
 * tokenizer_config.json) of the language into `folder`, so that the ordinary tokenizer reads it. */
zo_status zo_synth_write_tokenizer(const char *folder, zo_err *err);
/* A corpus for pretraining: `sentences` lines in one zo_alloc'd text (DATA), '\n' after each. They are other draws than the tasks' rows,
 * but of the same language, and each says its verdict in words ("it was great ."): what a synthetic task asks has been seen. */
char *zo_synth_corpus(uint64_t seed, int64_t sentences, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
