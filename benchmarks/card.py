"""Time the first model on an NVIDIA card: as the course writes it, quicker, and on frozen activations.

    python benchmarks/card.py [ARCHIVE] [--minutes 5]     at most that many minutes
    python benchmarks/card.py --rehearse                  small, on the processor; nothing is kept

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the
photographs that the tests use are taken. Writes card.json. Each photograph is held out once in five folds,
the same for all arms; photographs a second are all of them by the time of a recipe, from files to answers.
When the time is nearly up it ends after a fold, and says how many there were. Let no other program use the
card.
"""
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.vision.all import defaults
from harness import compare, report
from mark1.activations import few_pictures, has_bf16

sys.path.append(str(Path(__file__).resolve().parent.parent/"experiments")) # whose recipes are timed here
from photographs import (
    BATCH,
    SIZE,
    STOCK,
    count_wrong,
    facts_about,
    frozen_once,
    learner,
    photograph_parser,
    silently,
    unpacked,
    why_missing,
)

RESULT = Path(__file__).with_suffix(".json")
FOLDS = 5


def stock(dls, layout=torch.contiguous_format, **options):
    "Train by the course's recipe."
    return silently(learner(dls, layout, **options), lambda learn: learn.fine_tune(1))


def arms(
    device:torch.device,
) -> dict: # name to a function of DataLoaders that gives a trained Learner
    "Name the ways to train, those in bf16 where the device has instructions for it."
    found = {STOCK: stock, "frozen activations": frozen_once}
    if not has_bf16(device):
        print(f"this {device.type} has no instructions for bf16: those arms are left out")
        return found
    rounded = partial(stock, layout=torch.channels_last, cbs=MixedPrecision(AMPMode.BF16))
    return found | {"the same, channels-last and bf16": rounded,
                    "frozen activations, bf16": partial(frozen_once, bf16=True)}


def measured(
    train, # DataLoaders to a trained Learner
    paths:list[Path], # pictures
    fold:int,
    on_card:bool,
    **options, # of `held_out_once`
) -> dict: # seconds, wrong answers, the most memory of the card in MB
    "Train and judge in one fold."
    if on_card:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    _, counts = count_wrong(paths, train, only=fold, folds=FOLDS, **options)
    if on_card: torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated()/1e6 if on_card else 0
    return {"seconds": seconds, "wrong": counts["wrong"], "of": counts["of"], "MB": round(peak)}


def compared(
    ways:dict, # of `arms`
    paths:list[Path],
    until:float, # by time.monotonic
    **options, # of `measured`
) -> dict[str, list[dict]]: # name of an arm to what was measured, fold by fold
    "Run all arms fold by fold, until there is no time for another fold."
    found = {name: [] for name in ways}
    longest = 0
    for fold in range(FOLDS):
        begun = time.monotonic()
        if fold and begun + longest > until: break
        for name, train in ways.items():
            found[name].append(measured(train, paths, fold, **options))
            print(f"fold {fold + 1} of {FOLDS}: {name}, {found[name][-1]}", flush=True)
        longest = max(longest, time.monotonic() - begun)
    return found


def summarised(
    found:dict[str, list[dict]], # of `compared`
    photographs:int,
) -> tuple[dict, dict]: # figures of `harness.compare`; rates, errors and memory by arm
    "Put the folds of each arm together."
    seconds = {name: [row["seconds"] for row in rows] for name, rows in found.items()}
    arms = {name: {"photographs a second": round(photographs*len(rows)/sum(seconds[name]), 1),
                   "wrong": sum(row["wrong"] for row in rows), "of": sum(row["of"] for row in rows),
                   "peak MB of the card": max(row["MB"] for row in rows)} for name, rows in found.items()}
    return compare(seconds, STOCK), arms


def main():
    parser = photograph_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="for all folds; 5 if not given")
    parser.add_argument("--rehearse", action="store_true", help="on the processor, on 20 small drawings")
    args = parser.parse_args()
    until = time.monotonic() + 60*args.minutes
    on_card = not args.rehearse
    if on_card and not torch.cuda.is_available():
        parser.error("torch finds no NVIDIA card here; see `mark1 doctor`, or try the script with --rehearse")
    if on_card and (missing := why_missing(args.archive)): parser.error(missing)
    torch.set_num_threads(1 if args.rehearse else args.threads)
    options = {"batch": BATCH, "size": SIZE, "num_workers": min(8, os.cpu_count())}
    if args.rehearse:
        defaults.use_cuda = False
        options = {"batch": 8, "size": 64, "num_workers": 0}
    with tempfile.TemporaryDirectory() as folder:
        paths = few_pictures(20) if args.rehearse else unpacked(args.archive, Path(folder)/"photographs")
        facts = {"photographs": len(paths), **options}
        device = torch.device("cuda" if on_card else "cpu")
        if on_card:
            facts |= facts_about(args.archive, paths, args.threads) | options
            facts |= {"card": torch.cuda.get_device_name(0), "torch": torch.__version__}
            measured(stock, paths, 0, on_card, **options) # first calls are nobody's cost
        found = compared(arms(device), paths, until, on_card=on_card, **options)
        figures, rows = summarised(found, len(paths))
        path = RESULT if on_card else Path(folder)/"card.json"
        report("The first model on a card" if on_card else "A rehearsal, without a card", figures, path,
               arms=rows, folds=len(found[STOCK]), **facts)


if __name__ == "__main__": main()
