"""The other side of bench_train_step: the same networks, batch, loss and optimiser in PyTorch.

    train_step_peer.py resnet50|unet3d f32|bf16

Channels-last, fused SGD, two threads. Says "ready", then for every line on standard input runs a step
and says the seconds that it took."""
import sys
import time

import torch
from torch import nn
from torch.nn import functional

THREADS, WARM = 2, 3


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride, bias=False),
                                        nn.BatchNorm2d(4 * width)) if project else None

    def forward(self, x):
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        branch += self.downsample(x) if self.downsample else x
        return self.relu(branch)


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for i in range(blocks):
            width = 64 << stage
            layers.append(Bottleneck(channels, width, 2 if stage and not i else 1, not i))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def conv_norm(channels, out, stride=1):
    return nn.Sequential(nn.Conv3d(channels, out, 3, stride, 1, bias=False),
                         nn.InstanceNorm3d(out, affine=True), nn.ReLU(inplace=True))


def twice(channels, out, stride):
    return nn.Sequential(conv_norm(channels, out, stride), conv_norm(out, out))


class UNet3D(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [32, 64, 128, 256, 320, 320]
        self.down = nn.ModuleList([twice(1, 32, 1)] +
                                  [twice(a, b, 2) for a, b in zip(sizes, sizes[1:])])
        steps = list(zip(sizes[:0:-1], sizes[-2::-1]))
        self.up = nn.ModuleList([nn.ConvTranspose3d(a, b, 2, 2) for a, b in steps])
        self.merge = nn.ModuleList([twice(2 * b, b, 1) for _, b in steps])
        self.output = nn.Conv3d(32, 3, 1)

    def forward(self, x):
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat((up(x), skips.pop()), 1))
        return self.output(x)


def dice_cross_entropy(logits, labels):
    """MLPerf's: the mean of cross-entropy and of soft Dice without the background."""
    logits = logits.float()
    truth = functional.one_hot(labels, 3).permute(0, 4, 1, 2, 3)[:, 1:].float()
    shares = logits.softmax(1)[:, 1:]
    axes = (2, 3, 4)
    dice = (2 * (shares * truth).sum(axes) + 1e-6) / (shares.sum(axes) + truth.sum(axes) + 1e-6)
    return (functional.cross_entropy(logits, labels) + 1 - dice.mean()) / 2


def main():
    name, precision = sys.argv[1:3]
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    if name == "unet3d":
        model, layout, loss_of = UNet3D(), torch.channels_last_3d, dice_cross_entropy
        x, y = torch.rand(1, 1, 64, 64, 64) - 0.5, torch.randint(3, (1, 64, 64, 64))
    else:
        model, layout, loss_of = resnet50(), torch.channels_last, functional.cross_entropy
        x, y = torch.rand(16, 3, 224, 224) - 0.5, torch.randint(1000, (16,))
    model, x = model.to(memory_format=layout), x.to(memory_format=layout)
    sgd = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=1e-4, fused=True)

    def step():
        sgd.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, precision == "bf16"):
            loss = loss_of(model(x), y)
        loss.backward()
        sgd.step()
        return loss.item()

    for _ in range(WARM):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        loss = step()
        assert loss < 100
        print(time.perf_counter() - began, flush=True)


main()
