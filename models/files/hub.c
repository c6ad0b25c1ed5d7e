/* hub.c: from a model's name to its folder. Nothing is downloaded here: when a model is not on disk, the error says
 * where it was looked for and that `zo get` fetches it (fetch.c). */
#include "models/files/hub.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/files/trained.h"

#define FOLDER_MOST 3500 /* leaves room for the names of files below the folder */

/* Places tried so far, for the message; the first of them that is a folder, but without a config.json. */
typedef struct search {
    char tried[700];
    char bare[4096];
} search;

static void note(search *s, const char *place)
{
    size_t used = strlen(s->tried);
    snprintf(s->tried + used, sizeof s->tried - used, "%s%s", used > 0 ? ", " : "", place);
}

/* A folder is a model when it has a config.json. */
static bool is_model(search *s, const char *folder)
{
    char path[4096];
    if (strlen(folder) > FOLDER_MOST) {
        return false;
    }
    bool model = zo_path_exists(zo_path_join(path, sizeof path, folder, "config.json"));
    if (!model && s->bare[0] == '\0' && zo_path_is_dir(folder)) {
        snprintf(s->bare, sizeof s->bare, "%s", folder);
    }
    return model;
}

/* What a folder without config.json is, by a file in it or the end of a file's name. */
static const struct {
    const char *file, *says;
} others[] = {
    {"adapter_config.json", "is a PEFT adapter (adapter_config.json), not a model; merge it into its base model with peft's merge_and_unload, save the "
                            "result with save_pretrained, and give that folder; or train on from it: its base model, and the folder as \"from\" of \"tune\" (lora, prefix)"},
    {"params.json", "holds a checkpoint as Meta publishes it (params.json); convert it with transformers' convert_llama_weights_to_hf.py"},
    {"*.gguf", "holds GGUF weights; give the Hugging Face folder that they were made from"},
    {ZO_PREFIX_FILE, "is a prefix that a run has saved (prefix.safetensors), not a model; to go on from it give its base model, and the folder as \"from\" of "
                           "\"tune\""},
    {ZO_SIDE_FILE, "is a side adapter that a run has saved (side.safetensors), not a model; to go on from it give its base model, and the folder as \"from\" of "
                   "\"tune\""},
    {"*.safetensors", "has weights, but no config.json that says of what; fetch the model's config.json and tokenizer files into it"},
    {"*.bin", "has weights, but no config.json that says of what; fetch the model's config.json and tokenizer files into it"},
    {"tokenizer.json", "has a tokenizer alone; expected a model's config.json too"},
};

static bool has_file(const char *folder, const char *name)
{
    char path[4096];
    if (name[0] != '*') {
        return zo_path_exists(zo_path_join(path, sizeof path, folder, name));
    }
    size_t length = strlen(name + 1);
    DIR *dir = opendir(folder);
    bool found = false;
    for (struct dirent *e; dir != NULL && !found && (e = readdir(dir)) != NULL;) {
        size_t n = strlen(e->d_name);
        found = n > length && strcmp(e->d_name + n - length, name + 1) == 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

static zo_status fail_bare(const char *folder, zo_err *err)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (has_file(folder, others[i].file)) {
            return zo_fail(err, ZO_EINPUT, "%s: is a folder without config.json: it %s", folder, others[i].says);
        }
    }
    return zo_fail(err, ZO_EINPUT, "%s: is a folder without config.json; expected a Hugging Face model folder with config.json, "
                   "model.safetensors and the tokenizer's files", folder);
}

/* folder/name when that is a model. */
static bool try_under(search *s, const char *folder, const char *name, char out[4096])
{
    if (folder == NULL || folder[0] == '\0' || strlen(folder) + strlen(name) + 1 > FOLDER_MOST) {
        return false;
    }
    zo_path_join(out, 4096, folder, name);
    note(s, out);
    return is_model(s, out);
}

/* The snapshot that refs/main names; without refs/main the only one there is. false: none. *err is filled when
 * there are several. */
