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
    case dnnl_cpu_isa_avx2_vnni: lib.block = 8; break;
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

/* What does not fill vectors of 16 may fill some of 8: without blocks its kernels are slow. Not so
 * of volumes, which have kernels for blocks of 16, where the processor has such vectors, and for no
 * blocks: for those of 8 their gradients would be computed a hundred times as slowly. */
static uint32_t onednn_block(uint32_t channels, uint32_t dims) {
    uint32_t least = dims == 3 ? 16 : 8;

    for (uint32_t block = lib.block; block >= least && block > 1; block /= 2)
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

/* ---- one convolution: three primitives, each with the weights' layout that it likes best ---- */

struct pass {
    dnnl_primitive_t primitive, reorder;
    dnnl_memory_t weights, plain; /* as the primitive wants them; as they are kept */
    float *memory;                /* of `weights`, when it differs from plain */
};

/* A transposed convolution is an ordinary one whose input x and output y change places. */
struct conv {
    dnnl_memory_desc_t x, y, plain;
    struct pass forward, data, weights;
    dnnl_memory_t mx, my, mdx, mdy;
    bool transposed;
    /* Where x is f32 and the rest bf16: how the first becomes the second, and where to. */
    dnnl_primitive_t convert;
    dnnl_memory_t given;
    void *converted;
};

/* sides: depth, height, width. */
static int activation(dnnl_memory_desc_t *desc, dnnl_data_type_t type, uint32_t dims, uint32_t n,
                      uint32_t c, const uint32_t sides[3], uint32_t block,
                      struct opiml_error *err) {
    dnnl_dims_t image = {n, c, sides[1], sides[2]}, volume = {n, c, sides[0], sides[1], sides[2]};

    if (dims == 3)
        return describe_data(desc, 5, volume, type,
                             type == dnnl_bf16 ? dnnl_ndhwc
                             : block == 16     ? dnnl_nCdhw16c
                             : block == 8      ? dnnl_nCdhw8c
                                               : dnnl_ncdhw,
                             err);
    return describe_data(desc, 4, image, type,
                         type == dnnl_bf16 ? dnnl_nhwc
                         : block == 16     ? dnnl_nChw16c
                         : block == 8      ? dnnl_nChw8c
                                           : dnnl_nchw,
                         err);
}

/* The data's and the weights' shapes. */
static int describe(struct conv *conv, const struct nn_conv_shape *s, dnnl_memory_desc_t *ret_any,
                    dnnl_memory_desc_t *ret_gradient, struct opiml_error *err) {
    const uint32_t x[] = {s->d, s->h, s->w};
    const uint32_t y[] = {nn_conv_out_d(s), nn_conv_out(s->h, s), nn_conv_out(s->w, s)};
    uint32_t in = s->transposed ? s->out_c : s->c, out = s->transposed ? s->c : s->out_c;
    dnnl_dims_t weights = {out, in, s->kernel, s->kernel, s->kernel};
    dnnl_data_type_t type = s->out_half ? dnnl_bf16 : dnnl_f32;
    int rc, ndim = (int)s->dims + 2;

    conv->transposed = s->transposed;
    if ((rc = activation(s->transposed ? &conv->y : &conv->x, type, s->dims, s->n, s->c, x,
                         s->in_block, err)) < 0 ||
        (rc = activation(s->transposed ? &conv->x : &conv->y, type, s->dims, s->n, s->out_c, y,
                         s->out_block, err)) < 0 ||
        (rc = describe_data(&conv->plain, ndim, weights, dnnl_f32,
                            s->dims == 3 ? dnnl_oidhw : dnnl_oihw, err)) < 0 ||
        (rc = describe_data(ret_any, ndim, weights, type, dnnl_format_tag_any, err)) < 0)
        return rc;
    return describe_data(ret_gradient, ndim, weights, dnnl_f32, dnnl_format_tag_any, err);
}

static void drop_desc(dnnl_primitive_desc_t *desc) {
    if (*desc)
        lib.primitive_desc_destroy(*desc);
}
#define AUTO_DESC CLEANUP(drop_desc)

/* Make the primitive of a pass, and the reorder between its weights and the plain ones: to it, or
 * (for gradients) from it. `any` are the weights in whatever layout. */
static int make_pass(struct conv *conv, struct pass *pass, const struct geometry *geometry,
                     enum direction direction, desc_view any, dnnl_primitive_desc_t hint,
                     dnnl_primitive_desc_t *ret_desc, struct opiml_error *err) {
    bool gradient = direction == BACKWARD_WEIGHTS;
    desc_view wanted, plain = view(&conv->plain);
    AUTO_DESC dnnl_primitive_desc_t reorder = NULL;
    int rc = describe_pass(geometry, direction, any, hint, ret_desc, err);

    if (rc < 0)
        return rc;
    TRY(primitive_create(&pass->primitive, *ret_desc));
    wanted = lib.primitive_desc_query_md(
        *ret_desc, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    TRY(memory_create(&pass->plain, plain, lib.engine, DNNL_MEMORY_NONE));
    if (lib.memory_desc_equal(wanted, plain)) {
        TRY(memory_create(&pass->weights, plain, lib.engine, DNNL_MEMORY_NONE));
        return 0;
    }
    pass->memory = base_alloc_aligned(lib.memory_desc_get_size(wanted), 64);
    if (!pass->memory)
        return base_fail_memory(err, lib.memory_desc_get_size(wanted), "a convolution's weights");
    TRY(memory_create(&pass->weights, wanted, lib.engine, pass->memory));
    TRY(reorder_primitive_desc_create(&reorder, gradient ? wanted : plain, lib.engine,
                                      gradient ? plain : wanted, lib.engine, NULL));
    TRY(primitive_create(&pass->reorder, reorder));
    return 0;
}

static int make_passes(struct conv *conv, const struct nn_conv_shape *shape,
                       struct opiml_error *err) {
    struct geometry geometry = {.strides = {shape->stride, shape->stride, shape->stride},
                                .pad = {shape->pad, shape->pad, shape->pad}};
    AUTO_DESC dnnl_primitive_desc_t forward = NULL, data = NULL, gradient = NULL;
    AUTO_DATA dnnl_memory_desc_t any = {0}, any_gradient = {0};
    int rc;

    if ((rc = describe(conv, shape, &any, &any_gradient, err)) < 0)
        return rc;
    geometry.x = view(&conv->x);
    geometry.y = view(&conv->y);
    if ((rc = make_pass(conv, &conv->forward, &geometry, FORWARD, view(&any), NULL, &forward,
                        err)) < 0 ||
        (rc = make_pass(conv, &conv->data, &geometry, BACKWARD_DATA, view(&any), forward, &data,
                        err)) < 0 ||
        (rc = make_pass(conv, &conv->weights, &geometry, BACKWARD_WEIGHTS, view(&any_gradient),
                        forward, &gradient, err)) < 0)
        return rc;
    TRY(memory_create(&conv->mx, geometry.x, lib.engine, DNNL_MEMORY_NONE));
    TRY(memory_create(&conv->mdx, geometry.x, lib.engine, DNNL_MEMORY_NONE));
    TRY(memory_create(&conv->my, geometry.y, lib.engine, DNNL_MEMORY_NONE));
    TRY(memory_create(&conv->mdy, geometry.y, lib.engine, DNNL_MEMORY_NONE));
    return 0;
}

/* Of an f32 input where the rest is bf16. */
static int make_convert(struct conv *conv, const struct nn_conv_shape *s, struct opiml_error *err) {
    AUTO_DESC dnnl_primitive_desc_t reorder = NULL;
    AUTO_DATA dnnl_memory_desc_t given = {0};
    size_t bytes = lib.memory_desc_get_size(view(&conv->x));
    int rc = activation(&given, dnnl_f32, s->dims, s->n, s->c, (uint32_t[]){s->d, s->h, s->w},
                        s->in_block, err);

    if (rc < 0)
        return rc;
    conv->converted = base_alloc_aligned(bytes, 64);
    if (!conv->converted)
        return base_fail_memory(err, bytes, "a convolution's input");
    TRY(reorder_primitive_desc_create(&reorder, view(&given), lib.engine, view(&conv->x),
                                      lib.engine, NULL));
    TRY(primitive_create(&conv->convert, reorder));
    TRY(memory_create(&conv->given, view(&given), lib.engine, DNNL_MEMORY_NONE));
    return 0;
}

static void free_pass(struct pass *pass) {
    if (pass->primitive)
        lib.primitive_destroy(pass->primitive);
    if (pass->reorder)
        lib.primitive_destroy(pass->reorder);
    if (pass->weights)
        lib.memory_destroy(pass->weights);
    if (pass->plain)
        lib.memory_destroy(pass->plain);
    base_free(pass->memory);
}

static void onednn_conv_destroy(void *pointer) {
    struct conv *conv = pointer;

    if (!conv)
        return;
    free_pass(&conv->forward);
    free_pass(&conv->data);
    free_pass(&conv->weights);
    if (conv->convert)
        lib.primitive_destroy(conv->convert);
    base_free(conv->converted);
    dnnl_memory_t memories[] = {conv->mx, conv->my, conv->mdx, conv->mdy, conv->given};
    for (size_t i = 0; i < COUNT_OF(memories); i++)
        if (memories[i])
            lib.memory_destroy(memories[i]);
    drop_data(&conv->x);
    drop_data(&conv->y);
    drop_data(&conv->plain);
    base_free(conv);
}

static int onednn_conv_create(const struct nn_conv_shape *shape, void **ret_conv,
                              struct opiml_error *err) {
    struct conv *conv = base_alloc(sizeof(*conv));
    int rc;

    if (!conv)
        return base_fail_memory(err, sizeof(*conv), "a convolution");
    rc = make_passes(conv, shape, err);
    if (rc == 0 && shape->out_half && !shape->in_half)
        rc = make_convert(conv, shape, err);
    if (rc < 0)
        onednn_conv_destroy(conv);
    else
        *ret_conv = conv;
    return rc;
}

static int execute(dnnl_primitive_t primitive, int count, const dnnl_exec_arg_t *arguments,
                   struct opiml_error *err) {
    TRY(primitive_execute(primitive, lib.stream, count, arguments));
    TRY(stream_wait(lib.stream));
    return 0;
}

/* Weights from plain to the pass's layout. */
static int arrange(struct pass *pass, const float *weights, struct opiml_error *err) {
    if (!pass->reorder) {
        TRY(memory_set_data_handle(pass->weights, (void *)(uintptr_t)weights));
        return 0;
    }
    TRY(memory_set_data_handle(pass->plain, (void *)(uintptr_t)weights));
    return execute(pass->reorder, 2,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, pass->plain}, {DNNL_ARG_TO, pass->weights}},
                   err);
}

