/* output.c: the end of every command: was all that it said written? */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/cmd.h"

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
