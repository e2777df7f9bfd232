"""Activations computed once, with Learners of other kinds than its chapter has room for.

The real photographs are among them.
"""
import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.data import WeightedDL
from fastai.callback.training import BnFreeze
from fastai.vision.all import (
    AffineCoordTfm,
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    ImageDataLoaders,
    IndexSplitter,
    MSELossFlat,
    MultiCategoryBlock,
    PILImage,
    RegressionBlock,
    Resize,
    ResizeMethod,
    default_split,
    load_learner,
    model_meta,
    set_seed,
    vision_learner,
)
from mark1 import activations
from mark1.activations import FrozenActivations
from mark1.data.sets import is_cat
from mark1.first_model import held_out_once
from torch import nn

from conftest import ROOT

sys.path.insert(0, str(ROOT/"experiments"))
from photographs import BATCH, OURS, SIZE, STOCK, frozen_once, unpacked


def tiny(pretrained=True):
    "Make a body whose batch normalisation has statistics of its own, cheap enough for many trainings."
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout2d(.5),
        nn.Conv2d(8, 12, 3, 2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
    )
    for layer in body:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, .01, .1)
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 2))


model_meta[tiny] = {"cut": -3, "split": default_split, "stats": ([.5]*3, [.5]*3)}


@pytest.fixture
def table(tmp_path):
    "Make forty files of noise, and a table of what may be asked about them."
    rng = np.random.default_rng(0)
    for item in range(40):
        noise = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
        PILImage.create(noise).save(tmp_path/f"{item}.png")
    columns = {
        "file": [f"{item}.png" for item in range(40)],
        "kind": ["even", "odd"]*20,
        "size": rng.normal(size=40).astype("float32"),
        "signs": ["a b", "b", "c", "a c"]*10,
    }
    return pd.DataFrame(columns), tmp_path


TARGETS = {
    "categories": (CategoryBlock, "kind", {}),
    "several categories at once": (MultiCategoryBlock, ColReader("signs", label_delim=" "), {}),
    "a quantity": (RegressionBlock, "size", {"loss_func": MSELossFlat()}),
}


def loaders(table, target="categories", resize=Resize(16, ResizeMethod.Squish), **kwargs):
    frame, folder = table
    block, column, _ = TARGETS[target]
    data = DataBlock(
        (ImageBlock, block),
        get_x=ColReader("file", pref=folder),
        get_y=column if callable(column) else ColReader(column),
        splitter=IndexSplitter(range(0, 40, 5)),
        item_tfms=resize,
    )
    return data.dataloaders(frame, **({"bs": 6, "num_workers": 0} | kwargs))


def trained(make, once, views=None, seed=0, **kwargs):
    """Train a Learner for three epochs with or without its body.

    The reference keeps the body in evaluation mode altogether.
    """
    set_seed(seed, reproducible=True)
    learn = vision_learner(make(), tiny, train_bn=False, cbs=None if once else BnFreeze, **kwargs)
    if not once: learn.model[0].train = lambda mode=True: learn.model[0]
    learn.model[0].eval()
    frozen = FrozenActivations(learn, views) if once else nullcontext()
    with learn.no_bar(), learn.no_logging(), frozen: learn.fit_one_cycle(3, 1e-2)
    return learn


def same(one, other):
    close = torch.testing.assert_close
    close(torch.tensor(one.recorder.values), torch.tensor(other.recorder.values), atol=1e-4, rtol=1e-4)
    for p, q in zip(one.model.parameters(), other.model.parameters()):
        close(p, q, atol=1e-3, rtol=0)


@pytest.mark.parametrize("target", TARGETS)
# 32 pictures to train on: the last batch of six is dropped, and all in one
@pytest.mark.parametrize("bs", [6, 32])
def test_the_same_training_as_without(table, target, bs):
    kwargs = TARGETS[target][2]
    make = lambda: loaders(table, target, bs=bs)
    reference, once = (trained(make, once, **kwargs) for once in (False, True))
    same(reference, once)
    with pytest.raises(AssertionError):
        same(reference, trained(make, True, seed=1, **kwargs))


