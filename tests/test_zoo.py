"What the chapters 11 say to bad input, and that it asks nothing of any network."
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from mark1.card import LITE0, verify
from mark1.data.networks import lite0
from mark1.data.sets import lite0_weights
from mark1.zoo import build, fill_in, find, front, listing, ratios, search, sizes
from torch import nn

from conftest import ROOT

KEPT = json.loads((ROOT/"experiments"/"zoo.json").read_text())


@pytest.fixture(scope="module")
def table():
    return fill_in(listing(), KEPT, .03)


@pytest.mark.parametrize("name, near", [
    ("tf_eficientnet_lite0.in1k", "did you mean 'tf_efficientnet_lite0.in1k'"),
    ("resnet18", "did you mean 'resnet18.a1_in1k'"),
    ("ResNet50.IMAGENET1K_V2", "did you mean 'resnet50.IMAGENET1K_V2'"),
    ("", "listing('*lite*')"),
    ("xyz", "listing('*lite*')"),
    (None, "no pretrained network None"),
    (18, "no pretrained network 18"),
])
def test_an_unknown_name_gets_near_ones(name, near):
    for ask in (find, build):
        with pytest.raises(ValueError) as said: ask(name)
        assert near in str(said.value) and "\n" not in str(said.value) and len(str(said.value)) < 200


def test_a_listing_is_a_copy():
    spoilt = listing()
    spoilt["library"] = "spoilt"
    assert set(listing().library) == {"timm", "torchvision"} and listing().index.is_unique
    with pytest.raises(ValueError, match="no pretrained network 'nothing like it"):
        listing("nothing like it*")


@pytest.mark.parametrize("name", [
    "regnety_1280.swag_ft_in1k",
    "regnet_y_128gf.IMAGENET1K_SWAG_E2E_V1",
    "vit_h_14.IMAGENET1K_SWAG_E2E_V1",
])
def test_a_network_too_big_for_memory_is_refused_before_it_is_built(name, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1e9}))
    said = r"takes 2\.\d GB for its parameters alone, and 1\.0 GB are free; close"
    with pytest.raises(MemoryError, match=said): build(name)


def test_pictures_of_a_size_that_a_network_cannot_take():
    vision_transformer = build("vit_b_16.IMAGENET1K_V1", "meta")
    asking = (
        lambda: sizes(vision_transformer, 200),
        lambda: ratios({"vit": (vision_transformer, 200)}, "vit"),
    )
    for ask in asking:
        with pytest.raises(ValueError, match=r"cannot take pictures of 200 × 200 px \("):
            ask()
    with pytest.raises(ValueError, match="Conv2d cannot take pictures of 3 × 3 px"):
        sizes(nn.Conv2d(3, 1, 5), 3)


@pytest.mark.parametrize("asked, said", [
    ({"seconds": 1e-9}, "0 fit 1e-09 seconds (the least: "),
    ({"megabytes": .1}, "0 fit 0.1 megabytes (the least: "),
    ({"megabytes": 0}, "megabytes is 0; it takes a number above 0"),
    ({"seconds": float("nan")}, "seconds is nan"),
    ({"seconds": "1"}, "seconds is '1'"),
    ({"licence": "Apache-2.0"}, "licence 'Apache-2.0' is stated by none; there are apache-2.0"),
    ({"licence": ["mit", "gpl"]}, "licence 'gpl'"),
    ({"licence": ""}, "licence '' is"),
    ({"licence": "gemma", "megabytes": 5}, "none of 1941 networks fits all that was asked for"),
])
def test_a_search_that_finds_nothing_says_why(table, asked, said):
    with pytest.raises(ValueError) as error: search(table, **asked)
    assert said in str(error.value)


