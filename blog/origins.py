"""List the numbers of notes and say where each comes from: a measured result enters a note by `embed`.

    python blog/origins.py lesson_notes/*.md

`results.py` says which numbers are results: in prose, titles, code spans and formulas. A result may also
stand in a sentence that cites a source outside the repository, or that says of a run of one's own on which
machine and which day it was; and it may say again what code in the sentence says (`valid_pct=0.2`, a fifth).
"""
import re
import sys
from bisect import bisect, bisect_left
from functools import cache
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, punctuation
from typing import NamedTuple

from markup import spans
from results import verdict

# Not called numbers.py: a script's folder comes first on the path, and the standard library has a numbers.py.


class Number(NamedTuple):
    "Hold a number of a note."
    line: int # of the file, from 1
    number: str # as it is written; an embed and a link's target whole
    sentence: str # that it stands in, on one line
    origin: str|None # 'embed', 'cited', 'own run', of `ORIGINS`, `REASONS` or `FORMS`; None: it has none


Found = tuple[int, str, str|None] # where a number starts, the number, its origin


either = "|".join
SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
BIG = ("thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty "
       "seventy eighty ninety hundred thousand million billion").split()
WORTH = dict(zip([*SMALL, *BIG], [*range(20), *range(20, 100, 10)])) # nobody needs "two hundred" here
PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
         "ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000}
CHANGES = "halved", "doubled", "tripled", "quadrupled", "every second"
NUMERAL = r"\d+(?:,\d{3})*(?:\.\d+)*"
SIGNS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"

EXACT = ( # two hundred and ten
    rf"(?:(?:an?|{either(SMALL + BIG)})[ -](?:and )?){{,4}}(?:{either(BIG)})\b"
    rf"(?:[ -](?:and )?(?:{either(SMALL + BIG)})\b){{,6}}")
COUNT = rf"(?:{EXACT}|{either(SMALL)}|{NUMERAL})"
NO_TIME = "(?! (?:hour|day|minute|week)s?)"
PART = rf"(?:(?:an?|every|{either(SMALL)}) )?(?:{either(PARTS)})s?\b|half\b"
START = re.compile( # of all that may be a number
    rf"\b(?:(?:an?|every) )?(?:{either([*SMALL, *BIG, *PARTS, 'twice', 'thrice', *CHANGES])})|"
    rf"(?<!\w)[-+−]?\.?\d|\d|[{SIGNS}]")
MEASURED = re.compile(either([ # what is one, matched there
    rf"{COUNT}[ -](?:per ?cent|percentage points?)\b",
    rf"(?!one of(?: the| two| three| four| my| us)\b)"
    rf"{COUNT}(?: times)? (?:of|in|out of)(?: the| every| all| my| our)* {COUNT}\b(?! to \d){NO_TIME}",
    rf"one \w+ in {COUNT}\b{NO_TIME}",
    rf"(?:twice|thrice|{COUNT} times)\b",
    rf"(?:{either(SMALL + BIG)})[ -]?fold\b",
    rf"{COUNT} and a half times\b", PART, either(CHANGES),
    EXACT,
    rf"(?!one\b|zero\b)(?:{either(SMALL)})\b",
    rf"(?:(?<!\w)[-+−])?(?:{NUMERAL}|(?<!\d)\.\d+)(?:e[-+]?\d+)?(?: ?[%‰])?|[{SIGNS}]",
]))

def after(
    words:str, # that may stand before a number in figures
) -> str: # of a regular expression; each look back has one length
    "Match behind one of some words."
    return f"(?=[0-9])(?:{either(f'(?<={word} )' for word in words.split())})"


MONTHS = ("January February March April May June July August September October November December "
          "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec")
DAY, YEAR = r"\d\d?(?:st|nd|rd|th)?\b", r"(?:1[5-9]|20)\d\d\b(?![.,]?\d)"
WHOLE = r"\d+(?:\.\d+)*\b(?![,.]?\d| ?%)" # of a number that names something
BEFORE = ("in since until before after circa around from to of and between year early late "
          "spring summer autumn winter")
NEXT = "and|to|or|the|a|an|it|he|she|they|we|when|by|for|at|with|in|on|was|is|has|had|as|but|that|already"
NAMES = ("lesson lessons chapter chapters part section sections figure table page pages exercise exercises "
         "equation step question issue volume mark seed rtx gtx")
WARES = ("version python pytorch torch torchvision fastai nbdev numpy pandas timm hugo cuda "
         "ubuntu debian windows apache")
