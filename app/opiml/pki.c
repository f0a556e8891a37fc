/* Certificates for people, and for programs. */
#include "pki.h"

#include "base/clock.h"
#include "screen.h"

#define DAY_S 86400

int64_t pki_now(void) {
    return (int64_t)(clock_wall_ns() / 1000000000);
}

/* Of the days that are left the whole ones, rounded down: -1 on the first day after the end. */
static int64_t days_left(const struct certificate *certificate) {
    int64_t left_s = certificate->until_s - pki_now();

    return left_s >= 0 ? left_s / DAY_S : -((-left_s + DAY_S - 1) / DAY_S);
}

/* NULL: it is good. A certificate that is not judged has no problem either. */
static int judge(const char *path, const char *ca_path, struct certificate *ret_certificate,
                 const char **ret_problem, struct opiml_error *err) {
    CLEANUP(certificate_free_all) struct stack_st_X509 *chain = NULL, *cas = NULL;
    int rc;

    if ((rc = certificate_read_all(path, &chain, err)) < 0 ||
        (ca_path && (rc = certificate_read_all(ca_path, &cas, err)) < 0))
        return rc;
    certificate_describe(certificate_first(chain), ret_certificate);
    *ret_problem = cas ? certificate_problem(chain, cas) : NULL;
    return 0;
}

static struct js *names_of(const struct certificate *certificate) {
    struct js *list = js_array();
    char names[sizeof(certificate->names)], *rest = NULL;

    memcpy(names, certificate->names, sizeof(names));
    for (char *at = strtok_r(names, ", ", &rest); at; at = strtok_r(NULL, ", ", &rest))
        js_add(list, js_text(at));
    return list;
}

static void add_json(const char *path, const char *ca, const struct certificate *certificate,
                     const char *problem, struct js *list) {
    struct js *one = js_object(), *uses = js_array();
    char time[CERTIFICATE_TIME];

    js_set(one, "file", js_text(path));
    js_set(one, "subject", js_text(certificate->subject));
    js_set(one, "names", names_of(certificate));
    if (certificate->is_ca)
        js_add(uses, js_text("ca"));
    if (certificate->for_servers && !certificate->is_ca)
        js_add(uses, js_text("server"));
    if (certificate->for_clients && !certificate->is_ca)
        js_add(uses, js_text("client"));
    js_set(one, "uses", uses);
    js_set(one, "from", js_text(certificate_time(time, certificate->from_s)));
    js_set(one, "until", js_text(certificate_time(time, certificate->until_s)));
    js_set(one, "days_left", js_int(days_left(certificate)));
    js_set(one, "issuer", js_text(certificate->issuer));
    js_set(one, "serial", js_text(certificate->serial));
    js_set(one, "fingerprint", js_text(certificate->fingerprint));
    js_set(one, "good", ca ? js_bool(!problem) : js_null());
    js_set(one, "problem", js_text(problem));
    js_add(list, one);
}

static const char *uses_text(const struct certificate *certificate) {
    return certificate->is_ca                                     ? "a CA"
           : certificate->for_servers && certificate->for_clients ? "servers and clients"
           : certificate->for_servers                             ? "servers"
           : certificate->for_clients                             ? "clients"
                                                                  : "nothing that TLS knows";
}

static void show_text(const char *path, const char *ca, const struct certificate *certificate,
                      const char *problem) {
    char from[CERTIFICATE_TIME], until[CERTIFICATE_TIME], name[SCREEN_NAME_BYTES];
    int64_t left = days_left(certificate);

    printf("%s\n", screen_name(name, path));
    printf("  subject      %s\n", certificate->subject);
    if (certificate->names[0])
        printf("  names        %s\n", certificate->names);
    printf("  for          %s\n", uses_text(certificate));
    printf("  valid        %s to %s (%" PRId64 " day%s %s)\n",
           certificate_time(from, certificate->from_s),
           certificate_time(until, certificate->until_s), left < 0 ? -left : left,
           text_s((uint64_t)(left < 0 ? -left : left)), left < 0 ? "over" : "left");
    printf("  issuer       %s\n", certificate->issuer);
    printf("  serial       %s\n", certificate->serial);
    printf("  fingerprint  %s\n", certificate->fingerprint);
    if (ca)
        printf("  good         %s%s\n", problem ? "no: " : "yes, by ",
               problem ? problem : screen_name(name, ca));
}

int pki_show(const char *path, const char *ca, struct js *list, struct opiml_error *err) {
    struct certificate certificate;
    const char *problem;
    int rc = judge(path, ca, &certificate, &problem, err);

    if (rc < 0)
        return rc;
    if (list)
        add_json(path, ca, &certificate, problem, list);
    else
        show_text(path, ca, &certificate, problem);
    return 0;
}

int pki_show_made(const char *path, const char *ca, bool json, struct opiml_error *err) {
    AUTO_JS struct js *list = json ? js_array() : NULL;
    AUTO_FREE char *text = NULL;
    int rc = pki_show(path, ca ? ca : path, list, err);

    if (rc < 0 || !json)
        return rc;
    text = js_dump(js_at(list, 0), 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}
