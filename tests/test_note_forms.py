"Notes as people write them: files, front matter, money and formulas, pictures, what other engines left."
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from lxml import html
from PIL import Image

from conftest import ROOT
from test_gates import FRONT, PIXEL, build, home, page, toys, write_chapter  # noqa: F401, two are fixtures

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import feedparser
from markup import as_hugo_reads, spans
from nbformat.v4 import new_code_cell, new_output
from notes import name_of, read_note, tag_names

EMBED = '{{< embed "01_toy.ipynb#num-loss" "[13 of 80]" >}}'
FIGURE = '{{< embed "01_toy.ipynb#fig-x" >}}'


def read(text, name="2022-03-05.md", others=()):
    content = text if isinstance(text, bytes) else text.encode()
    return read_note(content, Path(name), {name_of(Path(other)): other for other in others})


# --- front matter


@pytest.mark.parametrize("text, name, expected", [
    ("Words.\n", "2022-03-05.md", {"title": "2022-03-05", "date": "2022-03-05"}),
    ("Words.\n", "2022-03-05/index.md", {"title": "2022-03-05"}),
    ("Words.\n", "2022/03/05-splits.markdown", {"date": "2022-03-05"}),
    ("Words.\n", "20220305 On splits.md", {"date": "2022-03-05"}),
    ("Words.\n", "2021-12-19/2022-03-05.md", {"date": "2022-03-05"}), # the name before its folder's
    ("# On `splits`\n\nWords.\n", "2022-03-05.md", {"title": "On splits", "heading": "On `splits`"}),
    ("Words.\n\n## A part\n", "2022-03-05.md", {"title": "A part"}),
    ("Above\n=====\n\nWords.\n", "2022-03-05.md", {"title": "Above"}),
    ("```\n# no heading\n```\n", "2022-03-05.md", {"title": "2022-03-05"}),
    ("---\n\nA rule is no front matter.\n", "2022-03-05.md", {"title": "2022-03-05"}),
    ("---\ntitle: On splits\ndate: 2022-03-06\ntags: [R&D, C++]\n---\nWords.\n", "2022-03-05.md",
     {"title": "On splits", "date": "2022-03-06", "tags": ["R&D", "C++"]}),
    ('+++\ntitle = "On splits"\n[taxonomies]\ntags = ["a"]\ncategories = ["b"]\n+++\n', "2022-03-05.md",
     {"title": "On splits", "tags": ["a", "b"]}),
    ("---\ntags: one, two words\n---\n", "2022-03-05.md", {"tags": ["one", "two words"]}),
    ("---\npublished: false\nredirect_from: /old/\n---\n", "2022-03-05.md",
     {"draft": True, "aliases": ["/old"]}),
    ('+++\ndraft = true\naliases = ["old/place"]\n+++\n', "2022-03-05.md",
     {"draft": True, "aliases": ["/old/place"]}),
    ("+++\ndate = 2022-03-05T23:30:00-05:00\n+++\n", "x.md", {"date": "2022-03-05T23:30:00-05:00"}),
    ("---\ndate: 2022-03-05 23:30:00 +0100\n---\n", "x.md", {"date": "2022-03-05T23:30:00+01:00"}),
    ('---\ndate: "2022-03-05"\n---\n', "x.md", {"date": "2022-03-05"}),
    ("---\r\ntitle: On splits\r\n---\r\nWords.\r\n", "2022-03-05.md", {"title": "On splits"}),
    ("\ufeff+++\ntitle='On splits'\n+++\n", "2022-03-05.md", {"title": "On splits"}),
    ("---\ntitle: 42\n---\n", "2022-03-05.md", {"title": "42"}),
    ("+++\ntitle='Loss $L_2$'\n+++\n", "2022-03-05.md", {"title": "Loss L_2", "heading": "Loss $L_2$"}),
])
def test_what_front_matter_is_understood(text, name, expected):
    found = read(text, name)
    assert {key: found.front.get(key) for key in expected} == expected
    assert not found.faults and not found.remarks


