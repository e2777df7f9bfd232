"A learner's copies: git does not see them, what is written in them stays, a chapter that changes is told."
import re

import nbformat
import pytest
from mark1.workshop.copies import FOLDER
from mark1.workshop.kernels import kernel_environment
from mark1.workshop.notebook import (
    PICTURES,
    cell_text,
    directives,
    find_chapters,
    normal_outputs,
    read_notebook,
    sanitize_patterns,
)
from mark1.workshop.runner import heaviest_first, join_streams, notebook_client, read_chapters

from conftest import ROOT, typed

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def git(*words, cwd):
    "Run git; what it said comes back."
    done = typed(["git", *AUTHOR, *words], cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def origin(copied_repository):
    "Make a repository of the chapters as they are now, to be cloned."
    (copied_repository/".gitignore").write_text((ROOT/".gitignore").read_text())
    git("init", "-q", cwd=copied_repository)
    git("add", "-A", cwd=copied_repository)
    git("commit", "-qm", "all", cwd=copied_repository)
    return copied_repository


@pytest.fixture
def clone(origin, tmp_path_factory):
    home = tmp_path_factory.mktemp("clone")/"course"
    git("clone", "-q", origin, home, cwd=origin)
    return home


def run_all(path, data):
    "Run a notebook in its folder, as Run All does, and save it; what it makes of data goes into a folder."
    notebook = read_notebook(path)
    notebook_client(notebook, path.parent).execute(env={**kernel_environment(), "FASTAI_HOME": str(data)})
    nbformat.write(notebook, path)
    return notebook


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_learner_works_and_pulls(mark1_here, origin, clone, outcome, tmp_path_factory):
    learn = lambda *words: mark1_here("learn", *words, cwd=clone)
    assert learn().returncode == 0
    chapters = find_chapters(clone/"nbs", ["lesson"])
    copies = clone/FOLDER
    assert [path.name for path in chapters] == sorted(path.name for path in copies.iterdir())
    lightest = heaviest_first(read_chapters(clone, ["lesson"]))[-1]
    copy = copies/lightest.path.name
    ran = run_all(copy, tmp_path_factory.mktemp("data"))
    assert any(cell.get("outputs") for cell in ran.cells)
    edit(copy, f"{ran.cells[0].source.splitlines()[0]}", "# My own notes")
    assert git("status", "--porcelain", cwd=clone) == ""

    changed = [lightest.path.name, next(path.name for path in chapters if path != lightest.path)]
    for name in changed: edit(origin/"nbs"/name, '"# ', '"# Better: ')
    git("commit", "-qam", "better", cwd=origin)
    git("pull", "-q", cwd=clone)
    said = learn().stdout
    assert f"changed since you began your copy: {lightest.name}; `mark1 learn --fresh" in said
    assert "My own notes" in copy.read_text() and "Better" in (copies/changed[1]).read_text()

    assert f"{FOLDER}/{lightest.name}_old1.ipynb" in learn("--fresh", lightest.name[:2]).stdout
    assert "My own notes" in (copies/f"{lightest.name}_old1.ipynb").read_text()
    assert "Better" in copy.read_text() and "My own notes" not in copy.read_text()
    assert "changed" not in learn().stdout
    outcome("a new copy of a chapter that there is not", learn("--fresh", "99"))
    outcome("a new copy of what is no chapter of the lesson", learn("--fresh", "doctor"))
    assert git("status", "--porcelain", cwd=clone) == ""


def test_a_copy_has_no_answers_and_its_links_lead_somewhere(mark1_here, copied_repository):
    mark1_here("learn", cwd=copied_repository)
    outside = re.compile(r"`[^`]*`|\$[^$]*\$") # of prose: code and formulas
    for path in sorted((copied_repository/FOLDER).glob("*.ipynb")):
        cells = read_notebook(path).cells
        markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        code = [cell for cell in cells if cell.cell_type == "code"]
        assert not re.search("^## Answers", markdown, re.MULTILINE), path.name
        assert not {"colab", "elsewhere"} & {cell.id for cell in cells}, path.name
        assert not any("exporti" in directives(cell.source) for cell in code), path.name
        for link in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", outside.sub("", markdown)):
            assert (path.parent/link).exists() or (ROOT/link.removeprefix("../")).exists(), (path.name, link)


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in find_chapters(ROOT/"nbs", ["lesson"])])
def test_a_copy_shows_what_its_chapter_shows(mark1_here, copied_repository, tmp_path_factory, name):
    "What is left out was not needed: no name that it makes, nothing that it does to a model."
    mark1_here("learn", cwd=copied_repository)
    stored = {cell.id: cell for cell in read_notebook(ROOT/"nbs"/f"{name}.ipynb").cells}
    patterns = sanitize_patterns(ROOT/"tests"/"sanitize.cfg")
    texts = lambda cell: [{kind: text for kind, text in shown.items() if kind not in PICTURES}
                          for _, shown in normal_outputs(cell, patterns)] # a figure may show times
    ran = run_all(copied_repository/FOLDER/f"{name}.ipynb", tmp_path_factory.mktemp("data"))
    for cell in ran.cells:
        if cell.cell_type != "code" or "NBVAL_IGNORE_OUTPUT" in cell.source: continue
        cell.outputs = join_streams(cell.outputs)
        assert texts(cell) == texts(stored[cell.id]), f"{cell.id}: {cell_text(cell)[:300]}"
