"The site links the first use of a term in a chapter to the glossary."
import re
import sys

import nbformat
import pytest
from mark1.workshop.notebook import find_chapters, wing_of
from nbformat.v4 import new_markdown_cell, new_notebook

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import glossary
import pages

TOY = """\
- **batch**: the items for one step. [02](02_learning.ipynb)
- **batch normalisation**: a layer that says "mean 0". [06](06_transfer.ipynb)
- **bias**: a number that is added; `b` in code. [02](02_learning.ipynb)
- **catastrophic forgetting**, or **catastrophic interference**: a loss. [10](10_forgetting.ipynb)
- **`fine_tune`**: a recipe. [01](01_first_model.ipynb)
- **image**: of containers, a file system. [containers](workshop/containers.ipynb)
- **label**: the right answer. [01](01_first_model.ipynb)
- **learner**, in fastai `Learner`: data and model. [02](02_learning.ipynb)
- **loss**: what training lowers. [03](03_metrics.ipynb)
- **R²**: how much smaller an error is. (chapter to come)
"""
TERMS = glossary.read_terms(TOY)


def linked(*texts, wing=""):
    "List what is linked and where to, in the order of the texts."
    shown = "\n".join(glossary.link_terms(list(texts), TERMS, "glossary.ipynb", wing))
    return re.findall(r'\[([^\]]*)\]\(glossary\.ipynb#([\w-]+) "', shown)


def test_the_lines_of_a_glossary_are_read():
    assert [term.anchor for term in TERMS] == [
        "batch", "batch-normalisation", "bias", "catastrophic-forgetting", "image", "label", "learner",
        "loss", "r2"]
    by_anchor = {term.anchor: term for term in TERMS}
    names = by_anchor["catastrophic-forgetting"].names
    assert names == ("catastrophic forgetting", "catastrophic interference")
    assert by_anchor["bias"].meaning == "a number that is added; b in code."
    assert {term.wing for term in TERMS} == {"", "workshop"}


@pytest.mark.parametrize("text, wanted", [
    ("A batch, and another batch.", [("batch", "batch")]),
    ("Batches have biases and losses.", [("Batches", "batch"), ("biases", "bias"), ("losses", "loss")]),
    ("*Batch normalisation* needs a batch.",
     [("Batch normalisation", "batch-normalisation"), ("batch", "batch")]),
    ("Batch\nnormalisation over two lines.", [("Batch\nnormalisation", "batch-normalisation")]),
    ("**Catastrophic interference**; again, catastrophic forgetting.",
     [("Catastrophic interference", "catastrophic-forgetting")]),
    ("Its R² is 1.", [("R²", "r2")]),
    ("The model's loss’s slope.", [("loss", "loss")]),
])
def test_the_first_use_is_linked_in_any_number_and_with_capitals(text, wanted):
    assert linked(text) == wanted


@pytest.mark.parametrize("text", [
    "`loss` and ``a ` loss``",
    "```python\nloss = 1\n```",
    "~~~\nloss\n~~~",
    "    loss = 1",
    "# The loss\n### A batch",
    "[the loss](03_metrics.ipynb), [a *batch*][1], ![a batch](batch.png)",
    "$loss = 1$ and $$\nloss\n$$",
    "| loss | batch |\n|---|---|\n| loss | batch |",
    "{{< cell 3 >}} <https://example.org/loss> https://example.org/loss",
    "batchwise, minibatch, loss-1, log-loss, lossy, glosses",
    "**loss-1.** An exercise.",
    "*Catastrophic forgetting and the loss of it*, 1995.",
    "The learner, a person; learners.",
    "Use `fine_tune`, or fine_tune.",
    "An image.",
])
def test_code_headings_links_formulas_and_parts_of_words_are_left_alone(text):
    assert linked(text) == []
    assert glossary.link_terms([text], TERMS, "glossary.ipynb") == [text]


def test_a_term_is_linked_once_on_a_page_of_several_cells():
    assert linked("A `loss`.", "## Loss", "The loss.", "The loss again.") == [("loss", "loss")]
    texts = ["One.", "Two\nlines of loss.", ""]
    after = glossary.link_terms(texts, TERMS, "glossary.ipynb")
    lines = lambda texts: [text.count("\n") for text in texts]
    assert lines(after) == lines(texts) # so that each line still leads back to its cell


def test_the_workshop_has_terms_of_its_own():
    assert linked("An image with a label.", wing="workshop") == [("image", "image")]
    assert linked("An image with a label.", wing="data") == [("label", "label")]


def test_the_meaning_is_shown_and_its_quotes_do_not_end_it():
    text, = glossary.link_terms(["Batch normalisation."], TERMS, "../glossary.ipynb")
    wanted = "[Batch normalisation](../glossary.ipynb#batch-normalisation \"a layer that says 'mean 0'.\")."
    assert text == wanted


def test_each_line_of_the_glossary_gets_its_anchor_and_nothing_else():
    text = glossary.with_anchors(f"Words.\n\n{TOY}")
    assert re.sub(r'\{\{< anchor "[\w-]+" >\}\}', "", text) == f"Words.\n\n{TOY}"
    anchors = re.findall(r'^- \{\{< anchor "([\w-]+)" >\}\}', text, re.MULTILINE)
    assert len(anchors) == len(set(anchors)) == TOY.count("\n")
    assert {term.anchor for term in TERMS} < set(anchors) # code, too, can be linked to


def test_pages_of_chapters_are_linked_and_others_are_not(tmp_path):
    cells = [new_markdown_cell("# Toy\n\n> A loss\n\nThe loss."), new_markdown_cell("A loss, a batch.")]
    (tmp_path/"nbs"/"data").mkdir(parents=True)
    def body(name, place):
        path = tmp_path/"nbs"/name
        nbformat.write(new_notebook(cells=cells), path)
        files, _ = pages.pages_of(place, path, 1, ROOT/"mark1", TERMS)
        return files[f"{place}/index.md"].decode()
    assert body("01_toy.ipynb", "chapters/01_toy").count("](glossary.ipynb#") == 2
    assert body("data/toy.ipynb", "chapters/toy").count("](../glossary.ipynb#") == 2
    for name, place in (("index.ipynb", "start"), ("glossary.ipynb", "glossary")):
        assert "](glossary.ipynb#" not in body(name, place)


def test_the_terms_of_the_course_are_linked_where_they_are_used():
    terms = pages.terms_of(ROOT/"nbs")
    assert len(terms) > 60 and len({term.anchor for term in terms}) == len(terms)
    assert pages.terms_of(ROOT/"nowhere") == []
    links = {}
    for path in find_chapters(ROOT/"nbs"):
        cells = pages.chapter_at(path, ROOT/"mark1").notebook.cells
        texts = [cell.source for cell in cells if pages.is_prose(cell)]
        shown = "\n".join(pages.with_terms(f"chapters/{path.stem}", path, texts, terms))
        links[path] = re.findall(r'glossary\.ipynb#([\w-]+) "', shown)
        assert len(links[path]) == len(set(links[path])), path.name
    print({path.stem: len(found) for path, found in links.items()})
    assert all(links[path] for path in links if wing_of(path) == "lesson")
