"""List the numbers of notes and say where each comes from: a measured number enters a note by `embed` only.

    python blog/origins.py lesson_notes/*.md

A literal passes in a date, code, a formula, a version, an ordinal or name, the target of a link, in a
sentence that cites a source outside the repository, and where it says again what code in the sentence says
(`valid_pct=0.2`, a fifth). In words, what has the form of a measurement counts (nine of ten, forty per cent,
three times as many, a third of), and every word from thirteen on.
"""
import re
import sys
from bisect import bisect, bisect_left
from functools import cache, partial
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, punctuation
from typing import NamedTuple

# Not called numbers.py: a script's folder comes first on the path, and the standard library has a numbers.py.


class Number(NamedTuple):
    "Hold a number of a note."
    line: int # of the file, from 1
    number: str # as it is written; an embed and a link's target whole
    sentence: str # that it stands in, on one line
    origin: str|None # 'embed', 'cited', or one of `MARKUP` or `REASONS`; None where it has none


Found = tuple[int, str, str|None] # where a number starts, the number, its origin


either = "|".join
SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
BIG = ("thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty "
       "seventy eighty ninety hundred thousand million billion").split()
WORTH = dict(zip([*SMALL, *BIG], [*range(20), *range(20, 100, 10)])) # nobody needs "two hundred" here
PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
         "ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000}
NUMERAL = r"\d+(?:,\d{3})*(?:\.\d+)*"
SIGNS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"

EXACT = ( # two hundred and ten
    rf"(?:(?:an?|{either(SMALL + BIG)})[ -](?:and )?){{,4}}(?:{either(BIG)})\b"
    rf"(?:[ -](?:and )?(?:{either(SMALL + BIG)})\b){{,6}}")
COUNT = rf"(?:{EXACT}|{either(SMALL)}|{NUMERAL})"
THAN = ("as|more|less|fewer|larger|bigger|smaller|greater|higher|lower|better|worse|faster|slower|longer|"
        "shorter|the|that|its")
START = re.compile( # of all that may be a number
    rf"\b(?:an? )?(?:{either([*SMALL, *BIG, *PARTS, 'twice', 'thrice'])})|(?<!\w)[-+−]?\d|\d|[{SIGNS}]")
