/* Placement. */
#include "pipeline/place.h"

#include <math.h>

#include "pipeline/wire_cost.h"

#define ROW_NS 150.0     /* to hand a row over, whatever it is */
#define LEAST_SHARE 0.02 /* of a class, that is worth a way of its own */

/* Nothing is busy all the time: what has nearly as much to do as a plan's limit is waited for as
 * well. The time that rows take is a soft maximum, the sum of powers' root, over a tier's three
 * limits, and over the two tiers that have most to do. */
#define SOFT 4.0
#define SOFT_MOST 1.57 /* of the maximum: 3 and 2 that are equal */

#define WAYS_MAX 256 /* by two nodes, that the programme looks at: the best by themselves */

#define RESOURCES_MAX (PLACE_TIERS_MAX * 3 + PLACE_LINKS_MAX)
#define ROWS_MAX (SHARE_CLASSES_MAX + RESOURCES_MAX + 1)

/* A way for the rows of one class: a column of the programme. Its costs are parts of what each
 * resource can do in a second: a tier's three, by enum place_limit, then links between nodes. */
struct column {
    uint32_t class, tier, cut, from, from_cut;
    double cost[RESOURCES_MAX];
};

/* All rows by two nodes. */
struct chain {
    struct place_part part;
    double rate;
};

struct programme {
    const struct place_problem *problem;
    uint32_t chains, columns, columns_max;
    struct chain chain[WAYS_MAX]; /* best first */
    struct column *column;
    /* The simplex tableau: columns, the rate, slacks; and the right-hand side. */
    uint32_t rows, width;
    uint32_t basis[ROWS_MAX];
    double *cells;
};

static double *row_of(const struct programme *self, uint32_t i) {
    return self->cells + (size_t)i * self->width;
}

/* ---- classes ---- */

/* Of all sizes and, where data are spread, all sets of holders: the sizes of each set in turn. */
static uint32_t count_classes(const struct place_problem *problem) {
    return problem->classes->count * (problem->sets ? problem->sets : 1);
}

/* Who holds the records of a class. */
static struct place_set set_of(const struct place_problem *problem, uint32_t class) {
    return problem->sets ? problem->set[class / problem->classes->count]
                         : (struct place_set){0, UINT32_MAX, 1};
}

static double share_of(const struct place_problem *problem, uint32_t class) {
    return problem->classes->share[class % problem->classes->count] * set_of(problem, class).share;
}

/* The share that has nothing yet. */
static struct share no_rows(const struct place_problem *problem) {
    struct share share = {.classes = count_classes(problem)};

    assert(share.classes <= SHARE_CLASSES_MAX);
    for (uint32_t c = 0; c < share.classes; c++)
        share.class[c] = (struct share_class){
            .bytes_max = problem->classes->bytes_max[c % problem->classes->count],
            .holders = set_of(problem, c).holders};
    return share;
}

/* Whether a way can begin with the records of a class: the consumer reads what it sees at all. */
static bool can_read(const struct place_problem *problem, uint32_t class,
                     const struct place_part *part) {
    uint32_t reader = part->from ? part->from : part->tier;

    return reader == 0 || (set_of(problem, class).tiers >> reader & 1);
}

/* ---- costs ---- */

static double sum_ops(const struct profile_class *class, uint32_t first, uint32_t last) {
    double ns = 0;

    for (uint32_t k = first; k < last; k++)
        ns += class->op_ns[k];
    return ns;
}

static double part_of(double amount, double capacity) {
    return capacity > 0 ? amount / capacity : amount > 0 ? 1e9 : 0;
}

static const struct profile_class *class_at(const struct place_problem *problem,
                                            const struct column *column, uint32_t tier) {
    return &problem->tier[tier].profile->class[column->class % problem->classes->count];
}

static uint32_t resource(uint32_t tier, enum place_limit limit) {
    return tier * 3 + (uint32_t)limit;
}

