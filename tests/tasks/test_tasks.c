/* test_tasks.c: reading rows, splits, the three forms, batches, metrics, the synthetic language.
 *
 * Two tokenizers made here: the synthetic language's WordPiece for encoders, and one that gives a token a byte for causal models, so
 * that the texts of examples can be read back from batches. Real data are read where $ZO_TEST_DATA (../shared/data) is there. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/io.h"
#include "core/mem.h"
#include "tasks/numpy_draw.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/fuzz.h"
#include "tests/suite.h"

/* Rows that split seed 0 draws out of 300 and 80: they must stay for ever. */
enum { GOLDEN_TRAIN_0 = 286, GOLDEN_TRAIN_1 = 279, GOLDEN_DEV_0 = 58, GOLDEN_TEST_0 = 1077 };

static char folder[64]; /* scratch: data folders and tokenizers, removed at the end */
static zo_tokenizer *words, *bytes_plain, *bytes_bos;

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

/* ---- help ----------------------------------------------------------------------------------------------------------------- */

static void put(const char *name, const char *text)
{
    char path[512], parent[512];
    zo_err err = {0};
    zo_path_join(path, sizeof path, folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void forget(const char *name)
{
    char path[512];
    unlink(zo_path_join(path, sizeof path, folder, name));
}

/* A tokenizer.json whose tokens are the printable bytes, space (Ġ) and line feed (Ċ); ids: <s> 0, then ' ', '\n', '!' .. '~'. */
static zo_tokenizer *make_byte_tokenizer(bool bos)
{
    static char text[8192];
    static const char *const special[] = {"<s>"};
    size_t n = folder_byte_tokenizer(text, special, 1, bos ? 0 : -1);
    zo_tokenizer *t;
    zo_err err = {0};
    if (zo_tokenizer_parse(&t, text, n, "bytes", &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return t;
}

static char byte_of(int32_t id)
{
    return id == 0 ? '^' : id == 1 ? ' ' : id == 2 ? '\n' : (char)(id - 3 + '!');
}

static zo_dataset_spec spec_of(const char *task, zo_form form, bool causal)
{
    zo_dataset_spec s = {.task = task, .form = form, .data_dir = folder, .tokenizer = causal ? bytes_plain : words, .causal = causal, .context = 1024,
                         .scheme = ZO_SPLIT_DRAWN, .train_split_seed = 7, .test_split_seed = 7, .k = 16, .kshot_folder = "k-shot",
                         .count = {-1, 0, -1}};
    return s;
}

static zo_dataset *open_or_die(const zo_dataset_spec *spec)
{
    zo_dataset *d = NULL;
    zo_err err = {0};
    ck_assert_msg(zo_dataset_open(&d, spec, &err) == ZO_OK, "%s: %s", spec->task, err.text);
    return d;
}

static const char *open_error(const zo_dataset_spec *spec)
{
    static zo_err err;
    zo_dataset *d = NULL;
    memset(&err, 0, sizeof err);
    ck_assert_msg(zo_dataset_open(&d, spec, &err) != ZO_OK, "task %s opened, an error was expected", spec->task);
    ck_assert_ptr_null(d);
    ck_assert_int_ne(err.status, ZO_OK);
    ck_assert_msg(strchr(err.text, '\n') == NULL, "more than a line: %s", err.text);
    return err.text;
}

/* All the text that option o of example 0 of a batch is, its parent's tokens and its last target included; '|' before what is scored. */
static const char *option_text(const zo_batch *b, int32_t o, char *out)
{
    int32_t from = b->option_start[o], to = b->option_start[o + 1], n = to - from;
    /* The last scored row is the option's last token; walk back from its sequence to the parent. */
    int32_t last = b->row[b->at[to - 1]], seq = 0;
    while (b->start[seq + 1] <= last) {
        seq++;
    }
    char *at = out;
    int32_t run = last + 1 - b->start[seq] + (b->parent[seq] < 0 ? 0 : b->start[b->parent[seq] + 1] - b->start[b->parent[seq]]), done = 0;
    for (int32_t part = b->parent[seq] < 0 ? seq : b->parent[seq];; part = seq) {
        int32_t end = part == seq ? last + 1 : b->start[part + 1];
        for (int32_t t = b->start[part]; t < end; t++, done++) {
            ck_assert_int_eq(b->position[t], done);
            if (done == run + 1 - n) {
                *at++ = '|';
            }
            *at++ = byte_of(b->id[t]);
            if (done >= run - n) { /* the score that this row makes */
                ck_assert_int_eq(b->row[b->at[from + done - (run - n)]], t);
            }
        }
        if (part == seq) {
            break;
        }
    }
    if (n == 1) {
        *at++ = '|';
    }
    *at++ = byte_of(b->target[to - 1]);
    *at = '\0';
    for (int32_t s = from; s + 1 < to; s++) { /* each target but the last is the token after its row */
        ck_assert_int_eq(byte_of(b->target[s]), out[strlen(out) - (size_t)(to - s)]);
    }
    return out;
}

static zo_batch *batch_of(const zo_dataset *d, zo_split split, int32_t index)
{
    return zo_dataset_batch(d, split, &index, 1);
}

static const char *text_of(const zo_dataset *d, zo_split split, int32_t index)
{
    static char out[4096];
    zo_batch *b = batch_of(d, split, index);
    ck_assert(b->tokens < (int)sizeof out);
    for (int32_t t = 0; t < b->tokens; t++) {
        out[t] = byte_of(b->id[t]);
    }
    out[b->tokens] = '\0';
    zo_batch_free(b);
    return out;
}

static const char *words_of(zo_tokenizer *t, const zo_batch *b)
{
    static char out[4096];
    size_t n = 0;
    for (int32_t k = 0; k < b->tokens; k++) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", k ? " " : "", zo_tokenizer_token(t, b->id[k]));
    }
    return out;
}

/* What must hold for every batch. */
static void check_batch(const zo_dataset *d, zo_split split, const int32_t *index, int32_t n, int64_t context)
{
    zo_batch *b = zo_dataset_batch(d, split, index, n);
    ck_assert_int_eq(b->examples, n);
    ck_assert_int_eq(b->start[0], 0);
    ck_assert_int_eq(b->start[b->seqs], b->tokens);
    for (int32_t s = 0; s < b->seqs; s++) {
        int32_t parent = b->parent[s];
        ck_assert(b->start[s + 1] > b->start[s]);
        ck_assert(parent < s && parent >= -1);
        ck_assert(parent < 0 || b->parent[parent] == -1);
        int32_t first = parent < 0 ? 0 : b->start[parent + 1] - b->start[parent];
        for (int32_t t = b->start[s]; t < b->start[s + 1]; t++) {
            ck_assert_int_eq(b->position[t], first + t - b->start[s]);
            ck_assert(b->position[t] < context);
            ck_assert(b->id[t] >= 0);
        }
    }
    zo_head head = zo_dataset_head(d);
    if (head == ZO_HEAD_CLASS || head == ZO_HEAD_WORDS) {
        ck_assert_int_eq(b->rows, n);
        ck_assert_int_eq(b->seqs, n);
        ck_assert_int_eq(b->scores, 0);
    }
    for (int32_t r = 0; r < b->rows; r++) {
        ck_assert(b->row[r] >= 0 && b->row[r] < b->tokens);
        ck_assert(r == 0 || head == ZO_HEAD_SPAN || head == ZO_HEAD_OPTIONS || b->row[r] > b->row[r - 1]);
        for (int32_t q = 0; q < r; q++) {
            ck_assert_int_ne(b->row[r], b->row[q]);
        }
    }
    for (int32_t s = 0; s < b->scores; s++) {
        ck_assert(b->at[s] >= 0 && b->at[s] < b->rows && b->target[s] >= 0);
    }
    ck_assert_int_eq(b->option_start[b->options], b->scores);
    ck_assert_int_eq(b->example_start[n], b->options);
    for (int32_t o = 0; o < b->options; o++) {
        ck_assert(b->option_start[o + 1] > b->option_start[o]);
    }
    for (int32_t e = 0; e < n; e++) {
        int32_t choices = b->options ? b->example_start[e + 1] - b->example_start[e] : zo_dataset_classes(d);
        ck_assert(choices > 0 && b->label[e] >= 0 && b->label[e] < choices);
        ck_assert_int_eq(b->label[e], zo_dataset_label(d, split, index[e]));
    }
    ck_assert_int_eq(b->paper_sequences, b->options ? b->options : n);
    ck_assert(b->paper_tokens >= b->tokens);
    zo_sizes bound = zo_dataset_bounds(d, split, n), size = {0};
    ck_assert(b->tokens <= bound.tokens && b->seqs <= bound.seqs && b->rows <= bound.rows && b->scores <= bound.scores);
    zo_dataset_measure(d, split, index, n, &size);
    ck_assert(b->tokens == size.tokens && b->seqs == size.seqs && b->rows == size.rows && b->scores == size.scores);
    zo_batch_free(b);
}

static void check_all_batches(const zo_dataset *d, int64_t context)
{
    for (int s = 0; s < ZO_SPLITS; s++) {
        int32_t size = zo_dataset_size(d, (zo_split)s), index[16];
        for (int32_t first = 0; first < size && first < 256; first += 16) {
            int32_t n = 0;
            while (n < 16 && first + n < size) {
                index[n] = first + n;
                n++;
            }
            check_batch(d, (zo_split)s, index, n, context);
        }
    }
}

/* ---- metrics, order ------------------------------------------------------------------------------------------------------- */

START_TEST(metrics_by_hand)
{
    /* true 6 / false 4; tp 4, fn 2, fp 1, tn 3 */
    const int32_t label[10] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, choice[10] = {1, 1, 1, 1, 0, 0, 1, 0, 0, 0};
    double m[ZO_METRICS];
    zo_metrics(choice, label, 10, 2, m);
    ck_assert_double_eq_tol(m[ZO_ACCURACY], 0.7, 1e-15);
    ck_assert_double_eq_tol(m[ZO_MATTHEWS], (4.0 * 3 - 1 * 2) / sqrt(5.0 * 6 * 4 * 5), 1e-15);
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], 0.5 * (2.0 * 4 / (2 * 4 + 1 + 2) + 2.0 * 3 / (2 * 3 + 2 + 1)), 1e-15);
    ck_assert_double_eq_tol(m[ZO_F1], 2.0 * 4 / (2 * 4 + 1 + 2), 1e-15);
    /* three classes: F1 of 2/5, 4/5 and 0; R_K of (c s - sum p t) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)) */
    const int32_t label3[6] = {0, 0, 1, 1, 2, 2}, choice3[6] = {0, 1, 1, 1, 0, 0};
    zo_metrics(choice3, label3, 6, 3, m);
    ck_assert_double_eq_tol(m[ZO_ACCURACY], 0.5, 1e-15);
    ck_assert(isnan(m[ZO_F1]));
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], (2.0 / 5 + 4.0 / 5 + 0) / 3, 1e-15);
    ck_assert_double_eq_tol(m[ZO_MATTHEWS], (3 * 6 - (3 * 2 + 3 * 2)) / sqrt((36.0 - 18) * (36.0 - 12)), 1e-15);
    /* a class that is nowhere is left out; a choice outside is wrong; constants have no correlation */
    const int32_t same[4] = {1, 1, 1, 1}, out[4] = {1, 1, -1, 9};
    zo_metrics(same, same, 4, 5, m);
    ck_assert_double_eq(m[ZO_MACRO_F1], 1);
    ck_assert_double_eq(m[ZO_MATTHEWS], 0);
    zo_metrics(out, same, 4, 5, m);
    ck_assert_double_eq(m[ZO_ACCURACY], 0.5);
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], 2.0 * 2 / (2 + 4), 1e-15);
    /* a class that is chosen and no row has counts, and so does one that rows have and is never chosen: as scikit-learn's labels */
    const int32_t never[3] = {0, 0, 1}, chosen2[3] = {0, 2, 1};
    zo_metrics(chosen2, never, 3, 3, m);
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], (2.0 / 3 + 1 + 0) / 3, 1e-15);
    zo_metrics(never, chosen2, 3, 3, m);
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], (2.0 / 3 + 1 + 0) / 3, 1e-15);
    zo_metrics(same, same, 0, 2, m);
    ck_assert(isnan(m[ZO_ACCURACY]) && isnan(m[ZO_F1]) && isnan(m[ZO_MACRO_F1]) && isnan(m[ZO_MATTHEWS]));
}
END_TEST

/* Of class 1, as GLUE's: a classifier that always says 1 on MRPC's validation rows, 279 of 408. */
START_TEST(f1_is_that_of_class_one)
{
    int32_t label[408], one[408], zero[408];
    double m[ZO_METRICS];
    for (int k = 0; k < 408; k++) {
        label[k] = k < 279;
        one[k] = 1;
        zero[k] = 0;
    }
    zo_metrics(one, label, 408, 2, m);
    ck_assert_double_eq_tol(m[ZO_F1], 2.0 * 279 / (279 + 408), 1e-15);
    ck_assert_double_eq_tol(m[ZO_MACRO_F1], 279.0 / (279 + 408), 1e-15);
    ck_assert_double_eq_tol(m[ZO_ACCURACY], 279.0 / 408, 1e-15);
    zo_metrics(zero, label, 408, 2, m);
    ck_assert_double_eq(m[ZO_F1], 0);
    zo_metrics(zero, zero, 408, 2, m); /* class 1 is nowhere: 0, as scikit-learn says it */
    ck_assert_double_eq(m[ZO_F1], 0);
    static const char *const name[ZO_METRICS] = {[ZO_ACCURACY] = "accuracy", [ZO_F1] = "f1", [ZO_MACRO_F1] = "macro_f1", [ZO_MATTHEWS] = "matthews",
                                                  [ZO_EXACT_MATCH] = "exact_match", [ZO_TOKEN_F1] = "token_f1", [ZO_PEARSON] = "pearson", [ZO_SPEARMAN] = "spearman"};
    char choices[200] = "";
    for (int k = 0; k < ZO_METRICS; k++) {
        ck_assert_str_eq(zo_metric_name((zo_metric)k), name[k]);
        snprintf(choices + strlen(choices), sizeof choices - strlen(choices), "%s%s", k ? "|" : "", name[k]);
    }
    ck_assert_str_eq(choices, ZO_METRIC_CHOICES);
}
END_TEST

