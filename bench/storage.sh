#!/bin/sh
# Storage: volumes as MLPerf's unet3d has them (stored .npz of some 140 MB) and TFRecord shards of
# images of about 150 KB as its ResNet-50 has them, read past the page cache. The feed checks frames
# and CRCs as asked and delivers the labels, so that reading is all that it does; fio reads the same
# files. Data are made below TMPDIR, which must not be in memory.
. "$(dirname "$0")/lib.sh"
pairs=${PAIRS:-20}
case $(stat -f -c %T "$tmp") in
tmpfs | ramfs)
    echo "skipped: $tmp lies in memory; set TMPDIR to a folder on a disk"
    exit 77
    ;;
esac

/usr/bin/python3 - "$tmp" <<'PYTHON'
import os
import struct
import sys

import crcmod.predefined
import numpy

folder = sys.argv[1]
rng = numpy.random.default_rng(1)
crc32c = crcmod.predefined.mkCrcFun("crc-32c")


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def feature(name, kind, payload):
    return field(1, field(1, name) + field(2, field(kind, payload)))


def frame(data):
    def masked(part):
        crc = crc32c(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


os.mkdir(f"{folder}/npz")
for i in range(3):
    numpy.savez(f"{folder}/npz/volume_{i}.npz", x=rng.integers(0, 256, (560, 500, 500), numpy.uint8),
                y=numpy.array([i], numpy.int64))
os.mkdir(f"{folder}/tfrecord")
for shard in range(4):
    with open(f"{folder}/tfrecord/train-{shard:05d}-of-00004.tfrecord", "wb") as out:
        for _ in range(640):
            image = rng.bytes(int(rng.integers(120_000, 180_000)))
            label = field(1, varint(int(rng.integers(0, 1000))))
            out.write(frame(field(1, feature(b"image", 1, field(1, image)) +
                                  feature(b"label", 3, label))))
os.sync()
PYTHON

# pipeline NAME OPTIONS OPERATOR BATCH
pipeline() {
    cat >"$tmp/$1.yaml" <<YAML
opiml: 1
kind: pipeline
dataset: {uri: "$tmp/${1%%-*}", format: ${1%%-*}, direct: true, $2}
ops: [$3]
batch: {size: $4}
YAML
}
pipeline npz-plain "crc: false" "{select: {fields: [y]}}" 1
pipeline npz-crc "crc: true" "{select: {fields: [y]}}" 1
pipeline npz-delivered "crc: false" "" 1
pipeline npz-cropped "crc: false" "{volume_random_crop: {fields: [x], size: 128}}" 1
pipeline tfrecord-plain "crc: false" "{select: {fields: [label]}}" 64
pipeline tfrecord-crc "crc: true" "{select: {fields: [label]}}" 64

bench() {
    "$programs/bench_storage" "$@" || failed=1
}
for format in npz tfrecord; do
    echo "-- $format"
    bench fio "$tmp/$format-plain.yaml" "$pairs" 0.95 0.67 io_uring "$tmp/$format"/*
    echo "-- $format, CRCs checked / not"
    bench two "$tmp/$format-crc.yaml" "$tmp/$format-plain.yaml" "$pairs" 0.90
    echo "-- $format, without io_uring"
    OPIML_IO=pread bench fio "$tmp/$format-plain.yaml" "$pairs" 0.85 0 libaio "$tmp/$format"/*
done
echo "-- npz, volumes copied into batches"
bench fio "$tmp/npz-delivered.yaml" "$pairs" 0.85 0 io_uring "$tmp/npz"/*
echo "-- npz, cropped to 128 of 560 planes"
whole=$(opiml feed "$tmp/npz-delivered.yaml" --json | field bytes_read)
part=$(opiml feed "$tmp/npz-cropped.yaml" --json | field bytes_read)
claim "bytes read for crops / for volumes" "$(awk "BEGIN { print $part / $whole }")" most 0.23
exit $failed