static int run_forward(struct conv *conv, const float *x, const float *weights, float *y,
                       struct opiml_error *err) {
    int rc = arrange(&conv->forward, weights, err);

    if (rc < 0)
        return rc;
    TRY(memory_set_data_handle(conv->mx, (void *)(uintptr_t)x));
    TRY(memory_set_data_handle(conv->my, y));
    return execute(conv->forward.primitive, 3,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, conv->mx},
                                       {DNNL_ARG_WEIGHTS, conv->forward.weights},
                                       {DNNL_ARG_DST, conv->my}},
                   err);
}

static int run_data(struct conv *conv, const float *dy, const float *weights, float *dx,
                    struct opiml_error *err) {
    int rc = arrange(&conv->data, weights, err);

    if (rc < 0)
        return rc;
    TRY(memory_set_data_handle(conv->mdy, (void *)(uintptr_t)dy));
    TRY(memory_set_data_handle(conv->mdx, dx));
    return execute(conv->data.primitive, 3,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_DIFF_DST, conv->mdy},
                                       {DNNL_ARG_WEIGHTS, conv->data.weights},
                                       {DNNL_ARG_DIFF_SRC, conv->mdx}},
                   err);
}

static int run_weights(struct conv *conv, const float *x, const float *dy, float *dweights,
                       struct opiml_error *err) {
    struct pass *pass = &conv->weights;
    int rc;

    TRY(memory_set_data_handle(conv->mx, (void *)(uintptr_t)x));
    TRY(memory_set_data_handle(conv->mdy, (void *)(uintptr_t)dy));
    TRY(memory_set_data_handle(pass->reorder ? pass->plain : pass->weights, dweights));
    rc = execute(pass->primitive, 3,
                 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, conv->mx},
                                     {DNNL_ARG_DIFF_DST, conv->mdy},
                                     {DNNL_ARG_DIFF_WEIGHTS, pass->weights}},
                 err);
    if (rc < 0 || !pass->reorder)
        return rc;
    return execute(pass->reorder, 2,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, pass->weights}, {DNNL_ARG_TO, pass->plain}},
                   err);
}