START_TEST(matthews_is_the_correlation)
{
    /* For two classes it is Pearson's correlation of the indicators. */
    uint64_t state = 5;
    for (int trial = 0; trial < 50; trial++) {
        int32_t label[64], choice[64];
        double sx = 0, sy = 0, sxy = 0, m[ZO_METRICS];
        for (int k = 0; k < 64; k++) {
            label[k] = (int32_t)fuzz_below(&state, 2);
            choice[k] = fuzz_below(&state, 3) ? label[k] : (int32_t)fuzz_below(&state, 2);
            sx += label[k];
            sy += choice[k];
            sxy += label[k] * choice[k];
        }
        zo_metrics(choice, label, 64, 2, m);
        double r = (64 * sxy - sx * sy) / sqrt((64 * sx - sx * sx) * (64 * sy - sy * sy));
        ck_assert_double_eq_tol(m[ZO_MATTHEWS], r, 1e-12);
    }
}
END_TEST

START_TEST(order_is_a_permutation_each_epoch)
{
    int32_t index[8], other[8], first[50], seen[50];
    zo_order kept = {.row = NULL};
    for (int epoch = 0; epoch < 3; epoch++) {
        memset(seen, 0, sizeof seen);
        int same = 0;
        for (int s = 0; s < 7; s++) {
            int32_t n = zo_batch_order(11, 50, 8, epoch * 7 + s, &kept, index);
            ck_assert_int_eq(n, s < 6 ? 8 : 2);
            ck_assert_int_eq(zo_batch_order(11, 50, 8, epoch * 7 + s, NULL, other), n); /* a pure function */
            ck_assert_mem_eq(index, other, (size_t)n * sizeof *index);
            for (int k = 0; k < n; k++) {
                ck_assert(index[k] >= 0 && index[k] < 50);
                seen[index[k]]++;
                same += epoch > 0 && first[s * 8 + k] == index[k];
                first[s * 8 + k] = epoch == 0 ? index[k] : first[s * 8 + k];
            }
        }
        for (int k = 0; k < 50; k++) {
            ck_assert_int_eq(seen[k], 1);
        }
        ck_assert(same < 15);
    }
    zo_batch_order(11, 50, 8, 3, &kept, index); /* and back in time */
    zo_batch_order(11, 50, 8, 3, NULL, other);
    ck_assert_mem_eq(index, other, sizeof index);
    zo_free(kept.row);
    ck_assert_int_eq(zo_batch_order(11, 3, 8, 4, NULL, index), 3); /* a batch of more than there is */
    zo_batch_order(11, 50, 8, 0, NULL, index);
    zo_batch_order(12, 50, 8, 0, NULL, other);
    ck_assert(memcmp(index, other, sizeof index) != 0);
}
END_TEST

/* ---- formats -------------------------------------------------------------------------------------------------------------- */

START_TEST(tsv_with_a_header)
{
    put("glue/SST-2/train.tsv", "sentence\tlabel\nhide new secretions \t0\r\n\na fine one\t1\n");
    put("glue/SST-2/dev.tsv", "label\tsentence\textra\n1\tcolumns by name\tx\n0\t-\ty"); /* other order, no last newline */
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.tokenizer = bytes_bos;
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 2);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 0), "^hide new secretions ");
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 1), "^a fine one");
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 1), 1);
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), "^columns by name");
    ck_assert_str_eq(text_of(d, ZO_TEST, 1), "^-");
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_int_eq(b->row[0], b->tokens - 1); /* causal: the last token */
    zo_batch_free(b);
    zo_dataset_close(d);
    s.tokenizer = words; /* a character that WordPiece cleans away */
    put("glue/SST-2/dev.tsv", "sentence\tlabel\n\xe2\x80\x8b\t1\n");
    s.count[ZO_TRAIN] = 0;
    d = open_or_die(&s);
    zo_dataset_close(d);
    s.tokenizer = bytes_plain;
    ASSERT_HAS(open_error(&s), "no token at all");
}
END_TEST

START_TEST(tsv_without_header_and_gz)
{
    char path[512];
    put("glue/CoLA/train.tsv", "gj04\t1\t\tOur friends won't buy.\nbc\t0\t*\t\"Quoted\" stays.\n");
    forget("glue/CoLA/dev.tsv");
    gzFile gz = gzopen(zo_path_join(path, sizeof path, folder, "glue/CoLA/dev.tsv.gz"), "wb");
    gzputs(gz, "x\t0\t*\tPacked.\n");
    gzclose(gz);
    zo_dataset_spec s = spec_of("cola", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    zo_dataset *d = open_or_die(&s);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 1), "\"Quoted\" stays.");
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 0), 1);
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), "Packed.");
    zo_dataset_close(d);
}
END_TEST

START_TEST(csv_with_quotes)
{
    put("k-shot/trec/16-13/train.csv", "3,\"Who, \"\"quoted\"\", is it ?\"\n5,How \"far ?\n");
    put("k-shot/trec/16-13/dev.csv", "0,What ?\n");
    put("k-shot/trec/test.csv", "1,Which ?\n4,Where ?\n");
    zo_dataset_spec s = spec_of("trec", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_KSHOT;
    s.train_split_seed = 13;
    s.count[ZO_DEV] = -1;
    zo_dataset *d = open_or_die(&s);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 0), "Who, \"quoted\", is it ?");
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 1), "How \"far ?"); /* no quoted field, so its quote opens nothing */
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 0), 3);
    ck_assert_str_eq(text_of(d, ZO_TEST, 1), "Where ?");
    ck_assert_int_eq(zo_dataset_size(d, ZO_DEV), 1);
    zo_dataset_close(d);
    put("k-shot/trec/16-13/dev.csv", "0,\"open\n");
    const char *text = open_error(&s);
    ASSERT_HAS(text, "dev.csv:1");
    ASSERT_HAS(text, "quote");
    s.train_split_seed = 5;
    text = open_error(&s);
    ASSERT_HAS(text, "k-shot/trec/16-5/train.csv");
    ASSERT_HAS(text, "13, 21, 42, 87 and 100");
}
END_TEST

START_TEST(label_text_and_latin1)
{
    put("trec/train.txt", "NUM:dist How far ?\nENTY:animal Caf\xe9 \xff ?\n");
    put("trec/test.txt", "DESC:def na\xc3\xafve ?\n");
    zo_dataset_spec s = spec_of("trec", ZO_FORM_HEAD, false);
    s.scheme = ZO_SPLIT_FIRST;
    zo_dataset *d = open_or_die(&s); /* what the bytes became is seen by the reader of one below */
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 0), 5);
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 1), 1);
    ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 0), 0);
    zo_dataset_close(d);
    put("trec/train.txt", "NUM:dist How far ?\nNospace\n");
    ASSERT_HAS(open_error(&s), "train.txt:2");
    put("trec/train.txt", "NUMB:dist How far ?\n");
    ASSERT_HAS(open_error(&s), "label \"NUMB:dist\" is not one of task trec");
}
END_TEST

START_TEST(json_lines_and_maps)
{
    put("superglue/WSC/train.jsonl", "{\"text\": \"Ann told Bob. He left.\", \"target\": {\"span1_text\": \"bob.\", \"span2_text\": \"He\", \"span1_index\": 2, \"span2_index\": 3}, \"label\": false}\n");
    put("superglue/WSC/val.jsonl", "{\"text\": \"A\\u0041 b\", \"target\": {\"span1_text\": \"b\", \"span2_text\": \"b\", \"span1_index\": 1, \"span2_index\": 1}, \"label\": true}");
    zo_dataset_spec s = spec_of("wsc", ZO_FORM_PROMPT, true);
    s.scheme = ZO_SPLIT_FIRST;
    zo_dataset *d = open_or_die(&s);
    char text[4096];
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, text),
                     "Ann told Bob. He left.\nIn the previous sentence, does the pronoun \"he\" refer to Bob? Yes or No?\n|No");
    zo_batch_free(b);
    zo_dataset_close(d);

    put("glue/QNLI/train_9k.json", "{\"0\": {\"text_a\": \"q1?\", \"text_b\": \"s1\", \"label\": \"entailment\"}, \"1\": {\"text_a\": \"q2?\", \"text_b\": \"s2\", \"label\": \"not_entailment\"}}");
    put("glue/QNLI/dev_1k.json", "{\"0\": {\"text_a\": \"q3?\", \"text_b\": \"s3\", \"label\": \"entailment\"}}");
    put("glue/QNLI/dev.tsv", "index\tquestion\tsentence\tlabel\n0\tq4?\ts4\tentailment\n");
    s = spec_of("qnli", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 3);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 2), "q3?s3");
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 1), 1);
    ASSERT_HAS(zo_dataset_note(d), "9,999 of the 104,743");
    zo_dataset_close(d);
    put("glue/QNLI/train.tsv", "index\tquestion\tsentence\tlabel\n0\tofficial?\ts\tentailment\n"); /* the official file goes first */
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 1);
    ck_assert_str_eq(zo_dataset_note(d), "");
    zo_dataset_close(d);
    forget("glue/QNLI/train.tsv");
    forget("glue/QNLI/dev_1k.json"); /* half a choice is none */
    ASSERT_HAS(open_error(&s), "glue/QNLI/train.tsv, glue/QNLI/train_9k.json, glue/QNLI/dev_1k.json");
}
END_TEST

/* to_json with lines and without, under both names; what is no such file; and parquet, with the line that converts it. */
START_TEST(json_lists_and_parquet)
{
    static const char list[] = "\n [{\"sentence\": \"a [\", \"label\": 1},\n{\"sentence\": \"b\", \"label\": 0}]\n";
    static const char lines[] = "{\"sentence\": \"a [\", \"label\": 1}\n{\"sentence\": \"b\", \"label\": 0}\n";
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 0;
    forget("glue/SST-2/dev.tsv");
    for (int k = 0; k < 4; k++) {
        const char *name = k % 2 ? "glue/SST-2/validation.json" : "glue/SST-2/validation.jsonl";
        put(name, k < 2 ? list : lines);
        zo_dataset *d = open_or_die(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 2);
        ck_assert_str_eq(text_of(d, ZO_TEST, 0), "a [");
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 0), 1);
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 1), 0);
        zo_dataset_close(d);
        forget(name);
    }
    static const struct { const char *text, *says; } bad[] = {
        {"[{\"sentence\": \"a\", \"label\": 1},\n{\"sentence\": \"b\"}]", "validation.json, row 2: no \"label\" here"},
        {"[{\"sentence\": \"a\", \"label\": 1},\n", "validation.json:2: not one JSON list of rows"},
        {"[1]", "validation.json, row 1: a JSON object with \"label\" was expected"},
        {"[{\"sentence\": \"a\\u0000\", \"label\": 1}]", "validation.json:1: a string holds a zero byte"},
        {"PAR1 and more", "validation.json: this is a parquet file, whatever its name; convert it: python3 -c \"import pandas; pandas.read_parquet('"}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        put("glue/SST-2/validation.json", bad[k].text);
        ASSERT_HAS(open_error(&s), bad[k].says);
    }
    forget("glue/SST-2/validation.json");
    static const char *const forms[] = {list, lines, "{\"x\": {\"sentence\": \"a [\", \"label\": 1},\n\"y\": {\"sentence\": \"b\", \"label\": 0}}\n",
                                        "{\"x\": {\"sentence\": \"a [\", \"label\": 1}, \"y\": {\"sentence\": \"b\", \"label\": 0}}\n"};
    put("own.json", "{\"name\": \"own\", \"texts\": [\"sentence\"], \"label\": \"label\", \"classes\": [0, 1], \"files\": [{\"validation\": \"rows.json\"}]}");
    char description[200];
    zo_dataset_spec own = s;
    own.task = zo_path_join(description, sizeof description, folder, "own.json");
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        put("rows.json", forms[k]);
        zo_dataset *d = open_or_die(&own);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 2);
        ck_assert_str_eq(text_of(d, ZO_TEST, 0), "a [");
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 0), 1);
        zo_dataset_close(d);
    }
    static const char *const parquet[] = {"glue/SST-2/validation-00000-of-00001.parquet", "glue/SST-2/data/validation-00000-of-00001.parquet"};
    for (int k = 0; k < 2; k++) {
        char line[1000];
        put(parquet[k], "PAR1");
        snprintf(line, sizeof line, "task sst2: %s/%s is a parquet file, which is not read here; convert it: python3 -c \"import pandas; "
                 "pandas.read_parquet('%s/%s').to_json('%s/glue/SST-2/validation.jsonl', orient='records', lines=True)\"", folder, parquet[k], folder, parquet[k], folder);
        ck_assert_str_eq(open_error(&s), line);
        forget(parquet[k]);
    }
    put("glue/SST-2/train-00000-of-00001.parquet", "PAR1"); /* of another split */
    ASSERT_HAS(open_error(&s), "no validation file; looked in");
    forget("glue/SST-2/train-00000-of-00001.parquet");
}
END_TEST

