#!/bin/sh
# Training steps of MLPerf's reference networks against PyTorch's, on two threads: $OPIML_TORCH is a
# Python that has it.
. "$(dirname "$0")/lib.sh"
peer=${OPIML_TORCH:-/usr/bin/python3}
if ! "$peer" -c 'import torch' 2>/dev/null; then
    echo "skipped: \$OPIML_TORCH names no Python that has PyTorch"
    exit 77
fi

# step MODEL PRECISION TARGET
step() {
    "$programs/bench_train_step" "$1" "$2" "${PAIRS:-10}" "$3" \
        "$peer" "$here/bench/train_step_peer.py" "$1" "$2" || failed=1
}

step resnet50 f32 1.1
step unet3d f32 1.2
if grep -q avx512_bf16 /proc/cpuinfo; then
    step resnet50 bf16 1.1
    step unet3d bf16 1.1
fi
exit $failed
