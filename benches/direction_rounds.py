"""How many rounds a device's directions need, and what burn's generator draws instead; needs numpy.

    python benches/direction_rounds.py

Rounds of `src/tree/counter.rs`: the largest correlation between two of 147 positions over 300,000 random keys, in
standard errors (about 4 is what independent numbers show), of both words' outer bits, normal numbers and their squares;
then the largest line of a spectrum of 4 million numbers, for which independent ones show about 17. CubeK's generator
(cubek-random 0.3.1): correlations of the first 40 numbers of threads that share a line of four.
"""

import numpy as np

MULTIPLIER = np.int32(0x6A09)
random = np.random.default_rng(1)


def words(left, right, keys):
    for key in keys:
        product = right * MULTIPLIER
        left, right = product & 0xFFFF, (product >> 16) ^ left ^ key
    return left, right


def normal(left, right):
    return np.sqrt(-2 * np.log((left + 0.5) / 65536)) * np.cos(2 * np.pi * right / 65536)


def over_keys(rounds, keys=300_000, part=20_000):
    columns = [*range(12), 16, 32, 64, 128, 256, 512, 1024, 2048, 4095]
    grid = np.meshgrid([0, 1, 2, 3, 8, 64, 255], columns, indexing="ij")
    left, right = (axis.ravel().astype(np.int32) for axis in grid)
    sums = {}
    for _ in range(keys // part):
        drawn = random.integers(0, 65536, (rounds, part, 1)).astype(np.int32)
        shape = (part, len(left))
        a, b = words(np.broadcast_to(left, shape), np.broadcast_to(right, shape), drawn)
        z = normal(a, b)
        values = {"normal": z, "squares": (z**2 - 1) / np.sqrt(2)}
        for name, word in (("left", a), ("right", b)):
            values[f"{name}, first bit"] = 1 - 2.0 * (word >> 15)
            values[f"{name}, last bit"] = 1 - 2.0 * (word & 1)
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + value.T @ value / keys
    off = {name: np.abs(value - np.diag(np.diag(value))).max() for name, value in sums.items()}
    return {name: round(float(value * np.sqrt(keys)), 1) for name, value in off.items()}


def spectrum(rounds, count=1 << 22, width=1 << 16):
    largest = 0
    for _ in range(6):
        keys = random.integers(0, 65536, rounds).astype(np.int32)
        places = np.arange(count, dtype=np.int32)
        a, b = words(places // width, places % width, keys)
        for value in (1 - 2.0 * (b & 1), normal(a, b)):
            largest = max(largest, (np.abs(np.fft.rfft(value)) ** 2 / count)[1:].max())
    return round(float(largest), 1)


def cubek(seeds=200_000):
    def step(z, a, b, c, mask):
        return ((z & np.uint32(mask)) << np.uint32(c)) ^ (((z << np.uint32(a)) ^ z) >> np.uint32(b))

    streams = np.uint32(1000000007) * np.arange(4, dtype=np.uint32)
    states = [streams + random.integers(0, 2**32, (seeds, 1), dtype=np.uint32) for _ in range(4)]
    bits = []
    for _ in range(10):
        states[0] = step(states[0], 13, 19, 12, 4294967294)
        states[1] = step(states[1], 2, 25, 4, 4294967288)
        states[2] = step(states[2], 3, 11, 17, 4294967280)
        states[3] = states[3] * np.uint32(1664525) + np.uint32(1013904223)
        bits.append((states[0] ^ states[1] ^ states[2] ^ states[3]) >> np.uint32(31))
    signs = 1 - 2.0 * np.concatenate(bits, 1)
    return np.abs(signs.T @ signs / seeds - np.eye(40)).max() * np.sqrt(seeds)


for rounds in (4, 5, 6, 8, 10):
    print(rounds, "rounds:", over_keys(rounds), "spectrum", spectrum(rounds), flush=True)
print(f"burn's signs within one line: {cubek():.1f} standard errors")
