"The chapters 14: what their machine refuses, and its playground in a browser, on a page as on the site."
import functools
import json
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import nbformat
import numpy as np
import pytest
from mark1.perceptron import Perceptron, alphabet, letter, squares, wired_straight
from mark1.playground import (
    RECORDING,
    VERSION,
    Playground,
    as_picture,
    as_text,
    carrying,
    description,
    machine_svg,
    record,
    replay,
)

from conftest import ROOT, reached_by_tab

PROGRAM = ROOT/"mark1"/"perceptron.js"
PATIENCE = 30_000 # milliseconds


@pytest.fixture(scope="module")
def taught():
    "Teach three letters; give the machine, the cards and the recording."
    cards, labels = alphabet("EXT")
    machine = Perceptron("EXT", association_units=128)
    return machine, cards, record(machine, cards, labels)


# --- bad input


@pytest.mark.parametrize("mistake, sentence", [
    (lambda machine: machine.answers(np.zeros((1, 28, 28))), "28 × 28; this retina has 20 × 20 cells"),
    (lambda machine: machine.teach(np.zeros((20, 21)), "E"), "20 × 21; this retina has 20 × 20 cells"),
    (lambda machine: machine.learn(np.zeros((2, 20, 20)), ["E"]), "2 pictures and 1 labels; give one to"),
    (lambda machine: machine.teach(np.zeros((20, 20)), "Q"), "label 'Q' is none of 'E', 'X', 'T'"),
    (lambda machine: machine_svg(machine, np.zeros((20, 20)), "Q"), "label 'Q' is none of 'E', 'X', 'T'"),
    (lambda machine: machine_svg(machine, np.zeros((8, 8))), "8 × 8; this retina has 20 × 20 cells"),
    (lambda machine: Perceptron("ABC", response_units=2), "2 response units cannot name 3 classes"),
    (lambda machine: wired_straight("ABCDEFGHI"), "8 response units cannot name 9 classes"),
    (lambda machine: Perceptron("AB", wires=401), "401 wires cannot begin at different cells"),
    (lambda machine: Perceptron("AB", window=21), "a square of 21 × 21 on a retina of 20 × 20"),
    (lambda machine: Perceptron("AB", wires=0), "0 wires cannot begin"),
    (lambda machine: letter("あ", "cmr10"), "cmr10 has no letter 'あ'"),
    (lambda machine: letter(""), "has no letter ''"),
    (lambda machine: letter("A", "No Such Typeface"), "Failed to find font"),
])
def test_what_the_machine_refuses(taught, mistake, sentence):
    machine = taught[0]
    before = machine.dials.copy()
    with pytest.raises(ValueError, match=re.escape(sentence)): mistake(machine)
    assert (machine.dials == before).all()


@pytest.mark.parametrize("change, sentence", [
    ({"version": VERSION + 1}, f"of version {VERSION + 1}, and {VERSION} is needed; record it anew"),
    ({"version": None}, f"of version None, and {VERSION} is needed"),
    ({"wires": [[1, -401]]}, "association unit 0 has a wire to cell 401; the cells are 1 to 400"),
    ({"wires": [[1], [0]]}, "association unit 1 has a wire to cell 0; the cells are 1 to 400"),
    ({"lessons": [[0, 3]]}, "names class 3; there are 3, from 0"),
    ({"lessons": [["ff", 0]]}, "this retina has 20 × 20"),
    ({"response_units": 2}, "2 response units cannot name 3 classes"),
    ({"side": 28, "wires": [[1]]}, "this retina has 28 × 28"),
])
def test_what_a_recording_may_not_hold(taught, change, sentence):
    recording = {**taught[2], **change}
    with pytest.raises(ValueError, match=re.escape(sentence)): replay(recording)
    with pytest.raises(ValueError, match=re.escape(sentence)): Playground(recording)


def test_a_recording_of_nothing_is_refused():
    with pytest.raises(ValueError, match="of version None"): replay({})


@pytest.mark.parametrize("side", [1, 3, 5, 20])
def test_pictures_survive_being_written(side):
    picture = np.random.default_rng(side).random((side, side)) < .5
    assert (as_picture(as_text(picture), side) == picture).all()


# --- the drawing


def test_the_drawing_follows_one_wire(taught):
    machine, cards, recording = taught
    other = replay(recording)
    assert machine_svg(other, cards[0]) == machine_svg(machine, cards[0])
    cell = int(np.flatnonzero(cards[0])[0])
    unit = int(np.flatnonzero(other.wires[:, cell] == 0)[0])
    other.wires[unit, cell] = 1
    assert machine_svg(other, cards[0]) != machine_svg(machine, cards[0])
    new = carrying(other, cards[0], 0)["plus"]
    assert [cell, unit] in new.tolist() and len(new) == len(carrying(machine, cards[0], 0)["plus"]) + 1


