/* test_task_table.c: what every task makes of a row in every form, token by token: templates, label words, the order of labels, options,
 * cutting. The expected strings are written by hand from the papers' tables and code:
 *   mask     MeZO (arXiv 2305.17333), appendix E, templates and label words of the RoBERTa experiments; LM-BFF (arXiv 2012.15723) for the
 *            tasks of its code that the paper leaves out (QNLI, MRPC, CoLA); first_sent_limit 110 (SST-5, TREC) and 240 (MNLI, RTE)
 *   options  MeZO, appendix E, templates of the OPT experiments, after PromptSource and GPT-3
 *   head     transformers' sequence pairs: <s> a </s></s> b </s>
 * The tokenizer gives a token a byte and has the label words whole, so a string is a list of tokens. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];

/* <s> and the others first, so that ids are those of RoBERTa; then label words with the space that byte-level BPE gives them. */
static const char *const special[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", " terrible", " bad", " okay", " good", " great", " No", " Yes", " Maybe",
                                      " Description", " Entity", " Expression", " Human", " Location", " Number", " incorrect", " correct", " subjective", " objective"};
enum { SPECIALS = sizeof special / sizeof *special };
static zo_tokenizer *encoder, *causal; /* with the special tokens, and with bytes alone */

static zo_tokenizer *make_tokenizer(int specials)
{
    static char text[16384], plain[8192];
    zo_tokenizer *t;
    zo_err err = {0};
    size_t n = folder_byte_tokenizer(plain, special, specials, -1);
    plain[n] = '\0';
    char *rest = strstr(plain, "\"post_processor\": null");
    if (specials > 0) {
        *rest = '\0';
        n = (size_t)snprintf(text, sizeof text, "%s\"post_processor\": {\"type\": \"RobertaProcessing\", \"sep\": [\"</s>\", 2], \"cls\": [\"<s>\", 0], "
                             "\"trim_offsets\": true, \"add_prefix_space\": false}%s", plain, rest + strlen("\"post_processor\": null"));
    } else {
        n = (size_t)snprintf(text, sizeof text, "%s", plain);
    }
    if (zo_tokenizer_parse(&t, text, n, "bytes", &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return t;
}

/* `bytes` is the id of the first token that is a byte: SPECIALS or 0. */
static char *add_token(char *at, int32_t id, int bytes)
{
    ck_assert(id >= 0 && id < SPECIALS + 2 + '~' - '!' + 1);
    return id < bytes       ? at + sprintf(at, "%s", special[id])
           : id == bytes     ? at + sprintf(at, " ")
           : id == bytes + 1 ? at + sprintf(at, "\n")
                             : at + sprintf(at, "%c", '!' + id - bytes - 2);
}

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

/* The validation file's rows, as `test`. */
static zo_dataset *open_rows(const char *task, zo_form form, bool decoder, int64_t context)
{
    zo_dataset *d = NULL;
    zo_err err = {0};
    zo_dataset_spec s = {.task = task, .form = form, .data_dir = folder, .tokenizer = decoder ? causal : encoder, .causal = decoder, .context = context,
                         .scheme = ZO_SPLIT_FIRST, .count = {0, 0, -1}};
    ck_assert_msg(zo_dataset_open(&d, &s, &err) == ZO_OK, "%s: %s", task, err.text);
    return d;
}

/* The tokens of a row in a form without options, and "@" before the token whose output is read. */
static const char *row_text(const zo_dataset *d, int32_t index)
{
    static char out[8192];
    char *at = out;
    zo_batch *b = zo_dataset_batch(d, ZO_TEST, &index, 1);
    ck_assert_int_eq(b->rows, 1);
    for (int32_t t = 0; t < b->tokens; t++) {
        at += sprintf(at, "%s", t == b->row[0] ? "@" : "");
        at = add_token(at, b->id[t], SPECIALS);
        ck_assert_int_eq(b->position[t], t);
    }
    zo_batch_free(b);
    return out;
}

/* The tokens of option o of a row: prompt, "|", what is scored. The prompt is what its sequence and its parent hold but for the scored ones. */
static const char *option_text(const zo_dataset *d, int32_t index, int32_t o)
{
    static char out[8192];
    int32_t token[4096], n = 0;
    char *at = out;
    zo_batch *b = zo_dataset_batch(d, ZO_TEST, &index, 1);
    ck_assert_int_lt(o, b->options);
    int32_t from = b->option_start[o], to = b->option_start[o + 1], last = b->row[b->at[to - 1]], seq = 0;
    while (b->start[seq + 1] <= last) {
        seq++;
    }
    if (b->parent[seq] >= 0) {
        for (int32_t t = b->start[b->parent[seq]]; t < b->start[b->parent[seq] + 1]; t++) {
            token[n++] = b->id[t];
        }
    }
    for (int32_t t = b->start[seq]; t <= last; t++) {
        token[n++] = b->id[t];
    }
    token[n++] = b->target[to - 1];
    for (int32_t t = 0; t < n; t++) {
        if (t == n - (to - from)) {
            *at++ = '|';
        }
        at = add_token(at, token[t], 0);
    }
    for (int32_t s = from; s < to; s++) {
        ck_assert_int_eq(b->target[s], token[n - (to - s)]);
    }
    zo_batch_free(b);
    return out;
}

/* A row a class, in the order of the classes. Strings of the first row; labels of all. `words` and `labels` are in the classes' order. */
typedef struct expected {
    const char *task, *file, *rows;
    int classes;
    const char *head, *mask, *words; /* NULL = no such form */
    const char *option[6];
} expected;

static const expected table[] = {
    {.task = "sst2", .file = "glue/SST-2/dev.tsv", .rows = "sentence\tlabel\nIt drags .\t0\nA film .\t1\n", .classes = 2,
     .head = "@<s>It drags .</s>", .mask = "<s>It drags . It was@<mask>.</s>", .words = " terrible great",
     .option = {"It drags . It was| terrible", "It drags . It was| great"}},
    {.task = "sst5", .file = "sst/stsa.fine.test", .rows = "0 It drags .\n1 b .\n2 c .\n3 d .\n4 e .\n", .classes = 5,
     .head = "@<s>It drags .</s>", .mask = "<s>It drags . It was@<mask>.</s>", .words = " terrible bad okay good great",
     .option = {"It drags . It was| terrible", "It drags . It was| bad", "It drags . It was| okay", "It drags . It was| good", "It drags . It was| great"}},
    {.task = "cola", .file = "glue/CoLA/dev.tsv", .rows = "k\t0\t*\tDog the .\nk\t1\t\tThe dog .\n", .classes = 2,
     .head = "@<s>Dog the .</s>", .mask = "<s>Dog the . This is@<mask>.</s>", .words = " incorrect correct",
     .option = {"Dog the . This is| incorrect", "Dog the . This is| correct"}},
    {.task = "trec", .file = "trec/test.txt", .rows = "DESC:def What ?\nENTY:animal b ?\nABBR:exp c ?\nHUM:ind d ?\nLOC:city e ?\nNUM:dist f ?\n", .classes = 6,
     .head = "@<s>What ?</s>", .mask = "<s>@<mask>: What ?</s>", .words = " Description Entity Expression Human Location Number",
     .option = {"Question: What ?\nWhat it asks for:| Description", "Question: What ?\nWhat it asks for:| Entity", "Question: What ?\nWhat it asks for:| Expression", "Question: What ?\nWhat it asks for:| Human", "Question: What ?\nWhat it asks for:| Location", "Question: What ?\nWhat it asks for:| Number"}},
    {.task = "mrpc", .file = "glue/MRPC/dev.tsv", .rows = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tHe ran .\tShe Sat .\n1\t7\t8\ta\tb\n", .classes = 2,
     .head = "@<s>He ran .</s></s>She Sat .</s>", .mask = "<s>He ran .@<mask>, she Sat .</s>", .words = " No Yes",
     .option = {"He ran .\nShe Sat .\nDo these two sentences say the same? Yes or No?\n|No", "He ran .\nShe Sat .\nDo these two sentences say the same? Yes or No?\n|Yes"}},
    {.task = "qnli", .file = "glue/QNLI/dev.tsv", .rows = "index\tquestion\tsentence\tlabel\n0\tWho ran ?\tShe Ran .\tentailment\n1\ta\tb\tnot_entailment\n", .classes = 2,
     .head = "@<s>Who ran ?</s></s>She Ran .</s>", .mask = "<s>Who ran ?@<mask>, she Ran .</s>", .words = " Yes No",
     .option = {"She Ran .\nDoes this sentence answer the question \"Who ran ?\"? Yes or No?\n|Yes", "She Ran .\nDoes this sentence answer the question \"Who ran ?\"? Yes or No?\n|No"}},
    {.task = "mnli", .file = "glue/MNLI/dev_matched.tsv",
     .rows = "sentence1\tsentence2\tgold_label\nHe ran .\tShe Sat .\tentailment\na\tb\tneutral\na\tb\tcontradiction\n", .classes = 3,
     .head = "@<s>He ran .</s></s>She Sat .</s>", .mask = "<s>He ran ?@<mask>, she Sat .</s>", .words = " Yes Maybe No",
     .option = {"Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|Yes", "Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|Maybe", "Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|No"}},
    {.task = "rte", .file = "glue/RTE/dev.tsv", .rows = "index\tsentence1\tsentence2\tlabel\n0\tHe ran .\tShe Sat .\tentailment\n1\ta\tb\tnot_entailment\n", .classes = 2,
     .head = "@<s>He ran .</s></s>She Sat .</s>", .mask = "<s>He ran ?@<mask>, she Sat .</s>", .words = " Yes No",
     .option = {"He ran .\nDoes this mean that \"She Sat .\" is true? Yes or No?\n|Yes", "He ran .\nDoes this mean that \"She Sat .\" is true? Yes or No?\n|No"}},
    {.task = "cb", .file = "superglue/CB/val.jsonl",
     .rows = "{\"premise\": \"He ran.\", \"hypothesis\": \"She Sat\", \"label\": \"entailment\"}\n{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": \"contradiction\"}\n"
             "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": \"neutral\"}\n", .classes = 3,
     .head = "@<s>He ran.</s></s>She Sat</s>",
     .option = {"Suppose He ran. Can we infer that \"She Sat\"? Yes, No, or Maybe?\n|Yes", "Suppose He ran. Can we infer that \"She Sat\"? Yes, No, or Maybe?\n|No",
                "Suppose He ran. Can we infer that \"She Sat\"? Yes, No, or Maybe?\n|Maybe"}},
    {.task = "boolq", .file = "superglue/BoolQ/val.jsonl",
     .rows = "{\"question\": \"is ice cold\", \"passage\": \"Ice -- Ice is cold.\", \"label\": false}\n{\"question\": \"b?\", \"passage\": \"a\", \"label\": true}\n", .classes = 2,
     .head = "@<s>Ice is cold.</s></s>is ice cold</s>", .option = {"Ice is cold. Is ice cold?\n|No", "Ice is cold. Is ice cold?\n|Yes"}},
    {.task = "wsc", .file = "superglue/WSC/val.jsonl",
     .rows = "{\"text\": \"Kim met Lee. She smiled.\", \"target\": {\"span1_text\": \"Kim\", \"span1_index\": 0, \"span2_text\": \"She\", \"span2_index\": 3}, \"label\": false}\n"
             "{\"text\": \"a b\", \"target\": {\"span1_text\": \"a\", \"span1_index\": 0, \"span2_text\": \"b\", \"span2_index\": 1}, \"label\": true}\n", .classes = 2,
     .option = {"Kim met Lee. She smiled.\nIn the previous sentence, does the pronoun \"she\" refer to Kim? Yes or No?\n|No",
                "Kim met Lee. She smiled.\nIn the previous sentence, does the pronoun \"she\" refer to Kim? Yes or No?\n|Yes"}},
    {.task = "wic", .file = "superglue/WiC/val.jsonl",
     .rows = "{\"word\": \"bank\", \"sentence1\": \"A bank.\", \"sentence2\": \"Banks pay.\", \"label\": false}\n"
             "{\"word\": \"a\", \"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": true}\n", .classes = 2,
     .option = {"Does the word \"bank\" have the same meaning in these two sentences? Yes, No?\nA bank.\nBanks pay.\n|No",
                "Does the word \"bank\" have the same meaning in these two sentences? Yes, No?\nA bank.\nBanks pay.\n|Yes"}},
    {.task = "multirc", .file = "superglue/MultiRC/val.jsonl",
     .rows = "{\"idx\": 0, \"passage\": {\"text\": \"It fell.\", \"questions\": [{\"question\": \"What fell?\", \"answers\": [{\"text\": \"An egg\", \"label\": 0}, "
             "{\"text\": \"\", \"label\": 1}]}]}}\n", .classes = 2,
     .option = {"It fell.\nQuestion: What fell?\nI found this answer \"An egg\". Is that correct? Yes or No?\n|No",
                "It fell.\nQuestion: What fell?\nI found this answer \"An egg\". Is that correct? Yes or No?\n|Yes"}},
    {.task = "copa", .file = "superglue/COPA/val.jsonl",
     .rows = "{\"premise\": \"It fell.\", \"choice1\": \"He left It.\", \"choice2\": \"I ran.\", \"question\": \"effect\", \"label\": 0}\n"
             "{\"premise\": \"It fell.\", \"choice1\": \"a\", \"choice2\": \"b\", \"question\": \"cause\", \"label\": 1}\n", .classes = 2,
     .option = {"It fell so| he left It.", "It fell so| I ran."}},
    {.task = "snli", .file = "glue/SNLI/dev.tsv",
     .rows = "k\tsentence1\tsentence2\tlabel1\tgold_label\n0\tHe ran .\tShe Sat .\tentailment\tneutral\tentailment\n0\ta\tb\tneutral\tneutral\n"
             "0\ta\tb\tneutral\t-\n0\ta\tb\tneutral\tcontradiction\n", .classes = 3,
     .head = "@<s>He ran .</s></s>She Sat .</s>", .mask = "<s>He ran ?@<mask>, she Sat .</s>", .words = " Yes Maybe No",
     .option = {"Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|Yes", "Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|Maybe",
                "Suppose He ran . Can we infer that \"She Sat .\"? Yes, No, or Maybe?\n|No"}},
    {.task = "qqp", .file = "glue/QQP/dev.tsv",
     .rows = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWho ran ?\tWho Sat ?\t0\n0\t1\t2\tbroken\n0\t1\t2\ta\tb\t1\n", .classes = 2,
     .head = "@<s>Who ran ?</s></s>Who Sat ?</s>", .mask = "<s>Who ran ?@<mask>, who Sat ?</s>", .words = " No Yes",
     .option = {"Who ran ?\nWho Sat ?\nDo these two questions ask the same? Yes or No?\n|No", "Who ran ?\nWho Sat ?\nDo these two questions ask the same? Yes or No?\n|Yes"}},
    {.task = "stsb", .file = "glue/STS-B/dev.tsv",
     .rows = "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tHe ran .\tShe Sat .\t1.4\n1\tx\ta\tb\t2.500\n", .classes = 2,
     .mask = "<s>He ran .@<mask>, she Sat .</s>", .words = " No Yes"},
    {.task = "mr", .file = "mr/rt-polarity.all", .rows = "0 It drags .\n1 A film .\n", .classes = 2,
     .head = "@<s>It drags .</s>", .mask = "<s>It drags . It was@<mask>.</s>", .words = " terrible great",
     .option = {"It drags . It was| terrible", "It drags . It was| great"}},
    {.task = "cr", .file = "cr/custrev.all", .rows = "0 It broke .\n0 \n1 Fine .\n", .classes = 2,
     .head = "@<s>It broke .</s>", .mask = "<s>It broke . It was@<mask>.</s>", .words = " terrible great",
     .option = {"It broke . It was| terrible", "It broke . It was| great"}},
    {.task = "mpqa", .file = "mpqa/mpqa.all", .rows = "0 \n0 failing to support\n1 hailed\n", .classes = 2,
     .head = "@<s>failing to support</s>", .mask = "<s>failing to support It was@<mask>.</s>", .words = " terrible great",
     .option = {"failing to support It was| terrible", "failing to support It was| great"}},
    {.task = "subj", .file = "subj/subj.all", .rows = "0 It drags .\n1 He leaves .\n", .classes = 2,
     .head = "@<s>It drags .</s>", .mask = "<s>It drags . This is@<mask>.</s>", .words = " subjective objective",
     .option = {"It drags . This is| subjective", "It drags . This is| objective"}},
    {.task = "ag_news", .file = "ag_news/test.csv", .rows = "\"1\",\"Vote\",\"They, too, voted.\"\n\"2\",\"a\",\"b\"\n\"3\",\"a\",\"b\"\n\"4\",\"a\",\"b\"\n", .classes = 4,
     .head = "@<s>Vote They, too, voted.</s>",
     .option = {"Vote They, too, voted.\nThis article is about| world news", "Vote They, too, voted.\nThis article is about| sports",
                "Vote They, too, voted.\nThis article is about| business", "Vote They, too, voted.\nThis article is about| technology"}},
};
enum { TABLE = sizeof table / sizeof *table };

static int words_text(const zo_dataset *d, char *out)
{
    char *at = out;
    for (int c = 0; c < zo_dataset_classes(d); c++) {
        at = add_token(at, zo_dataset_words(d)[c], SPECIALS);
    }
    return (int)(at - out);
}

static void check_labels(const zo_dataset *d, const expected *e)
{
    ck_assert_int_eq(zo_dataset_classes(d), e->classes);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), e->classes);
    for (int c = 0; c < e->classes; c++) {
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, c), c);
    }
}

