/* What operators cost on this machine. */
#include "pipeline/calibration.h"

#include <math.h>

#include "op/registry.h"
#include "pipeline/measured.h"

#define TERMS 3 /* a row, a byte in, a byte out */

/* ---- fitting ---- */

static double term(const struct calibration_point *point, uint32_t t) {
    return t == 0 ? 1 : t == 1 ? point->in : point->out;
}

/* Solve a[n][n] x = b by elimination with pivots; false: there is no one solution. */
static bool solve(uint32_t n, double a[TERMS][TERMS], double b[TERMS], double x[TERMS]) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t most = i;
        double swap;

        for (uint32_t r = i + 1; r < n; r++)
            if (fabs(a[r][i]) > fabs(a[most][i]))
                most = r;
        if (fabs(a[most][i]) < 1e-12)
            return false;
        for (uint32_t c = 0; c < n; c++) {
            swap = a[i][c];
            a[i][c] = a[most][c];
            a[most][c] = swap;
        }
        swap = b[i];
        b[i] = b[most];
        b[most] = swap;
        for (uint32_t r = i + 1; r < n; r++) {
            double by = a[r][i] / a[i][i];

            for (uint32_t c = i; c < n; c++)
                a[r][c] -= by * a[i][c];
            b[r] -= by * b[i];
        }
    }
    for (uint32_t i = n; i-- > 0;) {
        x[i] = b[i];
        for (uint32_t c = i + 1; c < n; c++)
            x[i] -= a[i][c] * x[c];
        x[i] /= a[i][i];
    }
    return true;
}

/* The best cost of those terms alone whose bits are set. Points count by their time's inverse, so
 * that a small row's is met as well as a large one's. False: there is none, or none that is at
 * least 0. */
static bool fit_terms(const struct calibration_point *points, uint32_t count, uint32_t bits,
                      double cost[TERMS]) {
    double a[TERMS][TERMS] = {{0}}, b[TERMS] = {0}, x[TERMS] = {0}, scale[TERMS] = {0};
    uint32_t of[TERMS], n = 0;

    memset(cost, 0, TERMS * sizeof(cost[0]));
    for (uint32_t t = 0; t < TERMS; t++)
        if (bits & 1u << t)
            of[n++] = t;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t p = 0; p < count; p++)
            scale[i] = fmax(scale[i], term(&points[p], of[i]));
        if (scale[i] <= 0)
            return false;
    }
    for (uint32_t p = 0; p < count; p++) {
        double weight = 1 / fmax(points[p].ns * points[p].ns, 1);

        for (uint32_t i = 0; i < n; i++) {
            double u = term(&points[p], of[i]) / scale[i];

            for (uint32_t j = 0; j < n; j++)
                a[i][j] += weight * u * term(&points[p], of[j]) / scale[j];
            b[i] += weight * u * points[p].ns;
        }
    }
    for (uint32_t i = n; i-- > 0;) { /* of the order of 1, where solve() looks for zeros */
        double by = a[i][i];

        for (uint32_t j = 0; j < n; j++)
            a[i][j] /= by;
        b[i] /= by;
    }
    if (!solve(n, a, b, x))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (x[i] < 0)
            return false;
        cost[of[i]] = x[i] / scale[i];
    }
    return true;
}

static double apply(const double cost[TERMS], const struct calibration_point *point) {
    return cost[0] + cost[1] * point->in + cost[2] * point->out;
}

/* Of the points' times, the mean of how far off the cost is. */
static double find_error(const struct calibration_point *points, uint32_t count,
                         const double cost[TERMS]) {
    double sum = 0;

    for (uint32_t p = 0; p < count; p++)
        sum += fabs(apply(cost, &points[p]) - points[p].ns) / fmax(points[p].ns, 1);
    return sum / count;
}

/* Costs are not negative: of so few terms all subsets can be tried. */
void calibration_fit(const struct calibration_point *points, uint32_t count,
                     struct calibration_cost *ret) {
    double cost[TERMS];

    *ret = (struct calibration_cost){.points = count, .error = count ? INFINITY : 0};
    for (uint32_t bits = 1; count && bits < 1u << TERMS; bits++) {
        double error;

        if (!fit_terms(points, count, bits, cost))
            continue;
        error = find_error(points, count, cost);
        if (error >= ret->error)
            continue;
        ret->error = error;
        ret->row_ns = cost[0];
        ret->in_ns = cost[1];
        ret->out_ns = cost[2];
    }
}

/* ---- what is kept ---- */

static void make_name(const struct opiml_op *op, char name[MEASURED_NAME_BYTES]) {
    snprintf(name, MEASURED_NAME_BYTES, "operator %.36s %016" PRIx64 " %016" PRIx64, op->name,
             op_implementation(op), measured_machine());
}

static bool is_cost(double number) {
    return number >= 0 && number < 1e18; /* false for a NaN */
}

bool calibration_find(const struct opiml_op *op, struct calibration_cost *ret_cost,
                      double *ret_age_s) {
    char name[MEASURED_NAME_BYTES];
    struct calibration_cost cost;
    struct js *value;

    make_name(op, name);
    value = measured_find(name, CALIBRATION_AGE_S, ret_age_s);
    cost = (struct calibration_cost){.row_ns = js_as_num(js_get(value, "row_ns"), -1),
                                     .in_ns = js_as_num(js_get(value, "in_ns"), -1),
                                     .out_ns = js_as_num(js_get(value, "out_ns"), -1),
                                     .error = js_as_num(js_get(value, "error"), -1),
                                     .points = (uint32_t)js_as_int(js_get(value, "points"), 0)};
    js_free(value);
    if (!is_cost(cost.row_ns) || !is_cost(cost.in_ns) || !is_cost(cost.out_ns))
        return false;
    *ret_cost = cost;
    return true;
}

void calibration_put(const struct opiml_op *op, const struct calibration_cost *cost) {
    struct js *value = js_object();
    char name[MEASURED_NAME_BYTES];

    make_name(op, name);
    js_set(value, "row_ns", js_num(cost->row_ns));
    js_set(value, "in_ns", js_num(cost->in_ns));
    js_set(value, "out_ns", js_num(cost->out_ns));
    js_set(value, "error", js_num(cost->error));
    js_set(value, "points", js_int(cost->points));
    measured_put(name, value);
}

bool calibration_covers(const struct opiml_pipeline *pipeline) {
    struct calibration_cost cost;
    double age;

    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        if (!calibration_find(pipeline->op[k]->op, &cost, &age))
            return false;
    return pipeline->row_ops > 0;
}

bool calibration_apply(const struct opiml_pipeline *pipeline, struct profile *profile) {
    struct calibration_cost cost[PIPELINE_OPS_MAX];
    double age, oldest = 0;

    for (uint32_t k = 0; k < pipeline->row_ops; k++) {
        if (!calibration_find(pipeline->op[k]->op, &cost[k], &age))
            return false;
        oldest = fmax(oldest, age);
    }
    for (uint32_t c = 0; c < profile->classes; c++) {
        struct profile_class *class = &profile->class[c];

        for (uint32_t k = 0; k < pipeline->row_ops; k++)
            class->op_ns[k] = cost[k].row_ns + cost[k].in_ns * class->bytes[k] +
                              cost[k].out_ns * class->bytes[k + 1];
    }
    profile->origin = PROFILE_CALIBRATED;
    profile->age_s = oldest;
    return true;
}
