"""Edges that chapters do not check: each clause of a condition alone, the edge itself, what stays as it is.

Each test is here because a fault of tests/mutants.toml went unseen.
"""
import hashlib
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.data import WeightedDL
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import create_body, model_meta
from mark1 import (
    activations,
    applications,
    batch_norm,
    card,
    channels,
    dependence,
    exercises,
    first_model,
    forgetting,
    learning,
    metrics,
    occlusion,
    overfitting,
    owner,
    playground,
    recall,
    recipe,
    recommendation,
    sound,
    theorems,
    time_index,
    time_series,
    transfer,
    uplift,
    validation,
    widgets,
    zoo,
)
from mark1.data import downloads, drawings, files, networks, pictures, sets, traces
from mark1.data.sets import load
from mark1.perceptron import Perceptron
from mark1.workshop import containers, doctor, environment, notebook
from nbformat import NotebookNode
from PIL import Image
from scipy.io import wavfile
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from torch import nn
from torch.utils.data import TensorDataset

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import links


def refused(words, function, *args, **kwargs):
    "Check that something is refused with these words."
    with pytest.raises(ValueError, match=words): function(*args, **kwargs)


# 01_first_model and 03_metrics

@pytest.mark.parametrize("label", [None, np.nan])
def test_a_label_may_be_missing_in_two_ways(label):
    names = {"a.png": "cat", "b.png": "cat", "c.png": label, "d.png": "dog", "e.png": "dog"}
    refused("c.png has no label", first_model._labels, [*map(Path, names)], names.get)


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


# 05_overfitting, 05_time_index and 05_time_series

def test_measuring_a_network_uses_up_no_random_numbers():
    dls = DataLoaders.from_dsets([(torch.rand(4), n % 2) for n in range(20)],
                                 [(torch.rand(4), n % 2) for n in range(8)], bs=4, num_workers=0)
    learn = Learner(dls, nn.Linear(4, 2), nn.CrossEntropyLoss())
    before = random.getstate(), np.random.get_state()[2], torch.get_rng_state()
    overfitting.losses_and_errors(learn)
    assert random.getstate() == before[0] and np.random.get_state()[2] == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_truth_values_of_numpy_are_no_dates():
    assert time_index.form_of(np.True_) == time_index.form_of(True) == ""


def test_a_model_that_is_given_stays_as_it_is():
    known = pd.Series(np.arange(36.), pd.period_range("2001-01", periods=36, freq="M"))
    model = LinearRegression()
    time_series.calendar_forecast(model, known, known.index[-3:] + 12)
    assert not hasattr(model, "coef_")


# 06_activations, 06_batch_norm, 06_recipe and 06_transfer

def test_layers_behind_those_that_are_trained_must_be_trained_too():
    def middle(model): return [[*model[0].parameters(), *model[2].parameters()], [*model[1].parameters()]]
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    learn = SimpleNamespace(model=model, splitter=middle)
    refused("not that of the last layers", activations.body_and_head, learn)


def small_pictures(folder, count=16):
    "Write pictures without any sense, every other one called as cats are."
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder/f"{'Cat' if number % 2 else 'dog'}_{number}.png")
    return sorted(folder.glob("*.png"))


def test_the_recipe_runs_each_picture_through_the_body_once(tmp_path, monkeypatch):
    counts = []
    def counted(body, x):
        counts.append(len(x))
        return given(body, x)
    given = activations.activations_of
    monkeypatch.setattr(activations, "activations_of", counted)
    files = small_pictures(tmp_path)
    is_cat = lambda name: name[0].isupper()
    dls = ImageDataLoaders.from_name_func(tmp_path, files, is_cat, bs=4, num_workers=0)
    recipe.train_head(dls, steps=1)
    assert sum(counts) == dls.train.n + dls.valid.n


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


def test_a_network_is_asked_in_evaluation_about_old_and_new_classes():
    x = torch.randn(30, 4)
    data = TensorDataset(x, (x[:, 0] > 0).long())
    assert forgetting.share_right(TwoModes().train(), data, [[0, 1]]) == 1


def test_a_frozen_body_computes_no_gradient(tmp_path, monkeypatch):
    small_pictures(tmp_path)
    monkeypatch.setattr(forgetting, "drawings", lambda: tmp_path)
    frozen, trained = (forgetting.fine_tuned(lr, pictures=16, size=32) for lr in (0, 1e-4))
    asks = lambda body: {part.requires_grad for part in body.blocks.parameters()}
    assert asks(frozen) == {False} and asks(trained) == {True}


# 11_card and 11_zoo

def test_a_card_with_other_names_fails_though_its_numbers_are_right():
    name, stated = next(iter(card.LITE0.predictions.items()))
    renamed = tuple((f"no {each}", probability) for each, probability in stated)
    network = networks.lite0()
    holds = [card.verify(replace(card.LITE0, predictions={name: each}), network).loc[name, "holds"]
             for each in (stated, renamed)]
    assert holds == [True, False]