/* Of a link between nodes; there is one wherever a way goes. */
static uint32_t find_link(const struct place_problem *problem, uint32_t from, uint32_t to) {
    uint32_t l = 0;

    while (problem->link[l].from != from || problem->link[l].to != to)
        l++;
    assert(l < problem->links);
    return l;
}

/* A processor's time for a byte from a node: none where the consumer reads it where it was made. */
static double send_ns(const struct place_tier *there) {
    return there->shared ? 0 : there->send_ns > 0 ? there->send_ns : WIRE_SEND_NS;
}

static double receive_ns(const struct place_tier *here, const struct place_tier *there) {
    return there->shared ? 0 : here->receive_ns > 0 ? here->receive_ns : WIRE_RECEIVE_NS;
}

static void cost_local(const struct place_problem *problem, double cpu, struct column *to) {
    const struct place_tier *here = &problem->tier[0];
    const struct profile_class *near = class_at(problem, to, 0);

    to->cost[PLACE_CPU] = part_of(cpu + near->read_ns + near->parse_ns, here->cores * 1e9);
    to->cost[PLACE_READ] = part_of(near->read_bytes, here->profile->read_bytes_per_s);
    for (uint32_t t = 1; problem->remote && t < problem->tiers; t++)
        to->cost[resource(t, PLACE_LINK)] =
            part_of(near->read_bytes,
                    fmax(problem->tier[t].link_bytes_per_s, here->profile->read_bytes_per_s));
}

/* A node that reads rows, and sends them behind a cut. */
static void cost_reader(const struct place_problem *problem, uint32_t tier, uint32_t cut,
                        struct column *to) {
    const struct place_tier *there = &problem->tier[tier];
    const struct profile_class *far = class_at(problem, to, tier);
    double cpu = far->read_ns + far->parse_ns + sum_ops(far, 0, cut) + ROW_NS +
                 far->bytes[cut] * (to->from ? WIRE_SEND_NS : send_ns(there));

    to->cost[resource(tier, PLACE_CPU)] = part_of(cpu, there->cores * 1e9);
    to->cost[resource(tier, PLACE_READ)] =
        part_of(cut ? far->read_bytes : far->record_bytes, there->profile->read_bytes_per_s);
}

/* A node that takes them from that one. */
static void cost_middle(const struct place_problem *problem, struct column *to) {
    const struct place_tier *there = &problem->tier[to->tier];
    const struct profile_class *far = class_at(problem, to, to->tier);
    double bytes = class_at(problem, to, to->from)->bytes[to->from_cut];
    double cpu = ROW_NS + bytes * WIRE_RECEIVE_NS + sum_ops(far, to->from_cut, to->cut) +
                 far->bytes[to->cut] * send_ns(there);
    uint32_t link = find_link(problem, to->from, to->tier);

    to->cost[resource(to->tier, PLACE_CPU)] = part_of(cpu, there->cores * 1e9);
    to->cost[problem->tiers * 3 + link] = part_of(bytes, problem->link[link].bytes_per_s);
}

/* A second's cost of one row of a class on a way. */
static void cost_row(const struct place_problem *problem, struct column *to) {
    const struct place_tier *here = &problem->tier[0];
    double cpu = here->profile->group_ns + ROW_NS +
                 sum_ops(class_at(problem, to, 0), to->tier ? to->cut : 0, problem->ops);
    double bytes;

    memset(to->cost, 0, sizeof(to->cost));
    if (to->tier == 0) {
        cost_local(problem, cpu, to);
        return;
    }
    bytes = class_at(problem, to, to->tier)->bytes[to->cut];
    to->cost[PLACE_CPU] =
        part_of(cpu + bytes * receive_ns(here, &problem->tier[to->tier]), here->cores * 1e9);
    to->cost[resource(to->tier, PLACE_LINK)] =
        part_of(bytes, problem->tier[to->tier].link_bytes_per_s);
    if (to->from) {
        cost_middle(problem, to);
        cost_reader(problem, to->from, to->from_cut, to);
    } else {
        cost_reader(problem, to->tier, to->cut, to);
    }
}

