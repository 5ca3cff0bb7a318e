"""Golden corrupted images, from the libraries that the authors of CIFAR-10-C used.

    pip install numpy scipy scikit-image opencv-python-headless pillow wand    # wand needs ImageMagick's library
    python tests/golden/make_corruptions.py [SIDE]

Writes corruptions.npy beside this script, for corruptions.rs: a picture, then the picture under each of the 19
corruptions at severities 1 to 5, uint8 [96, SIDE, SIDE, 3] (SIDE 16). Definitions: Hendrycks and Dietterich,
arXiv 1903.12261, and make_cifar_c.py in their repository. What is random comes from `uniform`, which corruptions.rs
has too. Frost stands alone: its layer is the fractal that zosam has in place of photographs.
"""

import ctypes
import io
import sys
from pathlib import Path

import cv2
import numpy as np
import skimage
from PIL import Image
from scipy.ndimage import map_coordinates, zoom
from skimage.filters import gaussian
from wand.api import library
from wand.image import Image as Wand

library.MagickMotionBlurImage.argtypes = (ctypes.c_void_p,) + (ctypes.c_double,) * 3

SIDE = int(sys.argv[1]) if len(sys.argv) > 1 else 16
SHAPE, PLANE = (SIDE, SIDE, 3), (SIDE, SIDE)


def uniform(stream, count):
    """Numbers in [0, 1): SplitMix64's hash of the stream and the place."""

    def one(place):
        mask = 2**64 - 1
        z = ((stream << 32) + place + 1) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return ((z ^ z >> 31) >> 11) * 2.0**-53

    return np.array([one(place) for place in range(count)])


def normal(stream, count):
    """Roughly standard normal: sums of twelve."""
    total = np.zeros(count)
    for number in uniform(stream, 12 * count).reshape(count, 12).T:
        total += number
    return total - 6


def planar(numbers):
    """zosam counts channel by channel."""
    return numbers.reshape(3, SIDE, SIDE).transpose(1, 2, 0)


