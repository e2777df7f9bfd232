"""Forget with five seeds, as chapter 10 does with one, and keep the figures in forgetting.json for it.

    python experiments/forgetting.py [--seeds N]     some four minutes of one core

The kept numbers and the five seeds were fixed before the first run.
"""
import copy
from pathlib import Path

import torch
from fastai.data.load import DataLoader
from fastai.torch_core import set_seed
from mark1.data.networks import lite0
from mark1.forgetting import (
    Rehearsal,
    accuracies,
    agreement,
    all_logits,
    dense_network,
    digits,
    fine_tuned,
    learn_in_turn,
    learn_task,
    permuted,
    photograph_crops,
    renormalised,
    share_right,
    small_network,
    split_classes,
)
from shared import keep, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")
FIRST = [0, 1, 2, 3, 4]
SECOND = [5, 6, 7, 8, 9]
ONE = [FIRST + SECOND]
TWO = [FIRST, SECOND]
KEPT = [0, 1, 5, 10, 20, 50, 100]
RECIPES = { # options of `fine_tuned`, by name
    "frozen, norm too": dict(norm=False),
    "frozen, norm follows": {},
    "lr 1e-5, norm frozen": dict(lr=1e-5, norm=False),
    "lr 1e-3, norm frozen": dict(lr=1e-3, norm=False)}


def row_rounded(row):
    "Round each number of a mapping."
    return {str(name): round(value, 4) for name, value in row.items()}


def rounded(table):
    "Make rows as JSON keeps them."
    return {str(name): row_rounded(row) for name, row in table.iterrows()}


def measure(
    seed:int, # of split, weights, order and memory
) -> dict: # accuracies, 0 to 1
    "Measure all that the chapter measures on digits."
    train, valid = digits(seed=seed)
    first, second = split_classes(train, TWO)
    asked = split_classes(valid, TWO)
    one, two = (learn_in_turn(first, second, heads, KEPT, seed=seed) for heads in (ONE, TWO))
    set_seed(seed, reproducible=True)
    together = learn_task(small_network(), train, ONE, seed=seed)
    memory = Rehearsal(DataLoader(first, bs=64), 20, seed=seed)
    labels = memory.items[-1]
    generator = torch.Generator().manual_seed(seed)
    memory.items = memory.items[0], labels[torch.randperm(len(labels), generator=generator)]
    shuffled = learn_task(copy.deepcopy(one["before"]), second, ONE, memory, seed=seed)
    memory = Rehearsal(DataLoader(first, bs=64), 20, share=.1, seed=seed)
    tenth = learn_task(copy.deepcopy(one["before"]), second, ONE, memory, seed=seed)
    moved = learn_in_turn(train, permuted(train, seed), ONE, (0, 20), dense_network, seed)
    moved["same_again"] = learn_in_turn(train, train, ONE, (0,), dense_network, seed)[0]
    again = renormalised(one[0], first.tensors[0])
    shares = {name: share_right(model, valid, ONE) for name, model in moved.items()}
    gain = share_right(again, asked[0], TWO) - share_right(one[0], asked[0], TWO)
    return {"one": rounded(accuracies(one, *asked, TWO)),
            "two": rounded(accuracies(two, *asked, TWO)),
            "together": round(share_right(together, asked[0], ONE), 4),
            "shuffled_memory": rounded(accuracies({20: shuffled}, *asked, TWO))["20"],
            "tenth_rehearsed": round(share_right(tenth, asked[0], ONE), 4),
            "permuted": row_rounded(shares),
            "renormalised_gain": round(gain, 4)}


def main():
    parser = parser_for(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    seeds = range(parser.parse_args().seeds)
    use_one_thread()
    rows = []
    for seed in seeds:
        row = measure(seed)
        rows.append(row)
        for heads in ("one", "two"):
            first = {kept: shares["first"] for kept, shares in row[heads].items()}
            print(f"digits, seed {seed}, {heads}: {first}", flush=True)
    result = {"kept": KEPT, **{name: [row[name] for row in rows] for name in rows[0]}}
    result["permuted"] = {name: [row["permuted"][name] for row in rows] for name in rows[0]["permuted"]}
    result["agreement"] = {}
    crops = photograph_crops()
    untouched = all_logits(lite0(), crops)
    for name, recipe in RECIPES.items():
        found = [agreement(untouched, all_logits(fine_tuned(seed=seed, **recipe), crops)) for seed in seeds]
        result["agreement"][name] = [[round(same, 4), round(divergence, 4)] for same, divergence in found]
        print(name, result["agreement"][name], flush=True)
    keep(result, RESULT)


if __name__ == "__main__": main()