/* ---- ways by two nodes ---- */

/* Whether a node can run operators [first, last) on rows that come from another one. */
static bool can_follow(const struct place_tier *tier, uint32_t first, uint32_t last) {
    for (uint32_t k = first; k < last; k++)
        if (!tier->same[k])
            return false;
    return first >= tier->first && tier->end[last];
}

/* All rows of which a way can read the records; false: that is not all there are. */
static bool all_rows(const struct place_problem *problem, const struct place_part *part,
                     struct share *ret_rows) {
    bool all = true;

    *ret_rows = no_rows(problem);
    for (uint32_t c = 0; c < ret_rows->classes; c++) {
        bool reads = can_read(problem, c, part);

        all &= reads;
        ret_rows->class[c].end = reads ? SHARE_WHOLE : 0;
    }
    return all;
}

/* One way for all rows; false: it cannot read all. */
static bool plan_alone(const struct place_problem *problem, const struct place_part *part,
                       struct place_plan *plan) {
    bool all;

    memset(plan, 0, sizeof(*plan));
    plan->parts = 1;
    plan->part[0] = *part;
    plan->part[0].share = 1;
    all = all_rows(problem, part, &plan->part[0].rows);
    place_rate(problem, plan);
    return all;
}

/* Keep the best. */
static void add_chain(struct programme *self, const struct place_part *part, double rate) {
    uint32_t at = self->chains < WAYS_MAX ? self->chains++ : WAYS_MAX;

    for (; at > 0 && self->chain[at - 1].rate < rate; at--)
        if (at < WAYS_MAX)
            self->chain[at] = self->chain[at - 1];
    if (at < WAYS_MAX)
        self->chain[at] = (struct chain){*part, rate};
}

/* All of them. One that only hands rows on may have the better links. */
static void find_chains(struct programme *self, struct place_plan *scratch) {
    const struct place_problem *problem = self->problem;

    for (uint32_t l = 0; l < problem->links; l++)
        for (uint32_t a = 0; a <= problem->ops; a++)
            for (uint32_t b = a; b <= problem->ops; b++) {
                const struct place_link *link = &problem->link[l];
                const struct place_part part = {
                    .tier = link->to, .cut = b, .from = link->from, .from_cut = a};

                if (!problem->tier[link->from].cut[a] ||
                    !can_follow(&problem->tier[link->to], a, b))
                    continue;
                plan_alone(problem, &part, scratch);
                add_chain(self, &part, scratch->rate);
            }
}

/* ---- the programme ---- */

/* Which ways may be taken. */
struct ways {
    bool local, nodes, chains;
    int32_t cut;   /* the only one; -1: any */
    uint32_t node; /* the only one's tier; 0: any */
};

static void add_column(struct programme *self, uint32_t class, const struct place_part *part) {
    struct column *to;

    if (!can_read(self->problem, class, part))
        return;
    to = &self->column[self->columns++];
    assert(self->columns <= self->columns_max);
    *to = (struct column){.class = class,
                          .tier = part->tier,
                          .cut = part->cut,
                          .from = part->from,
                          .from_cut = part->from_cut};
    cost_row(self->problem, to);
}

static void add_columns(struct programme *self, const struct ways *ways) {
    const struct place_problem *problem = self->problem;

    self->columns = 0;
    for (uint32_t c = 0; c < count_classes(problem); c++) {
        if (ways->local && problem->local)
            add_column(self, c, &(struct place_part){0});
        for (uint32_t t = 1; ways->nodes && t < problem->tiers; t++)
            for (uint32_t k = 0; k <= problem->ops; k++)
                if (problem->tier[t].cut[k] && (ways->cut < 0 || ways->cut == (int32_t)k) &&
                    (!ways->node || ways->node == t))
                    add_column(self, c, &(struct place_part){.tier = t, .cut = k});
        for (uint32_t i = 0; ways->chains && i < self->chains; i++)
            add_column(self, c, &self->chain[i].part);
    }
}