START_TEST(mrpc_reads_names_with_signs_and_a_mark)
{
    put("glue/MRPC/train.tsv", "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tfirst\tsecond\n");
    put("glue/MRPC/dev.tsv", "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tthird\tfourth\n");
    zo_dataset_spec s = spec_of("mrpc", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    zo_dataset *d = open_or_die(&s);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 0), "firstsecond");
    ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, 0), 1);
    zo_dataset_close(d);
}
END_TEST

/* ---- errors --------------------------------------------------------------------------------------------------------------- */

START_TEST(errors_name_file_line_and_fix)
{
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, false);
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nb\t0\n");
    put("glue/SST-2/train.tsv", "sentence\tlabel\na\t1\nb\n");
    ASSERT_HAS(open_error(&s), "train.tsv:3: 1 column where the header has 2 (apart by tabs)");
    put("glue/SST-2/train.tsv", "sentence\tlabel\na\t1\nb\t2\n");
    ASSERT_HAS(open_error(&s), "train.tsv:3: label \"2\" is not one of task sst2 (0, 1)");
    put("glue/SST-2/train.tsv", "index\tsentence\n0\ta\n");
    ASSERT_HAS(open_error(&s), "no column \"label\"");
    put("glue/SST-2/train.tsv", "");
    ASSERT_HAS(open_error(&s), "is empty");
    put("glue/SST-2/train.tsv", "sentence\tlabel\n");
    ASSERT_HAS(open_error(&s), "no rows");
    zo_err err = {0};
    char path[512];
    static const char nul[] = "sentence\tlabel\na\t1\nb\0\t0\n";
    ck_assert_int_eq(zo_write_file(zo_path_join(path, sizeof path, folder, "glue/SST-2/train.tsv"), nul, sizeof nul - 1, &err), ZO_OK);
    ASSERT_HAS(open_error(&s), "train.tsv:3: a NUL byte, so this is no text file");
    put("glue/SST-2/train.tsv", "sentence\tlabel\na\t1\nb\t0\n");
    s.count[ZO_TRAIN] = -1;
    s.count[ZO_DEV] = -1;
    ASSERT_HAS(open_error(&s), "both take \"all\"");
    s.count[ZO_DEV] = -3;
    ASSERT_HAS(open_error(&s), "-3 dev examples");
    s.count[ZO_DEV] = 0;
    s.count[ZO_TEST] = -2;
    ASSERT_HAS(open_error(&s), "-2 test examples");
    s = spec_of("sst3", ZO_FORM_HEAD, false);
    ASSERT_HAS(open_error(&s), "did you mean \"sst");
    s = spec_of("sst2", ZO_FORM_HEAD, false);
    s.data_dir = NULL;
    ASSERT_HAS(open_error(&s), "--data");
    s.data_dir = "/no/such/place";
    ASSERT_HAS(open_error(&s), "/no/such/place is not there");
    s = spec_of("mnli", ZO_FORM_HEAD, false);
    forget("glue/MNLI/train.tsv");
    ASSERT_HAS(open_error(&s), "no training file");
    s = spec_of("synth-sentiment", ZO_FORM_HEAD, false);
    s.context = 2;
    ASSERT_HAS(open_error(&s), "context 2 is too small");
    s.context = 0;
    ASSERT_HAS(open_error(&s), "context 0");
    s = spec_of("synth-sentiment", ZO_FORM_PROMPT, false);
    s.context = 6;
    ASSERT_HAS(open_error(&s), "context 6 is too small");
    s = spec_of("synth-sentiment", ZO_FORM_PROMPT, false);
    s.scheme = ZO_SPLIT_KSHOT;
    ASSERT_HAS(open_error(&s), "no k-shot");
    s = spec_of("synth-sentiment", ZO_FORM_PROMPT, true);
    s.context = 5;
    ASSERT_HAS(open_error(&s), "context 5 is too small");
    s = spec_of("sst2", ZO_FORM_PROMPT, false);
    s.tokenizer = bytes_plain;
    ASSERT_HAS(open_error(&s), "no mask token");
    s = spec_of("trec", ZO_FORM_PROMPT, false); /* "Description" is no word of the synthetic language */
    ASSERT_HAS(open_error(&s), "label word \"Description\"");
    put("mask_only.json", "{\"name\": \"m\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"m.tsv\"}], "
                          "\"mask_prompt\": {\"template\": \"*cls**sent_0**mask*\", \"words\": [\"good\", \"bad\"]}}");
    s = spec_of(zo_path_join(path, sizeof path, folder, "mask_only.json"), ZO_FORM_PROMPT, true);
    ASSERT_HAS(open_error(&s), "no prompt for causal models");
    s = spec_of("copa", ZO_FORM_HEAD, true);
    ASSERT_HAS(open_error(&s), "no form \"head\"");
    s = spec_of("copa", ZO_FORM_PROMPT, false);
    ASSERT_HAS(open_error(&s), "no prompt for encoders");
    put("superglue/COPA/val.jsonl", "{\"premise\": \"a.\", \"choice1\": \"b\", \"question\": \"cause\", \"label\": 0}\n");
    s = spec_of("copa", ZO_FORM_PROMPT, true);
    s.count[ZO_TRAIN] = 0;
    ASSERT_HAS(open_error(&s), "val.jsonl:1: no text \"choice2\"");
    put("superglue/COPA/val.jsonl", "{\"premise\": \"a.\", \"choice1\": \n");
    ASSERT_HAS(open_error(&s), "val.jsonl:1: not JSON");
    put("superglue/COPA/val.jsonl", "[1]\n");
    ASSERT_HAS(open_error(&s), "a JSON object");
    put("superglue/COPA/val.jsonl", "{\"premise\": \"a.\", \"choice1\": \"b\", \"choice2\": \"c\", \"question\": \"cause\"}\n");
    ASSERT_HAS(open_error(&s), "no \"label\" here");
}
END_TEST

START_TEST(malformed_files_never_crash)
{
    static const char tsv[] = "sentence\tlabel\nhide new secretions\t0\nthe second one is fine\t1\nthird\t1\n";
    static const char csv[] = "3,\"Who, \"\"quoted\"\" is it ?\"\n5,How far ?\n0,What ?\n";
    static const char jsonl[] = "{\"text\": \"Ann told Bob. He left.\", \"target\": {\"span1_text\": \"Bob\", \"span2_text\": \"He\", \"span1_index\": 2, \"span2_index\": 3}, \"label\": true}\n"
                                "{\"text\": \"x y\", \"target\": {\"span1_text\": \"y\", \"span2_text\": \"x\", \"span1_index\": 1, \"span2_index\": 0}, \"label\": false}\n";
    static const char map[] = "{\"0\": {\"text_a\": \"q1?\", \"text_b\": \"s1\", \"label\": \"entailment\"}, \"1\": {\"text_a\": \"q2?\", \"text_b\": \"s2\", \"label\": \"not_entailment\"}}";
    static const struct { const char *task, *file, *text; zo_form form; bool causal; zo_split_scheme scheme; } cases[] = {
        {"sst2", "glue/SST-2/train.tsv", tsv, ZO_FORM_PROMPT, false, ZO_SPLIT_FIRST},
        {"trec", "k-shot/trec/16-7/train.csv", csv, ZO_FORM_HEAD, false, ZO_SPLIT_KSHOT},
        {"wsc", "superglue/WSC/train.jsonl", jsonl, ZO_FORM_PROMPT, true, ZO_SPLIT_FIRST},
        {"qnli", "glue/QNLI/train_9k.json", map, ZO_FORM_HEAD, true, ZO_SPLIT_FIRST},
    };
    put("glue/QNLI/dev_1k.json", map);
    int opened = 0, refused = 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        put(cases[c].file, cases[c].text);
        char path[512], buffer[2048];
        zo_path_join(path, sizeof path, folder, cases[c].file);
        for (uint64_t seed = 0; seed < 400; seed++) {
            size_t n = strlen(cases[c].text);
            memcpy(buffer, cases[c].text, n);
            n = fuzz_mutate(seed, buffer, n, sizeof buffer);
            zo_err err = {0};
            FILE *f = fopen(path, "wb");
            ck_assert_ptr_nonnull(f);
            fwrite(buffer, 1, n, f);
            fclose(f);
            zo_dataset_spec s = spec_of(cases[c].task, cases[c].form, cases[c].causal);
            s.scheme = cases[c].scheme;
            s.count[ZO_TEST] = 0;
            zo_dataset *d = NULL;
            if (zo_dataset_open(&d, &s, &err) == ZO_OK) {
                check_all_batches(d, s.context);
                zo_dataset_close(d);
                opened++;
            } else {
                ck_assert_msg(err.text[0] && err.status != ZO_OK, "no message for seed %llu of %s", (unsigned long long)seed, cases[c].task);
                refused++;
            }
        }
    }
    ck_assert_msg(opened > 100 && refused > 100, "%d opened, %d refused", opened, refused);
}
END_TEST

/* ---- what is refused, and what other writers of the same files do ---------------------------------------------------------- */

/* A file of SST-2's with one wrong line is refused with that line's number. */
START_TEST(wrong_rows_are_refused_by_line)
{
    static const struct { const char *text, *line, *says; } rows[] = {
        {"sentence\tlabel\na\t1\nb\t-1\n", "dev.tsv:3", "label \"-1\""},
        {"sentence\tlabel\na\t1\nb\t 1\n", "dev.tsv:3", "label \" 1\""},
        {"sentence\tlabel\na\t1\nb\t1.0\n", "dev.tsv:3", "label \"1.0\""},
        {"sentence\tlabel\na\t1\nb\t\n", "dev.tsv:3", "label \"\""},
        {"sentence\tlabel\na\t1\nb\tc\t0\n", "dev.tsv:3", "3 columns where the header has 2"},
        {"sentence\tlabel\na\t1\n\t0\n", "dev.tsv:3", "\"sentence\" is empty"},
        {"sentence\tlabel\na\t1\n \xe3\x80\x80 \t0\n", "dev.tsv:3", "\"sentence\" is empty"},
        {"sentence\tlabel\na\t1\nCaf\xe9 b\t0\n", "dev.tsv:3", "byte 4 of the text \"sentence\" (0xe9) is not UTF-8"},
        {"sentence\tlabel\na\t1\n\xed\xa0\x80\t0\n", "dev.tsv:3", "is not UTF-8"},
        {"sentence\tlabel\na\t1\n\xc0\xaf\t0\n", "dev.tsv:3", "is not UTF-8"},
        {"sentence\tlabel\tsentence\na\t1\tb\n", "dev.tsv:1", "two columns \"sentence\""},
    };
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, false);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        put("glue/SST-2/dev.tsv", rows[k].text);
        const char *text = open_error(&s);
        ASSERT_HAS(text, rows[k].line);
        ASSERT_HAS(text, rows[k].says);
    }
    put("glue/SST-2/dev.tsv", "\xEF\xBB\xBFsentence\tlabel\r\nthe plot\t1\r\n\r\nthe song\t0\r\n"); /* a mark and CRLF are none */
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 2);
    ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 1), 0);
    zo_dataset_close(d);

    put("k-shot/trec/16-13/train.csv", "3,\"a, b\"\n3,a, b\n"); /* a comma without its quotes */
    put("k-shot/trec/16-13/dev.csv", "3,a\n");
    s = spec_of("trec", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_KSHOT;
    s.train_split_seed = 13;
    s.count[ZO_TEST] = 0;
    ASSERT_HAS(open_error(&s), "train.csv:2: 3 columns");
    put("trec/train.txt", "0 What ?\n"); /* the classes' numbers are LM-BFF's alone */
    s.scheme = ZO_SPLIT_FIRST;
    ASSERT_HAS(open_error(&s), "label \"0\" is not one of task trec (DESC, ");
}
END_TEST

