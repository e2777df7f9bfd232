"Benchmarks and experiments: a ratio is of one round, so a slow round does no harm; each can be typed."
import json
import os
import runpy
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, typed

sys.path.insert(0, str(ROOT/"benchmarks"))
from harness import compare, measure, report

from test_activations import tiny


def slowing_machine():
    """Make a clock, and arms that take twice as long in each round as in the one before.

    `quick` takes half of `plain`.
    """
    now, calls = [0.], []
    def arm(name, seconds):
        def run():
            turn = sum(name == called for called in calls)
            calls.append(name)
            now[0] += seconds*2**turn
        return run
    return {"plain": arm("plain", 10.), "quick": arm("quick", 5.)}, lambda: now[0], calls


def test_ratios_are_taken_round_by_round():
    arms, clock, calls = slowing_machine()
    times = measure(arms, 3, clock)
    assert times == {"plain": [10., 20., 40.], "quick": [5., 10., 20.]}
    # each round begins with another arm
    assert calls == ["plain", "quick", "quick", "plain", "plain", "quick"]
    figures = compare(times, "plain", {"quick": .6})
    assert figures["quick"] == {"seconds": {"median": 10., "low": 5., "high": 20.}, "goal": .6, "rounds": 3,
                                "ratio": {"median": .5, "low": .5, "high": .5}}


def test_a_report_is_a_table_and_json(tmp_path, capsys):
    figures = compare({"plain": [2., 4.], "quick": [1., 3.]}, "plain", {"quick": .6})
    report("Toys", figures, tmp_path/"toys.json", cells="0 of 7")
    shown = capsys.readouterr().out
    kept = json.loads((tmp_path/"toys.json").read_text())
    assert "0.50 to 0.75" in shown and "cells: 0 of 7" in shown
    assert kept["cells"] == "0 of 7" and kept["machine"]["cores"]
    assert kept["figures"]["quick"]["ratio"]["median"] == pytest.approx(.625)


def test_the_figures_of_the_runner_are_kept():
    kept = json.loads((ROOT/"benchmarks"/"runner.json").read_text())
    figures = kept["figures"]
    assert figures["mark1 run"]["goal"] == .45
    assert figures["nbdev_test and nbval together"]["goal"] == 1
    ratios = [figure["ratio"] for figure in figures.values()]
    assert all(ratio["low"] <= ratio["median"] <= ratio["high"] for ratio in ratios)
    assert kept["cells that differ from plain kernels"].startswith("0 of ")


