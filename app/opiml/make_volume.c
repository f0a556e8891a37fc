/* Made volumes. All arithmetic is +, -, ×, ÷ and square roots of floats, in fixed order. */
#include <math.h>

#include "base/base.h"
#include "base/rng.h"
#include "make_volume.h"

#define BODIES_MOST 8
#define RODS_MOST 6
#define LATTICE 5 /* points of the uneven brightness along an axis */
#define TRIES 60

#define GROUND 95.0f
#define BRIGHT 155.0f
#define NOISE 8.0f  /* standard deviation */
#define HOLLOW 0.6f /* of its radius, where a hollow body's wall begins */
#define DIMMEST                                                                                    \
    0.5f /* of the brightness, and BRIGHTEST: a dim body is darker than bright ground              \
          */
#define BRIGHTEST 1.5f

enum kind { SOLID, SHELL, BOX };

/* A body around (x, y, z) in voxels: turned by the rows of `turn`, it fills the unit ball or the
 * unit cube after division by its radii. */
struct body {
    enum kind kind;
    float at[3], radius[3], turn[3][3], reach;
};

/* A bright rod that is no body: from `at` along `way`. */
struct rod {
    float at[3], way[3], length, radius;
};

struct scene {
    struct body body[BODIES_MOST];
    struct rod rod[RODS_MOST];
    uint32_t bodies, rods;
    float gain[LATTICE][LATTICE][LATTICE];
    float ground;
};

/* Uniform in [low, high]. */
static float draw(struct opiml_rng *rng, float low, float high) {
    return low + (high - low) * ((float)(opiml_rng_u32(rng) >> 8) / 16777216.0f);
}

/* A rotation that is any with equal probability nearly: a quaternion of four draws. */
static void draw_turn(struct opiml_rng *rng, float turn[3][3]) {
    float q[4], length = 0, w, x, y, z;

    for (int i = 0; i < 4; i++) {
        q[i] = draw(rng, -1, 1);
        length += q[i] * q[i];
    }
    length = sqrtf(length) + 1e-6f;
    w = q[0] / length;
    x = q[1] / length;
    y = q[2] / length;
    z = q[3] / length;
    turn[0][0] = 1 - 2 * (y * y + z * z);
    turn[0][1] = 2 * (x * y - w * z);
    turn[0][2] = 2 * (x * z + w * y);
    turn[1][0] = 2 * (x * y + w * z);
    turn[1][1] = 1 - 2 * (x * x + z * z);
    turn[1][2] = 2 * (y * z - w * x);
    turn[2][0] = 2 * (x * z - w * y);
    turn[2][1] = 2 * (y * z + w * x);
    turn[2][2] = 1 - 2 * (x * x + y * y);
}

static float far_apart(const struct body *a, const struct body *b) {
    float square = 0;

    for (int d = 0; d < 3; d++)
        square += (a->at[d] - b->at[d]) * (a->at[d] - b->at[d]);
    return sqrtf(square) - a->reach - b->reach;
}

/* A body that keeps off the others; false when it found no place. */
static bool place_body(struct opiml_rng *rng, struct scene *scene, enum kind kind, float size) {
    struct body *body = &scene->body[scene->bodies];

    body->kind = kind;
    body->reach = 0;
    for (int d = 0; d < 3; d++) {
        body->radius[d] = draw(rng, 0.11f, 0.19f) * size * (kind == BOX ? 0.75f : 1);
        body->reach = fmaxf(body->reach, body->radius[d] * (kind == BOX ? 1.75f : 1));
    }
    draw_turn(rng, body->turn);
    for (int turn = 0; turn < TRIES; turn++) {
        bool free = true;

        for (int d = 0; d < 3; d++)
            body->at[d] = draw(rng, body->reach, size - body->reach);
        for (uint32_t i = 0; i < scene->bodies; i++)
            free = free && far_apart(body, &scene->body[i]) > 1.5f;
        if (free) {
            scene->bodies++;
            return true;
        }
    }
    return false;
}

static void make_rod(struct opiml_rng *rng, struct rod *rod, float size) {
    float length = 0;

    for (int d = 0; d < 3; d++) {
        rod->at[d] = draw(rng, 0, size);
        rod->way[d] = draw(rng, -1, 1);
        length += rod->way[d] * rod->way[d];
    }
    length = sqrtf(length) + 1e-6f;
    for (int d = 0; d < 3; d++)
        rod->way[d] /= length;
    rod->length = draw(rng, 0.2f, 0.7f) * size;
    rod->radius = draw(rng, 0.9f, 1.6f);
}

