/* opiml plan: where a pipeline's rows are best made, and why. */
#include <unistd.h>

#include <opiml/feed.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "node/planner.h"
#include "node/remote_index.h"
#include "node_view.h"
#include "pipeline/pipeline.h"
#include "screen.h"
#include "tls_options.h"

struct plan_config {
    const char *node;
    int64_t threads;
    double cores, demand;
    struct tls_files tls;
    bool measure, json;
};

#define AT(member) offsetof(struct plan_config, member)

static const struct option plan_options[] = {
    {"node", "HOST:PORT,...", NULL, "Nodes that may run first operators", AT(node), OPTION_TEXT},
    {"threads", "N", "0",
     "Compute threads of this machine; 0: as the file says, or one per usable core", AT(threads),
     OPTION_INT, NULL, 0, 1024},
    {"cores", "X", "0", "Use at most so many cores of this machine; 0: all that are usable",
     AT(cores), OPTION_NUM, NULL, 0, 1024},
    {"demand", "ROWS", "0",
     "Rows in a second that the trainer takes: what is more is of no use; 0: all it can get",
     AT(demand), OPTION_NUM, NULL, 0, 1e12},
    {"measure", NULL, NULL, "Measure all anew, whatever is known from earlier", AT(measure),
     OPTION_FLAG},
    OPTIONS_TLS(struct plan_config),
    OPTION_JSON(struct plan_config),
    {0},
};

/* ---- what limits ---- */

static const char *limit_name(enum place_limit limit) {
    static const char *const names[] = {[PLACE_CPU] = "processors",
                                        [PLACE_READ] = "storage",
                                        [PLACE_LINK] = "link",
                                        [PLACE_DEMAND] = "demand",
                                        [PLACE_BETWEEN] = "link"};

    return names[limit];
}

static const char *tier_name(const struct planner *planner, uint32_t tier) {
    return planner->problem.tier[tier].name;
}

static void say_limit(char *to, size_t room, const struct planner *planner,
                      const struct place_plan *plan) {
    const struct place_link *between = &planner->problem.link[plan->limit_tier];

    if (plan->limit == PLACE_DEMAND)
        snprintf(to, room, "what the trainer takes");
    else if (plan->limit == PLACE_BETWEEN)
        snprintf(to, room, "link from %s to %s", tier_name(planner, between->from),
                 tier_name(planner, between->to));
    else if (plan->limit_tier == 0)
        snprintf(to, room, "%s here", limit_name(plan->limit));
    else
        snprintf(to, room, "%s of %s", limit_name(plan->limit),
                 tier_name(planner, plan->limit_tier));
}

/* ---- text ---- */

/* "12 s", "3 min", "5 h" or "2 days". */
static const char *say_age(char *to, size_t room, double s) {
    if (s < 120)
        snprintf(to, room, "%.0f s", s);
    else if (s < 7200)
        snprintf(to, room, "%.0f min", s / 60);
    else if (s < 2 * 86400)
        snprintf(to, room, "%.0f h", s / 3600);
    else
        snprintf(to, room, "%.0f days", s / 86400);
    return to;
}

static const char *origin_name(enum profile_origin origin) {
    static const char *const names[] = {[PROFILE_MEASURED] = "measured",
                                        [PROFILE_KEPT] = "kept",
                                        [PROFILE_CALIBRATED] = "calibrated",
                                        [PROFILE_BORROWED] = "borrowed"};

    return origin < COUNT_OF(names) && names[origin] ? names[origin] : "unknown";
}

/* What a tier's numbers are, and how old. */
static void say_origin(char *to, size_t room, const struct place_tier *tier) {
    const struct profile *profile = tier->profile;
    char age[32];
    int used = snprintf(to, room, "%s", origin_name(profile->origin));

    if (profile->origin == PROFILE_KEPT || profile->origin == PROFILE_CALIBRATED)
        used += snprintf(to + used, room - (size_t)used, " %s ago",
                         say_age(age, sizeof(age), profile->age_s));
    if (tier->link_age_s > 0)
        snprintf(to + used, room - (size_t)used, ", the link %s ago",
                 say_age(age, sizeof(age), tier->link_age_s));
}

