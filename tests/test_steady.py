"The tests' own tools: what is left behind, what was not checked, and the table over many rounds."
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from conftest import BIN, ROOT, typed


@pytest.fixture(autouse=True)
def quick_start(tmp_path, monkeypatch):
    "Hide thinc, which comes with fastai: pytest-randomly seeds it, which imports torch, 2 s at each start."
    (tmp_path/"hides"/"thinc").mkdir(parents=True)
    (tmp_path/"hides"/"thinc"/"__init__.py").write_text("")
    (tmp_path/"hides"/"thinc"/"api.py").write_text("def fix_random_seed(seed): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path/"hides"))


@pytest.fixture
def toy_tests(tmp_path):
    "Make a repository that has nothing but tests, and this one's conftest.py; a function runs pytest there."
    home = tmp_path/"home"
    (home/"tests").mkdir(parents=True)
    for name in ("conftest.py", "of_chapters.py"):
        shutil.copy(ROOT/"tests"/name, home/"tests")
    subprocess.run(["git", "init", "-q"], cwd=home, check=True)
    (home/"CONTRIBUTING.md").write_text("| rain | 2 | it rains … |\n")
    def run(source, *words, **variables):
        (home/"tests"/"test_toy.py").write_text(source)
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables} # a second less
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [BIN/"pytest", "tests", "-p", "no:cacheprovider", f"--basetemp={tmp_path/'base'}", *words]
        return typed(command, cwd=home, env=environment)
    return run


SIDE_BY_SIDE = ("-p", "xdist", "-n", "2", "--dist", "loadfile")
ALONE_OR_NOT = pytest.mark.parametrize("words", [(), SIDE_BY_SIDE], ids=["alone", "side by side"])
UNTIDY = """import os, subprocess, tempfile, conftest
conftest.WINDING_UP = .1
def test_temporary(): tempfile.mkstemp("forgotten")
def test_jupyter(): open(os.environ["JUPYTER_RUNTIME_DIR"] + "/kernel-1.json", "w").close()
def test_repository():
    os.makedirs("_run")
    for name in ("forgotten.txt", "_run/01_toy.ipynb"): open(name, "w").close()
def test_process(): subprocess.Popen(["sleep", "3600"])
"""


@ALONE_OR_NOT
def test_what_tests_leave_behind_is_noticed(toy_tests, tmp_path, words):
    result = toy_tests(UNTIDY, *words, CI="true")
    said = [line.removeprefix("E").strip() for line in result.stdout.splitlines()]
    left = said[said.index("AssertionError: tests left behind:") + 1:]
    left = left[:next(number for number, line in enumerate(left) if line.startswith("assert "))]
    process, temporary, kernel, *repository = left
    subprocess.run(["kill", re.fullmatch(r"process (\d+): sleep 3600 ?", process)[1]], check=True)
    own = re.escape(tempfile.gettempdir()) + r"/mark1-\w+"
    assert re.fullmatch(own + r"/tmp/tmp\w+forgotten", temporary)
    assert re.fullmatch(own + "/runtime/kernel-1.json", kernel)
    assert repository == [str(tmp_path/"home"/name) for name in ("_run/01_toy.ipynb", "forgotten.txt")]
    assert result.returncode == 1


def test_where_others_may_write_what_is_new_is_said_and_no_fault(toy_tests):
    source = """import tempfile
def test_tidy(tmp_path):
    with tempfile.TemporaryDirectory(): (tmp_path/"here").touch()
    open("new.txt", "w").close()
"""
    result = toy_tests(source, CI=None)
    assert result.returncode == 0, result.stdout
    assert re.search("by a test or by you: .*/new.txt", result.stdout)


@ALONE_OR_NOT
def test_the_summary(toy_tests, words):
    "What was not checked is said once; faults and exercises are listed."
    source = """import pytest
@pytest.mark.parametrize("case", range(3))
def test_needs(case): pytest.skip("no engine; install one")
@pytest.mark.skipif(True, reason="no moon; wait for it")
def test_other(): pass
def test_rain(outcome): outcome("rain", 2, "it rains cats")
def test_exercise(record_property): record_property("exercise of", "toys")
"""
    shown = toy_tests(source, *words).stdout
    section = shown[shown.index("NOT CHECKED"):]
    assert section.count("3 of the tests in test_toy.py: no engine; install one\n") == 1
    assert section.count("1 of the tests in test_toy.py: no moon; wait for it\n") == 1
    assert "\nrain | 2 | it rains cats\n" in shown and "exercises proved three ways: 1 of toys" in shown


def test_with_nothing_left_out_the_summary_is_silent(toy_tests):
    assert "NOT CHECKED" not in toy_tests("def test_all(): pass\n").stdout


