"""Make pages of notes as people write them: `DATE.md` or `DATE/index.md`, front matter in TOML, YAML or none.

A page has as many lines as its note, so that what Hugo says of a line is true of the note. What is understood
is used; what is not is named with its line. Nothing is left out without a word.
"""
import json
import os
import re
import tomllib
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from markup import as_hugo_reads, spans, with_spans
from origins import unsourced
from pages import write

NOTES, MADE, TAGGED = Path("lesson_notes"), Path("_run/blog/notes"), Path("_run/blog/tags") # below the root
KEPT = Path("_run/blog/notes.json")
ENDINGS = ".md", ".markdown"
RULES = "markup.py", "notes.py", "origins.py", "results.py" # what a page of a note rests on, beside the note
FRONT = re.compile(r"\A(?P<mark>\+\+\+|---)[ \t]*\n(?P<facts>.*?)(?P<end>^(?P=mark)[ \t]*$\n?|\Z)",
                   re.DOTALL | re.MULTILINE)
FACT = re.compile(r"^[\w\"'-]+[ \t]*:", re.MULTILINE) # of YAML
DAY = re.compile(r"(\d{4})[-_./]?(\d\d)[-_./]?(\d\d)(?!\d)") # in the name of a file, or of its folder
TAGS = "tags", "categories", "tag", "category" # and the same below `taxonomies`
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufffe\uffff]") # XML has no place for most of them
SIGNS = {"+": " plus", "#": " sharp", "&": " and ", "%": " percent", ".": " dot ", "@": " at ", "*": " star "}
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$|^ {0,3}(\S.*)\n {0,3}(?:=+|-+)[ \t]*$",
                     re.MULTILINE)
MARKS = re.compile(r"\{\{[<%].*?[>%]\}\}|\*+|!?\[([^\]]*)\]\([^)]*\)") # Markdown in a heading
WIKI = re.compile(r"(!?)\[\[([^\[\]|\n,]+)(?:\|([^\[\]\n]+))?\]\](?!\()")
OWN_SHORTCODES = {"embed"}
FOOTNOTE = re.compile(r"^ {0,3}\[\^([^\]\s]+)\]:|(?<!!)\[\^([^\]\s]+)\](?!\()", re.MULTILINE) # text, mark
REFERENCE = re.compile(r"\[[^\[\]]+\]\[([^\[\]^]+)\]") # a link whose address stands elsewhere
FOR_OTHERS = re.compile(r"^[ \t]*(?:\{:[^}\n]*\}|\[TOC\])[ \t]*$", re.MULTILINE | re.IGNORECASE)


class Page(NamedTuple):
    "Hold what is made of a note."
    front: dict # front matter, but for what other notes have a say in
    body: str # Markdown as Hugo reads it
    skipped: int # lines of the note before the body
    faults: list[tuple[int, str]] # line and sentence; the note cannot be shown
    remarks: list[tuple[int, str]] # the same; it can


def find_notes(
    root:Path, # the repository
) -> list[Path]: # below `NOTES`
    "List the notes, in folders too; what begins with a dot is none."
    folder = root/NOTES
    paths = (Path(place, name).relative_to(folder) for place, _, names in os.walk(folder) for name in names
             if name.lower().endswith(ENDINGS)) # quicker than `rglob`, as most files are pictures
    found = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(found, key=lambda path: (len(path.parts), path))


def name_of(
    path:Path, # of a note, below `NOTES`
) -> str: # 'DATE' for DATE.md and for DATE/index.md
    "Give the last part of a note's address."
    stem = path.parent.name if path.stem in ("index", "README") and path.parent.name else path.stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-").lower()