static const char *wsc_error(const char *row)
{
    static char text[1024];
    snprintf(text, sizeof text, "{\"text\": \"Kim met Lee and she smiled .\", \"label\": true, \"target\": {\"span1_text\": \"Kim\", \"span1_index\": 0, "
             "\"span2_text\": \"she\", \"span2_index\": 4}}\n%s\n", row);
    put("superglue/WSC/val.jsonl", text);
    zo_dataset_spec s = spec_of("wsc", ZO_FORM_PROMPT, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 0;
    const char *says = open_error(&s);
    ASSERT_HAS(says, "val.jsonl:2: ");
    return says;
}

START_TEST(rows_of_json_are_checked)
{
#define WSC(span1, index1, span2, index2)                                                                                             \
    "{\"text\": \"Kim met Lee and she smiled .\", \"label\": true, \"target\": {\"span1_text\": " span1 ", \"span1_index\": " index1      \
    ", \"span2_text\": " span2 ", \"span2_index\": " index2 "}}"
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "7", "\"she\"", "4")), "span1_index is 7, which is no word of the text");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "-1", "\"she\"", "4")), "span1_index is -1");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "\"Kim\"", "\"she\"", "4")), "span1_index is Kim");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "0", "\"she\"", "99999999999")), "span2_index is 99999999999");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "0.5", "\"she\"", "4")), "no text \"target.span1_index\"");
    ASSERT_HAS(wsc_error(WSC("\"Pat\"", "0", "\"she\"", "4")), "span1_text \"Pat\" does not stand in the text");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "0", "\"he\\tr\"", "4")), "span2_text");
    ASSERT_HAS(wsc_error(WSC("\"...\"", "0", "\"she\"", "4")), "span1_text");
    ASSERT_HAS(wsc_error(WSC("\"\"", "0", "\"she\"", "4")), "is empty");
    ASSERT_HAS(wsc_error(WSC("\"Kim\\u0000\"", "0", "\"she\"", "4")), "zero byte");
    ASSERT_HAS(wsc_error(WSC("\"Kim\"", "0", "\"she\"", "4, \"span2_index\": 5")), "\"span2_index\" stands there twice");
    ASSERT_HAS(wsc_error("{\"text\": \"a b\", \"text\": \"a b\", \"label\": true}"), "\"text\" stands there twice");
    static const char *const label[] = {"2", "0.9999999999", "1e400", "\"yes\"", "null", "[1]", "\"\""};
    for (size_t k = 0; k < sizeof label / sizeof *label; k++) {
        char row[256];
        snprintf(row, sizeof row, "{\"text\": \"a b\", \"span1_text\": \"a\", \"span1_index\": 0, \"span2_text\": \"b\", \"span2_index\": 1, \"label\": %s}",
                 label[k]);
        ASSERT_HAS(wsc_error(row), "label");
    }
    /* two spans of the release that are no part of their text, which the hub leaves as they are */
    put("superglue/WSC/val.jsonl", "{\"text\": \"Kamenev and also Zinoviev met them .\", \"span1_text\": \"Kamenev and Zinoviev\", \"span1_index\": 0, \"span2_text\": "
        "\"them\", \"span2_index\": 5, \"label\": 1}\n{\"text\": \"They met them .\", \"span1_text\": \"Kamenev, Zinoviev, and Stalin\", \"span1_index\": 0, "
        "\"span2_text\": \"them\", \"span2_index\": 2, \"label\": 1}\n");
    zo_dataset_spec w = spec_of("wsc", ZO_FORM_PROMPT, true);
    w.scheme = ZO_SPLIT_FIRST;
    w.count[ZO_TRAIN] = 0;
    zo_dataset *d = open_or_die(&w);
    ASSERT_HAS(text_of(d, ZO_TEST, 0), "refer to Kamenev and Zinoviev?");
    ASSERT_HAS(text_of(d, ZO_TEST, 1), "refer to Kamenev, Zinoviev, and Stalin?");
    zo_dataset_close(d);
    put("superglue/COPA/val.jsonl", "{\"premise\": \"a.\", \"choice1\": \"b\", \"choice2\": \"c\", \"question\": \"Cause\", \"label\": 0}\n");
    zo_dataset_spec s = spec_of("copa", ZO_FORM_PROMPT, true);
    s.count[ZO_TRAIN] = 0;
    ASSERT_HAS(open_error(&s), "val.jsonl:1: the question is \"Cause\"");
    forget("glue/QNLI/train.tsv");
    put("glue/QNLI/dev_1k.json", "{\"0\": {\"text_a\": \"q\", \"text_b\": \"s\", \"label\": \"entailment\"}}");
    put("glue/QNLI/train_9k.json", "{\"0\": {\"text_a\": \"q\", \"text_b\": \"s\", \"label\": \"entailment\"},\n\"0\": {\"text_a\": \"r\", \"text_b\": \"s\", "
                                    "\"label\": \"entailment\"}}");
    s = spec_of("qnli", ZO_FORM_HEAD, true);
    s.count[ZO_TEST] = 0;
    ASSERT_HAS(open_error(&s), "row \"0\" stands there twice");
    put("glue/QNLI/train_9k.json", "{\"0\": {\"text_a\": \"q\", \"text_b\": \"s\", \"label\": \"entailment\"},\n\"1\": {\"text_a\": \"r\\u0000\"}}");
    ASSERT_HAS(open_error(&s), "train_9k.json:2: a string holds a zero byte");
}
END_TEST

/* The rows that a task reads from its published file, written by the `datasets` library: the same batches. */
START_TEST(exported_files_are_the_same_rows)
{
    static const struct { const char *task, *published, *text, *exported, *rows; bool causal; zo_form form; } files[] = {
        {"sst2", "glue/SST-2/dev.tsv", "sentence\tlabel\nthe \"plot\"\t1\nit was bad\t0\n", "glue/SST-2/validation.jsonl",
         "{\"sentence\": \"the \\\"plot\\\"\", \"label\": 1, \"idx\": 0}\n{\"sentence\": \"it was bad\", \"label\": 0, \"idx\": 1}\n", true, ZO_FORM_PROMPT},
        {"cola", "glue/CoLA/dev.tsv", "a\t1\t\tThe dog sleeps.\nb\t0\t*\tDog the.\n", "glue/CoLA/dev.jsonl",
         "{\"sentence\": \"The dog sleeps.\", \"label\": 1}\n{\"sentence\": \"Dog the.\", \"label\": 0}\n", true, ZO_FORM_HEAD},
        {"mrpc", "glue/MRPC/dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta\tb\n0\t7\t8\tc\td\n", "glue/MRPC/validation.jsonl",
         "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 1}\n{\"sentence1\": \"c\", \"sentence2\": \"d\", \"label\": 0}\n", true, ZO_FORM_HEAD},
        {"qnli", "glue/QNLI/dev.tsv", "index\tquestion\tsentence\tlabel\n0\tq?\ts.\tentailment\n1\tr?\tt.\tnot_entailment\n", "glue/QNLI/val.jsonl",
         "{\"question\": \"q?\", \"sentence\": \"s.\", \"label\": 0}\n{\"question\": \"r?\", \"sentence\": \"t.\", \"label\": 1}\n", true, ZO_FORM_HEAD},
        {"mnli", "glue/MNLI/dev_matched.tsv", "sentence1\tsentence2\tgold_label\na\tb\tneutral\nc\td\tcontradiction\ne\tf\tentailment\n",
         "glue/MNLI/validation_matched.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 1}\n{\"premise\": \"c\", \"hypothesis\": \"d\", \"label\": 2}\n"
         "{\"premise\": \"e\", \"hypothesis\": \"f\", \"label\": 0}\n", true, ZO_FORM_HEAD},
        {"rte", "glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\tentailment\n", "superglue/RTE/val.jsonl",
         "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 1}\n{\"premise\": \"c\", \"hypothesis\": \"d\", \"label\": 0}\n", true, ZO_FORM_PROMPT},
        {"rte", "glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\tentailment\n", "glue/RTE/validation.jsonl",
         "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 1}\n{\"sentence1\": \"c\", \"sentence2\": \"d\", \"label\": 0}\n", true, ZO_FORM_HEAD},
        {"trec", "trec/test.txt", "DESC:def what ?\nABBR:exp which ?\nNUM:dist how far ?\n", "trec/test.jsonl",
         "{\"text\": \"what ?\", \"coarse_label\": 2, \"fine_label\": 1}\n{\"text\": \"which ?\", \"coarse_label\": 0, \"fine_label\": 0}\n"
         "{\"text\": \"how far ?\", \"coarse_label\": 5, \"fine_label\": 9}\n", true, ZO_FORM_HEAD},
        {"sst5", "sst/stsa.fine.test", "4 a fine film\n0 a dull one\n", "sst/test.jsonl",
         "{\"text\": \"a fine film\", \"label\": 4, \"label_text\": \"very positive\"}\n{\"text\": \"a dull one\", \"label\": 0}\n", true, ZO_FORM_HEAD},
        {"cb", "superglue/CB/val.jsonl", "{\"premise\": \"p.\", \"hypothesis\": \"h\", \"label\": \"neutral\"}\n{\"premise\": \"q.\", \"hypothesis\": \"i\", \"label\": \"contradiction\"}\n",
         "superglue/CB/validation.jsonl", "{\"premise\": \"p.\", \"hypothesis\": \"h\", \"idx\": 0, \"label\": 2}\n{\"premise\": \"q.\", \"hypothesis\": \"i\", \"idx\": 1, \"label\": 1}\n",
         true, ZO_FORM_PROMPT},
        {"boolq", "superglue/BoolQ/val.jsonl", "{\"question\": \"is it\", \"passage\": \"Ice -- Ice is -- cold.\", \"label\": true}\n{\"question\": \"is he?\", \"passage\": \"b\", \"label\": false}\n",
         "superglue/BoolQ/validation.jsonl", "{\"question\": \"is it\", \"passage\": \"Ice -- Ice is -- cold.\", \"idx\": 0, \"label\": 1}\n{\"question\": \"is he?\", \"passage\": \"b\", \"label\": 0}\n",
         true, ZO_FORM_PROMPT},
        {"boolq", "superglue/BoolQ/val.jsonl", "{\"question\": \"is it\", \"passage\": \"Ice -- Ice is -- cold.\", \"label\": true}\n",
         "boolq/validation.jsonl", "{\"question\": \"is it\", \"title\": \"Ice\", \"answer\": true, \"passage\": \"Ice is -- cold.\"}\n", true, ZO_FORM_PROMPT},
        {"wsc", "superglue/WSC/val.jsonl", "{\"text\": \"Kim saw it .\", \"target\": {\"span1_text\": \"kim.\", \"span1_index\": 0, \"span2_text\": \"It\", \"span2_index\": 2}, \"label\": true}\n",
         "superglue/WSC/dev.jsonl", "{\"text\": \"Kim saw it .\", \"span1_text\": \"Kim\", \"span1_index\": 0, \"span2_text\": \"it\", \"span2_index\": 2, \"idx\": 0, \"label\": 1}\n", true, ZO_FORM_PROMPT},
        {"wic", "superglue/WiC/val.jsonl", "{\"word\": \"w\", \"sentence1\": \"a w\", \"sentence2\": \"w b\", \"label\": true}\n", "superglue/WiC/validation.jsonl",
         "{\"word\": \"w\", \"sentence1\": \"a w\", \"sentence2\": \"w b\", \"start1\": 2, \"label\": 1}\n", true, ZO_FORM_PROMPT},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        static const char *const rival[] = {"glue/CoLA/dev.tsv.gz", "glue/SST-2/dev.tsv", "glue/RTE/dev.tsv", "glue/QNLI/dev.tsv", "superglue/RTE/val.jsonl", "superglue/BoolQ/val.jsonl",
                                            "superglue/BoolQ/validation.jsonl", "superglue/CB/val.jsonl", "superglue/WSC/val.jsonl", "superglue/WiC/val.jsonl"};
        zo_dataset_spec s = spec_of(files[k].task, files[k].form, files[k].causal);
        s.scheme = ZO_SPLIT_FIRST;
        s.count[ZO_TRAIN] = 0;
        for (size_t f = 0; f < sizeof rival / sizeof *rival; f++) {
            forget(rival[f]);
        }
        put(files[k].published, files[k].text);
        zo_dataset *d = open_or_die(&s);
        forget(files[k].published);
        put(files[k].exported, files[k].rows);
        zo_dataset *e = open_or_die(&s);
        forget(files[k].exported);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), zo_dataset_size(e, ZO_TEST));
        for (int32_t i = 0; i < zo_dataset_size(d, ZO_TEST); i++) {
            char text[4096];
            snprintf(text, sizeof text, "%s", text_of(d, ZO_TEST, i));
            ck_assert_str_eq(text, text_of(e, ZO_TEST, i));
            ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, i), zo_dataset_label(e, ZO_TEST, i));
        }
        zo_dataset_close(d);
        zo_dataset_close(e);
    }
}
END_TEST

/* to_csv: a header with names, an index column without one, quotes where they are needed, a line feed inside them. */
START_TEST(exported_csv)
{
    static const struct { const char *task, *file, *text; zo_form form; const char *row[2]; int label[2]; } of[] = {
        {"cb", "superglue/CB/train.csv", ",premise,hypothesis,idx,label\r\n0,\"He said \"\"no\"\", twice.\nThen he left.\",h,0,2\r\n1,p,i,1,0\r\n", ZO_FORM_HEAD,
         {"He said \"no\", twice.\nThen he left.h", "pi"}, {2, 0}},
        {"sst2", "glue/SST-2/train.csv", "sentence,label,idx\n\"a, b\n\nc\",1,0\nd,0,1", ZO_FORM_HEAD, {"a, b\n\nc", "d"}, {1, 0}},
        {"wsc", "superglue/WSC/train.csv", "text,span1_index,span2_index,span1_text,span2_text,idx,label\nKim saw it .,0,2,Kim,it,0,1\na b,0,1,a,b,1,0\n", ZO_FORM_PROMPT,
         {"Kim saw it .\nIn the previous sentence, does the pronoun \"it\" refer to Kim? Yes or No?\n", NULL}, {1, 0}},
        {"boolq", "boolq/train.csv", "question,answer,passage\nis it,True,Ice -- cold.\nis he,False,b\n", ZO_FORM_PROMPT, {"Ice -- cold. Is it?\n", NULL}, {1, 0}},
        {"sst5", "sst/train.csv", "sentence,label\na,4\nb,0\n", ZO_FORM_HEAD, {"a", "b"}, {4, 0}},
        {"trec", "trec/train.csv", "text,coarse_label,fine_label\na,0,1\nb,2,3\n", ZO_FORM_HEAD, {"a", "b"}, {2, 0}},
        {"mnli", "glue/MNLI/train.csv", "premise,hypothesis,label\na,b,2\nc,d,0\n", ZO_FORM_HEAD, {"ab", "cd"}, {2, 0}},
    };
    static const char *const rival[] = {"superglue/CB/train.jsonl", "glue/SST-2/train.tsv", "superglue/WSC/train.jsonl", "superglue/BoolQ/train.jsonl", "trec/train.txt"};
    for (size_t f = 0; f < sizeof rival / sizeof *rival; f++) {
        forget(rival[f]);
    }
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        put(of[k].file, of[k].text);
        zo_dataset_spec s = spec_of(of[k].task, of[k].form, true);
        s.scheme = ZO_SPLIT_FIRST;
        s.count[ZO_TEST] = 0;
        zo_dataset *d = open_or_die(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 2);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, i), of[k].label[i]);
            if (of[k].row[i] && of[k].form == ZO_FORM_HEAD) {
                ck_assert_str_eq(text_of(d, ZO_TRAIN, i), of[k].row[i]);
            } else if (of[k].row[i]) {
                ck_assert_int_eq(strncmp(text_of(d, ZO_TRAIN, i), of[k].row[i], strlen(of[k].row[i])), 0);
            }
        }
        zo_dataset_close(d);
        forget(of[k].file);
    }
    put("glue/SST-2/train.csv", "sentence,label\n\"a\nb\",1\nc,\"0\nd,1\n"); /* a row's number is that of its first line */
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.count[ZO_TEST] = 0;
    ASSERT_HAS(open_error(&s), "train.csv:4: a quote");
    put("glue/SST-2/train.csv", "sentence,label\n\"a\nb\",1\nc,2\n");
    ASSERT_HAS(open_error(&s), "train.csv:4: label \"2\"");
    put("glue/SST-2/train.csv", "sentence\tlabel\nc\t2\n");
    ASSERT_HAS(open_error(&s), "train.csv:1: the header has no column \"label\"");
    forget("glue/SST-2/train.csv");
}
END_TEST

