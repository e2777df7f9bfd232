"""The site, built under a sub-path: its links, pictures, feed and HTML.

A real browser shows how it looks, reads and is used.

Takes long: begins first.
"""
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from functools import cache, partial
from http.server import ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace
from unicodedata import normalize
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import feedparser
import nbformat
import numpy as np
import pytest
from lxml import etree, html
from mark1.playground import as_picture, description, replay
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from playwright.sync_api import expect
from pypdf import PdfReader

from conftest import CHROMIUM, PATIENCE, ROOT, Quiet, copy_tracked, reached_by_tab, typed

TOOLS = ROOT/"_run"/"tools"/"node_modules"
expect.set_options(timeout=PATIENCE*1000)
WIDE = "x" * 200
FORMULA = (
    r"\underbrace{a_A(\theta_A)}_{\text{after A}} - \underbrace{a_A(\theta_{AB})}_{\text{after A, then B}}"
    r" + \sum_{i=1}^{n} \sum_{j=1}^{m} \sum_{k=1}^{l}"
    r" \left\lVert w_{ijk} - \widehat{w}_{ijk} \right\rVert^2 \geq 0"
)
REMARK = "# a line of code that is a good deal longer than a telephone is wide"
NOTE = r"""+++
title="Everything a note can hold"
date=2022-01-03
tags=["trials", "two words"]
+++

A quagga opens this note, which holds whatever a note may hold. The true error was
{{< embed "04_validation.ipynb#num-spread" "true error […]" >}}, and
$\mathcal{L}(\theta) = -\frac{1}{n}\sum_i \log p_i$ costs between $5 and $6 ([list](https://example.org/)).
It links to a [chapter's heading](../nbs/04_validation.ipynb#summary), a
[cell of it](../nbs/04_validation.ipynb#fig-flippers), the [glossary](../nbs/glossary.ipynb), the
[start](../nbs/index.ipynb), [another note](2021-12-19.md), [a module](../mark1/validation.py)
and [a file](../Makefile).[^aside]

## A figure, a table, a number

{{< embed "04_validation.ipynb#fig-spread" >}}

{{< embed "data/sets.ipynb#tbl-manifest" >}}

{{< embed "05_time_index.ipynb#num-cut" >}}

{{< embed "97_everything.ipynb#fig-drawn" >}}

The same number once more: {{< embed "04_validation.ipynb#num-spread" "true error […]" >}}.

## Pictures

![A grey square, standing alone](2022-01-03/square.png "What a caption says")

![The machine](2022-01-03/machine.jpg "A picture of the cabinet")

{% end %}

### Formulas, code and a table

$$FORMULA$$

```python
learn = vision_learner(dls, resnet18, metrics=error_rate) REMARK
```

    four spaces make code, too

| model | wrong | a heading that is long | another that is long |
|---|--:|---|---|
| forest | few | `a_name_that_cannot_be_broken` | `another_name_that_cannot_be_broken` |

> A word that no line can hold: WIDE

[^aside]: A footnote, with `code` in it.
""".replace("WIDE", WIDE).replace("FORMULA", FORMULA).replace("REMARK", REMARK)
DRAWN = '<svg xmlns="http://www.w3.org/2000/svg" width="48pt" height="36pt" viewBox="0 0 48 36">' \
        '<rect width="48" height="36" fill="#777"/></svg>'


def chapter():
    """Make a chapter whose cells show what few chapters do.

    A drawing in SVG, a progress table with styles of its own, very long lines.
    """
    def shows(**data):
        kinds = {kind.replace("_", "/", 1): value for kind, value in data.items()}
        return new_output("display_data", data=kinds)
    table = (
        '<style>td { color: red }</style><table border="1" style="color: red">'
        '<thead><tr><th></th><th>epoch</th></tr></thead>'
        f'<tbody><tr><th>0</th><td style="width: 900px">{WIDE}</td></tr></tbody></table>'
    )
    cells = [
        new_markdown_cell("# Everything\n\n> A chapter with one of each, made for a test"),
        new_markdown_cell("## One of each"),
        new_code_cell(
            "#| label: fig-drawn\n"
            "#| fig-cap: A drawing with $x^2$ in it.\n"
            "#| fig-alt: A grey rectangle that stands for nothing.\n"
            "draw()",
            outputs=[shows(**{"image_svg+xml": DRAWN})],
        ),
        new_code_cell(
            "#| label: tbl-wide\n"
            "#| code-fold: true\n"
            "#| code-summary: How it is made\n"
            "wide()",
            outputs=[shows(text_html=table)],
        ),
        new_code_cell(
            f"print('{WIDE}')",
            outputs=[new_output("stream", name="stdout", text=f"\x1b[31m{WIDE}\x1b[0m\n")],
        ),
        new_code_cell(
            "#| label: tbl-fold\n"
            "#| code-fold: show\n"
            "numbers()",
            outputs=[shows(text_plain="1 2 3")],
        ),
    ]
    return new_notebook(cells=cells)


