/* For tools/cross-aarch64.sh, preloaded into what runs under qemu-user: the kernel cannot execute a foreign program, so
 * a program that starts itself again (Criterion does for each test, `ravel compare` for each cell) starts qemu with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 1000 };

/* Native programs could not load this file; qemu's QEMU_SET_ENV has it loaded into the next foreign one. */
__attribute__((constructor)) static void hide(void) { unsetenv("LD_PRELOAD"); }

int execve(const char *path, char *const argv[], char *const envp[]) {
    static const char self[] = "/proc/self/exe"; /* is qemu to qemu */
    char target[PATH_MAX] = {0};
    const char *args[MOST] = {RV_QEMU, "-0", argv[0], path};
    syscall(SYS_execve, path, argv, envp);
    if (errno != ENOEXEC) return -1;
    if (!strcmp(path, self) && readlink(self, target, sizeof target - 1) > 0) args[3] = target;
    for (int i = 1; argv[i]; i++) {
        if (i + 4 == MOST) return errno = E2BIG, -1;
        args[i + 3] = argv[i];
    }
    return (int)syscall(SYS_execve, RV_QEMU, args, envp);
}

int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }

int execl(const char *path, const char *arg, ...) {
    char *argv[MOST] = {(char *)arg};
    va_list ap;
    va_start(ap, arg);
    for (int i = 1; argv[i - 1] && i < MOST - 1; i++) argv[i] = va_arg(ap, char *);
    va_end(ap);
    return execve(path, argv, environ);
}
