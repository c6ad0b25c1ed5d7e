/* generate.c: greedy generation: after each sequence of a batch the likeliest token, again and again, until one ends it. The prompts are run once, in
 * one pass; their keys and values stay (zo_cache), so that each further pass runs one token a sequence that has not ended. Sequences have lengths of
 * their own, and nothing is padded.
 * It does not: sample, search beams, penalise repetitions, run on at several points. */
#include <string.h>

#include "core/mem.h"
#include "models/rope.h"
#include "models/transformer.h"

/* What a generation keeps on the host: for each sequence of the batch, its tokens so far and whether it goes on. */
typedef struct writing {
    int32_t seqs;
    int32_t *place; /* (seqs + 1) where each begins in `id` and in the cache; it has room for the prompt and what is generated */
    int32_t *id;    /* (places) */
    int32_t *n;     /* (seqs) tokens so far */
    bool *ended;    /* (seqs) */
    int32_t *list;  /* what a pass is made of: see next_batch */
    int32_t *best;  /* (seqs) */
} writing;

static int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof(int32_t));
}

/* Numbers of writing.list. */
static int64_t list_ints(int64_t seqs, int64_t places)
{
    return 2 * places + 8 * seqs + 1;
}

uint64_t zo_model_generate_bytes(int64_t seqs, int64_t tokens)
{
    return (uint64_t)(seqs + 1 + tokens + 2 * seqs + list_ints(seqs, tokens)) * sizeof(int32_t) + (uint64_t)seqs * sizeof(bool);
}

static writing begin_writing(const zo_batch *prompts, int32_t most)
{
    writing w = {.seqs = prompts->seqs};
    w.place = ints(w.seqs + 1);
    for (int32_t s = 0; s < w.seqs; s++) {
        int32_t n = prompts->start[s + 1] - prompts->start[s];
        ZO_CHECK(n > 0 && (prompts->parent == NULL || prompts->parent[s] < 0), "prompt %d is empty or has a parent, and each is written on by itself", s);
        w.place[s + 1] = w.place[s] + n + most;
    }
    w.id = ints(w.place[w.seqs]);
    w.n = ints(w.seqs);
    w.ended = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)w.seqs * sizeof *w.ended);
    w.list = ints(list_ints(w.seqs, w.place[w.seqs]));
    w.best = ints(w.seqs);
    for (int32_t s = 0; s < w.seqs; s++) {
        w.n[s] = prompts->start[s + 1] - prompts->start[s];
        memcpy(w.id + w.place[s], prompts->id + prompts->start[s], (size_t)w.n[s] * sizeof *w.id);
    }
    return w;
}

static void end_writing(writing *w)
{
    zo_free(w->place);
    zo_free(w->id);
    zo_free(w->n);
    zo_free(w->ended);
    zo_free(w->list);
    zo_free(w->best);
}

/* The sequences that go on, whole or each one's last token alone; the head reads the last token of each. The batch's lists stand in w->list; `cache`
 * (NULL = none) is told where its tokens go. */
static zo_batch next_batch(writing *w, bool whole, zo_cache *cache)
{
    int32_t *at = w->list, places = w->place[w->seqs], n = w->seqs;
    zo_batch b = {.id = at, .position = at + places, .start = at + 2 * places, .row = at + 2 * places + n + 1, .at = at + 2 * places + 2 * n + 1,
                  .target = at + 2 * places + 3 * n + 1, .parent = at + 2 * places + 4 * n + 1};
    int32_t *run = at + 2 * places + 5 * n + 1;
    int32_t runs = 0;
    for (int32_t s = 0; s < n; s++) {
        if (w->ended[s]) {
            continue;
        }
        int32_t first = whole ? 0 : w->n[s] - 1;
        run[runs] = b.tokens;
        run[n + runs] = w->place[s] + first;
        run[2 * n + runs++] = w->n[s] - first;
        for (int32_t t = first; t < w->n[s]; t++) {
            b.id[b.tokens] = w->id[w->place[s] + t];
            b.position[b.tokens++] = t;
        }
        b.parent[b.seqs] = -1;
        b.start[b.seqs++] = b.tokens - (w->n[s] - first);
        b.row[b.rows] = b.tokens - 1;
        b.at[b.scores] = b.rows++;
        b.target[b.scores++] = 0; /* the head's product wants one to score; what counts is the largest logit */
    }
    b.start[b.seqs] = b.tokens;
    b.examples = b.seqs;
    if (cache != NULL) {
        cache->run = run;
        cache->to = run + n;
        cache->n = run + 2 * n;
        cache->runs = runs;
        cache->reads = !whole;
    }
    return b;
}

