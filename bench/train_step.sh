#!/bin/sh
# Training steps of MLPerf's reference networks against PyTorch's, on two threads.
. "$(dirname "$0")/lib.sh"
torch

# step MODEL PRECISION TARGET
step() {
    "$programs/bench_train_step" "$1" "$2" "${PAIRS:-10}" "$3" \
        "$torch" "$here/bench/train_step_peer.py" "$1" "$2" || failed=1
}

step resnet50 f32 1.1
step unet3d f32 1.2
if grep -q avx512_bf16 /proc/cpuinfo; then
    step resnet50 bf16 1.1
    step unet3d bf16 1.1
fi
exit $failed
