/* Convolution through oneDNN, which is loaded at run time: programs that do not train do not pay
 * for its size, and machines without it use the plain kernels. Versions 2 and 3 differ in how data
 * and passes are described; the version of the header is the one that is loaded. */
#include "nn/nn.h"

#ifdef HAVE_ONEDNN
#include <dlfcn.h>
#include <dnnl.h>

#if DNNL_VERSION_MAJOR >= 3
/* By the library's own name for itself, and by Debian's. */
#define NAMES                                                                                      \
    { "libdnnl.so.3", "libdnnl.so.3.6" }
#define FUNCTIONS_OF_VERSION(X)                                                                    \
    X(memory_desc_create_with_tag)                                                                 \
    X(memory_desc_destroy)                                                                         \
    X(convolution_forward_primitive_desc_create)                                                   \
    X(convolution_backward_data_primitive_desc_create)                                             \
    X(convolution_backward_weights_primitive_desc_create)
#else
#define NAMES                                                                                      \
    { "libdnnl.so.2" }
#define FUNCTIONS_OF_VERSION(X)                                                                    \
    X(memory_desc_init_by_tag)                                                                     \
    X(convolution_forward_desc_init)                                                               \
    X(convolution_backward_data_desc_init)                                                         \
    X(convolution_backward_weights_desc_init)                                                      \
    X(primitive_desc_create)
#endif

/* What is used of the library, by name and type. */
#define FUNCTIONS(X)                                                                               \
    FUNCTIONS_OF_VERSION(X)                                                                        \
    X(version)                                                                                     \
    X(engine_create)                                                                               \
    X(stream_create)                                                                               \
    X(stream_wait)                                                                                 \
    X(get_effective_cpu_isa)                                                                       \
    X(memory_desc_equal)                                                                           \
    X(memory_desc_get_size)                                                                        \
    X(memory_create)                                                                               \
    X(memory_destroy)                                                                              \
    X(memory_set_data_handle)                                                                      \
    X(primitive_desc_destroy)                                                                      \
    X(primitive_desc_query)                                                                        \
    X(primitive_desc_query_md)                                                                     \
    X(primitive_create)                                                                            \
    X(primitive_destroy)                                                                           \
    X(primitive_execute)                                                                           \
    X(reorder_primitive_desc_create)

/* Loaded once per process and kept: the library cannot be unloaded safely once its threads run. */
static struct {
#define X(name) __typeof__(dnnl_##name) *name;
    FUNCTIONS(X)
#undef X
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    uint32_t block;
    bool ready;
} lib;

static int fail(dnnl_status_t status, const char *what, struct opiml_error *err) {
    return opiml_fail(err, status == dnnl_out_of_memory ? OPIML_ENOMEM : OPIML_EINTERNAL,
                      "oneDNN: %s: status %d", what, (int)status);
}

/* Run a call; on failure return from the function that has `err`. The one macro that hides a
 * return. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        dnnl_status_t status_ = lib.call;                                                          \
        if (status_ != dnnl_success)                                                               \
            return fail(status_, #call, err);                                                      \
    } while (0)

static int load(struct opiml_error *err) {
    static const char *const names[] = NAMES;
    void *object = NULL;

    for (size_t i = 0; !object && i < COUNT_OF(names); i++)
        object = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return opiml_fail(err, OPIML_ENODEV, "oneDNN: %s", dlerror());
#define X(name)                                                                                    \
    lib.name = (__typeof__(lib.name))dlsym(object, "dnnl_" #name);                                 \
    if (!lib.name)                                                                                 \
        return opiml_fail(err, OPIML_ENODEV, "oneDNN: no dnnl_" #name " in it");
    FUNCTIONS(X)
#undef X
    TRY(engine_create(&lib.engine, dnnl_cpu, 0));
    TRY(stream_create(&lib.stream, lib.engine, dnnl_stream_in_order));
    switch (lib.get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
    case dnnl_cpu_isa_avx:
    case dnnl_cpu_isa_avx2:
    case dnnl_cpu_isa_avx2_vnni:
#if DNNL_VERSION_MAJOR >= 3
    case dnnl_cpu_isa_avx2_vnni_2:
#endif
        lib.block = 8;
        break;
    case 0: lib.block = 1; break; /* any: one that it does not know */
    default: lib.block = 16;
    }
