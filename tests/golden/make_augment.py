"""Golden results of augmentation with fixed draws, from Pillow, torchvision and timm.

    pip install pillow numpy torch torchvision timm
    python tests/golden/make_augment.py

Writes augment.json beside this script, for tests/golden/augment.rs. Pictures come from a formula that the test knows, too; results are
bytes as hexadecimal digits, [channels, height, width]. Where the libraries draw, their generators are replaced by lists.
"""

import json
import math
import random
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from timm.data import auto_augment
from timm.data.distributed_sampler import RepeatAugSampler
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from timm.loss import SoftTargetCrossEntropy
from torchvision.transforms import ColorJitter, InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as F

FILTERS = {"Bilinear": Image.Resampling.BILINEAR, "Bicubic": Image.Resampling.BICUBIC}
FILL = (10, 128, 250)


def picture(channels, height, width):
    c, y, x = np.ogrid[:channels, :height, :width]
    values = 20 + (85 * c + 11 * x * x + 7 * y + 3 * x * y) % 200
    array = values.astype(np.uint8)
    return Image.fromarray(array[0] if channels == 1 else array.transpose(1, 2, 0))


def digits(image):
    array = np.asarray(image)
    return (array if array.ndim == 2 else array.transpose(2, 0, 1)).tobytes().hex()


def timm_op(name, image, args, filter):
    fill = FILL if image.mode == "RGB" else FILL[0]
    return auto_augment.NAME_TO_OP[name](image, *args, fillcolor=fill, resample=FILTERS[filter])


# zosam's name, timm's name, the argument, and its values.
OPERATIONS = [
    ("AutoContrast", "AutoContrast", None, [None]),
    ("Equalize", "Equalize", None, [None]),
    ("Invert", "Invert", None, [None]),
    ("Posterize", "PosterizeIncreasing", "bits", [1, 3, 8]),
    ("Solarize", "SolarizeIncreasing", "threshold", [26, 128, 256]),
    ("SolarizeAdd", "SolarizeAdd", "amount", [0, 99]),
    ("Color", "ColorIncreasing", "factor", [0.0, 0.19, 1.0, 1.81]),
    ("Contrast", "ContrastIncreasing", "factor", [0.0, 0.19, 1.0, 1.81]),
    ("Brightness", "BrightnessIncreasing", "factor", [0.0, 0.19, 1.0, 1.81]),
    ("Sharpness", "SharpnessIncreasing", "factor", [0.0, 0.19, 1.0, 1.81]),
    ("Rotate", "Rotate", "degrees", [0.0, 27.0, -13.7]),
    ("ShearX", "ShearX", "factor", [0.27, -0.11]),
    ("ShearY", "ShearY", "factor", [0.27, -0.11]),
    ("TranslateX", "TranslateXRel", "share", [0.405, -0.2]),
    ("TranslateY", "TranslateYRel", "share", [0.405, -0.2]),
]


def operations():
    cases = []
    for ours, theirs, field, values in OPERATIONS:
        for value in values:
            operation = ours if field is None else {ours: {field: value}}
            args = [] if field is None else [value]
            moves = ours in ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
            shapes = [(3, 8, 7), (1, 4, 6)] + ([(3, 18, 30)] if ours == "Equalize" else [])
            for filter in FILTERS if moves else ["Bicubic"]:
                for shape in shapes:
                    result = digits(timm_op(theirs, picture(*shape), args, filter))
                    cases.append({"operation": operation, "filter": filter, "shape": shape, "result": result})
    return cases


def levels():
    """Arguments at a magnitude and a sign, for all operations in timm's order."""
    names = {theirs: (ours, field) for ours, theirs, field, _ in OPERATIONS}
    cases = []
    for magnitude in (0.0, 3.3, 8.7, 9.0, 10.0):
        for sign, draw in ((1.0, 0.4), (-1.0, 0.6)):
            row = []
            for theirs in auto_augment._RAND_INCREASING_TRANSFORMS:
                ours, field = names[theirs]
                level = auto_augment.LEVEL_TO_ARG[theirs]
                with mock.patch.object(random, "random", lambda: draw):
                    row.append(ours if level is None else {ours: {field: level(magnitude, {})[0]}})
            cases.append({"magnitude": magnitude, "sign": sign, "operations": row})
    return cases


def color_jitters():
    """torchvision's ColorJitter with the order and the factors of brightness, contrast and saturation given."""
    cases = []
    names = ["Brightness", "Contrast", "Color"]
    for shape in ((3, 8, 7), (1, 4, 6)):
        for order, factors in [((0, 1, 2), (0.63, 1.37, 0.71)), ((2, 0, 1), (1.4, 0.6, 1.23)), ((1, 3, 2, 0), (0.9, 1.1, 0.0))]:
            draws = lambda *_: (torch.tensor(order), *factors, None)
            with mock.patch.object(ColorJitter, "get_params", draws):
                result = digits(ColorJitter(0.4, 0.4, 0.4)(picture(*shape)))
            steps = [{names[step]: {"factor": factors[step]}} for step in order if step < 3]
            cases.append({"steps": steps, "shape": shape, "result": result})
    return cases


