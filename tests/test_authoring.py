"Starting a note, and bringing in somebody's blog."
import os
import shutil
import subprocess
import sys
from contextlib import chdir
from datetime import date

import pytest
from PIL import Image

from conftest import ROOT
from test_gates import build, home, toys  # noqa: F401, two are fixtures

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import authoring

DAY = date(2022, 3, 5)


def said(capsys):
    return capsys.readouterr().err.removeprefix("mark1: ").strip()


@pytest.mark.parametrize("title, name", [
    ("", "2022-03-05"),
    ("On splits", "2022-03-05"),
    ('It costs $5, "they" say: C\\C++', "2022-03-05"),
])
def test_a_note_is_begun_and_builds(home, title, name):
    path = authoring.start_note(home, title, DAY)
    assert path.name == f"{name}.md" and (home/path.with_suffix("")).is_dir()
    front = authoring.read_front((home/path).read_text())[0]
    assert front == {"title": title or "2022-03-05", "date": DAY, "tags": []}
    with (home/path).open("a") as file: file.write("Words.\n")
    result = build(home, "Words.\n")
    assert result.returncode == 0 and not result.stderr, result.stderr


def test_a_second_note_of_a_day_has_its_title_for_a_name(home, outcome, monkeypatch, capsys):
    today = f"{date.today()}"
    with chdir(home):
        monkeypatch.setenv("MARK1_GIVEN", "On splits & more") # as make hands it over
        names = []
        for _ in range(2):
            assert authoring.main(["note"]) == 0
            names.append(capsys.readouterr().out.split()[0])
        assert names == [f"lesson_notes/{today}.md", f"lesson_notes/{today}-on-splits-more.md"]
        code = authoring.main(["note"])
    outcome("a note of today that is there already", code, said(capsys))


def test_make_hands_a_title_over_as_it_was_typed(tmp_path):
    shutil.copy(ROOT/"Makefile", tmp_path)
    (tmp_path/".venv"/"bin").mkdir(parents=True)
    (tmp_path/".venv"/"bin"/"python").symlink_to(shutil.which("env"))
    script = tmp_path/"env.sh" # in place of Python
    script.write_text('#!/bin/sh\nprintf "%s|%s" "$*" "$MARK1_GIVEN"\n')
    script.chmod(0o755)
    (tmp_path/".venv"/"bin"/"python").unlink()
    (tmp_path/".venv"/"bin"/"python").symlink_to(script)
    title = "It's $5 or \"$HOME\"; `date`"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for target, variable in (("note", "TITLE"), ("import", "FOLDER")):
        command = ["make", "-o", "setup", target, f"{variable}={title}"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert result.stdout == f"blog/authoring.py {target}|{title}", result.stderr


POST = """---
title: First steps
date: 2020-01-02 10:00:00 +0100
layout: post
---

It got 3 of 80 wrong. See [the other](../more/2020-02-03/index.md#part) and <b>this</b>.

<img src="/img/my shot.png" alt="a shot" width="300">

![](../pictures/plain.png)

{{< figure src="../pictures/plain.png" alt="plain" caption="As it was" >}}

{% highlight python %}
x = "<b>" # ![no](picture.png)
{% endhighlight %}

![far away](https://example.org/a.png) and [data](../data.csv), [gone](gone.pdf)

{{ site.title }}
"""


@pytest.fixture
def blog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blog")
    for name in ("_posts", "pictures", "static/img", "more/2020-02-03", ".git"):
        (folder/name).mkdir(parents=True)
    (folder/"_posts"/"2020-01-02-first-steps.md").write_text(POST)
    text = "# Part\n\n![plain](plain.png) in M\u00fcnchen\n"
    (folder/"more"/"2020-02-03"/"index.md").write_text(text, "cp1252")
    Image.new("L", (2, 2)).save(folder/"pictures"/"plain.png")
    Image.new("L", (3, 3)).save(folder/"static"/"img"/"my shot.png")
    Image.new("L", (4, 4)).save(folder/"more"/"2020-02-03"/"plain.png")
    for name in ("data.csv", "unused.txt", "README.md", ".git/config"): (folder/name).write_text(name)
    return folder


def test_a_blog_is_brought_in_and_loses_nothing(home, blog):
    before = {path: path.read_bytes() for path in blog.rglob("*") if path.is_file()}
    lines = "\n".join(authoring.import_blog(home, blog))
    assert before == {path: path.read_bytes() for path in blog.rglob("*") if path.is_file()}
    notes = home/"lesson_notes"
    text = (notes/"2020-01-02-first-steps.md").read_text()
    for part in (
        "layout: post", "[the other](2020-02-03.md#part) and **this**",
        "![a shot](2020-01-02-first-steps/my%20shot.png)", "![](2020-01-02-first-steps/plain.png)",
        '![plain](2020-01-02-first-steps/plain.png "As it was")',
        '```python\nx = "<b>" # ![no](picture.png)\n```',
        "[data](2020-01-02-first-steps/data.csv)",
        "![far away](https://example.org/a.png)", "{{ site.title }}",
    ):
        assert part in text, part
    assert "München" in (notes/"2020-02-03.md").read_text()
    names = {path.name: path.stat().st_size for path in (notes/"2020-01-02-first-steps").iterdir()}
    assert set(names) == {"my shot.png", "plain.png", "data.csv"}
    picture = "2020-02-03/plain.png"
    assert (notes/picture).read_bytes() == before[blog/"more"/picture]
    for sentence in (
        "_posts/2020-01-02-first-steps.md is now lesson_notes/2020-01-02-first-steps.md",
        '<img src="/img/my shot.png" alt="a shot" width="300"> written as Markdown',
        ":7: '3 of 80' has no source",
        ":11: the picture 2020-01-02-first-steps/plain.png has no text",
        ":19: the picture https://example.org/a.png lies elsewhere",
        ":19: gone.pdf leads to no file of the blog",
        ":21: {{ site.title }} belongs to another engine",
        ":4: 'layout' in the front matter is not used here",
        "written in UTF-8; it was read as Windows-1252",
        "not copied, as no note names it: README.md", "not copied, as no note names it: unused.txt",
    ):
        assert sentence in lines, f"{sentence}\n{lines}"
    assert ".git" not in lines
    again = "\n".join(authoring.import_blog(home, blog))
    assert again.count("is here already") == 2 and (notes/"2020-01-02-first-steps.md").read_text() == text


def test_a_folder_without_a_blog(home, outcome, capsys):
    with chdir(home):
        code = authoring.main(["import", "gone"])
        outcome("a blog to bring in that is not there", code, said(capsys))
        code = authoring.main(["import", "nbs"])
        outcome("a blog without Markdown", code, said(capsys))
