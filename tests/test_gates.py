"What stops the build of the site, and what is said: file, line, remedy."
import gzip
import os
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import notes
import sync

spec = spec_from_file_location("site_build", ROOT/"blog"/"build.py") # there is a package named build
command = module_from_spec(spec)
spec.loader.exec_module(command)

FRONT = '+++\ntitle="2021-12-19"\ndate=2021-12-19\n+++\n\n' # the text begins in line 6
SEED = ROOT.parent/"shared"/"seed"/"lesson-note-2021-12-19.txt"


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Make a repository with one chapter that shows a number, a picture and nothing.

    It has one note, and a picture beside it. Its like, built, comes with it. Both are to be copied.
    """
    home = tmp_path_factory.mktemp("toys")/"plain"
    shutil.copytree(ROOT/"blog", home/"blog", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT/"settings.ini", home)
    (home/"blog"/"content"/"_index.md").write_text('+++\ntitle = "Toy"\n+++\n')
    for name in ("nbs", "mark1", "lesson_notes/2021-12-19"):
        (home/name).mkdir(parents=True)
    printed = new_output("stream", text="loss 0.25 after 13 of 80 steps\nloss 0.20 after 14 of 80 steps\n")
    Image.new("RGB", (6, 4), "teal").save(home/"lesson_notes"/"2021-12-19"/"here.png")
    number = new_code_cell("#| label: num-loss\nprint(1)", outputs=[printed])
    write_chapter(home, number, new_code_cell("#| label: num-silent\npass"))
    nbformat.write(new_notebook(cells=[new_markdown_cell("# What it is")]), home/"nbs"/"index.ipynb")
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Terms")]), home/"nbs"/"glossary.ipynb")
    built = home.with_name("built")
    shutil.copytree(home, built)
    (built/"lesson_notes"/"2021-12-19.md").write_text(FRONT + "All well.\n")
    result = subprocess.run([sys.executable, "blog/build.py"], cwd=built, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return SimpleNamespace(plain=home, built=built)


@pytest.fixture
def home(toys, tmp_path):
    "Make a copy of the toy repository, of which no site has been built."
    shutil.copytree(toys.plain, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def built(toys, tmp_path):
    "Make a copy of the toy repository with the site of a note that is well."
    shutil.copytree(toys.built, tmp_path, dirs_exist_ok=True)
    return tmp_path


def write_chapter(home, *cells):
    head = [
        new_markdown_cell("# Toy\n\n> A toy chapter"),
        new_code_cell("#| default_exp toy"),
        new_markdown_cell("## A heading"),
    ]
    nbformat.write(new_notebook(cells=[*head, *cells]), home/"nbs"/"01_toy.ipynb")


def run(home, *words):
    """Call the command in `home`, in this process.

    What it says comes back, and its exit code. A test of the process itself starts one.
    """
    said, complained = StringIO(), StringIO()
    with chdir(home), redirect_stdout(said), redirect_stderr(complained):
        code = command.main([*words])
    return SimpleNamespace(returncode=code, stdout=said.getvalue(), stderr=complained.getvalue())


def build(home, text=None, front=FRONT):
    "Build the site of `home` after the text of its note was replaced."
    if text is not None: (home/"lesson_notes"/"2021-12-19.md").write_text(front + text)
    return run(home)


def page(home, place="notes/2021-12-19"):
    return (home/"_site"/place/"index.html").read_text()


# fault, as the table in CONTRIBUTING names it: the note's text, and the line that has to be named
FAULTY = {
    "a note that embeds a chapter that is gone": ('Words.\n\n{{< embed "02_gone.ipynb#num-x" >}}\n', 8),
    "a note that embeds a label that is gone": ('Words.\n\n{{< embed "01_toy.ipynb#num-lost" >}}\n', 8),
    "a note that embeds a cell that shows nothing": ('{{< embed "01_toy.ipynb#num-silent" >}}\n', 6),
    "a note that quotes a number that has changed":
        ('It is {{< embed "01_toy.ipynb#num-loss" "loss 0.26" >}}.\n', 6),
    "a note whose picture is missing": ("Words\nand\n![what it shows](2021-12-19/gone.png)\n", 8),
    "a note whose picture has no alt text": ("![](2021-12-19/here.png)\n", 6),
    "a note with a picture on another host": ("![text](https://example.org/a.png)\n", 6),
    "a note with a link that leads nowhere": ("Words, and\na [link](2021-12-20.md).\n", 7),
    "a note with a link to a heading that is gone": ("A [link](../nbs/01_toy.ipynb#another-heading).\n", 6),
    "a note with a link that runs a script": ("A [link](javascript:alert(1)).\n", 6),
    "a note with raw HTML": ("Words.\n\n```html\n<b>code</b>\n```\n\n<script>alert()</script>\n", 12),
    "a note with a formula that is no TeX": ("Words.\n\n$$\\frac{1}{$$\n", 8),
    "a note with a number that has no source": ("Words.\n\nIt got 13 of 80 wrong.\n", 8),
    "a note with an unknown shortcode": ('Words.\n\n{{< embd "x" >}}\n', 8),
    "a note with a shortcode that does not end": ('Words.\n\n{{< embed "x"\n', 8),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_what_stops_the_build(built, outcome, fault):
    text, line = FAULTY[fault]
    before = page(built)
    result = build(built, text)
    assert f"lesson_notes/2021-12-19.md:{line}: " in outcome(fault, result)
    assert page(built) == before and "All well." in before # the site that was there stays


@pytest.mark.parametrize("fault, front, line", [
    ("a note whose front matter is no TOML", '+++\ntitle="2021-12-19\ndate=2021-12-19\n+++\n', 2),
    ("a note whose front matter does not end", '+++\ntitle="x"\n\nWords.\n', 1),
    ("a note with an impossible date", '+++\ntitle="x"\ndate=2021-13-40\n+++\n', 3),
    ("a note whose date is none", '+++\ntitle="x"\ndate="yesterday"\n+++\n', 3),
    ("a note whose front matter is no YAML", '---\ntitle: "x\ndate: 2021-12-19\n---\n', 2)])
def test_front_matter(home, outcome, fault, front, line):
    assert f"lesson_notes/2021-12-19.md:{line}: " in outcome(fault, build(home, "Words.\n", front))


def test_notes_that_are_not_read(home, outcome):
    folder = home/"lesson_notes"
    for fault, name, content in (
        ("a note without a date", "on_splits.md", b"Words.\n"),
        ("a note in another encoding", "2022-01-01.md", FRONT.encode() + "M\xfcnchen.\n".encode("cp1252")),
    ):
        (folder/name).write_bytes(content)
        assert f"lesson_notes/{name}:" in outcome(fault, build(home, "Words.\n"))
        (folder/name).unlink()
    (folder/"2021-12-19").mkdir(exist_ok=True)
    (folder/"2021-12-19"/"index.md").write_text(FRONT + "Other words.\n")
    outcome("two notes of one name", build(home, "Words.\n"))


def test_all_faults_are_told_at_once(home):
    text = "".join(text + "\n" for text, _ in list(FAULTY.values())[:7])
    (home/"lesson_notes"/"2021-12-19.md").write_text(FRONT + text)
    result = subprocess.run([sys.executable, "blog/build.py"], cwd=home, capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("mark1: lesson_notes/2021-12-19.md:") == 7, result.stderr


def test_the_labels_there_are_get_named(home):
    assert "it has num-loss, num-silent" in build(home, '{{< embed "01_toy.ipynb#num-lost" >}}').stderr
    said = build(home, '{{< embed "01_toy.ipynb#num-loss" "x" >}}').stderr
    assert "it says: loss 0.25 after 13 of 80 steps / loss 0.20" in said


@pytest.mark.parametrize("pick, shown", [
    ("13 of 80", "13 of 80"),
    ("3 of 80", None),
    ("13 of 8", None),
    ("loss …", "loss 0.25"),
    ("[…] after 14", "0.20"),
    ("80 steps loss", "80 steps\nloss"),
    ("loss 0.2", None),
    ("after [… of …] steps", "13 of 80"),
    ("25 after", None),
    ("(13)", None),
])
def test_what_a_pick_finds(home, pick, shown):
    result = build(home, f'It is {{{{< embed "01_toy.ipynb#num-loss" "{pick}" >}}}}.\n')
    assert result.returncode == (shown is None), result.stderr
    if shown:
        link = f'href="/mark1/chapters/01_toy/#num-loss" title="Measured in Toy">{shown}</a>.'
        assert link in page(home)


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" \
        "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
NO_ALT = new_code_cell("#| label: fig-x\nplot()", outputs=[new_output("display_data", {"image/png": PIXEL})])
DEAD_LINK = new_markdown_cell("A [link](99_gone.ipynb).")
NO_TEX = new_markdown_cell("$$\\frac{1}{$$")


@pytest.mark.parametrize("fault, cell, place", [
    ("a chapter whose picture has no alt text", NO_ALT, "nbs/01_toy.ipynb, cell"),
    ("a chapter with a result that no output shows", new_markdown_cell("It got 11 of 80 wrong."),
     "nbs/01_toy.ipynb, cell 4: "),
    ("a chapter with a link that leads nowhere", DEAD_LINK, "nbs/01_toy.ipynb, cell 4: "),
    ("a chapter with a formula that is no TeX", NO_TEX, "nbs/01_toy.ipynb, cell 4: "),
    ("a chapter with raw HTML", new_markdown_cell("<b>bold</b>"), "nbs/01_toy.ipynb, cell 4: "),
])
def test_what_stops_a_chapter(home, outcome, fault, cell, place):
    write_chapter(home, cell)
    assert outcome(fault, build(home, "Words.\n")).startswith(place)


def test_a_result_of_a_chapter_is_asked_for_again_where_the_chapter_that_shows_it_has_changed(built):
    path = built/"nbs"/"02_other.ipynb"
    quoted = [new_markdown_cell("# Other"), new_markdown_cell("It got [13 of 80](01_toy.ipynb) wrong.")]
    nbformat.write(new_notebook(cells=quoted), path)
    assert build(built).returncode == 0
    write_chapter(built, new_markdown_cell("Nothing is shown any more."))
    result = build(built, "Words.\n")
    said = "mark1: nbs/02_other.ipynb, cell 2: no output shows '13 of 80'"
    assert result.returncode == 1 and result.stderr.startswith(said), result.stderr


def test_outputs_older_than_the_code(home, outcome):
    path = home/"nbs"/"01_toy.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.metadata["mark1"] = {"made_from": "0123456789abcdef", "seconds": 1}
    nbformat.write(notebook, path)
    assert build(home, "Words alone.\n").returncode == 0 # it is only in the way of those who quote it
    result = build(home, '{{< embed "01_toy.ipynb#num-loss" >}}\n')
    said = outcome("a note that embeds outputs older than their code", result)
    assert said.startswith("lesson_notes/2021-12-19.md:6: ")


def test_a_chapter_without_title(home, outcome):
    nbformat.write(new_notebook(cells=[new_markdown_cell("no title")]), home/"nbs"/"02_untitled.ipynb")
    outcome("a chapter without a title", build(home, "Words.\n"))


def test_a_warning_in_a_chapter(home, outcome):
    text = "/tmp/ipykernel_10641/2961.py:8: UserWarning: Converting a tensor\n  x = 1\n"
    warned = new_output("stream", name="stderr", text=text)
    write_chapter(home, new_code_cell("x = 1", outputs=[warned]))
    outcome("a chapter that shows a warning", build(home, "Words.\n"))


def test_lost_pictures_get_a_described_box(home):
    (home/"lesson_notes"/"2021-12-19"/"lost.toml").write_text('"gone.png" = "A machine with many wires"\n')
    result = build(home, "![](2021-12-19/gone.png)\n\n![what it shows](2021-12-19/here.png)\n")
    assert result.returncode == 0, result.stderr
    said = "<span>A picture that is lost:</span> A machine with many wires"
    assert f'<figure class="lost"><p>{said}</p></figure>' in page(home)
    assert 'alt="what it shows" width="6" height="4"' in page(home)


def test_a_note_as_another_engine_left_it(home):
    """Pictures are missing and have no alt text.

    A tag of a template language stands after a paragraph, a picture after a list.
    """
    text = (
        "Words and\n"
        "a [link](https://example.org/)\n"
        "![](2021-12-19/one.png)\n"
        "more words.\n"
        "{% end %}\n"
        "\n"
        "Costs $5 and $6 ([list](https://example.org/)).\n"
        "\n"
        "- `{% raw %}` in code\n"
        "\n"
        "![](2021-12-19/two.png)\n"
    )
    lost = home/"lesson_notes"/"2021-12-19"/"lost.toml"
    lost.write_text('"one.png" = "The first"\n"two.png" = "The second"\n')
    result = build(home, text)
    assert result.returncode == 0, result.stderr
    shown = page(home)
    assert "{% end" not in shown and "{% raw %}" in shown
    assert "more words." in shown and "Costs $5 and $6 (" in shown
    assert shown.count('<figure class="lost">') == 1
    assert shown.count("<em>(A picture that is lost: The first)</em>") == 1
    said = "{% end %} belongs to another engine and is left out"
    assert result.stderr == f"mark1: lesson_notes/2021-12-19.md:10: {said}\n"


def test_the_note_that_the_project_grew_from(home):
    if not SEED.exists():
        pytest.skip(f"there is no {SEED}; put the note that the project grew from there")
    text = SEED.read_text()
    pictures = [line.split("/")[-1].rstrip(")") for line in text.splitlines() if line.startswith("![](")]
    assert len(pictures) == 7
    assert build(home, text, front="").returncode == 1 # its pictures are missing, and nothing says so yet
    lost = home/"lesson_notes"/"2021-12-19"/"lost.toml"
    lost.write_text("".join(f'"{name}" = "picture {i}"\n' for i, name in enumerate(pictures)))
    result = build(home, text, front="")
    assert result.returncode == 0, result.stderr
    shown = page(home)
    assert all(f"picture {i}</p>" in shown for i in range(7))
    assert "{% end %}" not in shown and "19 December 2021" in shown


def test_drafts_are_left_out_and_counted_and_future_notes_are_not(home):
    for name, more in (("2022-01-01", "draft=true\n"), ("2999-01-01", "")):
        text = f'+++\ntitle="{name}"\ndate={name}\n{more}+++\n\nWords.\n'
        (home/"lesson_notes"/f"{name}.md").write_text(text)
    result = build(home, "Words.\n")
    assert "2 notes (1 draft left out), 1 chapter, " in result.stdout, result.stdout + result.stderr
    assert not (home/"_site"/"notes"/"2022-01-01").exists() and (home/"_site"/"notes"/"2999-01-01").exists()


def test_the_site_where_the_repository_is_not(tmp_path):
    words = [sys.executable, ROOT/"blog"/"build.py"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2 and "is not inside the Mark 1 repository" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_base_that_is_no_address(home, outcome):
    outcome("an address of the site that is none", run(home, "--base", "example.org/here"))


def test_a_link_of_a_page_that_did_not_change_is_found_dead(home):
    """Links of unchanged pages are followed only where something is gone.

    All of them are followed where the last build did not end well.
    """
    other = home/"lesson_notes"/"2022-01-01.md"
    front = FRONT.replace("2021-12-19", "2022-01-01")
    link = "A [link](2022-01-01.md#a-part).\n"
    other.write_text(front + "## A part\n\nWords.\n")
    assert build(home, link).returncode == 0
    other.write_text(front + "## Another part\n\nWords.\n")
    result = build(home)
    assert result.returncode == 1
    assert "lesson_notes/2021-12-19.md:6: the link" in result.stderr and "no 'a-part'" in result.stderr
    assert 'id="a-part"' in page(home, "notes/2022-01-01") # the site stays as it was
    built = home/"_site"/"notes"/"2022-01-01"/"index.html"
    # as a build that was killed half-way leaves it
    built.write_text(page(home, "notes/2022-01-01").replace("a-part", "another-part"))
    assert build(home).returncode == 0 # control: a site that is taken for whole
    (home/"_site"/sync.LAST).unlink()
    assert build(home).returncode == 1


def test_a_second_site_holds_nothing_of_the_first(home):
    "A build changes the site that is there, and keeps what it made of chapters that have not changed."
    # the parts of the index are named after what they hold, and that depends on the order in which Pagefind
    # comes upon the pages
    def name_of(path):
        if path.suffix in (".pf_index", ".pf_meta"): return path.suffix
        return path.relative_to(home/"_site").as_posix()
    files = lambda: sorted(name_of(path) for path in (home/"_site").rglob("*") if path.is_file())
    other = home/"lesson_notes"/"2022-01-01.md"
    course = home/"_site"/"pagefind"/"course"/"pagefind-entry.json"
    assert build(home, "A zebra.\n").returncode == 0
    index = course.read_text(), course.stat().st_ino
    first = files()
    written = (home/"_site"/"robots.txt").stat().st_ino
    made = (home/"_run"/"blog"/"content"/"chapters"/"01_toy"/"index.md").stat().st_mtime_ns
    other.write_text(FRONT.replace("2021-12-19", "2022-01-01") + "A giraffe.\n")
    assert build(home).returncode == 0 and "notes/2022-01-01/index.html" in files()
    assert (home/"_run"/"blog"/"content"/"chapters"/"01_toy"/"index.md").stat().st_mtime_ns == made
    other.unlink()
    assert build(home).returncode == 0
    # what has not changed is left alone
    assert files() == first and (home/"_site"/"robots.txt").stat().st_ino == written
    folder = home/"_site"/"pagefind"/"notes"/"fragment"
    fragments = b"".join(gzip.decompress(path.read_bytes()) for path in folder.iterdir())
    assert b"zebra" in fragments and b"giraffe" not in fragments
    assert (course.read_text(), course.stat().st_ino) == index # no page in it has changed
    write_chapter(home, new_code_cell("#| label: num-loss\nprint(2)"))
    assert build(home).returncode == 0 and course.read_text() != index[0]
    assert "<span class=\"mi\">2</span>" in page(home, "chapters/01_toy")


def test_a_note_found_sound_is_looked_at_again_when_it_or_the_rules_change(home, monkeypatch):
    assert build(home, "A zebra.\n").returncode == 0 == build(home).returncode
    for _ in range(2):
        assert "'17 %' has no source" in build(home, "It fell by 17 %.\n").stderr
    assert build(home, "A zebra.\n").returncode == 0
    monkeypatch.setattr(notes, "unsourced", lambda text, name: [f"{name}:6: looked at again"])
    assert build(home).returncode == 0 # control: it is not looked at
    rules = home/"blog"/"origins.py"
    rules.write_text(rules.read_text() + "# another rule\n")
    monkeypatch.setattr(notes, "RULES", (str(rules),))
    assert "looked at again" in build(home).stderr


@pytest.mark.parametrize("memory", [True, False])
def test_a_site_is_built_in_memory_where_there_is_room(tmp_path, monkeypatch, memory):
    (tmp_path/"_run"/"blog").mkdir(parents=True)
    (tmp_path/"memory").mkdir()
    old = tmp_path/("memory" if memory else "_run/blog")/"mark1-site-killed"
    old.mkdir()
    os.utime(old, (0, 0))
    monkeypatch.setattr(sync, "MEMORY", tmp_path/("memory" if memory else "gone"))
    with sync.workplace(tmp_path) as place:
        assert Path(place).parent == old.parent and not old.exists()
    assert not list(old.parent.iterdir())


HOSTILE = """<table onclick="alert(1)"><tr><td style="x">held<script>alert(1)</script></td></tr></table>
<meta http-equiv="Content-Security-Policy" content="default-src *"><base href="https://evil.example/">
<iframe src="https://evil.example/"></iframe><a href="javascript:alert(1)">press</a>
<img src=x onerror=alert(1)><form action="https://evil.example/"><input></form>
<object data="x"></object><link rel="stylesheet" href="//x">"""


def test_a_page_keeps_its_rules_whatever_an_output_holds(home):
    cell = new_code_cell("1", outputs=[new_output("display_data", data={"text/html": HOSTILE})])
    write_chapter(home, cell)
    result = build(home, "All well.\n")
    assert result.returncode == 0, result.stderr
    made = page(home, "chapters/01_toy")
    assert made.count("http-equiv") == 1 and "evil.example" not in made
    content = made[made.index("<main"):]
    assert "held" in content, "the table's text is lost"
    held = ("<iframe", "<base", "<object", "onclick", "onerror", "javascript:", "alert(")
    assert [part for part in held if part in content] == []
