"""Make the site of notes and chapters, or serve it while a note is written.

    python blog/build.py            build into _site/ (make site)
    python blog/build.py --serve    serve with live reload; a saved note is shown at once (make blog)
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from faults import complaints, front_matter_fault
from indexes import index_for_search, is_indexed
from mark1.chapters import repository, setting
from origins import unsourced as unsourced_numbers
from pages import make_pages
from programs import hugo
from serve import serve

SITE = Path("_site") # below the repository
LAST = "pagefind/notes/pagefind-entry.json" # is removed before any other file is touched, and written after all: where it is, the site is whole
MEMORY = Path("/dev/shm") # where Linux keeps files in memory
MAIN = re.compile(r'<main [^>]*data-source="?([^" >]+)')
LINK = re.compile(r'<a\b[^>]*?\shref="?([^"\s>]*)')
ID = re.compile(r'\sid="?([^"\s>]+)')


def base_url(
) -> str:
    "Where GitHub Pages shows the repository that settings.ini names."
    owner, name = urlsplit(setting("git_url")).path.strip("/").split("/")
    return f"https://{owner}.github.io/{name}/"


def where(
    source:Path, # the file that a page was made of
    text:str, # to be found in it
    root:Path, # the repository
) -> str: # 'file:line', or 'file' for a notebook
    "The place of a text in a source."
    name = source.relative_to(root)
    if source.suffix != ".md" or not source.exists(): return str(name)
    lines = source.read_text(encoding="utf-8").splitlines()
    return next((f"{name}:{number}" for number, line in enumerate(lines, 1) if text in line), str(name))


def names_in(
    page:Path,
) -> set[str]: # of elements
    "What a link may lead to on a page; nothing on what is no page."
    return set(ID.findall(page.read_text(encoding="utf-8"))) if page.suffix == ".html" and page.exists() else set()


def dead_links(
    site:Path, # built
    base:str, # its address
    root:Path, # the repository
    names:set[str], # files of the site, of which the pages are looked at
) -> list[str]: # a sentence each
    "Links inside the site that lead to no page, or to no place on it."
    ids, found, alive, prefix = {}, [], set(), urlsplit(base).path # alive: links that lead somewhere from any page

    def has(path, fragment):
        "Whether a page has an element of that name."
        if path not in ids: ids[path] = names_in(path)
        return fragment in ids[path]

    for name in sorted(names):
        if not name.endswith(".html"): continue
        page = site/name
        text = page.read_text(encoding="utf-8")
        for link in set(LINK.findall(text)) - alive:
            address = link.removeprefix(base.removesuffix(prefix)) if link.startswith(base) else link
            url = urlsplit(address.replace("&amp;", "&"))
            if url.scheme or url.netloc: continue
            target, fragment = page, unquote(url.fragment)
            if url.path:
                if not url.path.startswith(prefix): target = site/"outside"
                else: target = site/unquote(url.path.removeprefix(prefix))
                if target.is_dir(): target /= "index.html"
            if target.is_file() and (not fragment or has(target, fragment)):
                if url.path: alive.add(link)
                continue
            source = MAIN.search(text)
            place = where(root/source[1], f"#{fragment}" if fragment else Path(url.path).name, root) if source else page.relative_to(site)
            found.append(f"{place}: the link {link} leads nowhere" + (f"; that page has no {fragment!r}" if target.is_file() else ""))
    return sorted(found)


def workplace(
    root:Path, # the repository
) -> tempfile.TemporaryDirectory:
    "A folder to build in: in memory where there is room, for thousands of files are made much quicker there, else below the repository."
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2e9
    folder = MEMORY if roomy else root/"_run"/"blog"
    for rest in folder.glob("mark1-site-*"): # of a build that was killed
        if time.time() - rest.stat().st_mtime > 3600: shutil.rmtree(rest, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix="mark1-site-", dir=folder)


def files_of(
    folder:Path,
) -> set[str]: # names below it
    "All files in a folder and its folders."
    return {f"{place}/{name}"[len(str(folder)) + 1:] for place, _, names in os.walk(folder) for name in names}


def is_same(
    one:str, other:str, # paths; the second is there
) -> bool:
    "Whether two files hold the same, and the first is there at all."
    with suppress(OSError): # no Path: there are thousands
        if os.stat(one).st_size != os.stat(other).st_size: return False
        with open(one, "rb", 0) as first, open(other, "rb", 0) as second: return first.read() == second.read()
    return False


def bring_up_to_date(
    folder:Path,
    built:Path, # what it is to be like
    wanted:set[str], # files in it
    changed:set[str], # those that differ
):
    "Write the files that differ, each of them whole or not at all; remove those that are not wanted, and folders left empty."
    (folder/LAST).unlink(missing_ok=True)
    for name in sorted(changed | {LAST}, key=LAST.__eq__):
        path = folder/name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".new-{path.name}")
        shutil.copyfile(built/name, fresh)
        fresh.replace(path)
    for name in files_of(folder) - wanted:
        (folder/name).unlink()
        with suppress(OSError): os.removedirs((folder/name).parent) # those that are empty now


def unsourced(
    root:Path, # the repository
    notes:dict[str, str], # name to text
) -> list[str]: # a sentence for each number without an origin
    "Look at the notes that have not been found sound before, by these very rules."
    kept, known = root/"_run"/"blog"/"sourced.json", set()
    with suppress(OSError, ValueError): known = set(json.loads(kept.read_text())) # else all are looked at
    rules = b"".join((root/name).read_bytes() for name in ("blog/origins.py", "settings.ini"))
    marks = {name: hashlib.sha256(rules + text.encode()).hexdigest() for name, text in notes.items()}
    said = {name: unsourced_numbers(text, name) for name, text in notes.items() if marks[name] not in known}
    kept.write_text(json.dumps([mark for name, mark in marks.items() if not said.get(name)]))
    return [sentence for sentences in said.values() for sentence in sentences]


def build(
    root:Path, # the repository
    base:str, # the site's address
) -> list[str]: # what is wrong; then nothing was built
    "Build the site with its search index; the site that was there stays as it is until the new one is found to be good."
    origins, faults = make_pages(root)
    if faults: raise ValueError("\nmark1: ".join(faults))
    notes = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted((root/"lesson_notes").glob("*.md"))}
    with workplace(root) as place:
        built = Path(place)
        process = hugo(root, "--baseURL", base, "--destination", place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        faults = {name: front_matter_fault(text) for name, text in notes.items()} # while Hugo works
        numbers = unsourced(root, notes)
        log = process.communicate()[0]
        wrong = [f"{name}:{fault[0]}: {fault[1]}" for name, fault in faults.items() if fault]
        if wrong: return wrong # Hugo says less of these
        wrong = complaints(log, root, origins) + numbers
        if process.returncode and not wrong: wrong = [log.strip()]
        if wrong: return wrong
        pages, site = files_of(built), root/SITE
        indexing = [index_for_search(built, "pagefind/notes")]
        there = files_of(site)
        changed = {name for name in pages if not is_same(f"{site}/{name}", f"{built}/{name}")}
        gone = {name for name in there - pages if not name.startswith("pagefind/")}
        whole = (site/LAST).exists()
        keeps = whole and is_indexed(site, "pagefind/course", changed | gone)
        if not keeps: indexing.append(index_for_search(built, "pagefind/course"))
        # the links of a site that is whole were found alive; pages that have not changed can have dead ones only where something is gone
        follow_all = not whole or gone or any(names_in(site/name) - names_in(built/name) for name in changed)
        wrong = dead_links(built, base, root, pages if follow_all else changed)
        for process in indexing:
            said = process.communicate()[0]
            if process.returncode: wrong.append(f"the search index could not be made: {said.strip()}")
        if wrong: return wrong
        fresh = {f"pagefind/{name}" for name in files_of(built/"pagefind")}
        changed |= {name for name in fresh if not is_same(f"{site}/{name}", f"{built}/{name}")}
        wanted = pages | fresh | {name for name in there if keeps and name.startswith("pagefind/course/")}
        bring_up_to_date(site, built, wanted, changed)
    return []


def summary(
    root:Path, # the repository
) -> str:
    "What the site holds; notes left out are counted."
    count = lambda folder: sum(1 for _ in (root/SITE/folder).glob("*/index.html"))
    some = lambda number, thing: f"{number} {thing}{'' if number == 1 else 's'}"
    left_out = sum(1 for _ in (root/"lesson_notes").glob("*.md")) - count("notes")
    notes = some(count("notes"), "note") + (f" ({some(left_out, 'draft')} left out)" if left_out else "")
    return f"{notes}, {some(count('chapters'), 'chapter')}, {some(count('library'), 'module')} in {SITE}/"


def main(
    words:list[str]|None=None, # of the command line; those that were typed if not given
) -> int: # exit code
    "Build or serve the site."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="address that the site will have (default: that of GitHub Pages, from settings.ini)")
    parser.add_argument("--serve", action="store_true", help="serve with live reload instead")
    parser.add_argument("--port", type=int, default=1313, help="where to serve; a free one is taken where it is in use (default: 1313)")
    args = parser.parse_args(words)
    try:
        root = repository()
        if args.serve: return serve(root, args.port)
        if args.base and not re.match("https?://[^/]", args.base): raise ValueError(f"--base is {args.base!r}; it must begin with https:// or http://")
        base = (args.base or base_url()).removesuffix("/") + "/"
        start = time.monotonic()
        wrong = build(root, base)
    except KeyboardInterrupt: return 130
    except (ValueError, OSError) as error:
        print(f"mark1: {error}", file=sys.stderr)
        return 2
    for sentence in wrong: print(f"mark1: {sentence}", file=sys.stderr)
    if wrong: return 1
    print(f"{summary(root)} after {time.monotonic() - start:.1f} s, for {base}")
    return 0


if __name__ == "__main__": sys.exit(main())
