"""What each chapter of the lesson shows first in a real JupyterLab, and about what GitHub would show.

The same questions as in VS Code. JupyterLab opens the learner's copy, with a kernel, and nothing has run yet.
GitHub cannot be had on a desk: nbconvert's plain page, as wide as GitHub's, is an imitation, and no more.

`make editors` keeps pictures, in folders of the names below.
"""
from types import SimpleNamespace

import pytest
from mark1.workshop.copies import FOLDER
from mark1.workshop.notebook import read_notebook
from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook

from conftest import PATIENCE, wait_for
from test_editors import command, lab  # noqa: F401, one is a fixture
from test_vscode import CHAPTERS, SCREEN, TOYS, first_screen_faults, headings, keep_picture, plain

pytestmark = pytest.mark.slow
GITHUB = """<style>
body { width: 1012px; margin: 0 auto; font: 16px/1.5 sans-serif }
pre { font-size: 12px; overflow: auto } blockquote { color: #59636e } img, svg { max-width: 100% }
.input pre { background: #f6f8fa; padding: 16px }
</style>"""


@pytest.fixture(scope="module")
def window(browser, lab): # noqa: F811
    "Open JupyterLab."
    page = browser.new_page(viewport=SCREEN)
    page.set_default_timeout(1000*PATIENCE)
    page.goto(f"{lab[0]}?token=secret")
    page.wait_for_function("globalThis.jupyterapp?.shell?.currentWidget?.content?.widgets")
    yield page
    page.close()


def shown_in_lab(page, path, title):
    "Open a notebook in JupyterLab: its title, code cells and outputs."
    command(page, "docmanager:open", path=path)
    panel = page.locator(f"[id='{page.evaluate('jupyterapp.shell.currentWidget.id')}']")
    heading = panel.locator("h1").first
    wait_for(lambda: plain((heading.text_content() or "").replace("¶", "")) == title)
    panel.locator(".jp-OutputArea-output").first.wait_for()
    return SimpleNamespace(title=heading, cells=panel.locator(".jp-CodeCell"), line=".cm-line",
                           outputs=panel.locator(".jp-OutputArea-output"))


def close(page):
    "Close the notebook in front, and end its kernel."
    page.evaluate("jupyterapp.shell.currentWidget.dispose()")
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_in_jupyterlab(window, name):
    shown = shown_in_lab(window, f"{FOLDER}/{name}.ipynb", headings(read_notebook(CHAPTERS[name]))[0])
    keep_picture(window, "jupyterlab", name)
    assert first_screen_faults(shown) == ""
    close(window)


def shown_as_on_github(page, notebook):
    "Show a notebook about as GitHub does: its title, code cells and outputs."
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    page.set_content(GITHUB + body)
    return SimpleNamespace(title=page.locator("h1").first, cells=page.locator(".code_cell"),
                           line=".input pre", outputs=page.locator(".output_area"))


@pytest.fixture(scope="module")
def sheet(browser):
    "Open an empty page."
    page = browser.new_page(viewport=SCREEN)
    yield page
    page.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_about_as_on_github(sheet, name):
    shown = shown_as_on_github(sheet, read_notebook(CHAPTERS[name]))
    keep_picture(sheet, "github", name)
    assert first_screen_faults(shown) == ""


@pytest.mark.parametrize("name, fault", [
    ("importing", "2 cells of code stand above the first result"),
    ("idle", "its first cell only imports"),
    ("long", "no result is on the screen"),
])
def test_a_first_screen_without_a_game_is_noticed_there(sheet, name, fault):
    toy = new_notebook(cells=[new_markdown_cell(f"# Toy {name}"), *TOYS[name]])
    assert first_screen_faults(shown_as_on_github(sheet, toy)) == fault