START_TEST(forms_of_every_task)
{
    const expected *e = &table[_i];
    const zo_task_info *info = NULL;
    int n = zo_task_list(&info);
    while (n > 0 && strcmp(info->name, e->task) != 0) {
        info++;
        n--;
    }
    ck_assert_int_gt(n, 0);
    put(e->file, e->rows);
    ck_assert_int_eq(info->has_head, e->head != NULL);
    ck_assert_int_eq(info->has_mask_prompt, e->mask != NULL);
    ck_assert_int_eq(info->has_option_prompt, e->option[0] != NULL);
    if (e->head) {
        zo_dataset *d = open_rows(e->task, ZO_FORM_HEAD, false, 512);
        ck_assert_str_eq(row_text(d, 0), e->head);
        check_labels(d, e);
        zo_dataset_close(d);
    }
    if (e->mask) {
        char words[256];
        zo_dataset *d = open_rows(e->task, ZO_FORM_PROMPT, false, 512);
        ck_assert_str_eq(row_text(d, 0), e->mask);
        words_text(d, words);
        ck_assert_str_eq(words, e->words);
        check_labels(d, e);
        zo_dataset_close(d);
    }
    if (e->option[0]) {
        zo_dataset *d = open_rows(e->task, ZO_FORM_PROMPT, true, 512);
        for (int o = 0; o < e->classes; o++) {
            ck_assert_str_eq(option_text(d, 0, o), e->option[o]);
        }
        check_labels(d, e);
        zo_dataset_close(d);
    }
}
END_TEST

