"""`make blog` as an author types it, in a terminal and in a pipe.

What it shows of each save, what it says, how it ends.

Takes long: begins first.
"""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from contextlib import suppress
from html import unescape
from http.client import IncompleteRead
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
from mark1.workshop.notebook import Chapter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Error

from conftest import PATIENCE, ROOT, listening
from test_gates import FRONT, home, toys, write_chapter  # noqa: F401, two of them are fixtures

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
from serve import MADE_OF, Server, free_port, saved

LINUX = pytest.mark.skipif(
    sys.platform != "linux",
    reason="there is no prctl to tie a process to its parent; test it on Linux",
)


def until(condition, what, seconds=PATIENCE):
    "Wait until a function returns something true, and return it with the seconds that this took."
    start = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() < start + seconds, f"not in {seconds} s: {what() if callable(what) else what}"
        time.sleep(.02)
    return found, time.monotonic() - start


class Typed:
    "Type a command, and read what it says and the processes of its session."

    def __init__(self, command, folder, terminal, ignored=()):
        self.said = ""
        self.closed = False
        ours, theirs = pty.openpty() if terminal else os.pipe()
        def prepare():
            """Take the terminal in the child, as a login does.

            Ignore just what a shell has its background jobs ignore.
            """
            if terminal: fcntl.ioctl(1, termios.TIOCSCTTY, 0)
            # whatever nohup or cron had these tests ignore
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        of_make = ("MARK1_VENV", "MAKEFLAGS", "MAKELEVEL")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in of_make},
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=prepare,
        )
        os.close(theirs)
        self.end = ours
        self.reader = Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        "Collect what the command says, until nobody can say anything more or this end is closed."
        with open(self.end, "rb", 0) as end:
            while not self.closed:
                if not select.select([end], [], [], .05)[0]: continue
                try: part = os.read(self.end, 65536)
                except OSError: return # so a terminal ends
                if not part: return
                self.said += part.decode(errors="replace")

    def hang_up(self):
        "Close this end of the terminal or the pipe."
        self.closed = True
        self.reader.join()

    def waits_for(self, words, after=0):
        "Wait until the command has said something that matches; the match is returned."
        def there():
            ended = self.process.poll() is not None and not self.reader.is_alive()
            found = re.search(words, self.said[after:])
            assert found or not ended, f"ended without {words!r}: {self.said}"
            return found
        return until(there, lambda: f"{words!r} in {self.said!r}")[0]

    def processes(self):
        "List those of the session that run, by id."
        found = {}
        for process in psutil.process_iter(["name", "status"]):
            try: same = os.getsid(process.pid) == self.process.pid
            except OSError: continue # has ended
            if same and process.info["status"] != psutil.STATUS_ZOMBIE:
                found[process.pid] = process.info["name"]
        return found

    def ends(self):
        """Wait until the command and all processes of its session have ended.

        Its exit code comes back, as a shell tells it.
        """
        ended = lambda: self.process.poll() is not None and (self.process.returncode,)
        code, _ = until(ended, lambda: self.processes())
        until(lambda: not self.processes(), lambda: self.processes())
        return code[0] if code[0] >= 0 else 128 - code[0]

    def close(self):
        "End all that is left."
        for process in self.processes():
            with suppress(ProcessLookupError): os.kill(process, signal.SIGKILL)
        self.process.wait()
        self.hang_up()


@pytest.fixture
def author(home):
    """Make a small copy of the repository with its Makefile.

    `type` types a command there, and `get` reads a page that is served.
    """
    started = []
    shutil.copy(ROOT/"Makefile", home)
    for name in ("pyproject.toml", "build/setup.py", "build/requirements.txt"):
        (home/name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT/name, home/name)
    (home/".venv").mkdir()
    for path in Path(sys.prefix).iterdir(): (home/".venv"/path.name).symlink_to(path)
    (home/".venv"/".mark1-ready").unlink(missing_ok=True)
    (home/".venv"/".mark1-ready").touch() # newer than what it is made from
    note = home/"lesson_notes"/"2021-12-19.md"
    note.write_text(FRONT + "Words.\n")

    def type_in(command="make blog", terminal=False, wait=True, **options):
        typed = Typed(command.split(), home, terminal, **options)
        started.append(typed)
        if wait: typed.address = typed.waits_for(r"the site is at (http://\S+/)")[1]
        return typed

    yield SimpleNamespace(type=type_in, home=home, note=note, chapter=home/"nbs"/"01_toy.ipynb")
    for typed in started: typed.close()