def test_an_answer_that_is_no_number_has_moved():
    network = networks.lite0().eval()
    network.classifier.bias.data[-1] = 1 # bit 30 makes it infinite
    flips = card.BitFlips(network, load("photographs")["coffee"])
    last = int(flips.starts[-1]) - 1
    assert flips.seen(last, 30) and not flips.seen(last, 0)
    assert network.classifier.bias[-1] == 1


def test_the_first_number_of_a_part_belongs_to_it():
    network = networks.lite0().eval()
    flips = card.BitFlips(network, load("photographs")["coffee"])
    before = flips.numbers[1][0].item()
    flips.flip(int(flips.starts[1]), 0)
    assert flips.numbers[1][0].item() == before ^ 1


def test_a_network_whose_size_is_asked_for_stays_as_it_is():
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), *pooled)
    zoo.sizes(network.train(), 8)
    assert network.training and not network[0].weight.is_meta


# 14_theorems, 14_playground and 19_widgets

def test_dots_are_called_by_their_number_and_bars_reach_both_their_ends():
    pictures, labels = theorems.random_dots(20)
    assert [*labels] == [("even", "odd")[int(picture.sum()) % 2] for picture in pictures]
    drawn = theorems.bars("above", "above", (5, 9, 13), (1, 18))
    assert [*np.flatnonzero(drawn[13])] == [*range(1, 19)] # which no short bar joins

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


# 02_learning

def test_outputs_are_those_of_evaluation():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(.9), nn.Linear(3, 2)).train()
    x = torch.rand(8, 3)
    found = learning.outputs_of(SimpleNamespace(model=model), x)
    torch.testing.assert_close(torch.tensor(found), model.eval()(x).detach())


def test_a_missing_prediction_is_refused_though_their_number_is_right():
    train = lambda x, y: lambda x: np.full(len(x), np.nan)
    x, y = np.eye(10), np.arange(10.)
    refused("look for missing values", learning.against_baseline, train, x, y, "regression")


def test_a_shape_counts_for_a_fingerprint():
    flat, tall = nn.Linear(1, 1), nn.Linear(1, 1)
    flat.weight, tall.weight = (nn.Parameter(torch.ones(shape)) for shape in ((2, 3), (3, 2)))
    flat.bias, tall.bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    assert learning.fingerprint(flat) != learning.fingerprint(tall)


def test_looking_ahead_uses_up_no_random_numbers():
    dl = WeightedDL(list(range(10)), bs=3, shuffle=True, num_workers=0) # draws from NumPy's own generator
    states = lambda: (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    before = states()
    learning.items_seen(dl, 3)
    assert states() == before


# 07_dependence and 07_occlusion

def test_attention_is_as_fast_afterwards_as_before():
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        for fast in (True, False):
            torch.backends.mha.set_fastpath_enabled(fast)
            dependence.dependence_table(lambda x: 2*x, torch.zeros(3))
            assert torch.backends.mha.get_fastpath_enabled() == fast
    finally: torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
def test_above_its_top_a_relu6_lets_no_slope_through_but_that_of_a_deconvnet(rule):
    model = nn.Sequential(nn.Flatten(), nn.ReLU6())
    images = torch.tensor([[[[7., 3, -1]]]])
    of = lambda place: occlusion.attribution(model, images, [place], rule)[0, 0, 0, place].item()
    slopes = [of(place) for place in range(3)]
    assert slopes == ([1, 1, 1] if rule == "deconvnet" else [0, 1, 0])


@pytest.mark.parametrize("rule, wanted", [("gradient", [-1, 0]), ("guided", [0, 0]), ("deconvnet", [0, 0])])
def test_a_slope_below_0_goes_back_by_the_gradient_alone(rule, wanted):
    model = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 1, bias=False))
    model[2].weight = nn.Parameter(-torch.ones(1, 2))
    found = occlusion.attribution(model, torch.tensor([[[[2., -2]]]]), [0], rule)
    assert found.flatten().tolist() == wanted


# 08_sound and 09_owner

def test_two_channels_are_mixed(tmp_path):
    left, right = np.sin(np.arange(800.)), np.cos(3*np.arange(800.))
    wavfile.write(tmp_path/"two.wav", sound.RATE, np.stack([left, right], 1))
    np.testing.assert_allclose(sound.read_sound(tmp_path/"two.wav"), (left + right)/2)


def test_windows_of_two_sessions_are_not_judged_together():
    one = pd.DataFrame({"owner": "a", "person": "a", "session": list("1122"), "score": [1., 3, 10, 20]})
    found = owner.together(one, 2)
    assert found.session.tolist() == ["1", "2"] and found.score.tolist() == [2, 15]
    refused("no session has 3 windows", owner.together, one, 3)


def test_one_session_of_each_person_stays_to_train_on():
    table = pd.DataFrame({"person": list("aaabb"), "session": list("12312")})
    held_out = owner.split_sessions(table, share=1)
    assert table[~held_out].groupby("person").session.nunique().to_dict() == {"a": 1, "b": 1}