FLAKY = """import time
from pathlib import Path
import pytest
COUNT = Path(__file__).with_name("count")
def test_now_and_then():
    time.sleep(.05)
    COUNT.write_text(COUNT.read_text() + "x" if COUNT.exists() else "x")
    assert len(COUNT.read_text()) != 2
@pytest.mark.parametrize("number", range(40))
def test_sound(number):
    with open(COUNT.with_name("order"), "a") as file: print(number, end=" ", file=file)
"""


def steady(*words, script=ROOT/"tests"/"steady.py", **variables):
    "Type the script."
    return typed([sys.executable, script, *map(str, words)], env={**os.environ, **variables})


QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} # plugins that the toys do without


def test_a_table_over_rounds(tmp_path):
    (tmp_path/"test_toy.py").write_text(FLAKY)
    options = "-p no:randomly -p no:cacheprovider"
    (tmp_path/"pyproject.toml").write_text(f'[tool.pytest.ini_options]\naddopts = "{options}"\n')
    result = steady("--rounds", 3, "--out", tmp_path/"out", "--", tmp_path/"test_toy.py", **QUICK)
    assert result.returncode == 1, result.stdout + result.stderr
    kept = json.loads((tmp_path/"out"/"steady.json").read_text())
    flaky, sound = (kept["tests"][f"test_toy::{name}"] for name in ("test_now_and_then", "test_sound[7]"))
    assert (flaky["failed"], flaky["rounds"], sound["failed"]) == (1, 3, 0)
    assert flaky["slowest"] >= flaky["quickest"] >= .05 # as it sleeps so long
    assert [bool(each["failed"]) for each in kept["rounds"]] == [False, True, False]
    assert "skipped" not in result.stdout and not any(each["skipped"] for each in kept["rounds"])
    assert re.search(r"^ +1 of +3 .* test_toy::test_now_and_then$", result.stdout, re.MULTILINE)
    shown = re.findall(r"^ +0 of +3 .* (\S+)$", result.stdout, re.MULTILINE)
    assert len(shown) == 20 # of the 40
    assert f"round 2 of 3, seed {kept['rounds'][1]['seed']}: " in result.stdout
    order = (tmp_path/"order").read_text().split()
    orders = [tuple(order[start:start + 40]) for start in (0, 40, 80)]
    assert len(set(orders)) == 3 and len(set(order)) == 40 # each round had an order of its own


BUSY = """import os, psutil
def test_busy_loops(): assert len(psutil.Process(os.getppid()).children()) == 3 # two of them and pytest
"""


def test_a_round_in_which_nothing_fails(tmp_path):
    (tmp_path/"test_toy.py").write_text(BUSY + "def test_needs(): import pytest; pytest.skip('no moon')\n")
    words = (tmp_path/"test_toy.py", "-p", "no:cacheprovider")
    result = steady("--rounds", 1, "--beside", 2, "--out", tmp_path/"out", "--", *words, **QUICK)
    assert result.returncode == 0 and "none of 3 failed" in result.stdout, result.stdout + result.stderr
    assert " s, all well, 1 skipped\n" in result.stdout
    nothing = steady("--rounds", 1, "--out", tmp_path/"out", "--", tmp_path/"gone.py", **QUICK)
    assert nothing.returncode == 1 # no test is no success


def test_the_whole_of_a_toy(toy_repository, short_folder, monkeypatch):
    "All that `mark1 test` does, in a repository with a chapter whose output is not stored."
    home = toy_repository(_00_sum=["print(6*7)"])
    monkeypatch.setenv("TMPDIR", short_folder) # where pytest keeps its last folders
    shutil.copy(ROOT/"tests"/"steady.py", home/"tests")
    (home/"tests"/"test_toy.py").write_text("def test_sound(): pass\n")
    options = "-p no:hypothesispytest -p no:anyio" # as this repository's
    (home/"pyproject.toml").write_text(f'[tool.pytest.ini_options]\naddopts = "{options}"\n')
    result = steady("--whole", "--rounds", 1, script=home/"tests"/"steady.py")
    rows = json.loads((home/"_run"/"steady"/"steady.json").read_text())["tests"]
    failed = {name: row["failed"] for name, row in rows.items()}
    assert result.returncode == 1 and failed.pop("mark1 test") == 1, result.stdout
    assert failed.pop("tests.test_toy::test_sound") == 0
    nbval, = [name for name in failed if "nbval" in name]
    assert failed.pop(nbval) == 1 # nothing is stored to compare with
    assert {name.split()[0]: times for name, times in failed.items()} == {"nbdev_test": 0, "pytest": 0}
