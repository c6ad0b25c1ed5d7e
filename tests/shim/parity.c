/* parity.c: the tests of the CUDA backend (tests/backends/test_cuda_*.c, their main functions renamed) as one program, linked with the card's own
 * backend: one process, so one context. `parity --list` names them, `parity NAME...` runs those, in this order; without names all. Each stands
 * between "== NAME" and "== NAME ended STATUS"; where a process dies the second is missing, and the caller starts another one with the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(name) int zo_parity_##name(void);
ZO_PARITY_LIST /* the Makefile's */
#undef X

static const struct { const char *name; int (*run)(void); } suites[] = {
#define X(name) {#name, zo_parity_##name},
    ZO_PARITY_LIST
#undef X
};
enum { SUITES = sizeof suites / sizeof *suites };

static int run(int i)
{
    printf("== %s\n", suites[i].name);
    fflush(stdout);
    int status = suites[i].run();
    printf("== %s ended %d\n", suites[i].name, status);
    fflush(stdout);
    return status != 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    setenv("CK_FORK", "no", 1); /* a process a test would be a context a test */
    for (int k = 1; k < argc; k++) {
        int i = 0;
        while (i < SUITES && strcmp(argv[k], suites[i].name) != 0) {
            i++;
        }
        if (i == SUITES && strcmp(argv[k], "--list") != 0) {
            fprintf(stderr, "parity: there are no tests \"%s\"; parity --list names those that there are\n", argv[k]);
            return 2;
        }
        failed |= i < SUITES ? run(i) : 0;
    }
    for (int i = 0; i < SUITES && argc == 1; i++) {
        failed |= run(i);
    }
    for (int i = 0; i < SUITES && argc > 1 && strcmp(argv[1], "--list") == 0; i++) {
        puts(suites[i].name);
    }
    return failed;
}