def get(typed, place="notes/2021-12-19/"):
    "Read status and text of a page that is served; 0 where nobody answers."
    try:
        with urllib.request.urlopen(typed.address + place, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        # Hugo's page of faults colours each word
        return error.code, unescape(re.sub(r"<[^>]*>", "", error.read().decode()))
    except (OSError, IncompleteRead) as error: return 0, str(error) # the latter while the page is written


def shows(typed, text, place="notes/2021-12-19/", status=200):
    "Wait until a page has a text; the seconds that this took come back."
    seen = []
    def there():
        assert typed.process.poll() is None, f"ended before it showed {text!r}: {typed.said}"
        seen[:] = get(typed, place)
        return seen[0] == status and text in seen[1]
    return until(there, lambda: f"{text!r} on {place}: {seen}, said: {typed.said}")[1]


either = pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
SERVE = f"{sys.executable} blog/build.py --serve --port 0"


# --- what a save shows


def asked_as(typed, *hosts):
    "Ask for a page as under these names; the first line of the answer comes back."
    port = urlsplit(typed.address).port
    lines = ["GET /mark1/ HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.makefile("rb").readline().decode().strip()


def test_only_a_name_of_this_computer_is_answered_and_hugo_listens_nowhere_else(author):
    "A page of another site can have its name lead here; its scripts must not read what is served."
    typed = author.type(SERVE)
    port = urlsplit(typed.address).port
    shows(typed, "Words.")
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST", f"[::1]:{port}"):
        assert "403" not in asked_as(typed, name), name
    for names in (("evil.example",), (f"evil.example:{port}",), ("localhost.evil.example",), (),
                  ("localhost", "evil.example"), ("evil.example", "localhost")):
        assert asked_as(typed, *names) == "HTTP/1.1 403 Forbidden", names
    found = listening(*typed.processes())
    assert len(found) == 2 and all(each.ip.startswith("127.") for each in found)
    if sys.platform == "linux": assert [each.ip for each in found].count("127.0.0.1") == 1


@either
def test_what_is_saved_is_shown(author, terminal):
    typed = author.type(terminal=terminal)
    shows(typed, "Words.")
    for turn in range(2):
        author.note.write_text(FRONT + f"Word number {turn}.\n")
        note = shows(typed, f"Word number {turn}.")
        write_chapter(author.home, new_markdown_cell(f"Chapter number {turn}."))
        chapter = shows(typed, f"Chapter number {turn}.", "chapters/01_toy/")
        print(f"shown after: a note {note:.2f} s, a chapter {chapter:.2f} s")
    assert typed.process.poll() is None and "hugo" in typed.processes().values()
    assert "mended" not in typed.said # nothing was wrong


def test_notes_chapters_and_pictures_that_come_and_go(author):
    typed = author.type(SERVE)
    other = author.home/"lesson_notes"/"2022-01-01.md"
    chapter = author.home/"nbs"/"02_other.ipynb"
    def is_gone(name, place):
        status, text = get(typed, place)
        return status == 200 and name not in text
    for _ in range(2):
        shutil.copy(author.chapter, chapter)
        shows(typed, "A toy chapter", "chapters/02_other/")
        embed = '{{< embed "02_other.ipynb#num-loss" "loss 0.25" >}}'
        other.write_text(FRONT.replace("2021-12-19", "2022-01-01") + f"It is {embed}.\n")
        shows(typed, "loss 0.25</a>", "notes/2022-01-01/")
        other.unlink()
        until(lambda: is_gone("2022-01-01", "notes/"), lambda: get(typed, "notes/"))
        chapter.unlink()
        until(lambda: is_gone("02_other", "chapters/"), lambda: get(typed, "chapters/"))
    author.note.write_text(FRONT + "![what it shows](2021-12-19/new.png)\n")
    typed.waits_for("mark1: lesson_notes/2021-12-19.md:6: there is no picture 2021-12-19/new.png")
    shutil.copy(author.note.with_suffix("")/"here.png", author.note.with_suffix("")/"new.png")
    shows(typed, 'alt="what it shows"')
    typed.waits_for("mark1: mended")


def test_the_page_of_a_module_and_outputs_older_than_the_code(author):
    typed = author.type(SERVE)
    write_chapter(author.home, new_code_cell("#| export\ndef doubled(\n    x, # any number\n): return 2*x"))
    shows(typed, "any number", "library/toy/")
    notebook = nbformat.read(author.chapter, 4)
    source = "#| label: num-x\nfrom mark1.other import x"
    notebook.cells.append(new_code_cell(source, outputs=[new_output("stream", text="1\n")]))
    (author.home/"mark1"/"other.py").write_text("x = 1\n")
    made_from = Chapter(author.chapter, notebook, author.home/"mark1").made_from
    notebook.metadata["mark1"] = {"made_from": made_from, "seconds": 1}
    nbformat.write(notebook, author.chapter)
    author.note.write_text(FRONT + 'It is {{< embed "01_toy.ipynb#num-x" "1" >}}.\n')
    shows(typed, ">1</a>.")
    (author.home/"mark1"/"other.py").write_text("x = 2\n")
    typed.waits_for("mark1: lesson_notes/2021-12-19.md:6: .*older than")


# --- faults


NOTES = { # what is wrong: the text, what is said, what the browser shows besides
    "embed": (
        'Words.\n\n{{< embed "02_gone.ipynb#num-x" >}}\n',
        'lesson_notes/2021-12-19.md:8: there is no chapter "02_gone.ipynb"; there are 01_toy.ipynb',
        "there is no chapter",
    ),
    "link": (
        "Words.\n\nA [link](2029-01-01.md).\n",
        "lesson_notes/2021-12-19.md:8: the link leads to lesson_notes/2029-01-01.md, "
        "and there is no such file",
        "lesson_notes/2029",
    ),
    "shortcode": (
        'Words.\n\n{{< embd "x" >}}\n',
        'lesson_notes/2021-12-19.md:8: there is no shortcode "embd"; there is embed',
        "embd",
    ),
    "HTML": (
        "Words.\n\n<b>bold</b>\n",
        "lesson_notes/2021-12-19.md:8: raw HTML (<b>) is left out of pages; write it as Markdown",
        None,
    ),
}


@either
def test_a_faulty_note_is_named_and_the_mended_one_is_shown(author, terminal):
    typed = author.type(terminal=terminal)
    other = author.home/"lesson_notes"/"2022-01-01.md"
    chapter = author.chapter.read_text()
    for kind, (text, said, shown) in NOTES.items():
        start = len(typed.said)
        author.note.write_text(FRONT + text)
        typed.waits_for(f"mark1: {re.escape(said)}", start)
        if shown: # in the browser as well, whatever else is saved, until it is mended
            shows(typed, shown, status=500)
            for turn in range(2):
                text = f"Beside {kind}, {turn} % wrong.\n"
                other.write_text(FRONT.replace("2021-12-19", "2022-01-01") + text)
                beside = f"mark1: lesson_notes/2022-01-01.md:6: '{turn} %' has no source"
                typed.waits_for(beside, start) # so it was seen
                for place in ("2021-12-19", "2022-01-01"):
                    shows(typed, shown, f"notes/{place}/", status=500)
            write_chapter(author.home, new_markdown_cell(f"A [link](99_{kind}.ipynb)."))
            dead = f"mark1: nbs/01_toy.ipynb, cell 4: the link leads to nbs/99_{kind}.ipynb"
            typed.waits_for(dead, start)
            shows(typed, shown, status=500) # besides that of the chapter
            author.chapter.write_text(chapter)
            until(lambda: f"99_{kind}" not in get(typed)[1], lambda: get(typed))
            shows(typed, shown, status=500)
            assert "mended" not in typed.said[start:]
        author.note.write_text(FRONT + f"Better than {kind}.\n")
        shows(typed, f"Better than {kind}.")
        if shown:
            typed.waits_for("mark1: mended", start)
            shows(typed, f"Beside {kind}, 1 %", "notes/2022-01-01/")
        else:
            assert "mended" not in typed.said[start:] # the page was shown all the time
        assert typed.said.count(said) == 1 # though Hugo says it with each build


NO_NOTEBOOK = r"nbs/01_toy.ipynb: it is no notebook \(.+\); save it once more"
def test_what_else_make_site_would_say_is_said_when_a_note_or_a_chapter_is_saved(author):
    author.note.write_text(FRONT + "Words, <b>bold</b>.\n")
    typed = author.type(SERVE)
    assert "mark1: lesson_notes/2021-12-19.md:6: raw HTML (<b>)" in typed.said # which is there from the start
    for text, said in (
        (FRONT + "It got 13 of 80 wrong.\n", "6: '13 of 80' has no source"),
        ('+++\nmood="fine"\n+++\n\nBare words.\n', "2: 'mood' in the front matter is not used here"),
    ):
        author.note.write_text(text)
        shows(typed, text.splitlines()[-1])
        typed.waits_for(re.escape(f"mark1: lesson_notes/2021-12-19.md:{said}"))
    write_chapter(author.home, new_markdown_cell("It got 11 of 80 wrong."))
    typed.waits_for("mark1: nbs/01_toy.ipynb, cell 4: no output shows '11 of 80'")
    shows(typed, "It got 11 of 80 wrong.", "chapters/01_toy/")
    author.note.write_text(FRONT + "Better words.\n")
    shows(typed, "Better words.")
    assert typed.said.count("13 of 80' has") == 1 == typed.said.count("'mood' in")
    assert typed.said.count("shows '11 of 80'") == 1


def without_title(path):
    nbformat.write(new_notebook(cells=[new_markdown_cell("Words")]), path)


def with_cell(cell):
    "Give a function that writes the chapter anew, with this cell in it."
    return lambda path: write_chapter(path.parent.parent, cell)


CHAPTERS = { # what is wrong: what is done to the chapter's file, what is said
    "half-saved": (lambda path: path.write_text(path.read_text()[:-40]), NO_NOTEBOOK),
    "empty": (lambda path: path.write_text(""), NO_NOTEBOOK),
    "other JSON": (lambda path: path.write_text('{"cells": [{}]}'), NO_NOTEBOOK),
    "no title": (
        without_title,
        "nbs/01_toy.ipynb: it does not begin with a title",
    ),
    "no Python": (
        with_cell(new_code_cell("#| export\ndef f(:")),
        "nbs/01_toy.ipynb, cell 4: it is exported and is no Python",
    ),
    "a dead link": (
        with_cell(new_markdown_cell("A [link](99_gone.ipynb).")),
        "nbs/01_toy.ipynb, cell 4: the link leads to",
    ),
}


def test_a_faulty_chapter_is_named_and_the_mended_one_is_shown(author):
    text = author.chapter.read_text()
    other = author.home/"nbs"/"02_other.ipynb"
    author.note.write_text(FRONT + 'It is {{< embed "01_toy.ipynb#num-loss" "loss 0.25" >}}.\n')
    shutil.copy(author.chapter, other)
    typed = author.type(SERVE)
    shows(typed, "loss 0.25</a>.")
    for kind, (spoil, said) in CHAPTERS.items():
        start = len(typed.said)
        spoil(author.chapter)
        typed.waits_for(f"mark1: {said}", start)
        shows(typed, "01_toy", "chapters/01_toy/", status=500)
        # one that is read after the faulty one
        other.write_text(text.replace("A toy chapter", f"Beside {kind}"))
        author.chapter.write_text(text) # as it was
        typed.waits_for("mark1: mended", start)
        shows(typed, f"Beside {kind}", "chapters/02_other/")
        shows(typed, "A toy chapter", "chapters/01_toy/")
        shows(typed, "loss 0.25</a>.")


def test_a_notebook_is_read_when_it_has_stayed_the_same_for_two_looks(home, monkeypatch):
    server = Server(home, {"lib_path": "mark1"}, 0)
    made = []
    moments = iter(range(1, 9))
    server.files = {MADE_OF: saved(home, MADE_OF)}
    server.latest = dict(server.files)
    monkeypatch.setattr(server, "make_pages", lambda folders: made.append(folders))
    def save(text):
        (home/"nbs"/"01_toy.ipynb").write_text(text)
        os.utime(home/"nbs"/"01_toy.ipynb", (next(moments),)*2)
    server.keep_up()
    for text in ("half", "the whole"): # of it
        save(text)
        server.keep_up()
        assert not made
    for _ in range(2):
        server.keep_up()
        assert made == [MADE_OF]


@pytest.mark.parametrize("of", ["note", "chapter", "template"])
def test_a_fault_that_is_there_from_the_start_is_waited_for(author, of):
    template = author.home/"blog"/"layouts"/"_partials"/"title.html"
    path, spoilt, said = {
        "note": (
            author.note,
            FRONT + '{{< embd "x" >}}\n',
            "lesson_notes/2021-12-19.md:6: there is no shortcode",
        ),
        "chapter": (author.chapter, "{", "nbs/01_toy.ipynb: it is no notebook"),
        "template": (template, "{{ if }}", "title.html"),
    }[of]
    text = path.read_text()
    path.write_text(spoilt)
    typed = author.type(SERVE, wait=False)
    typed.waits_for(f"mark1: .*{said}")
    typed.waits_for("mark1: the site is served as soon as that is mended")
    path.write_text(text)
    typed.address = typed.waits_for(r"the site is at (http://\S+/)")[1]
    shows(typed, "Words.")


# --- how it ends


def ask(typed, how):
    "Ask a command to end, in one of the ways that an author has."
    if how == "Ctrl-C": os.write(typed.end, b"\x03")
    elif how == "the terminal is closed": typed.hang_up()
    else: os.killpg(typed.process.pid, how)


@pytest.mark.parametrize("command, terminal, how, code", [
    ("make blog", True, "Ctrl-C", 130),
    ("make blog", True, "the terminal is closed", 129),
    (SERVE, True, "the terminal is closed", 129),
    ("make blog", False, signal.SIGINT, 130),
    ("make blog", False, signal.SIGTERM, 143),
    (SERVE, False, signal.SIGHUP, 129),
])
def test_all_processes_end(author, command, terminal, how, code):
    typed = author.type(command, terminal)
    names = typed.processes()
    assert {"hugo"} < set(names.values()) and len(names) == (3 if command == "make blog" else 2)
    ask(typed, how)
    ended = typed.ends()
    print(f"{command}, {how}: exit code {ended}; {typed.said.splitlines()[-1]}")
    # make may say by 2 that its command has failed
    assert ended in ((code, 2) if command == "make blog" else (code,))
    assert "Traceback" not in typed.said and get(typed)[0] == 0
    assert not list((author.home/"_run"/"blog"/"served").iterdir())


def test_it_ends_while_it_waits_for_a_fault_to_be_mended(author):
    author.note.write_text(FRONT + '{{< embd "x" >}}\n')
    typed = author.type(SERVE, wait=False)
    typed.waits_for("as soon as that is mended")
    ask(typed, signal.SIGINT)
    assert typed.ends() == 130 and "Traceback" not in typed.said


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGHUP], ids=["in the background", "nohup"])
def test_what_is_ignored_stays_so_and_sigterm_ends_it(author, ignored):
    typed = author.type(SERVE, ignored=[ignored])
    ask(typed, ignored)
    for turn in range(2): # it takes more than one look at the files
        author.note.write_text(FRONT + f"Word number {turn}.\n")
        shows(typed, f"Word number {turn}.")
    ask(typed, signal.SIGTERM)
    assert typed.ends() == 143


