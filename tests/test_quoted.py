"Measured results in the words of chapters: an output shows each, or its sentence cites a source."
import copy
import re
import sys

import pytest
from mark1.workshop.notebook import place_of

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
from quoted import SHARE, figures_of, is_shown, numbers, read_nb, unquoted, words_of

NOTEBOOKS = sorted((ROOT/"nbs").rglob("*.ipynb"))
NO_RESULTS = { # of these, though they read like results: given, published, worked out by hand, or supposed
    "01_first_model.ipynb": {"2.5 %"}, "06_batch_norm.ipynb": {"95 of 100", "0.19"},
    "10_forgetting.ipynb": {"1.3"}, "11_card.ipynb": {"4.65"}, "11_zoo.ipynb": {"50,000", "130", "60", "77"},
    "05_overfitting.ipynb": {"300"}, "05_time_index.ipynb": {"0.4"}, "07_channels.ipynb": {"48"},
    "13_uplift.ipynb": {"7 of 10", "95 %", "1 of 50", "30 %", "45 %"}, "14_perceptron.ipynb": {"220"},
    "glossary.ipynb": {"1", "0.2"}, "index.ipynb": {"0"},
    "data/downloads.ipynb": {"812"}, "data/networks.ipynb": {"4.65"}, "data/sets.ipynb": {"812"},
    "data/traces.ipynb": {"1.875"}, "workshop/containers.ipynb": {"1.99"},
    "workshop/figures.ipynb": {"22,500"}, "workshop/kernels.ipynb": {"10"}}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=place_of)
def test_a_result_in_the_words_of_a_chapter_is_shown_there(path):
    found = [quote for quote in unquoted(path) if quote.number not in NO_RESULTS.get(place_of(path), ())]
    said = [f"cell {cell}: no output shows {number!r}: {sentence}" for cell, number, sentence in found]
    assert not said, "\n".join([*said, "write what an output shows, or link to the source; what is no result "
                                       "goes into NO_RESULTS"])


def changed_results(path):
    "Change the last digit of each result of two digits or more; give the cell with it, and the new number."
    for cell in read_nb(path).cells:
        text = words_of(cell)
        for _, number, sentence, origin in numbers(text) if text else ():
            figures = figures_of(number) if origin is None and re.search(r"\d", number) else []
            old = max(figures, key=len, default="")
            if len(re.sub(r"\D", "", old).lstrip("0")) < 2 or cell.cell_type != "markdown": continue
            if number not in cell.source or not is_shown(figures, bool(SHARE.search(number)), path): continue
            fresh = copy.deepcopy(cell)
            new = number.replace(old, f"{old[:-1]}{(int(old[-1]) + 5) % 10}")
            fresh.source = cell.source.replace(number, new)
            yield number, new, fresh


def test_changed_results_are_found_in_ten_chapters_and_most_everywhere():
    found = {}
    for path in NOTEBOOKS:
        for number, new, cell in changed_results(path.resolve()):
            red = any(quote.number == new for quote in unquoted(path, [cell]))
            found.setdefault(place_of(path), []).append(red)
            print(f"{place_of(path)}: {number} for {new}: {'found' if red else 'not found'}")
    every = [red for each in found.values() for red in each]
    print(f"found {sum(every)} of {len(every)}")
    assert sum(map(any, found.values())) >= 10 and sum(every) >= .75*len(every) > 30


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
])
def test_what_is_asked_of_a_chapter(tmp_path, source, wrong):
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
    printed = lambda text: new_code_cell("run()", outputs=[new_output("stream", text=text)])
    write(new_notebook(cells=[printed("12 steps\nrate 8.3 %\n")]), tmp_path/"02_other.ipynb")
    write(new_notebook(cells=[new_markdown_cell(source), printed("3 of 80 wrong, loss 0.9812\n11 layers\n")]),
          tmp_path/"01_toy.ipynb")
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