/* csv.writer(delimiter="\t") with QUOTE_MINIMAL, QUOTE_ALL, QUOTE_NONNUMERIC, and raw text that only looks so. */
START_TEST(quoted_tsv)
{
    static const struct { const char *text, *row[3]; } files[] = {
        {"sentence\tlabel\n\"\"\"quoted\"\" start\"\t1\nplain\t0\n\"a lone \"\" quote\"\t1\n", {"\"quoted\" start", "plain", "a lone \" quote"}},
        {"sentence\tlabel\r\n\"\"\"quoted\"\" start\"\t1\r\nplain\t0\r\n\"a lone \"\" quote\"\t1\r\n", {"\"quoted\" start", "plain", "a lone \" quote"}},
        {"\"sentence\"\t\"label\"\n\"plain\"\t\"1\"\n\"more\"\t\"0\"\n\"end\"\t\"1\"", {"plain", "more", "end"}},
        {"\"sentence\"\t\"label\"\n\"plain\"\t1\n\"more\"\t0\n\"end\"\t1\n", {"plain", "more", "end"}},
        {"sentence\tlabel\n\"a\tb\"\t1\nplain\t0\nc\t1\n", {"a\tb", "plain", "c"}},
        {"sentence\tlabel\n\"whole\"\t1\nplain\t0\n5 \" disk\t1\n", {"\"whole\"", "plain", "5 \" disk"}},
        {"sentence\tlabel\n\"whole\"\t1\nplain\t0\nc\t1\n", {"\"whole\"", "plain", "c"}}, /* a writer of CSV would have left it bare */
        {"sentence\tlabel\n\"two\"\" marks\"\t1\n\"open\t0\nc\t1\n", {"\"two\"\" marks\"", "\"open", "c"}},
        {"sentence\tlabel\n\"a\" b \"\"c\"\t1\nplain\t0\nc\t1\n", {"\"a\" b \"\"c\"", "plain", "c"}},
    };
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 0;
    zo_dataset_spec prints[2] = {s, s};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        put("glue/SST-2/dev.tsv", files[k].text);
        char exported[512] = "";
        for (int r = 0; r < 3; r++) { /* the same rows as JSON lines, and their fingerprint */
            char *to = exported + strlen(exported);
            to += sprintf(to, "{\"label\": %d, \"sentence\": \"", r != 1);
            for (const char *at = files[k].row[r]; *at; at++) {
                to += sprintf(to, *at == '"' ? "\\\"" : *at == '\t' ? "\\t" : "%c", *at);
            }
            sprintf(to, "\"}\n");
        }
        uint64_t print[2] = {0, 1};
        zo_err err = {0};
        ck_assert_msg(zo_dataset_fingerprint(&prints[0], &print[0], &err) == ZO_OK, "file %zu: %s", k, err.text);
        forget("glue/SST-2/dev.tsv");
        put("glue/SST-2/dev.jsonl", exported);
        ck_assert_msg(zo_dataset_fingerprint(&prints[1], &print[1], &err) == ZO_OK, "file %zu: %s", k, err.text);
        forget("glue/SST-2/dev.jsonl");
        ck_assert_msg(print[0] == print[1], "file %zu is read otherwise", k);
    }
    put("glue/SST-2/dev.tsv", "sentence\tlabel\n\"a \"\" b\nc\"\t1\n"); /* a line feed inside quotes is not read, and not guessed */
    ASSERT_HAS(open_error(&s), "dev.tsv:2: 1 column");
}
END_TEST

START_TEST(strips_as_python_does)
{
    char out[4096];
    static const char *const white[] = {" ", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xa8", "\xc2\x85", "\xe2\x80\x89", "\xe1\x9a\x80", "\x1c", "\x1f", "\x0b", "\xe2\x81\x9f", "\xe2\x80\xaf"};
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_PROMPT, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 0;
    for (size_t k = 0; k < sizeof white / sizeof *white; k++) {
        char text[128];
        snprintf(text, sizeof text, "sentence\tlabel\n%s%sa fine one%s%s\t1\n", white[k], white[0], white[0], white[k]);
        put("glue/SST-2/dev.tsv", text);
        zo_dataset *d = open_or_die(&s);
        zo_batch *b = batch_of(d, ZO_TEST, 0);
        ck_assert_str_eq(option_text(b, 1, out), "a fine one It was| great");
        zo_batch_free(b);
        zo_dataset_close(d);
    }
    /* U+200B and U+180E are no white space to Python; the premise of COPA and what is run of a prompt are stripped the same way */
    put("superglue/COPA/val.jsonl", "{\"premise\": \"\\u2003It fell.\\u00a0\", \"choice1\": \"\\u00c9mile slept\", \"choice2\": \"I\", \"question\": \"cause\", \"label\": 0}\n");
    s = spec_of("copa", ZO_FORM_PROMPT, true);
    s.count[ZO_TRAIN] = 0;
    zo_dataset *d = open_or_die(&s);
    zo_batch *b = batch_of(d, ZO_TEST, 0);
    ck_assert_str_eq(option_text(b, 1, out), "It fell because| I");
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

/* ---- splits --------------------------------------------------------------------------------------------------------------- */

static void put_numbers(const char *name, int from, int n)
{
    static char text[65536];
    size_t used = (size_t)sprintf(text, "sentence\tlabel\n");
    for (int k = 0; k < n; k++) {
        used += (size_t)sprintf(text + used, "row%04d\t%d\n", from + k, k % 2);
    }
    put(name, text);
}

static int number_at(const zo_dataset *d, zo_split split, int32_t k)
{
    return atoi(text_of(d, split, k) + 3);
}

START_TEST(splits_are_disjoint_and_stay)
{
    put_numbers("glue/SST-2/train.tsv", 0, 300);
    put_numbers("glue/SST-2/dev.tsv", 1000, 80);
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.count[ZO_TRAIN] = 100;
    s.count[ZO_DEV] = 50;
    s.count[ZO_TEST] = 40;
    zo_dataset *d = open_or_die(&s), *again = open_or_die(&s);
    int seen[1100] = {0}, moved = 0;
    for (int split = 0; split < ZO_SPLITS; split++) {
        ck_assert_int_eq(zo_dataset_size(d, (zo_split)split), s.count[split]);
        for (int32_t k = 0; k < s.count[split]; k++) {
            int row = number_at(d, (zo_split)split, k);
            ck_assert_int_eq(seen[row]++, 0);
            ck_assert(split == ZO_TEST ? row >= 1000 : row < 300);
            ck_assert_int_eq(row, number_at(again, (zo_split)split, k));
            moved += row != k && row != k + 1000;
        }
    }
    ck_assert(moved > 150);
    zo_dataset_close(again);
    /* dev follows train in the same permutation, so train does not depend on how many dev rows there are */
    s.count[ZO_DEV] = 0;
    again = open_or_die(&s);
    ck_assert_int_eq(number_at(d, ZO_TRAIN, 99), number_at(again, ZO_TRAIN, 99));
    zo_dataset_close(again);
    s.train_split_seed = s.test_split_seed = 8;
    again = open_or_die(&s);
    int same = 0;
    for (int32_t k = 0; k < 100; k++) {
        same += number_at(d, ZO_TRAIN, k) == number_at(again, ZO_TRAIN, k);
    }
    ck_assert(same < 10);
    zo_dataset_close(again);
    zo_dataset_close(d);
    /* a golden row: the drawn rows must be the same for ever */
    s.train_split_seed = s.test_split_seed = 0;
    s.count[ZO_DEV] = 3;
    d = open_or_die(&s);
    int drawn[4] = {number_at(d, ZO_TRAIN, 0), number_at(d, ZO_TRAIN, 1), number_at(d, ZO_DEV, 0), number_at(d, ZO_TEST, 0)};
    zo_dataset_close(d);
    printf("measured: rows drawn by seed 0: %d %d %d %d\n", drawn[0], drawn[1], drawn[2], drawn[3]);
    ck_assert_int_eq(drawn[0], GOLDEN_TRAIN_0);
    ck_assert_int_eq(drawn[1], GOLDEN_TRAIN_1);
    ck_assert_int_eq(drawn[2], GOLDEN_DEV_0);
    ck_assert_int_eq(drawn[3], GOLDEN_TEST_0);

    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_DEV] = 20;
    s.count[ZO_TEST] = -1;
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 60);
    ck_assert_int_eq(number_at(d, ZO_TRAIN, 99), 99);
    ck_assert_int_eq(number_at(d, ZO_DEV, 19), 1019);
    ck_assert_int_eq(number_at(d, ZO_TEST, 0), 1020);
    zo_dataset_close(d);
    s.count[ZO_DEV] = 80; /* "all" of nothing */
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_DEV), 80);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 0);
    zo_dataset_close(d);
}
END_TEST

/* numpy's own output: seeds x sizes (tests/golden/make_numpy_draws.py). */
START_TEST(permutations_are_numpys)
{
    char *text;
    size_t bytes, length;
    zo_err err = {0};
    ck_assert_msg(zo_read_file("tests/golden/numpy_draws.txt", 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    int32_t *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, 100000 * sizeof *order);
    int draws = 0;
    for (char *line; (line = zo_lines_next(&lines, &length));) {
        if (line[0] == '#') {
            continue;
        }
        char *at = line;
        uint32_t seed = (uint32_t)strtoul(at, &at, 10), hash = 0;
        int32_t n = (int32_t)strtol(at, &at, 10);
        uint32_t want = (uint32_t)strtoul(at, &at, 10);
        ck_assert_int_lt(n, 100000);
        zo_numpy_permutation(seed, order, n);
        for (int32_t k = 0; k < n; k++) {
            hash += (uint32_t)(k + 1) * (uint32_t)order[k];
        }
        ck_assert_uint_eq(hash, want);
        for (int32_t k = 0; k < n && k < 8; k++) {
            ck_assert_int_eq(order[k], strtol(at, &at, 10));
        }
        draws++;
    }
    ck_assert_int_eq(draws, 140);
    /* RandomState(seed).randint(0, below, n), numpy 2.4.6 */
    static const struct { uint32_t seed, below, want[6]; } of[] = {{0, 10000, {2732, 9845, 3264, 4859, 9225, 7891}}, {1, 7, {5, 3, 4, 0, 1, 3}},
                                                                   {42, 65536, {56422, 15795, 860, 38158, 62570, 54343}}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        uint32_t got[6];
        zo_numpy_integers(of[k].seed, of[k].below, got, 6);
        ck_assert_mem_eq(got, of[k].want, sizeof got);
    }
    zo_free(order);
    zo_free(text);
}
END_TEST

/* MeZO's own rule, sample_train_sets and run.py: the last num_dev of the first num_train + num_dev of one permutation are dev. */
START_TEST(mezo_draws_the_authors_rows)
{
    static int32_t order[300], tests[80];
    put_numbers("glue/SST-2/train.tsv", 0, 300);
    put_numbers("glue/SST-2/dev.tsv", 1000, 80);
    static const struct { int64_t train, dev, test; int32_t got[ZO_SPLITS]; } of[] = {
        {100, 50, 40, {100, 50, 40}}, {250, 100, 80, {200, 100, 80}}, {1000, 500, 1000, {0, 300, 80}}, {-1, 100, -1, {200, 100, 80}}, {40, -1, 0, {40, 260, 0}},
        {0, 0, 80, {0, 0, 80}},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
        s.scheme = ZO_SPLIT_MEZO;
        s.train_split_seed = k;
        s.test_split_seed = 100 + k;
        s.count[ZO_TRAIN] = of[k].train;
        s.count[ZO_DEV] = of[k].dev;
        s.count[ZO_TEST] = of[k].test;
        zo_dataset *d = open_or_die(&s);
        zo_numpy_permutation((uint32_t)k, order, 300);
        zo_numpy_permutation((uint32_t)(100 + k), tests, 80);
        for (int split = 0; split < ZO_SPLITS; split++) {
            ck_assert_int_eq(zo_dataset_size(d, (zo_split)split), of[k].got[split]);
            for (int32_t i = 0; i < of[k].got[split]; i++) {
                int32_t want = split == ZO_TRAIN ? order[i] : split == ZO_DEV ? order[of[k].got[ZO_TRAIN] + i] : 1000 + (of[k].test < 0 ? i : tests[i]);
                ck_assert_int_eq(number_at(d, (zo_split)split, i), want);
            }
        }
        zo_dataset_close(d);
        s.train_split_seed = 1ull << 32;
        ASSERT_HAS(open_error(&s), "above numpy's 4294967295");
    }
}
END_TEST

/* The test rows of k-shot are drawn once, whatever the folder: the first of numpy's permutation with the test seed. */
START_TEST(kshot_rows)
{
    static int32_t order[80];
    put_numbers("few/SST-2/4-13/train.tsv", 0, 8);
    put_numbers("few/SST-2/4-13/dev.tsv", 100, 8);
    put_numbers("few/SST-2/4-21/train.tsv", 200, 8);
    put_numbers("few/SST-2/4-21/dev.tsv", 300, 8);
    put_numbers("few/SST-2/test.tsv", 1000, 80);
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_KSHOT;
    s.k = 4;
    s.kshot_folder = "few";
    s.test_split_seed = 42;
    s.count[ZO_TRAIN] = s.count[ZO_DEV] = -1;
    s.count[ZO_TEST] = 30;
    zo_numpy_permutation(42, order, 80);
    for (int seed = 0; seed < 2; seed++) {
        s.train_split_seed = seed ? 21 : 13;
        zo_dataset *d = open_or_die(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 8);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 30);
        ck_assert_int_eq(number_at(d, ZO_TRAIN, 3), seed ? 203 : 3);
        ck_assert_int_eq(number_at(d, ZO_DEV, 3), seed ? 303 : 103);
        for (int k = 0; k < 30; k++) {
            ck_assert_int_eq(number_at(d, ZO_TEST, k), 1000 + order[k]);
        }
        zo_dataset_close(d);
    }
    s.count[ZO_TRAIN] = 5;
    s.count[ZO_TEST] = 1000; /* more than there is: all, in the file's order */
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 5);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 80);
    ck_assert_int_eq(number_at(d, ZO_TEST, 3), 1003);
    zo_dataset_close(d);
    s.k = 512;
    forget("glue/SST-2/train.tsv");
    ASSERT_HAS(open_error(&s), "few/SST-2/512-21/train.tsv");
    s.k = 0;
    ASSERT_HAS(open_error(&s), "a k of 0");
    s.k = 4;
    static const char *const folders[] = {"", "a/b", "..", "/etc"};
    for (int k = 0; k < 4; k++) {
        s.kshot_folder = folders[k];
        ASSERT_HAS(open_error(&s), "is not the name of a folder");
    }
}
END_TEST

