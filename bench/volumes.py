#!/usr/bin/python3
"""Boxes of CT volumes for MLPerf's U-Net3D: crop to 128³, flips, brightness and noise, by opiml and by
NumPy, both from preprocessed .npy files that the page cache holds, on one thread.

    volumes.py [PAIRS]

The steps and their numbers are those of the reference, pytorch_loader.py of mlcommons/training's
unet3d, but that a box of the foreground lies around one of its voxels in both. A round is 96 boxes of
eight volumes of 150 × 190 × 190; rounds alternate, and the median ratio and its bounds are printed.
"""
import os
import statistics
import sys
import tempfile
import time

import numpy

import opiml

TARGET, VOLUMES, ROWS, SIDE, SHAPE = 1.0, 8, 96, 128, (150, 190, 190)


def make(folder):
    random = numpy.random.default_rng(1)
    for case in range(VOLUMES):
        numpy.save(f"{folder}/{case}_x.npy", random.normal(size=SHAPE).astype("f4"))
        label = numpy.zeros(SHAPE, "u1")
        label[60:90, 80:120, 60:100] = 1
        label[70:80, 90:100, 70:90] = 2
        numpy.save(f"{folder}/{case}_y.npy", label)


def place(label, random):
    """Where a box begins: four in ten lie around a voxel of the foreground."""
    if random.random() >= 0.4:
        return [random.integers(n - SIDE + 1) for n in label.shape]
    chosen = random.choice(numpy.unique(label[label > 0]))
    voxels = numpy.argwhere(label == chosen)
    voxel = voxels[random.integers(len(voxels))]
    return [int(numpy.clip(i - SIDE // 2, 0, n - SIDE)) for i, n in zip(voxel, label.shape)]


def peer(folder, random):
    for row in range(ROWS):
        image = numpy.load(f"{folder}/{row % VOLUMES}_x.npy")
        label = numpy.load(f"{folder}/{row % VOLUMES}_y.npy")
        box = tuple(slice(i, i + SIDE) for i in place(label, random))
        image, label = image[box], label[box]
        for axis in range(3):
            if random.random() < 1 / 3:
                image, label = numpy.flip(image, axis).copy(), numpy.flip(label, axis).copy()
        if random.random() < 0.1:
            image = (image * (1 + random.uniform(0.7, 1.3))).astype("f4")
        if random.random() < 0.1:
            image = image + random.normal(0, random.uniform(0, 0.1), image.shape).astype("f4")
        yield numpy.ascontiguousarray(image)[None], numpy.ascontiguousarray(label)


def ours(folder, epoch):
    pipeline = opiml.Pipeline.parse(f"""
opiml: 1
kind: pipeline
seed: {epoch}
dataset: {{uri: "{folder}", format: npy, parts: ["image:*_x.npy", "label:*_y.npy"]}}
shuffle: {{mode: global}}
epoch: {{samples: {ROWS}}}
ops:
  - volume_random_crop: {{fields: [image, label], size: {SIDE}, oversample: 0.4}}
  - volume_random_flip: {{fields: [image, label], p: 0.3333333333333333}}
  - random_intensity: {{p: 0.1, scale: [1.7, 2.3]}}
  - gaussian_noise: {{p: 0.1, std: [0, 0.1]}}
  - volume_stack: {{fields: [image], to: image}}
batch: {{size: 1}}
""", threads=1, epochs=1)
    for batch in pipeline:
        yield batch["image"][0], batch["label"][0]


def rate(rows):
    began, count = time.monotonic(), 0
    for image, label in rows:
        assert image.shape == (1, SIDE, SIDE, SIDE) and label.shape == (SIDE,) * 3
        assert image.dtype == numpy.float32 and label.dtype == numpy.uint8
        count += 1
    assert count == ROWS
    return count / (time.monotonic() - began)


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    random = numpy.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder + "/cache"
        make(folder)
        rates = [(rate(ours(folder, turn)), rate(peer(folder, random))) for turn in range(pairs + 1)][1:]
    ratios = sorted(a / b for a, b in rates)
    ratio = statistics.median(ratios)
    print(f"{'boxes of 128³, opiml ÷ NumPy, one thread':<44} {ratio:6.3f}  [{ratios[0]:.3f}, {ratios[-1]:.3f}] of "
          f"{pairs} pairs  target {TARGET:.2f} {'ok' if ratio >= TARGET else 'MISSED'}  "
          f"({statistics.median(a for a, _ in rates):.1f} against {statistics.median(b for _, b in rates):.1f} per second)")
    return ratio < TARGET


if __name__ == "__main__":
    sys.exit(main())
