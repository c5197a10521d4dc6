#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 16384 };
static _Thread_local char message[MESSAGE_MAX];

rv_status rv_error(rv_status code, const char *fmt, ...) {
    /* Through a second buffer, so that the old message may be among the arguments. */
    static _Thread_local char next[MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(next, sizeof next, fmt, ap);
    va_end(ap);
    memcpy(message, next, sizeof message);
    return code;
}

rv_status rv_error_context(rv_status code, const char *fmt, ...) {
    static _Thread_local char prefix[MESSAGE_MAX]; /* a path alone may have thousands of characters */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    return rv_error(code, "%s%s", prefix, message);
}

const char *rv_error_message(void) { return message; }

int rv_exit_code(rv_status code) {
    switch (code) {
    case RV_OK: return 0;
    case RV_EUSAGE: return 2;
    case RV_EDATA: return 3;
    case RV_ECKPT: return 4;
    case RV_EDIVERGED: return 5;
    case RV_EVERIFY: return 6;
    case RV_ETERM: return 75;
    case RV_EINT: return 130;
    case RV_EINTERNAL:
    case RV_ESHAPE:
    case RV_ENOMEM: return 1;
    }
    return 1;
}

void rv__assert_failed(const char *cond, const char *file, int line) {
    fprintf(stderr, "ravel: internal error: %s does not hold (%s:%d). Please report this with the command you ran.\n",
            cond, file, line);
    abort();
}