/* Without a folder: LM-BFF's rule, of one permutation the first k rows a class and the next k, classes as they come. */
START_TEST(kshot_rows_are_drawn)
{
    static int32_t order[70];
    put_numbers("glue/SST-2/train.tsv", 0, 70); /* 35 of each class, by parity */
    put_numbers("glue/SST-2/dev.tsv", 1000, 10);
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_KSHOT;
    s.kshot_folder = "none";
    s.count[ZO_TRAIN] = s.count[ZO_DEV] = s.count[ZO_TEST] = -1;
    static const int ks[] = {3, 17, 20, 40}, dev[] = {3, 17, 15, 0};
    for (int c = 0; c < 4; c++) {
        s.k = ks[c];
        s.train_split_seed = 21 + (uint64_t)c;
        zo_dataset *d = open_or_die(&s);
        ASSERT_HAS(zo_dataset_note(d), "drawn from the training file as LM-BFF's tool draws them");
        ASSERT_HAS(zo_dataset_note(d), "test is the validation file");
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 10);
        zo_numpy_permutation((uint32_t)s.train_split_seed, order, 70);
        for (int split = 0; split < 2; split++) {
            int want = split ? dev[c] : ks[c] < 35 ? ks[c] : 35, skip = split ? ks[c] : 0, at = 0;
            ck_assert_int_eq(zo_dataset_size(d, split ? ZO_DEV : ZO_TRAIN), 2 * want);
            for (int half = 0; half < 2; half++) { /* the class of the permutation's first row, then the other */
                for (int k = 0, seen = 0; k < 70; k++) {
                    if (order[k] % 2 == (order[0] + half) % 2 && seen++ >= skip && seen <= skip + want) {
                        ck_assert_int_eq(number_at(d, split ? ZO_DEV : ZO_TRAIN, at++), order[k]);
                    }
                }
            }
            ck_assert_int_eq(at, 2 * want);
        }
        zo_dataset_close(d);
    }
    s.k = 16; /* one of the two files is a broken folder, no reason to draw */
    put_numbers("none/SST-2/16-24/train.tsv", 0, 8);
    ASSERT_HAS(open_error(&s), "no k-shot dev file");
}
END_TEST

/* Counts are "at most": too few rows are shared out, and what trains nothing needs no training file. */
START_TEST(counts_are_at_most)
{
    put_numbers("glue/SST-2/train.tsv", 0, 30);
    put_numbers("glue/SST-2/dev.tsv", 1000, 10);
    static const struct { zo_split_scheme scheme; int64_t count[ZO_SPLITS]; int32_t got[ZO_SPLITS]; } of[] = {
        {ZO_SPLIT_DRAWN, {1000, 500, 1000}, {20, 10, 10}},
        {ZO_SPLIT_DRAWN, {20, 500, 0}, {2, 28, 0}}, /* 20 : 500, the rounding goes to train */
        {ZO_SPLIT_DRAWN, {1000, 5, 0}, {29, 1, 0}}, /* who asked for some has one */
        {ZO_SPLIT_DRAWN, {1, 1000, 0}, {1, 29, 0}},
        {ZO_SPLIT_DRAWN, {-1, 500, 3}, {0, 30, 3}},
        {ZO_SPLIT_DRAWN, {-1, 12, 0}, {18, 12, 0}},
        {ZO_SPLIT_DRAWN, {INT64_MAX, 0, INT64_MAX}, {30, 0, 10}},
        {ZO_SPLIT_FIRST, {512, 256, 256}, {30, 10, 0}},
        {ZO_SPLIT_FIRST, {512, 4, 256}, {30, 4, 6}},
        {ZO_SPLIT_FIRST, {5, -1, 4}, {5, 6, 4}},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
        s.scheme = of[k].scheme;
        memcpy(s.count, of[k].count, sizeof s.count);
        zo_dataset *d = open_or_die(&s);
        int seen[1100] = {0};
        for (int split = 0; split < ZO_SPLITS; split++) {
            ck_assert_msg(zo_dataset_size(d, (zo_split)split) == of[k].got[split], "case %zu, split %d: %d", k, split, zo_dataset_size(d, (zo_split)split));
            for (int32_t i = 0; i < of[k].got[split]; i++) {
                ck_assert_int_eq(seen[number_at(d, (zo_split)split, i)]++, 0);
                ck_assert(split != ZO_TEST || of[k].got[split] < 10 || number_at(d, ZO_TEST, i) == 1000 + i); /* all are in the file's order */
            }
        }
        zo_dataset_close(d);
    }
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.evaluate_only = true;
    s.count[ZO_TRAIN] = 20;
    s.count[ZO_DEV] = 4;
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 0);
    ck_assert_int_eq(zo_dataset_size(d, ZO_DEV), 4);
    s.evaluate_only = false;
    zo_dataset *e = open_or_die(&s);
    ck_assert_int_eq(number_at(d, ZO_DEV, 0), number_at(e, ZO_DEV, 0)); /* the same dev rows as a run that trains */
    zo_dataset_close(d);
    zo_dataset_close(e);
    forget("glue/SST-2/train.tsv");
    s.evaluate_only = true;
    ASSERT_HAS(open_error(&s), "no training file"); /* dev comes out of it */
    s.count[ZO_DEV] = 0;
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 10);
    zo_dataset_close(d);
}
END_TEST

static uint64_t task_print(const char *task)
{
    uint64_t print;
    zo_err err = {0};
    ck_assert_msg(zo_task_fingerprint(task, true, &print, &err) == ZO_OK, "%s", err.text);
    return print;
}

/* The fingerprint is of labels and texts in order: a hand-made sum of the same rows, and no other rows have it. */
START_TEST(fingerprints)
{
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_HEAD, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.tokenizer = NULL;
    s.count[ZO_DEV] = 1;
    static const char *const train[] = {"sentence\tlabel\na\t1\nb\t0\n", "sentence\tlabel\na\t1\nb\t1\n", "sentence\tlabel\na\t1\nc\t0\n",
                                        "sentence\tlabel\nb\t0\na\t1\n", "sentence\tlabel\na\t1\n", "sentence\tlabel\nab\t1\nb\t0\n"};
    uint64_t print[8];
    zo_err err = {0};
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nd\t1\ne\t0\n");
    for (int k = 0; k < 6; k++) {
        put("glue/SST-2/train.tsv", train[k]);
        ck_assert(zo_dataset_fingerprint(&s, &print[k], &err) == ZO_OK);
    }
    s.count[ZO_TEST] = 0;
    ck_assert(zo_dataset_fingerprint(&s, &print[6], &err) == ZO_OK);
    s.count[ZO_DEV] = 2;
    ck_assert(zo_dataset_fingerprint(&s, &print[7], &err) == ZO_OK);
    for (int k = 0; k < 8; k++) {
        for (int i = 0; i < k; i++) {
            ck_assert_msg(print[i] != print[k], "rows %d and %d", i, k);
        }
    }
    put("glue/SST-2/train.tsv", "label\tsentence\tidx\n1\ta\t5\n0\tb\t6\n"); /* the same rows, written otherwise */
    s.count[ZO_DEV] = 1;
    s.count[ZO_TEST] = -1;
    uint64_t again;
    ck_assert(zo_dataset_fingerprint(&s, &again, &err) == ZO_OK);
    ck_assert_uint_eq(again, print[0]);
    s.task = "sst9";
    ck_assert(zo_dataset_fingerprint(&s, &again, &err) == ZO_EINPUT);
    const zo_task_info *list;
    int n = zo_task_list(&list);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < k; i++) {
            ck_assert_uint_ne(task_print(list[i].name), task_print(list[k].name));
        }
        ck_assert_uint_eq(task_print(list[k].name), task_print(list[k].name));
    }
}
END_TEST

START_TEST(boolq_without_its_train_file)
{
    static char text[8192];
    size_t used = 0;
    for (int k = 0; k < 30; k++) {
        used += (size_t)sprintf(text + used, "{\"question\": \"is it %d\", \"passage\": \"row%04d\", \"label\": %s}\n", k, k, k % 3 ? "true" : "false");
    }
    put("superglue/BoolQ/val.jsonl", text);
    forget("superglue/BoolQ/train.jsonl");
    zo_dataset_spec s = spec_of("boolq", ZO_FORM_HEAD, true);
    s.count[ZO_TRAIN] = 10;
    s.count[ZO_DEV] = 5;
    zo_dataset *d = open_or_die(&s);
    ASSERT_HAS(zo_dataset_note(d), "boolq: train, dev and test drawn from the validation file, the train file is not there");
    int seen[30] = {0};
    for (int split = 0; split < ZO_SPLITS; split++) {
        for (int32_t k = 0; k < zo_dataset_size(d, (zo_split)split); k++) {
            ck_assert_int_eq(seen[number_at(d, (zo_split)split, k)]++, 0);
        }
    }
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 15);
    zo_dataset_close(d);
    s.count[ZO_TRAIN] = s.count[ZO_DEV] = 1; /* test's part is 29 of 30: it gives one */
    s.count[ZO_TEST] = 100000;
    d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 1);
    ck_assert_int_eq(zo_dataset_size(d, ZO_DEV), 1);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 28);
    zo_dataset_close(d);
    s = spec_of("boolq", ZO_FORM_PROMPT, true);
    s.scheme = ZO_SPLIT_FIRST;
    s.count[ZO_TRAIN] = 1;
    d = open_or_die(&s);
    char out[4096];
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, out), "row0000 Is it 0?\n|No");
    ck_assert_str_eq(option_text(b, 1, out), "row0000 Is it 0?\n|Yes");
    ck_assert_int_eq(b->label[0], 0);
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

/* ---- forms ---------------------------------------------------------------------------------------------------------------- */

