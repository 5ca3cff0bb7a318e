"""Makes folder.json and folder/: small image files, and what PIL and torchvision's evaluation transforms make of them.

    pip install pillow numpy torchvision
    python tests/golden/make_folder.py
"""

import base64
import json
import pathlib

import numpy
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

HERE = pathlib.Path(__file__).parent
FILTERS = {"Bilinear": InterpolationMode.BILINEAR, "Bicubic": InterpolationMode.BICUBIC}


def picture(height, width, channels):
    """Waves and edges, with a little noise."""
    random = numpy.random.default_rng(height * width)
    rows, columns = numpy.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        wave = numpy.sin(rows / (3 + channel)) * numpy.cos(columns / (5 - channel)) * 90 + 128
        wave[(rows + 2 * columns) % 23 < 4] = 20 + 100 * channel
        planes.append(numpy.clip(wave + random.normal(0, 4, wave.shape), 0, 255))
    return numpy.stack(planes, -1).astype(numpy.uint8)


def files(folder):
    folder.mkdir(exist_ok=True)
    rgb, wide = Image.fromarray(picture(23, 33, 3)), Image.fromarray(picture(30, 19, 3))
    grey = Image.fromarray(picture(17, 29, 1)[:, :, 0])
    rgb.save(folder / "rgb.png")
    grey.save(folder / "grey.png")
    wide.quantize(17).save(folder / "palette.png")
    wide.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray((picture(9, 12, 1)[:, :, 0] > 99)).save(folder / "bits.png")
    rgb.save(folder / "rgb.jpg", quality=90)
    rgb.save(folder / "progressive.jpg", quality=90, progressive=True, subsampling=0)
    grey.save(folder / "grey.jpg", quality=90)
    rgb.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    return sorted(folder.iterdir())


def encoded(image):
    array = numpy.asarray(image)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return {"shape": array.shape, "pixels": base64.b16encode(array.tobytes()).decode().lower()}


def main():
    cases = []
    for path in files(HERE / "folder"):
        image = Image.open(path)
        cases.append({"file": path.name, "sizing": None, **encoded(image.convert("RGB"))})
        if path.name == "rgb.png":
            cases.append({"file": path.name, "sizing": None, "grey": True, **encoded(image.convert("L"))})
        if path.suffix != ".png":
            continue
        for name, mode in FILTERS.items():
            for resize, crop in [(12, 10), (17, 17), (40, 9)]:
                make = Compose([Resize(resize, mode), CenterCrop(crop)])
                case = {"file": path.name, "filter": name, "sizing": [resize, crop]}
                cases.append({**case, **encoded(make(image.convert("RGB")))})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "folder.json").write_text(f"[\n{lines}\n]\n")


main()
