"""Golden numbers of examples/scenes, for tests/golden/scenes.rs.

    pip install pycocotools
    python tests/golden/make_scenes.py

Needs pycocotools and torch (2.0.11 and 2.15, with numpy 2.4, made the file). Writes scenes.json beside this script:

- `precision`: boxes in scenes, right and found, and average precision at each overlap as pycocotools' COCOeval computes it. Some scores and boxes
  are equal, one class has no item, one scene nothing, and one more detections than count.
- `segmenter`, `detector`: losses of two narrow networks of PyTorch's own layers and, thinned out, their gradients; float32 on one CPU thread. Weights and pictures are
  `numbers` of tests/golden/reference.rs.
"""

import contextlib
import io
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
CLASSES, SCENES = 4, 12
BATCH, SIDE, WIDTH = 2, 16, 2


def box(generator):
    """Left, top, width, height, in halves of pixels, so that sums are exact."""
    left, top = generator.integers(0, 80, 2) / 2
    width, height = generator.integers(12, 60, 2) / 2
    return [float(left), float(top), float(width), float(height)]


def scene(number, generator):
    """Items and detections: a class and a box, and for the latter a score between them."""
    if number == 3:
        return [], []
    items = [[int(generator.integers(CLASSES - 1)), *box(generator)] for _ in range(generator.integers(1, 7))]
    found = []
    for kind, *edges in items:
        for _ in range(generator.integers(0, 3)):
            moved = [edge + float(generator.integers(-6, 7)) / 2 for edge in edges]
            kept = kind if generator.random() < 0.9 else int(generator.integers(CLASSES))
            # One digit: many scores are equal.
            found.append([kept, round(float(generator.random()), 1), *moved])
    noise = 130 if number == 5 else generator.integers(0, 5)
    for _ in range(noise):
        kind = 0 if number == 5 else int(generator.integers(CLASSES))
        found.append([kind, round(float(generator.random()), 2), *box(generator)])
    if number == 6:
        found += found[:2]
        items.append(items[0])
    return items, found


def precision():
    generator = np.random.default_rng(1)
    scenes = [scene(number, generator) for number in range(SCENES)]
    annotations, results = [], []
    for image, (items, found) in enumerate(scenes):
        for kind, *edges in items:
            area = edges[2] * edges[3]
            number = len(annotations) + 1
            annotations.append({"id": number, "image_id": image, "category_id": kind, "bbox": edges, "area": area, "iscrowd": 0})
        results += [{"image_id": image, "category_id": kind, "score": score, "bbox": edges} for kind, score, *edges in found]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(SCENES)],
        "categories": [{"id": kind} for kind in range(CLASSES)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # [overlaps, recalls, classes], of all areas and 100 detections.
    table = evaluation.eval["precision"][:, :, :, 0, -1]
    occurs = [kind for kind in range(CLASSES) if table[0, 0, kind] > -1]
    assert occurs == list(range(CLASSES - 1))
    means = table[:, :, occurs].mean((1, 2))
    assert np.isclose(means.mean(), evaluation.stats[0]) and np.isclose(means[0], evaluation.stats[1])
    return {
        "scenes": [{"items": items, "found": found} for items, found in scenes],
        "expected": means.tolist(),
    }


def numbers(name, count, scale):
    """As in tests/golden/make_deit.py."""
    h = np.arange(count, dtype=np.uint32) + np.uint32(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    return torch.from_numpy(((h / 2.0**31 - 1.0) * scale).astype(np.float32))


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)))


class Unet(nn.Module):
    def __init__(self, levels, ups):
        super().__init__()
        widths = [WIDTH << level for level in range(levels)]
        self.down = nn.ModuleList(Block(inputs, outputs) for inputs, outputs in zip([1, *widths], widths))
        upper = list(reversed(range(levels - 1)))[:ups]
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[at + 1], widths[at], 2, stride=2) for at in upper)
        self.joined = nn.ModuleList(Block(2 * widths[at], widths[at]) for at in upper)

    def forward(self, x):
        levels = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            levels.append(x)
        for up, block, beside in zip(self.up, self.joined, reversed(levels[:-1])):
            x = block(torch.cat([beside, up(x)], 1))
        return x


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = Unet(3, 2)
        self.output = nn.Conv2d(WIDTH, 11, 1)

    def losses(self, images):
        classes = ((numbers("mask", BATCH * SIDE * SIDE, 1.0) + 1) * 5.5).long().reshape(BATCH, SIDE, SIDE)
        return F.cross_entropy(self.output(self.unet(images)), classes, reduction="none").mean((1, 2))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = Unet(3, 1)
        self.heat = nn.Conv2d(2 * WIDTH, 10, 1)
        self.size = nn.Conv2d(2 * WIDTH, 2, 1)
        self.offset = nn.Conv2d(2 * WIDTH, 2, 1)

    def losses(self, images):
        """Zhou et al. 2019, equations 1 to 4, for each picture."""
        features = self.unet(images)
        p = torch.sigmoid(self.heat(features))
        targets = detector_targets()
        y, sizes, offsets, here = targets.split([10, 2, 2, 1], 1)
        focal = torch.where(y == 1, (1 - p) ** 2 * torch.log(p), (1 - y) ** 4 * p**2 * torch.log(1 - p))
        count = (y == 1).sum((1, 2, 3)).clamp(min=1)
        size = ((self.size(features) - sizes).abs() * here).sum((1, 2, 3))
        offset = ((self.offset(features) - offsets).abs() * here).sum((1, 2, 3))
        return (0.1 * size + offset - focal.sum((1, 2, 3))) / count


def detector_targets():
    """Two centres in the first picture, none in the second."""
    side = SIDE // 2
    targets = (numbers("targets", BATCH * 15 * side * side, 0.4) + 0.4).reshape(BATCH, 15, side, side)
    targets[:, 14] = 0
    for kind, row, column in [(3, 2, 5), (7, 6, 1)]:
        targets[0, kind, row, column] = 1
        targets[0, 10:14, row, column] = torch.tensor([4.0, 3.0, 0.25, 0.75])
        targets[0, 14, row, column] = 1
    return targets


def network(kind):
    model = kind()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.4 if parameter.dim() > 1 else 0.2
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(numbers(name, parameter.numel(), scale).reshape(parameter.shape) + centre)
    images = numbers("images", BATCH * SIDE * SIDE, 1.0).reshape(BATCH, 1, SIDE, SIDE)
    losses = model.losses(images)
    losses.mean().backward()
    gradients = {name: parameter.grad.reshape(-1)[::3] for name, parameter in model.named_parameters()}
    return {
        "losses": losses.tolist(),
        "gradients": {name: [float(f"{x:.7g}") for x in values.tolist()] for name, values in gradients.items()},
    }


def main():
    torch.set_num_threads(1)
    found = {"precision": precision(), "segmenter": network(Segmenter), "detector": network(Detector)}
    (HERE / "scenes.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(found["precision"]["expected"], found["segmenter"]["losses"], found["detector"]["losses"])


if __name__ == "__main__":
    main()
