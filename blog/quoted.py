"""Find measured results in the words of chapters that no stored output shows: in prose, captions, exercises.

    python blog/quoted.py nbs/04_validation.ipynb

A result may be rounded, a share may be written in per cent, and it may stand in a chapter that its sentence
links to. What the code of the chapter sets or asserts is no result of it. A sentence that cites a source, and
what is said in words alone (twice, a third), passes; of nine in ten, nine tenths or so must be shown.
"""
import ast
import re
import sys
from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

from cells import read_nb
from mark1.workshop.notebook import directives
from origins import NUMERAL, SMALL, WORTH, numbers
from outputs import joined

IN_TEXT = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]?\d\d?(?!\d))?|\.\d+")
LINKED = re.compile(r"\(((?:\.\./|\w+/)*\w+\.ipynb)(?:#[\w-]+)?\)")
EXERCISE = re.compile(r"^@exercise\(", re.MULTILINE)
AUTHOR = re.compile(r"\((?:[^()]*[ ,;])?[A-Z][\w.-]+,? (?:19|20)\d\d[a-z]?\)|\bREADME\b") # of a paper
SHARE = re.compile(r"%|per ?cent")


class Quote(NamedTuple):
    "Hold a result of a chapter that no output shows."
    cell: int # from 1
    number: str # as it is written
    sentence: str


@cache
def values_shown(
    path:Path, # a chapter
) -> tuple[list[frozenset[float]], frozenset[float]]: # those of each line of an output; those of the code
    "Read all numbers that a chapter shows in its stored outputs, and those that its code sets or asserts."
    shown, code = [], []
    for cell in read_nb(path).cells:
        if cell.cell_type == "code": code.append(re.sub(r"(?<=\d)_(?=\d)", "", without_words(cell.source)))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown += [joined(output.get("text", "")), joined(data.get("text/plain", ""))]
            shown += [joined(data.get("text/markdown", "")), plain(joined(data.get("text/html", "")))]
    values = lambda text: frozenset(map(value, IN_TEXT.findall(text)))
    return list(filter(None, map(values, "\n".join(shown).splitlines()))), values("\n".join(code))


plain = lambda markup: unescape(re.sub(r"<[^>]*>", " ", markup))


def without_words(
    source:str, # of a code cell
) -> str:
    "Leave out the texts of an exercise and the captions: these are what is looked at."
    return "" if EXERCISE.search(source) else re.sub(r"^#\|.*$", "", source, flags=re.MULTILINE)


def value(
    number:str, # in figures
) -> float:
    "Read a number."
    return float(number.replace(",", ""))


def stands_among(
    number:str, # in figures
    share:bool, # whether it is per cent
    shown:frozenset[float],
) -> bool:
    "Say whether a number is among those shown, which may have more digits, or be shares of 1."
    wanted = value(number)
    half = .5000001*10**-len(number.partition(".")[2]) # of its last digit
    shares = [scale*each for each in shown for scale in (.01, 100)] if share else []
    rounded = [each for each in shown if each % 1] + shares
    return wanted in shown or any(abs(each - wanted) <= half for each in rounded)


def is_shown(
    figures:list[str], # of one result
    share:bool, # whether it is per cent
    path:Path, # a chapter
) -> bool:
    "Say whether a line of the chapter's outputs shows all of a result, or its code a single number."
    lines, code = values_shown(path)
    if any(all(stands_among(each, share, line) for each in figures) for line in lines): return True
    return len(figures) == 1 and not share and value(figures[0]) in code


def figures_of(
    number:str, # a result, as it is written
) -> list[str]: # in figures; none for what is said in words alone
    "Give the numbers of a result: 3 and 80 of '3 of 80', 0.9 of 'nine of ten'."
    if re.search(r"\d", number): return re.findall(rf"(?<![\w.]){NUMERAL}|\.\d+", number)
    words = re.split(r" (?:times )?(?:of|in|out of)(?: the| every| all)? ", number.lower())
    ratio = len(words) == 2 and all(word in SMALL for word in words) and WORTH[words[1]]
    return [f"{WORTH[words[0]]/WORTH[words[1]]:.1f}"] if ratio else []


def words_of(
    cell, # of a chapter
) -> str: # Markdown
    "Give what a cell says in words: its prose, its caption, the explanations of its exercise."
    if cell.cell_type == "markdown": return cell.source
    if cell.cell_type != "code": return ""
    marks = directives(cell.source)
    texts = [marks.get("fig-cap", ""), marks.get("tbl-cap", ""), marks.get("fig-alt", "")]
    if EXERCISE.search(cell.source):
        tree = ast.parse(cell.source)
        calls = [each for node in tree.body for each in getattr(node, "decorator_list", [])]
        texts += [each.value for call in calls for each in ast.walk(call)
                  if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return "\n\n".join(filter(None, texts))


def unquoted(
    path:Path, # a chapter
    cells=None, # its cells, read from the file if not given
) -> list[Quote]:
    "Find the results in a chapter's words that no output of it shows, nor of a chapter linked there."
    found = []
    for place, cell in enumerate(cells or read_nb(path).cells, 1):
        text = words_of(cell)
        for _, number, sentence, origin in numbers(text) if text else ():
            if origin is not None: continue
            linked = filter(Path.is_file, ((path.parent/name).resolve() for name in LINKED.findall(sentence)))
            if AUTHOR.search(sentence): continue
            share = bool(not re.search(r"\d", number) or SHARE.search(number)
                         or re.search(rf"{re.escape(number)} (?:%|per ?cent)", sentence))
            figures = figures_of(number)
            if figures and not any(is_shown(figures, share, each) for each in (path.resolve(), *linked)):
                found.append(Quote(place, number, sentence))
    return found


def main():
    if not sys.argv[1:]:
        print(__doc__.strip())
        return 2
    found = {name: unquoted(Path(name)) for name in sys.argv[1:]}
    for name, quotes in found.items():
        for cell, number, sentence in quotes:
            print(f"mark1: {name}, cell {cell}: no output shows {number!r}; write what an output of this "
                  f"chapter shows, or link to the source: {sentence}", file=sys.stderr)
    return 1 if any(found.values()) else 0


if __name__ == "__main__": sys.exit(main())
