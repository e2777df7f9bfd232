"""Every exercise of every chapter, three ways.

The solution passes, the blank is told what to do, each known mistake is explained.

Takes long: begins first.
"""
import ast
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import mark1
import nbformat
import pytest
import torch
from mark1 import exercises
from mark1.exercises import (
    check,
    declared,
    exercise,
    find,
    hint,
    judge,
    kept,
    learner_file,
    progress,
    prove,
    solution,
)
from mark1.workshop.runner import find_chapters

from conftest import PATIENCE, ROOT

BOOK = declared()
CHAPTERS = {path.stem[3:]: path for path in find_chapters(ROOT/"nbs", ["lesson"])}
@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    "Make a learner's home of its own for each test."
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"learner"))
    return tmp_path/"learner"


@pytest.mark.parametrize("name", BOOK)
def test_proved_three_ways(name, record_property, monkeypatch):
    """A solution is computed twice, which notices one that differs; a mistake once, as some train for long.

    The next test computes those twice as well.
    """
    this = find(name)
    if this.cases is None:
        monkeypatch.setattr(this, "mistakes", {text: cache(wrong) for text, wrong in this.mistakes.items()})
    assert prove(name) >= 1
    record_property("exercise of", BOOK[name]) # counted in the summary, see conftest.py
    assert kept() == [] # a proof is not an answer of the learner's


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOK)
def test_a_mistake_is_the_same_when_it_is_made_again(name):
    assert prove(name) >= 1


@pytest.mark.parametrize("module", [module for module in CHAPTERS if module not in ("exercises", "widgets")])
def test_three_or_more_exercises(module):
    assert Counter(BOOK.values())[module] >= 3


