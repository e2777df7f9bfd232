"""Turn notebooks into pages for Hugo: prose stays Markdown, code and outputs become data, pictures files.

One page a notebook and one a module of the library, under _run/blog/content. What is made of a notebook is
kept until the notebook, the library or a file of this folder changes; a file is written only where it
differs. So neither the next build nor the server with live reload does again what is done.
"""
import json
import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from cells import cell_record, read_nb
from glossary import Term, link_terms, read_terms, with_anchors
from mark1.workshop.notebook import WINGS, Chapter, find_chapters, is_imports, place_of, wing_of
from markup import as_hugo_reads, spans
from quoted import lines_shown, linked, no_results, said_of
from reference import module_entries

PAGES, KEPT_PAGES = Path("_run/blog/content"), Path("_run/blog/pages.json") # below the repository
BADGE = re.compile(r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\) ?") # a linked picture of another host
WARNING = re.compile(r"/ipykernel_\d+/\S*: (\w*Warning)") # which names a file that is gone
PLAIN = re.compile(r'<span class="(?:n|p|o|w|nb|bp|err)">([^<]*)</span>') # to which site.css gives no colour
TITLE = re.compile(r"# (.+?)\n+> (.+)\n*|# (.+)\n*") # and the sentence below it
PICTURE = re.compile(r"(!\[[^\]]*\]\()(?:<([^>]*)>|([^)\s]+))") # what it shows, and where it lies
SHOWN = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"} # by browsers
START = {"title": "What Mark 1 is", # of the page of nbs/index.ipynb
         "description": "How to start, what it takes, the commands, and what is where",
         "answers": "install set up requirements Windows Mac Linux Colab Binder laptop"} # a search for these

Starts = list[tuple[int, int]] # line of a page, and number of the cell, where each part of it begins
Origins = dict[str, tuple[str, Starts]] # page, below the repository, to its notebook and its starts


def chapter_at(
    path:Path, # a notebook
    library:Path, # folder of the modules
) -> Chapter: # its notebook as execnb reads it, which is quick
    "Read a notebook as a chapter. `ValueError` where it is none."
    try:
        notebook = read_nb(path)
        for cell in notebook.cells: cell.source, cell.cell_type
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"nbs/{place_of(path)}: it is no notebook ({error}); save it once more") from error
    return Chapter(path, notebook, library)


def checked_record(
    cell:dict, # a code cell
    number:int, # its place in the notebook, from 0
    chapter:Chapter, # that it stands in
    files:dict[str, bytes], # takes its pictures
) -> dict|None: # of `cell_record`
    "Note what the page needs of a cell. `ValueError` for one that shows a warning or exports no Python."
    place = f"nbs/{chapter.place}, cell {number + 1}"
    try: record = cell_record(cell, number, files)
    except SyntaxError as error:
        raise ValueError(f"{place}: it is exported and is no Python: {error.msg}") from error
    warned = record and WARNING.search("\n".join(output.get("text", "") for output in record["outputs"]))
    if warned:
        raise ValueError(f"{place}: it shows a {warned[1]} with the name of a temporary file; "
                         f"mend what it warns of, and run `make refresh CHAPTERS={chapter.name}`")
    return record


def picture_at(
    where:str, # in the brackets of a picture
    cell:dict, # of Markdown
    place:str, # of the cell, for messages
    folder:Path, # of the notebook
) -> tuple[str, bytes]: # ending and content
    "Find a picture that is pasted into a cell, or lies beside its notebook. `ValueError` where it does not."
    name = unquote(where.removeprefix("attachment:"))
    ending = Path(name).suffix.lower()
    if where.startswith("attachment:"):
        pasted = cell.get("attachments", {}).get(name, {})
        if not pasted:
            raise ValueError(f"{place}: the picture {name} is not pasted into this cell; paste it once more")
        kind, content = next(iter(pasted.items()))
        return "." + kind.partition("/")[2].partition("+")[0], b64decode(content)
    if ending not in SHOWN:
        raise ValueError(f"{place}: browsers cannot show {name}; save it as JPEG or PNG")
    try: return ending, (folder/name).read_bytes()
    except OSError:
        raise ValueError(f"{place}: there is no picture {name}; put it beside the notebook") from None


