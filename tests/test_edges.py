"""Edges that chapters do not check: each clause of a condition alone, the edge itself, what stays as it is.

Each test is here because a fault of tests/mutants.toml went unseen.
"""
import hashlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.learner import create_body, model_meta
from mark1 import (
    batch_norm,
    channels,
    forgetting,
    metrics,
    mouse,
    occlusion,
    playground,
    recall,
    recipe,
    sound,
    time_index,
    time_series,
    transfer,
    validation,
    widgets,
)
from mark1.data import downloads, drawings, files, networks, pictures, sets
from mark1.data.sets import load
from mark1.perceptron import Perceptron
from PIL import Image
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from torch import nn
from torch.utils.data import TensorDataset


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


# 06_batch_norm, 06_recipe and 06_transfer

def test_the_interval_of_a_difference_is_that_of_the_paper():
    "Bonett and Price, by hand: 20 items worse and 2 better, of 50."
    flags = np.repeat([[1, 0], [0, 1], [0, 0]], [20, 2, 28], axis=0).T
    p, q = 21/52, 3/52
    half = norm.ppf(.975)*((p + q - (p - q)**2)/52)**.5
    wanted = 18/50, p - q - half, p - q + half
    np.testing.assert_allclose(batch_norm.paired_difference(*flags), wanted, atol=1e-6)
    refused("the same items", batch_norm.paired_difference, [], [])


def test_a_body_is_looked_at_in_evaluation():
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(.9)).train()
    seen = torch.rand(6, 3, 8, 8)
    numbers, features = batch_norm.body_state(body, seen)
    assert torch.equal(numbers, batch_norm.body_state(body, seen)[0]) # looking changes no statistics
    torch.testing.assert_close(features, body.eval()(seen).mean((2, 3)))


def test_no_wrong_answer_at_all_is_a_measurement():
    counts = {"20": {"way": {"0": 0, "1": 2}}, "100": {"way": {"0": 0}}}
    shares = recipe.shares_wrong(counts, 10, "way")
    assert [*shares] == [20, 100] and shares[20].tolist() == [0, .2] and shares[100].tolist() == [0]


def test_features_are_those_of_evaluation_whatever_mode_a_network_is_in():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(.9))
    seen = torch.rand(6, 3, 8, 8)
    found = transfer.layer_features(network.train(), seen, {"last": network[2]})["last"]
    torch.testing.assert_close(found, network.eval()(seen).mean((2, 3)))


# 07_channels and 07_occlusion

def test_each_layer_is_given_its_own_mode_back():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3)).train()
    network[1].eval()
    with channels.in_eval_mode(network): assert not network[0].training
    assert [part.training for part in network.modules()] == [True, True, False]


def test_a_batch_of_nothing_is_none():
    refused("give a batch", channels.ready, nn.Linear(1, 1), torch.zeros(0, 3, 8, 8))


def test_a_square_ends_before_the_place_behind_it():
    heat = torch.zeros(4, 9, 9)
    for picture, (row, column) in enumerate([(2, 2), (4, 4), (5, 4), (4, 5)]): heat[picture, row, column] = 1
    assert occlusion.points_inside(heat, [(2, 2)]*4, side=3).tolist() == [True, True, False, False]


# modes: what is learned is asked in evaluation

class TwoModes(nn.Module):
    "Tell whether the first number is above 0; in training it says the opposite."
    def __init__(self, *_):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        first = x.flatten(1)[:, :1]*(-1 if self.training else 1) + 0*self.weight
        return torch.cat([-first, first], 1)


def test_sounds_held_out_are_judged_in_evaluation(monkeypatch):
    monkeypatch.setattr(sound, "small_network", TwoModes)
    x = np.random.default_rng(0).normal(size=(80, 1, 4))
    assert sound.held_out_wrong(x, (x[:, 0, 0] > 0).astype(int), epochs=1)[0] == 0


def test_traces_are_judged_in_evaluation(monkeypatch):
    monkeypatch.setattr(mouse, "trace_network", lambda classes: nn.Sequential(Shifted(), TwoModes()))
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    y = (x[:, 0, 0, 0] > 127).astype(int)
    assert (mouse.by_network(x, y, x, epochs=1).argmax(1) == y).all()


class Shifted(nn.Module):
    "Let shades from 0 to 1 lie on both sides of 0."
    def forward(self, x): return x - .5


def test_a_network_is_asked_in_evaluation_about_old_and_new_classes():
    x = torch.randn(30, 4)
    data = TensorDataset(x, (x[:, 0] > 0).long())
    assert forgetting.share_right(TwoModes().train(), data, [[0, 1]]) == 1


# 14_playground and 19_widgets

def test_names_of_classes_may_hold_what_svg_would_read_as_a_mark():
    machine = Perceptron(["A&B", "<i>"], side=4, association_units=8, wires=3)
    drawn = ElementTree.fromstring(playground.machine_svg(machine, np.eye(4), "<i>"))
    assert "dials of <i>" in [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_a_slider_takes_no_value_twice_and_stops_somewhere():
    refused("two or more different numbers", widgets.check_values, [1, 2, 2])
    refused("name at least one", widgets.choose_stops, [1, 2, 3], [])
    assert widgets.choose_stops([1, 2, 3, 4, 5], 3) == [1, 3, 5]


def test_what_is_said_of_a_file_has_no_folder_of_this_machine():
    def answer(path): raise ValueError(f"{path} is no picture")
    assert widgets.hand_over(widgets.upload_box(answer), "a.txt", b"text") == "a.txt is no picture"


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


def test_files_made_by_other_versions_or_of_other_sizes_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    version = lambda number: SimpleNamespace(__version__=number)
    made = [sets.made_once(name, "in", drawings, [version(number)], lambda folder: None)
            for name, number in (("a", "1"), ("a", "2"), ("b", "1"), ("a", "1"))]
    assert len({*made}) == 3 and made[0] == made[3]


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    def breaks_off(folder):
        (folder/"first").touch()
        raise RuntimeError("stopped")
    with pytest.raises(RuntimeError): sets.made_once("a", "in", drawings, [], breaks_off)
    assert sets.made_once("a", "in", drawings, [], lambda folder: (folder/"all").touch()).is_dir()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["all"]


def test_drawings_of_another_size_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    small, large = sets.drawings(2, 16), sets.drawings(2, 24)
    assert small != large
    assert sorted(path.name for path in large.iterdir()) == ["Abyssinian_1.png", "beagle_1.png"]
    refused("16 px at least", sets.drawings, 4, 15)
