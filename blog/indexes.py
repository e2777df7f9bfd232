"The two indexes of the search, each made by Pagefind: of the notes, which change often, and of all else."
import json
import subprocess
from importlib.metadata import version
from pathlib import Path

from programs import binary

INDEXES = { # folder, and where the pages lie that it is made of; the search page reads all of them as one
    "pagefind/notes": ("notes",),
    "pagefind/course": ("chapters", "glossary", "library", "start"),
}


def index_for_search(
    site:Path, # built
    folder:str, # one of `INDEXES`
) -> subprocess.Popen:
    "Start Pagefind on the pages of one index; the search page reads all of them as one."
    pages = f"{{{','.join(INDEXES[folder])}}}/**/*.html"
    command = [binary("pagefind_bin/pagefind"), "--quiet", "--site", str(site), "--glob", pages,
               "--output-subdir", folder]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def indexing_faults(
    indexing:list[subprocess.Popen], # of `index_for_search`
) -> list[str]: # a sentence each
    "Wait for Pagefind, and say where it failed."
    said = {process: process.communicate()[0].strip() for process in indexing}
    failed = [text for process, text in said.items() if process.returncode]
    return [f"the search index could not be made: {text}" for text in failed]


def is_indexed(
    site:Path, # that was there
    folder:str, # one of `INDEXES`
    differing:set[str], # files of the site that are new, changed or gone
) -> bool:
    "Say whether the index that is there is that of today's pages, made by today's Pagefind."
    try: made_by = json.loads((site/folder/"pagefind-entry.json").read_text())["version"]
    except (OSError, ValueError, KeyError): return False
    differs = any(name.split("/")[0] in INDEXES[folder] for name in differing)
    return made_by == version("pagefind_bin") and not differs
