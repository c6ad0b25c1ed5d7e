/* cpu.c: the CPU backend: its table of functions, memory and scratch. */
#include "backends/cpu/cpu.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static void *cpu_alloc(zo_backend *be, zo_tag tag, size_t bytes)
{
    return zo_alloc(be->space, tag, bytes);
}

static void cpu_release(zo_backend *be, void *block)
{
    (void)be;
    zo_free(block);
}

static void cpu_transfer(zo_backend *be, void *to, const void *from, size_t bytes)
{
    (void)be;
    memcpy(to, from, bytes);
}

/* Copies and fills of whole stores: in parallel, by fixed pieces. */
enum { PIECE_BYTES = 1 << 20 };

static void cpu_copy(zo_backend *be, void *to, const void *from, size_t bytes)
{
    int64_t pieces = (int64_t)((bytes + PIECE_BYTES - 1) / PIECE_BYTES);
#pragma omp parallel for num_threads(be->threads) if (pieces > 4)
    for (int64_t i = 0; i < pieces; i++) {
        size_t at = (size_t)i * PIECE_BYTES, n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        memcpy((char *)to + at, (const char *)from + at, n);
    }
}

static void cpu_zero(zo_backend *be, void *block, size_t bytes)
{
    int64_t pieces = (int64_t)((bytes + PIECE_BYTES - 1) / PIECE_BYTES);
#pragma omp parallel for num_threads(be->threads) if (pieces > 4)
    for (int64_t i = 0; i < pieces; i++) {
        size_t at = (size_t)i * PIECE_BYTES, n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        memset((char *)block + at, 0, n);
    }
}

static void *block_grow(const zo_cpu *cpu, struct zo_cpu_block *block, size_t bytes)
{
    if (block->bytes < bytes) {
        if (cpu->extra && !block->extra) {
            block->kept = block->data;
            block->kept_bytes = block->bytes;
            block->extra = true;
        } else {
            zo_free(block->data);
        }
        bytes = zo_round_up(bytes, 4096); /* so that it hardly depends on how many terms are swept together */
        block->data = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, bytes);
        block->bytes = bytes;
    }
    return block->data;
}

void *zo_cpu_scratch(zo_backend *be, size_t bytes)
{
    zo_cpu *cpu = be->self;
    return block_grow(cpu, &cpu->scratch[omp_get_thread_num()], bytes);
}

void *zo_cpu_shared_of(zo_backend *be, zo_cpu_shared purpose, size_t bytes)
{
    zo_cpu *cpu = be->self;
    return block_grow(cpu, &cpu->shared[purpose], bytes);
}

static void block_shrink(struct zo_cpu_block *block)
{
    if (block->extra) {
        zo_free(block->data);
        *block = (struct zo_cpu_block){.data = block->kept, .bytes = block->kept_bytes};
    }
}

static void cpu_extra_begin(zo_backend *be)
{
    zo_cpu *cpu = be->self;
    cpu->extra = true;
    zo_cpu_products_extra_begin(cpu->products);
}

static void cpu_extra_end(zo_backend *be)
{
    zo_cpu *cpu = be->self;
    cpu->extra = false;
    zo_cpu_products_extra_end(cpu->products);
    for (int t = 0; t < be->threads; t++) {
        block_shrink(&cpu->scratch[t]);
    }
    for (int s = 0; s < ZO_CPU_SHAREDS; s++) {
        block_shrink(&cpu->shared[s]);
    }
}

static void cpu_wait(zo_backend *be)
{
    (void)be;
}

static void cpu_close(zo_backend *be)
{
    zo_cpu *cpu = be->self;
    zo_cpu_products_close(cpu->products);
    for (int t = 0; t < be->threads; t++) {
        zo_free(cpu->scratch[t].data);
    }
    for (int s = 0; s < ZO_CPU_SHAREDS; s++) {
        zo_free(cpu->shared[s].data);
    }
    zo_free(cpu->scratch);
    zo_free(cpu);
    zo_free(be);
}

/* "model name" of /proc/cpuinfo, or "cpu" where there is none. */
static void device_name(char *name, size_t size)
{
    snprintf(name, size, "cpu");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            char *text = colon + 1 + strspn(colon + 1, " \t");
            text[strcspn(text, "\n")] = '\0';
            snprintf(name, size, "%s", text);
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static const zo_backend cpu_table = {
    .version = ZO_BACKEND_VERSION,
    .name = "cpu",
    .space = ZO_HOST,
    .reads_rest = true,
    .reads_codes = true,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_transfer,
    .download = cpu_transfer,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .extra_begin = cpu_extra_begin,
    .extra_end = cpu_extra_end,
    .reserve = zo_cpu_reserve,
    .embed = zo_cpu_embed,
    .linear = zo_cpu_linear,
    .linear_rows = zo_cpu_linear_rows,
    .norm = zo_cpu_norm,
    .head_logprob = zo_cpu_head_logprob,
    .add = zo_cpu_add,
    .scale = zo_cpu_scale,
    .softcap = zo_cpu_softcap,
    .softcap_backward = zo_cpu_softcap_backward,
    .glu = zo_cpu_glu,
    .rope = zo_cpu_rope,
    .attention = zo_cpu_attention,
    .gather = zo_cpu_gather,
    .linear_backward = zo_cpu_linear_backward,
    .linear_rows_backward = zo_cpu_linear_rows_backward,
    .act_backward = zo_cpu_act_backward,
    .glu_backward = zo_cpu_glu_backward,
    .mix = zo_cpu_mix,
    .mix_backward = zo_cpu_mix_backward,
    .gate = zo_cpu_gate,
    .gate_backward = zo_cpu_gate_backward,
    .norm_backward = zo_cpu_norm_backward,
    .attention_backward = zo_cpu_attention_backward,
    .embed_backward = zo_cpu_embed_backward,
    .head_backward = zo_cpu_head_backward,
    .scatter_add = zo_cpu_scatter_add,
    .apply = zo_cpu_apply,
    .rule = zo_cpu_rule,
    .rule_drawn = zo_cpu_rule_drawn,
    .rule_lowrank = zo_cpu_rule_lowrank,
    .draw_factors = zo_cpu_draw_factors,
    .init_normal = zo_cpu_init_normal,
    .multiply = zo_cpu_multiply,
    .dot = zo_cpu_dot,
    .finite = zo_cpu_finite,
    .wait = cpu_wait,
    .close = cpu_close,
};

zo_status zo_cpu_open(int ordinal, int threads, zo_backend **be, zo_err *err)
{
    int cores = usable_cores();
    *be = NULL;
    if (ordinal >= 0) {
        return zo_fail(err, ZO_EINPUT, "device \"cpu:%d\": the processor has no numbers; say \"cpu\"", ordinal);
    }
    if (threads < 0 || threads > 4096) {
        return zo_fail(err, ZO_EINPUT, "threads is %d; expected 0 (all %d cores) to 4096", threads, cores);
    }
    zo_backend *b = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *b);
    *b = cpu_table;
    b->threads = threads > 0 ? threads : cores;
    omp_set_num_threads(b->threads); /* also for what libraries and other modules run in parallel */
    b->bf16 = true;
    b->bf16_widened = !zo_cpu_has_bf16();
    device_name(b->device, sizeof b->device);
    zo_cpu *cpu = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *cpu);
    cpu->scratch = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)b->threads * sizeof *cpu->scratch);
    cpu->products = zo_cpu_products_open(b->threads);
    b->self = cpu;
    *be = b;
    return ZO_OK;
}
