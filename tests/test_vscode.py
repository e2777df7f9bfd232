"""What each chapter of the lesson shows in a real VS Code before anything runs: its first screen and outline.

`make editors` installs that VS Code. Where `MARK1_TEST_PICTURES` names a folder, a picture of each first
screen is kept there. `test_screens.py` asks the same of other places.
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from mark1.workshop.notebook import find_chapters, read_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from conftest import PATIENCE, ROOT, copy_repository, wait_for

TOOLS = Path(os.environ.get("MARK1_TEST_VSCODE", ROOT/"_run"/"tools"/"vscode"))
PICTURES = os.environ.get("MARK1_TEST_PICTURES")
CHAPTERS = {path.stem: path for path in find_chapters(ROOT/"nbs", ["lesson"])}
SCREEN = {"width": 1400, "height": 950}
SETTINGS = """{"workbench.editor.limit.enabled": true, "workbench.editor.limit.value": 1,
"workbench.startupEditor": "none", "remote.autoForwardPorts": false}"""


def printing(source):
    return new_code_cell(source, outputs=[new_output("stream", name="stdout", text="one\ntwo\nthree")])


TOYS = { # the controls: what a first screen must not be
    "importing": [new_code_cell("import math"), printing("print(math.pi)")],
    "idle": [printing("from this import d")],
    "long": [printing("\n".join(["x = 1"]*60))],
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    "Serve a copy of the course, and a few toys, in VS Code; the address comes back."
    if not (TOOLS/"ready").exists() or not shutil.which("node"):
        pytest.skip("there is no VS Code to look at chapters with; call `make editors`, which installs it")
    home = tmp_path_factory.mktemp("vscode")
    course = copy_repository(home/"course")
    for name, cells in TOYS.items():
        toy = new_notebook(cells=[new_markdown_cell(f"# Toy {name}"), *cells])
        nbformat.write(toy, course/f"{name}.ipynb")
    (home/"user"/"User").mkdir(parents=True)
    (home/"user"/"User"/"settings.json").write_text(SETTINGS)
    words = ["--auth=none", "--bind-addr=127.0.0.1:0", "--disable-telemetry", "--disable-update-check",
             "--disable-workspace-trust", f"--user-data-dir={home/'user'}", f"--extensions-dir={home/'more'}"]
    log = home/"log"
    def address():
        assert process.poll() is None, log.read_text()
        return re.search(r"listening on (http://127\.0\.0\.1:\d+)", log.read_text())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as sockets, open(log, "w") as said:
        environment = {**os.environ, "HOME": str(home), "TMPDIR": sockets}
        process = subprocess.Popen(["node", TOOLS/"node_modules"/"code-server", *words, course],
                                   stdout=said, stderr=said, env=environment)
        try: yield f"{wait_for(address)[1]}/?folder={course}"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def window(browser, server):
    "Open VS Code, with the outline beside the editor."
    page = browser.new_page(viewport=SCREEN)
    page.set_default_timeout(1000*PATIENCE)
    page.goto(server)
    page.locator(".explorer-folders-view .monaco-list-row").first.wait_for()
    page.locator(".sidebar .pane-header").first.click() # the list of files makes room
    page.locator(".sidebar .pane-header", has_text="Outline").click()
    yield page
    page.close()


def shown_in(page, file, title):
    "Open a notebook: the texts that are rendered, and the code cells that are on the screen."
    page.keyboard.press("Control+P")
    page.locator(".quick-input-widget input").first.wait_for()
    page.keyboard.insert_text(file)
    page.locator(".quick-input-list .monaco-list-row").filter(has_text=file).first.wait_for()
    page.keyboard.press("Enter")
    def rendered(): # in a frame of its own, which says which notebook it is about
        for frame in page.frames:
            first = frame.locator("h1")
            if first.count() and plain(first.first.text_content()) == title: return frame
    texts = wait_for(rendered)
    texts.locator(".output_container").first.wait_for()
    return SimpleNamespace(texts=texts, title=texts.locator("h1").first, cells=page.locator(".code-cell-row"),
                           line=".view-line", outputs=texts.locator(".output_container"))


def keep_picture(page, editor, name):
    "Keep a picture of what a page shows, where pictures are wanted."
    if PICTURES: page.screenshot(path=Path(PICTURES)/editor/f"{name}.png")


def plain(text):
    "Leave out of a heading the signs of Markdown."
    return " ".join(re.sub(r"[`*_]", "", text).split())


def headings(notebook):
    "List the headings of a notebook's texts, in order."
    texts = [re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
             for cell in notebook.cells if cell.cell_type == "markdown"]
    return [plain(found) for text in texts for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]


def is_import(line):
    return re.match(r"(from \S+ )?import ", line) is not None


def first_screen_faults(shown):
    "Say what is missing on a first screen: a result, below one cell of code that does more than import."
    top = lambda place: place.bounding_box()["y"]
    bottom = lambda place: top(place) + place.bounding_box()["height"]
    result = next((place for place in shown.outputs.all() if place.bounding_box()["height"] > 20), None)
    if top(shown.title) < 0 or bottom(shown.title) > SCREEN["height"]: return "its title is not on the screen"
    if result is None or top(result) + 80 > SCREEN["height"]: return "no result is on the screen"
    above = [place for place in shown.cells.all() if top(place) < top(result)]
    if len(above) != 1: return f"{len(above)} cells of code stand above the first result"
    lines = "\n".join(above[0].locator(shown.line).all_inner_texts()).replace("\xa0", " ").splitlines()
    code = [line for line in lines if line.strip() and not line.startswith("#")]
    return "" if [line for line in code if not is_import(line)] else "its first cell only imports"


def outline_of(page):
    "Unfold VS Code's outline, and read it."
    folded = page.locator(".outline-pane .monaco-tl-twistie.collapsed")
    while folded.count(): folded.first.click()
    return [plain(row) for row in page.locator(".outline-pane .monaco-list-row").all_inner_texts()]


def forms_on_paper(notebook):
    "List the texts that stand in for widgets."
    return [" ".join(out.data["text/plain"].split()) for cell in notebook.cells
            for out in cell.get("outputs", [])
            if out.output_type == "display_data" and set(out.data) == {"text/plain"}]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_in_vs_code(window, name):
    "Title and result on the first screen, no import above it; headings as the outline; widgets as texts."
    notebook = read_notebook(CHAPTERS[name])
    shown = shown_in(window, f"{name}.ipynb", headings(notebook)[0])
    keep_picture(window, "vscode", name)
    assert first_screen_faults(shown) == ""
    wait_for(lambda: outline_of(window) == headings(notebook))
    outputs = " ".join(shown.outputs.all_text_contents())
    for form in forms_on_paper(notebook): assert form in " ".join(outputs.split())


@pytest.mark.parametrize("name, fault", [
    ("importing", "2 cells of code stand above the first result"),
    ("idle", "its first cell only imports"),
    ("long", "no result is on the screen"),
])
def test_a_first_screen_without_a_game_is_noticed(window, name, fault):
    assert first_screen_faults(shown_in(window, f"{name}.ipynb", f"Toy {name}")) == fault
