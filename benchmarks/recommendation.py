"""Time learning from ratings beside the package surprise if installed: growth to a million rows, and memory.

    python benchmarks/recommendation.py [--rounds N]     half a minute

Writes recommendation.json. The ratings are made: few people rate much, and few items are rated often. All
arms learn 16 factors from the same rows on one thread; the processor's time is compared. The error of each on
MovieLens, on the same random fifth, stands beside. surprise is no part of the project:
`pip install scikit-surprise` adds its arm, and without it the earlier figures are kept.
"""
import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from harness import compare, measure, report
from mark1.data.sets import load
from mark1.recommendation import as_ratings, fit_ratings, root_mean_square, split_ratings
from mark1.top_ten import recommend
from threadpoolctl import threadpool_limits

RESULT = Path(__file__).with_suffix(".json")
SIZES = (250_000, 500_000, 1_000_000)


def made_ratings(
    count:int, # rows
) -> pd.DataFrame: # user, item, rating, time
    "Make ratings: about 150 for each user, of 4,000 items, some far more popular than others."
    rng = np.random.default_rng(0)
    users = count//150
    user = (users*rng.random(2*count)**1.5).astype(int)
    item = (4000*rng.random(2*count)**2.5).astype(int)
    stars = 3.5 + rng.normal(0, .4, users)[user] + rng.normal(0, .4, 4000)[item] + rng.normal(0, .8, 2*count)
    table = pd.DataFrame({"user": user, "item": item, "rating": (2*stars).round().clip(1, 10)/2,
                          "time": rng.permutation(2*count)})
    table = table.drop_duplicates(["user", "item"])
    if len(table) < count: raise ValueError(f"only {len(table)} of {count} pairs were made; take more items")
    return table[:count].reset_index(drop=True)


def by_surprise(
    table:pd.DataFrame, # ratings
): # surprise's algorithm, trained
    "Learn 16 factors with biases by stochastic gradient descent, with surprise's own settings."
    from surprise import SVD, Dataset, Reader
    reader = Reader(rating_scale=(table.rating.min(), table.rating.max()))
    data = Dataset.load_from_df(table[["user", "item", "rating"]], reader)
    return SVD(n_factors=16, random_state=0).fit(data.build_full_trainset())


def peak() -> None:
    "Do all that the chapters do with a million rows, and print the peak of memory in MB."
    ratings = as_ratings(made_ratings(SIZES[-1]))
    train, test = split_ratings(ratings, "last")
    root_mean_square(fit_ratings(train), test)
    for how in ("factors", "item cosine"): recommend(train, how)
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024))


def errors(
    with_surprise:bool,
) -> dict[str, float]: # stars
    "Compute the errors on a random fifth of MovieLens."
    train, test = split_ratings(as_ratings(load("movielens")))
    found = {"this chapter": root_mean_square(fit_ratings(train), test)}
    if with_surprise:
        model = by_surprise(train)
        predicted = [model.predict(user, item).est for user, item in zip(test.user, test.item)]
        found["surprise"] = float(((np.array(predicted) - test.rating)**2).mean()**.5)
    return {name: round(error, 3) for name, error in found.items()}


if __name__ == "__main__":
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", action="store_true", help="measure memory alone, and print it")
    args = parser.parse_args()
    if args.peak: sys.exit(peak())
    with_surprise = importlib.util.find_spec("surprise") is not None
    tables = {f"{size//1000:,},000 rows": made_ratings(size) for size in SIZES}
    arms = {name: lambda table=table: fit_ratings(table) for name, table in tables.items()}
    if with_surprise:
        arms["surprise, 250,000 rows"] = lambda: by_surprise(tables["250,000 rows"])
    with threadpool_limits(1):
        figures = compare(measure(arms, args.rounds, time.process_time), "250,000 rows")
        stars = errors(with_surprise)
    earlier = json.loads(RESULT.read_text()) if RESULT.exists() else {"figures": {}, "stars": {}}
    kept = {name: figure for name, figure in earlier["figures"].items() if "surprise" in name}
    command = [sys.executable, __file__, "--peak"]
    megabytes = subprocess.run(command, capture_output=True, text=True, check=True)
    report("Ratings learned from", kept | figures, RESULT, stars=earlier["stars"] | stars,
           peak_megabytes=int(megabytes.stdout.split()[-1]))
