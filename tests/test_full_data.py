"""The course's own photographs: trained on as they come out of the full data's archive.

How that archive gets here is in test_downloads.py.

Takes long: begins first.
"""
import json
import os
import re
import sys

import pytest
from mark1.data.files import checksum
from mark1.data.sets import is_cat
from mark1.first_model import dumb_error, error_interval, held_out_once
from mark1.recipe import train_head

from conftest import PATIENCE, ROOT

sys.path.insert(0, str(ROOT/"experiments"))
from first_model import RESULT, measure_photographs
from photographs import unpacked

NAME = "oxford-iiit-pet.tgz"


def test_the_first_model_on_real_photographs(mark1, serve, photographs, copied_repository, tmp_path):
    "The course's cells, on photographs that came through a mirror on the loopback address."
    served = tmp_path/"served"
    served.mkdir()
    os.symlink(photographs, served/NAME)
    (served/f"{NAME}.sha256").write_text(checksum(photographs).removeprefix("sha256:"))
    full = {"MARK1_DATA": "full", "MARK1_MIRROR": serve(served)}
    full["OMP_NUM_THREADS"] = "1" # beside other tests two threads wait for each other more than they compute
    result = mark1("run", "01", cwd=copied_repository, timeout=4*PATIENCE, **full)
    assert result.returncode == 0, result.stdout + result.stderr
    shown = " ".join(result.stdout.replace("│", " ").split())
    print(shown)
    # that it beats the dumb classifier, the chapter has asserted
    assert re.search(r"error: \d+ of 51 wrong", shown)
    assert "on photographs" in shown and "Data: full" in shown


@pytest.mark.slow
def test_one_fold_of_the_photographs(photographs, tmp_path):
    "A quicker form of the claim that at most 8 of 259 are wrong: one fold of five."
    paths = unpacked(photographs, tmp_path/"photographs")
    judged = held_out_once(paths, is_cat, train_head, only=0)
    wrong = int((judged.label != judged.predicted).sum())
    print(f"{wrong} of {len(judged)} wrong")
    assert len(judged) == 52 and wrong <= 4
    assert error_interval(wrong, len(judged))[1] < dumb_error(judged.label)


@pytest.mark.slow
def test_all_folds_of_the_photographs(photographs, tmp_path):
    "Measure again what chapter 01 quotes; another machine may count a few more or fewer."
    stored = json.loads(RESULT.read_text())["photographs"]
    assert checksum(photographs) == stored["archive"]
    measured = measure_photographs(unpacked(photographs, tmp_path/"photographs"))
    print(measured, error_interval(measured["wrong"], measured["of"]))
    assert measured["of"] == 259 and measured["wrong"] <= 8 and abs(measured["wrong"] - stored["wrong"]) <= 4
