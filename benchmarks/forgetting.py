"""Forget with five seeds, as chapter 10 does with one: python benchmarks/forgetting.py

Writes benchmarks/forgetting.json, with which the chapter compares. Some four minutes of one core.
The kept numbers and the five seeds were fixed before the first run.
"""
import argparse
import copy
import json
import os
from pathlib import Path

import torch
from fastai.data.load import DataLoader
from fastai.torch_core import set_seed
from mark1.data.sets import lite0
from mark1.data.downloads import staged
from mark1.forgetting import (Rehearsal, accuracies, agreement, all_logits, dense_network, digits, fine_tuned, learn_in_turn,
                              learn_task, permuted, photograph_crops, renormalised, share_right, small_network, split_classes)

RESULT = Path(__file__).with_suffix(".json")
FIRST, SECOND = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]
ONE, TWO = [FIRST + SECOND], [FIRST, SECOND]
KEPT = [0, 1, 5, 10, 20, 50, 100]
RECIPES = {"frozen, norm too": dict(norm=False), "frozen, norm follows": {},
           "lr 1e-5, norm frozen": dict(lr=1e-5, norm=False), "lr 1e-3, norm frozen": dict(lr=1e-3, norm=False)}


def rounded(table):
    "Rows as JSON keeps them."
    return {str(name): {column: round(value, 4) for column, value in row.items()} for name, row in table.iterrows()}


def measure(
    seed:int, # of split, weights, order and memory
) -> dict: # accuracies, 0 to 1
    "All that the chapter measures on digits."
    train, valid = digits(seed=seed)
    (first, second), asked = split_classes(train, TWO), split_classes(valid, TWO)
    one, two = (learn_in_turn(first, second, heads, KEPT, seed=seed) for heads in (ONE, TWO))
    set_seed(seed, reproducible=True)
    together = learn_task(small_network(), train, ONE, seed=seed)
    memory = Rehearsal(DataLoader(first, bs=64), 20, seed=seed)
    labels = memory.items[-1]
    memory.items = memory.items[0], labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    shuffled = learn_task(copy.deepcopy(one["before"]), second, ONE, memory, seed=seed)
    moved = learn_in_turn(train, permuted(train, seed), ONE, (0, 20), dense_network, seed)
    moved["same_again"] = learn_in_turn(train, train, ONE, (0,), dense_network, seed)[0]
    again = renormalised(one[0], first.tensors[0])
    return {"one": rounded(accuracies(one, *asked, TWO)), "two": rounded(accuracies(two, *asked, TWO)),
            "together": round(share_right(together, asked[0], ONE), 4),
            "shuffled_memory": rounded(accuracies({20: shuffled}, *asked, TWO))["20"],
            "permuted": {str(name): round(share_right(model, valid, ONE), 4) for name, model in moved.items()},
            "renormalised_gain": round(share_right(again, asked[0], TWO) - share_right(one[0], asked[0], TWO), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    seeds = range(parser.parse_args().seeds) if parser.add_argument("--seeds", type=int, default=5, help="how many, from 0") else ()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    rows = []
    for seed in seeds:
        rows.append(measure(seed))
        print("digits, seed", seed, {heads: {kept: row["first"] for kept, row in rows[-1][heads].items()} for heads in ("one", "two")}, flush=True)
    result = {"kept": KEPT, **{name: [row[name] for row in rows] for name in rows[0]}}
    result["permuted"] = {name: [row["permuted"][name] for row in rows] for name in rows[0]["permuted"]}
    crops, result["agreement"] = photograph_crops(), {}
    untouched = all_logits(lite0(), crops)
    for name, recipe in RECIPES.items():
        found = [agreement(untouched, all_logits(fine_tuned(seed=seed, **recipe), crops)) for seed in seeds]
        result["agreement"][name] = [[round(same, 4), round(divergence, 4)] for same, divergence in found]
        print(name, result["agreement"][name], flush=True)
    with staged(RESULT) as fresh: fresh.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__": main()