static void make_scene(struct opiml_rng *rng, uint32_t classes, uint32_t size,
                       struct scene *scene) {
    uint32_t bodies = 2 * (classes - 1) + opiml_rng_below(rng, 2);

    memset(scene, 0, sizeof(*scene));
    for (uint32_t i = 0; i < bodies; i++)
        place_body(rng, scene, (enum kind)(i % (classes - 1)), (float)size);
    scene->rods = 2 + opiml_rng_below(rng, RODS_MOST - 1);
    for (uint32_t i = 0; i < scene->rods; i++)
        make_rod(rng, &scene->rod[i], (float)size);
    for (uint32_t i = 0; i < LATTICE * LATTICE * LATTICE; i++)
        (&scene->gain[0][0][0])[i] = draw(rng, DIMMEST, BRIGHTEST);
    scene->ground = draw(rng, 0.85f, 1.15f) * GROUND;
}

/* ---- voxels ---- */

/* How far into a body a voxel lies: below 1 inside. */
static float depth_of(const struct body *body, const float at[3]) {
    float square = 0, most = 0;

    for (int r = 0; r < 3; r++) {
        float x = 0;

        for (int d = 0; d < 3; d++)
            x += body->turn[r][d] * (at[d] - body->at[d]);
        x /= body->radius[r];
        square += x * x;
        most = fmaxf(most, fabsf(x));
    }
    return body->kind == BOX ? most : sqrtf(square);
}

static bool in_rod(const struct rod *rod, const float at[3]) {
    float along = 0, square = 0;

    for (int d = 0; d < 3; d++)
        along += (at[d] - rod->at[d]) * rod->way[d];
    along = fminf(fmaxf(along, 0), rod->length);
    for (int d = 0; d < 3; d++) {
        float off = at[d] - rod->at[d] - along * rod->way[d];

        square += off * off;
    }
    return square <= rod->radius * rod->radius;
}

/* Between the lattice's points, linear along each axis. */
static float gain_at(const struct scene *scene, const float at[3], float size) {
    float share[3], gain[2][2], row[2];
    int low[3];

    for (int d = 0; d < 3; d++) {
        float x = at[d] / size * (LATTICE - 1);

        low[d] = (int)x < LATTICE - 2 ? (int)x : LATTICE - 2;
        share[d] = x - (float)low[d];
    }
    for (int z = 0; z < 2; z++)
        for (int y = 0; y < 2; y++) {
            const float *two = &scene->gain[low[2] + z][low[1] + y][low[0]];

            gain[z][y] = two[0] + share[0] * (two[1] - two[0]);
        }
    for (int z = 0; z < 2; z++)
        row[z] = gain[z][0] + share[1] * (gain[z][1] - gain[z][0]);
    return row[0] + share[2] * (row[1] - row[0]);
}

/* The label of a voxel, and whether it is bright. */
static uint8_t look(const struct scene *scene, const float at[3], bool *ret_bright) {
    *ret_bright = false;
    for (uint32_t i = 0; i < scene->bodies; i++) {
        const struct body *body = &scene->body[i];
        float depth;

        if (fabsf(at[0] - body->at[0]) > body->reach || fabsf(at[1] - body->at[1]) > body->reach ||
            fabsf(at[2] - body->at[2]) > body->reach)
            continue;
        depth = depth_of(body, at);
        if (depth >= 1)
            continue;
        *ret_bright = body->kind != SHELL || depth >= HOLLOW;
        return (uint8_t)(1 + body->kind);
    }
    for (uint32_t i = 0; i < scene->rods; i++)
        *ret_bright = *ret_bright || in_rod(&scene->rod[i], at);
    return 0;
}

/* Four bytes' sum: mean 0 and variance 1, near enough to normal. */
static float draw_noise(struct opiml_rng *rng) {
    uint32_t bits = opiml_rng_u32(rng);
    int32_t sum = (int32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));

    return (float)(sum - 510) / 147.8f;
}

void volume_render(uint64_t seed, uint32_t split, uint64_t sample, uint32_t classes, uint32_t size,
                   uint8_t *image, uint8_t *label) {
    struct opiml_rng rng;
    struct scene scene;
    size_t i = 0;

    rng_init(&rng, seed, split, sample, 0x766f6c75); /* "volu" */
    make_scene(&rng, classes, size, &scene);
    for (uint32_t z = 0; z < size; z++)
        for (uint32_t y = 0; y < size; y++)
            for (uint32_t x = 0; x < size; x++, i++) {
                const float at[3] = {(float)x + 0.5f, (float)y + 0.5f, (float)z + 0.5f};
                bool bright;
                float level;

                label[i] = look(&scene, at, &bright);
                level = (bright ? scene.ground + (BRIGHT - GROUND) : scene.ground) *
                            gain_at(&scene, at, (float)size) +
                        NOISE * draw_noise(&rng);
                image[i] = level <= 0 ? 0 : level >= 255 ? 255 : (uint8_t)(level + 0.5f);
            }
}