/* Rows of databases know their task by this number: it must stay for ever, however a task is written down here. */
START_TEST(fingerprints_stay)
{
    static const struct { const char *task; uint64_t print; } of[] = {
        {"sst2", 0x511a87842b112c7e},
        {"sst5", 0x6f9ff75f6ce64413},
        {"cola", 0x5804918f24bb1354},
        {"trec", 0x21bbc67909200401},
        {"mrpc", 0x74158d786c22af7a},
        {"qnli", 0x8bd22dfd18bd7ea0},
        {"mnli", 0xf8f8e67fbe54fdec},
        {"rte", 0x0593d67e6b9cecc0},
        {"cb", 0xf97400a762b692ee},
        {"boolq", 0xd17c5fd5bb0c8037},
        {"wsc", 0xd0834dbd82a319f7},
        {"wic", 0xda91facd6ea35336},
        {"copa", 0x27a581c9df1f0286},
        {"multirc", 0x3c3469bcf63d8e06},
        {"squad", 0x355461b7d6824898},
        {"drop", 0x01458b3e346c3db0},
        {"record", 0xd4c6ba38696e06da},
        {"snli", 0xa52da4af8a593b24},
        {"qqp", 0xe8eb82d3ac44dfa8},
        {"stsb", 0x56d58fa11e6a3bca},
        {"mr", 0x6f3d900b665fc669},
        {"cr", 0x3e588f3cdef0783b},
        {"mpqa", 0x7977905124e51a15},
        {"subj", 0xd53ba49e14cdce7d},
        {"ag_news", 0xb2fd999462e9f44f},
        {"synth-sentiment", 0x0213031b6e04881c},
        {"synth-entailment", 0x7e083c37c8f34753},
        {"synth-acceptability", 0xc1f247c85020a2bf},
        {"synth-lengths", 0x39d7c8efd71c6acc},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        uint64_t print;
        zo_err err = {0};
        ck_assert_msg(zo_task_fingerprint(of[k].task, false, &print, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(print == of[k].print, "%s is 0x%016llx", of[k].task, (unsigned long long)print);
    }
    /* a causal prompt of our own came after rows of the other forms, and counts where it is used */
    const zo_task_info *info;
    for (int n = zo_task_list(&info); n > 0; n--, info++) {
        uint64_t print, with_prompt;
        ck_assert(zo_task_fingerprint(info->name, false, &print, NULL) == ZO_OK && zo_task_fingerprint(info->name, true, &with_prompt, NULL) == ZO_OK);
        ck_assert_msg((print != with_prompt) == info->own_option_prompt, "%s", info->name);
    }
}
END_TEST

/* The synthetic tasks borrow the templates; their rows are drawn, so the text is taken from the head form. */
START_TEST(forms_of_synthetic_tasks)
{
    static const struct { const char *task, *mask_tail, *words, *prompt_tail, *option[2]; bool pair; } of[] = {
        {"synth-sentiment", " It was@<mask>.</s>", " terrible great", " it was", {"| terrible", "| great"}, false},
        {"synth-lengths", " It was@<mask>.</s>", " terrible great", " it was", {"| terrible", "| great"}, false},
        {"synth-acceptability", " This is@<mask>.</s>", " incorrect correct", " this is", {"| incorrect", "| correct"}, false},
        {"synth-entailment", NULL, " No Yes", NULL, {"| no", "| yes"}, true},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset *head = open_rows(of[k].task, ZO_FORM_HEAD, false, 512), *mask = open_rows(of[k].task, ZO_FORM_PROMPT, false, 512),
                   *option = open_rows(of[k].task, ZO_FORM_PROMPT, true, 512);
        char words[256], want[3000], text[1024], *a = text + strlen("@<s>"), *b = a;
        words_text(mask, words);
        ck_assert_str_eq(words, of[k].words);
        for (int32_t i = 0; i < 20; i++) {
            snprintf(text, sizeof text, "%s", row_text(head, i));
            text[strlen(text) - strlen("</s>")] = '\0';
            if (of[k].pair) {
                b = strstr(a, "</s></s>");
                *b = '\0';
                b += strlen("</s></s>");
                snprintf(want, sizeof want, "<s>%.*s?@<mask>, %s</s>", (int)strlen(a) - 1, a, b);
            } else {
                snprintf(want, sizeof want, "<s>%s%s", a, of[k].mask_tail);
            }
            ck_assert_str_eq(row_text(mask, i), want);
            for (int o = 0; o < 2; o++) {
                if (of[k].pair) {
                    snprintf(want, sizeof want, "%s does this mean that %s ? yes or no ?%s", a, b, of[k].option[o]);
                } else {
                    snprintf(want, sizeof want, "%s%s%s", a, of[k].prompt_tail, of[k].option[o]);
                }
                ck_assert_str_eq(option_text(option, i, o), want);
            }
        }
        zo_dataset_close(head);
        zo_dataset_close(mask);
        zo_dataset_close(option);
    }
}
END_TEST

/* ---- cutting -------------------------------------------------------------------------------------------------------------- */

static char *letters(char *out, char from, int n)
{
    for (int k = 0; k < n; k++) {
        out[k] = (char)(from + k % 10);
    }
    out[n] = '\0';
    return out;
}

/* first_sent_limit, whatever the context: the first 110 (SST-5, TREC) and 240 (MNLI, RTE) tokens of the first text; its first character is
 * never lower-cased, its last one, which "sent-" drops, goes before. The second text has no limit. */
START_TEST(first_sentence_limits)
{
    static const struct { const char *task, *file, *format; int limit, drops; } of[] = {
        {"sst5", "sst/stsa.fine.test", "0 %s\n", 110, 0},
        {"trec", "trec/test.txt", "NUM:dist %s\n", 109, 0}, /* and the space that "+sent" puts before it */
        {"mnli", "glue/MNLI/dev_matched.tsv", "sentence1\tsentence2\tgold_label\n%s\tS\tneutral\n", 240, 1},
        {"rte", "glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\t%s\tS\tentailment\n", 240, 1},
        {"qnli", "glue/QNLI/dev.tsv", "index\tquestion\tsentence\tlabel\n0\t%s\tS\tentailment\n", 10000, 1},
        {"mrpc", "glue/MRPC/dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\t%s\tS\n", 10000, 0},
        {"sst2", "glue/SST-2/dev.tsv", "sentence\tlabel\n%s\t0\n", 10000, 0},
        {"cola", "glue/CoLA/dev.tsv", "k\t0\t*\t%s\n", 10000, 0},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        int longest = of[k].limit < 1000 ? of[k].limit + of[k].drops : 400;
        for (int n = longest; n < longest + 2; n++) {
            char text[512], file[1024], kept[512];
            snprintf(file, sizeof file, of[k].format, letters(text, 'a', n));
            put(of[k].file, file);
            zo_dataset *d = open_rows(of[k].task, ZO_FORM_PROMPT, false, 512);
            int keep = n - of[k].drops < of[k].limit ? n - of[k].drops : of[k].limit;
            const char *row = row_text(d, 0), *run = strstr(row, "abc");
            ck_assert_ptr_nonnull(run);
            ck_assert_msg(strspn(run, letters(kept, 'a', 10)) == (size_t)keep, "%s: of %d letters %zu are left, not %d", of[k].task, n, strspn(run, kept), keep);
            ck_assert_int_eq(zo_dataset_truncated(d), n - of[k].drops > of[k].limit);
            ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_TEST), n - of[k].drops > of[k].limit);
            ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_DEV), 0);
            zo_dataset_close(d);
        }
    }
}
END_TEST