/* Room for the largest programme. */
static int make_room(struct programme *self, struct opiml_error *err) {
    const struct place_problem *problem = self->problem;
    size_t rows = count_classes(problem) + problem->tiers * 3 + problem->links + 1, width;

    self->columns_max =
        count_classes(problem) * (1 + (problem->tiers - 1) * (problem->ops + 1) + self->chains);
    width = self->columns_max + 1 + rows + 1;
    self->column = base_alloc_array(self->columns_max, sizeof(*self->column));
    self->cells = base_alloc_array((rows + 1) * width, sizeof(*self->cells));
    return self->column && self->cells
               ? 0
               : base_fail_memory(err, (rows + 1) * width * sizeof(*self->cells), "a placement");
}

/* Row i: sum of cells [i][j] x[j] <= [i][width - 1]. The variables are each column's rows in a
 * second, and the rate, which is the largest that all classes keep up with. */
static void fill_tableau(struct programme *self) {
    const struct place_problem *problem = self->problem;
    uint32_t classes = count_classes(problem), rate = self->columns;
    uint32_t resources = problem->tiers * 3 + problem->links;

    self->rows = classes + resources + (problem->demand > 0);
    self->width = self->columns + 1 + self->rows + 1;
    memset(self->cells, 0, (size_t)(self->rows + 1) * self->width * sizeof(*self->cells));
    for (uint32_t j = 0; j < self->columns; j++) {
        const struct column *column = &self->column[j];

        row_of(self, column->class)[j] = -1;
        for (uint32_t r = 0; r < resources; r++)
            row_of(self, classes + r)[j] = column->cost[r];
    }
    for (uint32_t c = 0; c < classes; c++)
        row_of(self, c)[rate] = share_of(problem, c);
    for (uint32_t i = classes; i < classes + resources; i++)
        row_of(self, i)[self->width - 1] = 1;
    if (problem->demand > 0) {
        row_of(self, self->rows - 1)[rate] = 1;
        row_of(self, self->rows - 1)[self->width - 1] = SOFT_MOST * problem->demand;
    }
    for (uint32_t i = 0; i < self->rows; i++) {
        row_of(self, i)[rate + 1 + i] = 1;
        self->basis[i] = rate + 1 + i;
    }
    row_of(self, self->rows)[rate] = -1; /* the objective, to become the largest */
}

static void pivot(struct programme *self, uint32_t row, uint32_t column) {
    double *from = row_of(self, row), by = from[column];

    for (uint32_t j = 0; j < self->width; j++)
        from[j] /= by;
    for (uint32_t i = 0; i <= self->rows; i++) {
        double *to = row_of(self, i), times = to[column];

        if (i == row || times == 0)
            continue;
        for (uint32_t j = 0; j < self->width; j++)
            to[j] -= times * from[j];
    }
    self->basis[row] = column;
}

/* The simplex method by Bland's rule, which cannot cycle: the first column that helps enters, and
 * of the rows that stop it the one of the lowest variable leaves (R. G. Bland, New finite pivoting
 * rules for the simplex method, 1977). */
static void solve(struct programme *self) {
    const double zero = 1e-12;

    for (uint32_t round = 0; round < 10000; round++) {
        const double *objective = row_of(self, self->rows);
        uint32_t enter = 0, leave = self->rows;
        double least = INFINITY;

        while (enter < self->width - 1 && objective[enter] >= -zero)
            enter++;
        if (enter == self->width - 1)
            return;
        for (uint32_t i = 0; i < self->rows; i++) {
            const double *row = row_of(self, i);
            double ratio;

            if (row[enter] <= zero)
                continue;
            ratio = row[self->width - 1] / row[enter];
            if (ratio < least - zero || (ratio < least + zero && leave < self->rows &&
                                         self->basis[i] < self->basis[leave])) {
                least = fmin(ratio, least);
                leave = i;
            }
        }
        if (leave == self->rows)
            return; /* nothing limits it, which costs above 0 rule out */
        pivot(self, leave, enter);
    }
}

