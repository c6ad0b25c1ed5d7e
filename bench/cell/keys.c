/* keys.c: the table of a cell's keys; see keys.h. The order is that of canonical texts, which are hashed: rows are never moved. */
#include "bench/cell/keys.h"

#include <stdio.h>

#include "bench/cell/settings.h"

#define COUNT_MOST 2147483647.0
#define SEED_MOST 9007199254740991.0 /* 2^53 - 1: JSON numbers are doubles, so 2^53 may have been written as 2^53 + 1 */
#define STEPS_MOST 4294967295.0      /* the `step` word of a direction has 32 bits */

enum {
    OVERRIDE = ZO_KEY_OVERRIDE, BUDGET = ZO_KEY_BUDGET, PANEL = ZO_KEY_PANEL, REPORTED = ZO_KEY_REPORTED, LABELLED = ZO_KEY_LABELLED, SEED = ZO_KEY_SEED,
    LATER = ZO_KEY_LATER, MEMORY = ZO_KEY_MEMORY, TITLE = ZO_KEY_TITLE, AXIS = ZO_KEY_AXIS, MODEL = ZO_KEY_MODEL
};

#define MEMBER(m) offsetof(zo_cell, m)
static const zo_opt keys[] = {
    {.key = "model", .type = ZO_OPT_STRING, .offset = MEMBER(model), .text = "", .column = "model", .flags = PANEL | LABELLED | MODEL,
     .help = "a Hugging Face folder, a name looked up in --models, $ZO_MODELS and the Hugging Face cache, or synth-small"},
    {.key = "task", .type = ZO_OPT_STRING, .offset = MEMBER(task), .text = "", .column = "task", .flags = PANEL | LABELLED,
     .help = "a name of `zo list tasks`, or the path of a description of your own, such as ./mine.json (docs/tasks.md)"},
    {.key = "form", .type = ZO_OPT_CHOICE, .offset = MEMBER(form), .choices = "head|prompt", .column = "form", .flags = PANEL,
     .help = "head: a classification head; prompt: label words at the mask (encoders) or options ranked by log-probability (causal)"},
    {.key = "batch", .type = ZO_OPT_INT, .offset = MEMBER(batch), .initial = 16, .least = 1, .most = COUNT_MOST,
     .column = "batch", .flags = OVERRIDE | REPORTED | TITLE | AXIS,
     .help = "examples of a step; where there are fewer training rows, all of them"},
    {.key = "context", .type = ZO_OPT_INT, .offset = MEMBER(context), .initial = ZO_KEY_ABSENT, .least = 0, .most = 1048576,
     .word = "model", .number = 0, .column = "context_asked", .flags = OVERRIDE | REPORTED | TITLE | AXIS,
     .help = "most tokens of a sequence, at least 4; longer ones are cut, and counted; \"model\" or 0 = as many as the model has positions. "
             "Absent: 128 for head, \"model\" for prompt"},
    {.key = "steps", .type = ZO_OPT_INT, .offset = MEMBER(steps), .least = 0, .most = STEPS_MOST,
     .column = "steps_budget", .flags = OVERRIDE | BUDGET | LATER,
     .help = "budget in steps; 0 = none"},
    {.key = "forwards", .type = ZO_OPT_INT, .offset = MEMBER(forwards), .least = 0, .most = 9e15,
     .column = "forwards_budget", .flags = OVERRIDE | BUDGET | LATER,
     .help = "budget in forward passes of one batch at one point; 0 = none"},
    {.key = "work", .type = ZO_OPT_REAL, .offset = MEMBER(work), .least = 0, .most = 9e15,
     .column = "work_budget", .flags = OVERRIDE | BUDGET | LATER,
     .help = "budget in FLOPs of training, in units of one plain forward over the mean batch (a MeZO step is 2, a gradient 3); 0 = none"},
    {.key = "seconds", .type = ZO_OPT_REAL, .offset = MEMBER(seconds), .least = 0, .most = 1e9,
     .column = "seconds_budget", .flags = OVERRIDE | BUDGET | LATER,
     .help = "budget in seconds of training, evaluation excluded; 0 = none"},
    {.key = "lr", .type = ZO_OPT_REAL, .offset = MEMBER(lr), .initial = -1, .least = 0, .most = 1e6,
     .column = "lr", .flags = OVERRIDE | REPORTED | LABELLED | LATER,
     .help = "step size; absent = the optimizer's"},
    {.key = "eps", .type = ZO_OPT_REAL, .offset = MEMBER(eps), .initial = -1, .least = 0, .most = 1e3,
     .column = "eps", .flags = OVERRIDE | REPORTED | LATER,
     .help = "perturbation radius; absent = the optimizer's"},
    {.key = "precision", .type = ZO_OPT_CHOICE, .offset = MEMBER(precision), .choices = "f32|bf16|tf32|f16",
     .column = "precision", .flags = OVERRIDE | REPORTED,
     .help = "of matrix products: what their inputs are rounded to; sums are f32. tf32 and f16 need a GPU"},
    {.key = "realisation", .type = ZO_OPT_CHOICE, .offset = MEMBER(realisation), .choices = "inplace|streamed|sidepath",
     .column = "realisation", .flags = OVERRIDE | REPORTED | MEMORY,
     .help = "how a point becomes weights: inplace moves them, streamed forms W + cZ on the fly, sidepath runs low-rank terms beside W"},
    {.key = "storage", .type = ZO_OPT_CHOICE, .offset = MEMBER(storage), .choices = "f32|bf16|f16",
     .column = "storage", .flags = OVERRIDE | REPORTED,
     .help = "how weights are held, whatever is computed in f32 from them: a sweep rounds each of its terms to it"},
    {.key = "accumulate", .type = ZO_OPT_CHOICE, .offset = MEMBER(accumulate), .choices = "weights|log",
     .column = "accumulate", .flags = OVERRIDE | REPORTED,
     .help = "where updates go: into the weights, rounded to their storage, or beside weights that are never written, as directions and "
             "coefficients (streamed, sidepath)"},
    {.key = "eval_every", .type = ZO_OPT_INT, .offset = MEMBER(eval_every), .initial = ZO_EVAL_TENTHS, .least = ZO_EVAL_TENTHS,
     .most = STEPS_MOST, .column = "eval_every", .flags = OVERRIDE | LATER,
     .help = "steps between evaluations; 0 = only before and at the end; absent or -1 = at each tenth of a budget in steps, forwards or work, "
             "every 100 steps of one in seconds"},
    {.key = "metric", .type = ZO_OPT_CHOICE, .offset = MEMBER(metric), .choices = "default|" ZO_METRIC_CHOICES,
     .column = "metric", .flags = REPORTED | LATER,
     .help = "what is reported, and selected by: default = the task's (zo list tasks); f1 is that of class 1, as GLUE's; exact_match and token_f1 are of answers in words (record); "
             "pearson and spearman of scores (stsb)"},
    {.key = "selection", .type = ZO_OPT_CHOICE, .offset = MEMBER(selection), .choices = "dev-metric|dev-loss|last|best-test",
     .column = "selection", .flags = REPORTED | LATER,
     .help = "which evaluation is the headline: best dev metric (MeZO on RoBERTa, MeZO-SVRG), best dev loss (MeZO on OPT), the last one, or the "
             "best test metric of all (looks at test rows; where a paper did). Without dev rows the first two are last"},
    {.key = "eval_batch", .type = ZO_OPT_INT, .offset = MEMBER(eval_batch), .least = 0, .most = COUNT_MOST, .flags = OVERRIDE,
     .help = "examples of an evaluation pass; 0 = batch"},
    {.key = "log_every", .type = ZO_OPT_INT, .offset = MEMBER(log_every), .least = 0, .most = STEPS_MOST, .flags = OVERRIDE | LATER,
     .help = "steps of one row in the table steps; 0 = every step for 500 steps, then ever fewer"},
    {.key = "train", .type = ZO_OPT_INT, .offset = MEMBER(train), .initial = ZO_KEY_ABSENT, .least = -1, .most = COUNT_MOST,
     .word = "all", .number = -1, .column = "train",
     .help = "examples at most, or \"all\"; 0 = none. Absent: 1000, all for kshot"},
    {.key = "dev", .type = ZO_OPT_INT, .offset = MEMBER(dev), .initial = ZO_KEY_ABSENT, .least = -1, .most = COUNT_MOST,
     .word = "all", .number = -1, .column = "dev",
     .help = "the same. Absent: 500, all for kshot"},
    {.key = "test", .type = ZO_OPT_INT, .offset = MEMBER(test), .initial = ZO_KEY_ABSENT, .least = -1, .most = COUNT_MOST,
     .word = "all", .number = -1, .column = "test",
     .help = "the same. Absent: 1000, all for kshot"},
    {.key = "split", .type = ZO_OPT_CHOICE, .offset = MEMBER(split), .choices = "drawn|first|kshot|mezo",
     .column = "split", .flags = REPORTED,
     .help = "drawn: by the split seeds; first: the first rows (MeZO-SVRG); kshot: the k-shot folders (MeZO on RoBERTa); mezo: the rows that MeZO's "
             "code draws for OPT"},
    {.key = "train_split_seed", .type = ZO_OPT_INT, .offset = MEMBER(train_split_seed), .initial = ZO_KEY_ABSENT, .least = 0, .most = SEED_MOST,
     .column = "train_split_seed", .flags = REPORTED | SEED,
     .help = "which rows train and dev are; \"seed\" = the training seed. Absent: 0, 13 for kshot"},
    {.key = "test_split_seed", .type = ZO_OPT_INT, .offset = MEMBER(test_split_seed), .initial = ZO_KEY_ABSENT, .least = 0, .most = SEED_MOST,
     .column = "test_split_seed", .flags = REPORTED | SEED,
     .help = "which rows test is; \"seed\" = the training seed. Absent: train_split_seed, 42 for kshot"},
    {.key = "k", .type = ZO_OPT_INT, .offset = MEMBER(k), .initial = ZO_KEY_ABSENT, .least = 0, .most = COUNT_MOST, .column = "k",
     .help = "examples of a class in the k-shot folders (kshot alone). Absent: 16"},
    {.key = "kshot_folder", .type = ZO_OPT_STRING, .offset = MEMBER(kshot_folder), .text = "", .column = "kshot_folder",
     .help = "the k-shot folders' place below the data folder (kshot alone). Absent: k-shot. Where TASK/K-SEED is not in it, its rows are drawn from "
             "the training file, and the note says so"},
    {.key = "demonstrations", .type = ZO_OPT_INT, .offset = MEMBER(demonstrations), .least = 0, .most = 1024, .flags = REPORTED, .younger = true,
     .help = "in-context learning: training rows with their answers before each row of dev and test, drawn for each as MeZO's code draws them; of a method "
             "that does not train, with prompts of causal models"},
    {.key = "demonstration_sets", .type = ZO_OPT_CHOICE, .offset = MEMBER(demonstration_sets), .choices = "each|one", .flags = REPORTED, .younger = true,
     .help = "each: a row has demonstrations of its own; one: all have the same, the first that train_split_seed draws of the training rows (MeZO's train_set_seed)"},
    {.key = "calibration", .type = ZO_OPT_CHOICE, .offset = MEMBER(calibration), .choices = "none|sfc|icl_sfc", .flags = REPORTED, .younger = true,
     .help = "of a method that does not train, with prompts of causal models: sfc, as MeZO's code, ranks options by the sum of their log-probabilities less "
             "that behind a prompt without content; icl_sfc keeps the demonstrations there. The loss stays that of the plain prompts"},
    {.key = "decoder", .type = ZO_OPT_CHOICE, .offset = MEMBER(decoder), .choices = "default|tied|untied",
     .column = "decoder", .flags = REPORTED,
     .help = "of the masked-language-model head: tied to the embeddings or trained apart; default: untied for RoBERTa (as MeZO's code), else as "
             "config.json says"},
    {.key = "algorithms", .type = ZO_OPT_CHOICE, .offset = MEMBER(algorithms), .choices = "first|timed",
     .column = "algorithms", .flags = REPORTED,
     .help = "of products on a GPU: the first that the library proposes, or the fastest of several that are timed first"},
    {.key = "init", .type = ZO_OPT_CHOICE, .offset = MEMBER(init), .choices = "pretrained|random",
     .help = "random: weights drawn by seed, only config.json and the tokenizer are read (memory and time studies)"},
    {.key = "fill", .type = ZO_OPT_BOOL, .offset = MEMBER(fill), .flags = TITLE,
     .help = "repeat each text until it has `context` tokens (memory studies)"},
    {.key = "device", .type = ZO_OPT_STRING, .offset = MEMBER(device), .text = "cpu", .column = "device_kind",
     .help = "cpu; cuda or cuda:N, where this build has the CUDA backend; auto: the GPU where there is one, else the processor"},
    {.key = "threads", .type = ZO_OPT_INT, .offset = MEMBER(threads), .least = 0, .most = 4096, .flags = LATER,
     .help = "0 = all cores that the process may use"},
    {.key = "tune", .type = ZO_OPT_STRING, .offset = MEMBER(tune), .text = "full", .column = "tune", .flags = OVERRIDE | REPORTED, .younger = true,
     .help = "which parameters are trained: full, head, bias, {\"name\": \"last\", \"layers\": 4}, {\"name\": \"pattern\", \"on\": \"layer.5.*,class.*\"}, "
             "{\"name\": \"prefix\", \"tokens\": 5}, {\"name\": \"lora\", \"rank\": 8, \"alpha\": 16, \"on\": \"q,v\"}, "
             "{\"name\": \"side\", \"downsample\": 2, \"late\": 1}, scales; the others stay as they were read (docs/tune.md)"},
    {.key = "schedule", .type = ZO_OPT_CHOICE, .offset = MEMBER(schedule), .choices = "constant|linear|cosine",
     .flags = OVERRIDE | REPORTED | LATER, .younger = true,
     .help = "of lr over the steps, for every method: linear and cosine fall to 0 at the last; they need a budget in steps"},
    {.key = "warmup", .type = ZO_OPT_REAL, .offset = MEMBER(warmup), .least = 0, .most = 1, .flags = OVERRIDE | REPORTED | LATER, .younger = true,
     .help = "share of the steps in which lr rises from 0; needs a budget in steps"},
    {.key = "quantised", .type = ZO_OPT_CHOICE, .offset = MEMBER(quantised), .choices = "none|int8|int4", .flags = OVERRIDE | REPORTED, .younger = true,
     .help = "how the blocks' matrices are held: none = as `storage` says; int8, int4: as small integers, rounded once and never written, with a scale for "
             "each group of columns; scales and all else are held as `storage` says (docs/storage.md)"},
    {.key = "quantised_group", .type = ZO_OPT_INT, .offset = MEMBER(quantised_group), .initial = 64, .least = 2, .most = 65536,
     .flags = OVERRIDE | REPORTED, .younger = true,
     .help = "columns of a group, an even number; the last group of a row may have fewer"},
    {.key = "objective", .type = ZO_OPT_CHOICE, .offset = MEMBER(objective), .choices = "loss|accuracy|f1", .flags = OVERRIDE | REPORTED, .younger = true,
     .help = "what a zeroth-order method is told of a batch at a point, and lowers: its loss, or 1 - accuracy or 1 - F1 of its choices (MeZO's non-differentiable "
             "objectives); f1 is that of class 1, of tasks with two classes, and where the model writes the answers that of their words. Losses of steps are then these"},
    {.key = "seed", .type = ZO_OPT_INT, .offset = MEMBER(seed), .least = 0, .most = SEED_MOST, .column = "seed", .flags = LABELLED | LATER,
     .help = "of directions, batch order and a fresh classification head (the split seeds choose the examples)"},
    {.key = NULL},
};

const zo_opt *zo_cell_keys(void)
{
    return keys;
}

const char *zo_cell_keys_with(zo_key_flag flag, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (const zo_opt *k = keys; k->key != NULL; k++) {
        if ((k->flags & flag) != 0) {
            at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? " " : "", k->key);
            ZO_CHECK(at < size, "the keys with flag %d have more than %zu bytes", (int)flag, size);
        }
    }
    return out;
}
