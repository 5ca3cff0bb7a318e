"""Runs of the programs `sequences`, `language_model` and `scenes` over methods and perturbations, and their tables.

    cargo build --release --example sequences --example language_model --example scenes
    python recipes/studies/tasks.py sequences recipes/studies/runs/sequences.jsonl target/release/examples
    python recipes/studies/tasks.py sequences recipes/studies/runs/sequences.jsonl

Makes the runs that the file lacks, one after the other, and adds a line for each; without a folder of programs it makes none. Then it prints
tables, mean ± sample standard deviation (number of seeds), and what each perturbation changes: paired by seed, the mean over rows of each seed by
Student's t, and single rows with Holm's correction. Needs scipy.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

PERTURBATIONS = ["none", "zo-sam", "random-sign", "s2sam", "msam"]
METHODS = "dense random magnitude snip grasp synflow gmp set dsr rigl mest mest-ems svite snfs topkast lth".split()


def sequences(seeds=10):
    for seed in range(seeds):
        for method in METHODS:
            for sharpness in PERTURBATIONS[:4]:
                yield {"method": method, "sharpness": sharpness, "seed": seed}, []


def language_model(seeds=3):
    rows = [("dense", 0)] + [(method, sparsity) for sparsity in (0.5, 0.8, 0.9) for method in ("rigl", "gmp", "svite")]
    for seed in range(seeds):
        for method, sparsity in rows:
            for sharpness in PERTURBATIONS:
                options = ["--sparsity", str(sparsity)] if sparsity else []
                yield {"method": method, "sparsity": sparsity, "sharpness": sharpness, "seed": seed}, [*options, "--bytes", "1"]


def scenes(seeds=3):
    for seed in range(seeds):
        for task in ("segment", "detect"):
            for method in ("dense", "rigl", "random"):
                for sharpness in PERTURBATIONS[:3]:
                    yield {"task": task, "method": method, "sharpness": sharpness, "seed": seed}, ["--task", task]


# Runs, what a row is, and scores with their factor and digits.
STUDIES = {
    "sequences": (sequences, ["method"], {"test_accuracy": (100, 2), "test_loss": (1, 3)}),
    "language_model": (language_model, ["method", "sparsity"], {"validation_bits": (1, 3)}),
    "scenes": (scenes, ["task", "method"], {"test_miou": (100, 1), "test_pixel_accuracy": (100, 1), "test_map": (100, 1), "test_map_50": (100, 1), "test_loss": (1, 3)}),
}


def made(program, cell, options):
    """The line of a run."""
    words = [program, "--json", "--method", cell["method"], "--sharpness", cell["sharpness"], "--seed", str(cell["seed"]), *options]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    kept = {"validation_bits", "text_hash", "live_weights", "seconds", "peak_megabytes"}
    of_text = {name: value for event in events for name, value in event.items() if name in kept}
    return {**cell, **events[-1].get("runs", [of_text])[0]}


def table(runs, row, score, factor, digits):
    """Prints a table; the scores by row, perturbation and seed."""
    found = {}
    for run in runs:
        if score in run:
            name = " ".join(str(run[key]) for key in row)
            found.setdefault(name, {}).setdefault(run["sharpness"], {})[run["seed"]] = factor * run[score]
    print(f"\n{score}\n\n| | {' | '.join(PERTURBATIONS)} |\n|---|{'---|' * len(PERTURBATIONS)}")
    for name, columns in found.items():
        cells = []
        for column in PERTURBATIONS:
            values = list(columns.get(column, {}).values())
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.{digits}f}{spread} ({len(values)})" if values else "not run")
        print(f"| {name} | {' | '.join(cells)} |")
    return found


def compare(found, column, base, digits):
    """Prints the differences of two columns, over rows that have both for at least three seeds."""
    from scipy.stats import ttest_1samp

    rows = {}
    for name, columns in found.items():
        one, other = columns.get(column, {}), columns.get(base, {})
        pairs = {seed: one[seed] - other[seed] for seed in one if seed in other}
        # Rows in which nothing was learnt are the same in all columns.
        if len(pairs) >= 3 and statistics.stdev(pairs.values()) > 1e-4:
            rows[name] = pairs
    # A row whose runs are not all made would take seeds from the others.
    full = max(map(len, rows.values()), default=0)
    rows = {name: pairs for name, pairs in rows.items() if len(pairs) == full}
    seeds = set.intersection(*map(set, rows.values())) if rows else set()
    if len(seeds) < 3:
        return

    def said(values):
        error = statistics.stdev(values) / len(values) ** 0.5
        return f"{statistics.mean(values):+.{digits + 1}f} ± {error:.{digits + 1}f}", ttest_1samp(values, 0).pvalue

    text, p = said([statistics.mean(pairs[seed] for pairs in rows.values()) for seed in sorted(seeds)])
    print(f"{column} − {base}: {text} over {len(seeds)} seeds, {len(rows)} rows, p = {p:.3g}")
    single = sorted((said(list(pairs.values()))[::-1] + (name,) for name, pairs in rows.items()))
    worst = 0
    for rank, (p, text, name) in enumerate(single[:2]):
        worst = max(worst, min(1, p * (len(single) - rank)))
        print(f"    {name}: {text}, p = {p:.3g}, corrected {worst:.3g}")


def main():
    name, path = sys.argv[1], Path(sys.argv[2])
    cells, row, scores = STUDIES[name]
    runs = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if len(sys.argv) > 3:
        for cell, options in cells():
            if any(all(run.get(key) == value for key, value in cell.items()) for run in runs):
                continue
            runs.append(made(Path(sys.argv[3]) / name, cell, options))
            with path.open("a") as file:
                file.write(json.dumps(runs[-1]) + "\n")
    for score, (factor, digits) in scores.items():
        found = table(runs, row, score, factor, digits)
        print()
        for column, base in [(column, "none") for column in PERTURBATIONS[1:]] + [("zo-sam", "random-sign")]:
            compare(found, column, base, digits)


main()
