/* Slices of a volume, tinted by class. */
#include "overlay.h"

#include <math.h>

#include "png_write.h"

#define SIDE_PIXELS 384 /* of the longest side of the volume */
#define GAP 8
#define TINT 0.45f
#define BINS 4096

/* Okabe and Ito's colours, which the colour-blind tell apart too. */
static const uint8_t colors[][3] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115},  {240, 228, 66},
                                    {0, 114, 178}, {213, 94, 0},   {204, 121, 167}};

const uint8_t *overlay_color(uint32_t class) {
    return colors[(class - 1) % COUNT_OF(colors)];
}

struct overlay {
    const float *image;
    const uint8_t *classes;
    const uint32_t *size;
    const double *spacing;
    float black, white;
    uint8_t *pixels;
    uint32_t width, height;
};

/* One of the three views: the axis that it cuts, those to the right and up, and its place. */
struct view {
    int axis, right, up;
    uint32_t slice, left, width, height;
};

static uint64_t index_of(const struct overlay *self, const uint32_t at[3]) {
    return ((uint64_t)at[0] * self->size[1] + at[1]) * self->size[2] + at[2];
}

/* ---- what to show ---- */

static uint32_t fullest_slice(const struct overlay *self, int axis) {
    uint32_t best = self->size[axis] / 2, at[3];
    uint64_t most = 0;

    for (uint32_t slice = 0; slice < self->size[axis]; slice++) {
        uint64_t count = 0;
        int a = (axis + 1) % 3, b = (axis + 2) % 3;

        at[axis] = slice;
        for (at[a] = 0; at[a] < self->size[a]; at[a]++)
            for (at[b] = 0; at[b] < self->size[b]; at[b]++)
                count += self->classes[index_of(self, at)] != 0;
        if (count > most) {
            most = count;
            best = slice;
        }
    }
    return best;
}

/* The values below which a share of the voxels lies, by a histogram. */
static void find_window(struct overlay *self) {
    uint64_t voxels = (uint64_t)self->size[0] * self->size[1] * self->size[2], below = 0;
    float least = self->image[0], most = least, step;
    uint32_t bins[BINS] = {0};
    bool black = false;

    for (uint64_t v = 0; v < voxels; v++) {
        least = self->image[v] < least ? self->image[v] : least;
        most = self->image[v] > most ? self->image[v] : most;
    }
    self->black = least;
    self->white = most;
    step = (most - least) / BINS;
    if (!(step > 0))
        return;
    for (uint64_t v = 0; v < voxels; v++) {
        uint32_t bin = (uint32_t)((self->image[v] - least) / step);

        bins[bin < BINS ? bin : BINS - 1]++;
    }
    for (uint32_t b = 0; b < BINS; b++) {
        below += bins[b];
        if (!black && below * 100 >= voxels) {
            self->black = least + step * (float)b;
            black = true;
        }
        if (below * 100 >= voxels * 99) {
            self->white = least + step * (float)(b + 1);
            return;
        }
    }
}

/* ---- drawing ---- */

static void draw_pixel(const struct overlay *self, const uint32_t at[3], uint8_t *to) {
    uint64_t v = index_of(self, at);
    float range = self->white - self->black;
    float grey = range > 0 ? (self->image[v] - self->black) / range : 0;
    uint8_t class = self->classes[v];

    grey = grey < 0 ? 0 : grey > 1 ? 1 : grey;
    for (int c = 0; c < 3; c++) {
        float level = 255 * grey;

        if (class)
            level = (1 - TINT) * level + TINT * overlay_color(class)[c];
        to[c] = (uint8_t)(level + 0.5f);
    }
}

static void draw(const struct overlay *self, const struct view *view) {
    uint32_t top = (self->height - view->height) / 2, at[3];

    at[view->axis] = view->slice;
    for (uint32_t y = 0; y < view->height; y++)
        for (uint32_t x = 0; x < view->width; x++) {
            uint64_t up = (uint64_t)(view->height - 1 - y) * self->size[view->up];

            at[view->right] = (uint32_t)((uint64_t)x * self->size[view->right] / view->width);
            at[view->up] = (uint32_t)(up / view->height);
            draw_pixel(self, at,
                       self->pixels + 3 * ((uint64_t)(top + y) * self->width + view->left + x));
        }
}

static uint32_t pixels_of(const struct overlay *self, int axis, double scale) {
    double pixels = self->size[axis] * self->spacing[axis] * scale;

    return pixels < 1 ? 1 : (uint32_t)pixels;
}

int overlay_write(const char *path, const float *image, const uint8_t *classes,
                  const uint32_t size[3], const double spacing[3], struct opiml_error *err) {
    struct view views[] = {{0, 2, 1, 0, 0, 0, 0}, {1, 2, 0, 0, 0, 0, 0}, {2, 1, 0, 0, 0, 0, 0}};
    struct overlay self = {.image = image, .classes = classes, .size = size, .spacing = spacing};
    AUTO_FREE uint8_t *pixels = NULL;
    double longest = 0;

    for (int a = 0; a < 3; a++)
        longest = fmax(longest, size[a] * spacing[a]);
    for (size_t i = 0; i < COUNT_OF(views); i++) {
        views[i].slice = fullest_slice(&self, views[i].axis);
        views[i].left = self.width + GAP;
        views[i].width = pixels_of(&self, views[i].right, SIDE_PIXELS / longest);
        views[i].height = pixels_of(&self, views[i].up, SIDE_PIXELS / longest);
        self.width = views[i].left + views[i].width;
        self.height = views[i].height > self.height ? views[i].height : self.height;
    }
    self.width += GAP;
    self.height += 2 * GAP;
    pixels = base_alloc_array((size_t)self.width * self.height, 3);
    if (!pixels)
        return base_fail_memory(err, (size_t)self.width * self.height * 3, "a picture");
    self.pixels = pixels;
    find_window(&self);
    for (size_t i = 0; i < COUNT_OF(views); i++)
        draw(&self, &views[i]);
    return png_write(path, pixels, self.width, self.height, 3, err);
}
