#!/bin/sh
# One seed, one stream: for every kind of dataset, order and operator, any number of threads, the
# ranks of any world added up, any cut, and two halves joined by a token give the same digest.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/folder" 240 --test 0
shapes "$tmp/tars" 240 --test 0 --format webdataset --seed 2
"$OPIML" data make table --out "$tmp/table" --count 500 --test 0 --fields 6 >/dev/null
"$OPIML" data make table --out "$tmp/raw" --count 500 --test 0 --fields 6 --format raw >/dev/null
"$OPIML" data make volumes --out "$tmp/bodies" --count 200 --test 0 --size 16 >/dev/null
"$OPIML" data make volumes --out "$tmp/arrays" --count 200 --test 0 --size 16 --format npy >/dev/null
fields='fields: ["x:f32:6", "label:i32"]'

# stream NAME FIELDS-OF-THE-DATASET-LINE ORDER OPERATOR...
stream() {
    stream_file=$tmp/$1.yaml
    printf 'opiml: 1\nkind: pipeline\nseed: 5\n%s\nshuffle: {%s}\nbatch: {size: 16}\nops:\n' "$2" "$3" \
        >"$stream_file"
    shift 3
    printf '  - %s\n' "$@" >>"$stream_file"
}

crop='random_resized_crop: {size: [24, 24]}'
stream block 'dataset: {uri: tars/train}' 'mode: block, block: 8, window: 3' 'decode: {}' "$crop"
stream mixed 'datasets: [{uri: folder/train, weight: 2}, {uri: tars/train, weight: 1}]' \
    'mode: global' 'decode: {}' "$crop" 'random_flip: {p: 0.5}'
stream colours 'dataset: {uri: folder/train}' 'mode: global' 'decode: {}' \
    'center_crop: {size: [28, 28]}' 'pad: {pad: 2}' 'random_crop: {size: [28, 28]}' \
    'color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}' \
    'normalize: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], to: bf16, layout: nchw}'
stream sampled 'datasets: [{uri: folder/train, weight: 2}, {uri: tars/train, weight: 1}]' \
    'mode: global' 'take: {count: 200, from: 30}' 'sample: {fraction: 0.7, per_epoch: true}' 'decode: {}' "$crop"
stream mixup 'dataset: {uri: folder/train}' 'mode: global' 'decode: {}' "$crop" \
    'normalize: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], to: f32}' \
    'one_hot: {field: label, classes: 10}' 'mixup: {alpha: 0.3, group: 4}'
stream cached 'dataset: {uri: folder/train}' 'mode: global' 'decode: {}' \
    'resize: {size: [26, 26]}' 'cache: {bytes: 300KiB}' 'random_crop: {size: [24, 24]}'
stream kept 'dataset: {uri: folder/train}' 'mode: global' 'decode: {}' \
    'resize: {size: [26, 26]}' 'cache: {in: disk, bytes: 300KiB}' 'random_crop: {size: [24, 24]}'
stream table 'dataset: {uri: table/train.csv}' 'mode: global' 'filter: {where: "x0 < 0.5"}' \
    'rename: {from: x1, to: first}' 'cast: {field: first, to: f16}' 'select: {fields: [first, x2, label]}'
stream raw "dataset: {uri: raw/train.bin, format: raw, $fields}" 'mode: block, block: 64, window: 2' \
    'cast: {field: x, to: f64}'
stream direct "dataset: {uri: raw/train.bin, format: raw, direct: true, $fields}" 'mode: global' \
    'cast: {field: x, to: f64}'

# Rows of which nothing is made do not leave their reader, but where the stream is cut.
shapes "$tmp/more" 100 --test 0 --format webdataset --seed 3
stream light 'datasets: [{uri: tars/train, weight: 2}, {uri: more/train, weight: 1}]' 'mode: global' \
    'select: {fields: [label]}' 'rename: {from: label, to: class}'

# Only the planes that the crop looks at are read here.
stream planes 'dataset: {uri: arrays/train, format: npy, parts: ["image:images/*.npy", "label:labels/*.npy"]}' \
    'mode: global' 'volume_random_crop: {fields: [image, label], size: [5, 9, 18]}' 'cast: {field: image, to: f32}'
stream volumes 'dataset: {uri: bodies/train, format: nifti, affine: affine, parts: ["image:images/*.nii", "label:labels/*.nii"]}' \
    'mode: global' 'volume_crop: {fields: [image, label], affine: affine, unit: mm, x: [-6, 100]}' \
    'volume_resample: {fields: [image, label], nearest: [label], affine: affine, spacing: [1.2, 1, 0.9]}' \
    'volume_normalize: {by: percentiles}' 'volume_pad: {fields: [image, label], affine: affine, multiple: 8}' \
    'volume_random_crop: {fields: [image, label], affine: affine, size: 12, oversample: 0.4}' \
    'volume_random_flip: {fields: [image, label], affine: affine}' \
    'volume_random_rotate90: {fields: [image, label], affine: affine, axes: [z, y, x]}' \
    'volume_center_crop: {fields: [image, label], affine: affine, size: [11, 12, 13]}' \
    'random_intensity: {scale: [0.8, 1.2], shift: [-0.1, 0.1]}' 'gaussian_noise: {std: [0, 0.1]}' \
    'volume_label: {maps: [image, label], to: other}' 'clip: {least: -0.5, most: 1}' 'volume_stack: {}'

for file in "$tmp"/*.yaml; do
    name=$(basename "$file" .yaml)
    whole=$(feed_digest "$file" --epochs 2)
    check "$name: feeds" same "$(echo "$whole" | wc -c) $(json errors)" "33 0"
    for threads in 1 2 8; do
        check "$name: $threads threads" same \
            "$(feed_digest "$file" --epochs 2 --threads $threads)" "$whole"
    done
    for world in 2 4; do
        parts= rank=0
        while [ $rank -lt $world ]; do
            parts="$parts $(feed_digest "$file" --epochs 2 --rank $rank --world $world)"
            rank=$((rank + 1))
        done
        # shellcheck disable=SC2086
        check "$name: $world ranks" same "$(add_digests $parts)" "$whole"
    done
    cut=0
    while opiml feed "$file" --epochs 2 --cut $cut --digest --json && [ "$status" = 0 ]; do
        check "$name: cut at $cut" same "$(json digest)" "$whole"
        cut=$((cut + 1))
    done
    check "$name: has operators to cut at" test $cut -ge 2
    opiml feed "$file" --epochs 2 --limit 300 --digest --json
    check "$name: two halves" same \
        "$(feed_digest "$file" --epochs 2 --resume "$(json resume)")" "$whole"
done
finish
