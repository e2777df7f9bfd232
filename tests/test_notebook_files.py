"""Notebooks as other programs leave them.

An older format, a mark in front, half a merge, nothing at all, one endless line.

About: runner.
Takes long: begins first.
"""
import importlib.util
import json
import shutil
from itertools import combinations

import nbformat
import numpy as np
import pytest
from mark1.workshop.notebook import find_chapters, read_notebook
from mark1.workshop.runner import trust
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from conftest import ROOT
from test_commands import nbval, sentence

CASES = ROOT.parent/"shared"/"cases"/"notebooks"


def as_saved(minor, ids=False):
    "Write a small notebook of format 4, as a program does that knows this minor version."
    cells = [new_markdown_cell("# A café\n\n> a toy"), new_code_cell("print(6*7)")]
    notebook = json.loads(nbformat.writes(new_notebook(cells=cells)))
    notebook["nbformat_minor"] = minor
    for cell in notebook["cells"]:
        if not ids: del cell["id"]
    return json.dumps(notebook, ensure_ascii=False)


def third():
    "Write the same in format 3, whose cells stood in worksheets."
    return nbformat.writes(nbformat.convert(nbformat.reads(as_saved(5, ids=True), 4), 3), version=3)


READABLE = {
    **{f"4.{minor}": as_saved(minor).encode() for minor in (0, 4, 5)},
    "4.2 with ids": as_saved(2, ids=True).encode(),
    "3": third().encode(),
    "a mark in front": as_saved(5, ids=True).encode("utf-8-sig"),
    "UTF-16": as_saved(5, ids=True).encode("utf-16"),
    "4.1 and a mark": as_saved(1).encode("utf-8-sig"),
}


def test_what_can_be_converted_is(mark1_here, toy_repository):
    "All kinds at once, a chapter each."
    home = toy_repository(index=["1"])
    paths = {kind: home/"nbs"/f"{number:02}_sum.ipynb" for number, kind in enumerate(READABLE)}
    for kind, path in paths.items(): path.write_bytes(READABLE[kind])
    first = mark1_here("refresh", *(path.stem for path in paths.values()), cwd=home)
    assert first.returncode == 0, first.stdout + first.stderr
    contents = {kind: path.read_text(encoding="utf-8") for kind, path in paths.items()}
    for kind, content in contents.items():
        assert f"{paths[kind].stem}: 1 cells changed" in first.stdout, f"{kind}: {first.stdout}"
        notebook = nbformat.reads(content, 4)
        nbformat.validate(notebook)
        assert json.loads(content)["nbformat_minor"] == 5, kind
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells), kind
        assert notebook.cells[0].source == "# A café\n\n> a toy", kind
        assert notebook.cells[1].outputs[0].text == "42\n", kind
    second = mark1_here("refresh", *(path.stem for path in paths.values()), cwd=home)
    assert second.stdout.count(": 0 cells changed") == len(paths), second.stdout
    assert contents == {kind: path.read_text(encoding="utf-8") for kind, path in paths.items()}


REFUSED = {
    "a chapter that is empty": b"",
    "a chapter left half-merged": as_saved(5).replace('"cells"', '\n<<<<<<< HEAD\n"cells"').encode(),
    "a chapter in another encoding": as_saved(5, ids=True).encode("latin-1"),
    "a chapter that is no notebook": b'{"a": 1}',
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_is_named(mark1_here, toy_repository, outcome, fault):
    home = toy_repository(_00_sum=["1"], _01_other=["2"])
    path = home/"nbs"/"00_sum.ipynb"
    path.write_bytes(REFUSED[fault])
    for command in ("run", "refresh"): outcome(fault, mark1_here(command, cwd=home))
    assert path.read_bytes() == REFUSED[fault]


def test_nbval_names_each_that_cannot_be_read(toy_repository):
    home = toy_repository(_99_other=["2"])
    paths = [home/"nbs"/f"0{number}_sum.ipynb" for number in range(len(REFUSED))]
    for path, content in zip(paths, REFUSED.values(), strict=True): path.write_bytes(content)
    code, _, shown = nbval(home)
    assert code == 2 and all(f"ERROR nbs/{path.name}" in shown for path in paths), shown


def test_the_lab_trusts_what_can_be_read(tmp_path, monkeypatch):
    "A chapter that cannot be read does not keep the lab from opening, nor from showing the others' figures."
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path/"jupyter"))
    for number, content in enumerate(REFUSED.values()): (tmp_path/f"{number}.ipynb").write_bytes(content)
    good, other = tmp_path/"good.ipynb", tmp_path/"other.ipynb"
    for path in (good, other): path.write_bytes(as_saved(5, ids=True).replace("café", path.stem).encode())
    trust([*(path for path in sorted(tmp_path.glob("*.ipynb")) if path != other), tmp_path/"gone.ipynb"])
    notary = NotebookNotary()
    assert notary.check_signature(nbformat.read(good, 4))
    assert not notary.check_signature(nbformat.read(other, 4)) # the control: nobody signed it
    notary.store.close()


