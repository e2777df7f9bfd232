"""Find in a note what Hugo would drop, or print as it stands: what wikis and other engines have left there.

What loses nothing is left out with a remark; what would lose something is a fault.
"""
import re
from pathlib import Path

from front import ENDINGS, name_of
from markup import spans

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufffe\uffff]") # XML has no place for most of them
WIKI = re.compile(r"(!?)\[\[([^\[\]|\n,]+)(?:\|([^\[\]\n]+))?\]\](?!\()")
OWN_SHORTCODES = {"embed"}
FOOTNOTE = re.compile(r"^ {0,3}\[\^([^\]\s]+)\]:|(?<!!)\[\^([^\]\s]+)\](?!\()", re.MULTILINE) # text, mark
REFERENCE = re.compile(r"\[[^\[\]]+\]\[([^\[\]^]+)\]") # a link whose address stands elsewhere
FOR_OTHERS = re.compile(r"^[ \t]*(?:\{:[^}\n]*\}|\[TOC\])[ \t]*$", re.MULTILINE | re.IGNORECASE)


def hidden(
    body:str, # Markdown
    *kinds:str, # of `spans`; all if not given
) -> str: # as long
    "Hide what is no prose."
    for kind, start, end in spans(body):
        if not kinds or kind in kinds:
            body = body[:start] + re.sub(r"[^\n]", " ", body[start:end]) + body[end:]
    return body


def checked_body(
    body:str, # Markdown
    others:dict[str, str], # file of each note, by its name
    path:Path, # of this note
    faults:list[tuple[int, str]], # takes line, counted in the body from 0, and sentence
    remarks:list[tuple[int, str]], # takes the same
) -> str: # of as many lines
    "Look for what Hugo would drop, or print as it stands, and resolve links of wikis."
    line = lambda place: body.count("\n", 0, place)
    for found in CONTROL.finditer(body):
        remarks.append((line(found.start()), f"the control character U+{ord(found[0]):04X} is left out"))
    parts = []
    at = 0
    for kind, start, end in spans(body):
        piece = body[start:end]
        parts += [for_this_engine(body[at:start], line(at), others, path, faults), piece]
        at = end
        if kind == "shortcode":
            name = re.match(r"\{\{[<%]\s*/?\s*([\w/.-]*)", piece)[1]
            if name not in OWN_SHORTCODES:
                faults.append((line(start), f'there is no shortcode "{name}"; there is embed'))
                parts[-1] = "\n"*piece.count("\n")
        if kind == "foreign" and piece.startswith("{%"):
            remarks.append((line(start), f"{short(piece)} belongs to another engine and is left out"))
            parts[-1] = "\n"*piece.count("\n")
        if kind == "foreign" and piece.startswith("{{"):
            faults.append((line(start), f"{short(piece)} belongs to another engine; write what it stands "
                                        "for, or put it between backticks"))
    text = "".join([*parts, for_this_engine(body[at:], line(at), others, path, faults)])
    for found in re.finditer(r"\{\{[<%]", hidden(body)):
        faults.append((line(found.start()), "a shortcode here does not end; close it with >}}"))
    look_up_references(hidden(body), line, faults, remarks)
    for found in FOR_OTHERS.finditer(hidden(body)):
        remarks.append((line(found.start()), f"{found[0].strip()} is for another engine and is left out"))
    return CONTROL.sub("", text)


def look_up_references(
    prose:str, # of a note
    line, # of a place in it
    faults:list[tuple[int, str]], # takes line and sentence
    remarks:list[tuple[int, str]], # takes the same
):
    "Look for footnotes and links of which the other half is missing."
    notes = list(FOOTNOTE.finditer(prose))
    texts, marks = {found[1] for found in notes}, {found[2] for found in notes}
    for found in notes:
        if found[1] and found[1] not in marks:
            said = f"nothing refers to the footnote [^{found[1]}]; it is left out"
            remarks.append((line(found.start()), said))
        if found[2] and found[2] not in texts:
            faults.append((line(found.start()), f"the footnote [^{found[2]}] has no text; write a line "
                                                f"[^{found[2]}]: … below"))
    defined = {name.casefold() for name in re.findall(r"^ {0,3}\[([^\]^]+)\]:", prose, re.MULTILINE)}
    for found in REFERENCE.finditer(prose):
        if found[1].casefold() not in defined and not found[1].isdigit():
            remarks.append((line(found.start()), f"{found[0]} has no line [{found[1]}]: … with its address; "
                                                 "it is printed as it stands"))


short = lambda piece: " ".join(piece.split()) if len(piece) < 60 else " ".join(piece.split())[:57] + "…"


def for_this_engine(
    prose:str,
    before:int, # lines before it
    others:dict[str, str], # file of each note, by its name
    path:Path, # of this note
    faults:list[tuple[int, str]], # takes line and sentence
) -> str:
    "Write links of wikis as Markdown; leave out what is for other engines; show what opens no shortcode."
    def link(found):
        here = before + prose.count("\n", 0, found.start())
        target, _, part = found[2].strip().partition("#")
        name = name_of(Path(target + ".md")) if not target.endswith(ENDINGS) else name_of(Path(target))
        if found[1]:
            faults.append((here, f"{found[0]} is shown by wikis alone; write ![what it shows]({target})"))
        elif name in others:
            up = "../"*len(path.parent.parts)
            return f"[{found[3] or found[2]}](<{up}{others[name]}{'#' + part if part else ''}>)"
        else:
            faults.append((here, f"{found[0]} leads to no note; write [text](its file), "
                                 "or put it between backticks"))
        return found[0]
    prose = FOR_OTHERS.sub("", prose)
    if "{{" in prose: prose = re.sub(r"\{\{(?=[<%])", "{&#123;", prose) # of a shortcode that does not end
    return WIKI.sub(link, prose) if "[[" in prose else prose