/* Exactly at the context, and one over it: what is cut is the text's right end (mask and head), of a pair the longer one's, the prompt's
 * left end (options). Each option is a sequence of its own. */
START_TEST(cutting_to_the_context)
{
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nabcdefgh\t0\nab\t1\n");
    zo_dataset *d = open_rows("sst2", ZO_FORM_HEAD, false, 10); /* <s> 8 </s> */
    ck_assert_str_eq(row_text(d, 0), "@<s>abcdefgh</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 0);
    zo_dataset_close(d);
    d = open_rows("sst2", ZO_FORM_HEAD, false, 9);
    ck_assert_str_eq(row_text(d, 0), "@<s>abcdefg</s>");
    ck_assert_str_eq(row_text(d, 1), "@<s>ab</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 1);
    zo_dataset_close(d);
    d = open_rows("sst2", ZO_FORM_PROMPT, false, 19); /* <s> 8 " It was" <mask> . </s> */
    ck_assert_str_eq(row_text(d, 0), "<s>abcdefgh It was@<mask>.</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 0);
    zo_dataset_close(d);
    d = open_rows("sst2", ZO_FORM_PROMPT, false, 18);
    ck_assert_str_eq(row_text(d, 0), "<s>abcdefg It was@<mask>.</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 1);
    zo_dataset_close(d);
    d = open_rows("sst2", ZO_FORM_PROMPT, true, 24); /* "abcdefgh It was terrible" */
    ck_assert_str_eq(option_text(d, 0, 0), "abcdefgh It was| terrible");
    ck_assert_int_eq(zo_dataset_truncated(d), 0);
    zo_dataset_close(d);
    d = open_rows("sst2", ZO_FORM_PROMPT, true, 20);
    ck_assert_str_eq(option_text(d, 0, 0), "efgh It was| terrible");
    ck_assert_str_eq(option_text(d, 0, 1), "bcdefgh It was| great"); /* each option to its own length */
    ck_assert_str_eq(option_text(d, 1, 1), "ab It was| great");
    ck_assert_int_eq(zo_dataset_truncated(d), 2);
    zo_dataset_close(d);

    put("glue/RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tabcdefgh\tnopq\tentailment\n1\tabcd\tnopqrstu\tentailment\n2\tabcdefgh\tnopqrstu\tentailment\n");
    d = open_rows("rte", ZO_FORM_HEAD, false, 16); /* 4 special tokens */
    ck_assert_str_eq(row_text(d, 0), "@<s>abcdefgh</s></s>nopq</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 1);
    zo_dataset_close(d);
    d = open_rows("rte", ZO_FORM_HEAD, false, 13);
    ck_assert_str_eq(row_text(d, 0), "@<s>abcde</s></s>nopq</s>");
    ck_assert_str_eq(row_text(d, 1), "@<s>abcd</s></s>nopqr</s>");
    ck_assert_str_eq(row_text(d, 2), "@<s>abcd</s></s>nopqr</s>"); /* of two as long, the first gives one more */
    ck_assert_int_eq(zo_dataset_truncated(d), 3);
    zo_dataset_close(d);
    d = open_rows("rte", ZO_FORM_PROMPT, false, 14); /* <s> a ? <mask> , " b" </s>: 5 fixed */
    ck_assert_str_eq(row_text(d, 0), "<s>abcde?@<mask>, nop</s>"); /* 7 and 5 into 9, the shorter to its half */
    ck_assert_str_eq(row_text(d, 1), "<s>abc?@<mask>, nopqr</s>");
    ck_assert_int_eq(zo_dataset_truncated(d), 3);
    zo_dataset_close(d);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "%s/zo-table-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    encoder = make_tokenizer(SPECIALS);
    causal = make_tokenizer(0);
    Suite *suite = suite_create("task_table");
    TCase *c = tcase_create("task_table");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, forms_of_every_task, 0, TABLE);
    tcase_add_test(c, fingerprints_stay);
    tcase_add_test(c, forms_of_synthetic_tasks);
    tcase_add_test(c, first_sentence_limits);
    tcase_add_test(c, cutting_to_the_context);
    suite_add_tcase(suite, c);
    int failed = suite_run(suite);
    zo_tokenizer_close(encoder);
    zo_tokenizer_close(causal);
    folder_remove(folder);
    return failed != 0;
}