static void print_tiers(const struct planner *planner) {
    char read[32], link[32], origin[96];

    printf("%-24s %6s %14s %14s  %s\n", "TIER", "cores", "storage", "link", "known");
    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        const struct place_tier *tier = &planner->problem.tier[t];

        text_format_bytes(read, sizeof(read), (uint64_t)tier->profile->read_bytes_per_s);
        if (tier->shared)
            text_copy(link, sizeof(link), "memory");
        else
            text_format_bytes(link, sizeof(link), (uint64_t)tier->link_bytes_per_s);
        say_origin(origin, sizeof(origin), tier);
        printf("%-24s %6.1f %12s/s %12s%s  %s\n", tier->name, tier->cores, read, t ? link : "-",
               t && !tier->shared ? "/s" : "  ", origin);
    }
}

static void print_choice(const struct opiml_pipeline *pipeline) {
    for (uint32_t i = 0; i < pipeline->choosers; i++)
        printf("%s%s", i ? ", " : "\n", pipeline->chooser[i]->op->name);
    if (pipeline->choosers > 0)
        printf(": %" PRIu64 " of %" PRIu64 " records, the others are not read\n",
               opiml_pipeline_records(pipeline), pipeline_records_stored(pipeline));
}

/* Which nodes hold how much, where data are spread over them. */
static void print_spread(const struct planner *planner) {
    const struct place_problem *problem = &planner->problem;

    for (uint32_t s = 0; s < problem->sets; s++) {
        const char *before = s ? "" : "\n";
        uint32_t named = 0;

        printf("%s%5.1f%% of the records lie on", before, problem->set[s].share * 100);
        for (uint32_t t = 1; t < problem->tiers; t++)
            if (problem->set[s].tiers >> t & 1)
                printf("%s %s", named++ ? " and" : "", tier_name(planner, t));
        printf("%s\n", named ? "" : " no node");
    }
}

static void print_links(const struct planner *planner) {
    char speed[32];

    for (uint32_t l = 0; l < planner->problem.links; l++) {
        const struct place_link *link = &planner->problem.link[l];

        text_format_bytes(speed, sizeof(speed), (uint64_t)link->bytes_per_s);
        printf("%s takes rows from %s at %s/s\n", tier_name(planner, link->to),
               tier_name(planner, link->from), speed);
    }
}

/* Means over all classes. */
static double mean_ns(const struct planner *planner, uint32_t tier, int32_t op) {
    const struct profile *profile = planner->problem.tier[tier].profile;
    double sum = 0;

    for (uint32_t c = 0; c < profile->classes; c++)
        sum += planner->classes.share[c] *
               (op < 0 ? profile->class[c].read_ns + profile->class[c].parse_ns
                       : profile->class[c].op_ns[op]);
    return sum;
}

static double mean_bytes(const struct planner *planner, uint32_t k) {
    const struct profile *profile = planner->problem.tier[0].profile;
    double sum = 0;

    for (uint32_t c = 0; c < profile->classes; c++)
        sum += planner->classes.share[c] * profile->class[c].bytes[k];
    return sum;
}

static void print_operators(const struct planner *planner, const struct opiml_pipeline *pipeline) {
    char bytes[32], head[24];

    printf("\n%-24s", "A ROW'S TIME, µs");
    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        snprintf(head, sizeof(head), "%.20s", planner->problem.tier[t].name);
        printf(" %20s", head);
    }
    printf(" %14s\n", "bytes behind");
    for (int32_t k = -1; k < (int32_t)planner->problem.ops; k++) {
        printf("%2d %-21s", k + 1, k < 0 ? "read and parse" : pipeline->op[k]->op->name);
        for (uint32_t t = 0; t < planner->problem.tiers; t++)
            printf(" %20.1f", mean_ns(planner, t, k) / 1e3);
        text_format_bytes(bytes, sizeof(bytes), (uint64_t)mean_bytes(planner, (uint32_t)(k + 1)));
        printf(" %14s\n", bytes);
    }
}