/* ---- plans ---- */

/* Rows in a second that column j has in the solution. */
static double value(const struct programme *self, uint32_t j) {
    for (uint32_t i = 0; i < self->rows; i++)
        if (self->basis[i] == j)
            return fmax(0, row_of(self, i)[self->width - 1]);
    return 0;
}

static struct place_part *find_part(const struct place_problem *problem, struct place_plan *plan,
                                    const struct column *column) {
    struct place_part *part = plan->part, *end = part + plan->parts;

    for (; part < end; part++)
        if (part->tier == column->tier && part->cut == column->cut && part->from == column->from &&
            part->from_cut == column->from_cut)
            return part;
    if (plan->parts == ROUTES_MAX)
        return NULL;
    *part = (struct place_part){.tier = column->tier,
                                .cut = column->cut,
                                .from = column->from,
                                .from_cut = column->from_cut,
                                .rows = no_rows(problem)};
    plan->parts++;
    return part;
}

/* Share a class among the ways that have any of it worth while. False: no way has. */
static bool share_class(const struct programme *self, uint32_t c, struct place_plan *plan) {
    double all = 0, kept = 0, done = 0;
    uint32_t at = 0;

    for (uint32_t j = 0; j < self->columns; j++)
        all += self->column[j].class == c ? value(self, j) : 0;
    for (uint32_t j = 0; j < self->columns; j++)
        if (self->column[j].class == c && value(self, j) >= LEAST_SHARE * all)
            kept += value(self, j);
    if (kept <= 0)
        return false;
    for (uint32_t j = 0; j < self->columns; j++) {
        struct place_part *part;
        uint32_t end;

        if (self->column[j].class != c || value(self, j) < LEAST_SHARE * all)
            continue;
        part = find_part(self->problem, plan, &self->column[j]);
        if (!part)
            return false;
        done += value(self, j);
        end = (uint32_t)lround(SHARE_WHOLE * done / kept);
        part->rows.class[c].first = at;
        part->rows.class[c].end = end;
        part->share += share_of(self->problem, c) * (double)(end - at) / SHARE_WHOLE;
        at = end;
    }
    return at == SHARE_WHOLE;
}

static bool make_plan(struct programme *self, const struct ways *ways, struct place_plan *plan) {
    memset(plan, 0, sizeof(*plan));
    add_columns(self, ways);
    fill_tableau(self);
    solve(self);
    for (uint32_t c = 0; c < count_classes(self->problem); c++)
        if (!share_class(self, c, plan))
            return false;
    place_rate(self->problem, plan);
    return true;
}

/* What all rows of a second at rate 1 cost, and the bytes of each link. */
static void sum_costs(const struct place_problem *problem, const struct place_plan *plan,
                      double cost[RESOURCES_MAX], double bytes[PLACE_TIERS_MAX],
                      double between[PLACE_LINKS_MAX]) {
    for (uint32_t p = 0; p < plan->parts; p++)
        for (uint32_t c = 0; c < count_classes(problem); c++) {
            const struct place_part *part = &plan->part[p];
            const struct share_class *range = &part->rows.class[c];
            double rows = share_of(problem, c) * (double)(range->end - range->first) / SHARE_WHOLE;
            struct column column = {.class = c,
                                    .tier = part->tier,
                                    .cut = part->cut,
                                    .from = part->from,
                                    .from_cut = part->from_cut};

            cost_row(problem, &column);
            for (uint32_t r = 0; r < problem->tiers * 3 + problem->links; r++)
                cost[r] += rows * column.cost[r];
            if (part->tier)
                bytes[part->tier] +=
                    rows * class_at(problem, &column, part->tier)->bytes[part->cut];
            if (part->from)
                between[find_link(problem, part->from, part->tier)] +=
                    rows * class_at(problem, &column, part->from)->bytes[part->from_cut];
        }
}