def test_what_is_not_understood_is_named_with_its_line():
    text = "---\ntitle: x\nlayout: post\nextra:\n  math: true\nexpiryDate: 2022-01-01\n---\nWords.\n"
    said = {(line, re.search(r"'([^']+)'", sentence)[1]) for line, sentence in read(text).remarks}
    assert said == {(3, "layout"), (5, "extra.math"), (6, "expiryDate")}


@pytest.mark.parametrize("text, line, said", [
    ("---\ntitle: x\ndate: 2022-13-45\n---\n", 3, "its date is none"),
    ("---\ntitle: x\nsome: [1, 2\n---\n", 4, "no YAML"),
    ("---\ntitle: x\n\nWords.\n", 1, "does not end"),
    ("+++\ntitle='x'\nmood=\n+++\n", 3, "no TOML"),
    ("+++\ntitle='x'\ndate='soon'\n+++\n", 3, "its date is none"),
    ("One\n\nM\u00fcnchen\n".encode("cp1252"), 3, "UTF-8"),
    ("Words.\n".encode("utf-16"), 1, "UTF-8"),
])
def test_what_front_matter_is_a_fault(text, line, said):
    (found,) = read(text).faults
    assert found[0] == line and said in found[1]


def test_a_page_has_the_lines_of_its_note():
    text = FRONT + "$$\na\n- b\n$$\n\n<!-- hidden\n\nso -->\n\nIt is $5.\n\f\n`{{< x >}}`\n"
    found = read(text)
    assert found.skipped == 4 and found.body.count("\n") == text.count("\n") - 4
    for number, line in enumerate(text.split("\n")[4:]):
        if "$5" in line: assert found.body.split("\n")[number] == "It is &#36;5."
    assert found.remarks == [(16, "the control character U+000C is left out")]


# --- what others leave in notes


@pytest.mark.parametrize("text, said", [
    ('{{< figure src="a.png" >}}', 'there is no shortcode "figure"; there is embed'),
    ("{{< youtube 123 >}}", 'there is no shortcode "youtube"; there is embed'),
    ("{{% notice %}}", 'there is no shortcode "notice"; there is embed'),
    ("{{ page.title }}", "{{ page.title }} belongs to another engine"),
    ("![[shot.png]]", "write ![what it shows](shot.png)"),
    ("[[2021-01-01]]", "leads to no note"),
    ("It is so[^1].", "the footnote [^1] has no text"),
    ('Words {{< embed "x"', "a shortcode here does not end"),
])
def test_what_would_be_lost_is_a_fault_in_prose_and_nothing_in_code(text, said):
    ((line, sentence),) = read(f"{FRONT}Words.\n\n{text}\n").faults
    assert line == 8 and said in sentence
    assert not read(f"{FRONT}Words.\n\n```\n{text}\n```\n\nAnd `` {text} ``.\n").faults


@pytest.mark.parametrize("text, said", [
    ("{% end %}", "{% end %} belongs to another engine and is left out"),
    ("A\x0bB", "the control character U+000B is left out"),
    ("{: .wide}", "{: .wide} is for another engine and is left out"),
    ("[TOC]", "[TOC] is for another engine and is left out"),
])
def test_what_loses_nothing_is_left_out_with_a_word(text, said):
    found = read(f"{FRONT}Words.\n\n{text}\n")
    assert found.remarks == [(8, said)] and not found.faults
    assert found.body in ("Words.\n\n\n", "\nWords.\n\n\n", "\nWords.\n\nAB\n")
    coded = read(f"{FRONT}Words.\n\n```\n{text}\n```\n")
    assert not coded.faults and ("\x0b" in text or text in coded.body)


@pytest.mark.parametrize("text, said", [
    ("[^1]: Said of nothing.", "nothing refers to the footnote [^1]; it is left out"),
    ("See [there][far].", "[there][far] has no line [far]: … with its address; it is printed as it stands"),
    ("See [there][far], x[0][1].[^1]\n\n[far]: https://example.org/\n[^1]: Words.", None),
])
def test_what_refers_to_nothing_is_named(text, said):
    found = read(f"{FRONT}Words.\n\n{text}\n")
    assert found.remarks == ([(8, said)] if said else []) and not found.faults