@LINUX
def test_hugo_ends_with_a_command_that_is_killed(author):
    typed = author.type(SERVE)
    os.kill(typed.process.pid, signal.SIGKILL)
    assert typed.ends() == 137


def test_it_ends_when_hugo_does(author):
    typed = author.type(SERVE)
    os.kill(next(number for number, name in typed.processes().items() if name == "hugo"), signal.SIGKILL)
    assert typed.ends() == 1


# --- the port


def test_a_port_in_use_is_said_and_another_is_taken(author):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        typed = author.type(SERVE.replace("--port 0", f"--port {port}"))
        assert f"; port {port} is in use" in typed.said and f":{port}/" not in typed.address
        shows(typed, "Words.")


def test_two_at_once_keep_out_of_each_others_way_and_a_port_that_is_let_go_is_taken_again(author):
    # none that the system gives to others
    port = next(port for port in range(20000, 30000) if free_port(port) == port)
    first = author.type(SERVE.replace("--port 0", f"--port {port}"))
    second = author.type(SERVE.replace("--port 0", f"--port {port}"))
    assert second.address != first.address
    with socket.create_connection(("127.0.0.1", int(port))) as kept: # a browser keeps its connection
        kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv(100).startswith(b"HTTP/1.1 200")
        ask(first, signal.SIGTERM)
        first.ends()
        author.note.write_text(FRONT + "Other words.\n")
        shows(second, "Other words.")
        assert get(second, "chapters/01_toy/")[0] == 200 # of which nothing was saved
        third = author.type(SERVE.replace("--port 0", f"--port {port}"))
    assert third.address == first.address


