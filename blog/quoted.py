"""Find measured results in the words of chapters that no stored output shows: in prose, captions, exercises.

    python blog/quoted.py nbs/04_validation.ipynb

A line of an output of the same section shows it, or one elsewhere that speaks of the same thing: it shares
words with the sentence, two at least (above the first section, one), and at most two fewer than another line.
A result may be rounded, a share may be written in per cent, and it may stand in a chapter that its sentence
links to. What the code of the section sets or asserts is no result of it. A sentence that cites a source, and
what is said in words alone (twice, a third), passes; of nine in ten, nine tenths or so must be shown. What
only reads like a result is named in `no_results.toml`.
"""
import ast
import re
import sys
import tomllib
from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

from cells import read_nb
from mark1.workshop.notebook import directives, place_of, syntax_tree
from origins import NUMERAL, SMALL, WORTH, numbers
from outputs import joined

IN_TEXT = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]?\d\d?(?!\d))?|\.\d+")
LINKED = re.compile(r"\(((?:\.\./|\w+/)*\w+\.ipynb)(?:#[\w-]+)?\)")
EXERCISE = re.compile(r"^@exercise\(", re.MULTILINE)
AUTHOR = re.compile(r"\((?:[^()]*[ ,;])?[A-Z][\w.-]+,? (?:19|20)\d\d[a-z]?\)|\bREADME\b") # of a paper
SHARE = re.compile(r"%|per ?cent")


STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
SHORT = set("and are all any but can for had has her him his how its least most not now one our out per than "
            "that the them then there these they this too two was were what when which who with you".split())


class Quote(NamedTuple):
    "Hold a result of a chapter that no output shows."
    cell: int # from 1
    number: str # as it is written
    sentence: str


class Line(NamedTuple):
    "Hold what a line of an output, or a cell of code, shows."
    section: int
    values: frozenset[float]
    words: frozenset[str] # those that head it included


def words_in(
    text:str,
) -> frozenset[str]:
    "Give the words of a text that say what it is about, by their first five letters."
    return frozenset(word[:5] for word in re.findall("[a-z]{3,}", text.lower()) if word not in SHORT)


def texts_of(
    output:dict, # of a code cell
) -> list[str]: # a row of a table is a line
    "Give what a reader sees of an output, in text."
    data = output.get("data", {})
    table = re.sub(r"\s*\n\s*", " ", STYLE.sub("", joined(data.get("text/html", ""))))
    return [joined(output.get("text", "")), joined(data.get("text/plain", "")),
            joined(data.get("text/markdown", "")), plain(re.sub("</tr>|</caption>", "\n", table))]


def lines_of(
    text:str, # of an output
    section:int, # that it stands in
) -> list[Line]:
    "Read the numbers of each line; the first line, and what has no number above the others, head them all."
    found, heads = [], frozenset()
    for line in text.splitlines():
        numerals = IN_TEXT.findall(line)
        if not found: heads |= words_in(line)
        if numerals: found.append(Line(section, frozenset(map(value, numerals)), words_in(line) | heads))
    return found


@cache
def lines_shown(
    path:Path, # a chapter
) -> tuple[list[Line], list[Line], dict[str, int]]: # of its outputs; of its code; the section of each cell
    "Read all numbers that a chapter shows in its stored outputs, and those that its code sets or asserts."
    shown, code, sections = [], [], {}
    section = 0
    for cell in read_nb(path).cells:
        section += cell.cell_type == "markdown" and bool(re.search("^## ", cell.source, re.MULTILINE))
        sections[cell.get("id")] = section
        if cell.cell_type != "code": continue
        source = re.sub(r"(?<=\d)_(?=\d)", "", without_words(cell.source))
        code += lines_of(" ".join(source.split()), section)
        for output in cell.get("outputs", []):
            for text in texts_of(output): shown += lines_of(text, section)
    return shown, code, sections


