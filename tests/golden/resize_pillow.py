#!/usr/bin/python3
"""Writes resize_pillow.bin, what Pillow's BILINEAR resize makes of some noise, for unit/op/test_resample.c.

Per case, little-endian: u16 width, height, channels, out width, out height; 4 × f32 box (left, top,
right, bottom); then the pixels in and out.
"""
import random
import struct
from pathlib import Path

from PIL import Image

CASES = [  # width, height, mode, out width, out height, box
    (24, 18, "RGB", 16, 12, None), (16, 12, "RGB", 24, 31, None), (61, 47, "RGB", 10, 7, None),
    (33, 9, "L", 8, 20, None), (20, 20, "RGB", 20, 20, None), (7, 50, "RGB", 5, 3, None),
    (40, 30, "RGB", 14, 14, (3.25, 2.5, 37.75, 28.125)), (12, 12, "RGB", 30, 30, (1.5, 0.25, 7.25, 11.0)),
]

random.seed(1)
with open(Path(__file__).with_suffix(".bin"), "wb") as out:
    for width, height, mode, out_w, out_h, box in CASES:
        channels = len(mode)
        pixels = bytes(min(255, x * 5 % 200 + random.randrange(56)) for x in range(width * height * channels))
        image = Image.frombytes(mode, (width, height), pixels)
        box = box or (0, 0, width, height)
        result = image.resize((out_w, out_h), Image.BILINEAR, box=box)
        out.write(struct.pack("<5H4f", width, height, channels, out_w, out_h, *box))
        out.write(pixels)
        out.write(result.tobytes())
