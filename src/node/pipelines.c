/* The pipelines of a node. */
#include "node/pipelines.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "node/keep.h"

#define SECOND_NS UINT64_C(1000000000)
#define NOTES_A_LEASE 8 /* at most, however often it is renewed */

struct pipelines_entry *pipelines_find(struct pipelines *pipelines, const char *id) {
    for (size_t i = 0; i < PIPELINES_MAX; i++)
        if (pipelines->entry[i].id[0] && strcmp(pipelines->entry[i].id, id) == 0)
            return &pipelines->entry[i];
    return NULL;
}

struct pipelines_entry *pipelines_next(struct pipelines *pipelines, const char *after) {
    struct pipelines_entry *next = NULL;

    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        struct pipelines_entry *entry = &pipelines->entry[i];

        if (strcmp(entry->id, after) > 0 && /* "" comes behind nothing */
            (!next || strcmp(entry->id, next->id) < 0))
            next = entry;
    }
    return next;
}

/* Have it written what is known of it now. */
static void note(struct pipelines_entry *entry, bool gone) {
    struct keep_note note = {
        .generation = entry->origin.generation, .gone = gone, .lease_ns = entry->lease_ns};

    if (!entry->keep)
        return;
    memcpy(note.id, entry->id, sizeof(note.id));
    note.until_ns = clock_wall_ns() + entry->until_ns - clock_now_ns();
    entry->noted_ns = entry->until_ns;
    keep_note(entry->keep, &note);
}

void pipelines_note(struct pipelines_entry *entry) {
    note(entry, false);
}

static void forget(struct pipelines *pipelines, struct pipelines_entry *entry) {
    session_leave(entry->session, pipelines->closer);
    base_free(entry->content);
    *entry = (struct pipelines_entry){0};
}

void pipelines_remove(struct pipelines *pipelines, struct pipelines_entry *entry) {
    note(entry, true);
    forget(pipelines, entry);
}

enum session_state pipelines_state(const struct pipelines_entry *entry) {
    return entry->session ? session_state(entry->session) : entry->state;
}

/* Whether a consumer may still come, or is there. */
static bool is_live(const struct pipelines_entry *entry) {
    return entry->session && !entry->expired && session_state(entry->session) != SESSION_ENDED;
}

/* One that is above all before it, also those of a node that had run here earlier. Where nothing is
 * kept that is so as long as no second sees more than one created, on average. */
static struct frame_origin next_origin(struct pipelines *pipelines, const char *id) {
    uint32_t now_s = pipelines->keep ? 0 : (uint32_t)(clock_wall_ns() / SECOND_NS);

    pipelines->generation = now_s > pipelines->generation ? now_s : pipelines->generation + 1;
    return (struct frame_origin){.job = hash_64(id, strlen(id), 0),
                                 .generation = pipelines->generation};
}

/* Its session is there: its first lease begins. */
static void begin(struct pipelines *pipelines, struct pipelines_entry *entry) {
    entry->origin = next_origin(pipelines, entry->id);
    session_set_origin(entry->session, entry->origin);
    entry->since_ns = clock_now_ns();
    entry->state = SESSION_WAITING;
    entry->expired = false;
    entry->noted_ns = 0;
    pipelines_lease(entry, 0, NULL);
    pipelines->created++;
}

int pipelines_lease(struct pipelines_entry *entry, uint64_t lease_ns, struct opiml_error *err) {
    if (lease_ns == 0)
        lease_ns = PIPELINES_LEASE_S * SECOND_NS;
    if (lease_ns < PIPELINES_LEASE_LEAST_S * SECOND_NS ||
        lease_ns > PIPELINES_LEASE_MOST_S * SECOND_NS)
        return opiml_fail(err, OPIML_EINVAL, "lease_duration: %.9g s; %d to %d",
                          (double)lease_ns / 1e9, PIPELINES_LEASE_LEAST_S, PIPELINES_LEASE_MOST_S);
    entry->lease_ns = lease_ns;
    pipelines_renew(entry);
    return 0;
}

void pipelines_renew(struct pipelines_entry *entry) {
    entry->until_ns = clock_now_ns() + entry->lease_ns;
    if (entry->until_ns - entry->noted_ns >= entry->lease_ns / NOTES_A_LEASE)
        note(entry, false);
}

/* NULL: the node is full. */
static struct pipelines_entry *find_place(struct pipelines *pipelines) {
    for (size_t i = 0; i < PIPELINES_MAX; i++)
        if (!pipelines->entry[i].id[0])
            return &pipelines->entry[i];
    return NULL;
}

/* Have one that nobody works with give way: it is from before a restart, or has ended. */
static void make_room(struct pipelines *pipelines) {
    struct pipelines_entry *first = NULL;

    if (find_place(pipelines))
        return;
    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        struct pipelines_entry *entry = &pipelines->entry[i];

        if (!entry->session && (!first || entry->until_ns < first->until_ns))
            first = entry;
    }
    if (first)
        pipelines_remove(pipelines, first);
}

/* Take a free place; the content is copied. NULL without a message: there is none. */
static int take_place(struct pipelines *pipelines, const char *who, const char *id,
                      const void *content, size_t bytes, struct pipelines_entry **ret_entry,
                      struct opiml_error *err) {
    struct pipelines_entry *entry = find_place(pipelines);
    void *copy = entry ? base_alloc(bytes) : NULL;

    *ret_entry = NULL;
    if (!entry)
        return 0;
    if (!copy)
        return base_fail_memory(err, bytes, "a pipeline");
    memcpy(copy, content, bytes);
    text_copy(entry->id, sizeof(entry->id), id);
    text_copy(entry->who, sizeof(entry->who), who);
    entry->content = copy;
    entry->content_bytes = bytes;
    entry->keep = pipelines->keep;
    *ret_entry = entry;
    return 0;
}

