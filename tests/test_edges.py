"""Edges that chapters do not check: each clause of a condition alone, the edge itself, what stays as it is.

Each test is here because a fault of tests/mutants.toml went unseen.
"""
import hashlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.learner import create_body, model_meta
from mark1 import metrics, recall, time_index, time_series, validation
from mark1.data import downloads, drawings, files, networks, pictures
from mark1.data.sets import load
from PIL import Image
from sklearn.linear_model import LinearRegression


def refused(words, function, *args, **kwargs):
    "Check that something is refused with these words."
    with pytest.raises(ValueError, match=words): function(*args, **kwargs)


# 03_metrics

def test_predictions_that_are_no_numbers_are_refused_whatever_the_function_makes_of_them():
    always = {"always": lambda predictions, targets: torch.tensor(1.)}
    refused("give NaN", metrics.evaluate, always, torch.tensor([[torch.nan, 1]]), torch.tensor([1]))


def test_a_distance_may_not_come_twice():
    batch = torch.rand(4, 3), torch.tensor([0, 1, 0, 1])
    functions = {"loss": torch.nn.functional.cross_entropy}
    where = torch.nn.Linear(3, 2), batch, functions
    refused("do not increase", metrics.along_line, *where, distances=[0, 0, 1])


def test_digits_held_out_are_not_trained_on():
    learn = metrics.digits_learner(torch.nn.functional.cross_entropy)
    assert [len(learn.dls.train_ds), len(learn.dls.valid_ds)] == [1297, 500]


# 03_recall

def test_tumours_are_drawn_once_each():
    texture, kinds = recall.screening()
    tumours = load("tumours")
    sick = tumours.data["mean texture"][tumours.target == 0]
    assert Counter(texture[kinds == "malignant", 0]) <= Counter(sick)


def test_missing_answers_are_refused_beside_whole_targets():
    refused("hold NaN", recall.against_dumb, [0., 1., 1.], [0., np.nan, 1.])


# 04_validation

def test_a_hold_out_in_order_may_be_the_whole_pool():
    flags = [0, 1, 1, 0, 0]
    assert (validation.holdout_errors(flags, [5], 3, in_order=True) == .4).all(axis=None)


def test_a_pool_of_wrong_answers_alone_has_no_spread():
    for flag in (0, 1): refused("the same for all items", validation.holdout_errors, [flag]*5, [2])


# 05_time_index and 05_time_series

def test_truth_values_of_numpy_are_no_dates():
    assert time_index.form_of(np.True_) == time_index.form_of(True) == ""


def test_a_model_that_is_given_stays_as_it_is():
    known = pd.Series(np.arange(36.), pd.period_range("2001-01", periods=36, freq="M"))
    model = LinearRegression()
    time_series.calendar_forecast(model, known, known.index[-3:] + 12)
    assert not hasattr(model, "coef_")


# data

def test_a_disk_may_be_filled_to_the_last_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    downloads.check_room(tmp_path, 10)
    with pytest.raises(OSError, match="MB are needed"): downloads.check_room(tmp_path, 11)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
def test_what_is_moved_into_place_is_the_same_and_no_copy(tmp_path, make):
    new, path = tmp_path/"new", tmp_path/"folder"/"path"
    make(new)
    number = new.stat().st_ino
    files.move_into_place(new, path)
    assert path.stat().st_ino == number and not new.exists()


def test_drawings_follow_from_their_seed_alone():
    "Mean colours as they were when this was written: they tell a cat from a dog, and any change."
    before = np.random.get_state()[1].tolist()
    colours = [np.asarray(drawings.draw_animal(seed % 2 == 0, seed, 32)).mean((0, 1)) for seed in range(4)]
    assert np.random.get_state()[1].tolist() == before
    known = [[180.6, 167.5, 147.2], [172, 152.9, 123.8], [169.9, 160.2, 135.8], [179.7, 181.2, 167.6]]
    np.testing.assert_allclose(colours, known, atol=1)


def test_all_of_a_long_file_counts_for_its_checksum(tmp_path):
    content = bytes(2**20) + b"the end"
    (tmp_path/"long").write_bytes(content)
    assert files.checksum(tmp_path/"long") == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_body_of_lite0_gives_maps_and_no_mean_of_them():
    arch = networks.backbone()
    body = create_body(arch(pretrained=False), cut=model_meta[arch]["cut"])
    assert body.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1280, 2, 2)


def test_sixteen_bits_are_scaled_by_the_largest_number_that_they_hold():
    shades = np.array([[0, 200, 255]], np.uint16)
    assert np.asarray(pictures.in_8_bits(Image.fromarray(257*shades))).tolist() == shades.tolist()