static double soften(const double *costs, uint32_t count) {
    double sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += pow(costs[i], SOFT);
    return pow(sum, 1 / SOFT);
}

static double find_time(const struct place_problem *problem, const double cost[RESOURCES_MAX]) {
    uint32_t tiers = problem->tiers, links = problem->links;
    double most[2] = {0};

    for (uint32_t i = 0; i < tiers + links; i++) {
        double time = i < tiers ? soften(cost + resource(i, 0), 3) : cost[tiers * 2 + i];

        if (time > most[0]) {
            most[1] = most[0];
            most[0] = time;
        } else {
            most[1] = fmax(most[1], time);
        }
    }
    return soften(most, 2);
}

void place_rate(const struct place_problem *problem, struct place_plan *plan) {
    double cost[RESOURCES_MAX] = {0}, bytes[PLACE_TIERS_MAX] = {0}, most = 0;
    double between[PLACE_LINKS_MAX] = {0};
    uint32_t tiers = problem->tiers * 3;

    sum_costs(problem, plan, cost, bytes, between);
    for (uint32_t r = 0; r < tiers + problem->links; r++)
        if (cost[r] > most) {
            most = cost[r];
            plan->limit = r < tiers ? (enum place_limit)(r % 3) : PLACE_BETWEEN;
            plan->limit_tier = r < tiers ? r / 3 : r - tiers;
        }
    plan->rate = most > 0 ? 1 / find_time(problem, cost) : 0;
    if (problem->demand > 0 && plan->rate > problem->demand) {
        plan->rate = problem->demand;
        plan->limit_tier = 0;
        plan->limit = PLACE_DEMAND;
    }
    for (uint32_t t = 0; t < problem->tiers; t++) {
        plan->cpu[t] = plan->rate * cost[resource(t, PLACE_CPU)];
        plan->read[t] = plan->rate * cost[resource(t, PLACE_READ)];
        plan->link[t] = plan->rate * cost[resource(t, PLACE_LINK)];
        plan->link_bytes_per_s[t] = plan->rate * bytes[t];
    }
    for (uint32_t l = 0; l < problem->links; l++) {
        plan->between[l] = plan->rate * cost[tiers + l];
        plan->between_bytes_per_s[l] = plan->rate * between[l];
    }
}

static int order(double a, double b) {
    return (a > b) - (a < b);
}

static bool goes_by_two(const struct place_plan *plan) {
    for (uint32_t p = 0; p < plan->parts; p++)
        if (plan->part[p].from)
            return true;
    return false;
}

/* What a plan's rate counts for. */
static double worth(const struct place_plan *plan) {
    return plan->mixed ? plan->rate / PLACE_GAIN : plan->rate;
}

/* Faster first; of those that are as fast, as where demand is met, what leaves most of the
 * consumer's processors to it, and of those what goes by fewer nodes. */
static int compare_plans(const void *a, const void *b) {
    const struct place_plan *x = a, *y = b;

    if (worth(x) != worth(y))
        return order(worth(y), worth(x));
    return x->cpu[0] != y->cpu[0] ? order(x->cpu[0], y->cpu[0]) : goes_by_two(x) - goes_by_two(y);
}

/* Whether two plans share all rows out alike. */
static bool same_ways(const struct place_plan *a, const struct place_plan *b) {
    bool same = a->parts == b->parts;

    for (uint32_t p = 0; same && p < a->parts; p++) {
        const struct place_part *x = &a->part[p], *y = &b->part[p];

        same = x->tier == y->tier && x->cut == y->cut && x->from == y->from &&
               x->from_cut == y->from_cut && memcmp(&x->rows, &y->rows, sizeof(x->rows)) == 0;
    }
    return same;
}

