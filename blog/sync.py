"Build in a folder of its own, and bring the site that is there up to date with what was built."
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

LAST = "pagefind/notes/pagefind-entry.json" # removed first, written last: where it is, a site is whole
MEMORY = Path("/dev/shm") # where Linux keeps files in memory


def workplace(
    root:Path, # the repository
) -> tempfile.TemporaryDirectory:
    "Give a folder to build in: in memory, where many files are made quicker, if there is room; else in _run."
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2e9
    folder = MEMORY if roomy else root/"_run"/"blog"
    for rest in folder.glob("mark1-site-*"): # of a build that was killed
        if time.time() - rest.stat().st_mtime > 3600:
            shutil.rmtree(rest, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix="mark1-site-", dir=folder)


def files_of(
    folder:Path,
) -> set[str]: # names below it
    "List all files in a folder and its folders."
    return {f"{place}/{name}"[len(str(folder)) + 1:] for place, _, names in os.walk(folder) for name in names}


def is_same(
    one:str, other:str, # paths; the second is there
) -> bool:
    "Say whether two files hold the same, and the first is there at all."
    with suppress(OSError): # no Path: there are thousands
        if os.stat(one).st_size != os.stat(other).st_size: return False
        with open(one, "rb", 0) as first, open(other, "rb", 0) as second:
            return first.read() == second.read()
    return False


def compare(
    site:Path, # that was there
    built:Path, # the new one, without indexes of the search
) -> tuple[set[str], set[str], set[str], bool]: # files; those changed; those gone; whether the old is whole
    "Say what differs between two sites, the indexes of the search aside."
    pages = files_of(built)
    changed = {name for name in pages if not is_same(f"{site}/{name}", f"{built}/{name}")}
    gone = {name for name in files_of(site) - pages if not name.startswith("pagefind/")}
    return pages, changed, gone, (site/LAST).exists()


def bring_up_to_date(
    site:Path,
    built:Path, # what it is to be like
    changed:set[str], # of `compare`
    keep:str|None, # what its files begin with that stay, though they were not built
):
    "Write the files that differ, each whole or not at all; remove those not wanted, and folders left empty."
    wanted, there = files_of(built), files_of(site)
    indexes = (name for name in wanted if name.startswith("pagefind/"))
    changed = changed | {name for name in indexes if not is_same(f"{site}/{name}", f"{built}/{name}")}
    (site/LAST).unlink(missing_ok=True)
    for name in sorted(changed | {LAST}, key=LAST.__eq__):
        path = site/name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".new-{path.name}")
        shutil.copyfile(built/name, fresh)
        fresh.replace(path)
    for name in there - wanted:
        if keep and name.startswith(keep): continue
        (site/name).unlink(missing_ok=True)
        with suppress(OSError):
            os.removedirs((site/name).parent) # those that are empty now
