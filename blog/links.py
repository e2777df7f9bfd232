"Follow the links inside the built site."
import re
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

MAIN = re.compile(r'<main [^>]*data-source="([^"]+)') # the file that a page was made of
LINK = re.compile(r'<a\b[^>]*?\shref="?([^"\s>]*)')
ID = re.compile(r'\sid="?([^"\s>]+)')


def where(
    source:Path, # the file that a page was made of
    text:str, # to be found in it
    root:Path, # the repository
) -> str: # 'file:line', or 'file' for a notebook
    "Give the place of a text in a source."
    name = source.relative_to(root)
    if source.suffix != ".md" or not source.exists(): return str(name)
    lines = source.read_text(encoding="utf-8").splitlines()
    return next((f"{name}:{number}" for number, line in enumerate(lines, 1) if text in line), str(name))


def names_in(
    page:Path,
) -> set[str]: # of elements
    "List what a link may lead to on a page; nothing on what is no page."
    if page.suffix != ".html" or not page.exists(): return set()
    return set(ID.findall(page.read_text(encoding="utf-8")))


def target_of(
    link:str, # as it stands on the page
    page:Path, # of the site
    site:Path, # built
    base:str, # its address
) -> tuple[Path, str]|None: # a file, there or not, and a name on it or ''; None outside the site
    "Say where a link leads."
    prefix = urlsplit(base).path
    address = link.removeprefix(base.removesuffix(prefix)) if link.startswith(base) else link
    url = urlsplit(unescape(address))
    if url.scheme or url.netloc: return None
    if not url.path: target = page
    elif not url.path.startswith(prefix): target = site/"outside"
    else: target = site/unquote(url.path.removeprefix(prefix))
    if target.is_dir(): target /= "index.html"
    return target, unquote(url.fragment)


def complaint(
    link:str, # that is dead
    target:Path, # of `target_of`
    fragment:str, # of `target_of`
    page:Path, # that it stands on
    site:Path, # built
    root:Path, # the repository
) -> str:
    "Say that a link is dead, and where it stands."
    source = MAIN.search(page.read_text(encoding="utf-8"))
    sought = f"#{fragment}" if fragment else Path(urlsplit(link).path).name
    place = where(root/source[1], sought, root) if source else page.relative_to(site)
    lacks = f"; that page has no {fragment!r}" if target.is_file() else ""
    return f"{place}: the link {link} leads nowhere{lacks}"


def dead_links(
    site:Path, # built
    base:str, # its address
    root:Path, # the repository
    names:set[str], # files of the site, of which the pages are looked at
) -> list[str]: # a sentence each
    "Find links inside the site that lead to no page, or to no place on it."
    ids = cache(names_in)
    found = []
    alive = set() # links that lead somewhere from any page
    for page in (site/name for name in sorted(names) if name.endswith(".html")):
        for link in set(LINK.findall(page.read_text(encoding="utf-8"))) - alive:
            place = target_of(link, page, site, base)
            if not place: continue
            target, fragment = place
            if not target.is_file() or (fragment and fragment not in ids(target)):
                found.append(complaint(link, target, fragment, page, site, root))
            elif not link.startswith(("#", "?")): alive.add(link)
    return sorted(found)