/* best (sequences that go on): the token with the largest logit behind each; of equal ones the first. */
static void choose_next(zo_model *model, const zo_view *view, const zo_batch *b, zo_cache *cache, int32_t *best)
{
    zo_backend *be = model->be;
    zo_pass pass;
    const int32_t *row = zo_pass_begin(model, &pass, view, b, ZO_FORWARD_ONLY, false, false);
    pass.cache = cache;
    zo_transformer_forward(model, &pass, view, b, row);
    const float *x = zo_head_features(model, &pass, view);
    be->head_logprob(be, view, model->precision, model->ids.decoder.weight, model->ids.decoder.bias, model->arch.final_softcap, x, pass.rows,
                     model->room.at, b->target, pass.scores, pass.logprob, best);
}

/* Has a text become so long that its keys are turned otherwise from now on? All that go on are run whole then, as transformers does it with Phi-3. */
static bool turns_anew(const zo_arch *a, const writing *w)
{
    bool anew = false;
    for (int32_t s = 0; s < w->seqs && a->rope; s++) {
        anew = anew || (!w->ended[s] && zo_rope_row(a, 0, w->n[s]) != zo_rope_row(a, 0, w->n[s] - 1));
    }
    return anew;
}

static bool ends(const zo_generation *g, int32_t id)
{
    for (int k = 0; k < g->ends; k++) {
        if (g->end[k] == id) {
            return true;
        }
    }
    return false;
}

int64_t zo_model_cache_bytes(const zo_arch *arch, int64_t tokens)
{
    return 2 * arch->layers * tokens * arch->kv_heads * arch->head_dim * (int64_t)sizeof(float);
}

bool zo_model_generate(zo_model *model, const zo_view *view, const zo_batch *prompts, const zo_generation *g, int32_t *id, int32_t *n)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    ZO_CHECK(view->npoints == 1 && a->causal && model->ids.decoder.weight >= 0 && model->head != ZO_HEAD_WORDS && model->head != ZO_HEAD_CLASS,
             "text is generated at one point of a causal language model");
    writing w = begin_writing(prompts, g->most);
    zo_cache cache = {.places = w.place[w.seqs], .seqs = w.seqs, .start = w.place};
    if (!g->without_cache) {
        size_t bytes = (size_t)zo_model_cache_bytes(a, cache.places);
        cache.k = be->alloc(be, ZO_TAG_KV_CACHE, bytes);
        cache.v = cache.k + bytes / (2 * sizeof(float));
    }
    int32_t going = w.seqs;
    bool numbers = true;
    memset(n, 0, (size_t)w.seqs * sizeof *n);
    for (int32_t made = 0; made < g->most && going > 0; made++) {
        zo_cache *kept = g->without_cache ? NULL : &cache;
        zo_batch b = next_batch(&w, made == 0 || kept == NULL || turns_anew(a, &w), kept);
        choose_next(model, view, &b, kept, w.best);
        if (g->ran != NULL) {
            g->ran(g->context, &b);
        }
        int32_t i = 0;
        for (int32_t s = 0; s < w.seqs; s++) {
            if (w.ended[s]) {
                continue;
            }
            int32_t next = w.best[i++];
            bool none = next < 0 || next >= a->vocab; /* numbers that are none have no largest */
            w.ended[s] = none || ends(g, next);
            numbers = numbers && !none;
            if (!w.ended[s]) {
                id[(int64_t)s * g->most + n[s]++] = next;
                w.id[w.place[s] + w.n[s]++] = next;
            }
            going -= w.ended[s];
        }
    }
    be->wait(be);
    if (cache.k != NULL) {
        be->release(be, cache.k);
    }
    end_writing(&w);
    return numbers;
}
