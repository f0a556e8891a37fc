/* Signals that stop long work. */
#include <signal.h>
#include <stdatomic.h>

#include "screen.h"

/* What a handler may touch: a lock-free atomic, since any thread may ask; and what is set before
 * the handler is installed and read-only while it is. */
static _Atomic int seen;
static void (*stop_call)(void *context);
static void *stop_context;

static void on_signal(int number) {
    seen = number;
    if (stop_call)
        stop_call(stop_context);
}

/* What the handler runs on: oneDNN's matrix product for AVX2 has its stack pointer somewhere in the
 * heap at times, and what a handler pushed there would be another's memory. More than the state of
 * any processor's vectors and tiles takes. */
static void set_stack(void) {
    static char memory[65536];
    const stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};

    sigaltstack(&stack, NULL);
}

void signals_catch(void (*stop)(void *context), void *context) {
    /* SA_RESETHAND: who asks a second time is obeyed at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_ONSTACK};

    set_stack();

    stop_call = stop;
    stop_context = context;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void signals_release(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    stop_call = NULL;
}

bool signals_seen(void) {
    return seen != 0;
}

int signals_fail(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECANCELED, "stopped by %s",
                      seen == SIGTERM ? "SIGTERM" : "SIGINT");
}