@cache
def no_results(
) -> dict[str, list[str]]: # chapter, below nbs/, to numbers as they are written, or to words around them
    "Read what reads like a result and is none: what is given, published, worked out by hand, or supposed."
    return tomllib.loads(Path(__file__).with_name("no_results.toml").read_text(encoding="utf-8"))


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
    sentence:str="", # that it stands in; '' for any line
    section:int=0, # that it stands in
) -> bool:
    "Say whether a line of the chapter's outputs shows all of a result, or its code a single number."
    shown, code, _ = lines_shown(path)
    said = words_in(sentence)
    most = max((len(said & line.words) for line in shown), default=0)
    least = max(2 if section else 1, most - 2)
    fits = lambda line: not sentence or line.section == section or len(said & line.words) >= least
    if any(fits(line) and all(stands_among(each, share, line.values) for each in figures) for line in shown):
        return True
    near = (line.values for line in code if not sentence or line.section == section)
    return len(figures) == 1 and not share and any(value(figures[0]) in values for values in near)


def figures_of(
    number:str, # a result, as it is written
) -> list[str]: # in figures; none for what is said in words alone
    "Give the numbers of a result: 3 and 80 of '3 of 80' and of 'three of 80', 0.9 of 'nine of ten'."
    words = re.split(r" (?:times )?(?:of|in|out of)(?: the| every| all)? ", number.lower())
    if re.search(r"\d", number):
        spelt = [str(WORTH[word]) for word in words if len(words) == 2 and word in SMALL]
        return spelt + re.findall(rf"(?<![\w.]){NUMERAL}|\.\d+", number)
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
        tree = syntax_tree(cell.source)
        calls = [each for node in tree.body for each in getattr(node, "decorator_list", [])]
        texts += [each.value for call in calls for each in ast.walk(call)
                  if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return "\n\n".join(filter(None, texts))


def unquoted(
    path:Path, # a chapter
    cells=None, # of it, read from the file if not given
) -> list[Quote]:
    "Find the results in a chapter's words that no output of it shows, nor of a chapter linked there."
    found = []
    path = path.resolve()
    excused = no_results().get(place_of(path), ())
    is_excused = lambda number, sentence: any(number in each and each in sentence for each in excused)
    for place, cell in enumerate(cells or read_nb(path).cells, 1):
        text = words_of(cell)
        for _, number, sentence, origin in numbers(text) if text else ():
            if origin is not None or AUTHOR.search(sentence) or is_excused(number, sentence): continue
            share = bool(not re.search(r"\d", number) or SHARE.search(number)
                         or re.search(rf"{re.escape(number)} (?:%|per ?cent)", sentence))
            figures = figures_of(number)
            section = lines_shown(path)[2].get(cell.get("id"), 0)
            near = sentence if re.search(r"\d", number) else ""
            if not figures or is_shown(figures, share, path, near, section): continue
            if not any(is_shown(figures, share, each) for each in linked(path, sentence)):
                found.append(Quote(place, number, sentence))
    return found


def linked(
    path:Path, # a chapter
    text:str, # of it
) -> list[Path]:
    "List the chapters that a text of a chapter links to."
    found = ((path.parent/name).resolve() for name in LINKED.findall(text))
    return list(filter(Path.is_file, dict.fromkeys(found)))


def said_of(
    path:Path, # a chapter
) -> list[str]: # a sentence each
    "Give what to say of the results that no output shows."
    return [f"nbs/{place_of(path)}, cell {cell}: no output shows {number!r}; write what an output of its "
            f"section shows, link to the source, or name it in blog/no_results.toml if it is none: {sentence}"
            for cell, number, sentence in unquoted(path)]


def main():
    if not sys.argv[1:]:
        print(__doc__.strip())
        return 2
    wrong = [sentence for name in sys.argv[1:] for sentence in said_of(Path(name))]
    for sentence in wrong: print(f"mark1: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__": sys.exit(main())
