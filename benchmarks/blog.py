"""What building the site costs, against Sphinx with myst-nb and ablog on the same notes and chapters.

    python benchmarks/blog.py [--rounds N] [--without-peer]     some ten minutes, most of it the peer's

Writes blog.json. 10, 100 and 1,000 notes are made, each with two pictures, a formula, code, tags, a link to
a chapter and an embedded number. Every arm builds all of a site, with its search index. The first build and
the later ones, each after an edit of a note, are reported separately, since ours keeps what it made of
chapters that have not changed. The peer runs once, from nothing; it is installed into _run/peer the first
time, which needs the network. Live reload is timed from saving a note until the new page is served.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import date, timedelta
from http.client import HTTPException
from pathlib import Path

import numpy as np
from harness import compare, measure, report
from mark1.workshop.notebook import repository
from PIL import Image

ROOT = repository(Path(__file__).parent)
PEER = ROOT/"_run"/"peer"
PACKAGES = ("sphinx==8.2.3", "myst-nb==1.3.0", "ablog==0.11.13")
RESULT = Path(__file__).with_suffix(".json")
COUNTS = 10, 100, 1000
WORDS = ("the network learned from pictures that a split held back "
         "and the loss fell while the error rate stood still").split()
NUMBER = '{{< embed "03_metrics.ipynb#num-sum" "within […] of 1" >}}'
CONF = """project = 'notes'
extensions = ['myst_nb', 'ablog']
nb_execution_mode = 'off'
myst_enable_extensions = ['dollarmath']
blog_baseurl = 'https://example.org/'
blog_feed_fulltext = True
suppress_warnings = ['*']
exclude_patterns = ['_build']
"""


def write_notes(
    folder:Path, # takes the notes
    count:int,
):
    "Write `count` dated notes, each with two pictures of its own in a folder of its name."
    rng = np.random.default_rng(0)
    for number in range(count):
        day = str(date(2022, 1, 1) + timedelta(number))
        (folder/day).mkdir(parents=True)
        for name in ("a", "b"):
            pixels = rng.integers(0, 255, (60, 90, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder/day/f"{name}.png")
        prose = [" ".join(rng.choice(WORDS, 60)).capitalize() + "." for _ in range(5)]
        (folder/f"{day}.md").write_text(f"""+++
title="{day}"
date={day}
tags=["tag {number % 7}", "tag {number % 11}"]
+++

{prose[0]} It stayed within {NUMBER} of one.

![coloured dots, for {day}]({day}/a.png)

## A second part

{prose[1]} See the [chapter](../nbs/03_metrics.ipynb), and $e^{{i\\pi}} = -1$.

$$\\sum_{{k=1}}^{{n}} k = \\frac{{n(n+1)}}{{2}}$$

{prose[2]}

```python
learn = vision_learner(dls, resnet34, metrics=error_rate)
```

![more coloured dots, for {day}]({day}/b.png)

{prose[3]}