MEASURED = re.compile(either([ # what is one, matched there
    rf"{COUNT}[ -](?:per ?cent|percentage points?)\b",
    rf"(?!one of(?: the| two| three| four)\b)"
    rf"{COUNT}(?: times)? (?:of|in|out of)(?: the| every| all)? {COUNT}\b",
    rf"(?:twice|thrice|{COUNT} times) (?=(?:{THAN})\b)",
    rf"(?:{either(SMALL + BIG)})[ -]?fold\b",
    rf"(?:(?:an?|{either(SMALL)}) (?:{either(PARTS)})s?|half)"
    rf"(?= (?:of|as|the|more|less|fewer|again)\b| ?[.,;:)])",
    rf"(?!one\b){COUNT} (?:is |are |was |were )?(?:wrong|right|errors|mistakes|misses)\b",
    EXACT,
    rf"(?:(?<!\w)[-+−])?{NUMERAL}(?: ?[%‰])?|[{SIGNS}]",
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
HINTS = {*SMALL, *BIG, *PARTS, *(f"{part}s" for part in PARTS), *(f"{word}fold" for word in SMALL + BIG),
         "twice", "thrice"}
FIGURE = re.compile(rf"[\d{SIGNS}]")
FRONT = re.compile(r"\A(\+\+\+|---)[ \t]*\n.*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
MARKUP = [ # no prose, in this order
    (origin, needle, re.compile(pattern, re.DOTALL | re.MULTILINE)) for origin, needle, pattern in [
    ("code", "```", r"^[ \t]*(```+).*?(?:^[ \t]*\1`*[ \t]*$|\Z)"),
    ("code", "~~~", r"^[ \t]*(~~~+).*?(?:^[ \t]*\1~*[ \t]*$|\Z)"),
    ("code", "`", r"(`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)\1(?!`)"),
    ("formula", "$", r"(\$\$?)(?!\s)(?:(?!\d\.\d|\d{3})[^$])+?(?<!\s)\1"), # what has decimals was measured
    ("code", "<!--", r"<!--.*?-->"),
    ("code", ">", r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?>"),
    ("embed", "{{", r"\{\{[<%]\s*embed\b.*?[>%]\}\}"),
    ("code", "{{", r"\{\{[<%].*?[>%]\}\}"),
    ("code", "{%", r"\{%.*?%\}"),
    ("link", "](", r"\]\(\s*<?(?:[^()\s]|\([^()\s]*\))*"),
    ("link", "http", r"https?://[^\s)>\]]+"),
    ("link", "]:", r"^ {0,3}\[[^\]^]+\]:\s*\S+"),
]]
MARKER = re.compile(r"^[ \t]*(#{1,6} +)?\(?(\d+)[.)](?=\s)", re.MULTILINE)
HEADING = re.compile(r"^(#{1,6} .*)\n", re.MULTILINE)
END = re.compile( # of a sentence
    r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+] |\||#{1,6} |\[\^))|\0|" # a paragraph, item, row, footnote; a mark
    r"[.!?…](?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bcf\.)(?<!\bvs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)"
    r"[\"'”’)\]*_]*(?:\[\^[^\]]+\])*(?=\s)")


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


hide = lambda match: re.sub(r"[^\n]", "\1", match[0]) # no space, for a sentence ends with a mark and a space


def mask(
    origin:str, # of `MARKUP`
    found:list[Found], # takes the numbers in it
    away:list[int], # takes its place, if it leads outside
    match:re.Match, # what is no prose
) -> str: # as long
    "Note the numbers of what is no prose, and hide it."
    if origin == "link" and is_outside(match[0]): away.append(match.start())
    if origin in ("code", "formula"):
        for each in re.finditer(NUMERAL, match[0]):
            found.append((match.start() + each.start(), each[0], origin))
    elif origin == "embed" or re.search(r"\d", match[0]):
        found.append((match.start(), match[0].strip("](<"), origin))
    return hide(match)


def without_markup(
    text:str, # a note
) -> tuple[str, list[Found], list[int]]: # as long; numbers in what is hidden; places that lead outside
    "Hide all of a note that is no prose."
    prose = FRONT.sub(hide, text)
    found, away = [], []
    for origin, needle, pattern in MARKUP:
        if needle in prose:
            prose = pattern.sub(partial(mask, origin, found, away), prose)
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
) -> list[Found]: # the origin None where the sentence alone gives none
    "Find the numbers of a sentence."
    found = []
    lower = sentence.translate(LOWER)
    at = 0
    while first := START.search(lower, at):
        start = first.start()
        tried = ((pattern.match(sentence, start), origin) for origin, pattern in REASONS.items())
        match, why = next((each for each in tried if each[0]), (MEASURED.match(lower, start), None))
        at = match.end() if match else first.end()
        if match: found.append((match.start(), sentence[match.start():at].strip(), why))
    return found


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
    coded = [(start, worth(number)) for start, number, origin in found if origin == "code"]
    prose = without_markers(prose, found)
    ends = [0, *(match.end() for match in END.finditer(prose)), len(prose)]
    away = sorted(away + defined_outside(text))
    words = prose.translate(WORDS)
    for start, end in zip(ends, ends[1:]):
        hinted = not HINTS.isdisjoint(words[start:end].split()) or FIGURE.search(prose, start, end)
        if not hinted: continue # most sentences, quickly
        cites = bisect_left(away, end) > bisect_left(away, start)
        said_in_code = {value for place, value in coded if start <= place < end} - {None}
        for place, number, why in measured(prose[start:end].replace("\n", " ")):
            if why is None and cites: why = "cited"
            if why is None and worth(number) in said_in_code: why = "code"
            found.append((start + place, number, why))
    return located(found, text, ends)


def unsourced(
    text:str, # a note
    name:str, # of its file
) -> list[str]: # a sentence each
    "Give what to say of the numbers without an origin."
    return [f"{name}:{line}: {number!r} has no source; embed it from the cell that measures it, "
            f"cite a source in the same sentence, or do without: {sentence}"
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
