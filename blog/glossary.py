"""Link the first use of a term in a chapter to its line in the glossary.

The glossary is `nbs/glossary.ipynb`, a list of lines like
`- **a term**, or **another name**: what it means. [02](02_learning.ipynb)`.
"""
import re
from dataclasses import dataclass
from unicodedata import normalize

ENTRY = re.compile(r"^- (?=\*\*)(?P<names>.+?): (?P<meaning>.+)$", re.MULTILINE)
NAME = re.compile(r"\*\*([^*`]+)\*\*") # a term in code is never running prose
CHAPTER = re.compile(r"\[[^\]]*\]\(((\w+)/)?[^)]*\.ipynb\)")
MARKS = re.compile(r"`|\*+|\[([^\]]*)\]\([^)]*\)|\(chapter to come\)") # Markdown, in what a line says
NOT_PROSE = r"""
    ^(?P<fence>```+|~~~+).*?^(?P=fence)  # code
  | ^(?:\#|\||[ ]{4,}\S).*?$             # a heading, a row of a table, code
  | (?P<ticks>`+).+?(?P=ticks)           # code in a line
  | \$\$.+?\$\$ | \$[^$\n]+\$            # a formula
  | !?\[(?:[^\[\]]|\[[^\]]*\])*\](?:\([^)]*\)|\[[^\]]*\]) # a link, a picture with its text
  | \*[^*\n]+\*,\s+\d{4}                 # the title of a paper, with its year
  | \{\{[<%].+?[%>]\}\} | <[^>\s][^>]*> | https?://\S+
"""
OTHER_SENSES = [ # words of the glossary that mean something else
    r"learners?", # as a rule a person who learns
    r"activation\s+functions?",
    r"body\s+mass", r"without\s+a\s+body", r"heads?\s+at",
    r"no\s+such\s+parameters?",
    r"logistic\s+regression",
    r"(?:this|the)\s+loss\s+(?:depends|in\s+\d+)", # of what was learned
    r"temperatures", r"temperature\s+of\s+a\s+town",
    r"(?:its|own|in\s+the|mind\s+the)\s+units?", r"units?\s+wide"]


@dataclass(frozen=True)
class Term:
    "Hold a line of the glossary."
    names: tuple[str, ...] # as prose writes them
    anchor: str # on the page of the glossary
    meaning: str # without Markdown
    wing: str # that explains it: "" for the lesson, else a folder of notebooks


def anchor_of(
    names:str, # what stands before the colon of a line
) -> str:
    "Make the anchor of a line from its first name."
    first = re.search(r"\*\*`?(.+?)`?\*\*", names)[1]
    plain = normalize("NFKD", first).encode("ascii", "ignore").decode().lower()
    return re.sub(r"\W+", "-", plain).strip("-")


def read_terms(
    glossary:str, # Markdown
) -> list[Term]:
    "Read the lines of the glossary whose terms can stand in prose."
    terms = []
    for entry in ENTRY.finditer(glossary):
        names = tuple(NAME.findall(entry["names"]))
        chapter = CHAPTER.search(entry["meaning"])
        meaning = MARKS.sub("", entry["meaning"]).rstrip(" ,")
        if names:
            terms.append(Term(names, anchor_of(entry["names"]), meaning, chapter and chapter[2] or ""))
    return terms


def with_anchors(
    glossary:str, # Markdown
) -> str: # with a shortcode at each line
    "Give each line of the glossary its anchor."
    marked = lambda entry: f'- {{{{< anchor "{anchor_of(entry["names"])}" >}}}}{entry[0][2:]}'
    return ENTRY.sub(marked, glossary)


def pattern_of(
    terms:list[Term],
) -> re.Pattern:
    "Make the pattern that finds terms in prose, the longest first, and passes over what is no prose."
    spelt = lambda name: r"\s+".join(map(re.escape, name.split()))
    names = sorted((name for term in terms for name in term.names), key=len, reverse=True)
    words = "|".join(f"{spelt(name)}(?:e?s)?" for name in names)
    senses = "|".join(OTHER_SENSES)
    return re.compile(rf"(?:{NOT_PROSE})|(?:(?i:\b(?:{senses})\b))"
                      rf"|(?<![\w-])(?i:(?P<term>{words}))(?![\w-])",
                      re.MULTILINE | re.DOTALL | re.VERBOSE)


def term_called(
    words:str, # as they stand in prose
    terms:list[Term],
) -> Term:
    "Find the term that words name, in the singular or plural."
    said = " ".join(words.split()).lower()
    names = {name.lower(): term for term in terms for name in term.names}
    return next(names[one] for one in (said, said[:-1], said[:-2]) if one in names)


def link_terms(
    parts:list[str], # Markdown of a page, in its order
    terms:list[Term],
    address:str, # of the glossary, as links of this page write it
    wing:str="", # of the page: "" for the lesson, else a folder of notebooks
) -> list[str]: # the same, with links
    """Link each term where running prose uses it first.

    What the workshop explains is linked there alone, and what the lesson explains is not: a label and an
    image are something else there.
    """
    mine = [term for term in terms if (term.wing == "workshop") == (wing == "workshop")]
    if not mine: return parts
    pattern = pattern_of(mine)
    linked = set()
    def link(found):
        term = found["term"] and term_called(found["term"], mine)
        if not term or term in linked: return found[0]
        linked.add(term)
        title = term.meaning.replace("\\", "").replace('"', "'")
        return f'[{found[0]}]({address}#{term.anchor} "{title}")'
    return [pattern.sub(link, part) for part in parts]
