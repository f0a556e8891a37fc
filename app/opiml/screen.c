/* The terminal. */
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "screen.h"

#define DRAW_NS 100000000ull

static bool is_terminal(FILE *stream) {
    const char *kind = getenv("TERM");

    return isatty(fileno(stream)) && kind && strcmp(kind, "dumb") != 0;
}

bool screen_colour(FILE *stream) {
    const char *no = getenv("NO_COLOR");

    return !(no && no[0]) && is_terminal(stream);
}

int screen_columns(FILE *stream) {
    struct winsize size;

    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

void progress_begin(struct progress *self) {
    *self = (struct progress){.on = is_terminal(stderr), .start_ns = clock_now_ns()};
}

bool progress_due(struct progress *self) {
    uint64_t now;

    if (!self->on)
        return false;
    now = clock_now_ns();
    if (now - self->last_ns < DRAW_NS)
        return false;
    self->last_ns = now;
    return true;
}

void progress_draw(struct progress *self, const char *format, ...) {
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* One column stays free, so that no terminal wraps. */
    fprintf(stderr, "\r\033[K%.*s", screen_columns(stderr) - 1, line);
    fflush(stderr);
    self->drawn = true;
}

void progress_end(struct progress *self) {
    if (self->drawn)
        fprintf(stderr, "\r\033[K");
    self->drawn = false;
}

char *screen_duration(char *to, size_t room, double seconds) {
    uint64_t whole = seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 0;
    unsigned hours = (unsigned)(whole / 3600);

    if (hours)
        snprintf(to, room, "%u:%02u:%02u", hours, (unsigned)(whole / 60 % 60),
                 (unsigned)(whole % 60));
    else
        snprintf(to, room, "%u:%02u", (unsigned)(whole / 60), (unsigned)(whole % 60));
    return to;
}

void screen_bar(FILE *to, double share, int cells) {
    int full = share <= 0 ? 0 : share >= 1 ? cells : (int)(share * cells + 0.5);

    for (int i = 0; i < cells; i++)
        fputs(i < full ? "█" : "░", to);
}
