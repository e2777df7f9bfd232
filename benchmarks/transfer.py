"""What computing frozen activations once costs, beside stock fastai and beside the least that it could cost.

    python benchmarks/transfer.py [ARCHIVE] [--rounds N]            some fifteen minutes of processor time
    python benchmarks/transfer.py [ARCHIVE] --measure errors        counts wrong answers, some twenty

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the photographs that the
tests use are taken. Writes transfer.json, which chapter 06 quotes, and transfer.svg. All arms share split, normalisation,
batch size, workers and threads, and run in one process, each once a round. What is compared is the processor's time, summed
over the threads: what else the machine does then matters little. Peak memory is measured in a process for each arm.
"""
import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive") # before torch: threads that wait for a busy core would burn the other

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from fastai.callback.training import BnFreeze
from fastai.vision.all import ImageDataLoaders, Resize, error_rate, set_seed, vision_learner
from first_model import unpack
from harness import compare, measure, report, spread
from mark1.data.sets import LITE0_STATS, backbone, is_cat, lite0
from mark1.data.downloads import checksum, staged
from mark1.first_model import error_text, held_out_once
from mark1.transfer import FrozenActivations, activations_of, paired_difference
from PIL import Image, ImageOps

RESULT = Path(__file__).with_suffix(".json")
SHARED = Path(__file__).resolve().parents[2]/"shared"/"data"/"oxford-iiit-pet.tgz"
SIZE, BATCH, WORKERS, COURSE = 224, 16, 0, 7390 # px, pictures, processes that load them; pictures of the whole data set
STOCK, LAST, OURS, LIMIT = "stock fine_tune(1)", "the same, channels-last", "frozen activations, computed once", "bare decode and forward"
LARGE = "computed once, from 500 px" # as large as most originals


def loaders(paths):
    "The course's first cell, on a list of photographs."
    set_seed(42)
    return ImageDataLoaders.from_name_func(".", paths, valid_pct=.2, seed=42, label_func=is_cat, item_tfms=Resize(SIZE),
                                           bs=BATCH, num_workers=WORKERS)


def learner(dls, layout=torch.channels_last, **kwargs):
    "A Learner as the course makes it, its weights in a given layout."
    learn = vision_learner(dls, backbone(), metrics=error_rate, **kwargs)
    learn.model.to(memory_format=layout)
    return learn


def silently(learn, train):
    "Train without a table, and hand the Learner back."
    with learn.no_bar(), learn.no_logging(): train(learn)
    return learn


def stock(dls, layout=torch.contiguous_format):
    "The course's recipe."
    return silently(learner(dls, layout), lambda learn: learn.fine_tune(1))


def head_alone(dls, **kwargs):
    "Three epochs of the head, the body frozen as fastai freezes it unless told otherwise."
    return silently(learner(dls, **kwargs), lambda learn: learn.fit_one_cycle(3, 3e-3))


def frozen_once(dls, epochs=3):
    "Three epochs of the head on activations that were computed once."
    def train(learn):
        with FrozenActivations(learn, views=1): learn.fit_one_cycle(epochs, 3e-3)
    return silently(learner(dls), train)


def and_unfrozen(dls):
    "The same, then one ordinary epoch of everything, as the second half of `fine_tune`."
    def train(learn):
        learn.unfreeze()
        learn.fit_one_cycle(1, slice(1.5e-5, 1.5e-3), pct_start=.3, div=5.)
    return silently(frozen_once(dls), train)


def bare_pass(paths):
    "Decode every photograph and run it through the body: what nobody who starts from files can do without."
    body = torch.nn.Sequential(*list(lite0().eval().children())[:-2])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in LITE0_STATS)
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            fitted = [ImageOps.fit(Image.open(path).convert("RGB"), (SIZE, SIZE), Image.BILINEAR) for path in paths[start:start + BATCH]]
            pixels = torch.stack([torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in fitted])
            activations_of(body, (pixels/255 - mean)/std)


def arms(paths) -> dict: # name to what is timed
    "The four arms on the same photographs."
    return {STOCK: lambda: stock(loaders(paths)), LAST: lambda: stock(loaders(paths), torch.channels_last),
            OURS: lambda: frozen_once(loaders(paths)), LIMIT: lambda: bare_pass(paths)}


def peak(name, paths, threads, results):
    "Run one arm in a process of its own; how many MB it needed beyond what it had when it began."
    torch.set_num_threads(threads)
    megabytes = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    loaders(paths[:20]).one_batch()
    before = megabytes()
    arms(paths)[name]()
    results.put({"peak MB": round(megabytes()), "beyond the start": round(megabytes() - before)})


def memory(paths, args):
    "Peak memory of every arm, in MB."
    context, found = multiprocessing.get_context("spawn"), {}
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
    "Copies with a longer side of 500 px, as most originals have: they take longer to decode."
    folder.mkdir()
    for path in paths:
        picture = Image.open(path).convert("RGB")
        picture.resize([round(side*500/max(picture.size)) for side in picture.size], Image.BICUBIC).save(folder/path.name, quality=95)
    return sorted(folder.iterdir())