def with_pictures(
    cell:dict, # of Markdown
    number:int, # its place in the notebook, from 0
    chapter:Chapter,
    files:dict[str, bytes], # takes the pictures
) -> str: # Markdown
    "Name the pictures in a cell's text as the page has them. `ValueError` for one that is missing."
    if "![" not in cell.source: return cell.source # as most cells
    code = [span for span in spans(cell.source) if span.kind in ("block", "code")]
    def moved(found):
        if any(span.start <= found.start() < span.end for span in code): return found[0]
        where = found[2] or found[3]
        if re.match(r"(?!attachment:)[a-z]+:|//|#", where): return found[0] # of another host: Hugo says so
        place = f"nbs/{chapter.place}, cell {number + 1}"
        ending, content = picture_at(where, cell, place, chapter.path.parent)
        name = f"picture-{number}-{sha256(content).hexdigest()[:8]}{ending}"
        files[name] = content
        return f"{found[1]}{name}"
    return PICTURE.sub(moved, cell.source)


def is_prose(
    cell:dict,
) -> bool: # not so for the cell `elsewhere`, since the page has such links of its own
    "Say whether the Markdown of a cell is shown."
    return cell.cell_type == "markdown" and cell.get("id") != "elsewhere"


def parts_of(
    chapter:Chapter,
    begin:int, # where the prose of the first cell begins, after the title
    files:dict[str, bytes], # takes the pictures
    prose:Callable=lambda texts: texts, # what is done to the texts of the Markdown cells, in their order
) -> tuple[list[tuple[int, str]], list[dict]]: # cell, from 1, and Markdown; records it calls for
    "Give the parts of a page, in the order of the cells."
    parts, records = [], []
    written = [with_pictures(cell, number, chapter, files)[0 if number else begin:]
               for number, cell in enumerate(chapter.notebook.cells) if is_prose(cell)]
    texts = map(as_hugo_reads, prose(written))
    for number, cell in enumerate(chapter.notebook.cells):
        text = next(texts) if is_prose(cell) else ""
        if cell.cell_type == "code" and (record := checked_record(cell, number, chapter, files)):
            markdown = [output["markdown"] for output in record["outputs"] if "markdown" in output]
            before = chapter.notebook.cells[number - 1].source
            follows = parts and parts[-1][0] == number and is_imports(before)
            if follows and not record["outputs"] and is_imports(cell.source):
                records[-1]["code"] += f"\n\n{record['code']}" # one fold for both
                parts[-1] = number + 1, parts[-1][1]
            elif markdown: text = "\n\n".join(markdown) # prose that a cell has written
            else:
                text = f"{{{{< cell {len(records)} >}}}}"
                records.append(record)
        text = BADGE.sub("", text).strip()
        if text: parts.append((number + 1, text))
    return parts, records


def place_in_the_book(
    path:Path, # a notebook
) -> dict[str, str]: # front matter
    "Say where a chapter stands: its file, the heading of its wing, its number, '' in the other wings."
    wing = wing_of(path)
    number = path.stem[:2] if wing == "lesson" else ""
    return {"source": f"nbs/{place_of(path)}", "wing": WINGS[wing], "number": number}


