"""Count the wrong answers after an exact pass and after one in bf16, and keep them in quicker_pass.json.

    python experiments/quicker_pass.py [ARCHIVE] [--seeds N] [--threads N]     two minutes

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the
photographs that the tests use are taken. Each is squeezed to a square and passes the body of Lite0 once in
each way. Then each is held out once, in five folds which differ from seed to seed, and a head is trained on
the activations of the others. Chapter 16_shards quotes the counts. It takes a processor with instructions for
bf16; `benchmarks/shards.py` takes the times.
"""
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.layers import apply_init
from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Resize,
    ResizeMethod,
    create_head,
    set_seed,
)
from mark1.activations import FrozenActivations, has_bf16, parts_of_head, silent
from mark1.batch_norm import paired_difference
from mark1.data.sets import is_cat
from photographs import BATCH, SIZE, WORKERS, facts_about, learner, photograph_parser, unpacked, why_missing
from shared import keep
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.utils.data import TensorDataset

RESULT = Path(__file__).with_suffix(".json")
WAYS = {"exact": False, "bf16": True} # name to whether it is rounded


def passes(
    paths:list[Path], # photographs
) -> tuple[dict[str, Tensor], Tensor]: # name of a way to (N, 2560); (N,) kinds
    "Pass all photographs through the body, in each way."
    squeeze = Resize(SIZE, ResizeMethod.Squish)
    dls = ImageDataLoaders.from_name_func(".", paths, valid_pct=0, label_func=is_cat, bs=BATCH,
                                          num_workers=WORKERS, item_tfms=squeeze)
    learn = silent(learner(dls))
    both = {name: FrozenActivations(learn, bf16=bf16) for name, bf16 in WAYS.items()}
    return {name: each.activations[0][0] for name, each in both.items()}, Tensor(both["exact"].targets[0][0])


def answers(
    kept:Tensor, kinds:Tensor, # (N, 2560) and (N,)
    held_out:np.ndarray, # places
    seed:int,
) -> Tensor: # (n,) kinds of those held out
    "Train a head for three epochs on all others."
    set_seed(seed, reproducible=True)
    head = create_head(kept.shape[1]//2, 2)
    apply_init(head, nn.init.kaiming_normal_)
    learning = parts_of_head(head)[1]
    others = np.setdiff1d(np.arange(len(kept)), held_out)
    data = [TensorDataset(kept[part], kinds[part]) for part in (others, held_out)]
    learn = silent(Learner(DataLoaders.from_dsets(*data, bs=BATCH), learning, CrossEntropyLossFlat()))
    learn.fit_one_cycle(3, 3e-3)
    with torch.inference_mode(): return learning.eval()(kept[held_out]).argmax(1)


def measure(
    paths:list[Path], # photographs
    seeds:int,
) -> dict: # counts by way and seed, their difference, and how far the activations are apart
    "Count the wrong answers of both ways on the same folds."
    both, kinds = passes(paths)
    kinds = kinds.long()
    wrong = {name: np.zeros((seeds, len(kinds)), dtype=bool) for name in WAYS}
    for seed in range(seeds):
        for _, held_out in KFold(5, shuffle=True, random_state=seed).split(kinds):
            for name, kept in both.items():
                flags = answers(kept, kinds, held_out, seed) != kinds[held_out]
                wrong[name][seed, held_out] = flags
        print(f"seed {seed}: {({name: int(flags[seed].sum()) for name, flags in wrong.items()})}", flush=True)
    apart = (both["bf16"] - both["exact"]).abs()/both["exact"].abs().max()
    difference = paired_difference(wrong["bf16"][0], wrong["exact"][0]) # of the first seed
    return {"wrong": {name: flags.sum(1).tolist() for name, flags in wrong.items()},
            "always the commonest kind, wrong": int(torch.bincount(kinds).min()),
            "difference": [round(value, 4) for value in difference],
            "moved by": {"largest": round(float(apart.max()), 4), "mean": round(float(apart.mean()), 6)}}


def main():
    parser = photograph_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="of folds and training; 5 if not given")
    args = parser.parse_args()
    if missing := why_missing(args.archive): parser.error(missing)
    if not has_bf16(torch.device("cpu")): parser.error("this processor has no instructions for bf16")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(args.archive, Path(folder)/"photographs")
        processor = {"processor": torch.cpu.get_capabilities()["cpu_name"]}
        keep(facts_about(args.archive, paths, args.threads) | processor | measure(paths, args.seeds), RESULT)


if __name__ == "__main__": main()
