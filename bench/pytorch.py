"""One PyTorch training script, fed by opiml and by PyTorch's own DataLoader over Pillow.

    pytorch.py PICTURES [WORKERS [PAIRS]]

PICTURES is a folder of class folders. Both ways shuffle, decode, take a random-resized crop of
224 × 224, flip, and make normalised f32 batches of 50, with WORKERS (2) compute threads or worker
processes. The network is small, so that feeding it is most of the work. Each run is a process of its
own, trains for eight passes over the pictures, and is timed from its second batch on. The memory of
feeding is the largest sum of the proportional set sizes of its processes, less that of the same
script when it trains on one batch that lies ready (PyTorch itself takes most of it). Runs alternate;
the median ratios and their bounds are printed.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time

PASSES, SIDE, ROWS, CLASSES = 8, 224, 50, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RATE, MEMORY = 2.0, 0.5  # targets


# ---- the script that trains ----

def files_of(pictures):
    """(file, class) of every picture."""
    classes = sorted(entry.name for entry in os.scandir(pictures) if entry.is_dir())
    return [(os.path.join(pictures, name, file), label) for label, name in enumerate(classes)
            for file in sorted(os.listdir(os.path.join(pictures, name)))]


class Pictures:
    """What torchvision's ImageFolder does with RandomResizedCrop, RandomHorizontalFlip, ToTensor and
    Normalize, by Pillow and PyTorch alone: torchvision's own binaries do not go with every build of
    PyTorch."""

    def __init__(self, pictures):
        import torch
        self.files = files_of(pictures) * PASSES
        self.mean = torch.tensor(MEAN)[:, None, None]
        self.std = torch.tensor(STD)[:, None, None]

    def __len__(self):
        return len(self.files)

    def box(self, width, height):
        import torch
        for _ in range(10):
            area = width * height * torch.empty(1).uniform_(0.08, 1).item()
            ratio = math.exp(torch.empty(1).uniform_(math.log(3 / 4), math.log(4 / 3)).item())
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left = torch.randint(0, width - w + 1, (1,)).item()
                top = torch.randint(0, height - h + 1, (1,)).item()
                return left, top, left + w, top + h
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    def __getitem__(self, index):
        import numpy
        import torch
        from PIL import Image
        path, label = self.files[index]
        with open(path, "rb") as file:
            image = Image.open(file).convert("RGB")
        image = image.crop(self.box(*image.size)).resize((SIDE, SIDE), Image.BILINEAR)
        if torch.rand(1) < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255).sub_(self.mean).div_(self.std), label


def theirs(pictures, workers):
    from torch.utils.data import DataLoader
    return DataLoader(Pictures(pictures), batch_size=ROWS, shuffle=True, num_workers=workers)


def ours(pictures, workers):
    from opiml.torch import DataLoader
    count = PASSES * len(files_of(pictures))
    cache = os.environ["XDG_CACHE_HOME"]
    os.makedirs(cache, exist_ok=True)
    path = os.path.join(cache, "pytorch.yaml")
    with open(path, "w") as file:
        file.write(f"""
opiml: 1
kind: pipeline
dataset: {{uri: "{pictures}", format: image-folder}}
shuffle: {{mode: global}}
epoch: {{samples: {count}}}
ops:
  - decode: {{}}
  - random_resized_crop: {{size: [{SIDE}, {SIDE}]}}
  - random_flip: {{p: 0.5}}
  - normalize: {{mean: {list(MEAN)}, std: {list(STD)}, to: f32, layout: nchw}}
batch: {{size: {ROWS}}}
""")
    return DataLoader(path, fields=["image", "label"], threads=workers)


def nothing(pictures, workers):
    import torch
    batch = torch.zeros(ROWS, 3, SIDE, SIDE), torch.zeros(ROWS, dtype=torch.int64)
    return [batch] * 20


def train(way, pictures, workers):
    import torch
    torch.set_num_threads(2)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 8, 8), torch.nn.ReLU(),
                              torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
                              torch.nn.Linear(16, CLASSES))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    began, rows = None, 0
    for images, labels in WAYS[way](pictures, workers):
        assert images.shape == (len(labels), 3, SIDE, SIDE) and images.dtype == torch.float32
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
        rows += len(labels) if began else 0
        began = began or time.monotonic()
    print(json.dumps({"rate": rows / ROWS / (time.monotonic() - began), "torch": torch.__version__}))


WAYS = {"opiml": ours, "torch": theirs, "nothing": nothing}


# ---- the comparison ----

def family(pid):
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in file.read().split():
                found += family(int(child))
    return found


def memory(pid):
    """Proportional set size of a process and its children, in MiB; 0 when it is gone."""
    total = 0
    try:
        for one in family(pid):
            with open(f"/proc/{one}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return total / 1024


def run(way, pictures, workers):
    """(batches per second, MiB, PyTorch's version) of a process that trains."""
    process = subprocess.Popen([sys.executable, __file__, "--train", way, pictures, str(workers)],
                               stdout=subprocess.PIPE, text=True)
    peak = [0.0]

    def watch():
        while process.poll() is None:
            peak[0] = max(peak[0], memory(process.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    told = process.stdout.read()
    watcher.join()
    if process.returncode:
        sys.exit(f"pytorch.py: the run of {way} failed")
    told = json.loads(told)
    return told["rate"], peak[0], told["torch"]


def report(what, ours, theirs, target, least, unit):
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    median = statistics.median(ratios)
    met = median >= target if least else median < target
    print(f"{what:<44} {median:6.3f}  [{ratios[0]:.3f}, {ratios[-1]:.3f}] of {len(ratios)} pairs"
          f"  target {target:.2f} {'ok' if met else 'MISSED'}"
          f"  ({statistics.median(ours):.1f} against {statistics.median(theirs):.1f} {unit})")
    return met


def main():
    pictures = sys.argv[1]
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    run("opiml", pictures, workers)  # caches warm
    without = run("nothing", pictures, workers)[1]
    results = {"opiml": [], "torch": []}
    for _ in range(pairs):
        for way, runs in results.items():
            runs.append(run(way, pictures, workers))
    rates, sizes = ([[one[i] for one in runs] for runs in results.values()] for i in (0, 1))
    sizes = [[size - without for size in way] for way in sizes]
    what = f"opiml / DataLoader, PyTorch {results['torch'][0][2]}, {workers} workers"
    met = report(what, *rates, RATE, True, "batches per second")
    return not (report("... memory of feeding", *sizes, MEMORY, False, "MiB") and met)


if __name__ == "__main__":
    if sys.argv[1] == "--train":
        train(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        sys.exit(main())
