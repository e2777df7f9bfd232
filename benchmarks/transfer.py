"""Time training on activations computed once, beside stock fastai and beside the least that it could cost.

    python benchmarks/transfer.py [ARCHIVE] [--rounds N]     some fifteen minutes of processor time

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the
photographs that the tests use are taken. Writes transfer.json, for chapter 06_activations, and
transfer.svg. All arms share split, normalisation, batch size, workers and threads, and run in one process,
each once a round. What is compared is the processor's time, summed over the threads: what else the machine
does then matters little. Peak memory is measured in a process for each arm. `experiments/five_folds.py`
counts wrong answers.
"""
import os

# Before torch: threads that wait for a busy core would burn the other one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from fastai.vision.all import ImageDataLoaders, Resize, set_seed
from harness import compare, measure, report
from mark1.activations import activations_of
from mark1.data.files import staged
from mark1.data.networks import LITE0_STATS, lite0
from mark1.data.sets import is_cat
from PIL import Image, ImageOps

sys.path.append(str(Path(__file__).resolve().parent.parent/"experiments")) # whose recipes are timed here
from photographs import (
    BATCH,
    OURS,
    SIZE,
    STOCK,
    WORKERS,
    facts_about,
    frozen_once,
    photograph_parser,
    stock,
    unpacked,
    why_missing,
)

RESULT = Path(__file__).with_suffix(".json")
COURSE = 7390 # pictures of the whole data set
LAST = "the same, channels-last"
LIMIT = "bare decode and forward"
LARGE = "computed once, from 500 px" # as large as most originals


def loaders(paths):
    "Make the DataLoaders of the course's first cell, on a list of photographs."
    set_seed(42)
    return ImageDataLoaders.from_name_func(".", paths, valid_pct=.2, seed=42, label_func=is_cat,
                                           item_tfms=Resize(SIZE), bs=BATCH, num_workers=WORKERS)


def bare_pass(paths):
    "Decode every photograph and run it through the body: what nobody who starts from files can do without."
    body = torch.nn.Sequential(*list(lite0().eval().children())[:-2])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in LITE0_STATS)
    def fitted(path): return ImageOps.fit(Image.open(path).convert("RGB"), (SIZE, SIZE), Image.BILINEAR)
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            pictures = [fitted(path) for path in paths[start:start + BATCH]]
            arrays = [torch.from_numpy(np.array(picture)) for picture in pictures]
            pixels = torch.stack([array.permute(2, 0, 1) for array in arrays])
            activations_of(body, (pixels/255 - mean)/std)


def arms(paths) -> dict: # name to what is timed
    "Make the four arms on the same photographs."
    return {STOCK: lambda: stock(loaders(paths)),
            LAST: lambda: stock(loaders(paths), torch.channels_last),
            OURS: lambda: frozen_once(loaders(paths)),
            LIMIT: lambda: bare_pass(paths)}


def megabytes():
    "Say how much memory this process has needed at most."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024


def peak(name, paths, threads, results):
    "Run one arm in a process of its own, and say how many MB it needed beyond what it had when it began."
    torch.set_num_threads(threads)
    loaders(paths[:20]).one_batch()
    before = megabytes()
    arms(paths)[name]()
    results.put({"peak MB": round(megabytes()), "beyond the start": round(megabytes() - before)})


def memory(paths, args):
    "Measure the peak memory of every arm, in MB."
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in arms(paths):
        results = context.SimpleQueue()
        process = context.Process(target=peak, args=(name, paths, args.threads, results))
        process.start()
        process.join()
        if process.exitcode: raise SystemExit(f"{name} failed in a process of its own")
        found[name] = results.get()
        print(name, found[name], flush=True)
    return {"memory": found}


def enlarged(paths, folder) -> list[Path]:
    "Make copies with a longer side of 500 px, as most originals have: they take longer to decode."
    folder.mkdir()
    for path in paths:
        picture = Image.open(path).convert("RGB")
        sides = [round(side*500/max(picture.size)) for side in picture.size]
        picture.resize(sides, Image.BICUBIC).save(folder/path.name, quality=95)
    return sorted(folder.iterdir())


def watched(name, arm, waited):
    "Make an arm note in `waited`, by its name, how long one waits for it by the clock on the wall."
    def run():
        start = time.perf_counter()
        arm()
        waited.setdefault(name, []).append(time.perf_counter() - start)
    return run


