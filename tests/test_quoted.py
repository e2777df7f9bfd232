"Measured results in the words of chapters: an output shows each, or its sentence cites a source."
import copy
import re
import sys

import pytest
from mark1.workshop.notebook import place_of

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
from quoted import AUTHOR, numbers, read_nb, said_of, unquoted, words_of

NOTEBOOKS = sorted((ROOT/"nbs").rglob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=place_of)
def test_a_result_in_the_words_of_a_chapter_is_shown_there(path):
    assert not said_of(path), "\n".join(said_of(path))


def changed_results(path):
    "Change the last digit of each result in figures; give it, its count of digits, the new one and its cell."
    for cell in read_nb(path).cells:
        text = words_of(cell) if cell.cell_type == "markdown" else ""
        for _, number, sentence, origin in numbers(text) if text else ():
            old = max(re.findall(r"[\d.,]*\d", number), key=len, default="")
            if origin is not None or not old or number not in cell.source or AUTHOR.search(sentence): continue
            fresh = copy.deepcopy(cell)
            new = number.replace(old, f"{old[:-1]}{(int(old[-1]) + 5) % 10}")
            fresh.source = cell.source.replace(number, new)
            yield number, len(re.sub(r"\D", "", old).lstrip("0")), new, fresh


def test_changed_results_are_found_in_ten_chapters_and_nearly_all_of_two_digits():
    found = [] # chapter, whether it has two digits or more, whether it was found
    for path in NOTEBOOKS:
        for number, digits, new, cell in changed_results(path.resolve()):
            red = any(quote.number == new for quote in unquoted(path, [cell]))
            found.append((place_of(path), digits > 1, red))
            print(f"{place_of(path)}: {number} for {new}: {'found' if red else 'not found'}")
    long, short = ([red for _, several, red in found if several == wanted] for wanted in (True, False))
    print(f"found {sum(long)} of {len(long)} of two digits or more, {sum(short)} of {len(short)} of one")
    assert len({chapter for chapter, _, red in found if red}) >= 10
    assert sum(long) >= .88*len(long) > 30 and sum(short) >= .35*len(short)


@pytest.mark.parametrize("source, wrong", [
    ("It got 11 of 80 wrong.", True),
    ("It got 3 of 80 wrong.", False),
    ("It got 3.8 % wrong.", True), # as no output works it out
    ("It got 98.1 % right.", False),
    ("It got 8.3 % wrong.", True),
    ("The loss is 0.98.", False),
    ("The loss is 0.89.", True),
    ("It took 1,234 steps to learn, with a loss of 0.9786.", True),
    ("It got 8.3 % wrong (Piczak, 2015).", False),
    ("It got 8.3 % wrong ([they say](https://example.org/)).", False),
    ("It got 8.3 % wrong ([there](02_other.ipynb#num-x)).", False),
    ("It got 9.1 % wrong ([there](02_other.ipynb#num-x)).", True),
    ("Right nine times in ten.", True),
    ("Guess it; it may be off by 0.05.", False),
    ("It got three of 80 wrong.", False),
    ("It got four of 80 wrong.", True),
    ("The error is 6.4 %.", True), # shown in another section, of something else
    ("The harbour's error is 6.4 %, after a storm.", False),
])
def test_what_is_asked_of_a_chapter(tmp_path, source, wrong):
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
    printed = lambda text: new_code_cell("run()", outputs=[new_output("stream", text=text)])
    write(new_notebook(cells=[printed("12 steps\nrate 8.3 %\n")]), tmp_path/"02_other.ipynb")
    here = [new_markdown_cell("## Here\n\n" + source), printed("3 of 80 wrong, loss 0.9812\n11 layers\n")]
    there = [new_markdown_cell("## There"), printed("harbour after a storm: 6.4 %\n")]
    write(new_notebook(cells=here + there), tmp_path/"01_toy.ipynb")
    assert bool(unquoted(tmp_path/"01_toy.ipynb")) == wrong


def test_captions_and_explanations_are_read():
    cells = read_nb(ROOT/"nbs"/"18_exercises.ipynb").cells[:2]
    cells[1].cell_type = "code"
    exercise = '#| exporti\n@exercise("x-1", {})\ndef _x(): return 1'
    for source in ('#| fig-cap: "The error is 0.4271 here."\nplot()',
                   exercise.format('hint="It got 71.3 % wrong."'),
                   exercise.format('mistakes={"The error was 0.4271.": run}')):
        cells[1].source = source
        assert unquoted(ROOT/"nbs"/"18_exercises.ipynb", cells[1:2])