#if !defined(__x86_64__)
    lib.block = 1;
#endif
    lib.ready = true;
    return 0;
}

static int onednn_open(uint32_t threads, char *version, size_t room, struct opiml_error *err) {
    int rc = lib.ready ? 0 : load(err);

    if (rc < 0)
        return rc;
    nn_threads_set(threads);
    snprintf(version, room, "oneDNN %d.%d.%d", lib.version()->major, lib.version()->minor,
             lib.version()->patch);
    return 0;
}

static bool onednn_half(void) {
    switch (lib.get_effective_cpu_isa()) {
    case dnnl_cpu_isa_avx512_core_bf16:
    case dnnl_cpu_isa_avx512_core_amx: return true;
    default: return false;
    }
}

/* What does not fill vectors of 16 may fill some of 8: without blocks its kernels are slow. */
static uint32_t onednn_block(uint32_t channels) {
    for (uint32_t block = lib.block; block >= 8; block /= 2)
        if (channels % block == 0)
            return block;
    return 1;
}

/* ---- how data and passes are described ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc_view; /* what calls take that only look at one */

static desc_view view(const dnnl_memory_desc_t *desc) {
    return *desc;
}

static void drop_data(dnnl_memory_desc_t *desc) {
    if (*desc)
        lib.memory_desc_destroy(*desc);
}

static int describe_data(dnnl_memory_desc_t *ret_desc, int ndim, const dnnl_dims_t dims,
                         dnnl_data_type_t type, dnnl_format_tag_t tag, struct opiml_error *err) {
    TRY(memory_desc_create_with_tag(ret_desc, ndim, dims, type, tag));
    return 0;
}
#else
typedef const dnnl_memory_desc_t *desc_view;

static desc_view view(const dnnl_memory_desc_t *desc) {
    return desc;
}

static void drop_data(dnnl_memory_desc_t *desc) {
}

static int describe_data(dnnl_memory_desc_t *ret_desc, int ndim, const dnnl_dims_t dims,
                         dnnl_data_type_t type, dnnl_format_tag_t tag, struct opiml_error *err) {
    TRY(memory_desc_init_by_tag(ret_desc, ndim, dims, type, tag));
    return 0;
}
#endif
#define AUTO_DATA CLEANUP(drop_data)

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };

/* What all three passes of a convolution are described by. */
struct geometry {
    desc_view x, y;
    dnnl_dims_t strides, pad;
};

#if DNNL_VERSION_MAJOR >= 3
static int describe_pass(const struct geometry *g, enum direction direction, desc_view weights,
                         dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *ret_desc,
                         struct opiml_error *err) {
    const dnnl_dims_t dilates = {0};

    switch (direction) {
    case FORWARD:
        TRY(convolution_forward_primitive_desc_create(
            ret_desc, lib.engine, dnnl_forward_training, dnnl_convolution_auto, g->x, weights, NULL,
            g->y, g->strides, dilates, g->pad, g->pad, NULL));
        break;
    case BACKWARD_DATA:
        TRY(convolution_backward_data_primitive_desc_create(
            ret_desc, lib.engine, dnnl_convolution_auto, g->x, weights, g->y, g->strides, dilates,
            g->pad, g->pad, hint, NULL));
        break;
    case BACKWARD_WEIGHTS:
        TRY(convolution_backward_weights_primitive_desc_create(
            ret_desc, lib.engine, dnnl_convolution_auto, g->x, weights, NULL, g->y, g->strides,
            dilates, g->pad, g->pad, hint, NULL));
        break;
    }
    return 0;
}
#else
static int describe_pass(const struct geometry *g, enum direction direction, desc_view weights,
                         dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *ret_desc,
                         struct opiml_error *err) {
    dnnl_convolution_desc_t desc;

    switch (direction) {
    case FORWARD:
        TRY(convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_auto, g->x,
                                          weights, NULL, g->y, g->strides, g->pad, g->pad));
        break;
    case BACKWARD_DATA:
        TRY(convolution_backward_data_desc_init(&desc, dnnl_convolution_auto, g->x, weights, g->y,
                                                g->strides, g->pad, g->pad));
        break;
    case BACKWARD_WEIGHTS:
        TRY(convolution_backward_weights_desc_init(&desc, dnnl_convolution_auto, g->x, weights,
                                                   NULL, g->y, g->strides, g->pad, g->pad));
        break;
    }
    TRY(primitive_desc_create(ret_desc, (const_dnnl_op_desc_t)&desc, NULL, lib.engine, hint));
    return 0;
}
#endif