static int convert(struct conv *conv, const float *x, struct opiml_error *err) {
    TRY(memory_set_data_handle(conv->given, (void *)(uintptr_t)x));
    TRY(memory_set_data_handle(conv->mx, conv->converted));
    return execute(conv->convert, 2,
                   (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, conv->given}, {DNNL_ARG_TO, conv->mx}}, err);
}

static int onednn_conv_forward(void *pointer, const float *x, const float *weights, float *y,
                               struct opiml_error *err) {
    struct conv *conv = pointer;
    int rc = conv->convert ? convert(conv, x, err) : 0;

    if (rc < 0)
        return rc;
    x = conv->convert ? conv->converted : x;
    return conv->transposed ? run_data(conv, x, weights, y, err)
                            : run_forward(conv, x, weights, y, err);
}

static int onednn_conv_backward(void *pointer, const float *x, const float *weights,
                                const float *dy, float *dx, float *dweights,
                                struct opiml_error *err) {
    struct conv *conv = pointer;
    int rc;

    x = conv->convert ? conv->converted : x; /* forward's, still */
    rc = conv->transposed ? run_weights(conv, dy, x, dweights, err)
                          : run_weights(conv, x, dy, dweights, err);
    if (rc < 0 || !dx)
        return rc;
    return conv->transposed ? run_forward(conv, dy, weights, dx, err)
                            : run_data(conv, dy, weights, dx, err);
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