REASONS = {origin: re.compile(pattern) for origin, pattern in { # what a number may be, matched at its start
    "link": r"(?<=\[\^)\w+", # to a footnote
    "date": either([
        r"\b\d{4}-\d\d-\d\d\b", r"\b\d\d?:\d\d(?::\d\d)?\b", r"\b(?:1[5-9]|20)\d0s\b",
        rf"\b{DAY} (?:{either(MONTHS.split())})\b\.?(?:,? {YEAR})?",
        rf"{after(MONTHS)}(?:{DAY},? {YEAR}|{DAY}(?=[,.;:)–]|$)|{YEAR})",
        rf"(?i:{after(BEFORE)}|(?<=[(–;,])|(?<=[,;] )){YEAR}(?=\s*$|[^\w\s%]|\s(?:[A-Z]|(?:{NEXT})\b))"]),
    "version": rf"(?<=\bv)\d[\w.]*|\b\d+\.\d+\.\d+[\w.]*|(?i:{after(WARES)}){WHOLE}",
    "ordinal": r"\b\d+(?:st|nd|rd|th)\b",
    "name": either([
        rf"(?i:{after(NAMES)}){WHOLE}(?:(?:,|,? and| or| to) {WHOLE}|–{WHOLE})*",
        r"(?:(?<=[A-Za-z_])|(?<=[A-Za-z]-))\d\w*", r"\b[123]D\b"]),
}.items()}

LOWER = str.maketrans(ascii_uppercase, ascii_lowercase) # keeps the length, which `lower` need not
WORDS = LOWER | str.maketrans(punctuation + "—–…“”‘’", " "*(len(punctuation) + 7))
HINTS = {*SMALL, *BIG, *PARTS, *CHANGES, *(f"{part}s" for part in PARTS), "twice", "thrice", "second",
         *(f"{word}fold" for word in SMALL + BIG)}
FIGURE = re.compile(rf"[\d{SIGNS}]")
FRONT = re.compile(r"\A(\+\+\+|---)[ \t]*\n.*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
TITLES = re.compile(r"^(?:title|description|summary)[ \t]*[=:](.*)$", re.MULTILINE) # in front matter
ORIGINS = {"block": "code", "code": "span", "comment": "code", "foreign": "code", "display": "formula",
           "formula": "formula", "autolink": "link"} # of numbers in what `spans` finds
LINKS = [re.compile(pattern, re.MULTILINE) for pattern in ( # and tags, in this order
    r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?>",
    r"\]\(\s*<?(?:[^()\s]|\([^()\s]*\))*",
    r"https?://[^\s)>\]]+",
    r"^ {0,3}\[[^\]^]+\]:\s*\S+")]
MARKER = re.compile(r"^[ \t]*(#{1,6} +)?\(?(\d+)[.)](?=\s)", re.MULTILINE)
EMBED = re.compile(r"\{\{[<%]\s*embed\b")
HEADING = re.compile(r"^(#{1,6} .*)\n", re.MULTILINE)
END = re.compile( # of a sentence
    r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+] |\||#{1,6} |\[\^))|\0|" # a paragraph, item, row, footnote; a mark
    rf"[.!?…](?<!\b(?:{either(sorted({month[:3] for month in MONTHS.split()}))})\.)"
    r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bcf\.)(?<!\bvs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)"
    r"[\"'”’)\]*_]*(?:\[\^[^\]]+\])*(?=\s)")


OWN_RUN = re.compile( # a machine and a day
    rf"(?=.*\b(?:laptop|desktop|machine|computer|pc|mac\w*|server|workstation|notebook|phone|tablet|colab|kaggle|"
    rf"gpu|cpu|board|pi|cluster|codespace)\b)"
    rf"(?=.*(?:\d{{4}}-\d\d-\d\d|\d\d?\.? (?:{either(MONTHS.split())})\.? \d{{4}}|"
    rf"\b(?:{either(MONTHS.split())})\.? \d\d?(?:st|nd|rd|th)?,? \d{{4}}))", re.DOTALL | re.IGNORECASE)


def worth(
    number:str, # in digits or words
) -> float|None: # None for what is not worked out
    "Give the value of a number; per cent and parts are of 1."
    words = re.split(r"[ -]", number.lower())
    if words[-1].removesuffix("s") in PARTS:
        return WORTH.get(words[0], 1)/PARTS[words[-1].removesuffix("s")]
    if words[0] in WORTH and len(words) == 1: return WORTH[words[0]]
    if words[0] in WORTH and "cent" in words[1]: return WORTH[words[0]]/100
    try: value = float(number.rstrip(" %").replace(",", "").replace("−", "-"))
    except ValueError: return None
    return value/100 if number.endswith("%") else value


