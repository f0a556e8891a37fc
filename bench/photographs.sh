#!/bin/sh
# Photographs for training: decode + random-resized crop to 224 × 224 + flip → u8, on 250 pictures of
# ImageNet, in one run: against the ceiling (decoding those regions and nothing else), the plain way
# (whole decode, float resize), a bare loop without an engine, two threads, and torchvision.
. "$(dirname "$0")/lib.sh"
shared imagenet-sample-250.tar
pictures=$found

cat >"$tmp/photographs.yaml" <<YAML
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: "$pictures"}
shuffle: {mode: global}
ops:
  - decode: {}
  - random_resized_crop: {size: [224, 224]}
  - random_flip: {p: 0.5}
batch: {size: 50}
YAML
mkdir -p "$tmp/pictures/photographs"
tar -xf "$pictures" -C "$tmp/pictures/photographs"

"$programs/bench_image_decode" "$pictures" "${PAIRS:-20}" || failed=1
"$programs/bench_feed" "$tmp/photographs.yaml" "${PAIRS:-10}" || failed=1
OPIML_LIBRARY=${programs%/bench}/src/libopiml.so /usr/bin/python3 "$here/bench/dataloader.py" \
    "$tmp/pictures" 2 "${PAIRS:-10}" || failed=1
exit $failed