def test_a_stranger_is_not_trained_on():
    table = pd.DataFrame({"person": np.repeat(list("abc"), 4), "session": list("1122")*3})
    met = []
    def judge(train_x, train_y, valid_x, seed):
        met.append({*train_y})
        return np.full((len(valid_x), 2), .5)
    owner.owner_scores(judge, np.zeros((12, 1)), table)
    assert met == [{"b", "c"}, {"a", "c"}, {"a", "b"}]


# 12_applications, 13_recommendation and 18_exercises

def test_one_text_in_twenty_may_have_lost_letters():
    texts = pd.Series(["caf\ufffd", *["tea"]*19])
    assert applications.check_texts(texts).tolist() == texts.tolist()
    refused("lost letters", applications.check_texts, texts[:19])


def test_what_came_at_the_date_itself_is_trained_on():
    ratings = pd.DataFrame({"user": list("abcdef"), "item": list("abcdef"), "rating": 3., "time": range(6)})
    assert recommendation.split_ratings(ratings, "date", share=.4)[1].time.tolist() == [4, 5]


def test_a_log_counts_by_the_share_that_its_coin_shows():
    log = pd.DataFrame({"shown": [True, False, True, False], "watched": [True, True, False, False],
                        "old": .5, "new": .5})
    assert uplift.off_policy(log, .2).estimate == pytest.approx((1/.2 - 1/.8)/4)


def test_neighbours_point_the_same_way_however_long_they_are():
    vectors = pd.DataFrame([[1., 0], [10, 1], [0, 1]], index=list("abc"))
    assert recommendation.neighbours(vectors, 1)[0].to_dict() == {"a": "b", "b": "a", "c": "b"}


def test_a_whole_is_no_share_in_per_cent():
    assert exercises.in_per_cent(50, .5, 0) and not exercises.in_per_cent(100, 1, 0)


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
    cat = np.asarray(Image.open(large/"Abyssinian_1.png"))
    assert (cat == np.asarray(drawings.draw_animal(True, 0, 24))).all() # and no dog, whose name begins small
    refused("16 px at least", sets.drawings, 4, 15)


def test_events_lie_on_the_screen():
    rows = [(0., -5., 3.4, "Move"), (.1, 1280., 900., "Move")]
    table = traces.recorded(rows, np.array([1280, 800]), maker="person")
    assert table[["x", "y"]].values.tolist() == [[0, 3], [1279, 799]]


def test_a_session_that_is_given_stays_as_it_is():
    session = traces.make_session(1, 1, events=50)
    before = session.copy()
    assert not traces.add_faults(session, np.random.default_rng(0)).equals(before) and session.equals(before)


# workshop

def test_a_graphics_card_that_nobody_asked_for_is_not_taken():
    asked = lambda wish: containers.dev_container("x", containers.Ez(wish, "image"), gpu=True)["runArgs"]
    assert "--gpus=all" in asked(True) and "--gpus=all" not in asked(False)
    assert containers.dev_container("x", containers.Ez(), dockerfile=True)["build"]


def test_the_oldest_and_the_newest_python_will_do():
    versions = (3, 10, 9), (3, 11, 0), (3, 13, 9), (3, 14, 0)
    states = [doctor.python_version(found).state for found in versions]
    assert states == ["stops", "well", "well", "stops"]


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(ValueError, match="names no repository") as error:
        environment.folder_name("https://me:secret@example.org/.git")
    assert "secret" not in str(error.value)


def test_of_two_branches_that_fit_the_longer_one_is_meant():
    listed = SimpleNamespace(stdout="1\trefs/heads/one\n2\trefs/heads/one/two\n")
    machine = SimpleNamespace(run=lambda *words: listed)
    assert environment.known_branch(machine, "address", "one/two/nbs") == "one/two"


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path/"a.json").write_text("mine")
    refused("is there already", environment.Machine().write_new, str(tmp_path/"a.json"), "other")
    assert (tmp_path/"a.json").read_text() == "mine"


@pytest.mark.parametrize("name", ["-x", ".hidden", ".git"])
def test_an_address_that_ends_in_an_option_or_a_hidden_name_is_refused(name):
    refused("names no repository", environment.folder_name, f"https://example.org/{name}")


@pytest.mark.parametrize("port", ["0.0.0.0:49153", "[::]:49153", ""])
def test_a_container_whose_port_is_open_to_all_gets_no_jupyterlab(port):
    said = {"inspect": "bridge", "port": port}
    def run(*words): return SimpleNamespace(stdout=said[words[1]], returncode=0) # nothing else may be called
    assert environment.jupyter_address(SimpleNamespace(run=run), "container", "me", "/course") == ""


# The workshop's notebooks, and the site

def test_cells_that_share_an_id_get_another_each():
    cells = [NotebookNode(id="same", source=source) for source in ("1", "2", "2")]
    notebook.give_ids(cells)
    assert cells[0]["id"] == "same" and len({cell["id"] for cell in cells}) == 3


def test_a_link_to_a_name_with_a_sign_is_read_as_a_browser_does(tmp_path):
    page = tmp_path/"index.html"
    found = links.target_of("/course/a.html#fish-&amp;-chips", page, tmp_path, "https://example.org/course/")
    assert found == (tmp_path/"a.html", "fish-&-chips")
