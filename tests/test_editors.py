"""What an editor shows: a kernel that anything starts, and a learner's first hour in a real JupyterLab.

A kernel that VS Code starts gets what `mark1 run` gives its own, so there is no red warning. JupyterLab runs
in Debian's Chromium: chapter 01 from end to end, a picture, an exercise, a slider, the perceptron.

About: kernels, runner.
Takes long: begins first.
"""
import json
import math
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from contextlib import suppress
from types import SimpleNamespace
from urllib.parse import urlsplit

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from mark1.data.sets import load
from mark1.workshop.copies import FOLDER, digest
from mark1.workshop.kernels import kernel_environment
from mark1.workshop.notebook import read_notebook
from nbformat.v4 import new_code_cell

from conftest import BIN, PATIENCE, ROOT, copy_repository, wait_for

GIVEN = kernel_environment().items()
OURS = [name for name, value in GIVEN if os.environ.get(name) != value or name.endswith("_NUM_THREADS")]
PROBE = """import os, warnings
print(os.environ["OMP_NUM_THREADS"])
warnings.warn("red", FutureWarning)"""


def as_a_person_has_it(**variables):
    "Give this process's environment without what `mark1 run` would add."
    ours = {*OURS, "PYTHONWARNINGS", "MARK1_DATA", "MARK1_KERNELS"}
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **variables}


def shown(client, source):
    "Run a cell in a kernel; what it prints comes back, name of the stream to text."
    said = {}
    def hook(message):
        if message["msg_type"] == "stream":
            said[message["content"]["name"]] = message["content"]["text"]
    reply = client.execute_interactive(source, output_hook=hook, timeout=PATIENCE)
    assert reply["content"]["status"] == "ok", reply["content"]
    return said


def test_a_kernel_that_anything_starts():
    "VS Code starts kernels without asking `mark1`; what this person's environment says must not stay."
    manager, client = start_new_kernel(env=as_a_person_has_it(OMP_NUM_THREADS="7"))
    try: assert shown(client, PROBE) == {"stdout": "1\n"}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# --- JupyterLab

def serving(runtime):
    "Give the address of the server that keeps its facts in a folder, once it answers there."
    for facts in runtime.glob("jpserver-*.json"):
        with suppress(OSError, ValueError): # half written, or not listening yet
            address = json.loads(facts.read_text())["url"]
            if urllib.request.urlopen(f"{address}api", timeout=PATIENCE).status == 200:
                return address


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    "Start `mark1 lab` in a copy of the course, but for the window; its address and the course come back."
    home = tmp_path_factory.mktemp("lab")
    course = copy_repository(home/"course")
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=secret", "--ServerApp.port=0",
               "--expose-app-in-browser"]
    environment = as_a_person_has_it(JUPYTER_RUNTIME_DIR=str(home/"runtime"), HOME=str(home),
                                      FASTAI_HOME=str(home/"fastai"))
    with open(home/"log", "w") as log:
        started = {"cwd": course, "env": environment, "start_new_session": True}
        process = subprocess.Popen([BIN/"mark1", "lab", "--", *options], stdout=log, stderr=log, **started)
    try:
        address = wait_for(lambda: serving(home/"runtime") or process.poll() is not None)
        assert process.poll() is None, (home/"log").read_text()
        yield address, course
    finally:
        with suppress(ProcessLookupError): os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def listening(page):
    "Collect, from now on, the errors in a page's console, and the hosts that it asks for anything."
    complaints, hosts = [], set()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for asks in ("request", "websocket"):
        page.on(asks, lambda sent: hosts.add(urlsplit(sent.url).netloc))
    return complaints, hosts


def test_a_complaint_and_a_question_to_another_host_are_noticed(browser):
    page = browser.new_page()
    complaints, hosts = listening(page)
    page.evaluate("console.error('said'); setTimeout(() => { throw Error('thrown') })")
    page.evaluate("fetch('http://elsewhere.invalid/').catch(() => new WebSocket('ws://socket.invalid/'))")
    wait_for(lambda: page.evaluate("1") and hosts == {"elsewhere.invalid", "socket.invalid"})
    wait_for(lambda: page.evaluate("1") and {"said", "thrown"} <= {*complaints})
    page.close()


@pytest.fixture(scope="module")
def window(browser, lab):
    "Open what `mark1 lab` opens: the page, its complaints, the hosts it asked, and what it showed at first."
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.set_default_timeout(1000*PATIENCE)
    complaints, hosts = listening(page)
    page.goto(f"{lab[0]}?token=secret")
    wait_for_kernel(page)
    figure = page.locator(".jp-CodeCell .jp-RenderedSVG").first # shown where the notebook is trusted
    at_first = {"path": urlsplit(page.url).path, "figure": figure.is_visible()}
    yield SimpleNamespace(page=page, complaints=complaints, hosts=hosts, at_first=at_first)
    page.close()


@pytest.fixture
def page(window, lab):
    "Give the page; at the end it must not have complained, nor asked another host for anything."
    yield window.page
    assert window.complaints == []
    assert window.hosts - {""} == {urlsplit(lab[0]).netloc} # '' for what a page holds itself, as data:


def wait_for_kernel(page):
    "Wait until the notebook in front has a kernel that is ready."
    state = "globalThis.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
    page.wait_for_function(f"{state} == 'idle'")