@cache
def own_addresses(
) -> tuple[str, str]:
    "Give what links into this repository, and into its site, can be told by."
    settings = (Path(__file__).resolve().parent.parent/"settings.ini").read_text(encoding="utf-8")
    owner, name = re.search(r"^git_url *= *\S+/([^/\s]+)/([^/\s]+?)/?$", settings, re.MULTILINE).groups()
    return f"{owner}/{name}", f"{owner}.github.io/{name}"


def is_outside(
    link:str,
) -> bool:
    "Say whether a text leads outside the repository."
    return "://" in link and "//localhost" not in link and not any(own in link for own in own_addresses())


def markers(
    text:str, # without what is no prose
) -> list[tuple[int, int]]: # where each starts and ends
    "Find the numbers that open headings and list items; one at the start of a wrapped line is none."
    found = []
    for match in MARKER.finditer(text):
        before = text[text.rfind("\n", 0, max(match.start() - 1, 0)) + 1:match.start()]
        follows = found and not re.search(r"\n[ \t]*\n", text[found[-1][1]:match.start()])
        opens = match[1] or match[2] == "1" or not before.strip()
        if opens or follows: found.append((match.start(2), match.end()))
    return found


hidden = lambda text: re.sub(r"[^\n]", "\1", text) # no space, for a sentence ends with a mark and a space


def note_numbers(
    origin:str,
    piece:str, # no prose
    start:int, # where it stands
    found:list[Found], # takes the numbers in it
    away:list[int], # takes its place, if it leads outside
):
    "Note the numbers of what is no prose."
    if origin == "link" and is_outside(piece): away.append(start)
    if origin in ("code", "span", "formula"):
        for each in re.finditer(rf"{NUMERAL}(?: ?%)?", piece):
            found.append((start + each.start(), each[0], origin))
    elif origin == "embed" or re.search(r"\d", piece):
        found.append((start, piece.strip("](<"), origin))


def without_markup(
    text:str, # a note
) -> tuple[str, list[Found], list[int]]: # as long; numbers in what is hidden; places that lead outside
    "Hide all of a note that is no prose."
    found, away = [], []
    front = FRONT.match(text)
    begin = front.end() if front else 0
    prose = hidden(text[:begin]) + text[begin:]
    for title in TITLES.finditer(text[:begin]):
        prose = f"{prose[:title.start(1)]}{title[1]}\0{prose[title.end(1) + 1:]}"
    pieces = [prose[:begin]]
    at = begin
    for kind, start, end in spans(text[begin:]):
        piece = text[begin + start:begin + end]
        origin = "embed" if EMBED.match(piece) else ORIGINS.get(kind, "code" if kind == "shortcode" else "")
        if not origin: continue
        note_numbers(origin, piece, begin + start, found, away)
        pieces += [prose[at:begin + start], hidden(piece)]
        at = begin + end
    prose = "".join([*pieces, prose[at:]])
    for pattern in LINKS:
        for match in list(pattern.finditer(prose)):
            note_numbers("code" if match[0].startswith("<") else "link", match[0], match.start(), found, away)
            prose = prose[:match.start()] + hidden(match[0]) + prose[match.end():]
    return prose, found, away


def without_markers(
    prose:str, # of `without_markup`
    found:list[Found], # takes the markers
) -> str: # as long, the end of each marker and heading marked
    "Hide the numbers that open headings and list items."
    for start, end in markers(prose):
        found.append((start, prose[start:end], "ordinal"))
        prose = prose[:start] + "\1"*(end - start - 1) + "\0" + prose[end:]
    return HEADING.sub("\\1\0", prose)


def defined_outside(
    text:str, # a note
) -> list[int]: # places
    "Find where a note uses a footnote or a link that is defined elsewhere in it and leads outside."
    places = []
    if "]:" not in text: return places
    for name, target in re.findall(r"^ {0,3}(\[[^\]]+\]):(.*(?:\n(?! {0,3}\[).+)*)", text, re.MULTILINE):
        if is_outside(target):
            places += [match.start() for match in re.finditer(re.escape(name), text)]
    return places


def measured(
    sentence:str, # on one line
) -> list[Found]: # the origin None for a result
    "Find the numbers of a sentence; a word that is no result is none."
    found = []
    lower = sentence.translate(LOWER)
    at = 0
    while first := START.search(lower, at):
        start = first.start()
        tried = ((pattern.match(sentence, start), origin) for origin, pattern in REASONS.items())
        match, why = next((each for each in tried if each[0]), (MEASURED.match(lower, start), None))
        at = match.end() if match else first.end()
        if match and not why: why = verdict(sentence, start, at)
        if match and (why is None or FIGURE.search(match[0])):
            found.append((match.start(), match[0].strip(), why))
    return found


