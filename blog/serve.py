"""Serve the site while notes and chapters are written: Hugo shows each save, and what is wrong.

Notes and chapters are made into pages anew when they, or the library, are saved; Hugo watches the pages. What
cannot be made into a page stops Hugo by its fault, and the browser shows it. What `make site` would say of a
note or a chapter beside that is said when it is saved.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from faults import complaints
from gate import Gate, own_address
from indexes import INDEXES, index_for_search, indexing_faults
from notes import NOTES, make_notes
from pages import PAGES, make_pages
from programs import hugo

SERVED = Path("_run/blog/served") # below the repository; a folder for each port is in it
MADE_OF = "nbs", "mark1" # what the pages of chapters are made of
ALL = *MADE_OF, str(NOTES), "blog"
WARNING = re.compile(r"^WARN +(?=\S+:\d+:\d+)") # one of our own templates, with a place
TICK = .1 # seconds between two looks at the files
ENDS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"): ENDS.append(signal.SIGHUP) # Windows lacks it


def free_port(
    wanted:int, # 0 for any
    address:str="127.0.0.1",
) -> int:
    "Give the wanted port of a loopback address, or another where it is in use."
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) # one just let go is free
            probe.bind((address, port))
            return probe.getsockname()[1]


def saved(
    root:Path, # the repository
    folders:tuple[str, ...], # in it
) -> dict[str, int]: # path to the moment of its last change
    "Say when each file was last saved."
    moments = {}
    for folder in folders:
        for place, _, names in os.walk(root/folder):
            if os.path.basename(place).startswith((".", "__")):
                continue # checkpoints, and what Python keeps
            for name in names:
                path = f"{place}/{name}"
                with suppress(OSError):
                    moments[path] = os.stat(path).st_mtime_ns # else it is gone
    return moments


def end_when_asked():
    """Let Ctrl-C, a closed terminal and `kill` raise `SystemExit`, with the code that a shell gives.

    What is ignored from the start, as under nohup, stays so.
    """
    def end(number, _):
        for each in ENDS:
            signal.signal(each, signal.SIG_IGN) # what follows is not cut short by asking twice
        sys.exit(128 + number)
    for each in ENDS:
        if signal.getsignal(each) != signal.SIG_IGN: signal.signal(each, end)


def end_with_parent():
    "Be ended, in a child on Linux, when the parent is killed."
    ctypes.CDLL(None).prctl(1, signal.SIGTERM) # 1 is PR_SET_PDEATHSIG


TIED = {"preexec_fn": end_with_parent} if sys.platform == "linux" else {} # else it ends at its next word


class Server:
    "Run Hugo with live reload, drafts included."

    def __init__(self,
        root:Path, # the repository
        settings:dict[str, str], # of settings.ini
        wanted:int, # port
    ):
        self.root = root
        self.settings = settings
        self.port = free_port(wanted)
        self.address = f"http://localhost:{self.port}/"
        self.folder = root/SERVED/str(self.port)
        self.taken = f"; port {wanted} is in use" if wanted not in (0, self.port) else ""
        self.origins = {}
        self.beside = {} # what is said of chapters and of notes, though they are shown
        self.programs = []
        self.hugo = None
        self.gate = None

    def open(self):
        "Listen for browsers."
        self.gate = Gate(self.port)

    def start(self):
        "Make the pages, and start Hugo on them."
        self.all = saved(self.root, ALL) # before anything is read, as the next
        self.files = {folders: saved(self.root, folders) for folders in (MADE_OF, (str(NOTES),))}
        self.latest = dict(self.files)
        self.serves = False
        self.wrong = [] # what is wrong
        self.stands = False # whether the site stands still for it
        self.found = [] # what is wrong in the build at work
        self.fails = False # whether it fails
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("chapters", "library"):
            (self.root/PAGES/name).mkdir(parents=True, exist_ok=True) # Hugo watches what is there
        for folders in self.files: self.make_pages(folders)
        behind = own_address()
        port = free_port(0, behind)
        self.hugo = hugo(
            self.root, self.settings, "server", "--buildDrafts", "--noHTTPCache", "--bind", behind,
            "--port", str(port), "--baseURL", self.address, "--appendPort=false",
            "--liveReloadPort", str(self.port), "--destination", str(self.folder),
            text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            process_group=0, **TIED) # Ctrl-C reaches this process alone, which then ends Hugo
        self.programs = [self.hugo]
        self.gate.behind = behind, port
        self.lines = SimpleQueue()
        self.reader = Thread(target=lambda: [self.lines.put(line) for line in self.hugo.stdout], daemon=True)
        self.reader.start()

    def make_pages(self,
        folders:tuple[str, ...], # what the pages are made of
    ):
        "Make pages of the notebooks or notes that have changed; Hugo shows and says what is at fault."
        try:
            if folders == MADE_OF: origins, _, beside = make_pages(self.root, self.settings)
            else:
                notes = make_notes(self.root)
                origins, beside = notes.origins, notes.remarks + notes.numbers
            self.origins |= origins
            self.beside[folders] = beside
        except (ValueError, OSError) as error: print(f"mark1: {error}", flush=True) # no chapter, no room

    def keep_up(self):
        "Make pages anew when a note, a notebook or a module has been saved."
        for folders in self.files:
            now = saved(self.root, folders)
            if now != self.files[folders] and now == self.latest[folders]: # seen twice: saving takes a moment
                self.files[folders] = now
                self.make_pages(folders)
            self.latest[folders] = now

    def index(self):
        "Make the index of the search, of the first state; `make site` makes it anew."
        indexing = [index_for_search(self.folder, name) for name in INDEXES]
        self.programs += indexing
        for sentence in indexing_faults(indexing):
            print(f"mark1: {sentence}", flush=True)

    def listen(self):
        "Say what Hugo finds wrong, and when it is mended; heed that it serves, and where a build ends."
        while not self.lines.empty():
            line = self.lines.get()
            self.fails |= line.startswith("ERROR")
            self.found += complaints(WARNING.sub("ERROR ", line), self.root, self.origins)
            if line.startswith("Web Server is available") and not self.serves:
                self.serves = True
                self.index()
                self.say()
                print(f"mark1: the site is at {self.address}{self.taken}; Ctrl-C ends it", flush=True)
            if line.startswith("Total in "): self.say()

    def goes_on(self,
    ) -> bool: # False when Hugo has ended after it served the site
        "Look once at what was saved and what Hugo says; start it anew where a fault kept it from serving."
        if not self.hugo:
            if saved(self.root, ALL) != self.all: self.start()
            return True
        code = self.hugo.poll()
        if code is None: self.keep_up()
        else: self.reader.join()
        self.listen()
        if code is None or self.serves: return code is None
        self.found = self.found or [f"Hugo ended with exit code {code}"]
        self.say()
        print("mark1: the site is served as soon as that is mended", flush=True)
        self.hugo = None
        return True

    def say(self):
        "Print what is wrong, once for as long as it stays so."
        found = list(dict.fromkeys(chain(self.found, *self.beside.values())))
        for sentence in found:
            if sentence not in self.wrong: print(f"mark1: {sentence}", flush=True)
        if self.stands and not self.fails:
            print("mark1: mended; the site is shown again", flush=True)
        self.wrong = found
        self.found = []
        self.stands = self.fails
        self.fails = False

    def end(self):
        "Listen no more; end Hugo, and Pagefind where it is at work."
        if self.gate: self.gate.end()
        for process in self.programs:
            process.terminate()
            try: process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def serve(
    root:Path, # the repository
    settings:dict[str, str], # of settings.ini
    port:int, # as for `free_port`
) -> int: # exit code
    "Serve the site until Ctrl-C."
    end_when_asked()
    server = Server(root, settings, port)
    terminal = sys.stdout.isatty()
    try:
        server.open()
        server.start()
        while server.goes_on():
            if terminal and not sys.stdout.isatty():
                return 129 # it was closed, and no signal has come
            time.sleep(TICK)
        return 1
    finally: server.end()