# --- in a browser


def test_the_browser_shows_each_save_by_itself(author, browser):
    typed = author.type()
    page = browser.new_page()
    def seen(text):
        "Wait until the page shows a text; it may be loading anew while it is asked."
        def there():
            try: return text in page.inner_text("body", timeout=10_000)
            except Error: return False
            finally: page.wait_for_timeout(20)
        return until(there, lambda: page.content())[1]
    page.goto(typed.address + "notes/2021-12-19/")
    seen("Words.")
    author.note.write_text(FRONT + "Other words.\n")
    print(f"an edited note is in the browser after {seen('Other words.'):.2f} s")
    author.note.write_text(FRONT + '{{< embd "x" >}}\n')
    seen("embd")
    author.note.write_text(FRONT + "Better words.\n")
    seen("Better words.")
    page.goto(typed.address + "chapters/01_toy/")
    seen("A toy chapter")
    text = author.chapter.read_text()
    author.chapter.write_text(text.replace("A toy chapter", "Another toy chapter"))
    print(f"an edited chapter is in the browser after {seen('Another toy chapter'):.2f} s")
    author.chapter.write_text(text[:-40])
    seen("nbs/01_toy.ipynb: it is no notebook")
    author.chapter.write_text(text)
    seen("A toy chapter")
    page.close()
