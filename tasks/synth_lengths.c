/* synth_lengths.c: sentences of no meaning that are as long as SST-2's (sst2_lengths.h), with labels by chance, for measurements on machines
 * that have no data: a word is one token of the synthetic tokenizer, and the prompts are SST-2's. Nothing can be learned here; short
 * sentences may stand in several splits. */
#include <string.h>

#include "core/rng.h"
#include "tasks/sst2_lengths.h"
#include "tasks/synth.h"

enum { STREAM_LENGTHS = 0x7b05, LONGEST = 64, WORD_BYTES = 16, TRAIN_ROWS = 4096, VALIDATION_ROWS = 2048 };

static const int32_t sentences_of[LONGEST + 1] = {ZO_SST2_LENGTHS};

static int draw_length(zo_stream stream)
{
    int32_t all = 0;
    for (int n = 0; n <= LONGEST; n++) {
        all += sentences_of[n];
    }
    int32_t at = (int32_t)zo_below(stream, 0, (uint32_t)all);
    int n = 0;
    while (at >= sentences_of[n]) {
        at -= sentences_of[n++];
    }
    return n;
}

static void add_row(zo_table *table, zo_stream stream)
{
    char text[LONGEST * WORD_BYTES];
    size_t used = 0;
    int n = draw_length(stream);
    for (int w = 0; w < n; w++) {
        const char *word = zo_synth_word(zo_below(stream, (uint64_t)(2 + w), UINT32_MAX));
        size_t bytes = strlen(word);
        ZO_CHECK(bytes + 1 < WORD_BYTES, "the synthetic word \"%s\" is too long", word);
        memcpy(text + used, word, bytes);
        used += bytes;
        text[used++] = ' ';
    }
    zo_record *record = zo_table_add(table);
    record->label = (int32_t)zo_below(stream, 1, 2);
    record->field[0] = zo_table_text(table, text, used - 1);
}

static void add_rows(zo_table *table, zo_file_part part)
{
    for (int i = 0; i < (part == ZO_FILE_TRAIN ? TRAIN_ROWS : VALIDATION_ROWS); i++) {
        add_row(table, (zo_stream){.seed = 1, .tensor = STREAM_LENGTHS, .step = (uint32_t)i, .query = (uint32_t)part, .role = ZO_ROLE_DATA});
    }
}

const zo_task zo_task_synth_lengths = {
    .info = {.name = "synth-lengths", .title = "No meaning, SST-2's lengths: for measurements", .headline = ZO_ACCURACY, .classes = 2},
    .label = {"0", "1"},
    .generate = add_rows,
    .texts = 1,
    .mask_template = "*cls**sent_0*_It_was*mask*.*sep+*",
    .mask_word = {"terrible", "great"},
    .prompt = "{0} it was",
    .option = {" terrible", " great"},
};