static void print_parts(const struct planner *planner, const struct place_plan *plan) {
    for (uint32_t p = 0; p < plan->parts; p++) {
        const struct place_part *part = &plan->part[p];

        printf("    %5.1f%% of the rows: ", part->share * 100);
        if (part->tier == 0)
            printf("all here\n");
        else if (part->from && part->from_cut == 0)
            printf("read on %s, operators 0-%u on %s\n", tier_name(planner, part->from), part->cut,
                   tier_name(planner, part->tier));
        else if (part->from)
            printf("operators 0-%u on %s, %u-%u on %s\n", part->from_cut,
                   tier_name(planner, part->from), part->from_cut, part->cut,
                   tier_name(planner, part->tier));
        else if (part->cut == 0)
            printf("read on %s, all operators here\n", planner->problem.tier[part->tier].name);
        else
            printf("the first %u operator%s on %s\n", part->cut, text_s(part->cut),
                   planner->problem.tier[part->tier].name);
    }
}

/* A station that is in use, and the rate that it could keep up. */
static void print_use(const struct place_plan *plan, double use, const char *station) {
    char rate[32];

    if (use >= 0.0005)
        printf("    %5.1f%% of the %s: %s rows/s at most\n", use * 100, station,
               text_format_rate(rate, sizeof(rate), plan->rate / use));
}

static void print_uses(const struct planner *planner, const struct place_plan *plan) {
    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        const double use[] = {plan->cpu[t], plan->read[t], plan->link[t]};

        for (uint32_t l = 0; l < COUNT_OF(use); l++) {
            const struct place_plan one = {.limit = (enum place_limit)l, .limit_tier = t};
            char station[192];

            say_limit(station, sizeof(station), planner, &one);
            print_use(plan, use[l], station);
        }
    }
    for (uint32_t l = 0; l < planner->problem.links; l++) {
        const struct place_plan one = {.limit = PLACE_BETWEEN, .limit_tier = l};
        char station[192];

        say_limit(station, sizeof(station), planner, &one);
        print_use(plan, plan->between[l], station);
    }
}

/* Cuts that nobody can make; a node without data can make none by itself. */
static void print_refusals(const struct planner *planner) {
    for (uint32_t t = 1; t < planner->problem.tiers; t++) {
        const struct place_tier *tier = &planner->problem.tier[t];

        if (planner->blind[t].code)
            printf("  no cut on %s alone is possible: %s\n", tier->name, tier->why_not[0]);
        for (uint32_t k = 0; !planner->blind[t].code && k <= planner->problem.ops; k++)
            if (!tier->cut[k])
                printf("  cut %u on %s is not possible: %s\n", k, tier->name, tier->why_not[k]);
    }
}

static void print_plans(const struct planner *planner) {
    const struct place_plans *plans = &planner->plans;
    char rate[32], limit[192];
    int width = 12;

    for (uint32_t i = 0; i < plans->count; i++)
        width = (int)base_max_u64((uint64_t)width, strlen(plans->plan[i].name));
    printf("\n  %-*s %10s  %s\n", width, "PLAN", "rows/s", "limited by");
    for (uint32_t i = 0; i < plans->count; i++) {
        const struct place_plan *plan = &plans->plan[i];

        say_limit(limit, sizeof(limit), planner, plan);
        printf("%s %-*s %10s  %s\n", i == 0 ? ">" : " ", width, plan->name,
               text_format_rate(rate, sizeof(rate), plan->rate), limit);
        if (i > 0)
            continue;
        print_parts(planner, plan);
        print_uses(planner, plan);
    }
    if (planner->why_not_here[0])
        printf("  all here is not possible: %s\n", planner->why_not_here);
    print_refusals(planner);
}

