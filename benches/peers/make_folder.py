"""Makes a folder of JPEG files as large as ImageNet's: CIFAR-10's test images, enlarged to about 500 × 375, quality 90.

    python benches/peers/make_folder.py CIFAR_BATCHES_BIN FOLDER [COUNT]
"""

import pathlib
import sys

import numpy
from PIL import Image

source, target = map(pathlib.Path, sys.argv[1:3])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
records = numpy.fromfile(source / "test_batch.bin", numpy.uint8).reshape(-1, 3073)
random = numpy.random.default_rng(0)
for number, record in enumerate(records[:count]):
    image = Image.fromarray(record[1:].reshape(3, 32, 32).transpose(1, 2, 0))
    size = (500, 375) if number % 3 else (375, 500)
    large = numpy.asarray(image.resize(size, Image.Resampling.BICUBIC)).astype(float)
    # Enlarged images are smooth; grain brings files to the size of photographs, 50 to 150 kB.
    grain = random.normal(0, 6, large.shape)
    image = Image.fromarray(numpy.clip(large + grain, 0, 255).astype(numpy.uint8))
    folder = target / str(record[0])
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / f"{number:05}.jpg", quality=90)
