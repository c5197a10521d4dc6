/* For tests that look at threads: every parallel region gets all of them, however little there is to do, and who took
 * part is seen. Linked with -Wl,--wrap=rv_threads_for (tests/meson.build: teams). */
#ifndef RV_TEST_TEAMS_H
#define RV_TEST_TEAMS_H

#include <stdbool.h>

typedef struct {
    bool asked;   /* a region asked how many threads its work is worth */
    bool worth;   /* and the library itself would have given it more than one */
    bool rounded; /* the calling thread has rounded a number since */
    bool shared;  /* another one did */
} rv_team;

/** Forget what was seen; call it when the number of threads is set. */
void rv_teams_watch(void);
/** What happened since then. A thread is known by the processor's flag that a result had to be rounded, which changes no
 *  result; a thread that only copied cannot be seen. */
rv_team rv_teams_seen(void);

#endif