{prose[4]}
""")


def our_site(
    folder:Path, # made
    count:int, # of notes
) -> Path:
    "Make a repository with this site's chapters and `count` notes."
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("blog", "nbs", "mark1"): shutil.copytree(ROOT/name, folder/name, ignore=ignored)
    shutil.copy(ROOT/"settings.ini", folder)
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE"): shutil.copy(ROOT/name, folder)
    write_notes(folder/"lesson_notes", count)
    for path in (ROOT/"lesson_notes").glob("*.md"): # the README links to them
        shutil.copy(path, folder/"lesson_notes")
    return folder


def peer_site(
    folder:Path, # made
    count:int, # of notes
) -> Path:
    "Make the same chapters and notes as Sphinx, myst-nb and ablog need them."
    ignored = shutil.ignore_patterns("*.py", "__pycache__", ".ipynb_checkpoints")
    shutil.copytree(ROOT/"nbs", folder/"nbs", ignore=ignored)
    write_notes(folder/"notes", count)
    for path in (folder/"notes").glob("*.md"):
        front, text = re.match(r"\+\+\+\n(.*?)\+\+\+\n(.*)", path.read_text(), re.DOTALL).groups()
        tags = ", ".join(re.findall(r'"(tag \d+)"', front))
        front = f"---\nblogpost: true\ndate: {path.stem}\ntags: {tags}\n---\n# {path.stem}\n"
        path.write_text(front + text.replace(NUMBER, "0.000001"))
    (folder/"conf.py").write_text(CONF)
    (folder/"index.md").write_text("# Notes\n\n```{toctree}\n:glob:\n\nnbs/*\nnotes/*\n```\n")
    return folder


def insist(
    command:list,
    folder:Path, # where it runs
):
    "Run a command to its end. `SystemExit` where it fails."
    result = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{command} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")


def rebuild(
    home:Path, # of `our_site`
):
    "Edit a note and build the site."
    note = min((home/"lesson_notes").glob("*.md"))
    note.write_text(note.read_text() + "\nAn afterthought, at last.\n")
    insist([sys.executable, "blog/build.py"], home)


def install_peer():
    "Install Sphinx, myst-nb and ablog, at stated versions, in an environment of their own."
    if (PEER/"bin"/"sphinx-build").exists(): return
    uv = Path(sys.executable).parent/"uv"
    insist([uv, "venv", "--python", sys.executable, PEER], ROOT)
    insist([uv, "pip", "install", "--python", PEER/"bin"/"python", *PACKAGES], ROOT)


def reload_seconds(
    home:Path, # of `our_site`
    edits:int=10,
) -> tuple[list[float], list[float]]: # of a note and of a chapter, from saving until the new text is served
    "Edit a note and a chapter in turn under the server with live reload; time when their pages have changed."
    command = [sys.executable, "blog/build.py", "--serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=home, text=True, stdout=subprocess.PIPE)
    def page(place):
        "Read what is served; '' while it is being written."
        try: return urllib.request.urlopen(address + place, timeout=10).read().decode()
        except (HTTPException, OSError): return ""
    def seconds(path, text, place, mark):
        "Save a file, and wait until its page has the mark."
        time.sleep(1)
        start = time.monotonic()
        path.write_text(text, encoding="utf-8")
        while mark not in page(place):
            if time.monotonic() > start + 30:
                raise SystemExit(f"the page {place} did not change in 30 s")
            time.sleep(.02)
        return time.monotonic() - start
    try:
        said = (re.search(r"the site is at (http://\S+:\d+/)", line) for line in process.stdout)
        address = next(found[1] for found in said if found)
        note = sorted((home/"lesson_notes").glob("*.md"))[-1]
        chapter = home/"nbs"/"03_metrics.ipynb"
        text = note.read_text()
        notebook = json.loads(chapter.read_text(encoding="utf-8"))
        notes, chapters = [], []
        for number in range(edits):
            mark = f"edited-{number}-times"
            notes.append(seconds(note, f"{text}\n{mark}\n", f"notes/{note.stem}/", mark))
            cell = {"cell_type": "markdown", "id": "edited", "metadata": {}, "source": [mark]}
            edited = json.dumps({**notebook, "cells": [*notebook["cells"], cell]}, ensure_ascii=False)
            chapters.append(seconds(chapter, edited, f"chapters/{chapter.stem}/", mark))
        return notes, chapters
    finally:
        process.terminate()
        process.wait()


def middle_and_slowest(
    seconds:list[float],
) -> list[float]: # two
    "Give median and slowest."
    return [round(statistics.median(seconds), 2), round(max(seconds), 2)]


def last_peers(
) -> dict[str, float]: # seconds by name
    "Read what the peer took when it was last measured."
    return json.loads(RESULT.read_text())["the peer, once, seconds"] if RESULT.exists() else {}


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-peer", action="store_true",
                        help="leave Sphinx out; what it took last is kept")
    args = parser.parse_args()
    if not args.without_peer: install_peer()
    ours = {}
    theirs = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            home = our_site(Path(folder)/f"ours-{count}", count)
            peer = Path(folder)/f"peer-{count}"
            ours[f"ours, {count:,} notes"] = lambda home=home: rebuild(home)
            if args.without_peer: continue
            peer_site(peer, count)
            theirs[f"Sphinx, {count:,} notes"] = lambda peer=peer: insist(
                [PEER/"bin"/"sphinx-build", "-q", "-E", "-a", "-j", os.cpu_count(), ".", "_build"], peer)
        first = measure(ours, 1)
        times = measure(ours, args.rounds)
        notes, chapters = reload_seconds(Path(folder)/"ours-100")
        peers = last_peers()
        if theirs: peers = {name: round(value, 2) for name, (value,) in measure(theirs, 1).items()}
    figures = compare(times, "ours, 1,000 notes")
    thousand, hundred = (statistics.median(times[f"ours, {count} notes"]) for count in ("1,000", "100"))
    facts = {
        "the first time, chapters too, seconds": {name: round(value, 2) for name, (value,) in first.items()},
        "the peer, once, seconds": peers,
        "1,000 notes, seconds, median (goal: at most 5)": round(thousand, 2),
        "1,000 notes over 100 notes (linear: at most 10)": round(thousand/hundred, 2),
        "live reload of an edited note, seconds, median and slowest of 10 (goal: under 1)":
            middle_and_slowest(notes),
        "live reload of an edited chapter, seconds, median and slowest of 10 (goal: under 3)":
            middle_and_slowest(chapters),
    }
    report("Building the site after an edit of a note, chapters as they were", figures, RESULT, **facts)


if __name__ == "__main__": main()
