/* A whole training step (forward, loss, backward, SGD with momentum) of MLPerf's reference networks
 * against the same step of another program, in turn. That program says "ready" on its standard
 * output, then, for every line that it gets, runs a step and says how many seconds it took.
 *
 *   bench_train_step resnet50|unet3d f32|bf16 PAIRS TARGET [PEER...]
 *
 * Without a peer it only tells its own rate. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pairs.h"
#include "nn/nn.h"

#define THREADS 2
#define WARM 3 /* steps before any is timed */

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "bench_train_step: %s\n", err.message);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct opiml_error err;

/* ResNet-50 on batches of 16 photographs, or the U-Net on patches of 64³, one at a time. */
struct run {
    struct nn_net *net;
    bool dense;
    uint32_t rows;
    uint64_t steps;
    int32_t labels[16];
    uint8_t *classes; /* of each voxel */
};

static void open_run(struct run *run, const char *model, const char *precision) {
    struct nn_model_conf conf = {.name = NN_RESNET50, .width = 64, .classes = 1000};
    const struct nn_kernels *kernels;
    struct nn_tensor *input;
    char version[64];

    run->dense = strcmp(model, "unet3d") == 0;
    run->rows = run->dense ? 1 : 16;
    if (run->dense)
        conf = (struct nn_model_conf){.name = NN_UNET3D, .width = 32, .classes = 3};
    CHECK(nn_kernels_open("auto", THREADS, &kernels, version, sizeof(version), &err));
    CHECK(nn_net_create(kernels, run->rows, &run->net, &err));
    if (strcmp(precision, "bf16") == 0)
        CHECK(nn_net_use_bf16(run->net, &err));
    if (run->dense)
        CHECK(nn_model_build(run->net, &conf, 1, 64, 64, 64, &err));
    else
        CHECK(nn_model_build(run->net, &conf, 3, 1, 224, 224, &err));
    CHECK(nn_net_finish(run->net, 1, &err));
    input = nn_net_input(run->net);
    srand(1);
    for (uint64_t i = 0; i < input->count; i++)
        input->data[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (uint32_t i = 0; i < COUNT_OF(run->labels); i++)
        run->labels[i] = rand() % 1000;
    run->classes = base_alloc(nn_pixels(input));
    for (uint64_t i = 0; run->dense && i < nn_pixels(input); i++)
        run->classes[i] = (uint8_t)(rand() % 3);
}

static double loss_of(struct run *run) {
    struct nn_tensor *out = nn_net_output(run->net);
    struct nn_overlap overlaps[3] = {0};
    uint32_t correct;

    if (run->dense)
        return nn_dice_cross_entropy(out->data, out->n, out->c, nn_pixels(out), run->classes,
                                     out->grad, overlaps);
    return nn_cross_entropy(out->data, out->n, out->c, run->labels, NULL, 0, out->grad, &correct);
}

static double step(struct run *run) {
    const struct nn_optimizer_conf sgd = {.name = NN_SGD, .momentum = 0.9, .weight_decay = 1e-4};
    uint64_t began = clock_now_ns();
    double loss;

    CHECK(nn_net_forward(run->net, true, &err));
    loss = loss_of(run);
    CHECK(nn_net_backward(run->net, &err));
    nn_optimizer_step(&sgd, run->net, 0.01, ++run->steps);
    if (!(loss < 100)) {
        fprintf(stderr, "bench_train_step: the loss is %g\n", loss);
        exit(1);
    }
    return (double)(clock_now_ns() - began) * 1e-9;
}

/* ---- the other program ---- */

struct peer {
    FILE *to, *from;
    pid_t pid;
};

static void start_peer(struct peer *peer, char **argv) {
    int down[2], up[2];

    if (pipe(down) < 0 || pipe(up) < 0 || (peer->pid = fork()) < 0) {
        perror("bench_train_step");
        exit(1);
    }
    if (peer->pid == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[1]);
        close(up[0]);
        unsetenv("GOMP_SPINCOUNT"); /* which is ours: it has its own defaults */
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    peer->to = fdopen(down[1], "w");
    peer->from = fdopen(up[0], "r");
}

static const char *hear(struct peer *peer) {
    static char line[128];

    if (!fgets(line, sizeof(line), peer->from)) {
        fprintf(stderr, "bench_train_step: the other program has ended\n");
        exit(1);
    }
    return line;
}

static double peer_step(struct peer *peer) {
    fputs("step\n", peer->to);
    fflush(peer->to);
    return atof(hear(peer));
}

int main(int argc, char **argv) {
    struct pairs pairs = {0};
    struct peer peer = {0};
    struct run run = {0};
    char what[80];

    nn_threads_settle(argv); /* as `opiml train` does */
    if (argc < 5) {
        fprintf(stderr,
                "usage: bench_train_step resnet50|unet3d f32|bf16 PAIRS TARGET [PEER...]\n");
        return 2;
    }
    snprintf(what, sizeof(what), "%s %s, a training step: opiml / peer", argv[1], argv[2]);
    pairs.what = what;
    pairs.target = atof(argv[4]);
    if (argc > 5) {
        start_peer(&peer, argv + 5);
        hear(&peer); /* ready */
    }
    open_run(&run, argv[1], argv[2]);
    for (int i = 0; i < WARM; i++)
        step(&run);
    for (int i = 0; i < atoi(argv[3]); i++) {
        double ours = run.rows / step(&run);

        pairs_add(&pairs, ours, peer.pid ? run.rows / peer_step(&peer) : ours);
    }
    if (peer.pid) {
        fclose(peer.to); /* it ends */
        waitpid(peer.pid, NULL, 0);
    } else {
        pairs.target = 0;
    }
    nn_net_destroy(run.net);
    base_free(run.classes);
    return pairs_report(&pairs);
}
