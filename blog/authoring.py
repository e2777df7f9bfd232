"""Start a note, or bring in somebody's blog.

    python blog/authoring.py note [TITLE]      start today's note, with its folder (make note TITLE="…")
    python blog/authoring.py import FOLDER     copy a blog's Markdown and pictures (make import FOLDER=…)

What is brought in is copied, so the blog stays as it was. Each note is named with what was changed and what
needs a hand; what is no note, and no note names, is listed at the end.
"""
import json
import os
import re
import shutil
import sys
from datetime import date
from filecmp import cmp
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from front import ENDINGS, name_of, read_front
from mark1.workshop.environment import until_unread
from mark1.workshop.notebook import repository
from markup import spans
from notes import NOTES, find_notes, read_note
from origins import unsourced

NO_NOTES = {"readme", "license", "licence", "changelog", "contributing", "_index"}
STATIC = "", "static", "assets", "public", "source", "content" # where engines keep what / leads to
LINK = re.compile(r"""
    (?P<picture>!?)\[(?P<text>(?:[^\[\]]|\\.|\[[^\[\]]*\])*)\]
    \(\s*(?P<target><[^<>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)
    (?P<title>\s+(?:"[^"]*"|'[^']*'))?\s*\)""", re.VERBOSE)
TAG = re.compile(r"<(?P<name>img|/?(?:b|strong|i|em|a))\b(?P<rest>[^<>]*)>", re.IGNORECASE)
FIGURE = re.compile(r"\{\{[<%]\s*figure\s(?P<rest>[^>]*?)/?[>%]\}\}")
FENCE = re.compile(r"\{% *highlight +(\S+)[^%]*%\}[ \t]*\n(.*?)\n?\{% *endhighlight *%\}", re.DOTALL)
MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*"}


def start_note(
    root:Path, # the repository
    title:str, # '' for the day
    day:date,
) -> Path: # of the note, below the root
    "Begin a note and make the folder for its pictures. `ValueError` where it is there already."
    slug = re.sub(r"[\W_]+", "-", title.lower()).strip("-")
    names = [str(day), *([f"{day}-{slug}"] if slug else [])]
    taken = {name_of(path) for path in find_notes(root)}
    name = next((name for name in names if name not in taken), None)
    if not name:
        raise ValueError(f"{NOTES}/{names[-1]}.md is there already; go on in it, or give another TITLE")
    path = NOTES/f"{name}.md"
    (root/NOTES/name).mkdir(parents=True, exist_ok=True)
    shown = json.dumps(title or str(day), ensure_ascii=False)
    (root/path).write_text(f"+++\ntitle={shown}\ndate={day}\ntags=[]\n+++\n\n", encoding="utf-8")
    return path


def attributes(
    text:str, # of a tag or a shortcode
) -> dict[str, str]:
    "Read what a tag says of itself."
    found = {}
    reader = HTMLParser()
    reader.handle_starttag = lambda _, pairs: found.update({name: value or "" for name, value in pairs})
    reader.feed(f"<x {text.strip().rstrip('/')}>")
    return found


