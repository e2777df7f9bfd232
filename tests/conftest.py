"What several test modules need: the repository, a copy of it with toy chapters, the real photographs."
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from of_chapters import leave_out_others, pytest_addoption, pytest_ignore_collect  # noqa: F401 (hooks)

# what `mark1 test` sets; torch reads it when a test module imports it, and is slower with more
os.environ.setdefault("OMP_NUM_THREADS", "1")
if sys.__stdin__ is None:
    sys.__stdin__ = open(os.devnull) # closed, which pytest and IPython do not expect

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent # where this environment's commands are, also when it is not activated
PHOTOGRAPHS = Path(os.environ.get(
    "MARK1_TEST_PHOTOGRAPHS",
    ROOT.parent/"shared"/"data"/"oxford-iiit-pet.tgz",
))
PATIENCE = 300 # seconds until a wait is given up; a busy machine needs far less, and nothing is judged by it
WINDING_UP = 60 # seconds that a process may still take to end after the last test



def typed(command, timeout=PATIENCE, **options):
    "Run a command to its end; its exit code and what it said come back."
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


def wait_for(condition, seconds=PATIENCE):
    "Poll until `condition()` gives something."
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(.02)
    return found


def listening(*numbers):
    "List the addresses, with ip and port, on which processes listen; one may end meanwhile."
    found = []
    for number in numbers:
        with suppress(psutil.NoSuchProcess): found += psutil.Process(number).net_connections("inet")
    return [each.laddr for each in found if each.status == psutil.CONN_LISTEN]


def interruptible():
    "Let Ctrl-C end a command, as its `preexec_fn`: one that is started from the background ignores it."
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def tracked():
    "Name the files that git keeps, or would; all files in a source distribution, where there is no git."
    names = typed(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT).stdout.splitlines()
    if not (ROOT/".git").exists():
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if "__pycache__" not in path.parts)
        names = [path.as_posix() for path in paths if not path.parts[0].startswith((".venv", "_", "learn"))]
    return sorted(name for name in names if (ROOT/name).is_file())


def copy_tracked(to):
    "Copy what git keeps."
    for name in tracked():
        (to/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT/name, to/name)
    return to


# What tests leave behind

def repository_files():
    "List the files of the repository that git does not keep, but for the caches of Python and pytest."
    caches = [f"--exclude={name}" for name in (".venv", "__pycache__", ".pytest_cache", "*.egg-info")]
    return set(typed(["git", "ls-files", "--others", *caches], cwd=ROOT).stdout.splitlines())


def left_running(folder):
    """List processes whose temporary folder is `folder`, or lies in it.

    Python's helpers are left out, as they end with this process.
    """
    found = []
    helpers = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
    inside = rb"TMPDIR=" + re.escape(str(folder).encode()) + rb"[/\0]"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError): # it has ended, or belongs to somebody else
            if not re.search(inside, (process/"environ").read_bytes()): continue
            words = (process/"cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((process/"stat").read_text().rpartition(")")[2].split()[1])
            helper = parent == os.getpid() and any(name in word for name in helpers for word in words)
            if any(words) and not helper:
                found.append(f"process {process.name}: {' '.join(words)[:200]}")
    return found


@pytest.fixture(scope="session", autouse=True)
def nothing_left(tmp_path_factory):
    """Give tests, and what they start, temporary folders of their own; at the end these must be empty.

    Each process of pytest has its own, so no other program is blamed. In the repository one could be;
    there a new file is a failure in continuous integration alone.
    """
    tmp_path_factory.getbasetemp() # pytest's own folder stays where it is
    own = Path(tempfile.mkdtemp(prefix="mark1-")) # short, as sockets lie in it
    files = repository_files()
    folders = {"TMPDIR": own/"tmp", "FASTAI_HOME": own/"fastai", "JUPYTER_RUNTIME_DIR": own/"runtime"}
    caches = {"IPYTHONDIR": own/"ipython", "MPLCONFIGDIR": own/"plot", "TORCHINDUCTOR_CACHE_DIR": own/"torch"}
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("PYTEST_ADDOPTS", raising=False) # not for a pytest that a test starts
        for name, folder in (folders | caches).items():
            folder.mkdir()
            patched.setenv(name, str(folder))
        patched.setattr(tempfile, "tempdir", None) # to be read anew
        yield
        with suppress(AssertionError):
            wait_for(lambda: not left_running(own/"tmp"), WINDING_UP)
        left = left_running(own/"tmp")
        left += [str(path) for folder in folders.values() for path in folder.rglob("*")]
    shutil.rmtree(own, ignore_errors=True)
    new = [str(ROOT/name) for name in sorted(repository_files() - files)]
    if "CI" in os.environ: left += new # where nobody else can have written it
    elif new:
        warnings.warn(f"new since the tests began, by a test or by you: {', '.join(new)}")
    assert not left, "tests left behind:\n" + "\n".join(left)


def pytest_collection_modifyitems(config, items):
    """Begin with the files whose docstring says that they take long, unless the order is to be random.

    So the workers end at about the same time.
    """
    leave_out_others(config, items)
    if config.pluginmanager.hasplugin("randomly"): return
    items.sort(key=lambda item: "Takes long: begins first." not in (item.module.__doc__ or ""))


# A browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("there is no Chromium to look at pages with; "
                    "call `make browser`, which installs it on Debian and Ubuntu")
    from playwright.sync_api import sync_playwright  # for few tests
    with sync_playwright() as playwright:
        words = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=words)
        yield browser
        browser.close()