START_TEST(mask_templates)
{
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_PROMPT, false);
    put("glue/SST-2/train.tsv", "sentence\tlabel\nthe plot was dull .\t0\n");
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nthe plot was dull and the song was good and the cast was bad .\t0\n");
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_WORDS);
    ck_assert_str_eq(zo_tokenizer_token(words, zo_dataset_words(d)[0]), "terrible");
    ck_assert_str_eq(zo_tokenizer_token(words, zo_dataset_words(d)[1]), "great");
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the plot was dull . it was [MASK] . [SEP]");
    ck_assert_int_eq(b->row[0], 8);
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 12; /* the text is cut, never the template */
    d = open_or_die(&s);
    b = batch_of(d, ZO_TEST, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the plot was dull and the it was [MASK] . [SEP]");
    ck_assert_int_eq(b->row[0], 9);
    ck_assert_int_eq(zo_dataset_truncated(d), 1);
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 40;
    s.fill = true;
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_int_eq(b->tokens, 40);
    ck_assert_int_eq(b->row[0], 37);
    ck_assert_str_eq(zo_tokenizer_token(words, b->id[6]), "the"); /* the text again */
    zo_batch_free(b);
    zo_dataset_close(d);

    /* sent-_0 drops the last character, sentl_1 lower-cases the first, "+" leaves WordPiece alone */
    s = spec_of("rte", ZO_FORM_PROMPT, false);
    put("glue/RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tthe dog chased the cat.\tThe animal chased the cat.\tentailment\n");
    put("glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tthe dog chased the cat.\tThe animal\tnot_entailment\n");
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the dog chased the cat ? [MASK] , the animal chased the cat . [SEP]");
    ck_assert_int_eq(b->label[0], 0);
    ck_assert_str_eq(zo_tokenizer_token(words, zo_dataset_words(d)[0]), "yes");
    for (int32_t t = 0; t < b->tokens; t++) {
        ck_assert_int_eq(b->type[t], 0);
    }
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 13; /* 5 + 6 text tokens into 8: the shorter keeps half, as longest_first leaves it */
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the dog chased the ? [MASK] , the animal chased the [SEP]");
    zo_batch_free(b);
    b = batch_of(d, ZO_TEST, 0); /* 5 + 2: nothing to cut */
    ck_assert_str_eq(words_of(words, b), "[CLS] the dog chased the cat ? [MASK] , the animal [SEP]");
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

START_TEST(head_form_of_encoders)
{
    zo_dataset_spec s = spec_of("rte", ZO_FORM_HEAD, false);
    put("glue/RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tthe dog chased the cat.\tthe animal chased the cat.\tentailment\n");
    put("glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tthe dog\tthe animal chased the cat in the garden.\tnot_entailment\n");
    zo_dataset *d = open_or_die(&s);
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the dog chased the cat . [SEP] the animal chased the cat . [SEP]");
    ck_assert_int_eq(b->row[0], 0);
    ck_assert_int_eq(b->type[7], 0);
    ck_assert_int_eq(b->type[8], 1);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_CLASS);
    ck_assert_ptr_null(zo_dataset_words(d));
    ck_assert_int_eq(zo_dataset_classes(d), 2);
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 9; /* six tokens of text: 2 whole and 4 of the longer */
    d = open_or_die(&s);
    b = batch_of(d, ZO_TEST, 0);
    ck_assert_str_eq(words_of(words, b), "[CLS] the dog [SEP] the animal chased the [SEP]");
    ck_assert_int_eq(zo_dataset_truncated(d), 2);
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 64;
    s.fill = true;
    d = open_or_die(&s);
    b = batch_of(d, ZO_TEST, 0);
    ck_assert_int_eq(b->tokens, 64);
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

START_TEST(prompts_and_options)
{
    char out[4096];
    put("glue/SST-2/train.tsv", "sentence\tlabel\n  a fine one \t1\n");
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nb\t0\n");
    zo_dataset_spec s = spec_of("sst2", ZO_FORM_PROMPT, true);
    zo_dataset *d = open_or_die(&s);
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_OPTIONS);
    ck_assert_str_eq(option_text(b, 0, out), "a fine one It was| terrible");
    ck_assert_str_eq(option_text(b, 1, out), "a fine one It was| great");
    ck_assert_int_eq(b->seqs, 3); /* the prompt with the common space, "terribl", "grea" */
    ck_assert_int_eq(b->start[1], 18);
    ck_assert_int_eq(b->tokens, 18 + 7 + 4);
    ck_assert_int_eq(b->rows, 9 + 6 - 2); /* the space and the first letter are each asked at one row for both */
    ck_assert_int_eq(b->paper_sequences, 2);
    ck_assert_int_eq(b->paper_tokens, 26 + 23);
    zo_batch_free(b);
    zo_dataset_close(d);

    s.tokenizer = bytes_bos;
    s.context = 15; /* cut at the left, the bos stays; both options are cut to the same length at different places */
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, out), "^t was| terrible");
    ck_assert_str_eq(option_text(b, 1, out), "^e It was| great");
    ck_assert_int_eq(zo_dataset_truncated(d), 3); /* "b It was terrible" is too long as well */
    ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_TRAIN), 2);
    ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_DEV), 0);
    ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_TEST), 1);
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 11; /* the least: a bos, a token of the prompt, the longest option */
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, out), "^s| terrible");
    zo_batch_free(b);
    zo_dataset_close(d);
    s.context = 10;
    ASSERT_HAS(open_error(&s), "needs at least 11 tokens");
    s.context = 15;
    s.tokenizer = bytes_plain;
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 1, out), "ne It was| great");
    zo_batch_free(b);
    zo_dataset_close(d);
    s.tokenizer = bytes_bos;
    s.context = 60;
    s.fill = true;
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 1, out), "^a fine one It wasa fine one It wasa fine one It wasa | great");
    ck_assert_int_eq(b->paper_tokens, 120);
    zo_batch_free(b);
    zo_dataset_close(d);

    /* the first tokens of all options are asked at one row */
    put("superglue/WiC/train.jsonl", "{\"word\": \"bank\", \"sentence1\": \"By the bank.\", \"sentence2\": \"In a bank.\", \"label\": true}\n");
    put("superglue/WiC/val.jsonl", "{\"word\": \"bank\", \"sentence1\": \"By the bank.\", \"sentence2\": \"In a bank.\", \"label\": false}\n");
    s = spec_of("wic", ZO_FORM_PROMPT, true);
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, out), "Does the word \"bank\" have the same meaning in these two sentences? Yes, No?\nBy the bank.\nIn a bank.\n|No");
    ck_assert_int_eq(b->label[0], 1);
    ck_assert_int_eq(b->at[0], b->at[2]); /* both first letters are asked at the line feed */
    zo_batch_free(b);
    zo_dataset_close(d);
    put("superglue/CB/train.jsonl", "{\"premise\": \"p.\", \"hypothesis\": \"h\", \"label\": \"neutral\"}\n");
    put("superglue/CB/val.jsonl", "{\"premise\": \"p.\", \"hypothesis\": \"h\", \"label\": \"contradiction\"}\n");
    s = spec_of("cb", ZO_FORM_PROMPT, true);
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 2, out), "Suppose p. Can we infer that \"h\"? Yes, No, or Maybe?\n|Maybe");
    ck_assert_int_eq(b->label[0], 2);
    ck_assert_int_eq(b->options, 3);
    zo_batch_free(b);
    zo_dataset_close(d);
    put("glue/RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tp.\th.\tentailment\n");
    put("glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tp.\th.\tnot_entailment\n");
    s = spec_of("rte", ZO_FORM_PROMPT, true);
    d = open_or_die(&s);
    b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_str_eq(option_text(b, 0, out), "p.\nDoes this mean that \"h.\" is true? Yes or No?\n|Yes");
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

START_TEST(copa_trains_on_the_right_option_alone)
{
    char out[4096];
    put("superglue/COPA/train.jsonl", "{\"premise\": \"The man left. \", \"choice1\": \"HE slept.\", \"choice2\": \"I am sad.\", \"question\": \"effect\", \"label\": 1}\n");
    put("superglue/COPA/val.jsonl", "{\"premise\": \"It fell.\", \"choice1\": \"He slept.\", \"choice2\": \"He pushed.\", \"question\": \"cause\", \"label\": 1}\n");
    zo_dataset_spec s = spec_of("copa", ZO_FORM_PROMPT, true);
    zo_dataset *d = open_or_die(&s);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_SPAN);
    zo_batch *b = batch_of(d, ZO_TRAIN, 0);
    ck_assert_int_eq(b->options, 1);
    ck_assert_int_eq(b->label[0], 0);
    ck_assert_int_eq(b->seqs, 1);
    ck_assert_str_eq(option_text(b, 0, out), "The man left so| I am sad.");
    zo_batch_free(b);
    b = batch_of(d, ZO_TEST, 0);
    ck_assert_int_eq(b->options, 2);
    ck_assert_int_eq(b->label[0], 1);
    ck_assert_str_eq(option_text(b, 0, out), "It fell because| he slept.");
    ck_assert_str_eq(option_text(b, 1, out), "It fell because| he pushed.");
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

/* ---- the synthetic language ----------------------------------------------------------------------------------------------- */

START_TEST(synthetic_text_is_known_and_steady)
{
    size_t n, m;
    char *text = zo_synth_corpus(3, 2000, &n), *again = zo_synth_corpus(3, 2000, &m), *other = zo_synth_corpus(4, 2000, &m);
    ck_assert_str_eq(text, again);
    ck_assert_str_ne(text, other);
    ck_assert_uint_eq(strlen(text), n);
    int lines = 0, verdicts = 0;
    zo_lines all = zo_lines_of(text, n);
    zo_ids ids = {0};
    size_t length;
    for (char *line; (line = zo_lines_next(&all, &length));) {
        zo_err err = {0};
        zo_ids_clear(&ids);
        ck_assert(zo_tokenizer_encode(words, line, length, ZO_WITHOUT_SPECIALS, &ids, &err) == ZO_OK);
        ck_assert_msg(ids.n >= 5 && ids.n <= 40, "%lld tokens: %s", (long long)ids.n, line);
        for (int64_t k = 0; k < ids.n; k++) {
            ck_assert_msg(ids.ids[k] != zo_tokenizer_special(words).unk, "a word of \"%s\" is not in the vocabulary", line);
        }
        verdicts += strstr(line, " it was ") != NULL;
        lines++;
    }
    ck_assert_int_eq(lines, 2000);
    ck_assert(verdicts > 400);
    zo_ids_free(&ids);
    zo_free(text);
    zo_free(again);
    zo_free(other);
    static const char *const tasks[] = {"synth-sentiment", "synth-entailment", "synth-acceptability"};
    for (int k = 0; k < 3; k++) {
        for (int form = 0; form < 3; form++) {
            zo_dataset_spec s = spec_of(tasks[k], form == 0 ? ZO_FORM_HEAD : ZO_FORM_PROMPT, form == 2);
            s.data_dir = NULL;
            s.context = 512;
            s.count[ZO_TRAIN] = 400;
            s.count[ZO_DEV] = 100;
            s.count[ZO_TEST] = 600;
            zo_dataset *d = open_or_die(&s);
            ck_assert_int_eq(zo_dataset_truncated(d), 0);
            int32_t ones = 0, size = zo_dataset_size(d, ZO_TEST);
            for (int32_t i = 0; i < size; i++) {
                ones += zo_dataset_label(d, ZO_TEST, i);
            }
            ck_assert_msg(abs(2 * ones - size) < size / 6, "%s: %d of %d are ones", tasks[k], ones, size);
            check_all_batches(d, s.context);
            if (form < 2) {
                for (int32_t i = 0; i < size; i++) {
                    zo_batch *b = batch_of(d, ZO_TEST, i);
                    ck_assert(b->tokens >= 7 && b->tokens <= 40);
                    for (int32_t t = 0; t < b->tokens; t++) {
                        ck_assert_int_ne(b->id[t], zo_tokenizer_special(words).unk);
                    }
                    zo_batch_free(b);
                }
            }
            zo_dataset_close(d);
        }
    }
}
END_TEST

/* The language, its corpus and the tasks' rows are the same for ever: pretrained models and results of other days stand on them. */
START_TEST(synthetic_text_is_that_of_all_days)
{
    static const struct { const char *task; uint64_t print; } rows[] = {
        {"synth-sentiment", 0x6b3dbcf29eb3f688}, {"synth-entailment", 0x5457a28a5e95ff18}, {"synth-acceptability", 0x63a8be354e2fbd3f}, {"synth-lengths", 0x3a516d4a55ba6a15}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        zo_dataset_spec s = spec_of(rows[k].task, ZO_FORM_HEAD, false);
        zo_err err = {0};
        uint64_t print;
        s.data_dir = NULL;
        s.scheme = ZO_SPLIT_FIRST;
        ck_assert(zo_dataset_fingerprint(&s, &print, &err) == ZO_OK);
        ck_assert_msg(print == rows[k].print, "%s: 0x%016llx", rows[k].task, (unsigned long long)print);
    }
    size_t bytes;
    zo_err err = {0};
    char path[512], *text = zo_synth_corpus(3, 2000, &bytes);
    uint64_t print = zo_fnv1a(ZO_FNV_START, text, bytes);
    zo_free(text);
    ck_assert_msg(print == 0x747ebb6754e7abdf, "corpus: 0x%016llx", (unsigned long long)print);
    ck_assert(zo_read_file(zo_path_join(path, sizeof path, folder, "language/vocab.txt"), 1 << 20, &text, &bytes, &err) == ZO_OK);
    print = zo_fnv1a(ZO_FNV_START, text, bytes);
    zo_free(text);
    ck_assert_msg(print == 0x2a50dc7a895e309a, "vocabulary: 0x%016llx", (unsigned long long)print);
}
END_TEST

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No sentence stands in two splits, nor twice in one. */
START_TEST(synthetic_splits_share_no_text)
{
    enum { ROWS = 4096 + 2048 };
    static const char *const tasks[] = {"synth-sentiment", "synth-entailment", "synth-acceptability"};
    static char *texts[ROWS];
    for (int k = 0; k < 3; k++) {
        zo_dataset_spec s = spec_of(tasks[k], ZO_FORM_HEAD, true);
        s.data_dir = NULL;
        s.count[ZO_DEV] = 1000;
        zo_dataset *d = open_or_die(&s);
        int n = 0;
        for (int split = 0; split < ZO_SPLITS; split++) {
            for (int32_t i = 0; i < zo_dataset_size(d, (zo_split)split); i++) {
                ck_assert_int_lt(n, ROWS);
                texts[n++] = strdup(text_of(d, (zo_split)split, i));
            }
        }
        ck_assert_int_eq(n, ROWS);
        qsort(texts, ROWS, sizeof *texts, by_text);
        for (int i = 0; i < ROWS; i++) {
            ck_assert_msg(i == 0 || strcmp(texts[i - 1], texts[i]) != 0, "%s: twice: %s", tasks[k], texts[i]);
        }
        for (int i = 0; i < ROWS; i++) {
            free(texts[i]);
        }
        zo_dataset_close(d);
    }
}
END_TEST

