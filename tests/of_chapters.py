"""What `pytest tests --chapters=05_time_series` runs: the tests that belong to some chapters.

`mark1 test 05_time_series` uses it.
"""
import re
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/"nbs"
# hold chapters against each other, the library, README and notes
AGREEMENT = {"test_repository.py", "test_notes.py"}


def pytest_addoption(parser):
    "Add the option to pytest."
    parser.addoption("--chapters", default="", metavar="NAME,NAME",
                     help="only the tests that belong to these chapters, for instance 05_time_series")


def names_of(stems):
    "Give the names under which tests speak of chapters: that of the notebook and that of its module."
    return {name for stem in stems for name in (stem, re.sub(r"^\d\d_", "", stem))}


def is_about(path, chosen):
    """Say whether a test file is about chapters: it imports one of their modules, or says so.

    A file that types commands imports nothing; its docstring says `About: runner, kernels.`
    """
    text = path.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:from|import) mark1.*(?:\n +.*)*|^About: .*", text, re.MULTILINE)
    return bool(names_of(chosen) & {name for line in lines for name in re.findall(r"\w+", line)})


def goes_through_chapters(path):
    "Say whether a test file has a test for each chapter, with its name."
    if path.name in AGREEMENT: return True
    return "find_chapters(" in path.read_text(encoding="utf-8") or path.name == "test_spelling.py"


def chosen_chapters(config):
    "Give the chapters asked for; none where all tests are to run."
    return [name for name in config.getoption("chapters").split(",") if name]


def pytest_ignore_collect(collection_path, config):
    "Do not even import files without a test that belongs to the chapters."
    chosen = chosen_chapters(config)
    if not chosen or not collection_path.match("test_*.py"): return None
    if is_about(collection_path, chosen) or goes_through_chapters(collection_path):
        return None
    return True


def leave_out_others(config, items):
    "Leave out the tests that belong to none of the chapters asked for."
    chosen = chosen_chapters(config)
    if not chosen: return
    others = names_of({path.stem for path in NBS.rglob("*.ipynb")} - {*chosen})
    def belongs(item):
        named = {*re.findall(r"\w+", item.name.partition("[")[2])}
        if is_about(item.path, chosen) or named & names_of(chosen): return True
        return item.path.name in AGREEMENT and not named & others
    left_out = [item for item in items if not belongs(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
