"""Count wrong answers after 20 to 2,000 pictures; keep them in learning_curve.json for 06_recipe.

    python experiments/learning_curve.py [ARCHIVE] [--sets drawings photographs] [--seeds N] [--sizes N …]

Some fifty minutes of one core. ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's
oxford-iiit-pet.tgz; without it the photographs that the tests use are taken. Stock `fine_tune(1)` is compared
with a head on frozen activations that is trained for several lengths. Each seed holds out other pictures, and
draws others to learn from. Every count is kept at once, and a run that was stopped goes on from there.
"""
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastai.torch_core import set_seed
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Resize, ResizeMethod
from fastcore.basics import using_attr
from mark1.activations import FrozenActivations
from mark1.data.files import checksum
from mark1.data.sets import drawings, is_cat
from mark1.first_model import dumb_error
from mark1.recipe import epochs_for
from photographs import STOCK, learner, photograph_parser, silently, stock, unpacked, why_missing
from shared import keep, kept, use_one_thread

RESULT = Path(__file__).with_suffix(".json")
BATCH = 16 # pictures
LARGER = 32 # what `held_out_once` takes if it is not told
SIZES = [20, 50, 100, 200, 500, 1000, 2000] # pictures to learn from
STEPS = [25, 50, 100, 200] # and never fewer than three epochs
SETS = {"drawings": {"px": 64, "held out": 500}, "photographs": {"px": 128, "held out": 59}}


def loaders(
    paths:list[Path], # pictures; the first are held out
    held_out:int, # of them
    px:int, # width and height
    batch:int, # pictures
):
    "Load pictures, squeezed to a square: nothing is cropped at random."
    block = DataBlock((ImageBlock, CategoryBlock), get_y=using_attr(is_cat, "name"),
                      splitter=IndexSplitter(range(held_out)), item_tfms=Resize(px, ResizeMethod.Squish))
    return block.dataloaders(paths, bs=batch, val_bs=250, num_workers=0)


def wrong_answers(
    learn, # just trained
) -> int: # held-out pictures
    "Read from its last epoch how many answers of a Learner are wrong."
    return round(learn.recorder.values[-1][-1]*learn.dls.valid.n)


def way_of(
    steps:int, # 0: three epochs, however few steps these are, as the recipe was before
    batch:int,
) -> str:
    "Name a way to train a head as the figures do."
    return (f"{steps} steps" if steps else "3 epochs") + f", batches of {batch}"*(batch != BATCH)


def heads(
    dls, seed:int, lengths:list[int], # steps at least
):
    "Train a head for each length on one pass of activations; give steps and wrong answers one by one."
    learn = learner(dls)
    with learn.no_bar(): frozen = FrozenActivations(learn)
    fresh = {name: value.clone() for name, value in learn.model[1].state_dict().items()}
    found = {} # epochs to wrong answers
    for steps in lengths:
        full = len(dls.train) > 0 # a batch at least; if not, the head stays as it was made
        epochs = epochs_for(dls, steps) if full else 0
        if epochs not in found:
            learn.model[1].load_state_dict(fresh)
            set_seed(seed, reproducible=True)
            with frozen:
                if full: silently(learn, lambda learn: learn.fit_one_cycle(epochs, 3e-3))
                with learn.no_bar(): share = learn.validate()[-1]
            found[epochs] = round(share*dls.valid.n)
        yield steps, found[epochs]


def measure(
    name:str, paths:list[Path], # of a set in `SETS`
    seed:int, size:int, # pictures to learn from
    figures:dict, # to which counts are added
):
    "Count the wrong answers of all ways to train that are not yet counted, and keep each count."
    held_out, px = SETS[name]["held out"], SETS[name]["px"]
    order = np.random.default_rng(seed).permutation(len(paths))[:held_out + size]
    chosen = [paths[index] for index in order]
    found = figures["wrong"].setdefault(name, {}).setdefault(str(size), {})
    def note(way, wrong):
        found.setdefault(way, {})[str(seed)] = wrong
        keep(figures, RESULT)
        print(name, size, "seed", seed, way, wrong, "of", held_out, flush=True)
    def missing(way): return str(seed) not in found.get(way, {})
    def fresh_loaders(batch):
        set_seed(seed, reproducible=True)
        return loaders(chosen, held_out, px, batch)
    labels = [is_cat(path.name) for path in chosen[:held_out]]
    if missing("dumb"): note("dumb", round(dumb_error(labels)*held_out))
    if missing(STOCK): note(STOCK, wrong_answers(stock(fresh_loaders(BATCH))))
    larger = (0, 50) if size >= LARGER else (0,) # `train_head` refuses a set that fills no batch
    for batch, wanted in ((BATCH, (0, *STEPS)), (LARGER, larger)):
        lengths = [steps for steps in wanted if missing(way_of(steps, batch))]
        if not lengths: continue
        for steps, wrong in heads(fresh_loaders(batch), seed, lengths): note(way_of(steps, batch), wrong)


def main():
    parser = photograph_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], help="both if not given")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5), help="0 to 4 if not given")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="20 to 2,000 if not given")
    args = parser.parse_args()
    if "photographs" in args.sets and (missing := why_missing(args.archive)): parser.error(missing)
    use_one_thread()
    figures = {"batch": BATCH, "larger batch": LARGER, "sets": SETS, "wrong": {}} | kept(RESULT)
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        if "photographs" in args.sets:
            found["photographs"] = unpacked(args.archive, Path(folder)/"photographs")
            figures["archive"] = checksum(args.archive)
        if "drawings" in args.sets:
            found["drawings"] = sorted(drawings(SETS["drawings"]["held out"] + max(SIZES), 64).glob("*.png"))
        for seed in args.seeds:
            for name, paths in found.items():
                for size in args.sizes:
                    if size + SETS[name]["held out"] > len(paths): continue
                    measure(name, paths, seed, size, figures)


if __name__ == "__main__": main()