def command(page, name, **arguments):
    "Call a command of JupyterLab, as its menus do, and wait for its end."
    page.evaluate("""([name, given]) => {
        globalThis.ended = null
        jupyterapp.commands.execute(name, given)
            .then(() => { globalThis.ended = "well" }, error => { globalThis.ended = String(error) })
    }""", [name, arguments])
    page.wait_for_function("globalThis.ended", timeout=4*1000*PATIENCE) # all cells of a chapter, for instance
    assert page.evaluate("globalThis.ended") == "well"


def opened(page, path):
    "Bring a notebook to the front; its code cells come back."
    command(page, "docmanager:open", path=path)
    wait_for_kernel(page)
    panel = page.evaluate("jupyterapp.shell.currentWidget.id")
    return page.locator(f"[id='{panel}'] .jp-CodeCell")


def run(page, cell, source=None):
    "Run a cell, with another source if one is given."
    cell.locator(".cm-content").click()
    if source:
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")


FIRST = f"{FOLDER}/01_first_model.ipynb"


@pytest.fixture(scope="module")
def ran(window, lab):
    "Run all cells of chapter 01, and save; the notebook as it was before and as it was saved come back."
    page = window.page
    before = read_notebook(lab[1]/FIRST)
    opened(page, FIRST)
    command(page, "notebook:run-all-cells")
    command(page, "docmanager:save")
    return before, read_notebook(lab[1]/FIRST)


def test_the_lab_opens_at_chapter_01_and_shows_its_figure_before_it_runs(window):
    assert window.at_first == {"path": f"/lab/tree/{FIRST}", "figure": True}


def losses_in(outputs):
    "Read training and validation loss of each epoch in the tables that a training shows."
    tables = "".join(str(out.get("data", {}).get("text/html", "")) for out in outputs)
    rows = re.findall(r"<tr>\s*<td>\d+</td>\s*<td>(\d+\.\d+)</td>\s*<td>(\d+\.\d+)</td>", tables)
    return [float(loss) for row in rows for loss in row]


def test_chapter_01_runs_to_its_end(page, ran):
    "Without an error or a warning, and with the losses that were stored."
    before, after = ([cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in ran)
    assert [cell.source for cell in after] == [cell.source for cell in before]
    assert [cell.execution_count for cell in after] == [*range(1, len(after) + 1)]
    outputs = [out for cell in after for out in cell.outputs]
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]
    copied_from = [notebook.metadata["mark1"]["copied_from"] for notebook in ran]
    assert copied_from == 2*[digest(ran[1].cells)] # to run and save is not to edit
    assert losses_in(after[0].outputs)
    # another processor rounds differently
    assert losses_in(after[0].outputs) == pytest.approx(losses_in(before[0].outputs), abs=.1)


def test_a_picture_of_ones_own_is_answered(page, ran):
    "The button says the same as the cell that takes a path."
    _, after = ran
    by_path = next(cell for cell in after.cells if "print(classify(" in cell.source).outputs[0].text.strip()
    cells = opened(page, FIRST)
    button = cells.locator(".widget-upload")
    button.scroll_into_view_if_needed()
    with page.expect_file_chooser() as chooser: button.click()
    chooser.value.set_files(load("photographs")["chelsea"])
    cells.locator(".widget-label").get_by_text(by_path).wait_for()


def test_an_exercise_answers(page, ran):
    "Blank, with a known mistake, and right."
    cell = opened(page, FIRST).filter(has_text='check("error-1"')
    right = math.floor(math.log(.025)/math.log(.99)) + 1 # as its chapter proves
    output = cell.locator(".jp-OutputArea-output")
    cell.scroll_into_view_if_needed()
    output.get_by_text("nothing entered yet").wait_for()
    run(page, cell, 'check("error-1", 100)')
    output.get_by_text("not yet. One of a hundred is 1 %").wait_for()
    run(page, cell, f'check("error-1", {right})')
    output.get_by_text("error-1: right").wait_for()


def test_a_slider_draws_anew(page):
    cell = opened(page, f"{FOLDER}/19_widgets.ipynb").first
    run(page, cell)
    handle, box = cell.get_by_role("slider"), cell.locator(".widget-vbox")
    handle.wait_for()
    said, picture = box.inner_text(), box.locator("img").get_attribute("src")
    place = handle.bounding_box()
    page.mouse.move(place["x"] + place["width"]/2, place["y"] + place["height"]/2)
    page.mouse.down()
    page.mouse.move(place["x"] + 300, place["y"], steps=5)
    page.mouse.up()
    wait_for(lambda: box.inner_text() != said and box.locator("img").get_attribute("src") != picture)


def test_the_perceptron_learns_what_is_drawn(page, lab):
    "What was taught by hand is in Python's machine: a cell that is added asks for it."
    path = lab[1]/FOLDER/"14_playground.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, new_code_cell("playground = _\nprint('taught', playground.lessons[-1][1])"))
    nbformat.write(notebook, path)
    cells = opened(page, f"{FOLDER}/{path.name}")
    run(page, cells.first)
    machine = cells.first
    retina = machine.get_by_role("application")
    retina.wait_for()
    machine.get_by_role("button", name="Clear").click()
    box = retina.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 100, steps=10)
    page.mouse.up()
    machine.get_by_label("This is").select_option("B")
    machine.get_by_role("button", name="Teach").click()
    run(page, cells.nth(1))
    cells.nth(1).get_by_text("taught 1").wait_for()