def test_a_class_name_cannot_break_the_drawing():
    drawing = machine_svg(Perceptron(["<b>", "&\"'"], association_units=8), np.zeros((20, 20)))
    assert "&lt;b&gt;" in drawing and "<b>" not in drawing


# --- the browser


def policy():
    "Read what the site's pages allow."
    template = (ROOT/"blog"/"layouts"/"baseof.html").read_text(encoding="utf-8")
    return re.search(r'Content-Security-Policy" content="([^"]+)"', template)[1]


@pytest.fixture
def page_of(browser, tmp_path):
    "Serve a page that shows a recording, from its own host, and open it; the browser must not complain."
    shutil.copy(PROGRAM, tmp_path)
    (tmp_path/"start.js").write_text(
        'import { mount, Machine } from "./perceptron.js";\n'
        'const recording = await (await fetch("recording.json")).json();\n'
        'window.Machine = Machine;\nwindow.recording = recording;\n'
        'mount(document.getElementById("machine"), recording);\n')
    (tmp_path/"index.html").write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mark 1</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}"><link rel="icon" href="icon.svg">'
        f'<script type="module" src="start.js"></script></head><body><main><h1>Mark 1</h1>'
        f'<div id="machine">the drawing stands here</div></main></body></html>')
    (tmp_path/"icon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    handler.func.log_message = lambda *words: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    contexts, said = [], []
    def open_page(recording, **options):
        (tmp_path/"recording.json").write_text(json.dumps(recording))
        context = browser.new_context(**{"viewport": {"width": 800, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        if options.get("java_script_enabled", True): page.locator("#machine p").first.wait_for()
        return page
    yield open_page
    for context in contexts: context.close()
    server.shutdown()
    server.server_close()
    assert said == []


def spoken(page): return page.locator("p").inner_text()


def at(page, row, column):
    "Give the middle of a cell, in pixels of the page."
    box = page.locator("svg").bounding_box()
    scale = box["width"]/660
    return box["x"] + scale*(14 + 12*(column + .5)), box["y"] + scale*(102 + 12*(row + .5))


def draw_bar(page, row, first, last):
    page.mouse.move(*at(page, row, first))
    page.mouse.down()
    page.mouse.move(*at(page, row, last), steps=40)
    page.mouse.up()


def test_a_stored_output_is_enough_for_a_page(page_of):
    "The notebook keeps the recording beside the drawing; what the page then says is what the drawing says."
    notebook = nbformat.read(ROOT/"nbs"/"14_playground.ipynb", as_version=4)
    data = notebook.cells[1].outputs[0].data
    assert data.keys() == {"text/plain", "image/svg+xml", RECORDING}
    assert data["text/plain"] in data["image/svg+xml"]
    assert spoken(page_of(json.loads(data[RECORDING]))) == data["text/plain"]


def test_the_page_says_what_the_model_holds(page_of, taught):
    machine, cards, recording = taught
    page = page_of(recording)
    assert spoken(page) == description(machine, cards[0])
    assert page.get_by_label("Show").input_value() == page.get_by_label("This is").input_value() == "0"
    sums = page.evaluate("(() => { const m = new Machine(recording); "
                         "return recording.pictures.map(p => m.sums(m.fires(m.picture(p)))); })()")
    assert sums == machine.sums(cards).tolist()
    for name, count in ((name, len(pairs)) for name, pairs in carrying(machine, cards[0], 0).items()):
        assert page.locator(f"path[data-part={name}]").get_attribute("d").count("L") == count


def test_a_rewired_unit_changes_the_page(page_of, taught):
    machine, cards, recording = taught
    cell = int(np.flatnonzero(cards[0])[0]) + 1
    wires = [*recording["wires"]]
    unit = next(number for number, unit in enumerate(wires) if cell not in map(abs, unit))
    wires[unit] = [*wires[unit], cell]
    found = []
    for each in (recording, {**recording, "wires": wires}):
        page = page_of(each)
        assert spoken(page) == description(replay(each), cards[0])
        found.append(page.locator("path[data-part=plus]").get_attribute("d"))
    assert found[1].count("L") == found[0].count("L") + 1


def test_drawn_with_the_mouse_and_taught(page_of, taught):
    recording = taught[2]
    page = page_of(recording)
    page.get_by_role("button", name="Clear").click()
    assert spoken(page).startswith("Perceptron: 0 of 400")
    draw_bar(page, 9, 3, 16)
    picture = np.zeros((20, 20), bool)
    picture[9, 3:17] = True
    assert spoken(page) == description(replay(recording), picture)
    page.get_by_label("This is").select_option("X")
    count = len(recording["lessons"])
    for number in (1, 2, 3): # until it is right
        page.get_by_role("button", name="Teach").click()
        assert page.get_by_text(f"after {count + number} of {count + number} lessons").is_visible()
    again = replay({**recording, "lessons": recording["lessons"] + [[as_text(picture), 1]]*3})
    assert spoken(page).endswith(description(again, picture))
    draw_bar(page, 9, 3, 5) # begins at a cell in the light, so it wipes
    picture[9, 3:6] = False
    assert spoken(page) == description(again, picture)


def test_long_names_of_lamps_stay_in_the_picture(page_of):
    cards, labels = squares(30)
    names = np.where(labels == "left", "to the left", "to the right")
    page = page_of(record(Perceptron(("to the left", "to the right")), cards, names))
    whole = page.locator("svg").bounding_box()
    boxes = [text.bounding_box() for text in page.locator("svg text").all()]
    assert len(boxes) == 5 and all(box["x"] + box["width"] <= whole["x"] + whole["width"] for box in boxes)


def test_with_the_finger(page_of, taught):
    page = page_of(taught[2], has_touch=True, viewport={"width": 390, "height": 800})
    page.get_by_role("button", name="Clear").tap()
    page.touchscreen.tap(*at(page, 4, 4))
    assert spoken(page).startswith("Perceptron: 1 of 400")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_with_the_keyboard_alone(page_of, taught):
    recording = taught[2]
    page = page_of(recording)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Retina of 20 by 20")
    assert page.locator("[data-part=cursor]").get_attribute("visibility") == "visible"
    page.keyboard.press("Delete")
    page.keyboard.press("Space") # the cell in the middle
    page.keyboard.press("ArrowRight")
    assert spoken(page) == "Row 11, column 12: dark."
    page.keyboard.press("Enter")
    picture = np.zeros((20, 20), bool)
    picture[10, 10:12] = True
    assert spoken(page) == description(replay(recording), picture)
    assert reached_by_tab(page, 6) == ["Show", "Clear", "This is", "Teach", "Replay", "Lessons"]
    page.keyboard.press("Home") # of the slider
    assert page.get_by_text("before the first lesson").is_visible()
    page.keyboard.press("ArrowRight")
    card, right = recording["lessons"][0]
    assert spoken(page) == description(replay(recording, 1), as_picture(recording["pictures"][card], 20))


def test_a_training_is_replayed(page_of, taught):
    machine, cards, recording = taught
    page = page_of(recording)
    slider = page.get_by_label("Lessons")
    slider.fill("0")
    assert "answer: none" in spoken(page)
    for step in (2, len(recording["lessons"])):
        slider.fill(str(step))
        card = recording["lessons"][step - 1][0]
        assert spoken(page) == description(replay(recording, step), cards[card])
    slider.fill(str(len(recording["lessons"]) - 1))
    page.get_by_role("button", name="Replay").click()
    page.get_by_text(f"after {len(recording['lessons'])} of").wait_for()
    page.get_by_role("button", name="Replay").wait_for() # it has ended


def test_nothing_moves_for_who_asks_for_that(page_of, taught):
    recording = taught[2]
    page = page_of(recording, reduced_motion="reduce")
    page.get_by_label("Lessons").fill("0")
    page.get_by_role("button", name="Replay").click()
    count = len(recording["lessons"])
    assert page.get_by_text(f"after {count} of {count} lessons").is_visible() # at once
    assert page.get_by_role("button", name="Pause").count() == 0


@pytest.mark.parametrize("change, sentence", [
    ({"version": 0}, "of version 0, and version 1 is needed; record it anew"),
    ({"wires": [[1], [500]]}, "Association unit 1 has a wire to a cell that is not there"),
])
def test_the_page_says_what_is_wrong_with_a_recording(page_of, taught, change, sentence):
    page = page_of({**taught[2], **change})
    assert sentence in page.get_by_role("alert").inner_text()


def test_without_javascript_the_drawing_stands_there(page_of, taught):
    page = page_of(taught[2], java_script_enabled=False)
    assert page.locator("#machine").inner_text() == "the drawing stands here"


def test_the_program_is_one_file_and_part_of_the_package():
    program = PROGRAM.read_text(encoding="utf-8")
    assert not re.search(r"^\s*import\b|\bimport\(|https?://(?!www\.w3\.org/2000/svg)", program, re.MULTILINE)
    assert f"const VERSION = {VERSION};" in program
    assert '"*.js"' in (ROOT/"pyproject.toml").read_text(encoding="utf-8")
    assert Playground._esm is not None