def picture():
    """Stripes, a bright disc, a black and a white corner, and some noise."""
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE
    noise = planar(uniform(0, 3 * SIDE * SIDE))
    image = np.stack([0.5 + 0.4 * np.sin(9 * row), column, 0.5 + 0.4 * np.cos(5 * (row + column))], 2)
    image[(row - 0.6) ** 2 + (column - 0.4) ** 2 < 0.06] = [0.9, 0.75, 0.3]
    image = image * 0.9 + 0.1 * noise
    image[: SIDE // 5, : SIDE // 4] = 0
    image[-SIDE // 5 :, -SIDE // 4 :] = 1
    return np.uint8(np.clip(image, 0, 1) * 255)


def blurred(x, sigma):
    return gaussian(x, sigma=sigma, channel_axis=-1)


def motion(pixels, radius, sigma, angle):
    with Wand.from_array(pixels, channel_map="RGB" if pixels.ndim == 3 else "I") as image:
        library.MagickMotionBlurImage(image.wand, radius, sigma, angle)
        png = np.frombuffer(image.make_blob("png24" if pixels.ndim == 3 else "png"), np.uint8)
    moved = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    assert moved.dtype == np.uint8
    return moved[..., ::-1] if pixels.ndim == 3 else moved


def enlarged(x, factor):
    """The middle, enlarged to the whole."""
    cut = int(np.ceil(SIDE / factor))
    top = (SIDE - cut) // 2
    large = zoom(x[top : top + cut, top : top + cut], (factor, factor, 1), order=1)
    trim = (large.shape[0] - SIDE) // 2
    return large[trim : trim + SIDE, trim : trim + SIDE]


def plasma(decay, stream):
    side = 1 << (SIDE - 1).bit_length()
    numbers = iter(2 * uniform(stream, side * side - 1) - 1)
    heights = np.zeros((side, side))
    step, rough = side, 100.0
    at = lambda row, column: heights[row % side, column % side]
    while step >= 2:
        half = step // 2
        grid = [(row, column) for row in range(0, side, step) for column in range(0, side, step)]
        four = {
            (half, half): lambda r, c: at(r, c) + at(r + step, c) + at(r, c + step) + at(r + step, c + step),
            (0, half): lambda r, c: at(r + half, c + half) + at(r - half, c + half) + at(r, c) + at(r, c + step),
            (half, 0): lambda r, c: at(r + half, c + half) + at(r + half, c - half) + at(r, c) + at(r + step, c),
        }
        for (down, right), corners in four.items():
            new = [corners(*place) / 4 + rough * rough * next(numbers) for place in grid]
            for (row, column), height in zip(grid, new):
                heights[row + down, column + right] = height
        step, rough = half, rough / decay
    heights -= heights.min()
    return (heights / heights.max())[:SIDE, :SIDE, None]


def gaussian_noise(x, c, stream):
    return x + c * planar(normal(stream, x.size))


def shot_noise(x, c, stream):
    mean = x * c
    return np.floor(mean + np.sqrt(mean) * planar(uniform(stream, x.size))) / c


def impulse_noise(x, c, stream):
    numbers = uniform(stream, 2 * x.size)
    return impulses(x, c, planar(numbers[: x.size]), planar(numbers[x.size :]))


def impulses(x, c, which, salt):
    return np.where(which <= c, np.where(salt <= 0.5, 1.0, 0.0), x)


def speckle_noise(x, c, stream):
    return x + x * (c * planar(normal(stream, x.size)))


def gaussian_blur(x, c, _):
    return blurred(x, c)


def glass_blur(x, c, stream):
    sigma, iterations = c
    pixels = np.uint8(blurred(x, sigma) * 255)
    steps = iter(np.where(uniform(stream, 2 * iterations * (SIDE - 2) ** 2) < 0.5, -1, 0))
    for _ in range(iterations):
        for row in range(SIDE - 1, 1, -1):
            for column in range(SIDE - 1, 1, -1):
                right, down = next(steps), next(steps)
                # numpy's assignment of views, which the authors mean to swap.
                near = (row + down, column + right)
                pixels[row, column], pixels[near] = pixels[near], pixels[row, column]
    return blurred(pixels / 255.0, sigma)


def defocus_blur(x, c, _):
    places = np.arange(-8, 9)
    disk = np.float32(places[:, None] ** 2 + places**2 <= c[0] ** 2)
    disk = cv2.GaussianBlur(disk / disk.sum(), (3, 3), sigmaX=c[1])
    return cv2.filter2D(x, -1, disk)


def motion_blur(x, c, stream):
    return motion(CLEAN, *c, 90 * uniform(stream, 1)[0] - 45)


def zoom_blur(x, c, _):
    x = np.float32(x)
    factors = np.arange(1, c, 0.01)
    total = np.zeros_like(x)
    for factor in factors:
        total += enlarged(x, factor)
    return (x + total) / (len(factors) + 1)


def snow(x, c, stream):
    mean, deviation, factor, threshold, radius, sigma, mix = c
    x = np.float32(x)
    layer = mean + deviation * normal(stream, SIDE * SIDE).reshape(PLANE)
    layer = enlarged(layer[..., None], factor)[..., 0]
    layer[layer < threshold] = 0
    layer = np.uint8(np.clip(layer, 0, 1) * 255)
    # The angle is number 12 SIDE², behind those that make the normal ones.
    angle = uniform(stream, 12 * SIDE * SIDE + 1)[-1]
    layer = motion(layer, radius, sigma, 90 * angle - 135)[..., None] / 255.0
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    x = mix * x + (1 - mix) * np.maximum(x, grey * 1.5 + 0.5)
    return x + layer + np.rot90(layer, 2)


def frost(x, c, stream):
    return c[0] * x + c[1] * np.array([0.85, 0.93, 1.0]) * plasma(1.5, stream)


def fog(x, c, stream):
    strength, decay = c
    return (x + strength * plasma(decay, stream)) * x.max() / (x.max() + strength)


def brightness(x, c, _):
    hsv = skimage.color.rgb2hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
    return skimage.color.hsv2rgb(hsv)


def saturate(x, c, _):
    hsv = skimage.color.rgb2hsv(x)
    hsv[..., 1] = np.clip(hsv[..., 1] * c[0] + c[1], 0, 1)
    return skimage.color.hsv2rgb(hsv)


def contrast(x, c, _):
    means = x.mean((0, 1), keepdims=True)
    return (x - means) * c + means


def elastic_transform(x, c, stream):
    strength, smooth, shift = (SIDE * share for share in c)
    x = np.float32(x)
    numbers = 2 * uniform(stream, 6 + 2 * SIDE * SIDE) - 1
    middle, half = SIDE // 2, SIDE // 3
    corners = np.float32([[middle + half] * 2, [middle + half, middle - half], [middle - half] * 2])
    moved = corners + np.float32(numbers[:6].reshape(3, 2) * shift)
    x = cv2.warpAffine(x, cv2.getAffineTransform(corners, moved), PLANE, borderMode=cv2.BORDER_REFLECT_101)
    field = lambda part: np.float32(gaussian(part.reshape(PLANE), smooth, mode="reflect", truncate=3) * strength)
    right, down = field(numbers[6 : 6 + SIDE * SIDE]), field(numbers[6 + SIDE * SIDE :])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = [rows + np.float64(down), columns + np.float64(right)]
    planes = [map_coordinates(x[..., channel], places, order=1, mode="reflect") for channel in range(3)]
    return np.stack(planes, 2)


def pixelate(x, c, _):
    small = Image.fromarray(CLEAN).resize((int(SIDE * c),) * 2, Image.Resampling.BOX)
    return np.array(small.resize(PLANE, Image.Resampling.BOX))


def jpeg_compression(x, c, _):
    file = io.BytesIO()
    Image.fromarray(CLEAN).save(file, "JPEG", quality=c)
    return np.array(Image.open(file))


def spatter(x, c, stream):
    mean, deviation, smooth, threshold, strength, is_mud = c
    x = np.float32(x)
    layer = gaussian(mean + deviation * normal(stream, SIDE * SIDE).reshape(PLANE), smooth)
    layer[layer < threshold] = 0
    if is_mud:
        cover = gaussian(np.float32(layer > threshold), strength)
        cover[cover < 0.8] = 0
        cover = cover[..., None]
        return x * (1 - cover) + np.float32(np.array([63, 42, 20]) / 255) * cover
    layer = np.uint8(layer * 255)
    depth = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
    depth = cv2.blur(np.minimum(depth, 20), (3, 3)).astype(np.uint8)
    relief = cv2.filter2D(cv2.equalizeHist(depth), cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    cover = layer * np.float32(cv2.blur(relief, (3, 3)))
    cover = (cover / cover.max() * np.float32(strength))[..., None]
    return x + cover * np.float32(np.array([175, 238, 238]) / 255)


# In zosam's order; the stream of a corruption is 8 times its place and its severity.
PARAMETERS = [
    (gaussian_noise, [0.04, 0.06, 0.08, 0.09, 0.10]),
    (shot_noise, [500, 250, 100, 75, 50]),
    (impulse_noise, [0.01, 0.02, 0.03, 0.05, 0.07]),
    (defocus_blur, [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)]),
    (glass_blur, [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)]),
    (motion_blur, [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]),
    (zoom_blur, [1.06, 1.11, 1.16, 1.21, 1.26]),
    (snow, [(0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8)]),
    (frost, [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)]),
    (fog, [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    (brightness, [0.05, 0.1, 0.15, 0.2, 0.3]),
    (contrast, [0.75, 0.5, 0.4, 0.3, 0.15]),
    (elastic_transform, [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]),
    (pixelate, [0.95, 0.9, 0.85, 0.75, 0.65]),
    (jpeg_compression, [80, 65, 58, 50, 40]),
    (speckle_noise, [0.06, 0.1, 0.12, 0.16, 0.2]),
    (gaussian_blur, [0.4, 0.6, 0.7, 0.8, 1]),
    (spatter, [(0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
               (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1)]),
    (saturate, [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)]),
]

CLEAN = picture()

# The rule of impulse noise is scikit-image's.
draws = np.random.default_rng(0)
expected = skimage.util.random_noise(CLEAN / 255.0, mode="s&p", amount=0.3, rng=0)
assert np.array_equal(impulses(CLEAN / 255.0, 0.3, draws.random(SHAPE), draws.random(SHAPE)), expected)

images = [CLEAN]
for place, (corruption, levels) in enumerate(PARAMETERS):
    for level, parameters in enumerate(levels):
        image = corruption(CLEAN / 255.0, parameters, 8 * place + level + 1)
        if image.dtype != np.uint8:
            image = np.uint8(np.clip(image, 0, 1) * 255)
        assert image.shape == SHAPE, (corruption, image.shape)
        images.append(image)
np.save(Path(__file__).with_name("corruptions.npy"), np.stack(images))