static bool find_snapshot(search *s, const char *repository, char out[4096], zo_err *err)
{
    char path[4096], revision[128] = "";
    zo_path_join(path, sizeof path, repository, "refs/main");
    char *text;
    size_t bytes;
    if (zo_path_exists(path) && zo_read_file(path, 1000, &text, &bytes, NULL) == ZO_OK) {
        text[strcspn(text, " \t\r\n")] = '\0';
        if (strchr(text, '/') == NULL && text[0] != '.') {
            snprintf(revision, sizeof revision, "%s", text);
        }
        zo_free(text);
    }
    char snapshots[4096];
    zo_path_join(snapshots, sizeof snapshots, repository, "snapshots");
    if (revision[0] != '\0') {
        return is_model(s, zo_path_join(out, 4096, snapshots, revision));
    }
    DIR *dir = opendir(snapshots);
    int found = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char one[4096];
        if (entry->d_name[0] != '.' && is_model(s, zo_path_join(one, sizeof one, snapshots, entry->d_name))) {
            memcpy(out, one, sizeof one);
            found++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (found > 1) {
        zo_fail(err, ZO_EINPUT,
                "%s: holds %d snapshots and no refs/main that says which one to use; give the snapshot's folder "
                "as the "
                "model",
                repository, found);
    }
    return found == 1;
}

/* The hub moved the models that had no organisation below one; both names are in use, also in caches. */
static const struct {
    const char *start, *organisation;
} moved[] = {{"bert-", "google-bert"},
             {"roberta-", "FacebookAI"},
             {"distilbert-", "distilbert"},
             {"gpt2", "openai-community"}};

static bool other_name(const char *name, char *out, size_t size)
{
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        size_t length = strlen(moved[i].organisation);
        if (strchr(name, '/') == NULL && strncmp(name, moved[i].start, strlen(moved[i].start)) == 0) {
            snprintf(out, size, "%s/%s", moved[i].organisation, name);
            return true;
        }
        if (strncmp(name, moved[i].organisation, length) == 0 && name[length] == '/' &&
            strncmp(name + length + 1, moved[i].start, strlen(moved[i].start)) == 0) {
            snprintf(out, size, "%s", name + length + 1);
            return true;
        }
    }
    return false;
}

bool zo_hub_cache(char *out, size_t size)
{
    const struct {
        const char *variable, *below;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        if (value != NULL && value[0] != '\0') {
            return snprintf(out, size, "%s%s", value, places[i].below) < (int)size;
        }
    }
    return false;
}

bool zo_hub_repository(const char *kind, const char *name, char *out, size_t size)
{
    char cache[2048], file[700];
    if (!zo_hub_cache(cache, sizeof cache) || strlen(name) > 200) {
        return false;
    }
    for (size_t used = (size_t)snprintf(file, sizeof file, "%ss--", kind); *name != '\0'; name++) {
        used += (size_t)snprintf(file + used, sizeof file - used, "%s", *name == '/' ? "--" : (char[]){*name, '\0'});
    }
    zo_path_join(out, size, cache, file);
    return true;
}

static bool try_cache(search *s, const char *name, char out[4096], zo_err *err)
{
    char repository[4096];
    if (!zo_hub_repository("model", name, repository, sizeof repository)) {
        return false;
    }
    note(s, repository);
    return find_snapshot(s, repository, out, err);
}

bool zo_hub_is_name(const char *name)
{
    int slashes = 0;
    for (const char *c = name; *c != '\0'; c++) {
        slashes += *c == '/';
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                      strchr("-_./", *c) != NULL;
        if (!letter || (*c == '/' && (c == name || c[1] == '\0'))) {
            return false;
        }
    }
    return slashes <= 1 && name[0] != '.' && strstr(name, "..") == NULL && strstr(name, "/.") == NULL;
}

zo_status zo_hub_find(const char *name, const char *models_dir, char folder[4096], zo_err *err)
{
    if (name[0] == '\0' || strlen(name) > FOLDER_MOST) {
        return zo_fail(err, ZO_EINPUT,
                       "the model's name has %zu bytes; expected a folder or a name such as facebook/opt-1.3b",
                       strlen(name));
    }
    search s = {0};
    if (zo_path_is_dir(name)) {
        snprintf(folder, 4096, "%s", name);
        if (is_model(&s, folder)) {
            return ZO_OK;
        }
        if (!zo_hub_is_name(name)) {
            return fail_bare(name, err);
        }
    } else if (zo_path_exists(name)) {
        return zo_fail(err, ZO_EINPUT, "%s: is a file; give the Hugging Face folder that it belongs to", name);
    }
    if (!zo_hub_is_name(name)) {
        return zo_fail(
            err, ZO_EINPUT,
            "model \"%s\": there is no such folder; give an existing Hugging Face folder, or a name such as "
            "roberta-large or facebook/opt-1.3b",
            name);
    }
    note(&s, "./");
    const char *last = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    const char *roots[] = {models_dir, getenv("ZO_MODELS")};
    for (int i = 0; i < 2; i++) {
        if (try_under(&s, roots[i], name, folder) || (last != name && try_under(&s, roots[i], last, folder))) {
            return ZO_OK;
        }
    }
    char other[256];
    zo_err several = {0};
    if (try_cache(&s, name, folder, &several) ||
        (other_name(name, other, sizeof other) && try_cache(&s, other, folder, &several))) {
        return ZO_OK;
    }
    if (several.status != ZO_OK) {
        return zo_fail(err, several.status, "%s", several.text);
    }
    if (s.bare[0] != '\0') {
        return fail_bare(s.bare, err);
    }
    return zo_fail(
        err, ZO_EIO,
        "model \"%.200s\" is not on this machine (looked in %s); fetch it with `zo get %.200s`, "
        "or give its folder or --models DIR",
        name, s.tried, name);
}