/* The mean of SST-2's 67349 training sentences is 11.36 tokens of GPT-2's BPE (tasks/synth_lengths.c). */
START_TEST(lengths_are_those_of_sst2)
{
    zo_dataset_spec s = spec_of("synth-lengths", ZO_FORM_HEAD, false);
    s.data_dir = NULL;
    s.count[ZO_TRAIN] = 4000;
    zo_dataset *d = open_or_die(&s);
    double sum = 0;
    int ones = 0;
    for (int32_t i = 0; i < 4000; i++) {
        zo_batch *b = batch_of(d, ZO_TRAIN, i);
        ck_assert(b->tokens >= 3 && b->tokens <= 66); /* [CLS] and [SEP] */
        for (int32_t t = 0; t < b->tokens; t++) {
            ck_assert_int_ne(b->id[t], zo_tokenizer_special(words).unk);
        }
        sum += b->tokens - 2;
        ones += b->label[0];
        zo_batch_free(b);
    }
    ck_assert_double_eq_tol(sum / 4000, 11.36, 0.5);
    ck_assert_int_lt(abs(2 * ones - 4000), 200);
    zo_dataset_close(d);
}
END_TEST

START_TEST(bounds_are_reached)
{
    zo_dataset_spec s = spec_of("synth-sentiment", ZO_FORM_PROMPT, true);
    s.count[ZO_TRAIN] = 64;
    s.count[ZO_TEST] = 0;
    zo_dataset *d = open_or_die(&s);
    int32_t index[64];
    for (int32_t k = 0; k < 64; k++) {
        index[k] = k;
    }
    zo_batch *b = zo_dataset_batch(d, ZO_TRAIN, index, 64);
    zo_sizes bound = zo_dataset_bounds(d, ZO_TRAIN, 64);
    ck_assert_int_eq(bound.tokens, b->tokens); /* the whole split is its own worst batch */
    ck_assert_int_eq(bound.seqs, b->seqs);
    ck_assert_int_eq(bound.rows, b->rows);
    ck_assert_int_eq(bound.scores, b->scores);
    zo_batch_free(b);
    int64_t longest = zo_dataset_longest(d, ZO_TRAIN);
    ck_assert_int_eq(zo_dataset_bounds(d, ZO_TRAIN, 1).tokens, longest);
    ck_assert_int_eq(zo_dataset_bounds(d, ZO_TRAIN, 100).tokens, 100 * longest);
    bound = zo_dataset_bounds(d, ZO_TEST, 4);
    ck_assert_int_eq(bound.tokens + bound.seqs + bound.rows + bound.scores, 0);
    zo_sizes most = {.tokens = longest};
    zo_dataset_measure(d, ZO_TRAIN, index, 1, &most);
    zo_dataset_measure(d, ZO_TRAIN, index + 1, 3, &most);
    zo_dataset_measure(d, ZO_TRAIN, index, 2, &most); /* a smaller batch lowers nothing */
    b = zo_dataset_batch(d, ZO_TRAIN, index + 1, 3);
    ck_assert_int_eq(most.tokens, b->tokens > longest ? b->tokens : longest);
    ck_assert_int_eq(most.seqs, b->seqs);
    ck_assert_int_eq(most.scores, b->scores);
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

START_TEST(memory_is_given_back)
{
    zo_dataset_spec s = spec_of("synth-entailment", ZO_FORM_PROMPT, true);
    s.count[ZO_TRAIN] = 50;
    zo_dataset *d = open_or_die(&s); /* the tokenizer's cache is warm after this */
    zo_dataset_close(d);
    uint64_t before = zo_mem_live(ZO_HOST).total_bytes;
    d = open_or_die(&s);
    zo_dataset_close(d);
    s.context = 4;
    ASSERT_HAS(open_error(&s), "too small");
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, before);
}
END_TEST

START_TEST(the_list_is_complete)
{
    static const char *const names[] = {"sst2", "sst5", "cola", "trec", "mrpc", "qnli", "mnli", "rte", "cb", "boolq", "wsc", "wic", "multirc", "copa",
                                        "record", "snli", "qqp", "stsb", "mr", "cr", "mpqa", "subj", "ag_news", "synth-sentiment", "synth-entailment", "synth-acceptability", "synth-lengths"};
    const zo_task_info *list;
    int n = zo_task_list(&list);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) { /* in this order; a new one may come anywhere */
        int found = 0, at = 0;
        for (int i = 0; i < n; i++) {
            found += strcmp(list[i].name, names[k]) == 0;
            at = strcmp(list[i].name, names[k]) == 0 ? i : at;
        }
        ck_assert_msg(found == 1 && (size_t)at >= k, "%s", names[k]);
    }
    for (int k = 0; k < n; k++) {
        ck_assert(list[k].title && (list[k].classes >= 2 || list[k].classes == 0) && list[k].has_prompt == (list[k].has_mask_prompt || list[k].has_option_prompt));
        ck_assert(list[k].needs_data == (list[k].files != NULL) && (list[k].has_head || list[k].has_prompt));
    }
}
END_TEST

/* ---- real data ------------------------------------------------------------------------------------------------------------ */

START_TEST(real_files)
{
    const char *data = getenv("ZO_TEST_DATA"), *models = getenv("ZO_TEST_MODELS");
    data = data ? data : "../shared/data";
    models = models ? models : "../shared/models";
    char bert[4096];
    zo_path_join(bert, sizeof bert, models, "tokenizers/bert-base-uncased");
    if (!zo_path_is_dir(data) || !zo_path_is_dir(bert)) {
        printf("skipped: real data, %s or %s is not there\n", data, bert);
        return;
    }
    zo_tokenizer *t;
    zo_err err = {0};
    ck_assert_msg(zo_tokenizer_open(&t, bert, &err) == ZO_OK, "%s", err.text);
    static const struct { const char *task; int32_t train, validation, kshot_classes, kshot_test; } known[] = {
        {"sst2", 67349, 872, 2, 872},   {"cola", 8551, 1043, 2, 1043}, {"rte", 2490, 277, 2, 277}, {"mrpc", 3668, 408, 2, 408},
        {"qnli", 9999, 5463, 2, 5463},  {"mnli", 9999, 1000, 3, 1000}, {"trec", 5452, 500, 6, 500}, {"sst5", 8544, 2210, 5, 2210},
        {"cb", 250, 56, 0, 0},          {"boolq", 0, 3270, 0, 0},      {"wsc", 554, 104, 0, 0},    {"wic", 5428, 638, 0, 0},
        {"multirc", 27243, 4848, 0, 0}, {"copa", 400, 100, 0, 0},
           {"snli", 9999, 1000, 3, 1000},    {"mr", 10662, 10662, 2, 2000}, {"subj", 10000, 10000, 2, 2000},
        {"cr", 3771, 3771, 2, 1999},    {"mpqa", 10603, 10603, 2, 2000}, {"ag_news", 0, 7600, 0, 0},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        bool causal = known[k].kshot_classes == 0;
        zo_dataset_spec s = {.task = known[k].task, .form = ZO_FORM_PROMPT, .data_dir = data, .tokenizer = t, .causal = causal, .context = 512, .count = {0, 0, -1}};
        zo_dataset *d = open_or_die(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), known[k].validation);
        check_all_batches(d, s.context);
        zo_dataset_close(d);
        if (known[k].train < 10000) { /* those of SST-2 take their time */
            s.count[ZO_TRAIN] = 1 << 30; /* at most */
            s.count[ZO_TEST] = 0;
            d = open_or_die(&s);
            ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), known[k].train ? known[k].train : known[k].validation);
            zo_dataset_close(d);
        }
        if (!causal) {
            static const uint64_t seeds[] = {13, 21, 42, 87, 100};
            for (int seed = 0; seed < 5; seed++) {
                if (strcmp(known[k].task, "trec") == 0) { /* LM-BFF drew from this very file */
                    zo_dataset_spec fs = {.task = known[k].task, .data_dir = data, .scheme = ZO_SPLIT_KSHOT, .train_split_seed = seeds[seed], .k = 16,
                                          .kshot_folder = "k-shot", .count = {-1, -1, 0}};
                    uint64_t folder_print, drawn_print;
                    ck_assert_msg(zo_dataset_fingerprint(&fs, &folder_print, &err) == ZO_OK, "%s", err.text);
                    fs.kshot_folder = "none";
                    ck_assert_msg(zo_dataset_fingerprint(&fs, &drawn_print, &err) == ZO_OK, "%s", err.text);
                    ck_assert_msg(folder_print == drawn_print, "%s-%d", known[k].task, (int)seeds[seed]);
                }
                zo_dataset_spec ks = {.task = known[k].task, .form = ZO_FORM_PROMPT, .data_dir = data, .tokenizer = t, .context = 512, .scheme = ZO_SPLIT_KSHOT,
                                      .train_split_seed = seeds[seed], .test_split_seed = 42, .k = 16, .kshot_folder = "k-shot", .count = {-1, -1, seed ? 0 : -1}};
                d = open_or_die(&ks);
                /* cr's folders of seeds 13 and 42 have a row without text, of class 1 and of class 0 */
                int lost = strcmp(known[k].task, "cr") != 0 ? -1 : seeds[seed] == 13 ? 1 : seeds[seed] == 42 ? 0 : -1;
                ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 16 * known[k].kshot_classes - (lost >= 0));
                ck_assert_int_eq(zo_dataset_size(d, ZO_DEV), 16 * known[k].kshot_classes);
                ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), seed ? 0 : known[k].kshot_test);
                int per_class[8] = {0};
                for (int32_t i = 0; i < zo_dataset_size(d, ZO_TRAIN); i++) {
                    per_class[zo_dataset_label(d, ZO_TRAIN, i)]++;
                }
                for (int c = 0; c < known[k].kshot_classes; c++) {
                    ck_assert_int_eq(per_class[c], 16 - (c == lost));
                }
                zo_dataset_close(d);
            }
        }
    }
    zo_tokenizer_close(t);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "%s/zo-tasks-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    zo_err err = {0};
    char language[128];
    snprintf(language, sizeof language, "%s/language", folder);
    if (zo_synth_write_tokenizer(language, &err) || zo_tokenizer_open(&words, language, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    bytes_plain = make_byte_tokenizer(false);
    bytes_bos = make_byte_tokenizer(true);
    Suite *suite = suite_create("tasks");
    TCase *c = tcase_create("tasks");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, metrics_by_hand);
    tcase_add_test(c, f1_is_that_of_class_one);
    tcase_add_test(c, matthews_is_the_correlation);
    tcase_add_test(c, order_is_a_permutation_each_epoch);
    tcase_add_test(c, tsv_with_a_header);
    tcase_add_test(c, tsv_without_header_and_gz);
    tcase_add_test(c, csv_with_quotes);
    tcase_add_test(c, label_text_and_latin1);
    tcase_add_test(c, json_lines_and_maps);
    tcase_add_test(c, json_lists_and_parquet);
    tcase_add_test(c, mrpc_reads_names_with_signs_and_a_mark);
    tcase_add_test(c, errors_name_file_line_and_fix);
    tcase_add_test(c, malformed_files_never_crash);
    tcase_add_test(c, wrong_rows_are_refused_by_line);
    tcase_add_test(c, rows_of_json_are_checked);
    tcase_add_test(c, exported_files_are_the_same_rows);
    tcase_add_test(c, exported_csv);
    tcase_add_test(c, quoted_tsv);
    tcase_add_test(c, strips_as_python_does);
    tcase_add_test(c, permutations_are_numpys);
    tcase_add_test(c, mezo_draws_the_authors_rows);
    tcase_add_test(c, kshot_rows);
    tcase_add_test(c, kshot_rows_are_drawn);
    tcase_add_test(c, counts_are_at_most);
    tcase_add_test(c, fingerprints);
    tcase_add_test(c, splits_are_disjoint_and_stay);
    tcase_add_test(c, boolq_without_its_train_file);
    tcase_add_test(c, mask_templates);
    tcase_add_test(c, head_form_of_encoders);
    tcase_add_test(c, prompts_and_options);
    tcase_add_test(c, copa_trains_on_the_right_option_alone);
    tcase_add_test(c, synthetic_text_is_known_and_steady);
    tcase_add_test(c, synthetic_text_is_that_of_all_days);
    tcase_add_test(c, synthetic_splits_share_no_text);
    tcase_add_test(c, lengths_are_those_of_sst2);
    tcase_add_test(c, bounds_are_reached);
    tcase_add_test(c, memory_is_given_back);
    tcase_add_test(c, the_list_is_complete);
    tcase_add_test(c, real_files);
    suite_add_tcase(suite, c);
    int failed = suite_run(suite);
    zo_tokenizer_close(words);
    zo_tokenizer_close(bytes_plain);
    zo_tokenizer_close(bytes_bos);
    folder_remove(folder);
    return failed != 0;
}