# Answers that no check of their chapter holds against anything else: by hand, or as they came out once.
# What is trained may differ by the exercise's own tolerance.
BY_HAND = {
    "again-1": .11, # once
    "batch-1": 256,
    "damage-1": "checksum",
    "dots-1": 1., # the dots lie within the field
    "middle-1": .316, # once
    "photographs-1": [2, 1, 2, 1],
    "retrain-1": .30, # once
    "units-1": 1, # once, of five machines
    "window-2": 1/(5*3**.5),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_answer_is_the_one_found_by_hand(name):
    known = BY_HAND[name] if isinstance(BY_HAND[name], list) else [BY_HAND[name]]
    assert all(find(name).agreement(find(name).wanted, known)), find(name).wanted


def solved(source):
    "List the exercises that a cell declares: name, solution, and the functions that the solution calls."
    for node in ast.parse(source).body:
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "exercise":
                inside = [each for part in node.body for each in ast.walk(part)]
                called = {each.func.id for each in inside
                          if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}
                yield call.args[0].value, {node.name} | called


@pytest.mark.parametrize("module", sorted(set(BOOK.values())))
def test_a_solution_is_held_against_something_other_than_itself(module):
    "A check of the chapter names it, or the function that it calls; else its answer stands above."
    sources = [cell.source for cell in nbformat.read(CHAPTERS[module], 4).cells if cell.cell_type == "code"]
    exported = [source for source in sources if re.match(r"#\| *export", source)]
    checks = [source for source in sources if source not in exported and re.search("test_|assert", source)]
    named = {word for source in checks for word in re.findall(r"\w+", source)}
    unproved = [name for source in exported if "@exercise(" in source
                for name, functions in solved(source) if not functions & named]
    assert set(unproved) <= BY_HAND.keys(), f"let a check name them, or write their answers down: {unproved}"


@pytest.mark.parametrize("module", sorted(set(BOOK.values())))
def test_what_is_declared_is_what_the_module_holds(module):
    "A name on another line than `@exercise(`, or one that two chapters use, would not be found by `check`."
    names = [name for name in BOOK if BOOK[name] == module]
    for name in names: find(name)
    text = (ROOT/"mark1"/f"{module}.py").read_text(encoding="utf-8")
    assert [exercises.EXERCISES[name].solve.__module__ for name in names] == [f"mark1.{module}"]*len(names)
    assert len(re.findall(r"^\s*@?exercise\(", text, re.MULTILINE)) == len(names)


@pytest.mark.parametrize("module", sorted(set(BOOK.values())))
def test_asked_in_its_chapter_before_the_answers(module):
    cells = nbformat.read(CHAPTERS[module], as_version=4).cells
    code = [(index, cell.source) for index, cell in enumerate(cells) if cell.cell_type == "code"]
    prose = [(index, cell.source) for index, cell in enumerate(cells) if cell.cell_type == "markdown"]
    spoiler = re.compile(r"^## Answers\n+Spoiler", re.MULTILINE)
    heads = [index for index, source in prose if spoiler.search(source)]
    assert len(heads) == 1, "the answers stand under one heading, ## Answers, with a word of warning"
    for name in (name for name in BOOK if BOOK[name] == module):
        asked = [index for index, source in code if f'check("{name}", ' in source]
        assert len(asked) == 1 and asked[0] < heads[0], f"{name} is asked once, above the answers"
        shown = "".join(out.get("text", "") for out in cells[asked[0]].outputs)
        assert re.match(rf"{name} [●○]{{3}}: nothing entered yet", shown), f"{name} is stored unanswered"
        declares = [index for index, source in code if f'@exercise("{name}"' in source]
        assert declares and declares[0] > heads[0] and cells[declares[0]].source.startswith("#| exporti\n")


@pytest.mark.parametrize(
    "path",
    [path for module, path in CHAPTERS.items() if module != "exercises"],
    ids=lambda path: path.name,
)
def test_running_a_chapter_enters_nothing_for_the_learner(path):
    """`hint` and `solution` leave a line in the learner's file.

    So would a `check` that holds an answer, which the test above forbids.
    """
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    called = {node.func.id for source in code for node in ast.walk(ast.parse(source))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"hint", "solution"}


def test_importing_it_imports_no_chapter():
    loaded = """import sys, mark1.exercises
print(sorted(name for name in sys.modules if name.startswith(('mark1.', 'fastai', 'torch'))))"""
    command = [sys.executable, "-c", loaded]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['mark1.data', 'mark1.data.files', 'mark1.exercises']"


@pytest.fixture
def toy(monkeypatch):
    "Declare a toy exercise, changed as a test wishes; afterwards it is forgotten."
    monkeypatch.setattr(exercises, "EXERCISES", {})
    def declare(solve=None, name="toy-1", **changes):
        def six():
            "Three twos."
            return sum([2, 2, 2])
        mistakes = {
            "That is one two too few.": lambda: sum([2, 2]),
            "That is one two too many.": lambda: 4*2,
        }
        given = dict(name=name, hint="Count.", mistakes=mistakes)
        exercise(**(given | changes))(solve or six)
        return name
    return declare


def typed_in():
    "It was typed."
    return 6

def undocumented():
    return sum([2, 2, 2])

def random():
    "It differs each time."
    return float(torch.rand(1))

def raises():
    "It cannot."
    return sum([2, 2, 2])/0

def returns_nothing():
    "It forgets."
    sum([2, 2, 2])

def twice(x):
    "Two of them."
    return x + x


def twice_of(x):
    "Two of them, by a call."
    return sum([x, x])


TWICE = {"That is the square; two is not always two.": lambda x: x*x}

@pytest.mark.parametrize("changes, problem", [
    (dict(mistakes={
        "This is no mistake at all.": lambda: 2*3,
    }), "'This is no mistake at all.' is judged right"),
    (dict(mistakes={
        "This is the first of two.": lambda: 4,
        "This is the second of two.": lambda: 4,
    }), "second of two.' is judged mistake"),
    (dict(mistakes={"": lambda: 4}), "'' explains nothing"),
    (dict(mistakes={}), "no known mistake"),
    (dict(hint=""), "hint"),
    (dict(tolerance=3), "is judged right"),
    (dict(solve=undocumented), "docstring"),
    (dict(solve=typed_in), "typed in"),
    (dict(solve=random), "the solution is judged"),
    (dict(solve=returns_nothing), "judged blank"),
    (dict(solve=twice, mistakes=TWICE, cases=[2]), "is judged right"), # one case that cannot tell
    (dict(solve=twice, mistakes=TWICE, cases=[]), "no case that the solution can do"),
    (dict(solve=twice, mistakes=TWICE, cases=[None]), "no case that the solution can do"),
])
def test_a_broken_exercise_is_noticed(toy, changes, problem):
    with pytest.raises(AssertionError, match=re.escape(problem)): prove(toy(**changes))


@pytest.mark.parametrize("changes, error", [
    (dict(solve=raises), ZeroDivisionError),
    (dict(mistakes={"This one is never made, it raises.": lambda: 1/0}), ZeroDivisionError),
    (dict(solve=twice_of, mistakes=TWICE), TypeError), # cases forgotten
])
def test_a_solution_or_mistake_that_raises_is_noticed(toy, changes, error):
    with pytest.raises(error): prove(toy(**changes))


def test_sound_exercises_are_proved(toy):
    assert prove(toy()) == 2
    assert prove(toy(solve=twice, mistakes=TWICE, cases=[2, 3])) == 1


def test_two_mistakes_may_lie_nearer_than_the_tolerance(toy):
    near = {
        "That is one mistake that is made.": lambda: 7.4,
        "That is the other one, near to it.": lambda: 7.7,
    }
    assert prove(toy(mistakes=near, tolerance=.5)) == 2
    assert "the other one" in judge("toy-1", 7.7)[1]
    assert "one mistake" in judge("toy-1", 7.1)[1] # within the tolerance of the first alone


def test_what_a_learner_sees(toy, capsys):
    toy()
    for answer in (..., 5, "six", 4, torch.tensor(6)): check("toy-1", answer)
    hint()
    solution()
    progress()
    shown = capsys.readouterr().out
    assert shown.splitlines()[:6] == [
        "toy-1 ●○○: nothing entered yet: replace ... by your answer.",
        "toy-1: not yet: 5 is not it; hint('toy-1') may help.",
        "toy-1: not yet: wanted is a number, not a word.",
        "toy-1: not yet. That is one two too few.",
        "toy-1: right, 6. Three twos. Your first answer was 5.",
        "toy-1: Count."]
    assert "    return sum([2, 2, 2])" in shown and "this notebook   1 of 1 solved" in shown
    assert [event["what"] for event in kept()] == ["wrong", "wrong", "mistake", "right", "hint", "solution"]


def test_a_function_that_should_raise(toy):
    def root(x):
        "A negative number has no real root."
        if x < 0: raise ValueError("x is negative")
        return float(x)**.5
    toy(solve=root, cases=[4, -1], mistakes={"That is the square, the other way round.": lambda x: x*x})
    assert prove("toy-1") == 1
    def complex_root(x): return abs(x)**.5
    said = "not yet: complex_root(-1) gives 1; wanted is ValueError (x is negative)."
    assert judge("toy-1", complex_root) == ("wrong", said)
    def careless(x):
        return __import__("math").sqrt(x) # a ValueError of its own, which will do
    assert judge("toy-1", careless)[0] == "right"


def test_a_function_may_spoil_its_arguments(toy):
    def longest(words):
        "The one with most letters."
        return max(words, key=len)
    def spoils(words):
        words.sort(key=len)
        return words.pop()
    mistakes = {"That is the last in the alphabet.": lambda words: max(words)}
    toy(solve=longest, cases=[(["a", "bbb", "cc"],)]*2, mistakes=mistakes)
    assert judge("toy-1", spoils)[0] == "right" and judge("toy-1", spoils)[0] == "right"


def test_an_interrupt_is_not_swallowed(toy):
    def endless(x): raise KeyboardInterrupt
    toy(solve=twice, mistakes=TWICE, cases=[2, 3])
    with pytest.raises(KeyboardInterrupt): judge("toy-1", endless)


@pytest.mark.parametrize("name, text", [
    ("error-11", "did you mean 'error-1'?"),
    ("zebra", "there are "),
    (None, "no exercise None"),
])
def test_an_unknown_name(name, text):
    asking = [
        lambda: check(name, 1),
        lambda: check(name, ...),
        lambda: hint(name or "zebra"),
        lambda: prove(name),
    ]
    for ask in asking:
        with pytest.raises(ValueError, match="no exercise"): ask()
    with pytest.raises(ValueError, match=re.escape(text)): check(name, 1)
    assert kept() == []


@pytest.mark.parametrize("damage", [
    b"",
    b'{"at": "2021',
    b"[1, 2, 3]",
    b"null",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"at": 1, "exercise": [], "what": {}, "answer": null}',
    "folder",
    "file for a folder",
    "read-only",
    "no home",
])
def test_a_damaged_learner_file_harms_nothing(toy, learner, capsys, monkeypatch, damage):
    file = learner/"mark1-exercises.jsonl"
    if damage == "file for a folder": learner.write_text("in the way")
    elif damage == "no home":
        nowhere = lambda path: (_ for _ in ()).throw(RuntimeError("no home"))
        monkeypatch.setattr(Path, "expanduser", nowhere)
    else:
        learner.mkdir()
        if damage == "folder": file.mkdir()
        elif damage == "read-only":
            refuse = lambda *args, **kwargs: (_ for _ in ()).throw(PermissionError("read-only"))
            monkeypatch.setattr("builtins.open", refuse)
        else: file.write_bytes(damage)
    toy()
    for ask in (lambda: check("toy-1", 4), lambda: check("toy-1", 6), hint, progress):
        ask()
    monkeypatch.undo()
    assert "toy-1: right, 6. Three twos." in capsys.readouterr().out
    if isinstance(damage, bytes):
        monkeypatch.setenv("FASTAI_HOME", str(learner))
        assert [event["answer"] for event in kept()] == ["4", "6", ""]
        assert file.read_bytes().startswith(damage)


