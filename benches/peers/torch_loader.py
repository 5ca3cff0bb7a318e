"""Images per second of PyTorch's DataLoader: the same transforms, workers and files as `cargo bench --bench loader`.

    pip install torch torchvision
    python benches/peers/torch_loader.py FOLDER [WORKERS]
"""

import statistics
import sys
import time

import numpy
import torch
from PIL import Image
from torchvision import transforms as t
from torchvision.datasets import ImageFolder

ROUNDS = 5
NORMALIZE = [t.ToTensor(), t.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]


class Memory(torch.utils.data.Dataset):
    """10,000 images as torchvision's CIFAR10 keeps them."""

    def __init__(self, transform):
        at = numpy.arange(10_000 * 3072, dtype=numpy.uint64)
        self.images = (at * 31 % 251).astype(numpy.uint8).reshape(-1, 32, 32, 3)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), index % 10


def report(name, data, workers, shuffle):
    # Workers live on between epochs, so that starting Python is not measured: a first epoch is left out.
    loader = torch.utils.data.DataLoader(
        data, 128, shuffle, num_workers=workers, persistent_workers=workers > 0
    )
    rates = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        rates.append(count / (time.perf_counter() - start))
    rates = rates[1:]
    spread = f"[{min(rates):.0f} to {max(rates):.0f}]"
    print(f"{name:<40} {statistics.median(rates):>8.0f} images/s {spread}", flush=True)


def main():
    folder = sys.argv[1]
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    print(f"{workers} workers, batches of 128, medians of {ROUNDS} epochs [lowest to highest]")
    small = [t.RandomCrop(32, padding=4), t.RandomHorizontalFlip()]
    report("memory, 32 × 32, crop and flip", Memory(t.Compose(small + NORMALIZE)), workers, True)
    for name, steps, shuffle in [
        ("folder, resize 256, crop 224", [t.Resize(256), t.CenterCrop(224)], False),
        ("folder, random resized crop 224, flip", [t.RandomResizedCrop(224), t.RandomHorizontalFlip()], True),
        ("folder, resize 32, crop and flip", [t.Resize(32), t.CenterCrop(32)] + small, True),
    ]:
        report(name, ImageFolder(folder, t.Compose(steps + NORMALIZE)), workers, shuffle)


if __name__ == "__main__":
    main()