def squeezed(
    text:str,
) -> tuple[str, list[int]]: # on one line, and where each letter of it stood
    "Put a sentence on one line, with one space where there are several; marks of a quotation count as one."
    text = re.sub(r"(?<=\n)[ \t]*(?:> ?)+", lambda match: " "*len(match[0]), text)
    places = [place for place, letter in enumerate(text)
              if not (letter.isspace() and text[max(place - 1, 0)].isspace())]
    return "".join(" " if text[place].isspace() else text[place] for place in places), places


def cells_of(
    row:str, # of a table
) -> list[tuple[int, str]]: # where each cell starts, and what it holds
    "Split a row of a table."
    return [(match.start(), match[0]) for match in re.finditer(r"(?:\\.|[^|\n])+", row)]


def measured_in_row(
    heads:list[str], # of the table's columns
    row:str,
) -> list[Found]: # as for `measured`
    "Find the numbers of a row of a table, each beside the heads of its row and its column."
    found = []
    cells = cells_of(row)
    for number, (place, cell) in enumerate(cells):
        head = heads[number].strip() if number < len(heads) else ""
        beside = f"{cells[0][1].strip()} {head}: " if number else f"{head}: "
        found += [(place + at - len(beside), what, why) for at, what, why in measured(beside + cell)
                  if at >= len(beside)]
    return found


def heads_over(
    prose:str, # of `without_markup`
    start:int, # of a row
) -> list[str]: # none where it is the first row, or no row
    "Give the heads of the table that a row is in."
    lines = prose[:start].splitlines()
    rows = []
    while lines and lines[-1].lstrip().startswith("|"): rows.append(lines.pop())
    return [text for _, text in cells_of(rows[-1])] if rows else []


def located(
    found:list[Found],
    text:str, # that they stand in
    ends:list[int], # of its sentences
) -> list[Number]: # in the order of the text
    "Give each number its line and its sentence."
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    numbers = []
    for place, number, origin in sorted(found):
        here = bisect(ends, place)
        sentence = " ".join(text[ends[here - 1]:ends[here]].split())
        numbers.append(Number(bisect(lines, place), " ".join(number.split()), sentence, origin))
    return numbers


def numbers(
    text:str, # a note
) -> list[Number]: # in the order of the text
    "Find every number of a note with its origin, markup included and front matter left out."
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    prose, found, away = without_markup(text)
    coded = [(start, worth(number)) for start, number, origin in found if origin in ("code", "span")]
    prose = without_markers(prose, found)
    ends = [0, *(match.end() for match in END.finditer(prose)), len(prose)]
    away = sorted(away + defined_outside(text))
    inline = [each for each in found if each[2] in ("span", "formula")]
    found = [each for each in found if each not in inline]
    words = prose.translate(WORDS)
    for start, end in zip(ends, ends[1:]):
        here = [each for each in inline if start <= each[0] < end]
        hinted = here or not HINTS.isdisjoint(words[start:end].split()) or FIGURE.search(prose, start, end)
        if not hinted: continue # most sentences, quickly
        excuse = "cited" if bisect_left(away, end) > bisect_left(away, start) else None
        if OWN_RUN.match(prose[start:end]): excuse = "own run"
        said_in_code = {value for place, value in coded if start <= place < end} - {None}
        whole = text[start:end].replace("\n", " ")
        for place, number, origin in here:
            why = verdict(whole, place - start, place - start + len(number), in_code=True)
            found.append((place, number, why and ("formula" if origin == "formula" else "code") or excuse))
        sentence, places = squeezed(prose[start:end])
        heads = heads_over(prose, start) if sentence.lstrip().startswith("|") else []
        for place, number, why in measured_in_row(heads, sentence) if heads else measured(sentence):
            if why is None and worth(number) in said_in_code: why = "code"
            found.append((start + places[place], number, why or excuse))
    return located(found, text, ends)


def unsourced(
    text:str, # a note
    name:str, # of its file
) -> list[str]: # a sentence each
    "Give what to say of the numbers without an origin."
    return [f"{name}:{line}: {number!r} has no source; embed it from the cell that measures it, "
            "cite a source in the same sentence, say on which machine and day you got it, or do without: "
            f"{sentence}"
            for line, number, sentence, origin in numbers(text) if origin is None]


def main():
    names = sys.argv[1:]
    if not names or names[0].startswith("-"):
        print(__doc__.strip())
        return 0 if names else 2
    wrong = []
    for name in names:
        try: text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            print(f"mark1: {name} cannot be read: {error}", file=sys.stderr)
            return 2
        for line, number, _, origin in numbers(text):
            print(f"{name}:{line}: {number} — {origin or 'unsourced'}")
        wrong += unsourced(text, name)
    for sentence in wrong: print(f"mark1: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__": sys.exit(main())
