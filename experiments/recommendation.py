"""Compare chapter 13's factors with fastai's, on the same splits of the same ratings, five seeds each.

    python experiments/recommendation.py     two minutes of one core

Both learn 16 factors and biases. fastai's settings are those of chapter 12; they were fixed before the first
run. Users and items that training never saw have untrained weights in fastai; `filled` gives them the
mean of all. `mixed` is the control: ratings to learn from mixed up. Seconds are the processor's.
"""
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.collab import TabularCollab, collab_learner
from fastai.data.block import TransformBlock
from fastai.tabular.all import Categorify
from fastai.torch_core import set_seed
from mark1.data.sets import load
from mark1.recommendation import SPLITS, as_ratings, fit_ratings, split_ratings
from shared import keep, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")


def fill_unseen(model):
    "Let users and items that training never saw, which share the first row, be like the mean of all."
    with torch.no_grad():
        for rows in (model.u_weight, model.u_bias, model.i_weight, model.i_bias):
            rows.weight[0] = rows.weight[1:].mean(0)


def by_fastai(
    train:pd.DataFrame, test:pd.DataFrame, # ratings
    seed:int,
) -> tuple[pd.Series, pd.Series]: # predicted for the rows of test; the same with `fill_unseen`
    "Learn factors and biases by gradient descent, and predict."
    both = pd.concat([train, test], ignore_index=True)[["user", "item", "rating"]]
    places = np.split(np.arange(len(both)), [len(train)])
    set_seed(seed)
    table = TabularCollab(both, [Categorify], ["user", "item"], y_names=["rating"], y_block=TransformBlock(),
                          splits=[each.tolist() for each in places])
    learn = collab_learner(table.dataloaders(bs=1024), n_factors=16, y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(3, 1e-2, wd=.1)
        predict = lambda: pd.Series(learn.get_preds()[0].flatten().numpy(), test.index)
        as_it_is = predict()
        fill_unseen(learn.model)
        return as_it_is, predict()


def off_by(predicted, given) -> float: # stars
    "Compute the root of the mean squared difference."
    return float(((predicted - given)**2).mean()**.5)


def one_run(ratings:pd.DataFrame, how:str, seed:int) -> dict[str, float]:
    "Compare on one split."
    train, test = split_ratings(ratings, how, seed=seed)
    start = time.process_time()
    ours = fit_ratings(train, seed=seed).predict(test)
    between = time.process_time()
    theirs, filled = by_fastai(train, test, seed)
    end = time.process_time()
    mixed = train.assign(rating=np.random.default_rng(seed).permutation(train.rating))
    return {"ours": off_by(ours, test.rating), "fastai": off_by(theirs, test.rating),
            "filled": off_by(filled, test.rating), "apart": off_by(ours, filled),
            "mixed": off_by(by_fastai(mixed, test, seed)[1], test.rating),
            "seconds, ours": between - start, "seconds, fastai": end - between}


def main():
    parser_for(__doc__).parse_args()
    use_one_thread()
    ratings = as_ratings(load("movielens"))
    result = {}
    for how in SPLITS:
        rows = [one_run(ratings, how, seed) for seed in range(5)]
        result[how] = {name: [round(row[name], 4) for row in rows] for name in rows[0]}
        print(how, result[how], flush=True)
    keep(result, RESULT)


if __name__ == "__main__": main()
