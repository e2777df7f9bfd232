"""Count the wrong answers of six ways to train, and keep them in five_folds.json for chapter 06_batch_norm.

    python experiments/five_folds.py [ARCHIVE] [--threads N]     some twenty minutes of processor time

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the
photographs that the tests use are taken. Each photograph is held out once, in the same five folds for all the
ways. Their difference from stock fastai is given with its 95 % interval. `benchmarks/transfer.py` times them.
"""
import tempfile
from functools import partial
from pathlib import Path

import torch
from fastai.callback.training import BnFreeze
from mark1.batch_norm import paired_difference
from mark1.first_model import error_text
from photographs import (
    BATCH,
    OURS,
    SIZE,
    STOCK,
    WORKERS,
    and_unfrozen,
    count_wrong,
    facts_about,
    frozen_once,
    head_alone,
    photograph_parser,
    stock,
    unpacked,
    why_missing,
)
from shared import keep

RESULT = Path(__file__).with_suffix(".json")
RECIPES = { # DataLoaders to trained Learner, by name; the first is what the others are compared with
    STOCK: stock,
    "head alone, stock freezing": head_alone,
    "head alone, train_bn=False alone": partial(head_alone, train_bn=False),
    "head alone, train_bn=False and BnFreeze": partial(head_alone, train_bn=False, cbs=BnFreeze),
    OURS: frozen_once,
    "frozen activations, then one unfrozen epoch": and_unfrozen}


def measure(
    paths:list[Path], # photographs
) -> dict: # counts by name, and the difference from the first recipe with the ends of its interval, -1 to 1
    "Count the wrong answers of every recipe."
    reference = None
    found = {}
    for name, train in RECIPES.items():
        wrong, counts = count_wrong(paths, train, batch=BATCH, size=SIZE, num_workers=WORKERS)
        if reference is None: reference = wrong
        difference = [round(value, 4) for value in paired_difference(wrong, reference)]
        found[name] = counts | {"difference": difference}
        print(f"{name}: {error_text(counts['wrong'], counts['of'])}, {found[name]}", flush=True)
    return found


def main():
    parser = photograph_parser(__doc__)
    args = parser.parse_args()
    if missing := why_missing(args.archive): parser.error(missing)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(args.archive, Path(folder)/"photographs")
        keep(facts_about(args.archive, paths, args.threads) | {"errors": measure(paths)}, RESULT)


if __name__ == "__main__": main()