/* ---- one convolution: three passes, each of which takes and gives an input x, weights w and an
 * output y in the layouts that suit it ---- */

enum { X, W, Y, OPERANDS };

static const struct {
    int result, arguments[OPERANDS];
    dnnl_query_t queries[OPERANDS]; /* of the layouts that suit it */
} passes[] = {
    [FORWARD] = {Y,
                 {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                 {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md}},
    [BACKWARD_DATA] = {X,
                       {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                       {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md}},
    [BACKWARD_WEIGHTS] = {W,
                          {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                          {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}},
};

/* As the network keeps it and, where the pass wants it in another way, as that one uses it, which
 * lies in the working memory while the pass runs. */
struct operand {
    dnnl_memory_t kept, used;
    dnnl_primitive_t reorder; /* from kept to used or, of a result, back */
    size_t bytes;             /* of used */
};

struct pass {
    dnnl_primitive_t primitive;
    struct operand operands[OPERANDS];
    bool wide; /* x is used with `margin` planes of zeros before and behind each volume */
};

/* A transposed convolution is an ordinary one whose input x and output y change places. */
struct conv {
    dnnl_memory_desc_t kept[OPERANDS];
    struct pass passes[3];
    bool transposed;
    uint64_t volumes, volume, margin; /* of x; the last two in floats */
};

/* What the passes' primitives are tried with, in turn. The processor's own kernels may lack a pass
 * where the library still has others that are fast; its reference loops are a hundred times as
 * slow. For AVX2, oneDNN 2 and 3 have no gradient of the weights of volumes that are padded in
 * depth: they get volumes that bring the padding along. What is left becomes a product of matrices
 * in plain layouts. */
enum layout { KEPT, WIDE, PLAIN };

static dnnl_data_type_t type_of(bool half) {
    return half ? dnnl_bf16 : dnnl_f32;
}

static int describe_activation(dnnl_memory_desc_t *desc, dnnl_data_type_t type, uint32_t dims,
                               const dnnl_dims_t sides, uint32_t block, struct opiml_error *err) {
    static const dnnl_format_tag_t images[] = {dnnl_nhwc, dnnl_nchw, dnnl_nChw8c, dnnl_nChw16c};
    static const dnnl_format_tag_t volumes[] = {dnnl_ndhwc, dnnl_ncdhw, dnnl_nCdhw8c,
                                                dnnl_nCdhw16c};
    int tag = type == dnnl_bf16 ? 0 : block == 16 ? 3 : block == 8 ? 2 : 1;
    const dnnl_dims_t image = {sides[0], sides[1], sides[3], sides[4]};

    return dims == 3 ? describe_data(desc, 5, sides, type, volumes[tag], err)
                     : describe_data(desc, 4, image, type, images[tag], err);
}

/* The layer's input, or its output, in a layout and type. */
static int describe_end(dnnl_memory_desc_t *desc, const struct nn_conv_shape *s, bool output,
                        dnnl_data_type_t type, enum layout layout, struct opiml_error *err) {
    uint32_t block = layout == PLAIN ? 1 : output ? s->out_block : s->in_block;
    const dnnl_dims_t in = {s->n, s->c, s->d + (layout == WIDE ? 2 * s->pad : 0), s->h, s->w};
    const dnnl_dims_t out = {s->n, s->out_c, nn_conv_out_d(s), nn_conv_out(s->h, s),
                             nn_conv_out(s->w, s)};

    return describe_activation(desc, type, s->dims, output ? out : in, block, err);
}

static int describe_weights(dnnl_memory_desc_t *desc, const struct nn_conv_shape *s,
                            dnnl_data_type_t type, bool any, struct opiml_error *err) {
    uint32_t in = s->transposed ? s->out_c : s->c, out = s->transposed ? s->c : s->out_c;
    const dnnl_dims_t sides = {out, in, s->kernel, s->kernel, s->kernel};

    return describe_data(desc, (int)s->dims + 2, sides, type,
                         any            ? dnnl_format_tag_any
                         : s->dims == 3 ? dnnl_oidhw
                                        : dnnl_oihw,
                         err);
}

static void drop_desc(dnnl_primitive_desc_t *desc) {
    if (*desc)
        lib.primitive_desc_destroy(*desc);
}
#define AUTO_DESC CLEANUP(drop_desc)

static int describe_primitive(const struct nn_conv_shape *s, enum direction direction,
                              enum layout layout, dnnl_primitive_desc_t *ret_desc,
                              struct opiml_error *err) {
    AUTO_DATA dnnl_memory_desc_t x = {0}, y = {0}, weights = {0}, wanted = {0};
    AUTO_DESC dnnl_primitive_desc_t forward = NULL;
    struct geometry geometry = {.strides = {s->stride, s->stride, s->stride},
                                .pad = {layout == WIDE ? 0 : s->pad, s->pad, s->pad}};
    dnnl_data_type_t type = type_of(s->out_half);
    int rc;

    if ((rc = describe_end(&x, s, s->transposed, type, layout, err)) < 0 ||
        (rc = describe_end(&y, s, !s->transposed, type, layout, err)) < 0 ||
        (rc = describe_weights(&weights, s, type, true, err)) < 0 ||
        (rc = describe_weights(&wanted, s, direction == BACKWARD_WEIGHTS ? dnnl_f32 : type, true,
                               err)) < 0)
        return rc;
    geometry.x = view(&x);
    geometry.y = view(&y);
    rc = describe_pass(&geometry, FORWARD, view(&weights), NULL, &forward, err);
    if (rc < 0)
        return rc;
    return describe_pass(&geometry, direction, view(&wanted), direction == FORWARD ? NULL : forward,
                         ret_desc, err);
}

/* Whether more than a reference loop stands behind it. */
static bool is_fast(dnnl_primitive_desc_t desc) {
    const char *name = "";

    return lib.primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
           strncmp(name, "ref", 3) != 0;
}

static int choose(const struct nn_conv_shape *s, enum direction direction,
                  dnnl_primitive_desc_t *ret_desc, enum layout *ret_layout,
                  struct opiml_error *err) {
    static const enum layout layouts[] = {KEPT, WIDE, PLAIN, KEPT};

    for (size_t i = 0;; i++) {
        AUTO_DESC dnnl_primitive_desc_t desc = NULL;
        int rc;

        if (layouts[i] == WIDE && (direction != BACKWARD_WEIGHTS || s->dims != 3 || s->pad == 0 ||
                                   s->transposed || s->out_half))
            continue;
        rc = describe_primitive(s, direction, layouts[i], &desc, err);
        if (rc < 0)
            return rc;
        if (i + 1 < COUNT_OF(layouts) && !is_fast(desc))
            continue;
        *ret_layout = layouts[i];
        *ret_desc = TAKE(desc);
        return 0;
    }
}

static int make_operand(struct operand *operand, desc_view kept, desc_view used, bool result,
                        bool wide, struct opiml_error *err) {
    AUTO_DESC dnnl_primitive_desc_t reorder = NULL;

    TRY(memory_create(&operand->kept, kept, lib.engine, DNNL_MEMORY_NONE));
    if (lib.memory_desc_equal(used, kept))
        return 0;
    TRY(memory_create(&operand->used, used, lib.engine, DNNL_MEMORY_NONE));
    operand->bytes = (lib.memory_desc_get_size(used) + 63) / 64 * 64;
    if (wide)
        return 0;
    TRY(reorder_primitive_desc_create(&reorder, result ? used : kept, lib.engine,
                                      result ? kept : used, lib.engine, NULL));
    TRY(primitive_create(&operand->reorder, reorder));
    return 0;
}

static int make_pass(struct conv *conv, const struct nn_conv_shape *s, enum direction direction,
                     struct opiml_error *err) {
    struct pass *pass = &conv->passes[direction];
    AUTO_DESC dnnl_primitive_desc_t desc = NULL;
    enum layout layout;
    int rc = choose(s, direction, &desc, &layout, err);

    if (rc < 0)
        return rc;
    TRY(primitive_create(&pass->primitive, desc));
    pass->wide = layout == WIDE;
    for (int i = 0; rc == 0 && i < OPERANDS; i++)
        rc = make_operand(&pass->operands[i], view(&conv->kept[i]),
                          lib.primitive_desc_query_md(desc, passes[direction].queries[i], 0),
                          i == passes[direction].result, pass->wide && i == X, err);
    return rc;
}

static int make_passes(struct conv *conv, const struct nn_conv_shape *s, struct opiml_error *err) {
    bool x_half = s->transposed ? s->out_half : s->in_half;
    bool y_half = s->transposed ? s->in_half : s->out_half;
    int rc;

    conv->transposed = s->transposed;
    conv->volumes = (uint64_t)s->n * s->c / s->in_block;
    conv->volume = (uint64_t)s->d * s->h * s->w * s->in_block;
    conv->margin = (uint64_t)s->pad * s->h * s->w * s->in_block;
    if ((rc = describe_end(&conv->kept[X], s, s->transposed, type_of(x_half), KEPT, err)) < 0 ||
        (rc = describe_weights(&conv->kept[W], s, dnnl_f32, false, err)) < 0 ||
        (rc = describe_end(&conv->kept[Y], s, !s->transposed, type_of(y_half), KEPT, err)) < 0)
        return rc;
    for (int i = 0; rc == 0 && i < (int)COUNT_OF(conv->passes); i++)
        if (!s->first || i != (s->transposed ? FORWARD : BACKWARD_DATA))
            rc = make_pass(conv, s, (enum direction)i, err);
    return rc;
}

static void free_pass(struct pass *pass) {
    if (pass->primitive)
        lib.primitive_destroy(pass->primitive);
    for (int i = 0; i < OPERANDS; i++) {
        struct operand *operand = &pass->operands[i];

        if (operand->reorder)
            lib.primitive_destroy(operand->reorder);
        if (operand->used)
            lib.memory_destroy(operand->used);
        if (operand->kept)
            lib.memory_destroy(operand->kept);
    }
}

static void onednn_conv_destroy(void *pointer) {
    struct conv *conv = pointer;

    if (!conv)
        return;
    for (size_t i = 0; i < COUNT_OF(conv->passes); i++)
        free_pass(&conv->passes[i]);
    for (int i = 0; i < OPERANDS; i++)
        drop_data(&conv->kept[i]);
    base_free(conv);
}

/* Of the pass that takes most. */
static uint64_t work_of(const struct conv *conv) {
    uint64_t most = 0;

    for (size_t i = 0; i < COUNT_OF(conv->passes); i++) {
        const struct operand *operands = conv->passes[i].operands;

        most = base_max_u64(most, operands[X].bytes + operands[W].bytes + operands[Y].bytes);
    }
    return most;
}

static int onednn_conv_create(const struct nn_conv_shape *shape, void **ret_conv,
                              uint64_t *ret_work, struct opiml_error *err) {
    struct conv *conv = base_alloc(sizeof(*conv));
    int rc;

    if (!conv)
        return base_fail_memory(err, sizeof(*conv), "a convolution");
    rc = make_passes(conv, shape, err);
    if (rc < 0) {
        onednn_conv_destroy(conv);
        return rc;
    }
    *ret_work = work_of(conv);
    *ret_conv = conv;
    return 0;
}

/* ---- running ---- */

static int execute(dnnl_primitive_t primitive, int count, const dnnl_exec_arg_t *arguments,
                   struct opiml_error *err) {
    TRY(primitive_execute(primitive, lib.stream, count, arguments));
    TRY(stream_wait(lib.stream));
    return 0;
}

static int reorder(const struct operand *operand, bool back, struct opiml_error *err) {
    return execute(operand->reorder, 2,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, back ? operand->used : operand->kept},
                                       {DNNL_ARG_TO, back ? operand->kept : operand->used}},
                   err);
}

static void widen(const struct conv *conv, const float *x, float *wide) {
    uint64_t whole = conv->volume + 2 * conv->margin;

#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < conv->volumes; i++) {
        float *to = wide + i * whole;

        memset(to, 0, conv->margin * sizeof(*to));
        memcpy(to + conv->margin, x + i * conv->volume, conv->volume * sizeof(*to));
        memset(to + conv->margin + conv->volume, 0, conv->margin * sizeof(*to));
    }
}