/* From the second epoch on, where rows that are the same in each are kept. */
static void print_caches(const struct planner *planner, const struct opiml_pipeline *pipeline) {
    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        struct cache_advice advice;
        char bytes[32], rate[32];

        planner_advise(planner, t, &advice);
        if (!advice.worth)
            continue;
        printf("  a cache of %s%s %s %s", text_format_bytes(bytes, sizeof(bytes), advice.bytes),
               advice.where == CACHE_ON_DISK ? " on disk" : "",
               advice.at < pipeline->ops ? "before" : "behind",
               pipeline->ops == 0
                   ? "all"
                   : pipeline->op[base_min_u64(advice.at, pipeline->ops - 1)]->op->name);
        printf(" %s%s would give %s rows/s from the second epoch on, %.1f times as many%s%s takes "
               "it\n",
               t ? "on " : "", planner->problem.tier[t].name,
               text_format_rate(rate, sizeof(rate), advice.rate), advice.rate / advice.before,
               pipeline->cache_auto ? "; a feed" : "; with cache: auto a feed",
               t ? "" : " without nodes");
    }
}

/* ---- JSON ---- */

static struct js *caches_json(const struct planner *planner) {
    struct js *list = js_array();

    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        struct cache_advice advice;
        struct js *one;

        planner_advise(planner, t, &advice);
        if (!advice.worth)
            continue;
        one = js_object();
        js_set(one, "tier", js_text(planner->problem.tier[t].name));
        js_set(one, "cut", t ? js_int(advice.cut) : js_null());
        js_set(one, "before_operator", js_int(advice.at));
        js_set(one, "in", js_text(advice.where == CACHE_ON_DISK ? "disk" : "ram"));
        js_set(one, "bytes", js_u64(advice.bytes));
        js_set(one, "rows_per_s", js_num(advice.rate));
        js_set(one, "gain", js_num(advice.rate / advice.before));
        js_add(list, one);
    }
    return list;
}

static struct js *spread_json(const struct planner *planner) {
    const struct place_problem *problem = &planner->problem;
    struct js *list = js_array();

    for (uint32_t s = 0; s < problem->sets; s++) {
        struct js *one = js_object(), *nodes = js_array();

        for (uint32_t t = 1; t < problem->tiers; t++)
            if (problem->set[s].tiers >> t & 1)
                js_add(nodes, js_text(tier_name(planner, t)));
        js_set(one, "nodes", nodes);
        js_set(one, "share", js_num(problem->set[s].share));
        js_add(list, one);
    }
    return list;
}

static struct js *tier_json(const struct planner *planner, uint32_t t) {
    const struct place_tier *tier = &planner->problem.tier[t];
    struct js *one = js_object(), *ops = js_array(), *refused = js_array();

    js_set(one, "name", js_text(tier->name));
    js_set(one, "cores", js_num(tier->cores));
    js_set(one, "read_bytes_per_s", js_num(tier->profile->read_bytes_per_s));
    js_set(one, "link", t ? js_text(tier->shared ? "memory" : "tcp") : js_null());
    js_set(one, "link_bytes_per_s", t ? js_num(tier->link_bytes_per_s) : js_null());
    js_set(one, "link_age_s", t ? js_num(tier->link_age_s) : js_null());
    js_set(one, "known", js_text(origin_name(tier->profile->origin)));
    js_set(one, "known_age_s", js_num(tier->profile->age_s));
    js_set(one, "read_ns", js_num(mean_ns(planner, t, -1)));
    for (uint32_t k = 0; k < planner->problem.ops; k++)
        js_add(ops, js_num(mean_ns(planner, t, (int32_t)k)));
    js_set(one, "operator_ns", ops);
    if (t == 0 && planner->why_not_here[0]) {
        struct js *all = js_object();

        js_set(all, "cut", js_null());
        js_set(all, "why", js_text(planner->why_not_here));
        js_add(refused, all);
    }
    for (uint32_t k = 0; t && k <= planner->problem.ops; k++) {
        struct js *cut;

        if (tier->cut[k])
            continue;
        cut = js_object();
        js_set(cut, "cut", js_int(k));
        js_set(cut, "why", js_text(tier->why_not[k]));
        js_add(refused, cut);
    }
    js_set(one, "refused", refused);
    return one;
}