def test_other_orders_of_dealing(table):
    weights = np.arange(1, 33)
    make = lambda: loaders(table, dl_type=WeightedDL, dl_kwargs=[{"wgts": weights}, {}])
    same(trained(make, False), trained(make, True))


def test_loading_in_other_processes(table):
    same(trained(lambda: loaders(table), False), trained(lambda: loaders(table, num_workers=1), True))


def test_dice_and_learner_are_left_as_they_were(table):
    dls = loaders(table)
    learn = vision_learner(dls, tiny)
    set_seed(3)
    before = torch.rand(1), np.random.rand()
    set_seed(3)
    with FrozenActivations(learn): pass
    assert (torch.rand(1), np.random.rand()) == before
    assert learn.dls is dls and len(learn.cbs) == len(vision_learner(dls, tiny).cbs)


def test_two_views_differ_and_take_turns(table):
    activations = FrozenActivations(vision_learner(loaders(table, resize=Resize(16)), tiny), views=2)
    assert [len(views) for views in activations.activations] == [2, 1]
    assert not torch.equal(*activations.activations[0])
    assert "2 × 32 + 1 × 8" in repr(activations)


def test_everything_works_afterwards(table, tmp_path):
    learn = trained(lambda: loaders(table), True)
    body = [p.clone() for p in learn.model[0].parameters()]
    learn.unfreeze()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 1e-2)
    after = learn.model[0].parameters()
    assert all(not torch.equal(p, q) for p, q in zip(body, after)) # the body learns again
    learn.export(tmp_path/"learner.pkl")
    loaded = load_learner(tmp_path/"learner.pkl")
    row = table[0].iloc[3]
    with learn.no_bar(), loaded.no_bar():
        torch.testing.assert_close(learn.predict(row)[2], loaded.predict(row)[2])
        learn.show_results(max_n=2)


def test_a_file_named_in_a_table_that_changes(table):
    activations = FrozenActivations(vision_learner(loaders(table), tiny))
    with activations: pass
    (table[1]/"7.png").write_bytes((table[1]/"8.png").read_bytes())
    said = "picture .*7.png.* has changed since the activations were computed"
    with pytest.raises(ValueError, match=said): activations.__enter__()


def test_pictures_in_memory_that_change(table):
    pictures = [np.asarray(PILImage.create(table[1]/name)).copy() for name in table[0].file]
    data = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=lambda item: item[..., :3],
        get_y=lambda item: int(item[0, 0, 0] > 127),
        splitter=IndexSplitter(range(8)),
        item_tfms=Resize(16, ResizeMethod.Squish),
    )
    activations = FrozenActivations(vision_learner(data.dataloaders(pictures, bs=6, num_workers=0), tiny))
    with activations: pass
    pictures[20][5, 5] = 255 - pictures[20][5, 5]
    with pytest.raises(ValueError, match="list of pictures has changed"):
        activations.__enter__()


def test_the_pass_shows_how_far_it_is(table, capsys):
    learn = vision_learner(loaders(table), tiny)
    FrozenActivations(learn)
    assert "100.00% [8/8" in capsys.readouterr().out
    with learn.no_bar(): FrozenActivations(learn)
    assert capsys.readouterr().out == ""


def test_nothing_held_out(table):
    frame, folder = table
    dls = ImageDataLoaders.from_df(
        frame,
        folder,
        valid_pct=0,
        fn_col="file",
        label_col="kind",
        bs=6,
        num_workers=0,
        item_tfms=Resize(16, ResizeMethod.Squish),
    )
    learn = vision_learner(dls, tiny)
    activations = FrozenActivations(learn)
    assert repr(activations).startswith("views × pictures: 1 × 40;")
    with activations, learn.no_bar(), learn.no_logging(): learn.fit(1)


