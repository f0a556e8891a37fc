/* Made images. All arithmetic is +, -, ×, ÷ and square roots of floats, in fixed order. */
#include <math.h>

#include "base/base.h"
#include "base/rng.h"
#include "make_image.h"
#include "make_shape.h"

#define CLUTTER_MAX 9
#define LATTICE 16 /* cells of the background's noise */

struct colour {
    float r, g, b;
};

enum texture { TEXTURE_PLAIN, TEXTURE_STRIPES, TEXTURE_CHECKS, TEXTURE_FADE, TEXTURES };

/* A point in the image is 0..1 in both directions. */
struct clutter {
    bool dot;
    float x, y, dx, dy, radius; /* a dot at (x, y), or a line from there along (dx, dy) */
    struct colour colour;
    float alpha;
};

struct scene {
    struct colour ground[2], fill[2];
    float ground_dx, ground_dy, rough;
    uint8_t lattice[LATTICE * LATTICE];
    struct clutter clutter[CLUTTER_MAX];
    uint32_t clutters;
    uint32_t shape;
    float x, y, radius, cosine, sine, stretch, shear;
    enum texture texture;
    float period, phase, outline;
    uint32_t noise;
    float gain, lift;
};

/* Uniform in [low, high]. */
static float draw(struct opiml_rng *rng, float low, float high) {
    return low + (high - low) * ((float)(opiml_rng_u32(rng) >> 8) / 16777216.0f);
}

/* sin(2π t) for t in [0, 1): a polynomial on a quarter turn, good to 1e-5. */
static float turn_sine(float t) {
    float sign = 1, x;

    if (t >= 0.5f) {
        sign = -1;
        t -= 0.5f;
    }
    if (t > 0.25f)
        t = 0.5f - t;
    x = t * 6.2831853f;
    return sign * x * (1 - x * x / 6 * (1 - x * x / 20 * (1 - x * x / 42)));
}

static struct colour draw_colour(struct opiml_rng *rng) {
    struct colour c;

    c.r = draw(rng, 15, 240);
    c.g = draw(rng, 15, 240);
    c.b = draw(rng, 15, 240);
    return c;
}

static float apart(struct colour a, struct colour b) {
    return fabsf(a.r - b.r) * 0.3f + fabsf(a.g - b.g) * 0.55f + fabsf(a.b - b.b) * 0.15f;
}

/* A colour that can be told from the ground; after some tries, the ground turned over. */
static struct colour draw_contrast(struct opiml_rng *rng, struct colour ground, float least) {
    for (int i = 0; i < 16; i++) {
        struct colour c = draw_colour(rng);

        if (apart(c, ground) >= least)
            return c;
    }
    return (struct colour){ground.r < 128 ? 235 : 20, ground.g < 128 ? 235 : 20,
                           ground.b < 128 ? 235 : 20};
}

