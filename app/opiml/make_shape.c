/* The classes of made images. */
#include <math.h>

#include "base/base.h"
#include "make_shape.h"

struct point {
    float x, y;
};

static const struct point triangle[] = {{0, -1}, {0.87f, 0.5f}, {-0.87f, 0.5f}};
static const struct point square[] = {
    {-0.72f, -0.72f}, {0.72f, -0.72f}, {0.72f, 0.72f}, {-0.72f, 0.72f}};
static const struct point star[] = {
    {0, -1},    {0.247f, -0.34f},  {0.951f, -0.309f}, {0.4f, 0.13f},      {0.588f, 0.809f},
    {0, 0.42f}, {-0.588f, 0.809f}, {-0.4f, 0.13f},    {-0.951f, -0.309f}, {-0.247f, -0.34f}};
static const struct point cross[] = {{-0.28f, -0.95f}, {0.28f, -0.95f},  {0.28f, -0.28f},
                                     {0.95f, -0.28f},  {0.95f, 0.28f},   {0.28f, 0.28f},
                                     {0.28f, 0.95f},   {-0.28f, 0.95f},  {-0.28f, 0.28f},
                                     {-0.95f, 0.28f},  {-0.95f, -0.28f}, {-0.28f, -0.28f}};
static const struct point arrow[] = {{0, -1},         {0.75f, -0.15f}, {0.26f, -0.15f},
                                     {0.26f, 0.95f},  {-0.26f, 0.95f}, {-0.26f, -0.15f},
                                     {-0.75f, -0.15f}};
static const struct point heart[] = {
    {0, 0.95f},       {-0.5f, 0.45f},  {-0.85f, 0.02f}, {-0.95f, -0.35f}, {-0.82f, -0.65f},
    {-0.55f, -0.78f}, {-0.25f, -0.7f}, {0, -0.38f},     {0.25f, -0.7f},   {0.55f, -0.78f},
    {0.82f, -0.65f},  {0.95f, -0.35f}, {0.85f, 0.02f},  {0.5f, 0.45f}};
static const struct point hourglass[] = {{-0.75f, -0.9f}, {0.75f, -0.9f}, {0.14f, 0},
                                         {0.75f, 0.9f},   {-0.75f, 0.9f}, {-0.14f, 0}};
static const struct point bolt[] = {{0.35f, -1}, {-0.6f, 0.15f}, {-0.08f, 0.15f},
                                    {-0.35f, 1}, {0.6f, -0.2f},  {0.08f, -0.2f}};
static const struct point corner[] = {{-0.75f, -0.85f}, {-0.2f, -0.85f}, {-0.2f, 0.35f},
                                      {0.8f, 0.35f},    {0.8f, 0.85f},   {-0.75f, 0.85f}};
static const struct point tee[] = {{-0.9f, -0.8f},  {0.9f, -0.8f},  {0.9f, -0.3f},
                                   {0.25f, -0.3f},  {0.25f, 0.95f}, {-0.25f, 0.95f},
                                   {-0.25f, -0.3f}, {-0.9f, -0.3f}};
static const struct point chevron[] = {{-0.9f, -0.3f}, {0, -0.95f}, {0.9f, -0.3f},
                                       {0.9f, 0.35f},  {0, -0.3f},  {-0.9f, 0.35f}};
static const struct point pentagon[] = {
    {0, -0.95f}, {0.903f, -0.294f}, {0.558f, 0.769f}, {-0.558f, 0.769f}, {-0.903f, -0.294f}};

static float length(float x, float y) {
    return sqrtf(x * x + y * y);
}

static float disc_distance(float x, float y) {
    return length(x, y) - 0.82f;
}
static float ring_distance(float x, float y) {
    return fabsf(length(x, y) - 0.68f) - 0.2f;
}
/* A disc less a disc beside it. */
static float crescent_distance(float x, float y) {
    return fmaxf(length(x, y) - 0.92f, 0.72f - length(x - 0.45f, y));
}
static float half_distance(float x, float y) {
    return fmaxf(length(x, y + 0.35f) - 0.95f, -y - 0.35f);
}

static const struct shape {
    const char *name;
    float (*distance)(float x, float y); /* NULL: the polygon's */
    const struct point *points;
    uint32_t count;
} shapes[SHAPE_MAX] = {
#define POLYGON(name)                                                                              \
    { #name, NULL, name, COUNT_OF(name) }
    {"disc", disc_distance},
    {"ring", ring_distance},
    {"crescent", crescent_distance},
    POLYGON(triangle),
    POLYGON(square),
    POLYGON(star),
    POLYGON(cross),
    POLYGON(arrow),
    POLYGON(heart),
    POLYGON(hourglass),
    POLYGON(bolt),
    POLYGON(corner),
    POLYGON(tee),
    {"half", half_distance},
    POLYGON(chevron),
    POLYGON(pentagon),
#undef POLYGON
};

/* Nearest edge, and inside by the parity of the edges that a ray to the right crosses. */
static float polygon_distance(const struct shape *shape, float x, float y) {
    float nearest = 1e9f;
    bool inside = false;

    for (uint32_t i = 0, j = shape->count - 1; i < shape->count; j = i++) {
        const struct point a = shape->points[j], b = shape->points[i];
        float ex = b.x - a.x, ey = b.y - a.y, px = x - a.x, py = y - a.y;
        float along = (px * ex + py * ey) / (ex * ex + ey * ey);
        float dx, dy;

        along = along < 0 ? 0 : along > 1 ? 1 : along;
        dx = px - along * ex;
        dy = py - along * ey;
        nearest = fminf(nearest, dx * dx + dy * dy);
        if ((a.y > y) != (b.y > y) && x < a.x + ex * (py / ey))
            inside = !inside;
    }
    return inside ? -sqrtf(nearest) : sqrtf(nearest);
}

const char *shape_name(uint32_t which) {
    assert(which < SHAPE_MAX);
    return shapes[which].name;
}

float shape_distance(uint32_t which, float x, float y) {
    const struct shape *shape = &shapes[which];

    assert(which < SHAPE_MAX);
    return shape->distance ? shape->distance(x, y) : polygon_distance(shape, x, y);
}
