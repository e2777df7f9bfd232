"""Find what is no prose in Markdown: code, formulas, comments, shortcodes. Site and gate both ask here.

A `$` opens a formula by pandoc's rule, and GitHub's: no space behind the first, none before the second, and
no digit or word behind that; `$5-$10` and `$HOME/$USER` are none. No formula reaches over an empty line.
"""
import re
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt


class Span(NamedTuple):
    "Hold a piece of Markdown that is no prose."
    kind: str # 'block' (of code), or a name of a group of `INLINE`
    start: int # in the text
    end: int


ORDINAL = r"(?:st|nd|rd|th|s|d)\b" # may stand behind a formula: the nth
INLINE = re.compile(rf"""
    (?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))
  | (?P<escape>\\[!-/:-@\[-`{{-~])
  | (?P<comment><!--.*?-->)
  | (?P<shortcode>\{{\{{[<%].*?[>%]\}}\}})
  | (?P<foreign>\{{\{{.*?\}}\}} | \{{%.*?%\}})
  | (?P<autolink><[a-zA-Z][\w+.-]*:[^\s<>]*>)
  | (?P<display>\$\$(?!\$)(?:\\.|[^\\$]|\$(?!\$))+?\$\$)
  | (?P<formula>(?<![\w$])\$(?![\s$]|\d[\d.,]*\s+[a-zA-Z]{{2}}) # "$5 or" is money
      (?:\\.|[^\\$`])*(?<!\s)\$(?!\d|(?!{ORDINAL})[a-zA-Z_]))
  | (?P<dollar>\$)
""", re.DOTALL | re.VERBOSE)
FENCED = re.compile(r"^( *)(```+|~~~+)", re.MULTILINE)
ON_LINES = re.compile(r"^ *\$\$(?:(?!\n[ \t]*\n|\$\$).)+\$\$", re.MULTILINE | re.DOTALL) # a formula
NOTHING = re.compile(r"[$`\\<{]") # where none of these stands there are no spans but indented code


@cache
def parser(
) -> MarkdownIt:
    "Make the parser of blocks."
    return MarkdownIt("commonmark").enable("table").disable("inline")


def regions(
    text:str, # Markdown
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]: # of code blocks; of paragraphs, headings and rows
    "Split a text into blocks of code and pieces that inline Markdown does not reach over."
    lines = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    code, pieces = [], []
    taken = set()
    for token in parser().parse(text):
        if token.type not in ("fence", "code_block", "inline") or not token.map: continue
        first, last = token.map
        if first in taken and token.type == "inline": continue # another cell of the row
        taken.update(range(first, last))
        found = pieces if token.type == "inline" else code
        found.append((lines[first], lines[min(last, len(lines) - 1)]))
    pieces += [(lines[number], lines[number + 1]) for number in range(len(lines) - 1) if number not in taken]
    return code, sorted(pieces)


def without_formulas_on_lines(
    text:str, # Markdown
) -> str: # as long
    "Hide formulas on lines of their own from the parser of blocks, to which a minus is a list."
    return ON_LINES.sub(lambda match: re.sub(r"[^\n$]", "x", match[0]), text) if "$$" in text else text


def spans(
    text:str, # Markdown, without front matter
) -> list[Span]: # in their order; none reaches into another
    "Find all that is no prose."
    code, pieces = regions(without_formulas_on_lines(text))
    found = [Span("block", *place) for place in code]
    for start, end in pieces:
        if not NOTHING.search(text, start, end): continue
        found += [Span(match.lastgroup if match.lastgroup != "ticks" else "code", *match.span())
                  for match in INLINE.finditer(text, start, end)]
    return sorted(found, key=lambda span: span.start)


def with_spans(
    text:str, # Markdown
    change, # what becomes of a piece: a function of its kind and its text
) -> str:
    "Replace all that is no prose."
    parts = []
    at = 0
    for kind, start, end in spans(text):
        parts += [text[at:start], change(kind, text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def quoted(
    code:str,
) -> str:
    "Have Hugo show shortcodes in code as they stand."
    return re.sub(r"\{\{(<|%)(?!/\*)(.*?)(>|%)\}\}", r"{{\1/*\2*/\3}}", code, flags=re.DOTALL)


def for_hugo(
    kind:str, # of `spans`
    piece:str,
) -> str: # of as many lines
    "Write a piece so that Hugo reads it as it was found: a `$` that is money, code, a formula on its lines."
    if kind in ("block", "code"): return quoted(piece) if "{{" in piece else piece
    if piece in ("$", r"\$"): return "&#36;"
    if kind == "comment": return "\n"*piece.count("\n")
    if kind == "display" and "\n" in piece and "\n>" not in piece:
        return " ".join(piece.split()) + "\n"*piece.count("\n") # no sign at the start of a line makes a list
    return piece


def as_hugo_reads(
    text:str, # Markdown
) -> str: # of as many lines
    "Write Markdown so that Hugo takes just that for formulas and shortcodes which is one."
    return with_spans(text, for_hugo) if re.search(r"[${]|<!--", text) else text
