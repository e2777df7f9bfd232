"The figures of the recipe for few pictures, as its experiment keeps them."
import json
import sys

from mark1.recipe import shares_wrong

from conftest import ROOT

sys.path.insert(0, str(ROOT/"experiments"))
import learning_curve
from photographs import STOCK


def test_the_figures_of_the_curve_are_kept():
    kept = json.loads(learning_curve.RESULT.read_text())
    assert kept["batch"] == learning_curve.BATCH and kept["sets"] == learning_curve.SETS
    for name, counts in kept["wrong"].items():
        held_out = kept["sets"][name]["held out"]
        for ways in counts.values():
            assert {"dumb", STOCK, "3 epochs", "50 steps"} <= ways.keys()
            assert all(0 <= wrong <= held_out for each in ways.values() for wrong in each.values())
        curve = shares_wrong(counts, held_out, "50 steps")
        assert [*curve] == sorted(map(int, counts)) and all(len(shares) >= 3 for shares in curve.values())