@pytest.mark.parametrize("file, label", [
    ("Image Name", "kind"), ("_file", "kind"), ("file", "class"), ("index", "count"), ("a-b", "def"),
])
def test_columns_may_have_any_name(table, file, label):
    "What a change of a file is told by needs the column, too."
    frame, folder = table
    frame = frame.rename(columns={"file": file, "kind": label}).set_index(frame.index*2 + 7)
    dls = ImageDataLoaders.from_df(frame, folder, fn_col=file, label_col=label, bs=6, num_workers=0, seed=0,
                                   item_tfms=Resize(16, ResizeMethod.Squish))
    learn = vision_learner(dls, tiny)
    activations = FrozenActivations(learn)
    with activations, learn.no_bar(), learn.no_logging(): learn.fit(1)
    PILImage.create(np.zeros((9, 9, 3), np.uint8)).save(folder/dls.train.items.iloc[0][file])
    with pytest.raises(ValueError, match="changed"):
        with activations: learn.fit(1)


def test_in_bf16_the_pass_is_rounded_and_all_else_stays(table, monkeypatch):
    monkeypatch.setattr(activations, "has_bf16", lambda device: True) # slow where there is none, and the same
    passes = [FrozenActivations(vision_learner(loaders(table), tiny), bf16=bf16) for bf16 in (False, True)]
    exact, rounded = (each.activations[0][0] for each in passes)
    assert rounded.dtype == torch.float32 and not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, atol=.02*float(exact.abs().max()), rtol=0)
    assert repr(passes[1]).endswith("rounded to bf16") and "bf16" not in repr(passes[0])
    assert not torch.is_autocast_enabled("cpu") and next(passes[1].body.parameters()).dtype == torch.float32


@pytest.mark.parametrize("flags, found", [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True),
                                          ({"avx512_f": True, "avx512_bf16": False}, False), ({}, False)])
def test_a_processor_without_bf16_gets_the_exact_pass_and_a_sentence(table, monkeypatch, flags, found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert activations.has_bf16(torch.device("cpu")) is found
    assert not activations.has_bf16(torch.device("mps"))
    if found: return
    exact = FrozenActivations(vision_learner(loaders(table), tiny))
    with pytest.warns(UserWarning, match="this cpu has no instructions for bf16; the pass is exact"):
        asked = FrozenActivations(vision_learner(loaders(table), tiny), bf16=True)
    assert torch.equal(asked.activations[0][0], exact.activations[0][0]) and "bf16" not in repr(asked)


def test_two_inputs_are_refused(table):
    learn = vision_learner(loaders(table), tiny)
    learn.dls = SimpleNamespace(n_inp=2)
    with pytest.raises(ValueError, match="have 2 inputs"): FrozenActivations(learn)


def test_batch_transforms_by_chance_are_named(table):
    dls = loaders(table, batch_tfms=None)
    dls.train.after_batch.add(AffineCoordTfm())
    learn = vision_learner(dls, tiny)
    with pytest.raises(ValueError, match="AffineCoordTfm may change a picture at random"):
        FrozenActivations(learn)


@pytest.mark.slow
def test_one_fold_of_the_photographs(photographs, tmp_path):
    "The quick form of the count that chapter 06_batch_norm quotes."
    paths = unpacked(photographs, tmp_path/"photographs")
    judged = held_out_once(paths, is_cat, frozen_once, only=0, batch=BATCH, size=SIZE)
    wrong = int((judged.label != judged.predicted).sum())
    print(f"{wrong} of {len(judged)} wrong")
    assert len(judged) == 52 and wrong <= 4


def test_the_figures_are_kept():
    timed = ROOT/"benchmarks"/"transfer.json"
    kept = json.loads(timed.read_text())
    errors = json.loads((ROOT/"experiments"/"five_folds.json").read_text())["errors"]
    assert {STOCK, OURS} <= kept["figures"].keys() & kept["memory"].keys() & errors.keys()
    assert all(sum(row["wrong_by_fold"]) == row["wrong"] for row in errors.values())
    assert timed.with_suffix(".svg").exists()