/* `memory`: of x, weights and y, as they are kept; the pass's result is written. */
static int run(const struct conv *conv, enum direction direction,
               const float *const memory[OPERANDS], char *work, struct opiml_error *err) {
    const struct pass *pass = &conv->passes[direction];
    const struct operand *result = &pass->operands[passes[direction].result];
    dnnl_exec_arg_t arguments[OPERANDS];
    int rc = 0;

    for (int i = 0; rc == 0 && i < OPERANDS; i++) {
        const struct operand *operand = &pass->operands[i];

        arguments[i] = (dnnl_exec_arg_t){passes[direction].arguments[i],
                                         operand->used ? operand->used : operand->kept};
        TRY(memory_set_data_handle(operand->kept, (void *)(uintptr_t)memory[i]));
        if (!operand->used)
            continue;
        TRY(memory_set_data_handle(operand->used, work));
        if (i == X && pass->wide)
            widen(conv, memory[X], (float *)(void *)work);
        else if (operand != result)
            rc = reorder(operand, false, err);
        work += operand->bytes;
    }
    if (rc == 0)
        rc = execute(pass->primitive, OPERANDS, arguments, err);
    return rc == 0 && result->used ? reorder(result, true, err) : rc;
}

static int onednn_conv_forward(void *pointer, const float *x, const float *weights, float *y,
                               void *work, struct opiml_error *err) {
    const struct conv *conv = pointer;

    return conv->transposed ? run(conv, BACKWARD_DATA, (const float *[]){y, weights, x}, work, err)
                            : run(conv, FORWARD, (const float *[]){x, weights, y}, work, err);
}