def test_a_link_of_a_wiki_leads_to_its_note():
    found = read("[[2022-03-04]], [[2022-03-04#a-part|there]], [[1, 2]]\n", others=["2022-03-04.md"])
    assert found.body == "[2022-03-04](<2022-03-04.md>), [there](<2022-03-04.md#a-part>), [[1, 2]]\n"
    inside = read("[[2022-03-04]]\n", "sub/2022-03-05.md", ["2022-03-04.md"])
    assert inside.body == "[2022-03-04](<../2022-03-04.md>)\n" and not inside.faults


def test_each_tag_has_an_address_of_its_own():
    tags = ["C", "C++", "C#", ".NET", "R&D", "R D", "50 %", "CI/CD", "CI CD", "deep learning", "???", "!"]
    names = tag_names([*tags, "Deep Learning"])
    assert len(names) == len(set(names.values())) == len(tags)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names.values())
    assert (names["c"], names["r&d"], names["deep learning"]) == ("c", "r-and-d", "deep-learning")


# --- money and formulas


@pytest.mark.parametrize("text, formulas", [
    ("It costs $5-$10 an hour.", []),
    ("First $5, then $6.", []),
    ("It was ($20/$30), or US$7 and US$8.", []),
    ("In $HOME/$USER and $PATH.", []),
    ("It costs $5 and $x$ is a formula.", ["$x$"]),
    ("From $5 to ($\\alpha$), as it was.", ["$\\alpha$"]),
    ("It is $5.\n\nThen $6.", []),
    ("Type `echo $x` for $5 and `$y`.", []),
    ("Pay \\$5 or \\$6.", []),
    ("The $n$th of $k$, $n$-fold, $5x$ and $2 \\times 3$.", ["$n$", "$k$", "$n$", "$5x$", "$2 \\times 3$"]),
    ("A sum:\n$$\na\n- b\n= c\n$$\nand on.", ["$$\na\n- b\n= c\n$$"]),
    ("Here $$x$$ too.", ["$$x$$"]),
    ("It is $a\\$b$.", ["$a\\$b$"]),
    ("- one $x$\n- two $5\n- three $6", ["$x$"]),
    ("```\n$x$\n```\n\n    $y$\n", []),
    ("| $a$ | $5 |\n|---|---|\n| $6 | $b$ |", ["$a$", "$b$"]),
])
def test_what_a_dollar_is(text, formulas):
    assert [text[start:end] for kind, start, end in spans(text) if kind in ("formula", "display")] == formulas
    shown = as_hugo_reads(text)
    in_code = "".join(text[start:end] for kind, start, end in spans(text) if kind in ("code", "block"))
    assert shown.count("$") == "".join(formulas).count("$") + in_code.count("$")
    assert shown.count("\n") == text.count("\n")


# --- whole pages


