"""What checks everything says so when something fails.

`mark1 test`, `make test` and `.ci/run` are typed, on a toy repository.

About: runner.
Takes long: begins first.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from mark1.workshop.runner import chosen_to_test, edited

from conftest import BIN, ROOT, typed
from test_commands import sentence

TEST = "def test_sum(): assert sum(range(10)) == {}\n"


@pytest.fixture
def home(toy_repository, short_folder, monkeypatch):
    "Make a repository with two chapters, of which the second imports the first, and two tests; all is well."
    monkeypatch.setenv("TMPDIR", short_folder) # where pytest keeps its last folders
    low = ["#| default_exp low", "#| export\nx = 42", "print(42)"]
    high = ["import mark1\nmark1.__path__.append('../mark1')\nfrom mark1.low import x", "print(x)"]
    home = toy_repository(_00_low=low, _01_high=high, _02_other=["print(2)"])
    for name in (
        "Makefile",
        "pyproject.toml",
        "build/requirements.txt",
        "build/setup.py",
        ".ci/run",
        ".ci/engine",
        "tests/browser.sh",
        "tests/conftest.py",
        "tests/of_chapters.py",
    ):
        (home/name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT/name, home/name)
        os.utime(home/name, (0, 0)) # older than the environment, which is not to be made anew
    (home/"mark1").mkdir()
    (home/"mark1"/"__init__.py").write_text("")
    (home/"mark1"/"low.py").write_text("x = 42\n")
    (home/"tests"/"test_toy.py").write_text(TEST.format(45))
    imports = "import mark1\nmark1.__path__.append('mark1')\nimport mark1.low\n"
    (home/"tests"/"test_low.py").write_text(imports + TEST.format(45))
    (home/"bin").mkdir()
    for name in ("apt-get", "npm"): # nothing is to be installed
        (home/"bin"/name).write_text("#!/bin/sh\n")
        (home/"bin"/name).chmod(0o755)
    for path in (home/"nbs").glob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        shown = {"print(42)": "42\n", "print(x)": "42\n", "print(2)": "2\n"}
        for cell in notebook.cells:
            if cell.source not in shown: continue
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=shown[cell.source])]
        nbformat.write(notebook, path)
    return home


def replace(path, old, new):
    "Put other words into a file, in which the old ones must stand."
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


FAULTS = {
    "a failing chapter": (
        "nbs/02_other.ipynb",
        "print(2)",
        "print(1/0)",
        "FAILED nbs/02_other.ipynb::Cell 0",
    ),
    "a failing test": (
        "tests/test_toy.py",
        "== 45",
        "== 46",
        "FAILED tests/test_toy.py::test_sum",
    ),
    "a stored output that differs": (
        "nbs/02_other.ipynb",
        '"2\\n"',
        '"3\\n"',
        "FAILED nbs/02_other.ipynb::Cell 0",
    ),
    "nothing": ("tests/test_toy.py", "== 45", "== 45", "all green"),
}
COMMANDS = {
    "mark1 test": [BIN/"mark1", "test"],
    "make test": ["make", "test"],
    ".ci/run": ["bash", ".ci/run"],
}
QUICK = {
    ("mark1 test", "a stored output that differs"),
    ("make test", "a failing test"),
    (".ci/run", "a failing chapter"),
    (".ci/run", "nothing"),
}
marks_of = lambda *pair: [] if pair in QUICK else pytest.mark.slow
PAIRS = [pytest.param(command, fault, id=f"{command}, {fault}", marks=marks_of(command, fault))
         for command in COMMANDS for fault in FAULTS]


def check(home, *words):
    "Type a command in the toy repository; this environment is used, and nothing is installed."
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTEST"))}
    environment = {**outside, "MARK1_VENV": sys.prefix, "PATH": f"{home}/bin{os.pathsep}{outside['PATH']}"}
    return typed(words, cwd=home, env=environment, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("command, fault", PAIRS)
def test_what_fails_is_named_and_the_exit_code_says_so(home, command, fault):
    if not (Path(sys.prefix)/".mark1-ready").exists():
        pytest.skip("there is no environment made by `make`; type `make setup`")
    name, old, new, said = FAULTS[fault]
    for low in ("00_low", "01_high"):
        (home/"nbs"/f"{low}.ipynb").unlink() # one chapter is enough here
    replace(home/name, old, new)
    result = check(home, *COMMANDS[command])
    shown = result.stdout + result.stderr
    good = fault == "nothing"
    failed = 1 if command == "mark1 test" else 2 # make knows no other code
    assert result.returncode == (0 if good else failed), shown
    assert said in shown, shown
    assert ("FAILED" in shown) != good, shown
    assert ("all green" in shown) == good, shown
    assert ("\nfailed: " in shown) != good, shown


def commit(home):
    "Make a git repository of the toy, with all in one commit."
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    (home/".gitignore").write_text("_run/\n.pytest_cache/\n__pycache__/\n")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=home, check=True)


def test_some_chapters_with_those_that_import_them_and_their_tests(home):
    result = check(home, "make", "test", "CHAPTERS=00")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "checking 00_low 01_high\n" in result.stdout
    assert "not run: 02_other; tests that belong to none" in result.stdout
    assert "1 passed" in result.stdout.split("== pytest -q tests")[1] # of test_low.py
    replace(home/"nbs"/"01_high.ipynb", '"42\\n"', '"43\\n"')
    replace(home/"tests"/"test_low.py", "== 45", "== 46")
    result = check(home, BIN/"mark1", "test", "low")
    assert result.returncode == 1
    assert "01_high.ipynb::Cell 1" in result.stdout and "test_low.py" in result.stdout


def test_only_what_was_edited(home, mark1):
    # at the end: there is no index to make a README of
    assert mark1("refresh", "00", "01", "02", cwd=home).returncode == 2
    commit(home)
    result = mark1("test", "--changed", cwd=home)
    assert result.returncode == 0, result.stdout
    assert result.stdout.startswith("no chapter was edited since the last commit"), result.stdout
    def chosen(*names):
        return [chapter.name for chapter in chosen_to_test(home, names, changed=True)]
    replace(home/"nbs"/"02_other.ipynb", "a toy", "another toy") # prose alone
    assert chosen() == ["02_other"] and chosen("00") == []
    commit(home)
    replace(home/"mark1"/"low.py", "42", "41")
    assert chosen() == ["00_low", "01_high"]
    commit(home)
    assert chosen() == ["00_low", "01_high"] # their outputs are older than that


def test_without_git(home, mark1_here, outcome, monkeypatch):
    outcome("a copy without git, asked for what was edited", mark1_here("test", "--changed", cwd=home))
    gone = lambda *words, **options: (_ for _ in ()).throw(FileNotFoundError("git"))
    monkeypatch.setattr("subprocess.run", gone)
    said = "there is no git on this computer; install it, or name the chapters"
    with pytest.raises(ValueError, match=said): edited(home)


def test_a_chapter_that_is_not_there(mark1_here):
    assert "there is no chapter '99'" in sentence(mark1_here("test", "99"), 2)
