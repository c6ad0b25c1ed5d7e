/* only.c: linked into the test programs of `make mutants`.
 *
 *   ZO_TESTS_ONLY=NAME    of a Check program runs the test function NAME alone; =? prints the names, one a line
 *   ZO_COVER=FOLDER       in a build with -fsanitize-coverage=trace-pc, marks every block that is entered: byte i of FOLDER/PROGRAM is 1
 *                         when the call at address i of the program's text was made. The file is mapped, so that what a process that
 *                         ends by _exit or a signal has done is there too.
 *
 * kill() of all processes or of the own group ends the caller instead: a bug in a process id must not reach others. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* weak: `zo` is linked with this file too, and without Check */
void __real__tcase_add_test(TCase *, const TTest *, int, int, int, int) __attribute__((weak));
void __wrap__tcase_add_test(TCase *test_case, const TTest *test, int signal_number, int exit_value, int start, int end);
int __real_kill(pid_t pid, int signal_number);
int __wrap_kill(pid_t pid, int signal_number);
void __sanitizer_cov_trace_pc(void);
extern const char __executable_start[], etext[];

void __wrap__tcase_add_test(TCase *test_case, const TTest *test, int signal_number, int exit_value, int start, int end)
{
    const char *only = getenv("ZO_TESTS_ONLY");
    if (only != NULL && strcmp(only, "?") == 0) {
        printf("test: %s\n", test->name);
    } else if (only == NULL || strcmp(only, test->name) == 0) {
        __real__tcase_add_test(test_case, test, signal_number, exit_value, start, end);
    }
}

int __wrap_kill(pid_t pid, int signal_number)
{
    if (pid == -1 || pid == 0 || pid == 1) {
        abort();
    }
    return __real_kill(pid, signal_number);
}

static unsigned char *entered; /* NULL: not asked for */

__attribute__((no_sanitize_coverage, constructor)) static void open_map(void)
{
    const char *folder = getenv("ZO_COVER");
    if (folder == NULL) {
        return;
    }
    char path[4000], program[2000]; /* the file, not its argv[0]: a test that stands in for zo calls itself so */
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, strrchr(program, '/') != NULL ? strrchr(program, '/') + 1 : program);
    size_t bytes = (size_t)(etext - __executable_start);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct stat there; /* the file is as long already where the program starts itself again, be it with a limit to the size of files */
    if (file < 0 || (fstat(file, &there) == 0 && there.st_size < (off_t)bytes && ftruncate(file, (off_t)bytes) != 0)) {
        return;
    }
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) {
        entered = map;
    }
}

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
    if (entered != NULL) {
        size_t at = (size_t)((const char *)__builtin_return_address(0) - __executable_start);
        if (entered[at] == 0) {
            entered[at] = 1;
        }
    }
}