def test_a_search_of_a_table_that_lacks_something(table):
    with pytest.raises(ValueError, match="the table is empty"): search(table[:0])
    for asked in ({"seconds": 1}, {"megabytes": 9}, {"licence": "mit"}):
        with pytest.raises(ValueError, match="the table has no column"):
            search(table[["accuracy"]], **asked)
    with pytest.raises(ValueError, match="no column 'euros'"):
        front(table, cost="euros")


def test_what_is_not_stated_does_not_fit(table):
    found = search(table, seconds=1, licence=["apache-2.0", "mit"], best=5000)
    assert set(found.licence) == {"apache-2.0", "mit"} and found.seconds.notna().all()
    kept = search(table, best=5000) # no limit: everybody stays, and those of unknown accuracy come last
    assert len(kept) == len(table)
    assert kept.accuracy.isna().to_numpy().tolist() == sorted(kept.accuracy.isna())
    assert not front(table)[table.accuracy.isna() | table.seconds.isna()].any()


def test_kept_figures_belong_to_what_is_listed(table):
    assert set(KEPT["counts"]) == set(listing().index) and not KEPT["not counted"]
    assert set(KEPT["times"]) <= set(KEPT["counts"]) and KEPT["times"][KEPT["reference"]][0] == 1
    assert all(low <= ratio <= high for ratio, low, high in KEPT["times"].values())
    assert table.seconds.max() == pytest.approx(.03*table.ratio.max())
    # published ones are not overwritten
    assert table.loc["resnet50.IMAGENET1K_V2", "parameters"] == 25_557_032


def only(table):
    "List the claims of a card that fail."
    return table.index[~table.holds].tolist()


def test_a_card_fails_where_it_should(tmp_path):
    network = lite0().eval()
    photographs = list(LITE0.predictions)
    assert only(verify(LITE0, network)) == []
    other = tmp_path/"other.pth"
    other.write_bytes(lite0_weights().read_bytes()[:-1])
    assert only(verify(LITE0, network, other)) == ["bytes", "checksum"]
    stats = ([.485, .456, .406], [.229, .224, .225])
    assert only(verify(LITE0, network, stats=stats)) == ["mean and standard deviation", *photographs]
    bigger = build("resnet18.IMAGENET1K_V1")
    assert only(verify(LITE0, bigger)) == ["parameters", *photographs]
    for parameter in network.parameters(): parameter.data.fill_(float("nan"))
    assert only(verify(LITE0, network)) == photographs
    said = "there is no file .*gone.pth to hold the card of lite0_weights against"
    with pytest.raises(FileNotFoundError, match=said):
        verify(LITE0, network, tmp_path/"gone.pth")


def test_ratios_need_rounds_and_a_reference():
    toys = {"one": (nn.Identity(), 4)}
    for wrong, said in [
        ({"reference": "two"}, "reference is 'two'"),
        ({"rounds": 0}, "rounds is 0"),
        ({"batch": 0}, "batch 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            ratios(toys, **{"reference": "one", **wrong})
    ticks = iter(np.arange(100.))
    assert ratios(toys, "one", clock=lambda: next(ticks)).loc["one"].tolist() == [1, 1, 1, .5]


def test_networks_are_given_back_in_the_mode_of_use():
    assert not build("resnet18.a1_in1k").training and build("resnet18.a1_in1k", "meta").fc.weight.is_meta
    assert isinstance(sizes(lite0()), pd.Series) and torch.is_grad_enabled()


def test_nothing_is_asked_of_a_network(tmp_path):
    "In a process whose sockets cannot connect, and whose caches are empty."
    code = """
import socket
def refuse(*args, **kwargs): raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mark1.data.networks import lite0
from mark1.card import LITE0, verify
from mark1.zoo import build, listing, search, sizes
assert len(listing()) > 1900 and verify(LITE0, lite0()).holds.all()
print(int(sizes(build("resnet18.a1_in1k")).parameters))
"""
    environment = {**dict.fromkeys(("HOME", "HF_HOME", "TORCH_HOME", "TMPDIR"), str(tmp_path)), "PATH": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "11689512", done.stderr