static struct js *links_json(const struct planner *planner) {
    struct js *list = js_array();

    for (uint32_t l = 0; l < planner->problem.links; l++) {
        const struct place_link *link = &planner->problem.link[l];
        struct js *one = js_object();

        js_set(one, "from", js_text(tier_name(planner, link->from)));
        js_set(one, "to", js_text(tier_name(planner, link->to)));
        js_set(one, "bytes_per_s", js_num(link->bytes_per_s));
        js_add(list, one);
    }
    return list;
}

static struct js *part_json(const struct planner *planner, const struct place_part *from) {
    struct js *part = js_object();

    js_set(part, "tier", js_text(tier_name(planner, from->tier)));
    js_set(part, "cut", from->tier ? js_int(from->cut) : js_null());
    js_set(part, "from", from->from ? js_text(tier_name(planner, from->from)) : js_null());
    js_set(part, "from_cut", from->from ? js_int(from->from_cut) : js_null());
    js_set(part, "share", js_num(from->share));
    return part;
}

static struct js *between_json(const struct planner *planner, const struct place_plan *plan) {
    struct js *list = js_array();

    for (uint32_t l = 0; l < planner->problem.links; l++) {
        struct js *one = js_object();

        js_set(one, "from", js_text(tier_name(planner, planner->problem.link[l].from)));
        js_set(one, "to", js_text(tier_name(planner, planner->problem.link[l].to)));
        js_set(one, "link", js_num(plan->between[l]));
        js_set(one, "link_bytes_per_s", js_num(plan->between_bytes_per_s[l]));
        js_add(list, one);
    }
    return list;
}

static struct js *plan_json(const struct planner *planner, const struct place_plan *plan) {
    struct js *one = js_object(), *parts = js_array(), *use = js_array();
    const struct place_link *between =
        plan->limit == PLACE_BETWEEN ? &planner->problem.link[plan->limit_tier] : NULL;

    js_set(one, "name", js_text(plan->name));
    js_set(one, "rows_per_s", js_num(plan->rate));
    js_set(one, "limit", js_text(limit_name(plan->limit)));
    js_set(one, "limit_tier",
           js_text(tier_name(planner, between ? between->to : plan->limit_tier)));
    js_set(one, "limit_from", between ? js_text(tier_name(planner, between->from)) : js_null());
    for (uint32_t p = 0; p < plan->parts; p++)
        js_add(parts, part_json(planner, &plan->part[p]));
    js_set(one, "parts", parts);
    for (uint32_t t = 0; t < planner->problem.tiers; t++) {
        struct js *tier = js_object();

        js_set(tier, "tier", js_text(planner->problem.tier[t].name));
        js_set(tier, "processors", js_num(plan->cpu[t]));
        js_set(tier, "storage", js_num(plan->read[t]));
        js_set(tier, "link", js_num(plan->link[t]));
        js_set(tier, "link_bytes_per_s", js_num(plan->link_bytes_per_s[t]));
        js_add(use, tier);
    }
    js_set(one, "use", use);
    js_set(one, "between", between_json(planner, plan));
    return one;
}

