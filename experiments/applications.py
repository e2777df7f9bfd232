"""Compare fastai with a plain method and a dumb baseline, five times each, for chapter 12.

    python experiments/applications.py [--runs N]     some three minutes of one core

The runs are folds, starts of a network, or random fifths, as `mark1.applications` says; they were fixed
before the first one.
"""
from pathlib import Path

from mark1.applications import FAMILIES
from shared import keep, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")


def main():
    parser = parser_for(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how many, from 0, at most 5")
    runs = range(parser.parse_args().runs)
    use_one_thread()
    result = {}
    for name, compare in FAMILIES.items():
        rows = []
        for run in runs:
            rows.append({how: round(float(error), 4) for how, error in compare(run).items()})
            print(name, rows[-1], flush=True)
        result[name] = {how: [row[how] for row in rows] for how in rows[0]}
    keep(result, RESULT)


if __name__ == "__main__": main()
