#define _GNU_SOURCE
#include "base/stop.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t requested;

static void on_signal(int sig) {
    if (requested) _exit(128 + sig);
    requested = sig;
}

void rv_stop_install(void) {
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
}

rv_status rv_stop_requested(void) {
    int sig = requested;
    return sig == SIGTERM ? RV_ETERM : sig == SIGINT ? RV_EINT : RV_OK;
}