def reached_by_tab(page, times):
    "Press Tab so many times; what has the focus then is named by its label, or by its text."
    names = []
    for _ in range(times):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.labels?.[0]?.textContent.trim() "
                                   "|| document.activeElement.textContent"))
    return names


# The table of faults

def faults_listed():
    "Read the table of faults in CONTRIBUTING.md: fault to exit code and what is said; `…` is for any words."
    text = (ROOT/"CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (.+?) \|$", text, re.MULTILINE)
    return {fault: (int(code), said) for fault, code, said in rows}


@pytest.fixture
def outcome(record_property):
    """Compare what a fault led to with its row in the table.

    What it led to is a command that has ended, or an exit code and what was said.
    """
    expected = faults_listed()
    def check(fault, result, said=None):
        code = result if said is not None else result.returncode
        if said is None:
            lines = [line for line in result.stderr.splitlines() if line.startswith("mark1: ")]
            assert len(lines) <= 1 and "Traceback" not in result.stderr, result.stderr
            said = lines[0].removeprefix("mark1: ") if lines else "runs as usual"
        record_property("fault", f"{fault} | {code} | {said}") # printed in the summary
        assert fault in expected, f"CONTRIBUTING.md has no row for {fault!r}: {code}, {said}"
        pattern = ".+".join(map(re.escape, expected[fault][1].split("…")))
        told = f"{code}, {said!r} is not {expected[fault]}\n{result}"
        assert code == expected[fault][0] and re.fullmatch(pattern, said), told
        return said
    return check


def pytest_collection_finish():
    "Let the collector pass over what the test files have imported: half a second each time."
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    "Print the faults that were made to happen, how many exercises were proved, and what was not checked."
    ended = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    noted = [each for report in ended if report.when == "call" for each in report.user_properties]
    faults = {said.partition(" | ")[0]: said for key, said in noted if key == "fault"} # each once
    if faults:
        terminalreporter.section("faults: what happened, exit code, what was said")
    for said in faults.values(): terminalreporter.line(said)
    proved = Counter(module for key, module in noted if key == "exercise of")
    counts = ", ".join(f"{count} of {module}" for module, count in proved.items())
    if proved: terminalreporter.write_line(f"exercises proved three ways: {counts}")
    skipped = {} # reason to the files of the tests
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        file = report.nodeid.partition("::")[0]
        skipped.setdefault(reason, []).append(Path(file).name)
    if skipped: terminalreporter.section("NOT CHECKED, and why", red=True, bold=True)
    for reason, names in skipped.items():
        terminalreporter.line(f"{len(names)} of the tests in {', '.join(sorted(set(names)))}: {reason}")


# What several tests work with

@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def toy_repository(tmp_path):
    "Make a repository in `tmp_path` whose chapters are given as lists of code cells."
    def make(**chapters):
        for name in ("settings.ini", "tests/sanitize.cfg", "nbs/conftest.py"):
            target = tmp_path/name
            target.parent.mkdir(exist_ok=True)
            target.write_text((ROOT/name).read_text())
        for name, sources in chapters.items():
            cells = [new_markdown_cell(f"# {name}\n\n> a toy"), *map(new_code_cell, sources)]
            nbformat.write(new_notebook(cells=cells), tmp_path/"nbs"/f"{name.lstrip('_')}.ipynb")
        return tmp_path
    return make


@pytest.fixture
def short_folder():
    "Make a temporary folder with a short name, for programs that put sockets into it."
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder: yield folder


def copy_repository(to):
    "Copy the chapters, what they quote, the library and the settings to where a run may write."
    caches = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    for name in ("nbs", "mark1", "benchmarks", "experiments"):
        shutil.copytree(ROOT/name, to/name, ignore=caches)
    shutil.copy(ROOT/"settings.ini", to)
    return to


@pytest.fixture
def copied_repository(tmp_path):
    return copy_repository(tmp_path)


SWITCHES = ("MARK1_DATA", "MARK1_MIRROR", "MARK1_KERNELS") # not handed on from whoever runs the tests


@pytest.fixture
def mark1(tmp_path):
    """Call the console command in a folder, with environment variables set.

    It has a cache of its own, so the user's stays untouched.
    """
    def call(*words, cwd=ROOT, timeout=2*PATIENCE, **variables):
        environment = {**os.environ, "FASTAI_HOME": str(tmp_path/"cache"), **variables}
        for name in SWITCHES:
            if name not in variables: environment.pop(name, None)
        return typed([BIN/"mark1", *words], timeout, cwd=cwd, env=environment)
    return call


@pytest.fixture
def mark1_here(tmp_path, monkeypatch, capsys):
    "Do what the console command does in this process, which is quicker; for tests whose point is no process."
    from mark1.workshop.runner import main
    def call(*words, cwd=ROOT, **variables):
        with monkeypatch.context() as patched:
            patched.chdir(cwd)
            for name in SWITCHES: patched.delenv(name, raising=False)
            patched.setenv("PATH", os.environ["PATH"]) # `main` changes it
            variables = {"FASTAI_HOME": str(tmp_path/"cache"), **variables}
            for name, value in variables.items(): patched.setenv(name, value)
            capsys.readouterr()
            code = main(words)
            shown = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, shown.out, shown.err)
    return call


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture
def serve():
    "Serve a folder on the loopback address, and give the address."
    servers = []
    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        servers.append(server)
        Thread(target=server.serve_forever, args=(.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def photographs():
    "Give the archive of real photographs; tests that need it skip where it is absent."
    if not PHOTOGRAPHS.is_file():
        pytest.skip(f"no photographs at {PHOTOGRAPHS}; name them in MARK1_TEST_PHOTOGRAPHS")
    return PHOTOGRAPHS