def resized_crops():
    cases = []
    for shape, part, size in [
        ((3, 16, 16), (2, 3, 9, 11), (16, 16)),
        ((3, 16, 16), (0, 0, 16, 16), (7, 5)),
        ((1, 20, 31), (1, 4, 18, 25), (6, 6)),
        ((1, 5, 4), (1, 1, 3, 2), (12, 11)),
        ((1, 6, 6), (2, 0, 1, 6), (6, 6)),
        ((1, 6, 6), (0, 0, 6, 6), (6, 6)),
    ]:
        for filter, mode in (("Bilinear", InterpolationMode.BILINEAR), ("Bicubic", InterpolationMode.BICUBIC)):
            result = digits(F.resized_crop(picture(*shape), *part, list(size), mode))
            cases.append({"shape": shape, "part": part, "size": size, "filter": filter, "result": result})
    return cases


def crop_sides():
    """The attempts of RandomResizedCrop.get_params: torch draws a share, the logarithm of a ratio, and two offsets if they fit."""
    attempts, central = [], []
    for height, width in [(32, 32), (224, 160), (3, 5), (1, 1), (2, 40), (40, 2), (1, 100)]:
        for _ in range(4):
            log = []
            uniform = torch.Tensor.uniform_

            def recorded(tensor, low, high):
                log.append(uniform(tensor, low, high).item())
                return torch.tensor([log[-1]])

            image = torch.zeros(1, height, width)
            with mock.patch.object(torch.Tensor, "uniform_", recorded):
                part = RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
            shares, logs = log[::2], log[1::2]
            aspects = [torch.exp(torch.tensor([value])).item() for value in logs]
            for at, (share, aspect) in enumerate(zip(shares, aspects)):
                last = at == len(shares) - 1
                # With ten attempts the last may have failed as well, and the part is the central one.
                if last and len(shares) < 10:
                    attempts.append([height, width, share, aspect, list(part[2:])])
                elif not last:
                    attempts.append([height, width, share, aspect, None])
        with mock.patch.object(torch.Tensor, "uniform_", lambda tensor, low, high: torch.tensor([1e-9])):
            central.append([height, width, list(RandomResizedCrop.get_params(torch.zeros(1, height, width), [0.0, 0.0], [3 / 4, 4 / 3]))])
    return {"attempts": attempts, "central": central}


def erasing():
    """Rectangles of timm's RandomErasing for one area and aspect ratio; None if it is refused."""
    cases = []
    for height, width in [(32, 32), (8, 13), (3, 5), (1, 1)]:
        for share in (0.02, 0.1, 1 / 3):
            for log_aspect in (-1.2, -0.3, 0.0, 0.9):
                image = torch.ones(2, height, width)
                asked = []

                def randint(low, high):
                    asked.append(high)
                    return high

                draws = iter([share, log_aspect] * 10)
                with mock.patch.object(random, "uniform", lambda low, high: next(draws)), mock.patch.object(random, "randint", randint):
                    RandomErasing(1.0, mode="const", device="cpu")(image)
                sides = [height - asked[0], width - asked[1]] if asked else None
                if asked:
                    expected = torch.ones(2, height, width)
                    expected[:, asked[0] :, asked[1] :] = 0
                    assert torch.equal(image, expected)
                cases.append([height, width, share * (height * width), math.exp(log_aspect), sides])
    return cases


def floats(tensor):
    """The shortest decimal numbers that are these in single precision."""
    return [float(str(value)) for value in np.asarray(tensor, np.float32).flatten()]


def mixing():
    cases = []
    shape, classes = (4, 1, 5, 6), 3
    values = (np.arange(math.prod(shape)) * 37 % 101 / 50 - 1).astype(np.float32)
    labels = torch.tensor([0, 2, 1, 1])
    for cut, lam, center in [
        (False, 0.3, None),
        (False, 0.81, None),
        (True, 0.5, (2, 3)),
        (True, 0.2, (0, 5)),
        (True, 0.9, (4, 0)),
        (True, 0.01, (2, 2)),
    ]:
        mixup = Mixup(0.8, 1.0, label_smoothing=0.1, num_classes=classes)
        chances, centers = iter([0.0, 0.0 if cut else 1.0]), iter(center or ())
        with mock.patch.object(np.random, "rand", lambda: next(chances)), mock.patch.object(
            np.random, "beta", lambda a, b: lam
        ), mock.patch.object(np.random, "randint", lambda low, high, size=None: next(centers)):
            images, targets = mixup(torch.tensor(values).view(shape), labels)
        logits = torch.tensor(values[: 4 * classes]).view(4, classes)
        loss = SoftTargetCrossEntropy()(logits, targets).item()
        cases.append(
            {
                "lambda": lam,
                "center": center,
                "images": floats(images),
                "targets": floats(targets),
                "loss": loss,
            }
        )
    return {"shape": shape, "values": floats(values), "labels": labels.tolist(), "cases": cases}


def repeats():
    cases = []
    for count, repeat in [(10, 3), (7, 2), (5, 1), (4, 9)]:
        sampler = RepeatAugSampler(range(count), 1, 0, shuffle=False, num_repeats=repeat, selected_round=0)
        cases.append([count, repeat, list(sampler)])
    return cases


if __name__ == "__main__":
    random.seed(0)
    torch.manual_seed(0)
    golden = {
        "operations": operations(),
        "levels": levels(),
        "color_jitters": color_jitters(),
        "resized_crops": resized_crops(),
        "crop_sides": crop_sides(),
        "erasing": erasing(),
        "mixing": mixing(),
        "repeats": repeats(),
    }
    path = Path(__file__).with_name("augment.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")