def pictures(folder):
    "Write pictures of many kinds; the photograph lies on its side and says so."
    folder.mkdir()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 60, 3), dtype=np.uint8))
    turned = noise.getexif()
    turned[0x0112] = 6
    noise.save(folder/"turned.jpg", exif=turned)
    for name in ("my shot.png", "Kürbis.png", "a+b&c.png", "50%.png", "(1).png", "UPPER.PNG"):
        noise.save(folder/name)
    noise.save(folder/"moving.gif", save_all=True, append_images=[noise.rotate(180)])
    Image.new("L", (3000, 1000)).save(folder/"wide.png")
    (folder/"drawn.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20"/>')
    (folder/"phone.heic").write_bytes(b"x")


WHOLE = f"""# Notes $x_1$ on R&D

Here ![in a sentence](my%20shot.png "said of it") it is.

[![in a link](turned.jpg)](https://example.org/)

| a | b |
|---|---|
| ![in a table](drawn.svg) | {EMBED} |
| {FIGURE} | $5 |

- ![in a list](moving.gif)
- {FIGURE}
- [ ] to do

## It got {EMBED} wrong, for $5

![wide](wide.png)

![umlaut](Kürbis.png)

![encoded](K%C3%BCrbis.png)

![signs](a+b&c.png)

![percent](50%25.png)

![brackets](<(1).png>)

![capitals](./UPPER.PNG)

Words {FIGURE} go on.[^1] And[^2].

> [!NOTE]
> An alert.

Term
: a definition

:tada: and 10:30:20.

[^1]: With {EMBED}.
[^2]: {FIGURE}
"""


def test_a_page_with_all_of_it(home):
    image = [new_output("display_data", {"image/png": PIXEL})]
    printed = [new_output("stream", text="loss 0.25 after 13 of 80 steps\n")]
    figure = new_code_cell("#| label: fig-x\n#| fig-alt: what it shows\nplot()", outputs=image)
    write_chapter(home, new_code_cell("#| label: num-loss\nprint(1)", outputs=printed), figure)
    folder = home/"lesson_notes"
    pictures(folder/"2022-03-05")
    (folder/"2022-03-05"/"index.md").write_text(WHOLE)
    (folder/"2022").mkdir()
    other = "---\ntags: [C, C++, R&D]\naliases: [/old/]\n---\n"
    other += "[there](../2022-03-05/index.md), \f[[2022-03-05]]\n"
    (folder/"2022"/"03-06 In a folder.markdown").write_text(other)
    (folder/"2022-03-07.md").write_text("Bare words.\n")
    (folder/"2022-03-08.rst").write_text("Words in another language.\n")
    result = build(home, "Words.\n")
    assert result.returncode == 0 and "4 notes, 1 chapter" in result.stdout, result.stderr
    assert result.stderr.splitlines() == [
        "mark1: lesson_notes/2022-03-08.rst: it is not read, for its name does not end with .md or .markdown",
        "mark1: lesson_notes/2022/03-06 In a folder.markdown:5: the control character U+000C is left out"]

    shown = page(home, "notes/2022-03-05")
    tree = html.fromstring(shown)
    assert "HAHAHUGO" not in shown.upper() and "[!NOTE]" not in shown and ":tada:" not in shown
    assert not tree.xpath("//p//figure | //p//div") and "{{" not in shown
    (title,) = tree.xpath("//h1")
    assert title.xpath(".//math") and "$" not in title.text_content()
    contents = tree.xpath("//nav[@id='TableOfContents']//a")[0]
    assert contents.text == "It got 13 of 80 wrong, for $5"
    assert tree.xpath("//h2/@id") == [contents.get("href")[1:]]
    images = {image.get("alt"): image for image in tree.xpath("//img")}
    size = lambda alt: (images[alt].get("width"), images[alt].get("height"))
    assert {"in a sentence", "umlaut", "encoded", "signs", "percent", "brackets", "capitals"} <= set(images)
    assert size("in a link") == ("30", "60") and size("wide") == ("1600", "533")
    assert size("in a table") == ("10", "20")
    assert [images[alt].getparent().tag for alt in ("in a sentence", "in a link")] == ["p", "a"]
    for image in images.values():
        assert (home/"_site"/unquote(image.get("src").removeprefix("/mark1/"))).is_file(), image.get("src")
    assert sum(path.name.startswith("wide") for path in (home/"_site").rglob("*.png")) == 1 # the small one
    assert len(tree.xpath("//div[@class='embed']")) == 4
    assert len(tree.xpath("//a[contains(@class, 'number')]")) == 3
    assert tree.xpath("//blockquote/p/strong")[0].text == "Note"

    tags = {path.parent.name for path in (home/"_site"/"tags").glob("*/index.html")}
    assert tags == {"c", "c-plus-plus", "r-and-d"}
    assert 'href="/mark1/notes/2022-03-05/">2022-03-05</a>' in page(home, "notes/03-06-in-a-folder")
    assert "notes/03-06-in-a-folder/" in page(home, "old")
    assert "7 March 2022" in page(home, "notes/2022-03-07")
    feed = feedparser.parse(home/"_site"/"feed.xml")
    assert not feed.bozo and len(feed.entries) == 4


def test_a_picture_that_browsers_do_not_show_is_named(home):
    pictures(home/"lesson_notes"/"2022-03-05")
    (home/"lesson_notes"/"2022-03-05.md").write_text("Words.\n\n![a phone](2022-03-05/phone.heic)\n")
    said = "lesson_notes/2022-03-05.md:3: browsers cannot show 2022-03-05/phone.heic; save it as JPEG or PNG"
    assert said in build(home, "Words.\n").stderr