int pipelines_restore(struct pipelines *pipelines, const char *who, const char *id,
                      const void *content, size_t bytes, uint64_t lease_ns, uint64_t left_ns,
                      struct opiml_error *err) {
    struct pipelines_entry *entry;
    int rc = left_ns == 0 ? 0 : take_place(pipelines, who, id, content, bytes, &entry, err);

    if (rc < 0 || left_ns == 0 || !entry)
        return rc;
    entry->origin = next_origin(pipelines, id);
    entry->state = SESSION_WAITING;
    entry->since_ns = clock_now_ns();
    entry->lease_ns = base_min_u64(lease_ns, PIPELINES_LEASE_MOST_S * SECOND_NS);
    entry->until_ns = entry->since_ns + base_min_u64(left_ns, entry->lease_ns);
    note(entry, false);
    return 0;
}

int pipelines_check(const struct pipelines_entry *entry, const char *who, struct opiml_error *err) {
    if (!entry->who[0] || strcmp(entry->who, who) == 0)
        return 0;
    return opiml_fail(err, OPIML_EACCES, "pipelines/%s is another client's", entry->id);
}

int pipelines_add(struct pipelines *pipelines, const char *who, const char *id, const void *content,
                  size_t bytes, struct session **session, struct pipelines_entry **ret_entry,
                  struct opiml_error *err) {
    struct pipelines_entry *there = pipelines_find(pipelines, id), *entry;
    char made[ID_MAX + 1];
    int rc;

    if (there && (there->content_bytes != bytes || memcmp(there->content, content, bytes) != 0))
        return opiml_fail(err, OPIML_EEXIST, "pipelines/%s is another pipeline", id);
    if (there && pipelines_check(there, who, err) < 0)
        return OPIML_EEXIST;
    if (there && is_live(there)) {
        there->noted_ns = 0;
        *ret_entry = there;
        return 0;
    }
    if (pipelines->draining)
        return opiml_fail(err, OPIML_EBUSY,
                          "this node takes no more pipelines: it is being drained");
    if (!id[0] && (rc = id_make('p', made, err)) < 0)
        return rc;
    entry = there;
    if (!entry) {
        make_room(pipelines);
        rc = take_place(pipelines, who, id[0] ? id : made, content, bytes, &entry, err);
        if (rc < 0)
            return rc;
    }
    if (!entry)
        return opiml_fail(err, OPIML_ELIMIT,
                          "this node runs %d pipelines already, which is its most", PIPELINES_MAX);
    session_leave(entry->session, pipelines->closer); /* one that has ended */
    text_copy(entry->who, sizeof(entry->who), who);
    entry->session = TAKE(*session);
    begin(pipelines, entry);
    *ret_entry = entry;
    return 0;
}

bool pipelines_connect(struct pipelines *pipelines, const struct wire_hello *hello,
                       struct stream *stream) {
    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        struct session *session = pipelines->entry[i].session;

        if (session && wire_same(session_ticket(session), hello->ticket, WIRE_TICKET_BYTES)) {
            session_connect(session, hello->stripe, stream, NULL);
            return true;
        }
    }
    return false;
}

/* Tell the consumer first; one that takes nothing does not hear it. */
static void expire(struct pipelines *pipelines, struct pipelines_entry *entry) {
    struct opiml_error why;

    if (entry->expired) {
        pipelines_remove(pipelines, entry);
        return;
    }
    pipelines->expired++;
    if (!entry->session) { /* there is nobody to tell */
        pipelines_remove(pipelines, entry);
        return;
    }
    opiml_fail(&why, OPIML_ETIMEDOUT, "pipelines/%s: its lease has expired: nobody has renewed it",
               entry->id);
    session_fail(entry->session, &why);
    entry->expired = true;
}

void pipelines_tidy(struct pipelines *pipelines) {
    uint64_t now = clock_now_ns();

    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        struct pipelines_entry *entry = &pipelines->entry[i];
        enum session_state state = pipelines_state(entry);

        if (!entry->id[0])
            continue;
        if (state != entry->state) {
            entry->state = state;
            entry->since_ns = now;
            if (state == SESSION_ENDED)
                session_leave(TAKE(entry->session), pipelines->closer);
        }
        if (pipelines->draining && (state == SESSION_ENDED || !entry->session))
            pipelines_remove(pipelines, entry);
        else if (now > entry->until_ns)
            expire(pipelines, entry);
        else if ((entry->session || state == SESSION_ENDED) && state != SESSION_RUNNING &&
                 now - entry->since_ns > PIPELINES_PATIENCE_S * SECOND_NS)
            pipelines_remove(pipelines, entry);
    }
}

uint32_t pipelines_count(const struct pipelines *pipelines) {
    uint32_t count = 0;

    for (size_t i = 0; i < PIPELINES_MAX; i++)
        count += pipelines->entry[i].id[0] != 0;
    return count;
}

void pipelines_end(struct pipelines *pipelines, const char *why) {
    for (size_t i = 0; i < PIPELINES_MAX; i++) {
        struct pipelines_entry *entry = &pipelines->entry[i];
        struct opiml_error err;

        if (!entry->session || entry->expired)
            continue;
        opiml_fail(&err, OPIML_EIO, "pipelines/%s: %s", entry->id, why);
        session_fail(entry->session, &err);
        entry->expired = true;
        entry->until_ns = 0; /* the next time it is removed */
    }
}

void pipelines_release(struct pipelines *pipelines) {
    for (size_t i = 0; i < PIPELINES_MAX; i++)
        forget(pipelines, &pipelines->entry[i]);
}