def times(paths, args):
    "The four arms; then what the whole course data set would take, from pictures of this size and of the original one."
    for warm_up in arms(paths[:25]).values(): warm_up() # imports and first calls are nobody's cost
    waited = {} # name to seconds by the clock on the wall
    def watched(name, arm):
        def run():
            start = time.perf_counter()
            arm()
            waited.setdefault(name, []).append(time.perf_counter() - start)
        return run
    with tempfile.TemporaryDirectory() as folder:
        every = arms(paths) | {LARGE: arms(enlarged(paths, Path(folder)/"large"))[OURS]}
        seconds = measure({name: watched(name, arm) for name, arm in every.items()}, args.rounds, time.process_time)
    share = lambda other, goal: {"ratio": spread([one/its for one, its in zip(seconds[OURS], seconds[other])]), "goal": goal}
    minutes = {name: round(COURSE*statistics.median(waited[name])/len(paths)/60, 1) for name in (STOCK, OURS, LARGE)}
    large = {LARGE: seconds.pop(LARGE), OURS: seconds[OURS]}
    return {"figures": compare(seconds, STOCK, {OURS: 1/6}), "to channels-last": share(LAST, 1/3), "to the limit": share(LIMIT, 1.25),
            "waited": {name: figure["ratio"] for name, figure in compare(waited, STOCK).items()}, LARGE: compare(large, OURS)[LARGE]["ratio"],
            "whole course data set, minutes": {"photographs": COURSE, **minutes}}


def growth(paths, args, sizes=(100, 200, 500, 1000, 2000)):
    "Milliseconds for each photograph as there are more of them, and their ratio to those of the fewest, round by round."
    many = paths*(max(sizes)//len(paths) + 1)
    seconds = measure({str(size): partial(lambda size: frozen_once(loaders(many[:size])), size) for size in sizes}, args.rounds, time.process_time)
    each = {name: [1000*value/int(name) for value in values] for name, values in seconds.items()}
    return {"growth": {name: {"ms": figure["seconds"], "ratio": figure["ratio"]} for name, figure in compare(each, str(sizes[0])).items()}}


def errors(paths, args):
    "Wrong answers over all photographs, each held out once, in the same five folds; the difference from stock with its 95 % interval."
    recipes = {STOCK: stock, "head alone, stock freezing": head_alone,
               "head alone, train_bn=False alone": partial(head_alone, train_bn=False),
               "head alone, train_bn=False and BnFreeze": partial(head_alone, train_bn=False, cbs=BnFreeze),
               OURS: frozen_once, "frozen activations, then one unfrozen epoch": and_unfrozen}
    found = {}
    for name, train in recipes.items():
        judged = held_out_once(paths, is_cat, train, batch=BATCH, size=SIZE, num_workers=WORKERS)
        wrong = (judged.label != judged.predicted).to_numpy()
        if name == STOCK: reference = wrong
        by_fold = [int(count) for count in judged.assign(wrong=wrong).groupby("fold").wrong.sum()]
        found[name] = {"wrong": sum(by_fold), "of": len(wrong), "wrong_by_fold": by_fold,
                       "difference": [round(value, 4) for value in paired_difference(wrong, reference)]}
        print(f"{name}: {error_text(int(wrong.sum()), len(wrong))}, {found[name]}", flush=True)
    return {"errors": found}


def plot(kept):
    "Draw ratios and growth into transfer.svg."
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    names, ratios = list(kept["figures"]), [arm["ratio"] for arm in kept["figures"].values()]
    medians = [ratio["median"] for ratio in ratios]
    left.barh(names, medians, color="tab:blue", xerr=np.array([[m - r["low"], r["high"] - m] for m, r in zip(medians, ratios)]).T, ecolor="black")
    left.invert_yaxis()
    left.set(title="Time, as a share of stock", xlabel="median and range over the rounds")
    for place, median in enumerate(medians): left.annotate(f" {median:.2f}", (median, place), (4, 6), textcoords="offset points", fontsize=8)
    sizes, each = [int(size) for size in kept["growth"]], [row["ms"] for row in kept["growth"].values()]
    right.errorbar(sizes, [row["median"] for row in each], np.array([[row["median"] - row["low"], row["high"] - row["median"]] for row in each]).T, fmt="o-", capsize=3)
    right.set(title="Growth, activations computed once", xlabel="photographs", ylabel="ms for each", xscale="log", ylim=(0, None))
    right.set_xticks(sizes, sizes)
    right.minorticks_off()
    with staged(RESULT.with_suffix(".svg")) as fresh: figure.savefig(fresh, format="svg", metadata={"Date": None})


PARTS = {"times": times, "memory": memory, "growth": growth, "errors": errors}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", default=Path(os.environ.get("MARK1_TEST_PHOTOGRAPHS", SHARED)))
    parser.add_argument("--measure", nargs="+", choices=PARTS, default=["times", "memory", "growth"], help="parts to measure anew; the others are kept")
    parser.add_argument("--rounds", type=int, default=3, help="times that each arm runs")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()), help="of every arm, 2 if not given")
    args = parser.parse_args()
    if not args.archive.is_file():
        print(f"no photographs at {args.archive}; name an archive of them, or set MARK1_TEST_PHOTOGRAPHS. Nothing was measured")
        return
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        paths = unpack(args.archive, Path(folder)/"small")
        facts = {"archive": checksum(args.archive), "photographs": len(paths), "threads": args.threads, "workers": WORKERS, "batch": BATCH, "px": SIZE}
        for part in args.measure:
            found = PARTS[part](paths, args)
            kept = json.loads(RESULT.read_text()) if RESULT.exists() else {} # just before writing: another part may be measured beside this one
            kept |= {"figures": kept.get("figures", {})} | found
            kept.pop("machine", None)
            figures = kept.pop("figures")
            report("The first model on photographs", figures, RESULT, **(facts | kept))
            if "growth" in kept and figures: plot({"figures": figures, **kept})


if __name__ == "__main__": main()
