/* output.c: JSON on standard output, and the end of every command: was all that it said written? */
#include "core/output.h"

#include <cjson/cJSON.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/text.h"

void zo_output_json(const cJSON *json, bool is_pretty)
{
    char *plain = is_pretty ? cJSON_Print(json) : cJSON_PrintUnformatted(json), *text = zo_text_plain_json(plain);
    puts(text);
    fflush(stdout);
    zo_free(text);
    cJSON_free(plain);
}

int zo_output_end(const char *command, int code)
{
    bool bad = fflush(stdout) != 0;
    if (!bad && !ferror(stdout)) {
        return code;
    }
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll(&reader, 1, 0) < 0 || (reader.revents & POLLERR) == 0) {
        fprintf(stderr, "zo %s: standard output cannot be written; is the disk full?\n", command);
    }
    return 2;
}