/* Best first; without a mixture, the last one, that is the same as another plan. */
static void sort_plans(struct place_plans *plans) {
    uint32_t last = plans->count ? plans->count - 1 : 0;

    for (uint32_t i = 0; i < last && plans->plan[last].mixed; i++)
        if (same_ways(&plans->plan[i], &plans->plan[last])) {
            plans->count--;
            break;
        }
    qsort(plans->plan, plans->count, sizeof(plans->plan[0]), compare_plans);
}

/* The best by two nodes, by what each of the three runs. One that only hands rows on is told where
 * it is the best of all. */
static void name_chains(const struct programme *self, struct place_plans *plans) {
    const struct place_problem *problem = self->problem;

    uint32_t named = 0;

    for (uint32_t i = 0; i < self->chains && named < PLACE_CHAINS_MAX; i++) {
        const struct place_part *part = &self->chain[i].part;
        struct place_plan *plan = &plans->plan[plans->count];

        if ((i > 0 && part->from_cut == part->cut) || !plan_alone(problem, part, plan))
            continue;
        named++;
        plans->count++;
        snprintf(plan->name, sizeof(plan->name), "%s 0-%u, %s %u-%u, here %u-%u",
                 problem->tier[part->from].name, part->from_cut, problem->tier[part->tier].name,
                 part->from_cut, part->cut, part->cut, problem->ops);
    }
}

/* All rows by nodes that end with a cut, or by the best of them. */
static bool make_cut(struct programme *self, uint32_t cut, bool whole, struct place_plan *plan) {
    struct ways ways = {.nodes = true, .cut = (int32_t)cut};
    uint32_t best = 0;
    double rate = 0;

    for (uint32_t t = 1; whole && t < self->problem->tiers; t++) {
        ways.node = t;
        if (make_plan(self, &ways, plan) && plan->rate > rate) {
            best = t;
            rate = plan->rate;
        }
    }
    ways.node = best;
    return (!whole || best) && make_plan(self, &ways, plan);
}

static int choose(struct programme *self, struct place_plans *plans, struct opiml_error *err) {
    const struct ways local = {.local = true, .cut = -1};
    const struct ways any = {.local = true, .nodes = true, .chains = true, .cut = -1};
    const struct place_problem *problem = self->problem;
    struct place_plan *plan = plans->plan;
    bool whole = problem->whole && problem->sets == 0;
    int rc;

    plans->count = 0;
    find_chains(self, plan);
    if ((rc = make_room(self, err)) < 0)
        return rc;
    if (problem->local && make_plan(self, &local, plan))
        snprintf(plan[plans->count++].name, sizeof(plan->name), "all here");
    for (uint32_t k = 0; k <= problem->ops; k++)
        if (make_cut(self, k, whole, &plan[plans->count]))
            snprintf(plan[plans->count++].name, sizeof(plan->name), "cut %u", k);
    name_chains(self, plans);
    if (!whole && make_plan(self, &any, &plan[plans->count])) {
        plan[plans->count].mixed = true;
        snprintf(plan[plans->count++].name, sizeof(plan->name), "mixed");
    }
    sort_plans(plans);
    if (plans->count == 0)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "the operators can run nowhere: the data cannot be read here, and no "
                          "node can run them");
    return 0;
}

int place_choose(const struct place_problem *problem, struct place_plans *ret_plans,
                 struct opiml_error *err) {
    struct programme *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a placement");
    assert(problem->tiers > 0 && problem->tiers <= PLACE_TIERS_MAX);
    assert(problem->links <= PLACE_LINKS_MAX);
    self->problem = problem;
    rc = choose(self, ret_plans, err);
    base_free(self->column);
    base_free(self->cells);
    base_free(self);
    return rc;
}