def times(paths, args):
    "Time the four arms; then say what the whole course data set would take, from pictures of both sizes."
    for warm_up in arms(paths[:25]).values(): warm_up() # imports and first calls are nobody's cost
    waited = {} # name to seconds
    with tempfile.TemporaryDirectory() as folder:
        every = arms(paths) | {LARGE: arms(enlarged(paths, Path(folder)/"large"))[OURS]}
        watching = {name: watched(name, arm, waited) for name, arm in every.items()}
        seconds = measure(watching, args.rounds, time.process_time)
    def share(other, goal): return {"ratio": compare(seconds, other)[OURS]["ratio"], "goal": goal}
    def minutes(name): return round(COURSE*statistics.median(waited[name])/len(paths)/60, 1)
    four = {name: values for name, values in seconds.items() if name != LARGE}
    return {"figures": compare(four, STOCK, {OURS: 1/6}),
            "to channels-last": share(LAST, 1/3),
            "to the limit": share(LIMIT, 1.25),
            "waited": {name: figure["ratio"] for name, figure in compare(waited, STOCK).items()},
            LARGE: compare(seconds, OURS)[LARGE]["ratio"],
            "whole course data set, minutes": {
                "photographs": COURSE, **{name: minutes(name) for name in (STOCK, OURS, LARGE)}}}


def growth(paths, args, sizes=(100, 200, 500, 1000, 2000)):
    "Time each photograph, in ms, as there are more of them, and divide by the time with the fewest."
    many = paths*(max(sizes)//len(paths) + 1)
    def train(size): frozen_once(loaders(many[:size]))
    seconds = measure({str(size): partial(train, size) for size in sizes}, args.rounds, time.process_time)
    each = {name: [1000*value/int(name) for value in values] for name, values in seconds.items()}
    figures = compare(each, str(sizes[0])).items()
    return {"growth": {name: {"ms": figure["seconds"], "ratio": figure["ratio"]} for name, figure in figures}}


def medians_and_ranges(
    spreads:list[dict], # each with 'median', 'low' and 'high'
) -> tuple[list[float], np.ndarray]: # medians; (2, n) how far the lowest and the highest lie from them
    "Give medians and ranges as Matplotlib wants them."
    medians = [values["median"] for values in spreads]
    below = [values["median"] - values["low"] for values in spreads]
    above = [values["high"] - values["median"] for values in spreads]
    return medians, np.array([below, above])


def plot(kept):
    "Draw ratios and growth into transfer.svg."
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    medians, ranges = medians_and_ranges([arm["ratio"] for arm in kept["figures"].values()])
    left.barh(list(kept["figures"]), medians, color="tab:blue", xerr=ranges, ecolor="black")
    left.invert_yaxis()
    left.set(title="Time, as a share of stock", xlabel="median and range over the rounds")
    for place, median in enumerate(medians):
        left.annotate(f" {median:.2f}", (median, place), (4, 6), textcoords="offset points", fontsize=8)
    sizes = [int(size) for size in kept["growth"]]
    medians, ranges = medians_and_ranges([row["ms"] for row in kept["growth"].values()])
    right.errorbar(sizes, medians, ranges, fmt="o-", capsize=3)
    right.set(title="Growth, activations computed once", xlabel="photographs", ylabel="ms for each",
              xscale="log", ylim=(0, None))
    right.set_xticks(sizes, sizes)
    right.minorticks_off()
    with staged(RESULT.with_suffix(".svg")) as fresh:
        figure.savefig(fresh, format="svg", metadata={"Date": None})


PARTS = {"times": times, "memory": memory, "growth": growth}


def main():
    parser = photograph_parser(__doc__)
    parser.add_argument("--measure", nargs="+", choices=PARTS, default=[*PARTS],
                        help="parts to measure anew; the others are kept")
    parser.add_argument("--rounds", type=int, default=3, help="times that each arm runs")
    args = parser.parse_args()
    if missing := why_missing(args.archive):
        print(f"{missing}. Nothing was measured") # and `make bench` goes on
        return
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(args.archive, Path(folder)/"photographs")
        facts = facts_about(args.archive, paths, args.threads)
        for part in args.measure:
            found = PARTS[part](paths, args)
            kept = json.loads(RESULT.read_text()) if RESULT.exists() else {} # read late: it may have changed
            kept |= {"figures": kept.get("figures", {})} | found
            kept.pop("machine", None)
            figures = kept.pop("figures")
            report("The first model on photographs", figures, RESULT, **(facts | kept))
            if "growth" in kept and figures: plot({"figures": figures, **kept})


if __name__ == "__main__": main()