static int onednn_conv_backward(void *pointer, const float *x, const float *weights,
                                const float *dy, float *dx, float *dweights, void *work,
                                struct opiml_error *err) {
    const struct conv *conv = pointer;
    int rc = conv->transposed
                 ? run(conv, BACKWARD_WEIGHTS, (const float *[]){dy, dweights, x}, work, err)
                 : run(conv, BACKWARD_WEIGHTS, (const float *[]){x, dweights, dy}, work, err);

    if (rc < 0 || !dx)
        return rc;
    return conv->transposed
               ? run(conv, FORWARD, (const float *[]){dy, weights, dx}, work, err)
               : run(conv, BACKWARD_DATA, (const float *[]){dx, weights, dy}, work, err);
}

const struct nn_kernels nn_kernels_onednn = {
    .name = "onednn",
    .open = onednn_open,
    .block = onednn_block,
    .half = onednn_half,
    .conv_create = onednn_conv_create,
    .conv_destroy = onednn_conv_destroy,
    .conv_forward = onednn_conv_forward,
    .conv_backward = onednn_conv_backward,
};

#else

static int absent_open(uint32_t threads, char *version, size_t room, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ENODEV, "oneDNN was left out of this build");
}

const struct nn_kernels nn_kernels_onednn = {.name = "onednn", .open = absent_open};

#endif