static struct colour blend(struct colour a, struct colour b, float t) {
    return (struct colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static void draw_clutter(struct opiml_rng *rng, struct scene *scene) {
    scene->clutters = 2 + opiml_rng_below(rng, CLUTTER_MAX - 1);
    for (uint32_t i = 0; i < scene->clutters; i++) {
        struct clutter *it = &scene->clutter[i];

        it->dot = opiml_rng_chance(rng, 0.4);
        it->x = draw(rng, 0, 1);
        it->y = draw(rng, 0, 1);
        it->dx = draw(rng, -0.5f, 0.5f);
        it->dy = draw(rng, -0.5f, 0.5f);
        it->radius = it->dot ? draw(rng, 0.015f, 0.055f) : draw(rng, 0.008f, 0.025f);
        it->colour = draw_colour(rng);
        it->alpha = draw(rng, 0.4f, 0.95f);
    }
}

static void draw_scene(struct opiml_rng *rng, uint32_t shape, struct scene *scene) {
    float turn;

    scene->ground[0] = draw_colour(rng);
    scene->ground[1] = blend(scene->ground[0], draw_colour(rng), 0.35f);
    turn = draw(rng, 0, 1);
    scene->ground_dx = turn_sine(turn);
    scene->ground_dy = turn_sine(turn + 0.25f < 1 ? turn + 0.25f : turn - 0.75f);
    scene->rough = draw(rng, 0, 50);
    for (uint32_t i = 0; i < sizeof(scene->lattice); i++)
        scene->lattice[i] = (uint8_t)opiml_rng_u32(rng);
    draw_clutter(rng, scene);

    scene->shape = shape;
    scene->radius = draw(rng, 0.24f, 0.42f);
    scene->x = draw(rng, scene->radius * 0.9f, 1 - scene->radius * 0.9f);
    scene->y = draw(rng, scene->radius * 0.9f, 1 - scene->radius * 0.9f);
    turn = draw(rng, 0, 1);
    scene->sine = turn_sine(turn);
    scene->cosine = turn_sine(turn + 0.25f < 1 ? turn + 0.25f : turn - 0.75f);
    scene->stretch = draw(rng, 0.82f, 1.2f);
    scene->shear = draw(rng, -0.18f, 0.18f);

    scene->fill[0] = draw_contrast(rng, scene->ground[0], 55);
    scene->fill[1] = blend(scene->fill[0], draw_contrast(rng, scene->ground[0], 40), 0.7f);
    scene->texture = (enum texture)opiml_rng_below(rng, TEXTURES);
    scene->period = draw(rng, 0.25f, 0.6f);
    scene->phase = draw(rng, 0, 1);
    scene->outline = opiml_rng_chance(rng, 0.3) ? draw(rng, 0.05f, 0.12f) : 0;
    scene->noise = opiml_rng_below(rng, 28);
    scene->gain = draw(rng, 0.75f, 1.1f);
    scene->lift = draw(rng, -12, 20);
}

/* ---- one point ---- */

/* Value noise: the lattice, smoothly interpolated. */
static float lattice_at(const struct scene *scene, float x, float y) {
    float fx = x * (LATTICE - 1), fy = y * (LATTICE - 1);
    uint32_t ix = (uint32_t)fx < LATTICE - 2 ? (uint32_t)fx : LATTICE - 2;
    uint32_t iy = (uint32_t)fy < LATTICE - 2 ? (uint32_t)fy : LATTICE - 2;
    const uint8_t *at = scene->lattice + iy * LATTICE + ix;
    float tx = fx - (float)ix, ty = fy - (float)iy, top, bottom;

    tx = tx * tx * (3 - 2 * tx);
    ty = ty * ty * (3 - 2 * ty);
    top = (float)at[0] + ((float)at[1] - (float)at[0]) * tx;
    bottom = (float)at[LATTICE] + ((float)at[LATTICE + 1] - (float)at[LATTICE]) * tx;
    return (top + (bottom - top) * ty) / 255.0f - 0.5f;
}

static struct colour ground_at(const struct scene *scene, float x, float y) {
    float t = 0.5f + (x - 0.5f) * scene->ground_dx + (y - 0.5f) * scene->ground_dy;
    float rough = lattice_at(scene, x, y) * scene->rough;
    struct colour c = blend(scene->ground[0], scene->ground[1], t < 0 ? 0 : t > 1 ? 1 : t);

    return (struct colour){c.r + rough, c.g + rough, c.b + rough};
}

static float clutter_distance(const struct clutter *it, float x, float y) {
    float px = x - it->x, py = y - it->y, along;

    if (!it->dot) {
        along = (px * it->dx + py * it->dy) / (it->dx * it->dx + it->dy * it->dy + 1e-6f);
        along = along < 0 ? 0 : along > 1 ? 1 : along;
        px -= along * it->dx;
        py -= along * it->dy;
    }
    return sqrtf(px * px + py * py) - it->radius;
}

/* Which share of a pixel lies inside, by its distance from the edge in pixels. */
static float coverage(float distance_px) {
    float share = 0.5f - distance_px;

    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* The fill at (u, v) in the shape's own frame. */
static struct colour fill_at(const struct scene *scene, float u, float v) {
    float a = u / scene->period + scene->phase, b = v / scene->period + scene->phase;
    bool odd_a = ((int32_t)floorf(a) & 1) != 0, odd_b = ((int32_t)floorf(b) & 1) != 0;

    switch (scene->texture) {
    case TEXTURE_STRIPES: return scene->fill[odd_a];
    case TEXTURE_CHECKS: return scene->fill[odd_a != odd_b];
    case TEXTURE_FADE: {
        float t = 0.5f + 0.5f * u;

        return blend(scene->fill[0], scene->fill[1], t < 0 ? 0 : t > 1 ? 1 : t);
    }
    default: return scene->fill[0];
    }
}

static struct colour colour_at(const struct scene *scene, float x, float y, float size) {
    struct colour c = ground_at(scene, x, y);
    float px = (x - scene->x) / scene->radius, py = (y - scene->y) / scene->radius;
    float u = px * scene->cosine + py * scene->sine, v = py * scene->cosine - px * scene->sine;
    float distance, scale = scene->radius * size;

    for (uint32_t i = 0; i < scene->clutters; i++) {
        const struct clutter *it = &scene->clutter[i];
        float share = coverage(clutter_distance(it, x, y) * size);

        if (share > 0)
            c = blend(c, it->colour, share * it->alpha);
    }
    u = (u + v * scene->shear) * scene->stretch;
    distance = shape_distance(scene->shape, u, v);
    if (distance * scale < 0.5f) {
        struct colour fill = fill_at(scene, u, v);

        if (scene->outline > 0)
            fill = blend(fill, (struct colour){fill.r * 0.3f, fill.g * 0.3f, fill.b * 0.3f},
                         coverage((-distance - scene->outline) * scale));
        c = blend(c, fill, coverage(distance * scale));
    }
    return c;
}

/* Roughly normal: the sum of four uniform bytes, centred. */
static float noise(struct opiml_rng *rng, uint32_t strength) {
    uint32_t bits = opiml_rng_u32(rng);
    int32_t sum = (int32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));

    return (float)(sum - 510) * (float)strength / 295.0f;
}

static uint8_t to_byte(float value) {
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5f);
}

void image_render(uint64_t seed, uint32_t split, uint64_t sample, uint32_t shape, uint32_t size,
                  uint8_t *rgb) {
    struct opiml_rng rng;
    struct scene scene;

    rng_init(&rng, seed, split, sample, 0x6d616b65); /* "make" */
    draw_scene(&rng, shape, &scene);
    for (uint32_t row = 0; row < size; row++) {
        for (uint32_t column = 0; column < size; column++) {
            struct colour c = colour_at(&scene, ((float)column + 0.5f) / (float)size,
                                        ((float)row + 0.5f) / (float)size, (float)size);

            *rgb++ = to_byte(c.r * scene.gain + scene.lift + noise(&rng, scene.noise));
            *rgb++ = to_byte(c.g * scene.gain + scene.lift + noise(&rng, scene.noise));
            *rgb++ = to_byte(c.b * scene.gain + scene.lift + noise(&rng, scene.noise));
        }
    }
}
