/* cmd_tokenize.c: `zo tokenize`: a line of text in, a line of ids out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/unquote.h"
#include "bench/synth/pretrain.h"
#include "core/io.h"
#include "models/files/hub.h"
#include "text/tokenizer.h"

static const char USAGE[] = "zo tokenize MODEL [FILE] [--json] [--no-special] [--models DIR]";

typedef struct tokenize_args {
    bool json, no_special;
    const char *models_dir, *model, *file;
} tokenize_args;

static void print_ids(const zo_ids *ids)
{
    for (int64_t i = 0; i < ids->n; i++) {
        printf(i ? " %d" : "%d", ids->ids[i]);
    }
    putchar('\n');
}

static zo_status tokenize_lines(zo_tokenizer *tokenizer, const tokenize_args *args, FILE *in, zo_err *err)
{
    const char *name = args->file ? args->file : "standard input";
    char *line = NULL, where[4200];
    size_t room = 0;
    ssize_t got;
    zo_ids ids = {0};
    zo_status status = ZO_OK;
    for (long number = 1; status == ZO_OK && (got = getline(&line, &room, in)) >= 0; number++) {
        size_t length = (size_t)got;
        length -= length > 0 && line[length - 1] == '\n';
        length -= length > 0 && line[length - 1] == '\r';
        zo_ids_clear(&ids);
        if (args->json) {
            status = zo_line_unquote(line, &length, err);
        }
        if (status == ZO_OK) {
            status = zo_tokenizer_encode(tokenizer, line, length, args->no_special ? ZO_WITHOUT_SPECIALS : ZO_WITH_SPECIALS, &ids,
                                         err);
        }
        if (status == ZO_OK) {
            print_ids(&ids);
        } else {
            snprintf(where, sizeof where, "%s: line %ld", name, number);
            zo_fail_in(err, where);
        }
    }
    if (status == ZO_OK && ferror(in)) {
        status = zo_fail(err, ZO_EIO, "%s: cannot be read to its end; check the file", name);
    }
    free(line);
    zo_ids_free(&ids);
    return status;
}

static zo_status tokenize(const tokenize_args *args, zo_err *err)
{
    char folder[4096];
    zo_tokenizer *tokenizer = NULL;
    bool is_folder = zo_path_is_dir(args->model); /* a tokenizer alone will do, where the hub wants a config.json */
    zo_status status = is_folder ? ZO_OK : zo_model_find(args->model, args->models_dir, folder, err);
    if (status == ZO_OK) {
        status = zo_tokenizer_open(&tokenizer, is_folder ? args->model : folder, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    FILE *in = stdin;
    status = args->file ? zo_file_open(args->file, &in, err) : ZO_OK;
    status = status == ZO_OK ? tokenize_lines(tokenizer, args, in, err) : status;
    if (in != NULL && in != stdin) {
        fclose(in);
    }
    zo_tokenizer_close(tokenizer);
    return status;
}

int zo_cmd_tokenize(int argc, char **argv)
{
    tokenize_args args = {0};
    const char *word[2] = {NULL, NULL};
    int words = 0;
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &args.json},
                            {"--no-special", ZO_ARG_FLAG, &args.no_special},
                            {"--models", ZO_ARG_TEXT, &args.models_dir},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, word, 1, 2, &words, USAGE, &err);
    args.model = word[0];
    args.file = words > 1 && strcmp(word[1], "-") != 0 ? word[1] : NULL;
    if (status != ZO_OK) {
        fprintf(stderr, "zo tokenize: %s\n", err.text);
        return 2;
    }
    status = tokenize(&args, &err);
    if (status != ZO_OK) {
        fprintf(stderr, "zo tokenize: %s\n", err.text);
        return 2;
    }
    return 0;
}