def chapter_page(
    chapter:Chapter,
    prose:Callable=lambda texts: texts, # as for `parts_of`
) -> tuple[dict, str, dict[str, bytes], Starts]: # front matter, Markdown, pictures; lines of the Markdown
    "Turn a notebook into the parts of a page. `ValueError` where it has no title or shows a warning."
    cells = chapter.notebook.cells
    title = TITLE.match(cells[0].source if cells else "")
    if not title:
        raise ValueError(f"nbs/{chapter.place}: it does not begin with a title, '# …'; "
                         "write one into its first cell")
    files = {}
    starts = []
    line = 1
    parts, records = parts_of(chapter, title.end(), files, prose)
    for number, text in parts:
        starts.append((line, number))
        line += text.count("\n") + 2
    front = {
        "title": (title[1] or title[3]).strip(),
        "description": as_hugo_reads((title[2] or "").strip()),
        **place_in_the_book(chapter.path),
        "module": chapter.module,
        "data": chapter.data_form,
        "seconds": chapter.stored.get("seconds", 0),
        "cells": records,
        "stale": bool(chapter.stored) and chapter.has_changed}
    return front, "\n\n".join(text for _, text in parts), files, starts


def write(
    path:Path,
    content:bytes,
):
    "Write a file unless it holds just that already."
    if path.exists() and path.read_bytes() == content: return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def page_text(
    front:dict, # front matter
    body:str="", # Markdown
) -> bytes:
    "Write a page as Hugo reads it, its front matter in JSON."
    return (json.dumps(front, indent=1, ensure_ascii=False) + "\n\n" + body + "\n").encode()


def colour(
    records:list[dict], # of `cell_record`
):
    "Colour the code of cells: once, as pages are kept; Hugo would do it in each build."
    from pygments import highlight  # here, for most builds change no chapter, and do not need it
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    lexer = PythonLexer()
    spans = HtmlFormatter(nowrap=True)
    for record in records:
        if record["code"]:
            record["code"] = PLAIN.sub(r"\1", highlight(record["code"], lexer, spans)).strip("\n")


def module_page(
    chapter:Chapter,
    weight:int, # its place in lists
) -> bytes|None: # None where it exports nothing public
    "Make the page of a module."
    entries = module_entries(chapter.notebook)
    names = ", ".join(entry["name"] for entry in entries)
    if entries: return page_text({
        "title": f"mark1.{chapter.module}", "weight": weight, "entries": entries, "chapter": chapter.name,
        **place_in_the_book(chapter.path),
        "description": f"Functions, classes and constants of mark1.{chapter.module}: {names}"})


