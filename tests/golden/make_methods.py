"""Golden masks of methods that exchange weights, from their published rules in numpy.

    python tests/golden/make_methods.py

Writes methods.json beside this script, for tests/golden/methods.rs. One net of three layers; each rule is
written here from its publication (the sections name it), with counts rounded as zosam documents where codes round
differently. Random growth has no golden positions: survivors and counts are recorded instead.
"""

import json
from pathlib import Path

import numpy as np

SHAPES = [(8, 3, 3, 3), (16, 8, 3, 3), (10, 16)]
SIZES = [int(np.prod(shape)) for shape in SHAPES]


def best(score, among, k):
    """The k largest scores among some positions; ties to the lower position."""
    order = np.argsort(-score, kind="stable")
    chosen = np.zeros(len(score), bool)
    chosen[[i for i in order if among[i]][:k]] = True
    return chosen


def apportion(shares, room, total):
    """Whole places in proportion to shares: what is over a layer's room goes to the others, then largest remainders."""
    counts, left, open_ = [0] * len(room), total, list(range(len(room)))
    while True:
        ideal = {i: left * shares[i] / sum(shares[j] for j in open_) for i in open_}
        full = [i for i in open_ if ideal[i] >= room[i]]
        if not full:
            break
        for i in full:
            counts[i] = room[i]
            left -= room[i]
            open_.remove(i)
    for i in open_:
        counts[i] = int(ideal[i])
    rest = left - sum(counts[i] for i in open_)
    for i in sorted(open_, key=lambda i: (counts[i] - ideal[i], i))[:rest]:
        counts[i] += 1
    return counts


def bits(masks):
    return ["".join("01"[int(live)] for live in mask) for mask in masks]


def counts(masks):
    return [int(mask.sum()) for mask in masks]


def uniform(sparsity):
    total = round((1 - sparsity) * sum(SIZES))
    return apportion([(1 - sparsity) * size for size in SIZES], SIZES, total)


def survivors(weights, live, fraction):
    """SET, RigL, SNFS: each layer loses floor(fraction * live), the smallest first."""
    keep = [int(mask.sum()) - int(mask.sum() * fraction) for mask in live]
    return [best(np.abs(w), mask, k) for w, mask, k in zip(weights, live, keep)]


def snfs(weights, momentum, live, fraction):
    """Places by mean |momentum| over live weights, to the largest |momentum| of dead ones (1907.04840, section 4)."""
    kept = survivors(weights, live, fraction)
    lost = sum(counts(live)) - sum(counts(kept))
    shares = [float(np.abs(m)[mask].astype(np.float64).mean()) for m, mask in zip(momentum, live)]
    room = [size - int(mask.sum()) for size, mask in zip(SIZES, kept)]
    places = apportion(shares, room, lost)
    return [k | best(np.abs(m), ~k, n) for k, m, n in zip(kept, momentum, places)]


def dsr(weights, live, threshold, goal):
    """Prune below the threshold, grow by survivors, adapt (1902.05967, algorithm 1)."""
    kept = [mask & (np.abs(w) >= threshold) for w, mask in zip(weights, live)]
    dropped = sum(counts(live)) - sum(counts(kept))
    room = [size - int(mask.sum()) for size, mask in zip(SIZES, live)]
    places = apportion([float(n) for n in counts(kept)], room, dropped)
    if dropped < 0.9 * goal:
        threshold *= 2
    elif dropped > 1.1 * goal:
        threshold /= 2
    after = [k + n for k, n in zip(counts(kept), places)]
    return {"survivors": bits(kept), "counts": after, "threshold_after": threshold}


def mest(weights, gradients, live, lam, drop_to, grow_to):
    """Per layer down to one sparsity by |w| + lambda |g|, up to another (2110.14032, section 3)."""
    score = [np.abs(w) + np.float32(lam) * np.abs(g) for w, g in zip(weights, gradients)]
    kept = [best(s, mask, n) for s, mask, n in zip(score, live, uniform(drop_to))]
    return {"survivors": bits(kept), "counts": uniform(grow_to)}


def prune_globally(weights, live, keep):
    score, mask = np.abs(np.concatenate(weights)), np.concatenate(live)
    chosen = best(score, mask, keep)
    return np.split(chosen, np.cumsum(SIZES)[:-1])


def imp(weights, live, rate, sparsity):
    """Levels of open_lth's global magnitude pruning: ceil(rate * live) a level, the last to the budget."""
    levels, total = [], sum(SIZES)
    budget = round((1 - sparsity) * total)
    while sum(counts(live)) > budget:
        remaining = sum(counts(live))
        live = prune_globally(weights, live, max(remaining - int(np.ceil(rate * remaining)), budget))
        levels.append(bits(live))
    return levels


def gmp(weights, live, sparsity, begin, end, every):
    """s_t = s (1 - (1 - t')^3), uniform over layers (1710.01878)."""
    steps = []
    for step in [*range(begin, end, every), end]:
        s = sparsity * (1 - (1 - (step - begin) / (end - begin)) ** 3)
        live = [best(np.abs(w), mask, n) for w, mask, n in zip(weights, live, uniform(s))]
        steps.append({"step": step, "live": bits(live)})
    return steps


def main():
    rng = np.random.default_rng(3)
    draw = lambda size, sd: np.round(rng.normal(0, sd, size), 4).astype(np.float32)
    dense = [np.ones(size, bool) for size in SIZES]
    dense_weights = [draw(size, 0.2) for size in SIZES]
    live = [np.zeros(size, bool) for size in SIZES]
    for mask, n in zip(live, uniform(0.8)):
        mask[rng.permutation(len(mask))[:n]] = True
    weights = [np.where(mask, w, 0).astype(np.float32) for mask, w in zip(live, dense_weights)]
    gradients = [draw(size, sd) for size, sd in zip(SIZES, [0.3, 0.1, 0.9])]
    magnitudes = np.sort(np.abs(np.concatenate([w[mask] for w, mask in zip(weights, live)])))
    tenth = round(float(magnitudes[len(magnitudes) // 10]), 4) + 5e-5  # drops the share aimed at
    number = lambda arrays: [[float(str(x)) for x in array] for array in arrays]
    golden = {
        "shapes": SHAPES,
        "dense_weights": number(dense_weights),
        "weights": number(weights),
        "gradients": number(gradients),
        "live": bits(live),
        "set": {"fraction": 0.3, "survivors": bits(survivors(weights, live, 0.3))},
        "snfs": [
            {"fraction": f, "live": bits(snfs(weights, gradients, live, f))} for f in [0.1, 0.5, 0.9]
        ],
        "dsr": [
            {"threshold": t, "share": 0.1, **dsr(weights, live, t, 0.1 * sum(counts(live)))}
            for t in [1e-3, tenth, 0.08]
        ],
        "mest": [
            {"lambda": lam, "drop_to": a, "grow_to": b, **mest(weights, gradients, live, lam, a, b)}
            for lam, a, b in [(0.0, 0.84, 0.8), (0.5, 0.84, 0.8), (0.0, 0.8, 0.75), (0.1, 0.9, 0.7)]
        ],
        "imp": {"rate": 0.2, "sparsity": 0.75, "levels": imp(dense_weights, dense, 0.2, 0.75)},
        "gmp": {
            "sparsity": 0.9, "begin": 10, "end": 110, "every": 30,
            "steps": gmp(dense_weights, dense, 0.9, 10, 110, 30),
        },
    }
    text = json.dumps(golden, separators=(",", ":"))
    (Path(__file__).parent / "methods.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
