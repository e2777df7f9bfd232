"""Make the site of notes and chapters, or serve it while a note is written.

    python blog/build.py            build into _site/ (make site)
    python blog/build.py --serve    serve with live reload; a saved note is shown at once (make blog)
"""
import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from faults import complaints
from indexes import index_for_search, indexing_faults, is_indexed
from links import dead_links, names_in
from mark1.workshop.environment import until_unread
from mark1.workshop.notebook import repository, setting
from notes import find_notes, make_notes
from pages import make_pages
from programs import hugo
from serve import serve
from sync import bring_up_to_date, compare, workplace

SITE = Path("_site") # below the repository


SETTINGS = "git_url", "branch", "description", "author", "version", "lib_path" # of settings.ini, read once


def base_url(
    git_url:str, # of the repository
) -> str:
    "Say where GitHub Pages shows the repository that settings.ini names."
    owner, name = urlsplit(git_url).path.strip("/").split("/")
    return f"https://{owner}.github.io/{name}/"


def make_site(
    root:Path, # the repository
    settings:dict[str, str], # of settings.ini
    base:str, # the site's address
    built:Path, # takes the site
) -> list[str]: # what is wrong
    "Make all pages, and say what was left out of notes."
    origins, faults, unshown = make_pages(root, settings)
    if faults: raise ValueError("\nmark1: ".join(faults))
    notes = make_notes(root)
    for remark in notes.remarks: print(f"mark1: {remark}", file=sys.stderr)
    process = hugo(root, settings, "--baseURL", base, "--destination", str(built), text=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = process.communicate()[0]
    wrong = complaints(log, root, origins | notes.origins) + notes.numbers + unshown
    return wrong or ([log.strip()] if process.returncode else [])


def links_to_follow(
    site:Path, # that was there
    built:Path, # the new one
    pages:set[str], # of the new one
    changed:set[str], # of them
    anew:bool, # no site was there, or some page of it is gone
) -> set[str]: # pages
    "Find the pages whose links may be dead: in a site that is whole all were alive, so it takes a change."
    lost = (names_in(site/name) - names_in(built/name) for name in changed)
    return pages if anew or any(lost) else changed


def build(
    root:Path, # the repository
    settings:dict[str, str], # of settings.ini
    base:str, # the site's address
) -> list[str]: # what is wrong; then nothing was built
    "Build the site with its search index; the site that was there stays until the new one is found good."
    with workplace(root) as place:
        site, built = root/SITE, Path(place)
        if wrong := make_site(root, settings, base, built): return wrong
        indexing = [index_for_search(built, "pagefind/notes")]
        pages, changed, gone, whole = compare(site, built)
        keeps = whole and is_indexed(site, "pagefind/course", changed | gone)
        if not keeps: indexing.append(index_for_search(built, "pagefind/course"))
        follow = links_to_follow(site, built, pages, changed, anew=not whole or bool(gone))
        wrong = dead_links(built, base, root, follow) + indexing_faults(indexing)
        if not wrong:
            bring_up_to_date(site, built, changed, "pagefind/course/" if keeps else None)
    return wrong


def summary(
    root:Path, # the repository
) -> str:
    "Say what the site holds; notes left out are counted."
    count = lambda folder: sum(1 for _ in (root/SITE/folder).glob("*/index.html"))
    some = lambda number, thing: f"{number} {thing}{'' if number == 1 else 's'}"
    left_out = len(find_notes(root)) - count("notes")
    notes = some(count("notes"), "note") + (f" ({some(left_out, 'draft')} left out)" if left_out else "")
    return f"{notes}, {some(count('chapters'), 'chapter')}, {some(count('library'), 'module')} in {SITE}/"


@until_unread()
def main(
    words:list[str]|None=None, # of the command line; those that were typed if not given
) -> int: # exit code
    "Build or serve the site."
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--base", help="address that the site will have (default: that of GitHub Pages, from settings.ini)")
    parser.add_argument("--serve", action="store_true", help="serve with live reload instead")
    parser.add_argument(
        "--port", type=int, default=1313,
        help="where to serve; a free one is taken where it is in use (default: 1313)")
    args = parser.parse_args(words)
    try:
        root = repository()
        settings = {name: setting(name) for name in SETTINGS}
        if args.serve: return serve(root, settings, args.port)
        if args.base and not re.match("https?://[^/]", args.base):
            raise ValueError(f"--base is {args.base!r}; it must begin with https:// or http://")
        base = (args.base or base_url(settings["git_url"])).removesuffix("/") + "/"
        start = time.monotonic()
        wrong = build(root, settings, base)
    except KeyboardInterrupt: return 130
    except BrokenPipeError: raise
    except (ValueError, OSError) as error:
        print(f"mark1: {error}", file=sys.stderr)
        return 2
    for sentence in wrong: print(f"mark1: {sentence}", file=sys.stderr)
    if wrong: return 1
    print(f"{summary(root)} after {time.monotonic() - start:.1f} s, for {base}")
    return 0


if __name__ == "__main__": sys.exit(main())