FOLDERS = ROOT/"benchmarks", ROOT/"experiments"
MODULES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]
SCRIPTS = {path.relative_to(ROOT).as_posix(): path for path in MODULES if "__main__" in path.read_text()}
TYPED = { # what each takes
    "benchmarks/blog.py": ["--rounds", "--without-peer"], "benchmarks/runner.py": ["--rounds", "--tests"],
    "benchmarks/transfer.py": ["ARCHIVE", "--measure", "--rounds", "--threads"],
    "experiments/first_model.py": ["ARCHIVE"], "experiments/five_folds.py": ["ARCHIVE", "--threads"],
    "experiments/learning_curve.py": ["ARCHIVE", "--sets", "--seeds", "--sizes"],
    "experiments/forgetting.py": ["--seeds"], "experiments/layers.py": ["gabor digits"],
    "experiments/zoo.py": ["--times", "--counts"],
    "benchmarks/mouse.py": ["--rounds"], "experiments/mouse.py": ["ARCHIVE"],
    "benchmarks/sound.py": ["--rounds"], "experiments/sound.py": ["--archive", "rising"],
    "benchmarks/shards.py": ["ARCHIVE", "--measure", "--rounds"],
    "benchmarks/card.py": ["ARCHIVE", "--minutes", "--rehearse"],
    "experiments/quicker_pass.py": ["ARCHIVE", "--seeds"],
    "benchmarks/recommendation.py": ["--rounds", "--peak"], "experiments/applications.py": ["--runs"],
    "experiments/recommendation.py": [], "experiments/scale.py": ["same", "law"]}


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_explains_itself(script, monkeypatch, capsys):
    "In this process, which has imported torch; of our folders it finds its own alone, as when it is typed."
    own = str(SCRIPTS[script].parent)
    monkeypatch.setattr(sys, "path", [own] + [place for place in sys.path if place not in map(str, FOLDERS)])
    for path in MODULES: monkeypatch.delitem(sys.modules, path.stem, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive") # which one of them sets
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as ended: runpy.run_path(str(SCRIPTS[script]), run_name="__main__")
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and f"python {script}" in shown
    assert [word for word in TYPED[script] if word not in shown] == []


@pytest.fixture
def card(monkeypatch, tmp_path):
    "Import the script, which trains a tiny network on noise in place of the pretrained one on drawings."
    rng = np.random.default_rng(0)
    paths = [tmp_path/f"{kind}_{number}.png" for kind in ("Birman", "beagle") for number in range(10)]
    for path in paths: Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(path)
    monkeypatch.syspath_prepend(ROOT/"benchmarks")
    monkeypatch.syspath_prepend(ROOT/"experiments")
    for name in ("card", "photographs", "shared"): monkeypatch.delitem(sys.modules, name, raising=False)
    import card
    import photographs
    monkeypatch.setattr(photographs, "backbone", lambda: tiny)
    monkeypatch.setattr(card, "few_pictures", lambda count: paths)
    monkeypatch.setattr(card.defaults, "use_cuda", None, raising=False)
    monkeypatch.setattr(card.torch, "set_num_threads", lambda count: None)
    return card


def test_a_card_is_rehearsed_on_the_processor(card, monkeypatch, capsys):
    monkeypatch.setattr(card, "has_bf16", lambda device: True)
    monkeypatch.setattr(sys, "argv", ["card.py", "--rehearse", "--minutes", "0"])
    before = {*(ROOT/"benchmarks").iterdir()}
    card.main()
    shown = capsys.readouterr().out
    flat = " ".join(shown.split()) # the table is as wide as the terminal
    arms = ["stock fine_tune(1)", "frozen activations", "the same, channels-last and bf16",
            "frozen activations, bf16"]
    assert [line.partition(": ")[2].partition(", {")[0] for line in shown.splitlines()[:4]] == arms
    assert "A rehearsal, without a card" in flat and "folds: 1" in flat
    assert flat.count("'photographs a second': ") == flat.count("'of': 4, 'peak MB of the card': 0") == 4
    assert {*(ROOT/"benchmarks").iterdir()} - before <= {ROOT/"benchmarks"/"__pycache__"}


def test_folds_end_with_the_time_and_are_summed_up(card, monkeypatch):
    now = [0]
    monkeypatch.setattr(card.time, "monotonic", lambda: now[0])
    def in_one_fold(train, paths, fold, **options):
        now[0] += 20
        return {"seconds": train + fold, "wrong": fold, "of": 10, "MB": 100*train - fold}
    monkeypatch.setattr(card, "measured", in_one_fold)
    found = card.compared({card.STOCK: 4, "other": 1}, [], 100)
    assert [len(rows) for rows in found.values()] == [2, 2] # a third would end at 120 s
    figures, arms = card.summarised(found, 50)
    assert arms["other"] == {"photographs a second": 33.3, "wrong": 1, "of": 20, "peak MB of the card": 100}
    assert figures["other"]["ratio"] == {"median": .325, "low": .25, "high": .4}


def test_without_a_card_or_bf16_it_says_so(card, monkeypatch, capsys):
    monkeypatch.setattr(card.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["card.py"])
    with pytest.raises(SystemExit) as ended: card.main()
    assert ended.value.code == 2 and "torch finds no NVIDIA card here" in capsys.readouterr().err
    monkeypatch.setattr(card, "has_bf16", lambda device: False)
    assert len(card.arms(card.torch.device("cpu"))) == 2
    assert "has no instructions for bf16: those arms are left out" in capsys.readouterr().out


def test_a_part_or_archive_that_is_absent_is_named(monkeypatch, capsys):
    for script, word, said in [("layers", "gabors", "there is no part 'gabors'"),
                               ("sound", "voice", "there is no part 'voice'"),
                               ("first_model", "gone.tgz", "there is no file gone.tgz"),
                               ("five_folds", "gone.tgz", "no photographs at gone.tgz"),
                               ("learning_curve", "gone.tgz", "no photographs at gone.tgz"),
                               ("mouse", "gone.tgz", "there is no file gone.tgz")]:
        monkeypatch.syspath_prepend(ROOT/"experiments")
        monkeypatch.setattr(sys, "argv", [script, word])
        path = ROOT/"experiments"/f"{script}.py"
        with pytest.raises(SystemExit) as ended: runpy.run_path(str(path), run_name="__main__")
        assert ended.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.slow
def test_a_card_is_rehearsed_with_the_real_network(tmp_path):
    words = [sys.executable, ROOT/"benchmarks"/"card.py", "--rehearse", "--minutes", "0"]
    done = typed(words, env={**os.environ, "FASTAI_HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "A rehearsal, without a card" in " ".join(done.stdout.split())
