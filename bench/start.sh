#!/bin/sh
# A folder of 60,000 images: how fast its index is built, and how soon the first batch is there when
# the program is started anew. All is in the page cache.
. "$(dirname "$0")/lib.sh"
files=${FILES:-60000}
opiml data make images --out "$tmp/data" --count "$files" --test 0 --size 32 --seed 1 >/dev/null
cat >"$tmp/start.yaml" <<YAML
opiml: 1
kind: pipeline
dataset: {uri: data/train, format: image-folder}
shuffle: {mode: global}
ops:
  - decode: {}
  - center_crop: {size: [32, 32]}
batch: {size: 64}
YAML

rate=$("$programs/bench_index" "$files" 11 | tee /dev/stderr | awk '/^build:/ { print $2 }')
claim "files a second, index built" "$rate" least 100000

# From the start of the process to its end after one batch; the median of eleven.
opiml feed "$tmp/start.yaml" --limit 64 >/dev/null
i=0
while [ $i -lt 11 ]; do
    began=$(date +%s%N)
    opiml feed "$tmp/start.yaml" --limit 64 --json >"$tmp/out"
    echo $((($(date +%s%N) - began) / 1000000))
    [ "$(field samples <"$tmp/out")" = 64 ]
    i=$((i + 1))
done >"$tmp/times"
claim "milliseconds to the first batch and the end" "$(sort -n "$tmp/times" | sed -n 6p)" most 500
exit $failed
