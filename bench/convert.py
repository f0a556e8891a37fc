#!/usr/bin/env python3
"""The same records written by `opiml data convert` and by the formats' usual writers in Python, one
process each, in memory (/dev/shm) where there is such a folder: opiml syncs what it writes, and a
comparison of disks is not meant.

    convert.py [PAIRS]

Images of a folder into WebDataset archives (against tarfile, as the webdataset library writes them),
volumes into compressed .npz archives (against numpy.savez_compressed), rows of a table into CSV
(against the csv module). opiml has one thread, and does not read back. Rounds alternate; the median
ratio and its bounds are printed.
"""
import csv
import glob
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy

IMAGES, VOLUMES, ROWS = 20000, 8, 200000
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def opiml(source, to, *options):
    shutil.rmtree(to, ignore_errors=True)
    began = time.monotonic()
    subprocess.run(["opiml", "data", "convert", source, to, "--threads", "1", "--no-check", "--overwrite", *options],
                   check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def by_tarfile(source, to):
    """A thousand images an archive, with a .cls beside each."""
    classes = sorted(os.listdir(source))
    names = [(path, label) for label, name in enumerate(classes) for path in sorted(glob.glob(f"{source}/{name}/*"))]
    for first in range(0, len(names), 1000):
        with tarfile.open(f"{to}/{first // 1000:06}.tar", "w") as archive:
            for number, (path, label) in enumerate(names[first:first + 1000], first):
                with open(path, "rb") as file:
                    parts = {"jpg": file.read(), "cls": str(label).encode()}
                for kind, data in parts.items():
                    member = tarfile.TarInfo(f"{number:09}.{kind}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def by_numpy(source, to):
    for number, path in enumerate(sorted(glob.glob(f"{source}/*.npy"))):
        numpy.savez_compressed(f"{to}/{number:09}.npz", data=numpy.load(path))


def by_csv(source, to):
    rows = numpy.fromfile(source, [("x", "<f4", 4), ("label", "<i4")])
    with open(f"{to}/rows.csv", "w", newline="", encoding="ascii") as file:
        out = csv.writer(file)
        out.writerow(["a", "b", "c", "d", "label"])
        for row in rows:
            out.writerow([*row["x"], row["label"]])


def compare(what, target, pairs, ours, peer):
    ratios = []
    ours()
    for _ in range(pairs):
        seconds = ours()
        with tempfile.TemporaryDirectory(dir=PLACE) as to:
            began = time.monotonic()
            peer(to)
            ratios.append((time.monotonic() - began) / seconds)
    ratios.sort()
    median = statistics.median(ratios)
    verdict = "ok" if median >= target else "MISSED"
    print(f"{what:<52} {median:6.2f}  [{ratios[0]:.2f}, {ratios[-1]:.2f}] of {pairs} pairs"
          f"  target {target:.2f} {verdict}", flush=True)
    return median < target


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(dir=PLACE) as tmp:
        os.environ["XDG_CACHE_HOME"] = f"{tmp}/cache"
        subprocess.run(["opiml", "data", "make", "images", "--out", f"{tmp}/images", "--count", str(IMAGES), "--test", "0",
                        "--size", "32"], check=True, stdout=subprocess.DEVNULL)
        random = numpy.random.default_rng(1)
        os.mkdir(f"{tmp}/volumes")
        for number in range(VOLUMES):
            smooth = random.normal(size=(96, 96, 96)).cumsum(0).cumsum(1)
            numpy.save(f"{tmp}/volumes/{number}.npy", (smooth * 4).astype("i2"))
        rows = numpy.zeros(ROWS, [("x", "<f4", 4), ("label", "<i4")])
        rows["x"] = random.normal(size=(ROWS, 4))
        rows["label"] = random.integers(0, 10, ROWS)
        rows.tofile(f"{tmp}/rows.bin")
        with open(f"{tmp}/rows.yaml", "w", encoding="ascii") as file:
            file.write('dataset: {uri: rows.bin, format: raw, fields: '
                       '["a:f32", "b:f32", "c:f32", "d:f32", "label:i32"]}\n')
        missed = compare("images to WebDataset, opiml / tarfile", 5, pairs,
                         lambda: opiml(f"{tmp}/images/train", f"{tmp}/to", "--format", "webdataset", "--shard-records", "1000"),
                         lambda to: by_tarfile(f"{tmp}/images/train", to))
        missed |= compare("volumes to .npz, opiml / numpy.savez_compressed", 3, pairs,
                          lambda: opiml(f"{tmp}/volumes", f"{tmp}/to", "--format", "npz", "--set", "deflate=2"),
                          lambda to: by_numpy(f"{tmp}/volumes", to))
        missed |= compare("rows to CSV, opiml / csv.writer", 3, pairs,
                          lambda: opiml(f"{tmp}/rows.yaml", f"{tmp}/to", "--format", "csv"),
                          lambda to: by_csv(f"{tmp}/rows.bin", to))
    return missed


if __name__ == "__main__":
    sys.exit(main())