@pytest.mark.parametrize("millions", [
    pytest.param([10, 1, 1, 1], id="one of ten megabytes"), # a single one was waited for in vain
    pytest.param([10]*4, id="all of ten megabytes", marks=pytest.mark.slow),
])
def test_very_long_lines(mark1_here, toy_repository, millions):
    """In run, refresh and nbval.

    Each of them ends, where a pattern that looks for its end from each place never would.
    """
    x, one, overwritten, spaced = (count*1_000_000 for count in millions)
    printed = [f"'x'*{x}", f"'1'*{one}", f"'a\\r'*{overwritten//2}", f"'1 '*{spaced//2}"]
    home = toy_repository(_00_long=[f"print({each})" for each in printed])
    path = home/"nbs"/"00_long.ipynb"
    nbformat.write(nbformat.read(path, 4), home/"nbs"/"index.ipynb")
    for words in (["run"], ["refresh", "00"]):
        assert mark1_here(*words, cwd=home).returncode == 0
    (home/"nbs"/"index.ipynb").unlink()
    cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code" and cell.id != "colab"]
    stored = [cell.outputs[0].text for cell in cells]
    assert [text[-12:] for text in stored] == ["x"*11 + "\n", "1"*11 + "\n", "a\r\n", " 1 1 1 1 1 \n"]
    assert [len(text) for text in stored] == [x + 1, one + 1, 3, spaced + 1]
    content = path.read_text()
    path.write_text(content.replace("1\\n\"", "2\\n\"", 1))
    code, said, shown = nbval(home)
    assert code == 1 and sorted(said["00_long"]) == ["FAILED", *["PASSED"]*3, "SKIPPED"], shown[-2000:]


def test_the_cases_that_came_from_elsewhere(mark1_here, toy_repository):
    if not CASES.is_dir():
        pytest.skip(f"there are no cases in {CASES}; put notebooks of other programs there")
    home = toy_repository(_00_sum=["1"])
    nbformat.write(nbformat.read(home/"nbs"/"00_sum.ipynb", 4), home/"nbs"/"index.ipynb")
    assert list(CASES.glob("*.ipynb"))
    for case in sorted(CASES.glob("*.ipynb")):
        shutil.copy(case, home/"nbs"/"42_case.ipynb")
        for command in ("run", "refresh"):
            result = mark1_here(command, "42", cwd=home)
            if case.stem == "outputs":
                continue # stored ones, for the site: its code does not run
            if case.stem in ("empty", "conflict"):
                assert "42_case.ipynb" in sentence(result, 2)
            else: assert result.returncode == 0, f"{case.name}: {result.stderr}"


def test_a_stored_figure_that_was_exchanged_is_noticed():
    "Each figure of the lesson is told from each other; one that is a little larger, or noisy, is not."
    spec = importlib.util.spec_from_file_location("conftest_of_nbs", ROOT/"nbs"/"conftest.py")
    looks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(looks)
    cells = [cell for path in find_chapters(ROOT/"nbs", ["lesson"]) for cell in read_notebook(path).cells]
    outputs = [cell.get("outputs", []) for cell in cells]
    drawn = [[out for out in outs if looks.FIGURE in out.get("data", {})] for outs in outputs]
    figures = dict.fromkeys(out.data[looks.FIGURE] for outputs in drawn for out in outputs)
    shades = [each for each in map(looks.coarse, figures) if each is not None]
    assert len(shades) > 50
    away = min(looks.far(one, other) for one, other in combinations(shades, 2))
    rng = np.random.default_rng(0)
    near = max(looks.far(each, each + rng.normal(0, .1*each.std(), each.shape)) for each in shades)
    assert near < looks.DIFFERENCE/2 and away > 2*looks.DIFFERENCE, (near, away)
    one, other = [outputs for outputs in drawn if len(outputs) == 1][:2]
    assert looks.figures_differ(one, one) == ""
    assert "another than the cell draws" in looks.figures_differ(one, other)
    assert "1 figures are stored, and the cell draws 0" in looks.figures_differ(one, [])
    assert looks.figures_differ([], one) == "" # nothing is stored that could be wrong