class Compressed(Quiet):
    "Serve as GitHub Pages does: what is text is compressed, where the browser takes it."
    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.is_dir() and self.path.endswith("/"): path /= "index.html"
        kind = self.guess_type(path)
        is_text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
        if not (is_text and path.is_file() and "gzip" in self.headers.get("Accept-Encoding", "")):
            return super().do_GET()
        content = gzip.compress(path.read_bytes())
        self.send_response(200)
        for name, value in {"Type": kind, "Encoding": "gzip", "Length": str(len(content))}.items():
            self.send_header(f"Content-{name}", value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site of a copy of the repository that has one more note and chapter.

    It is served under a sub-path of the loopback address.
    """
    root, web = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("web")
    copy_tracked(root)
    (root/"lesson_notes"/"2022-01-03.md").write_text(NOTE, encoding="utf-8")
    (root/"lesson_notes"/"2022-01-03").mkdir()
    Image.new("RGB", (400, 300), "grey").save(root/"lesson_notes"/"2022-01-03"/"square.png")
    lost = root/"lesson_notes"/"2022-01-03"/"lost.toml"
    lost.write_text('"machine.jpg" = "A cabinet as tall as a man, full of wires."\n')
    nbformat.write(chapter(), root/"nbs"/"97_everything.ipynb")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressed, directory=web))
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/some/sub/path/"
    command = [sys.executable, "blog/build.py", "--base", base]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if built.returncode:
        pytest.fail(f"the site could not be built:\n{built.stderr}", pytrace=False)
    folder = root/"_site"
    (web/"some"/"sub").mkdir(parents=True)
    (web/"some"/"sub"/"path").symlink_to(folder)
    name_of = lambda path: str(path.relative_to(folder)).removesuffix("index.html")
    files = {name_of(path): path for path in folder.rglob("*.html")}
    names = sorted(files)
    tree = lambda name: html.parse(str(files[name]), html.HTMLParser(encoding="utf-8")).getroot()
    yield SimpleNamespace(
        base=base,
        folder=folder,
        names=names,
        notes=sorted(path.stem for path in (root/"lesson_notes").glob("*.md")),
        pages={base + name: tree(name) for name in names},
    )
    server.shutdown()
    server.server_close()


KINDS = {
    "home": "",
    "list of notes": "notes/",
    "note": "notes/2022-01-03/",
    "list of chapters": "chapters/",
    "chapter": "chapters/04_validation/",
    "toy chapter": "chapters/97_everything/",
    "list of modules": "library/",
    "module": "library/validation/",
    "glossary": "glossary/",
    "list of tags": "tags/",
    "tag": "tags/two-words/",
    "search": "search/",
    "start": "start/",
    "missing": "404.html",
}
PLAYGROUNDS = "", "chapters/14_playground/" # pages that hold it
every_kind = pytest.mark.parametrize("name", KINDS.values(), ids=KINDS.keys())


def test_the_kinds_of_page_are_all_there_are(site):
    kind = lambda name: re.sub(r"^(notes|chapters|library|tags)/.+", r"\1/…", name)
    assert {kind(name) for name in site.names} == {kind(name) for name in KINDS.values()}
    assert set(KINDS.values()) <= set(site.names)


# --- the built files


def dead(pages, base, folder):
    """List links, pictures, scripts and styles of pages (address to tree) that lead nowhere.

    They lead to no file of the site, or to no place on it.
    """
    found = []
    places = cache(lambda file: set(html.parse(str(file)).xpath("//@id")))
    for address, tree in pages.items():
        for target in set(tree.xpath("//@href | //@src")):
            url, fragment = urldefrag(urljoin(address, target))
            if not url.startswith(base):
                if urlsplit(url).netloc == urlsplit(base).netloc:
                    found.append(f"{address}: {target} leads out of the site")
                continue
            file = folder/unquote(url.removeprefix(base))
            if url.endswith("/"): file /= "index.html"
            if not file.is_file(): found.append(f"{address}: {target} is no file")
            elif fragment and unquote(fragment) not in places(file):
                found.append(f"{address}: {target} is no place")
    return found


def test_every_link_and_fragment_leads_somewhere(site):
    assert dead(site.pages, site.base, site.folder) == []


def test_a_dead_link_is_noticed(tmp_path):
    (tmp_path/"index.html").write_text(
        '<a href="a/#there"></a><a href="a/#gone"></a><a href="b/"></a><img src="c.png">'
        '<a href="/x"></a><a href="#here" id="here"></a>'
    )
    (tmp_path/"a").mkdir()
    (tmp_path/"a"/"index.html").write_text('<p id="there">')
    base = "http://127.0.0.1:1/some/"
    found = dead({base: html.parse(str(tmp_path/"index.html"))}, base, tmp_path)
    assert sorted(line.split()[1] for line in found) == ["/x", "a/#gone", "b/", "c.png"]


def poor_pictures(pages, base, folder):
    "List pictures without text or whose size is not the one of their file."
    found = []
    for address, tree in pages.items():
        for picture in tree.iter("img"):
            file = folder/unquote(urljoin(address, picture.get("src")).removeprefix(base))
            text = picture.get("alt", "")
            said = picture.get("width"), picture.get("height")
            if len(text) < 10: found.append(f"{file.name}: no text")
            if not file.is_file() or not all(side and side.isdigit() for side in said):
                found.append(f"{file.name}: no file or no size")
            elif file.suffix != ".svg" and tuple(map(int, said)) != Image.open(file).size:
                found.append(f"{file.name}: another size")
    return found


def test_every_picture_has_text_and_its_size(site):
    assert poor_pictures(site.pages, site.base, site.folder) == []
    assert sum(1 for tree in site.pages.values() for _ in tree.iter("img")) >= 20


def test_a_poor_picture_is_noticed(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path/"a.png")
    page = (
        '<img src="a.png" alt="text that is long" width="4" height="3">'
        '<img src="a.png" alt="" width="3" height="3">'
        '<img src="b.png" alt="text that is long">'
    )
    assert len(poor_pictures({"http://h/": html.document_fromstring(page)}, "http://h/", tmp_path)) == 3


def words(element):
    return " ".join(element.text_content().split())


def test_the_feed_is_valid_and_holds_the_full_text(site):
    text = (site.folder/"feed.xml").read_bytes()
    feed = feedparser.parse(text, sanitize_html=False, resolve_relative_uris=False)
    assert not feed.bozo and feed.version == "atom10"
    atom = "{http://www.w3.org/2005/Atom}"
    tree = etree.fromstring(text)
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
    for parent in (tree, *tree.iter(f"{atom}entry")):
        for name in ("id", "title", "updated"):
            assert len(parent.findall(atom + name)) == 1 and parent.findtext(atom + name), name
        assert re.fullmatch(moment, parent.findtext(f"{atom}updated"))
    assert tree.findtext(f"{atom}author/{atom}name")
    own = [link.get("href") for link in tree.findall(f"{atom}link") if link.get("rel") == "self"]
    assert own == [site.base + "feed.xml"]
    notes = sorted(site.notes, reverse=True)[:20]
    assert [entry.id for entry in feed.entries] == [f"{site.base}notes/{note}/" for note in notes]
    for entry in feed.entries:
        content = html.fragment_fromstring(entry.content[0].value, create_parent="div")
        page, = site.pages[entry.link].find_class("text")
        assert words(content) == words(page)
        assert all(urlsplit(target).scheme for target in content.xpath(".//@href | .//@src"))
        assert dead({entry.link: content}, site.base, site.folder) == []


def test_a_table_of_a_note_keeps_its_alignment(site):
    tables = site.pages[site.base + "notes/2022-01-03/"].iter("table")
    table, = [table for table in tables if "forest" in table.text_content()]
    classes = [[cell.get("class") for cell in row] for row in table.iter("tr")]
    assert classes == [[None, "right", None, None]]*2
    heads = [head for tree in site.pages.values() for head in tree.iter("thead")]
    assert not [head for head in heads if not head.text_content().strip()]


def test_the_lists_lead_to_every_chapter_and_all_that_a_module_defines(site):
    def leads(name):
        targets = site.pages[site.base + name].xpath("//main//@href")
        return {urljoin(site.base + name, target) for target in targets}
    pages = {kind: {address for address in site.pages if re.search(f"/{kind}/.", address)}
             for kind in ("chapters", "library")}
    lesson = {address for address in pages["chapters"] if re.search(r"/\d\d_", address)}
    assert pages["chapters"] <= leads("chapters/") and lesson <= leads("") and len(lesson) >= 20
    defined = {f"{address}#{heading}" for address in pages["library"]
               for heading in site.pages[address].xpath("//main//h2/@id")}
    assert pages["library"] | defined <= leads("library/") and len(defined) > 100


def test_the_home_page_is_a_door(site):
    "One sentence on what this is, two ways in, the machine; then the lesson's chapters, then the notes."
    page = site.pages[site.base]
    lead = page.find_class("lead")[0].text_content()
    assert "lesson 1 of the fastai course" in lead and lead.count(".") == 1 and lead.endswith(".")
    ways = [(link.text, link.get("href")) for link in page.find_class("ways")[0].iter("a")]
    path = urlsplit(site.base).path
    assert ways == [("Read chapter 01", f"{path}chapters/01_first_model/"), ("Run it", f"{path}start/#start")]
    assert page.xpath("//main//figure/@data-recording | //main//h2/text()") == [
        f"{path}chapters/14_playground/fig-machine.json", "Chapters", "Latest notes"]
    assert page.xpath("//main//h3/text()") == ["The lesson"]


def test_a_note_stands_in_lists_by_its_topic_with_the_date_beside_it(site):
    entries = {words(entry.find("p/a")): [words(time) for time in entry.iter("time")]
               for entry in site.pages[site.base + "notes/"].find_class("entries")[0]}
    assert entries["Everything a note can hold"] == ["3 January 2022"]
    assert entries["Sounds and mouse traces, drawn as pictures"] == ["28 November 2026"]
    assert entries["Lesson 1: train a model first, then ask how good it is"] == ["19 December 2021"]
    assert not [name for name, dates in entries.items() if len(dates) != 1]


def test_each_page_has_a_card_and_a_way_to_report_a_mistake(site):
    for address, tree in site.pages.items():
        card = {each.get("property"): each.get("content") for each in tree.xpath("//meta[@property]")}
        description = tree.xpath("string(//meta[@name='description']/@content)")
        assert card["og:description"] == description
        assert tree.findtext(".//title").startswith(card["og:title"])
        assert card["og:url"] == address and card["og:image"] == site.base + "card.png"
        report, = tree.xpath("//footer//a[contains(@href, '/issues/new?template=mistake.md&title=')]/@href")
        source = tree.xpath("string(//main/@data-source)") or urlsplit(address).path
        assert unquote(report.replace("+", " ")).endswith(f"A mistake in {source}")
    assert Image.open(site.folder/"card.png").size == (1200, 630)


CHAPTER = re.compile(r"chapters/\d\d_[^/]+/$") # of the lesson


def test_a_chapter_can_be_downloaded_and_cited_and_says_how_long_it_takes(site):
    for name in filter(CHAPTER.search, site.names):
        tree = site.pages[site.base + name]
        notebook, = tree.xpath("//a[@download]/@href")
        file = site.folder/notebook.removeprefix(urlsplit(site.base).path)
        assert file.read_bytes() == (site.folder.parent/"nbs"/file.name).read_bytes()
        cite = tree.find_class("cite")[0].text_content()
        assert f'url = "{site.base}{name}"' in cite and tree.findtext(".//h1") in cite
        minutes = re.search(r"(\d+) min to read", tree.find_class("head")[0].text_content())
        assert 1 <= int(minutes[1]) <= 40


def test_a_chapter_stands_beside_its_course(site):
    chapters = [name for name in site.names if CHAPTER.search(name)]
    for name in chapters:
        links = site.pages[site.base + name].xpath("//nav[@aria-label='The lesson']//a")
        path = urlsplit(site.base).path
        assert sorted(link.get("href") for link in links) == [path + each for each in chapters]
        assert [link.get("href") for link in links if link.get("aria-current")] == [path + name]
    other = site.pages[site.base + "chapters/doctor/"].xpath("//nav[@aria-label='The workshop']//a")
    assert len(other) >= 5


def loose(tree):
    "List what would run or style without a file of the site: inline scripts, styles and handlers."
    inline = [*tree.iter("style"), *(script for script in tree.iter("script") if not script.get("src"))]
    names = [name for element in tree.iter() for name in element.attrib]
    return [
        *(element.tag for element in inline),
        *(name for name in names if name == "style" or name.startswith("on")),
        *(target for target in tree.xpath("//@href") if target.startswith("javascript:")),
    ]


def test_no_page_has_inline_script_or_style_and_each_has_a_policy(site):
    for address, tree in site.pages.items():
        assert loose(tree) == [], address
        policy, = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'" and "unsafe-inline" not in policy and "http" not in policy
    planted = '<style></style><p style="" onclick=""><script></script><a href="javascript:1">'
    found = loose(html.document_fromstring(planted))
    assert found == ["style", "script", "style", "onclick", "javascript:1"]


def skipped_levels(tree):
    "List headings that are more than one level below the one before."
    levels = [int(heading.tag[1]) for heading in tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    return [(before, after) for before, after in zip([0, *levels], levels) if after > before + 1]


def test_headings_go_down_one_level_at_a_time(site):
    for address, tree in site.pages.items():
        assert skipped_levels(tree) == [] and len(list(tree.iter("h1"))) == 1, address
        assert tree.xpath("//main//h1"), address
    assert skipped_levels(html.document_fromstring("<h1>a</h1><h3>b</h3><h2>c</h2><h3>d</h3>")) == [(1, 3)]


def test_each_page_says_what_it_is(site):
    titles = {address: tree.findtext(".//title") for address, tree in site.pages.items()}
    description = "string(//meta[@name='description']/@content)"
    descriptions = {address: tree.xpath(description) for address, tree in site.pages.items()}
    for said in (titles, descriptions):
        values = list(said.values())
        poor = lambda value: values.count(value) > 1 or len(value) < 6
        assert {address: value for address, value in said.items() if poor(value)} == {}
    for address, tree in site.pages.items():
        assert tree.get("lang") == "en" and tree.xpath("//link[@rel='canonical']/@href") == [address]
        assert not re.search(r"[`*$]|\]\(", descriptions[address]), f"{address}: {descriptions[address]}"


def tool(name):
    if not (TOOLS/name).exists():
        pytest.skip(f"there is no {name}; call `make browser`, which installs it where there is npm")
    return TOOLS/name


def test_the_html_is_valid(site):
    checker = tool("vnu-jar")/"build"/"dist"/"vnu.jar"
    if not shutil.which("java"):
        pytest.skip("there is no Java to check the HTML with; "
                    "install it (sudo apt install default-jre-headless)")
    bad = site.folder.parent/"bad.html"
    bad.write_text("<!doctype html><html lang=en><title>x</title><p><div id=a></div></p><b id=a></b>")
    files = [bad, *site.folder.rglob("*.html"), *site.folder.glob("*.css"), *site.folder.glob("*.svg")]
    # it runs for seconds: half of them went into compiling it well
    quick = "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"
    options = "--errors-only", "--format", "json", "--also-check-css", "--also-check-svg"
    command = ["java", "-Xss2m", *quick, "-jar", str(checker), *options, *map(str, files)]
    checked = subprocess.run(command, capture_output=True, text=True)
    name_of = lambda error: Path(error["url"]).relative_to(f"file:{site.folder.parent}")
    errors = [(name_of(error), error.get("lastLine"), error["message"])
              for error in json.loads(checked.stderr)["messages"]]
    planted = [error for error in errors if str(error[0]) == "bad.html"]
    assert len(planted) >= 2 and [error for error in errors if error not in planted] == []


# --- the pages in a browser


@pytest.fixture
def visit(browser, site):
    "Open a page of the site in a fresh context, as its options say."
    contexts = []
    def open_page(name="", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE*1000)
        page = context.new_page()
        page.goto(site.base + name)
        return page
    yield open_page
    for context in contexts: context.close()


OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


PLAYS = "!document.querySelector('[data-recording] img')" # a page without a playground, or where it has begun


def until(page, expression):
    "Wait until an expression holds; Playwright's own waiting evaluates text, which the pages forbid."
    end = time.monotonic() + PATIENCE
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not in {PATIENCE} s: {expression}"
        page.wait_for_timeout(25)


def look(page, address, act=OPEN_ALL):
    "Open a page, act on it, and say what the browser complained of, what it asked for, and the page's width."
    errors, asked = [], []
    def hear(message):
        if message.type in ("error", "warning"): errors.append(message.text)
    listeners = {
        "console": hear,
        "pageerror": lambda error: errors.append(str(error)),
        "request": lambda request: asked.append(request.url),
    }
    for event, listener in listeners.items(): page.on(event, listener)
    page.goto(address)
    page.evaluate(act)
    page.evaluate(SETTLED)
    for event, listener in listeners.items(): page.remove_listener(event, listener)
    width = page.evaluate("document.documentElement.scrollWidth")
    return SimpleNamespace(errors=errors, asked=asked, width=width)


@pytest.fixture(scope="module")
def looks(browser, site):
    "Look at every page once, on a narrow telephone with all that folds open."
    context = browser.new_context(viewport={"width": 320, "height": 700})
    context.set_default_timeout(PATIENCE*1000)
    page = context.new_page()
    yield {address: look(page, address) for address in site.pages}
    context.close()


def test_no_page_complains_or_asks_another_host(looks, site):
    assert {address: seen.errors for address, seen in looks.items() if seen.errors} == {}
    assert [url for seen in looks.values() for url in seen.asked if not url.startswith(site.base)] == []
    assert all(len(seen.asked) >= 4 for seen in looks.values()) # page, style, script, font


def weight(files):
    "Give the bytes that files take on the way; what is text is compressed, as GitHub Pages does."
    packed = lambda path: path.suffix in (".woff2", ".png", ".jpg", ".webp")
    return sum(len(path.read_bytes() if packed(path) else gzip.compress(path.read_bytes())) for path in files)


def at_first_sight(site, name):
    "List the files that a page takes when it is opened: itself, style, scripts, fonts, its first picture."
    tree = site.pages[site.base + name]
    taken = tree.xpath("//link[@rel='stylesheet' or @rel='preload']/@href | //script/@src")
    taken += tree.xpath("//main//img/@src")[:1] + tree.xpath("//@data-recording")
    files = [site.folder/each.removeprefix(urlsplit(site.base).path) for each in taken]
    files.append(site.folder/"fonts/source-serif-4-latin-wght-italic.woff2")
    if list(tree.iter("math")): files.append(site.folder/"fonts/stix-two-math.woff2")
    return [site.folder/name/"index.html", *files]


def test_no_chapter_is_heavy_at_first_sight(site, visit):
    chapters = list(filter(CHAPTER.search, site.names))
    heavy = {name: weight(at_first_sight(site, name)) for name in chapters}
    assert {name: size for name, size in heavy.items() if size > 250_000} == {}
    name = max(heavy, key=heavy.get)
    page = visit(name) # the browser takes nothing beside that
    asked = page.evaluate("performance.getEntriesByType('resource').map(each => new URL(each.name).pathname)")
    path = urlsplit(site.base).path
    expected = {f"{path}{file.relative_to(site.folder)}" for file in at_first_sight(site, name)}
    assert {each for each in asked if not each.endswith("mark1.svg")} <= expected
    assert heavy[name] + 141_000 > 250_000 # the control: with the whole font for formulas


COLUMNS = """count => { const code = document.querySelector("pre.chroma code")
    code.textContent = "x".repeat(count)
    return code.parentElement.scrollWidth > code.parentElement.clientWidth }"""
EDGES = """() => [document.querySelector("pre.chroma"), document.querySelector("main")]
    .map(each => Math.round(each.getBoundingClientRect().right))"""


@pytest.mark.parametrize("width", [1200, 1280, 1920])
def test_code_of_110_columns_fits_and_is_never_cut_beside_empty_space(visit, width):
    page = visit("chapters/04_validation/", viewport={"width": width, "height": 900})
    assert not page.evaluate(COLUMNS, 110) and page.evaluate(COLUMNS, 130)
    nav = page.get_by_role("navigation", name="The lesson")
    assert nav.get_by_role("link", name="05 Time series").is_visible()
    page.set_viewport_size({"width": 900, "height": 900})
    code, whole = page.evaluate(EDGES)
    assert code == whole and not nav.get_by_role("link", name="05 Time series").is_visible()
    page.get_by_text("The lesson", exact=True).click()
    assert nav.get_by_role("link", name="05 Time series").is_visible()


def test_a_button_copies_code(visit):
    page = visit("chapters/04_validation/", permissions=["clipboard-read", "clipboard-write"])
    code = page.locator(".highlight:visible").first
    assert code.locator("button").evaluate("each => getComputedStyle(each).opacity") == "0"
    code.hover()
    for act in (lambda button: button.click(), lambda button: button.press("Enter")):
        expect(code.get_by_role("button")).to_have_text("Copy") # again
        page.evaluate("navigator.clipboard.writeText('')")
        act(code.get_by_role("button"))
        expect(code.get_by_role("button")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == code.locator("code").inner_text()


@pytest.mark.parametrize("name", ["notes/2022-01-03/", "chapters/05_time_series/"])
def test_a_picture_is_enlarged_on_a_tap_and_by_keys(visit, site, name):
    page = visit(name, viewport={"width": 390, "height": 800}, has_touch=True)
    link = page.locator("a.enlarge").last
    link.scroll_into_view_if_needed()
    small = link.locator("img").bounding_box()["width"]
    link.tap()
    large = page.get_by_role("dialog", name="Picture, enlarged")
    assert large.locator("img").bounding_box()["width"] > 2*small
    assert large.locator("img").get_attribute("alt") == link.locator("img").get_attribute("alt")
    large.get_by_role("button", name="Close").tap()
    expect(large).to_be_hidden()
    link.press("Enter")
    expect(large).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    page = visit(name, java_script_enabled=False)
    page.locator("a.enlarge").first.click()
    page.wait_for_url(re.compile(r"\.(svg|png|jpg)$"))


def test_no_line_hides_the_underscores_of_a_link(visit):
    page = visit("chapters/05_time_series/")
    offset = """each => { const style = getComputedStyle(each)
        return parseFloat(style.textUnderlineOffset)/parseFloat(style.fontSize) }"""
    assert page.locator("main a:has(code:text('_'))").first.evaluate(offset) > .3
    assert page.locator("main a:not(:has(code))").first.evaluate(offset) < .2


def test_no_page_scrolls_sideways_on_a_narrow_telephone(looks):
    assert {address: seen.width for address, seen in looks.items() if seen.width != 320} == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_printed_is_never_cut_off(visit, width):
    printed = "[...document.querySelectorAll('.printed')]"
    cut = f"{printed}.filter(each => each.scrollWidth > each.clientWidth).length"
    page = visit("chapters/97_everything/", viewport={"width": width, "height": 800})
    assert page.locator(".printed").count() and page.evaluate(cut) == 0
    page.evaluate("document.querySelectorAll('.printed').forEach(each => each.style.whiteSpace = 'pre')")
    assert page.evaluate(cut)


def test_a_complaint_a_request_and_a_wide_page_are_noticed(visit, site):
    plant = """() => { document.querySelector("main").style.minWidth = "600px"
        document.querySelector("main").insertAdjacentHTML("beforeend", "<p style='color: red'>")
        new Image().src = "http://127.0.0.2:9/x.png"; setTimeout(() => { throw new Error("planted") }) }"""
    seen = look(visit(viewport={"width": 320, "height": 700}), site.base, plant)
    assert seen.width > 320 and len(seen.errors) >= 3 and any("planted" in error for error in seen.errors)


STATES = [(theme, width) for theme in ("light", "dark") for width in (390, 1280)]


@pytest.fixture(scope="module")
def judged(browser, site):
    """Give a page with axe in it, loaded anew for each address and shown in a theme and a width.

    Axe stores nothing, so one context does.
    """
    context = browser.new_context()
    script = (tool("axe-core")/"axe.min.js").read_text(encoding="utf-8")
    context.set_default_timeout(PATIENCE*1000)
    page = context.new_page()
    def show(name, *states):
        "Open a page with all that folds open, and yield it in each state."
        page.goto(site.base + name)
        until(page, PLAYS)
        page.evaluate(OPEN_ALL)
        page.evaluate(script)
        # axe measures no contrast above a gradient
        rule = "pre, .table, .formula { background-image: none !important }"
        page.evaluate(f"document.styleSheets[0].insertRule('{rule}')")
        for theme, width in states:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            yield page
    yield show
    context.close()


def violations(page, where=":root"):
    "Say what axe finds on a page, or in a part of it: rule, element and why."
    found = page.evaluate(f"axe.run('{where}', {{resultTypes: ['violations']}})")["violations"]
    each_node = [(each["id"], node) for each in found for node in each["nodes"]]
    return [(rule, node["html"][:160], node["failureSummary"]) for rule, node in each_node]


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state[0]}, {state[1]}")
@pytest.mark.parametrize("name", [KINDS["note"], KINDS["toy chapter"]], ids=["note", "chapter"])
def test_axe_finds_nothing_on_the_toys_in_both_themes_and_two_widths(judged, name, state):
    "The toys hold whatever a note and a chapter can hold."
    for page in judged(name, state): assert violations(page) == []


REAL = [kind for kind in KINDS if kind not in ("note", "toy chapter")]


@pytest.mark.parametrize("kind", REAL)
def test_axe_finds_nothing_on_any_other_kind_of_page(judged, site, kind):
    "Each in one state, and all states are seen; of the chapters and of the modules, the longest."
    name = KINDS[kind]
    state = STATES[REAL.index(kind) % len(STATES)]
    if kind in ("chapter", "module"):
        folder = name.split("/")[0] + "/"
        names = [each for each in site.names if each.startswith(folder) and each != folder]
        name = max(names, key=lambda each: len(etree.tostring(site.pages[site.base + each])))
    for page in judged(name, state): assert violations(page) == [], (name, state)


@pytest.mark.parametrize("name", PLAYGROUNDS)
def test_axe_finds_nothing_where_the_playground_is(judged, name):
    for page in judged(name, *STATES):
        assert page.get_by_role("button", name="Teach").count() == 1
        assert violations(page, "figure[data-recording]") == []


@pytest.mark.parametrize("theme, colour", [("light", "#ddd"), ("dark", "#333")])
def test_axe_notices_grey_on_grey(judged, theme, colour):
    for page in judged("tags/", (theme, 1280)):
        page.evaluate(f"document.querySelector('h1').style.color = '{colour}'")
        assert [rule for rule, *_ in violations(page)] == ["color-contrast"]


def marks(address):
    "Ask Lighthouse for the marks that it gives a page on a telephone, of 100."
    script = tool("lighthouse")/"cli"/"index.js"
    if not CHROMIUM or not shutil.which("node"):
        pytest.skip("there is no Chromium or no Node.js for Lighthouse; call `make browser`")
    command = ["node", script, address, "--quiet", "--output=json",
               "--chrome-flags=--headless=new --no-sandbox"]
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder: # Chromium leaves things there
        environment = {**os.environ, "CHROME_PATH": CHROMIUM, "TMPDIR": folder}
        said = typed(command, env=environment)
    assert said.returncode == 0, said.stderr
    return {kind: 100*each["score"] for kind, each in json.loads(said.stdout)["categories"].items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "chapters/04_validation/", "notes/2021-12-19/"])
def test_lighthouse_gives_98_of_100_on_a_telephone(site, name):
    "The median of three."
    rounds = [marks(site.base + name) for _ in range(3)]
    medians = {kind: statistics.median(each[kind] for each in rounds) for kind in rounds[0]}
    print(name or "home", medians)
    assert len(medians) == 4 and min(medians.values()) >= 98, rounds


@pytest.mark.slow
def test_lighthouse_notices_a_slow_page_without_a_title(serve, tmp_path):
    waits = "<script>while (performance.now() < 3000) {}</script>"
    (tmp_path/"index.html").write_text(f"<!doctype html><html><body>{waits}<img src=x><p>words")
    found = marks(serve(tmp_path))
    assert all(found[kind] < 98 for kind in ("performance", "accessibility", "seo")), found


# --- the playground


@pytest.fixture
def played(visit, site):
    """Open a page with the playground; give it, the figure and the recording.

    The browser must not complain, nor ask another host, whatever is done to the page.
    """
    wrong = []
    def open_page(name, **options):
        page = visit(name, **options)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith(site.base) or wrong.append(request.url))
        page.reload() # now with ears
        figure = page.locator("figure[data-recording]")
        figure.locator("svg").wait_for()
        figure.scroll_into_view_if_needed()
        recording = json.loads((site.folder/"chapters/14_playground/fig-machine.json").read_text())
        return page, figure, recording
    yield open_page
    assert wrong == []


def drawn(figure, row, first, last):
    "Draw a bar on the retina with the mouse; give the picture that it should be."
    cell = lambda column: {"x": scale*(14 + 12*(column + .5)), "y": scale*(102 + 12*(row + .5))}
    box = figure.locator("svg").bounding_box()
    scale = box["width"]/660
    mouse = figure.page.mouse
    begin, end = ([box[axis] + cell(column)[axis] for axis in "xy"] for column in (first, last))
    mouse.move(*begin)
    mouse.down()
    mouse.move(*end, steps=40)
    mouse.up()
    picture = np.zeros((20, 20), bool)
    picture[row, first:last + 1] = True
    return picture


@pytest.mark.parametrize("name, width", [(PLAYGROUNDS[0], 390), (PLAYGROUNDS[1], 1280)])
def test_the_site_draws_teaches_and_replays_as_the_library_does(played, name, width):
    "By mouse, from a recorded training alone; what the page says is what Python says of the same pictures."
    page, figure, recording = played(name, viewport={"width": width, "height": 900})
    said = figure.locator("[aria-live]")
    machine = replay(recording)
    assert said.inner_text() == description(machine, as_picture(recording["picture"], 20))
    figure.get_by_role("button", name="Clear").click()
    picture = drawn(figure, 9, 3, 16)
    assert said.inner_text() == description(machine, picture)
    figure.get_by_label("This is").select_option("B")
    figure.get_by_role("button", name="Teach").click()
    machine.teach(picture, "B")
    assert said.inner_text().endswith(description(machine, picture))
    count = len(recording["lessons"]) + 1
    assert figure.get_by_text(f"after {count} of {count} lessons").is_visible()
    figure.get_by_label("Lessons").fill(str(count - 2))
    figure.get_by_role("button", name="Replay").click()
    expect(figure.get_by_text(f"after {count} of {count} lessons")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("name", PLAYGROUNDS)
def test_the_playground_is_played_by_keys_alone_and_is_still_where_that_is_asked(played, name):
    page, figure, recording = played(name, reduced_motion="reduce")
    figure.locator("[role=application]").focus()
    for key in ("Delete", "Space", "ArrowRight", "Enter"): page.keyboard.press(key)
    picture = np.zeros((20, 20), bool)
    picture[10, 10:12] = True
    said = figure.locator("[aria-live]")
    assert said.inner_text() == description(replay(recording), picture)
    assert reached_by_tab(page, 6) == ["Show", "Clear", "This is", "Teach", "Replay", "Lessons"]
    page.keyboard.press("Home") # of the slider
    assert figure.get_by_text("before the first lesson").is_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    count = len(recording["lessons"])
    assert figure.get_by_text(f"after {count} of {count} lessons").is_visible() # at once


def test_the_playground_is_printed_without_what_is_touched(played):
    page, figure, recording = played(PLAYGROUNDS[0])
    page.emulate_media(media="print")
    assert how_many(page, "main :is(button, select, input, label)") == 0
    assert figure.locator("svg").is_visible() and figure.locator("[aria-live]").is_visible()


def test_the_drawing_stands_where_the_playground_cannot(visit, site):
    "Without JavaScript, and where the recording does not come."
    for options in ({"java_script_enabled": False}, {}):
        page = visit("start/", **options)
        page.route("**/*.json", lambda route: route.abort())
        page.goto(site.base)
        page.wait_for_load_state("networkidle")
        figure = page.locator("figure[data-recording]")
        assert figure.locator("img").is_visible() and figure.locator("button, svg").count() == 0
        assert "reads an E" in figure.inner_text()


FOCUS = """() => {
    const here = document.activeElement
    const box = here.getBoundingClientRect()
    const style = getComputedStyle(here)
    const inHeight = box.height > 0 && box.bottom > 0 && box.top < innerHeight
    const inWidth = box.width > 0 && box.right > 0 && box.left < innerWidth
    return {
        name: here.id || here.getAttribute("href") || here.tagName,
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: inHeight && inWidth,
        clear: parseFloat(style.opacity) === 1,
        order: [...document.querySelectorAll("*")].indexOf(here),
    }
}"""
VISIBLE = "each => each.checkVisibility()"


def how_many(page, selector, condition=VISIBLE):
    "Count the elements of a page for which a condition holds."
    return page.evaluate(f"[...document.querySelectorAll(`{selector}`)].filter({condition}).length")


@pytest.mark.parametrize("name", [
    "",
    "notes/2022-01-03/",
    "chapters/97_everything/",
    "library/validation/",
    "search/",
])
def test_all_is_reached_with_the_tab_key_and_its_focus_is_seen(visit, name):
    page = visit(name, reduced_motion="reduce")
    until(page, PLAYS)
    # to begin at the top
    page.evaluate("document.body.tabIndex = -1")
    page.evaluate("document.body.focus()")
    page.evaluate("document.body.removeAttribute('tabindex')")
    stops = how_many(page, 'a[href], button, input, select, summary, [tabindex="0"]')
    seen = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUS))
    assert [stop["name"] for stop in seen if not (stop["ring"] and stop["seen"] and stop["clear"])] == []
    order = [stop["order"] for stop in seen]
    assert len(set(order)) == stops and order == sorted(order)


def test_the_skip_link_the_theme_and_the_search_work_by_keyboard(visit, site):
    page = visit("notes/2022-01-03/")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)["name"] == "#the-text"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "the-text"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUS)["name"] == "theme-switch"
    page.keyboard.press("Space")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") is None
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(site.base + "search/")
    until(page, "document.activeElement.id === 'query'")
    page.keyboard.type("quagga")
    page.wait_for_selector("#hits a")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/notes/2022-01-03/**")


IN_VIEW = """each => {
    if (!each) return false
    const box = each.getBoundingClientRect()
    return box.top >= 0 && box.top < innerHeight && box.height > 0
}"""
RING = "each => { const style = getComputedStyle(each); return style.outlineStyle + style.outlineWidth }"


@pytest.mark.parametrize("width", [390, 1280])
def test_from_a_number_to_its_cell_and_back(visit, site, width):
    page = visit("notes/2022-01-03/", viewport={"width": width, "height": 800})
    number = page.locator("a.number").first
    value = number.inner_text()
    number.click()
    cell = page.locator("section#num-spread")
    until(page, f"({IN_VIEW})(document.getElementById('num-spread'))")
    assert page.url == f"{site.base}chapters/04_validation/#num-spread"
    assert value in cell.locator(".printed").inner_text()
    assert cell.evaluate(RING) != page.locator("section.cell:not(:target)").first.evaluate(RING)
    cell.locator(".quoted a", has_text="Everything a note can hold").click()
    page.wait_for_url("**/notes/2022-01-03/#*")
    back = page.locator("a.number").first
    until(page, f"({IN_VIEW})(document.querySelector('a.number'))")
    assert back.evaluate("each => each.matches(':target')") and back.inner_text() == value
    assert back.evaluate(RING) != page.locator("a.number").last.evaluate(RING)


def test_every_page_with_a_text_is_in_an_index(site):
    "And none is in two, so that a search names no page twice."
    indexed = []
    for fragment in site.folder.glob("pagefind/*/fragment/*"):
        text = gzip.decompress(fragment.read_bytes()).decode()
        indexed.append(json.loads(text[text.index("{"):])["url"].strip("/"))
    pages = zip(site.names, site.pages.values())
    wanted = [name for name, tree in pages if tree.xpath("//*[@data-pagefind-body]")]
    assert sorted(indexed) == sorted(name.strip("/") for name in wanted)


@pytest.mark.parametrize("sought, name", [
    ("quagga", "notes/2022-01-03/"),
    ("nearest neighbour", "chapters/04_validation/"),
    ("holdout_errors", "library/validation/"),
])
def test_what_is_searched_for_stands_on_the_page_that_is_found(visit, site, sought, name):
    page = visit("search/")
    page.fill("#query", sought)
    page.wait_for_selector("#hits a")
    assert f"“{sought}”" in page.inner_text("#status") and page.locator("#hits mark").count()
    assert page.url.endswith("?q=" + sought.replace(" ", "%20"))
    hit = page.locator(f"#hits a[href^='{urlsplit(site.base).path}{name}']").first
    assert not hit.inner_text().endswith("#") # the link to a heading is no part of it
    hit.click()
    page.wait_for_url(f"**/{name}*")
    assert sought in " ".join(page.inner_text("main").split())
    page.go_back() # the search is still there
    page.wait_for_selector("#hits a")
    assert page.input_value("#query") == sought


def test_a_search_shows_words_rather_than_the_code_that_checks(visit, site):
    page = visit("search/?q=holdout_errors")
    hit = page.locator(f"#hits li:has(a[href^='{urlsplit(site.base).path}chapters/04_validation/'])")
    assert "holdout_errors does this a thousand times" in hit.inner_text()
    assert "test_fail" not in hit.inner_text()
    assert hit.locator("p").inner_text().endswith("…") # it is cut there


def test_a_search_says_what_its_hits_are_and_shows_no_code(visit):
    "What explains comes before the reference; a word that only code has leads to the chapter, without code."
    page = visit("search/?q=holdout_errors")
    page.wait_for_selector("#hits a")
    kinds = page.locator("#hits .over").all_inner_texts()
    assert kinds[0].startswith("Chapter 04") and kinds[-1].strip() == "Library"
    page.fill("#query", "RandomForestRegressor")
    until(page, "document.getElementById('status').textContent.includes('RandomForestRegressor')")
    hit = page.locator("#hits li", has_text="Time series")
    assert "how well each of them predicts" in hit.inner_text()
    page.fill("#query", "quagga")
    until(page, "document.getElementById('status').textContent.includes('quagga')")
    assert page.locator("#hits .over").all_inner_texts() == ["Note "]


@pytest.mark.parametrize("sought", ["install", "windows"])
def test_a_search_for_what_one_needs_to_start_finds_the_start_first(visit, sought):
    "Though the windows of a spectrogram stand on more pages."
    page = visit(f"search/?q={sought}")
    page.wait_for_selector("#hits a")
    assert page.locator("#hits a").first.inner_text() == "What Mark 1 is: Start"


# of the second, "z" is there; of the third, "back"
@pytest.mark.parametrize("sought", ["ξξξ", "zyzzyvas", "backfill of quagga"])
def test_a_search_for_nothing_says_so(visit, sought):
    page = visit(f"search/?q={sought}")
    until(page, "document.getElementById('status').textContent")
    assert page.inner_text("#status") == f"No page for “{sought}”." and page.locator("#hits li").count() == 0


PAPER = "getComputedStyle(document.body).backgroundColor"


def test_a_chosen_theme_is_kept_and_the_systems_holds_otherwise(visit, site):
    page = visit(color_scheme="light")
    light = page.evaluate(PAPER)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(PAPER)
    assert light != dark
    # the page hears of the system's change a little later
    expect(page.locator("#theme-switch")).to_have_text("Light")
    page.emulate_media(color_scheme="light")
    expect(page.locator("#theme-switch")).to_have_text("Dark")
    assert page.evaluate(PAPER) == light
    page.click("#theme-switch")
    assert page.evaluate(PAPER) == dark
    page.click("text=All notes")
    page.wait_for_url(site.base + "notes/")
    assert page.evaluate(PAPER) == dark
    page.reload()
    assert page.evaluate(PAPER) == dark and page.inner_text("#theme-switch") == "Light"
    page.click("#theme-switch")
    assert page.evaluate(PAPER) == light and page.inner_text("#theme-switch") == "System"
    page.click("#theme-switch") # and back to the system's
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert page.evaluate(PAPER) == dark and page.inner_text("#theme-switch") == "Light"
    assert visit(color_scheme="light").evaluate(PAPER) == light
    assert visit(color_scheme="dark").evaluate(PAPER) == dark


UNSEEN = """selector => [...document.querySelectorAll(selector)].filter(each =>
    !each.checkVisibility() || !each.getBoundingClientRect().height).length"""


def lines_not_printed(page, sheets):
    """List lines of a page's text, and words of its tables, that sheets of its PDF lack.

    Spaces and punctuation are left aside.
    """
    # ligatures; apostrophes, which the PDF's reader takes for letters
    squeezed = lambda text: re.sub(r"\W|\u02bc", "", normalize("NFKC", text))
    printed = squeezed("".join(sheet.extract_text() for sheet in sheets))
    lines = page.inner_text("main").splitlines()
    parts = [part for line in lines for part in (re.findall(r"\w+", line) if "\t" in line else [line])]
    return [part for part in parts if squeezed(part) not in printed]


@pytest.mark.parametrize("name", ["chapters/97_everything/", "chapters/04_validation/", "notes/2022-01-03/"])
def test_a_printed_page_is_complete(visit, name):
    page = visit(name, color_scheme="dark")
    left_out = ".unprinted, #answers, #answers ~ *" # imports and answers
    text = "main :is(p, li, pre, img, table, figcaption, math)"
    text += f":not(.contents *, .open, .cite *, [hidden], :is({left_out}), :is({left_out}) *)"
    imports = how_many(page, left_out)
    assert imports if name == "chapters/04_validation/" else not imports
    folded = page.evaluate(UNSEEN, text)
    assert folded if name.startswith("chapters") else not folded
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(UNSEEN, text) == 0
    navigation = how_many(page, f"nav, button, .skip, footer, .here, {left_out}")
    assert navigation == 0 and page.evaluate(PAPER) == "rgb(255, 255, 255)"
    assert how_many(page, "pre, .table", "each => each.scrollWidth > each.clientWidth + 1") == 0
    page.evaluate("() => [...document.images].forEach(image => image.loading = 'eager')") # as when printing
    until(page, "[...document.images].every(image => image.complete)")
    printed = page.pdf()
    sheets = PdfReader(BytesIO(printed)).pages
    assert lines_not_printed(page, sheets) == []
    # the control: its first sheet alone
    if name == "chapters/04_validation/": assert lines_not_printed(page, sheets[:1])
    assert printed.count(b"/Subtype /Image") >= page.locator("main img:not([src$='.svg'])").count()


def test_the_site_reads_without_javascript(visit):
    page = visit("notes/2022-01-03/", java_script_enabled=False, viewport={"width": 390, "height": 800})
    assert "A quagga opens this note" in page.inner_text("main") and not page.is_visible("#theme-switch")
    page.click(".contents summary")
    page.click(".contents >> text=Pictures")
    assert page.url.endswith("#pictures")
    page = visit("chapters/97_everything/", java_script_enabled=False)
    assert not page.is_visible("text=wide()")
    page.click("text=How it is made")
    assert page.is_visible("text=wide()")
    page = visit("search/", java_script_enabled=False)
    assert "Searching needs JavaScript" in page.inner_text("main") and not page.is_visible("form")
    assert page.locator("main a").count() == 4
