"""The same photographs, cropped, flipped and batched for training, by opiml and by torchvision's
DataLoader, both as seen from Python.

    dataloader.py PICTURES [WORKERS [PAIRS]]

PICTURES is a folder of class folders. Both shuffle, decode, take a random-resized crop of 224 × 224,
flip, and deliver u8 batches of 50 with WORKERS (2) compute threads or worker processes. A round is
eight passes over the pictures as one epoch, so that neither starts anew within it; the DataLoader
keeps its workers from round to round. Rounds alternate; the median ratio and its bounds are printed.
"""
import statistics
import sys
import time

import torch
import torchvision
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import opiml

TARGET, PASSES, SIDE, ROWS = 2.0, 8, 224, 50


def peer(pictures, workers):
    crop = transforms.Compose([transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(),
                               transforms.PILToTensor()])
    pictures = ConcatDataset([ImageFolder(pictures, crop)] * PASSES)
    return DataLoader(pictures, batch_size=ROWS, shuffle=True, num_workers=workers,
                      persistent_workers=True)


def ours(pictures, workers):
    count = len(ImageFolder(pictures)) * PASSES
    return opiml.Pipeline.parse(f"""
opiml: 1
kind: pipeline
dataset: {{uri: "{pictures}", format: image-folder}}
shuffle: {{mode: global}}
epoch: {{samples: {count}}}
ops:
  - decode: {{}}
  - random_resized_crop: {{size: [{SIDE}, {SIDE}]}}
  - random_flip: {{p: 0.5}}
batch: {{size: {ROWS}}}
""", threads=workers)


def rate(loader, image):
    """Pictures per second over one epoch; `image` takes the pixels out of a batch."""
    began, rows = time.monotonic(), 0
    for batch in loader:
        pixels = image(batch)
        rows += len(pixels)
        assert pixels.dtype == torch.uint8 and pixels.numel() == len(pixels) * SIDE * SIDE * 3
    return rows / (time.monotonic() - began)


def main():
    pictures = sys.argv[1]
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    ways = [(ours(pictures, workers), lambda batch: torch.from_numpy(batch["image"])),
            (peer(pictures, workers), lambda batch: batch[0])]
    for way in ways:
        rate(*way)  # workers started, caches warm
    rates = [[rate(*way) for way in ways] for _ in range(pairs)]
    ratios = sorted(a / b for a, b in rates)
    median = statistics.median(ratios)
    what = f"opiml / torchvision {torchvision.__version__} DataLoader, {workers} workers"
    verdict = "ok" if median >= TARGET else "MISSED"
    print(f"{what:<44} {median:6.3f}  [{ratios[0]:.3f}, {ratios[-1]:.3f}] of {pairs} pairs"
          f"  target {TARGET:.2f} {verdict}"
          f"  ({statistics.median(a for a, _ in rates):.1f} against "
          f"{statistics.median(b for _, b in rates):.1f} per second)")
    return median < TARGET


if __name__ == "__main__":
    sys.exit(main())
