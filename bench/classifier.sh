#!/bin/sh
# Training from files: CIFAR-10 as JPEG files to 88 % in a quarter of an hour, and the demonstration
# on its own images.
. "$(dirname "$0")/lib.sh"
shared cifar10-jpeg.tar.zst
cp -r "$here/examples/image-classification" "$tmp/example"
cd "$tmp/example"
rm -rf data runs
mkdir -p data/cifar10
tar --zstd -xf "$found" -C data/cifar10

began=$(date +%s)
opiml train cifar10.yaml
claim "CIFAR-10: minutes" "$(awk -v s=$(($(date +%s) - began)) 'BEGIN { printf "%.2f", s / 60 }')" most 15
claim "CIFAR-10: test accuracy" \
    "$(opiml eval runs/cifar10 --data cifar10-eval.yaml --json | field accuracy)" least 0.88

began=$(date +%s)
./run.sh >"$tmp/demo"
claim "demonstration: minutes" "$(awk -v s=$(($(date +%s) - began)) 'BEGIN { printf "%.2f", s / 60 }')" most 4
claim "demonstration: test accuracy" \
    "$(opiml eval runs/shapes --data shapes-eval.yaml --json | field accuracy)" least 0.90
"$programs/bench_train" train.yaml "${PAIRS:-10}" || failed=1
exit $failed
