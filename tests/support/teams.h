/* For tests that look at threads: every parallel region gets all of them, however little there is to do, and who took
 * part is seen. Needs the linker's --wrap (tests/meson.build: teams). Regions are those that GCC makes; of another
 * compiler's none is seen. */
#ifndef RV_TEST_TEAMS_H
#define RV_TEST_TEAMS_H

#include <stdbool.h>

typedef struct {
    int regions;  /* parallel regions that were entered */
    bool worth;   /* the library itself would have given one of them more than one thread */
    bool rounded; /* the first thread of one of them rounded a number */
    bool shared;  /* another thread did */
} rv_team;

/** Begin to watch work of this name. */
void rv_teams_watch(const char *name);
/** What happened since then. A thread's part is known by the processor's flag that a result had to be rounded, which
 *  changes no result; a thread that only copies cannot be seen. */
rv_team rv_teams_seen(void);
/** Of all regions entered so far, the i-th whose first thread alone ever rounded a number: the work in which it was
 *  first met, or NULL when there are no more. */
const char *rv_teams_alone(int i);

#endif
