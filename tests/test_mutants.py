"""Faults that people make are noticed: the list of them keeps its places, and some are made. About: mutants.

`python tests/mutants.py` makes all, `make test-slow` too. Here each entry is looked up, and at most three are
made, of cells that differ from the last commit.
"""
import json
import re
import subprocess
import sys
from collections import Counter

import mutants
import nbformat
import pytest
from mark1.workshop.notebook import find_chapters, module_of, read_notebook

from conftest import ROOT, typed

FAULTS = mutants.read_mutants()
CHAPTERS = [path for path in find_chapters(ROOT/"nbs") if module_of(read_notebook(path))]


def has_place(
    mutant:mutants.Mutant,
):
    "Check that a fault can be made, and that its tests are there."
    texts = mutants.with_fault(mutant)
    assert all(text != path.read_text(encoding="utf-8") for path, text in texts.items()), "it changes nothing"
    assert mutant.old != mutant.new and mutant.kind
    assert all((ROOT/test.partition("::")[0]).is_file() for test in mutant.tests), mutant.tests


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_chapter_has_three_faults_that_have_their_place(path):
    of_chapter = [mutant for mutant in FAULTS if ROOT/mutant.file == path]
    for mutant in of_chapter: has_place(mutant)
    assert len(of_chapter) >= 3, f"tests/mutants.toml has too few faults of {path.stem}"


def test_the_site_has_ten_faults_and_all_are_a_hundred_and_twenty():
    of_site = [mutant for mutant in FAULTS if mutant.file.startswith("blog/")]
    for mutant in of_site: has_place(mutant)
    assert len(of_site) >= 10 and len(FAULTS) >= 120
    named = {mutant.file for mutant in FAULTS}
    known = {path.relative_to(ROOT).as_posix() for path in CHAPTERS} | {each.file for each in of_site}
    assert named == known, f"no chapter with a module, and no script of the site: {named - known}"
    twice = [name for name, count in Counter(mutant.name for mutant in FAULTS).items() if count > 1]
    assert not twice


def test_an_entry_whose_text_is_gone_says_what_to_do():
    lost = mutants.Mutant("blog/links.py", "no such text", "", "a step left out")
    with pytest.raises(ValueError, match="no longer in the exported code; mend this entry of tests/mutants"):
        mutants.with_fault(lost)
    with pytest.raises(ValueError, match=r"stands \d+ times"):
        mutants.with_fault(mutants.Mutant("blog/links.py", "import", "", "a step left out"))
    with pytest.raises(SyntaxError):
        mutants.with_fault(mutants.Mutant("blog/links.py", "from functools import cache", "from", "a typo"))


def test_what_was_changed_is_tried_three_times_at_most():
    "The child is a process of its own: the tests have imported mark1, and a fault needs it fresh."
    chosen = mutants.changed(FAULTS)
    assert len(chosen) <= 3
    if not chosen: return # nothing differs from the last commit; `make test-slow` makes all
    done = typed([sys.executable, "tests/mutants.py", "--changed"], timeout=4*mutants.LIMIT, cwd=ROOT)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def toy(toy_repository):
    "Make a repository of one chapter, its module and a test; a function tries faults there."
    defined = "#| export\ndef double(x):\n    if x < 0: x = -x\n    return 2*x"
    cells = [defined, "assert double(2) == 4", "print(double(3))", "#| default_exp toy"]
    root = toy_repository(_01_toy=cells)
    chapter = nbformat.read(root/"nbs"/"01_toy.ipynb", as_version=4)
    chapter.cells[3].outputs = [nbformat.v4.new_output("stream", text="6\n")]
    nbformat.write(chapter, root/"nbs"/"01_toy.ipynb")
    program = (ROOT/"tests"/"mutants.py").read_text(encoding="utf-8")
    files = {"mark1/__init__.py": "", "mark1/toy.py": defined,
             "tests/mutants.py": re.sub(r"(?s)SLOW_IMPORTS = .*?\)\n", "SLOW_IMPORTS = ()\n", program),
             "tests/test_toy.py": "from mark1.toy import double\ndef test(): assert double(10) == 20\n"}
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    def tried(*pairs):
        faults = [["a toy", *pair] for pair in pairs]
        rows = f'["nbs/01_toy.ipynb"]\ntests = ["tests/test_toy.py"]\nfaults = {json.dumps(faults)}\n'
        for name, text in (files | {"tests/mutants.toml": rows}).items():
            (root/name).parent.mkdir(exist_ok=True)
            (root/name).write_text(text, encoding="utf-8")
        return typed([sys.executable, "tests/mutants.py", "--no-controls"], 4*mutants.LIMIT, cwd=root)
    return tried


@pytest.mark.slow
def test_a_fault_is_noticed_by_the_first_that_looks(toy):
    done = toy(("2*x", "3*x"), ("2*x", "2*x if x < 9 else 0"))
    assert done.returncode == 0 and re.findall(r"^(chapter|test) ", done.stdout, re.MULTILINE) == [
        "chapter", "test"], done.stdout + done.stderr
    assert "2 of 2 faults noticed: 1 by chapter, 1 by test" in done.stdout


@pytest.mark.slow
def test_a_stored_output_notices_too_and_what_nobody_notices_is_named(toy):
    done = toy(("2*x", "2*x + (x == 3)"), ("x < 0", "x < -1"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 2 faults noticed: 1 by stored output, 1 by nobody" in done.stdout
    assert "NOBODY NOTICED nbs/01_toy.ipynb: a toy: x < 0 -> x < -1" in done.stdout


@pytest.mark.slow
def test_nearly_all_faults_are_noticed(): # 30 minutes on two cores
    done = subprocess.run([sys.executable, "tests/mutants.py", "--jobs", "2"], cwd=ROOT)
    assert done.returncode == 0


@pytest.mark.slow
def test_nine_controls_of_ten_fail_with_twice_the_slack(): # 10 minutes
    done = subprocess.run([sys.executable, "tests/intervals.py"], cwd=ROOT)
    assert done.returncode == 0