def terms_of(
    folder:Path, # of the notebooks
) -> list[Term]: # none where the glossary is missing or at fault, which its own page says
    "Read the terms of the glossary."
    with suppress(OSError, ValueError, KeyError, AttributeError):
        cells = read_nb(folder/"glossary.ipynb").cells
        return read_terms("\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    return []


def with_terms(
    place:str, # of a page, below `PAGES`
    path:Path, # its notebook
    texts:list[str], # of its Markdown cells
    terms:list[Term],
) -> list[str]: # of the same length
    "Link the terms in a chapter's prose to the glossary, and give the glossary its anchors."
    if place == "glossary": return [with_anchors(text) for text in texts]
    if not place.startswith("chapters/"): return texts
    up = "../"*place_of(path).count("/")
    return link_terms(texts, terms, f"{up}glossary.ipynb", "" if wing_of(path) == "lesson" else wing_of(path))


def pages_of(
    place:str, # of its page, below `PAGES`
    path:Path, # a notebook
    weight:int, # its place in lists
    library:Path, # folder of the modules
    terms:list[Term],
) -> tuple[dict[str, bytes], Starts]: # files, below `PAGES`; lines counted in the file
    "Make the page of a notebook, and that of the module it exports."
    chapter = chapter_at(path, library)
    front, body, files, starts = chapter_page(chapter, lambda texts: with_terms(place, path, texts, terms))
    colour(front["cells"])
    if place == "start": front |= START
    text = page_text({**front, "weight": weight}, body)
    before = text[:text.index(b"\n}\n") + 3].count(b"\n") + 1 # lines of front matter
    files = {f"{place}/{name}": content for name, content in (files | {"index.md": text}).items()}
    if place.startswith("chapters/"): files[f"{place}/{path.name}"] = path.read_bytes() # to be downloaded
    page = module_page(chapter, weight) if chapter.module else None
    if page: files[f"library/{chapter.module}/index.md"] = page
    return files, [(line + before, cell) for line, cell in starts]


def write_fault(
    page:Path, # of a notebook
    path:Path, # the notebook
    fault:str, # a sentence
):
    "Have a page stop Hugo, which says and shows the fault; what it held stays, for notes that embed it."
    body = ""
    front = {"title": path.stem, "description": "", **place_in_the_book(path)}
    front |= {"module": "", "data": "none", "cells": []}
    with suppress(OSError):
        text = page.read_text(encoding="utf-8")
        front, end = json.JSONDecoder().raw_decode(text)
        body = text[end:].strip()
    write(page, page_text(front | {"fault": fault}, body))


def notebooks_of(
    folder:Path, # of the notebooks
) -> dict[str, Path]: # place of a page, below `PAGES`, to its notebook
    "List the notebooks that become pages, in the order of the lists."
    notebooks = {f"chapters/{path.stem}": path for path in find_chapters(folder)}
    notebooks |= {"glossary": folder/"glossary.ipynb", "start": folder/"index.ipynb"}
    return {place: path for place, path in notebooks.items() if path.exists()}


def moments(
    names:list[str], # of files
) -> dict[str, int]:
    "Say when files were last changed; 0 for one that is gone."
    return {name: Path(name).stat().st_mtime_ns if Path(name).exists() else 0 for name in names}


def unshown(
    path:Path, # a notebook
    page:dict, # what is kept of it
) -> dict: # for the page
    "Say which results in a notebook's words no output shows; kept until it or one linked there changes."
    if "unshown" in page and moments(page["leads to"]) == page["leads to"]: return {}
    others = [str(each) for each in linked(path.resolve(), path.read_text(encoding="utf-8"))]
    return {"unshown": said_of(path), "leads to": moments(others)}


def make_pages(
    root:Path, # the repository
    settings:dict[str, str], # of settings.ini
) -> tuple[Origins, list[str], list[str]]: # a sentence for each notebook at fault; for each result not shown
    "Write a page for every notebook and every module, and remove those whose notebook is gone."
    for read in (lines_shown, no_results): read.cache_clear() # which was before a file changed
    library = root/settings["lib_path"]
    folder = root/PAGES
    makers = [*sorted(Path(__file__).parent.glob("*.py")), *sorted(library.rglob("*.py"))]
    makers.append(Path(__file__).with_name("no_results.toml"))
    terms = terms_of(root/"nbs")
    pictures = [(str(path), path.stat().st_mtime_ns) for path in sorted((root/"nbs").rglob("*"))
                if path.suffix.lower() in SHOWN]
    rules = b"".join(path.read_bytes() for path in makers) + repr((terms, pictures)).encode()
    kept, pages, origins = {}, {}, {}
    faults = []
    with suppress(OSError, ValueError):
        kept = json.loads((root/KEPT_PAGES).read_bytes())
    for weight, (place, path) in enumerate(notebooks_of(root/"nbs").items(), 1):
        page = kept.get(place, {})
        try:
            stamp = sha256(path.read_bytes() + rules + str(weight).encode()).hexdigest()
            if page.get("stamp") != stamp or not all((folder/name).exists() for name in page["files"]):
                files, starts = pages_of(place, path, weight, library, terms)
                for name, content in files.items(): write(folder/name, content)
                page = {"files": list(files), "starts": starts, "stamp": stamp}
            page |= unshown(path, page)
        except ValueError as error:
            faults.append(str(error))
            write_fault(folder/place/"index.md", path, faults[-1])
            page = {"files": [f"{place}/index.md"], "starts": [], **page, "stamp": "", "unshown": []}
        pages[place] = page
        origins[str(PAGES/place/"index.md")] = f"nbs/{place_of(path)}", page["starts"]
    files = {name for page in pages.values() for name in page["files"]}
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    write(root/KEPT_PAGES, json.dumps(pages).encode())
    return origins, faults, [sentence for page in pages.values() for sentence in page["unshown"]]