static int print_json(const struct planner *planner, const struct opiml_pipeline *pipeline,
                      struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    struct js *tiers = js_array(), *ops = js_array(), *bytes = js_array(), *plans = js_array();
    AUTO_FREE char *text = NULL;

    for (uint32_t t = 0; t < planner->problem.tiers; t++)
        js_add(tiers, tier_json(planner, t));
    for (uint32_t k = 0; k < planner->problem.ops; k++)
        js_add(ops, js_text(pipeline->op[k]->op->name));
    for (uint32_t k = 0; k <= planner->problem.ops; k++)
        js_add(bytes, js_num(mean_bytes(planner, k)));
    for (uint32_t i = 0; i < planner->plans.count; i++)
        js_add(plans, plan_json(planner, &planner->plans.plan[i]));
    js_set(root, "records", js_u64(opiml_pipeline_records(pipeline)));
    js_set(root, "records_stored", js_u64(pipeline_records_stored(pipeline)));
    js_set(root, "operators", ops);
    js_set(root, "row_bytes", bytes);
    js_set(root, "tiers", tiers);
    js_set(root, "spread", spread_json(planner));
    js_set(root, "links", links_json(planner));
    js_set(root, "plans", plans);
    js_set(root, "caches", caches_json(planner));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "a plan");
    puts(text);
    return 0;
}

/* ---- the verb ---- */

static void close_pipeline(struct opiml_pipeline **pipeline) {
    opiml_pipeline_close(*pipeline);
}
static void close_planner(struct planner **planner) {
    planner_close(*planner);
}

static void warn_without(void *context, uint32_t number, const char *at,
                         const struct opiml_error *why) {
    fprintf(stderr, "warn: without %s: %s\n", at, why->message);
}

static int ask_nodes(struct planner *planner, const struct planner_request *request,
                     const char *nodes, struct opiml_error *err) {
    AUTO_FREE char *list = base_strdup(nodes ? nodes : "");
    const char *at[ROUTES_MAX];
    char *rest = NULL;
    uint32_t count = 0;

    if (!list)
        return base_fail_memory(err, strlen(nodes), "nodes");
    for (char *one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (count == COUNT_OF(at))
            return opiml_fail(err, OPIML_EINVAL, "%s: at most %zu nodes", nodes, COUNT_OF(at));
        at[count++] = one;
    }
    planner_ask(planner, request, at, count, warn_without, NULL);
    return 0;
}

static int plan_run(struct call *call, struct opiml_error *err) {
    const struct plan_config *config = call->config;
    CLEANUP(close_pipeline) struct opiml_pipeline *pipeline = NULL;
    CLEANUP(node_view_close_tls) struct tls *tls = NULL;
    CLEANUP(hold_release) struct hold hold = {0};
    CLEANUP(close_planner) struct planner *planner = NULL;
    AUTO_FREE char *real = realpath(call->args[0], NULL), *text = NULL;
    struct planner_request request = {.path = real,
                                      .cores = config->cores,
                                      .world = 1,
                                      .demand = config->demand,
                                      .anew = config->measure};
    struct tls_files files = config->tls;
    size_t bytes;
    int rc;

    if (!real)
        return base_fail_errno(err, errno, "%s", call->args[0]);
    if ((config->node && (rc = tls_options_open(&files, &tls, err)) < 0) ||
        (rc = file_read(real, MIB(1), &text, &bytes, err)) < 0)
        return rc;
    /* Data that are not to be seen here may be at a node. */
    rc = config->node ? remote_index_open(call->args[0], config->node, NULL, tls, &pipeline, err)
                      : opiml_pipeline_open(call->args[0], &pipeline, err);
    if (rc < 0 || (rc = hold_count(pipeline, &hold, err)) < 0)
        return rc;
    request.text = text;
    request.hold = &hold;
    request.tls = tls;
    request.pipeline = pipeline;
    request.threads = config->threads ? (uint32_t)config->threads : pipeline->threads;
    if ((rc = planner_open(&request, &planner, err)) < 0)
        return rc;
    if ((rc = ask_nodes(planner, &request, config->node, err)) < 0 ||
        (rc = planner_choose(planner, false, err)) < 0)
        return rc;
    if (config->json)
        return print_json(planner, pipeline, err);
    print_tiers(planner);
    print_choice(pipeline);
    print_spread(planner);
    print_links(planner);
    print_operators(planner, pipeline);
    print_plans(planner);
    print_caches(planner, pipeline);
    return 0;
}

