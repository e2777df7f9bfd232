"""Make pages of notes as people write them: `DATE.md` or `DATE/index.md`, front matter in TOML, YAML or none.

A page has as many lines as its note, so that what Hugo says of a line is true of the note. What is understood
is used; what is not is named with its line. Nothing is left out without a word.
"""
import json
import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from front import ENDINGS, date_of_name, name_of, read_front, understood
from leftovers import CONTROL, checked_body, hidden
from markup import as_hugo_reads, spans, with_spans
from origins import unsourced
from pages import write

NOTES, MADE, TAGGED = Path("lesson_notes"), Path("_run/blog/notes"), Path("_run/blog/tags") # below the root
KEPT = Path("_run/blog/notes.json")
RULES = "front.py", "leftovers.py", "markup.py", "notes.py", "origins.py", "results.py" # a page rests on
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$|^ {0,3}(\S.*)\n {0,3}(?:=+|-+)[ \t]*$",
                     re.MULTILINE)
MARKS = re.compile(r"\{\{[<%].*?[>%]\}\}|\*+|!?\[([^\]]*)\]\([^)]*\)") # Markdown in a heading
OTHER_ENDINGS = ".mdx", ".mkd", ".mdown", ".rst", ".org", ".adoc" # of texts that are no notes here
SIGNS = {"+": " plus", "#": " sharp", "&": " and ", "%": " percent", ".": " dot ", "@": " at ", "*": " star "}


class Page(NamedTuple):
    "Hold what is made of a note."
    front: dict # front matter, but for what other notes have a say in
    body: str # Markdown as Hugo reads it
    skipped: int # lines of the note before the body
    faults: list[tuple[int, str]] # line and sentence; the note cannot be shown
    remarks: list[tuple[int, str]] # the same; it can


def find_notes(
    root:Path, # the repository
    endings:tuple[str, ...]=ENDINGS,
) -> list[Path]: # below `NOTES`
    "List the notes, in folders too; what begins with a dot is none."
    folder = root/NOTES
    paths = (Path(place, name).relative_to(folder) for place, _, names in os.walk(folder) for name in names
             if name.lower().endswith(endings)) # quicker than `rglob`, as most files are pictures
    found = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(found, key=lambda path: (len(path.parts), path))


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
    unread = find_notes(root, OTHER_ENDINGS)
    said = "it is not read, for its name does not end with .md or .markdown"
    made = Made({}, [f"{NOTES}/{path.as_posix()}: {said}" for path in unread], [])
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
