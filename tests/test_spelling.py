"""Spelling of notes, README, CONTRIBUTING and chapters.

It is looked up in pyspellchecker's English dictionary and in tests/words.txt.

Of 1,970 words of the chapters in which one letter was left out, doubled, changed or swapped, codespell, which
knows common mistakes only, found 348, and the dictionary 1,889. Code, formulas, link targets, what the table
of faults quotes, and what is written in capitals or CamelCase is left out.
"""
import ast
import io
import re
import sys
import tokenize
from pathlib import Path

import nbformat
import pytest
from mark1.workshop.notebook import directives
from spellchecker import SpellChecker

from conftest import ROOT

WORDS = ROOT/"tests"/"words.txt"
PAGES = sorted([*(ROOT/"lesson_notes").glob("*.md"), ROOT/"README.md", ROOT/"CONTRIBUTING.md"])
NOTEBOOKS = sorted((ROOT/"nbs").glob("*.ipynb"))
NO_PROSE = re.compile(
    r"\A\+\+\+.*?\n\+\+\+$"
    r"|```.*?```"
    r"|(`+)(?!`).+?\1(?!`)"
    r"|\{\{<.*?>\}\}"
    r"|\$\$.*?\$\$"
    r"|\$[^$\n]+\$"
    r"|(?<=\])\([^)\s]*"
    r"|https?://\S+"
    r"|<[^<>\n]+>"
    r"|\S*[/_@=]\S*"
    r"|(?<=\| \d \| ).*?$",
    re.DOTALL | re.MULTILINE,
)
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]*)?")


def code_prose(source):
    "Read the comments, docstrings, alt texts and captions of a code cell."
    marks = directives(source)
    parts = [marks.get("fig-alt", ""), marks.get("fig-cap", "")]
    keeps = lambda line: not line.startswith(("%", "!", "#|"))
    lines = "".join(line if keeps(line) else "\n" for line in source.splitlines(keepends=True))
    parts += [token.string.lstrip("# ") for token in tokenize.generate_tokens(io.StringIO(lines).readline)
              if token.type == tokenize.COMMENT and "NBVAL" not in token.string]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(lines)) if isinstance(node, documented)]
    parts += [ast.get_docstring(node) or "" for node in nodes]
    return "\n".join(parts)


def pieces(path):
    "Read the prose of a file, with the place of each piece: a line of Markdown, a cell of a notebook."
    if path.suffix == ".ipynb":
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells, 1):
            text = code_prose(cell.source) if cell.cell_type == "code" else cell.source
            yield f"{path.name}, cell {number}", text
    else:
        text = NO_PROSE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.name}:{number}", line


def known_words():
    "Read the dictionary, with the words of ours that it lacks."
    known = SpellChecker(distance=1)
    words = WORDS.read_text(encoding="utf-8").split()
    remedy = "tests/words.txt: in order, none twice, and none that the dictionary has"
    assert words == sorted(known.unknown(words)), remedy
    known.word_frequency.load_words(words)
    return known


@pytest.fixture(scope="module")
def dictionary():
    return known_words()


def misspelt(path, dictionary):
    "Find the words that the dictionary does not have, a sentence each."
    found = []
    for place, text in pieces(path):
        words = WORD.findall(NO_PROSE.sub(" ", text).replace("’", "'"))
        words = {word for word in words if word[1:].islower() and len(word) > 2 and word.isascii()}
        for word in sorted(words):
            stem = re.sub(r"'s?$", "", word.lower())
            if dictionary.known([stem, word.lower()]): continue
            perhaps = dictionary.correction(stem)
            remedy = "a word that is right goes into tests/words.txt"
            found.append(f"{place}: {word!r}? Perhaps {perhaps!r}; {remedy}")
    return found


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_words_are_spelt_as_in_the_dictionary(path, dictionary):
    found = misspelt(path, dictionary)
    assert not found, "\n".join(found)


def test_a_planted_misspelling_is_found_where_it_stands(tmp_path, dictionary):
    cells = [
        nbformat.v4.new_markdown_cell(
            "# A chapter\n"
            "\n"
            "Its acuracy, $accurcy$ and `accurcy`, [here](accurcy.md)."
        ),
        nbformat.v4.new_code_cell(
            "#| label: fig-x\n"
            "#| fig-alt: A curve with a vally\n"
            "accurcy = 1 # one recieves it"
        ),
        nbformat.v4.new_code_cell('def accurcy():\n    "Share of the right anwsers."'),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/"06_toy.ipynb")
    (tmp_path/"note.md").write_text(
        "+++\n"
        "title=\"accurcy\"\n"
        "+++\n"
        "\n"
        "It wasn't the trainning’s\n"
        "fault, said the Mark 1’s loss.\n"
        "```\n"
        "accurcy\n"
        "```\n"
    )
    found = misspelt(tmp_path/"06_toy.ipynb", dictionary)
    places = lambda found: [re.match(r"(.*?)\?", line)[1] for line in found]
    assert places(found) == [
        "06_toy.ipynb, cell 1: 'acuracy'",
        "06_toy.ipynb, cell 2: 'recieves'",
        "06_toy.ipynb, cell 2: 'vally'",
        "06_toy.ipynb, cell 3: 'anwsers'",
    ]
    assert "Perhaps 'accuracy'" in found[0]
    assert places(misspelt(tmp_path/"note.md", dictionary)) == ["note.md:5: \"trainning's\""]


if __name__ == "__main__": # for the files that a commit changes
    words = known_words()
    found = [line for name in sys.argv[1:] for line in misspelt(Path(name), words)]
    sys.exit("\n".join(found) or 0)