const struct verb verb_plan = {
    .name = "plan",
    .args = "PIPELINE",
    .help = "Say where a pipeline's rows are best made, and why",
    .about =
        "Runs some records of the pipeline file PIPELINE through its operators, here and on the "
        "nodes, measures the links to them, and chooses among all cuts of the chain, and all "
        "shares of rows between them, what gives the highest rate. Records are told apart by the "
        "bytes that they are stored in, since large ones may be worth another way than small "
        "ones.\n\n"
        "Shown are the tiers with what they can do; what each operator costs on each, and the "
        "bytes of a row behind it; and the plans, best first, with what limits each. A cut K has "
        "the first K operators run on the nodes. Rows can go by two nodes as well, where the "
        "second has the first as its upstream (see opiml node start): `a:1 0-2, b:1 2-4, here 4-6` "
        "has the "
        "first two operators run on a:1, two more on b:1, and two here; b:1 needs no data. Of "
        "these the best eight are shown. Cuts that are not possible say why: an operator "
        "whose library differs between two machines makes other bytes there, and is never shared "
        "between them.\n\n"
        "What was measured for the same pipeline and data is kept in the cache folders of this "
        "machine and of the nodes, for a day, and links for an hour; the plan says what is from "
        "there and how old it is, and --measure has all measured anew. `opiml node calibrate` "
        "measures operators once for all pipelines.\n\n"
        "Where rows are the same in every epoch, and fit half of the pool, or of a node's, or else "
        "what a node has on disk for caches (see opiml node start), the plan says what a "
        "cache would gain from the second epoch on; `cache: auto` in the pipeline file takes it, a "
        "feed with nodes the best one of a node. Pipelines that keep the same rows on a node share "
        "them, whatever jobs they are of.\n\n"
        "The rates are predictions, from processors, storage and links that nobody else uses. "
        "opiml feed --node follows the same plan.\n\n"
        "Of data that only nodes see, their index is taken; operators cost here what they cost on "
        "the first node then (known: borrowed), unless this machine is calibrated. Where each node "
        "has some of the files only, the plan says how many of the records lie on which, and has "
        "each row come from a node that holds its bytes.\n\n"
        "JSON has records (those that sample and take have chosen) and records_stored, "
        "operators[], row_bytes[] (before each operator, and at the end), tiers[] (name, "
        "cores, read_bytes_per_s, link: memory or tcp, link_bytes_per_s (null: memory), "
        "link_age_s, known: measured, kept, calibrated or borrowed, known_age_s, read_ns, "
        "operator_ns[], refused[] of cut, null for all here, and why), spread[] (nodes[] and the "
        "share of the records that just these hold; empty where each holds all), links[] between "
        "nodes "
        "(from, to, bytes_per_s), plans[], best first (name, "
        "rows_per_s, limit, limit_tier, limit_from (of a link between nodes), parts[] of tier, "
        "cut, "
        "from, from_cut and share, use[] of tier, processors, storage, link and link_bytes_per_s, "
        "between[] of from, to, link and link_bytes_per_s) and caches[] (tier, cut, "
        "before_operator, counted from 0, in: ram or disk, bytes, rows_per_s, gain).",
    .examples = "opiml plan train.yaml\n"
                "What the operators cost on this machine.\n"
                "opiml plan train.yaml --node 192.0.2.7:50251,192.0.2.8:50251\n"
                "How two nodes would help.\n"
                "opiml plan train.yaml --node 192.0.2.7:50251 --cores 2 --demand 5000\n"
                "For a trainer that takes 5,000 rows a second and leaves two cores.\n",
    .options = plan_options,
    .config_bytes = sizeof(struct plan_config),
    .args_least = 1,
    .args_most = 1,
    .run = plan_run,
};