class Bringing:
    "Bring one note of a blog in."

    def __init__(self,
        root:Path, # the repository
        folder:Path, # of the blog
        path:Path, # of the note
        names:dict[Path, str], # of all notes of the blog
    ):
        self.root = root
        self.folder = folder
        self.path = path
        self.names = names
        self.name = names[path]
        self.changed = []
        self.copied = {} # file of the blog to its name beside the note

    def read(self) -> str:
        "Read the note; what is no UTF-8 is taken for the Windows encoding."
        content = self.path.read_bytes()
        try: return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.changed.append("written in UTF-8; it was read as Windows-1252")
            return content.decode("cp1252", "replace")

    def found(self,
        target:str, # of a link
    ) -> Path|None: # a file of the blog
        "Find the file that a link leads to."
        place = unquote(urlsplit(target).path)
        if not place or urlsplit(target).scheme or urlsplit(target).netloc: return None
        folders = [self.path.parent]
        if place.startswith("/"):
            above = [self.folder, *self.folder.parents[:2]]
            folders = [each/part for each in above for part in STATIC]
        paths = [each/place.lstrip("/") for each in folders]
        return next((path.resolve() for path in paths if path.is_file()), None)

    def beside(self,
        file:Path, # of the blog
    ) -> str: # how the note writes it
        "Copy a file into the folder of the note; another one of the same name gets a number."
        if file not in self.copied:
            folder = self.root/NOTES/self.name
            folder.mkdir(parents=True, exist_ok=True)
            number, name = 1, file.name
            while (folder/name).exists() and not cmp(file, folder/name, shallow=False):
                number += 1
                name = f"{file.stem}-{number}{file.suffix}"
            shutil.copyfile(file, folder/name)
            self.copied[file] = name
            self.changed.append(f"{file.name} copied to {NOTES}/{self.name}/{name}")
        return quote(f"{self.name}/{self.copied[file]}", safe="/()&+,;=@~!'")

    def link(self,
        match:re.Match, # of `LINK`
    ) -> str:
        "Write a link to a file of the blog as it is called here."
        text = LINK.sub(self.link, match["text"]) # a picture may stand in a link
        target = match["target"].strip("<>")
        file = self.found(target)
        part = f"#{urlsplit(target).fragment}" if urlsplit(target).fragment else ""
        if file in self.names: target = quote(f"{self.names[file]}.md") + part
        elif file: target = self.beside(file) + part
        else: target = match["target"]
        return f"{match['picture']}[{text}]({target}{match['title'] or ''})"

    def picture(self,
        match:re.Match, # of `TAG` or `FIGURE`
    ) -> str:
        "Write a picture as Markdown."
        said = attributes(match["rest"])
        title = said.get("caption") or said.get("title", "")
        alt = said.get("alt") or ""
        self.changed.append(f"{' '.join(match[0].split())} written as Markdown")
        shown = f' "{title}"'.replace("\\", "") if title else ""
        return f"![{alt}](<{said.get('src', '')}>{shown})"

    def tag(self,
        match:re.Match, # of `TAG`
    ) -> str:
        "Write a tag as Markdown."
        name = match["name"].lower()
        if name == "img": return self.picture(match)
        if name == "a":
            self.target = attributes(match["rest"]).get("href", "")
            return "["
        if name == "/a": return f"](<{getattr(self, 'target', '')}>)"
        return MARKS[name.strip("/")]

    def bring(self) -> list[str]: # what needs a hand
        "Write the note here, as Markdown that is understood here."
        text = self.read().replace("\r\n", "\n")
        try: skipped = read_front(text)[1]
        except ValueError: skipped = 0
        head = "".join(line + "\n" for line in text.split("\n", skipped)[:skipped])
        body = text[len(head):]
        fenced = FENCE.sub(lambda match: f"```{match[1]}\n{match[2]}\n```", body)
        if fenced != body: self.changed.append("{% highlight %} written as a fence of code")
        parts, at = [], 0
        for kind, start, end in spans(fenced):
            if kind not in ("block", "code", "shortcode"): continue
            piece = fenced[start:end]
            if kind == "shortcode": piece = FIGURE.sub(self.picture, piece)
            parts += [TAG.sub(self.tag, fenced[at:start]), piece]
            at = end
        parts.append(TAG.sub(self.tag, fenced[at:]))
        body = self.with_links("".join(parts))
        place = NOTES/f"{self.name}.md"
        (self.root/place).write_text(head + body, encoding="utf-8")
        return self.by_hand(head + body, place)

    def with_links(self,
        body:str,
    ) -> str:
        "Write the links outside of code as they lead from here."
        parts, at = [], 0
        for kind, start, end in spans(body):
            if kind not in ("block", "code"): continue
            parts += [LINK.sub(self.link, body[at:start]), body[start:end]]
            at = end
        return "".join([*parts, LINK.sub(self.link, body[at:])])

    def by_hand(self,
        text:str, # of the note, as it is here
        place:Path, # of it, below the root
    ) -> list[str]: # a sentence each
        "Say what the author has to look at."
        others = {name: f"{name}.md" for name in self.names.values()}
        page = read_note(text.encode(), place.relative_to(NOTES), others)
        said = [f"{place}:{line}: {sentence}" for line, sentence in page.faults + page.remarks]
        line = lambda match: page.skipped + 1 + page.body.count("\n", 0, match.start())
        for match in LINK.finditer(page.body):
            target = match["target"].strip("<>")
            url = urlsplit(target)
            file = unquote(url.path)
            here = f"{place}:{line(match)}:"
            if match["picture"] and not match["text"]:
                said.append(f"{here} the picture {target} has no text for those who do not see it")
            if match["picture"] and url.scheme:
                said.append(f"{here} the picture {target} lies elsewhere; put a copy beside the note")
            elif not url.scheme and file and not (file in others.values() or (self.root/NOTES/file).exists()):
                said.append(f"{here} {target} leads to no file of the blog")
        return said + unsourced(text, str(place))


def import_blog(
    root:Path, # the repository
    folder:Path, # of the blog
) -> list[str]: # lines to say
    "Copy the notes of a blog, and all that they name. `ValueError` where there are none."
    folder = folder.resolve()
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the one that the blog lies in")
    files = sorted(path for path in folder.rglob("*") if path.is_file()
                   and not any(part.startswith(".") for part in path.relative_to(folder).parts))
    notes = [path for path in files if path.suffix.lower() in ENDINGS and path.stem.lower() not in NO_NOTES]
    if not notes:
        raise ValueError(f"{folder} holds no Markdown, which ends with .md or .markdown; give another")
    taken = {name_of(path) for path in find_notes(root)}
    names = {}
    for path in notes:
        name = base = name_of(path.relative_to(folder))
        number = 1
        while name in names.values():
            number += 1
            name = f"{base}-{number}"
        names[path] = name
    lines, used = [], set(notes)
    for path, name in names.items():
        if name in taken:
            lines.append(f"{path.relative_to(folder)} is not copied, since a note {name} is here already; "
                         "rename one of them")
            continue
        note = Bringing(root, folder, path, names)
        hand = note.bring()
        used |= set(note.copied)
        lines.append(f"{path.relative_to(folder)} is now {NOTES}/{name}.md")
        lines += [f"  changed: {each}" for each in note.changed] + [f"  by hand: {each}" for each in hand]
    unused = [path.relative_to(folder) for path in files if path not in used]
    return lines + [f"not copied, as no note names it: {path}" for path in unused]


@until_unread()
def main(
    words:list[str]|None=None, # of the command line; those that were typed if not given
) -> int: # exit code
    "Start a note or bring in a blog."
    command, *rest = (sys.argv[1:] if words is None else words) or [""]
    given = " ".join(rest) or os.environ.get("MARK1_GIVEN", "") # by make, which a shell would read once more
    try:
        root = repository()
        if command == "note":
            path = start_note(root, " ".join(given.split()), date.today())
            print(f"{path} is begun; its pictures go into {path.with_suffix('')}/. `make blog` shows it.")
        elif command == "import" and given:
            for line in import_blog(root, Path(given).expanduser()): print(line)
        else:
            print(__doc__.strip())
            return 2
    except BrokenPipeError: raise
    except (ValueError, OSError) as error:
        print(f"mark1: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__": sys.exit(main())
