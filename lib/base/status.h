/** Status codes and the error record.
 *
 *  Every function that can fail because of the world or the user returns an rv_status and leaves one
 *  message naming file:line:column, path or tensor, and the remedy. Broken invariants of our own are
 *  RV_ASSERT. Only tools exit. */
#ifndef RV_BASE_STATUS_H
#define RV_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/** Before each declaration of what the library has, functions and data: from C++ it is C's, too. */
#ifdef __cplusplus
#define RV_EXTERN extern "C"
#else
#define RV_EXTERN extern
#endif
#if defined(__GNUC__)
#define RV_API RV_EXTERN __attribute__((visibility("default")))
#define RV_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define RV_NORETURN __attribute__((noreturn))
#define RV_ALIGNED(n) __attribute__((aligned(n)))
#else
#define RV_API RV_EXTERN
#define RV_PRINTF(f, a)
#define RV_NORETURN
#define RV_ALIGNED(n)
#endif

typedef enum {
    RV_OK = 0,
    RV_EINTERNAL, /**< an invariant of ravel's own is broken */
    RV_EUSAGE,    /**< command line or configuration */
    RV_EDATA,     /**< data set, tokenizer, corpus */
    RV_ECKPT,     /**< checkpoint cannot be read or written */
    RV_EDIVERGED, /**< NaN or Inf in loss or gradients */
    RV_EVERIFY,   /**< verification failed */
    RV_ESHAPE,    /**< tensor shapes do not fit */
    RV_ENOMEM,    /**< out of memory */
    RV_ETERM,     /**< stopped by SIGTERM after saving */
    RV_EINT,      /**< stopped by SIGINT after saving */
} rv_status;

/** Record the message of the calling thread's latest error and return `code`. Messages over 16 KiB are cut. */
RV_API rv_status rv_error(rv_status code, const char *fmt, ...) RV_PRINTF(2, 3);
/** Put a prefix ("while loading x: ") before the recorded message; returns `code`. */
RV_API rv_status rv_error_context(rv_status code, const char *fmt, ...) RV_PRINTF(2, 3);
/** The latest message of the calling thread; "" if there is none. Owned by ravel, valid until the next rv_error. */
RV_API const char *rv_error_message(void);
/** The process exit code that `code` stands for (0 ok, 1 internal, 2 usage, 3 data, 4 checkpoint, 5 diverged,
 *  6 verification failed, 75 SIGTERM, 130 SIGINT). */
RV_API int rv_exit_code(rv_status code);

/** Abort with file and line: an invariant of our own does not hold. Never used for bad input. */
#define RV_ASSERT(cond) ((cond) ? (void)0 : rv__assert_failed(#cond, __FILE__, __LINE__))
RV_API RV_NORETURN void rv__assert_failed(const char *cond, const char *file, int line);

/** Return from the enclosing function if `expr` is not RV_OK. */
#define RV_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        rv_status rv_try_ = (expr);                                                                                    \
        if (rv_try_ != RV_OK) return rv_try_;                                                                          \
    } while (0)

#endif
