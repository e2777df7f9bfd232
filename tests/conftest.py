"What several test modules need: the repository, a copy of it with toy chapters, the real photographs."
import os
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
PHOTOGRAPHS = Path(os.environ.get("MARK1_TEST_PHOTOGRAPHS", ROOT.parent/"shared"/"data"/"oxford-iiit-pet.tgz"))


FAULTS = {} # rows of the table of faults that the tests have seen happen: fault to exit code and what was said


def faults_listed():
    "The table of faults in CONTRIBUTING.md: fault to exit code and what is said, where `…` stands for any words."
    text = (ROOT/"CONTRIBUTING.md").read_text(encoding="utf-8")
    return {fault: (int(code), said) for fault, code, said in re.findall(r"^\| (.+?) \| (\d+) \| (.+?) \|$", text, re.MULTILINE)}


@pytest.fixture
def outcome():
    "Compare what a fault led to with its row in the table: of a command that has ended, or an exit code and what was said."
    expected = faults_listed()
    def check(fault, result, said=None):
        code = result if said is not None else result.returncode
        if said is None:
            lines = [line for line in result.stderr.splitlines() if line.startswith("mark1: ")]
            assert len(lines) <= 1 and "Traceback" not in result.stderr, result.stderr
            said = lines[0].removeprefix("mark1: ") if lines else "runs as usual"
        FAULTS[fault] = code, said
        assert fault in expected, f"CONTRIBUTING.md has no row for {fault!r}: {code}, {said}"
        pattern = ".+".join(map(re.escape, expected[fault][1].split("…")))
        assert code == expected[fault][0] and re.fullmatch(pattern, said), f"{code}, {said!r} is not {expected[fault]}\n{result}"
        return said
    return check


def pytest_terminal_summary(terminalreporter):
    "Print the faults that were made to happen, and how many exercises of each chapter were proved."
    if FAULTS: terminalreporter.section("faults: what happened, exit code, what was said")
    for fault, (code, said) in FAULTS.items(): terminalreporter.line(f"{fault} | {code} | {said}")
    proved = Counter(module for report in terminalreporter.getreports("passed") for key, module in report.user_properties if key == "exercise of")
    if proved: terminalreporter.write_line("exercises proved three ways: " + ", ".join(f"{count} of {module}" for module, count in proved.items()))


def pytest_addoption(parser):
    parser.addoption("--chapters", default="", metavar="NAME,NAME", help="only the tests that belong to these chapters, for instance 05_time_series")


AGREEMENT = {"test_repository.py", "test_notes.py"} # hold chapters against each other, the library, README and notes


def names_of(stems):
    "Give the names under which tests speak of chapters: that of the notebook and that of its module."
    return {name for stem in stems for name in (stem, stem[3:])}


def is_about(path, chosen):
    "Say whether a test file is about chapters: it imports one of their modules."
    lines = re.findall(r"^(?:from|import) mark1.*(?:\n +.*)*", path.read_text(encoding="utf-8"), re.MULTILINE)
    return bool(names_of(chosen) & {name for line in lines for name in re.findall(r"\w+", line)})


def goes_through_chapters(path):
    "Say whether a test file has a test for each chapter, with its name."
    return path.name in AGREEMENT or "find_chapters(" in path.read_text(encoding="utf-8") or path.name == "test_spelling.py"


def chosen_chapters(config):
    return [name for name in config.getoption("chapters").split(",") if name]


def pytest_ignore_collect(collection_path, config):
    chosen = chosen_chapters(config)
    if not chosen or not collection_path.match("test_*.py"): return None
    return True if not is_about(collection_path, chosen) and not goes_through_chapters(collection_path) else None


def pytest_collection_modifyitems(config, items):
    chosen = chosen_chapters(config)
    if not chosen: return
    others = names_of({path.stem for path in (ROOT/"nbs").glob("[0-9]*.ipynb")} - {*chosen})
    def belongs(item):
        named = {*re.findall(r"\w+", item.name.partition("[")[2])}
        if is_about(item.path, chosen) or named & names_of(chosen): return True
        return item.path.name in AGREEMENT and not named & others
    left_out = [item for item in items if not belongs(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


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
def mark1(tmp_path):
    "Call the console command in a folder, with environment variables set; a cache of its own keeps the user's untouched."
    def call(*words, cwd=ROOT, timeout=600, **variables):
        environment = {**os.environ, "FASTAI_HOME": str(tmp_path/"cache"), **variables}
        for name in ("MARK1_DATA", "MARK1_MIRROR", "MARK1_KERNELS"):
            if name not in variables: environment.pop(name, None)
        command = [Path(sys.executable).parent/"mark1", *words]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
    return call


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture
def serve():
    "Serve a folder on the loopback address; the address comes back."
    servers = []
    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def photographs():
    "The archive of real photographs; tests that need it skip where it is absent."
    if not PHOTOGRAPHS.is_file(): pytest.skip(f"no photographs at {PHOTOGRAPHS}; name them in MARK1_TEST_PHOTOGRAPHS")
    return PHOTOGRAPHS