def line_of(
    key:str, # of front matter, with a dot where it is in a table
    text:str, # of the note
) -> int: # 1 where it is not found
    "Say in which line of a note a key stands."
    name = re.escape(key.split(".")[-1])
    found = re.search(rf"^[ \t]*(?:\[{name}\]|[\"']?{name}[\"']?[ \t]*[=:])", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def read_toml(
    facts:str, # between the marks
) -> dict:
    "Read front matter in TOML. `ValueError` with line and sentence."
    try: return tomllib.loads(facts)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        lines = facts.splitlines()
        number = int(place[1]) if place and place[1] else len(lines)
        if lines and lines[min(number, len(lines)) - 1].startswith("date"):
            raise ValueError(number + 1, "its date is none; write one such as date=2021-12-19") from error
        said = str(error).replace(place[0] if place else "", "")
        raise ValueError(number + 1, f"its front matter is no TOML: {said}") from error


def read_yaml(
    facts:str, # between the marks
) -> dict:
    "Read front matter in YAML. `ValueError` with line and sentence."
    import yaml  # here, for most builds change no note with YAML
    try: front = yaml.load(facts, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        began = "scanning" in (getattr(error, "context", None) or "") and error.context_mark
        mark = began or getattr(error, "problem_mark", None)
        said = f"its front matter is no YAML: {getattr(error, 'problem', None) or error}"
        raise ValueError((mark.line if mark else 0) + 2, said) from error
    except ValueError as error: # an impossible date
        raise ValueError(line_of("date", facts) + 1,
                         "its date is none; write one such as date: 2021-12-19") from error
    if not isinstance(front or {}, dict):
        raise ValueError(2, "its front matter is no YAML: lines such as title: … are missing")
    return {str(key): value for key, value in (front or {}).items()}


def read_front(
    text:str, # of a note
) -> tuple[dict, int]: # front matter, and the lines it takes
    "Read the front matter of a note. `ValueError` with line and sentence."
    found = FRONT.match(text)
    if not found or (found["mark"] == "---" and not FACT.search(found["facts"])):
        return {}, 0 # a line --- may also be a rule
    if not found["end"]:
        raise ValueError(1, f"its front matter does not end; write a line {found['mark']} below it")
    front = (read_toml if found["mark"] == "+++" else read_yaml)(found["facts"])
    return front, found[0].count("\n")


def as_date(
    value, # of front matter
) -> str|None: # as Hugo reads it; None for no date
    "Read a date, with or without time and zone."
    if isinstance(value, date): return value.isoformat() # a datetime is one as well
    said = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", str(value).strip()).removesuffix(" UTC")
    for form in (date, datetime):
        with suppress(ValueError): return form.fromisoformat(said).isoformat()
    return None


def date_of_name(
    path:Path, # of a note
) -> str|None:
    "Read the date in the name of a note, or of a folder it is in."
    for part in reversed([path.as_posix(), *path.with_suffix("").parts]):
        for found in DAY.finditer(part):
            with suppress(ValueError): return date(*map(int, found.groups())).isoformat()
    return None


def as_list(
    value, # of front matter
) -> list[str]:
    "Read tags as a list, or as words with commas between."
    if isinstance(value, str): return [each.strip() for each in value.split(",") if each.strip()]
    if isinstance(value, list): return [str(each) for each in value]
    return [] if value is None else [str(value)]


def understood(
    front:dict, # as it was written
    path:Path, # of the note
    text:str, # of the note
    remarks:list[tuple[int, str]], # takes what is not
) -> dict: # for Hugo, the tags as they were written
    "Use what is understood of front matter, and name the rest. `ValueError` with line and sentence."
    page = {"tags": []}
    rest = dict(front)
    tables = rest.pop("taxonomies", {})
    for source, where in ((rest, ""), (tables if isinstance(tables, dict) else {}, "taxonomies.")):
        for name in TAGS: page["tags"] += as_list(source.pop(name, None))
        rest |= {f"{where}{name}": value for name, value in source.items()} if where else {}
    page["tags"] = list(dict.fromkeys(filter(None, (" ".join(tag.split()) for tag in page["tags"]))))
    value = rest.pop("date", None)
    day = as_date(value) if value not in (None, "") else date_of_name(path)
    if not day and value not in (None, ""):
        raise ValueError(line_of("date", text), "its date is none; write one such as date=2021-12-19")
    if not day:
        raise ValueError(1, "it has no date; write one into its front matter, such as date=2021-12-19, "
                            "or into its name")
    page["date"] = day
    later = next((rest.pop(name) for name in ("updated", "lastmod") if as_date(rest.get(name, ""))), None)
    if later: page["lastmod"] = as_date(later)
    if rest.get("title") not in (None, ""): page["title"] = " ".join(str(rest["title"]).split())
    rest.pop("title", None)
    for name in ("description", "summary"):
        if isinstance(rest.get(name), str): page["description"] = " ".join(rest.pop(name).split())
    if isinstance(rest.get("draft"), bool): page["draft"] = rest.pop("draft")
    if isinstance(rest.get("published"), bool): page["draft"] = not rest.pop("published")
    own = f"notes/{name_of(path)}"
    aliases = [each for name in ("aliases", "redirect_from") for each in as_list(rest.pop(name, None))]
    page["aliases"] = ["/" + alias.strip("/") for alias in aliases if alias.strip("/") not in ("", own)]
    extra = rest.pop("extra", None)
    if isinstance(extra, dict): rest |= {f"extra.{name}": value for name, value in extra.items()}
    elif extra is not None: rest["extra"] = extra
    for name in rest:
        remarks.append((line_of(name, text), f"{name!r} in the front matter is not used here"))
    return page


def hidden(
    body:str, # Markdown
    *kinds:str, # of `spans`; all if not given
) -> str: # as long
    "Hide what is no prose."
    for kind, start, end in spans(body):
        if not kinds or kind in kinds:
            body = body[:start] + re.sub(r"[^\n]", " ", body[start:end]) + body[end:]
    return body


def heading_as_title(
    body:str, # Markdown
) -> tuple[str, str]: # title, '' where there is none; the body, without a heading that stands above all else
    "Take the first heading for the title."
    found = HEADING.search(hidden(body, "block", "comment"))
    if not found: return "", body
    title = MARKS.sub(r"\1", body[found.start(1):found.end(1)] or body[found.start(2):found.end(2)]).strip()
    if title and not body[:found.start()].strip():
        body = "\n"*body.count("\n", 0, found.end()) + body[found.end():]
    return title, body


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


def read_note(
    content:bytes, # of the file
    path:Path, # of it, below `NOTES`
    others:dict[str, str], # file of each note, by its name
) -> Page:
    "Make a page of a note."
    remarks, faults = [], []
    front = {"tags": [], "date": date_of_name(path) or "1970-01-01"}
    skipped = 0
    body = ""
    try:
        try: text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise ValueError(content.count(b"\n", 0, error.start) + 1,
                             "it is not text in UTF-8; save it as that") from error
        facts, skipped = read_front(text)
        front = understood(facts, path, text, remarks)
        body = text.split("\n", skipped)[-1]
    except ValueError as error: faults.append(error.args)
    if not front.get("title"): title, body = heading_as_title(body)
    else: title = front["title"]
    front["title"] = with_spans(title, lambda _, piece: piece.strip("`$ ")) or front["date"][:10]
    front["title"] = CONTROL.sub(" ", front["title"])
    if spans(title): front["heading"] = as_hugo_reads(title)
    found, said = [], []
    body = checked_body(body, others, path, found, said)
    faults += [(line + skipped + 1, sentence) for line, sentence in found]
    remarks += [(line + skipped + 1, sentence) for line, sentence in said]
    return Page(front, as_hugo_reads(body), skipped, faults, remarks)


def addresses(
    paths:list[Path], # of the notes
) -> tuple[dict[Path, str], dict[Path, Path]]: # name of each; of those that have another's, whose it is
    "Give each note a name of its own."
    names, taken, twice = {}, {}, {}
    for path in paths:
        name = name_of(path)
        if name in taken:
            twice[path] = taken[name]
            name = next(f"{name}-{number}" for number in range(2, 10**6) if f"{name}-{number}" not in taken)
        taken[name] = path
        names[path] = name
    return names, twice


def tag_names(
    tags:list[str], # of all notes, as they were written
) -> dict[str, str]: # the last part of its address, by the tag in small letters
    "Give each tag an address of its own: C, C++ and C# are three; Deep Learning and deep learning are one."
    names = {}
    for tag in tags:
        if tag.casefold() in names: continue
        spelt = "".join(SIGNS.get(letter, letter) for letter in tag.casefold())
        name = base = re.sub(r"[\W_]+", "-", spelt).strip("-") or "tag"
        number = 1
        while name in names.values():
            number += 1
            name = f"{base}-{number}"
        names[tag.casefold()] = name
    return names


def page_of(
    page:Page,
    source:str, # the note
    tags:dict[str, str], # of `tag_names`
    faults:list[str], # sentences with file and line
) -> str: # as Hugo reads it, the body in the line that it has in the note, or one below
    "Write the page of a note."
    front = page.front | {"source": source, "faults": faults}
    front["tags"] = list(dict.fromkeys(tags[tag.casefold()] for tag in front["tags"]))
    facts = json.dumps(front, ensure_ascii=False).replace("<", "\\u003c") # no tag there
    return facts + "\n"*max(page.skipped, 1) + page.body


class Made(NamedTuple):
    "Hold what was made of all notes."
    origins: dict[str, tuple[str, int]] # page, below the repository: its note, by how many lines it is lower
    remarks: list[str] # what was left out, or is not understood
    numbers: list[str] # results without a source


def pages_of_notes(
    root:Path, # the repository
    paths:list[Path], # of the notes, below `NOTES`
    others:dict[str, str], # file of each note, by its name
) -> dict[Path, tuple[Page, list[str]]]: # with the results that have no source
    "Read the notes; what was made of one is kept until it or a rule changes."
    rules = b"".join((Path(__file__).parent/name).read_bytes() for name in RULES)
    rules += (root/"settings.ini").read_bytes()
    kept, pages, keep = {}, {}, {}
    with suppress(OSError, ValueError):
        kept = json.loads((root/KEPT).read_bytes())
    for path in paths:
        content = (root/NOTES/path).read_bytes()
        stamp = sha256(rules + content + (repr(others).encode() if b"[[" in content else b"")).hexdigest()
        known = kept.get(str(path), {})
        if known.get("stamp") != stamp:
            page = read_note(content, path, others)
            numbers = unsourced(content.decode("utf-8", "replace"), f"{NOTES}/{path.as_posix()}")
            known = {"stamp": stamp, "page": page, "numbers": numbers}
        keep[str(path)] = known
        pages[path] = Page(*known["page"]), known["numbers"]
    write(root/KEPT, json.dumps(keep).encode())
    return pages


def make_notes(
    root:Path, # the repository
) -> Made:
    "Write a page for each note and each tag, and remove those whose note is gone."
    paths = find_notes(root)
    names, twice = addresses(paths)
    pages = pages_of_notes(root, paths, {name: path.as_posix() for path, name in names.items()})
    spelt = [tag for page, _ in pages.values() for tag in page.front["tags"]]
    tags = tag_names(spelt)
    shown = {tag.casefold(): tag for tag in reversed(spelt)} # as it was written first
    files = {TAGGED/name/"_index.md": json.dumps({"title": shown[tag]}) for tag, name in tags.items()}
    made = Made({}, [], [])
    for path, (page, numbers) in pages.items():
        source = f"{NOTES}/{path.as_posix()}"
        faults = [f"{source}:{line}: {sentence}" for line, sentence in page.faults]
        if path in twice:
            faults.append(f"{source}:1: its page would have the address of that of "
                          f"{NOTES}/{twice[path].as_posix()}; give one of them another name")
        file = MADE/f"{names[path]}.md"
        files[file] = page_of(page, source, tags, faults)
        made.origins[str(file)] = source, 0 if page.skipped else 1
        made.remarks.extend(f"{source}:{line}: {sentence}" for line, sentence in page.remarks)
        made.numbers.extend(numbers)
    for folder in (MADE, TAGGED): (root/folder).mkdir(parents=True, exist_ok=True)
    for file, text in files.items(): write(root/file, text.encode())
    for folder in (MADE, TAGGED):
        for path in (root/folder).rglob("*.md"):
            if path.relative_to(root) not in files: path.unlink()
    return made