def test_two_kernels_at_once(learner):
    write = """import sys
from mark1.exercises import keep
for answer in range(200): keep(sys.argv[1], 'wrong', str(answer))"""
    environment = {**os.environ, "FASTAI_HOME": str(learner)}
    commands = [[sys.executable, "-c", write, f"toy-{kernel}"] for kernel in range(2)]
    kernels = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in commands]
    assert [kernel.wait(PATIENCE) for kernel in kernels] == [0, 0]
    answers = [(event["exercise"], event["answer"]) for event in kept()]
    assert len(answers) == len(set(answers)) == 400
    assert learner_file().parent == learner
    assert {path.name for path in learner.iterdir()} == {learner_file().name}


def test_a_loop_does_not_fill_the_disk(toy, learner):
    learner.mkdir()
    learner_file().write_bytes(b"x"*1_000_001)
    check(toy(), 6)
    assert learner_file().stat().st_size == 1_000_001


def test_a_chapter_not_imported_yet_is_found(tmp_path, monkeypatch, capsys):
    (tmp_path/"toy_chapter.py").write_text(
        'from mark1.exercises import exercise\n'
        '\n'
        '@exercise("toy-2", hint="x", mistakes={})\n'
        'def two():\n'
        '    return 1 + 1\n'
    )
    monkeypatch.setattr(mark1, "__path__", [*mark1.__path__, str(tmp_path)])
    monkeypatch.setattr(exercises, "EXERCISES", {})
    check("toy-2", 2)
    assert capsys.readouterr().out.startswith("toy-2: right, 2.")
    sys.modules.pop("mark1.toy_chapter")
    del mark1.toy_chapter
