"What must agree with what: notebooks, library, README, settings, links."
import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pytest
from mark1.workshop import kernels
from mark1.workshop.containers import CHECK_BASE, container_faults
from mark1.workshop.copies import FOLDER
from mark1.workshop.notebook import (
    Chapter,
    directives,
    entrance,
    find_chapters,
    kind_of,
    links,
    modules_imported,
    pictures_of,
    read_chapter,
    read_chapters,
    readme_text,
    setting,
    stored_picture,
    wing_of,
)
from nbdev.clean import clean_nb
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from conftest import BIN, ROOT, faults_listed, tracked, typed

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones

NOTEBOOKS = sorted(path for path in (ROOT/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
CHAPTERS = find_chapters(ROOT/"nbs")
TRACKED = [ROOT/name for name in tracked()]
by_name = {"ids": lambda path: path.name}


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def module_of(path):
    "Name the module that a notebook exports, None for one that exports none."
    named = [marks for cell in code_cells(path) for line in cell.source.splitlines()
             if (marks := re.match(r"#\|\s*default_exp\s+(\S+)", line))]
    assert len(named) <= 1, f"{path.name} has {len(named)} default_exp"
    return named[0][1] if named else None


def export_differences(repository):
    "List the files of the library that differ after a fresh export into a copy of `repository`."
    library = repository/"mark1"
    place = lambda path: path.relative_to(library).as_posix()
    modules = lambda: {place(path): path.read_bytes() for path in library.rglob("*.py")}
    fresh = modules()
    for path in library.rglob("*.py"): path.unlink()
    (repository/"mark1"/"__init__.py").write_text(f'__version__ = "{setting("version")}"\n')
    subprocess.run([BIN/"nbdev_export"], cwd=repository, check=True)
    again = modules()
    return sorted(name for name in fresh.keys() | again.keys() if fresh.get(name) != again.get(name))


@pytest.fixture
def copy(tmp_path):
    caches = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    shutil.copytree(ROOT/"nbs", tmp_path/"nbs", ignore=caches)
    shutil.copytree(ROOT/"mark1", tmp_path/"mark1", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT/"settings.ini", tmp_path)
    return tmp_path


def test_library_is_what_the_notebooks_export(copy):
    assert export_differences(copy) == []


@pytest.mark.parametrize("name, change", [
    ("data/sets.py", "\n# edited by hand\n"),
    ("forgotten.py", "x = 1\n"),
])
def test_an_edited_or_forgotten_module_is_noticed(copy, name, change):
    with open(copy/"mark1"/name, "a") as file: file.write(change)
    assert export_differences(copy) == [name]


def test_each_chapter_has_its_module_and_each_module_its_chapter():
    chapters = read_chapters(ROOT)
    wanted = lambda each: each.name[3:] if each.wing == "lesson" else f"{each.wing}.{each.name}"
    names = {chapter.path: wanted(chapter) for chapter in chapters}
    assert {path: module_of(path) for path in names} == names
    library = {path.relative_to(ROOT/"mark1").with_suffix("") for path in (ROOT/"mark1").rglob("*.py")}
    modules = {".".join(path.parts) for path in library if path.name not in ("__init__", "_modidx")}
    assert modules == {*names.values()}
    packages = {".".join(("mark1", *path.parent.parts)) for path in library}
    assert {*tomllib.loads((ROOT/"pyproject.toml").read_text())["tool"]["setuptools"]["packages"]} == packages


def imported_by(chapter):
    "List the modules of the library that a chapter imports; the module it exports imports no others."
    cells = [cell.source for cell in chapter.notebook.cells if cell.cell_type == "code"]
    found = set().union(*(modules_imported(source, chapter.library, chapter.module) for source in cells))
    return found - {chapter.module, "data", "workshop"} # packages hold nothing


def wrong_imports(chapters):
    """Say which imports go another way than the one.

    The lesson imports data, exercises, sliders and lower numbers; the workshop, data; data, nothing but data.
    """
    by_module, wrong = {chapter.module: chapter for chapter in chapters}, []
    for chapter in chapters:
        for module in imported_by(chapter):
            other = by_module[module]
            if chapter.wing == other.wing == "lesson":
                well = module in ("exercises", "widgets") or other.name < chapter.name
            else:
                well = other.wing == "data" or chapter.wing == other.wing == "workshop"
            if not well: wrong.append(f"{chapter.place} imports {module}")
    needs = {chapter.module: imported_by(chapter) for chapter in chapters}
    while free := [module for module, others in needs.items() if not others & needs.keys()]:
        for module in free: del needs[module]
    return sorted(wrong) + ([f"a loop: {', '.join(sorted(needs))}"] if needs else [])


def test_imports_go_one_way():
    "Resolved as Python does; `index` is the cover of the book, written by the workshop."
    assert wrong_imports(read_chapters(ROOT)) == []
    for folder in ("blog", "build"):
        for path in (ROOT/folder).glob("*.py"):
            used = modules_imported(path.read_text(encoding="utf-8"), ROOT/"mark1")
            assert {module.partition(".")[0] for module in used} <= {"data", "workshop"}, path.name


@pytest.mark.parametrize("place, code, wrong", [
    ("01_low", "def f():\n    from mark1.high import x", "01_low.ipynb imports high"),
    ("01_low", "import mark1.workshop.tool as t", "01_low.ipynb imports workshop.tool"),
    ("workshop/tool", "from mark1 import low", "workshop/tool.ipynb imports low"),
    ("data/files", "from mark1.workshop import (\n    tool)", "data/files.ipynb imports workshop.tool"),
    ("data/files", "from mark1.data.sets import y", "a loop: data.files, data.sets"),
    ("02_high", "import mark1.low, mark1.data.sets", "")])
def test_an_import_that_goes_another_way_is_noticed(tmp_path, place, code, wrong):
    codes = dict.fromkeys(["01_low", "02_high", "data/files", "data/sets", "workshop/tool"], "")
    codes["data/sets"] = "from mark1.data import files"
    for name in codes:
        module = (tmp_path/"mark1"/name.removeprefix("01_").removeprefix("02_")).with_suffix(".py")
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
    chapters = []
    for name, own in codes.items():
        module = name.removeprefix("01_").removeprefix("02_").replace("/", ".")
        cells = [f"#| default_exp {module}", own, code if name == place else ""]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        chapters.append(Chapter(tmp_path/"nbs"/f"{name}.ipynb", notebook, tmp_path/"mark1"))
    assert wrong_imports(chapters) == [wrong] * bool(wrong)


def test_programs_that_python_finds_by_name_are_there():
    "Console scripts, the kernels' provisioner, and what the server of kernels imports."
    project = tomllib.loads((ROOT/"pyproject.toml").read_text())["project"]
    provisioners = project["entry-points"]["jupyter_client.kernel_provisioners"]
    for place in (*project["scripts"].values(), *provisioners.values()):
        module, _, name = place.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    asked = []
    with pytest.MonkeyPatch.context() as patched:
        preload = lambda context, names: asked.extend(names)
        patched.setattr("multiprocessing.context.BaseContext.set_forkserver_preload", preload)
        patched.setattr("multiprocessing.forkserver.ensure_running", lambda: None)
        patched.setattr("os.environ", dict(os.environ))
        patched.setattr(kernels.KernelProvisionerFactory, "instance", lambda: SimpleNamespace())
        kernels.fork_kernels()
    assert kernels.__name__ in asked and all(importlib.util.find_spec(name) for name in asked)


@pytest.mark.parametrize("path", NOTEBOOKS, **by_name)
def test_notebooks_are_clean(path):
    stored = json.loads(path.read_text(encoding="utf-8"))
    cleaned = json.loads(json.dumps(stored))
    clean_nb(
        cleaned,
        allowed_metadata_keys=[setting("allowed_metadata_keys")],
        allowed_cell_metadata_keys=[setting("allowed_cell_metadata_keys")],
    )
    assert cleaned == stored, f"{path.name} is not clean; run `nbdev_clean` or `make refresh`"
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    outputs = [out for cell in stored["cells"] for out in cell.get("outputs", [])]
    view = "application/vnd.jupyter.widget-view+json"
    widgets = [out for out in outputs if view in out.get("data", {})]
    assert not widgets


@pytest.mark.parametrize("path", filter(code_cells, NOTEBOOKS), **by_name)
def test_outputs_are_those_that_refresh_has_stored(path):
    chapter = read_chapter(path, ROOT/"mark1")
    assert "shows" in chapter.stored and not chapter.is_edited, (
        f"an output of {path.name} is another than `mark1 refresh` has stored there; run it again")


def test_a_number_a_table_and_a_figure_that_are_exchanged_are_noticed():
    "Also where nbval does not compare, as those of a training."
    chapter = read_chapter(ROOT/"nbs"/"01_first_model.ipynb", ROOT/"mark1")
    data = [out.data for cell in chapter.notebook.cells for out in cell.get("outputs", []) if "data" in out]
    kinds = {"text/html", "text/plain", "image/svg+xml"}
    texts = [(each, kind) for each in data for kind in kinds if re.search(r"\d", each.get(kind, ""))]
    assert {kind for _, kind in texts} == kinds
    for each, kind in texts:
        stored = each[kind]
        each[kind] = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), stored, count=1)
        assert chapter.is_edited
        each[kind] = stored
        assert not chapter.is_edited


@pytest.mark.parametrize("path", CHAPTERS, **by_name)
def test_cells_that_prove_are_folded(path):
    "In JupyterLab, that is: imports, checks and definitions, and nothing else."
    cells = [cell for cell in code_cells(path) if cell.id != "colab"]
    folded = {cell.id for cell in cells if cell.metadata.get("jupyter", {}).get("source_hidden")}
    assert folded == {cell.id for cell in cells if kind_of(cell)}, f"type `mark1 refresh {path.stem}`"


LONG = { # cells of more lines than a reader takes in at once, and why each stays whole
    "last_state": "one `match`, a line for each code that moves a cursor; its parts mean nothing alone",
}
LINES = 25


def lines_of(source):
    "Count the lines of code, as the game's are counted: without blank ones and directives."
    return len([line for line in source.splitlines() if line.strip() and not line.startswith("#|")])


def pieces_of(source):
    "Take a class apart that stands alone in its cell, for two cells cannot share it: methods, and the rest."
    body = ast.parse(source).body
    if len(body) != 1 or not isinstance(body[0], ast.ClassDef): return [source]
    methods = [ast.get_source_segment(source, node) for node in body[0].body
               if isinstance(node, ast.FunctionDef)]
    rest = source
    for method in methods: rest = rest.replace(method, "")
    return [rest, *methods]


def long_cells(path):
    "List the cells that are read, or that define, and have too many lines: the first line of each."
    sources = [cell.source for cell in code_cells(path) if kind_of(cell) in ("", "definition")]
    long = [source for source in sources if max(map(lines_of, pieces_of(source))) > LINES]
    return [source for source in long if not {*re.findall(r"^def (\w+)", source, re.MULTILINE)} & {*LONG}]


@pytest.mark.parametrize("path", CHAPTERS, **by_name)
def test_no_cell_is_longer_than_a_reader_takes_in(path):
    "Imports and checks may be: they are folded, and no text needs them."
    assert long_cells(path) == []


def test_a_long_cell_is_noticed(tmp_path):
    method = "\n\n    def {}(self):\n" + "        x = 1\n"*24
    one, two = method.format("one"), method.format("two")
    long = ["x = 1\n"*26, f"class A:{one}        x = 1", f"class A:{one}{two}\nx = A()"]
    short = ["#| label: num-x\n" + "x = 1\n\n"*25, f"class A:{one}{two}", "import os\n"*26,
             "x = 1\n"*26 + "assert x"]
    for source in long + short:
        nbformat.write(new_notebook(cells=[new_code_cell(source)]), tmp_path/"a.ipynb")
        assert long_cells(tmp_path/"a.ipynb") == ([source] if source in long else [])
    defined = "".join(cell.source for path in CHAPTERS for cell in code_cells(path))
    assert all(f"def {name}(" in defined for name in LONG)


def wrong_order(cells):
    "Say what of a lesson's chapter is out of place: the game stands first, then all that is behind it."
    kinds = [cell.cell_type for cell in cells[:3]]
    if kinds[:2] != ["markdown", "code"] or kind_of(cells[1]): return "the second cell is no game"
    game = cells[1]
    lines = [line for line in game.source.splitlines() if line.strip() and not line.startswith("#|")]
    if len(lines) > 12: return f"the game has {len(lines)} lines"
    if not game.outputs: return "the game shows nothing"
    if not re.match(r"# .+\n+> .+", cells[0].source): return "there is no title with a sentence"
    if [cell.id for cell in cells[3:5]] != ["elsewhere", "colab"]: return "what is behind it begins too early"
    if not cells[-1].source.startswith("#| default_exp"): return "the last cell does not name the module"
    return ""


@pytest.mark.parametrize("path", [path for path in CHAPTERS if wing_of(path) == "lesson"], **by_name)
def test_the_game_stands_first(path):
    assert wrong_order(nbformat.read(path, as_version=4).cells) == ""


def test_another_order_is_noticed():
    path = next(path for path in CHAPTERS if path.stem == "01_first_model")
    cells = nbformat.read(path, as_version=4).cells
    title, game, words, *rest = cells
    shown = nbformat.NotebookNode(game, outputs=[])
    long = nbformat.NotebookNode(game, source="x = 1\n"*13)
    wrong = [[title, words, game, *rest], [title, rest[2], *cells], [title, shown, words, *rest],
             [title, long, words, *rest], [title, game, *rest], cells[:-1], [words, game, words, *rest]]
    assert wrong_order(cells) == "" and all(wrong_order(each) for each in wrong)


@pytest.mark.parametrize("path", NOTEBOOKS, **by_name)
def test_no_notebook_is_over_300_kilobytes(path):
    assert path.stat().st_size <= 300_000


@pytest.mark.parametrize("path", CHAPTERS, **by_name)
def test_each_number_is_asserted_with_a_control_in_the_next_cell(path):
    assert numbers_without_control([cell.source for cell in code_cells(path)]) == []


def called(tree):
    "Name the functions called anywhere in a piece of code."
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {node.func.id for node in calls if isinstance(node.func, ast.Name)}


def numbers_without_control(sources):
    """List the number cells, by label, that lack a control.

    The next cell has to run one function both bare and inside `test_fail`.
    """
    missing = []
    for source, following in zip(sources, [*sources[1:], ""]):
        label = directives(source).get("label", "")
        if not label.startswith("num-"): continue
        defined = (ast.FunctionDef, ast.Import, ast.ImportFrom)
        statements = [node for node in ast.parse(following).body if not isinstance(node, defined)]
        controls = [node for node in statements if "test_fail" in called(node)]
        asserted = set().union(*(called(node) for node in statements if node not in controls))
        if not asserted & set().union(*(called(node) for node in controls)):
            missing.append(label)
    return missing


def test_a_number_without_control_is_noticed():
    number = "#| label: num-x\nprint(1)"
    assert numbers_without_control([number, "holds(1)\ntest_fail(lambda: holds(2))"]) == []
    assert numbers_without_control([number, "holds(1)\ntest_fail(lambda: other(2))"]) == ["num-x"]
    assert numbers_without_control([number, "assert True"]) == numbers_without_control([number]) == ["num-x"]


@pytest.mark.parametrize("path", NOTEBOOKS, **by_name)
def test_figures_have_caption_and_alt_text_and_cells_their_outputs(path):
    for cell in code_cells(path):
        marks = directives(cell.source)
        kinds = [out.get("data", {}) for out in cell.outputs]
        pictures = [data for data in kinds if any(kind.startswith("image/") for kind in data)]
        if pictures:
            assert marks.get("label", "").startswith("fig-"), cell.source
            assert len(marks.get("fig-alt", "")) > 20 and marks.get("fig-cap"), cell.source
        if marks.get("label"):
            assert cell.outputs, f"{marks['label']} has no stored output; run `make refresh`"


def test_readme_is_made_from_the_index():
    assert not re.search(r"\bCOST_", (ROOT/"README.md").read_text(encoding="utf-8"))
    words = (ROOT/"README.md").read_text(encoding="utf-8").lower()
    assert 0 < words.index("learn") < min(words.index("test"), words.index("number")) # first things first
    index = nbformat.read(ROOT/"nbs"/"index.ipynb", as_version=4)
    assert (ROOT/"README.md").read_text(encoding="utf-8") == readme_text(index)
    pictures = pictures_of(index)
    assert len(pictures) == 1
    for name, picture in pictures.items():
        assert (ROOT/"nbs"/name).read_bytes() == picture
        stored = stored_picture(ROOT/"nbs"/"10_forgetting.ipynb", "fig-answers")
        drawn = re.search('base64,([^"]*)', stored)[1]
        assert Image.open(BytesIO(picture)).size == Image.open(BytesIO(b64decode(drawn))).size


def figures_of(notebook):
    "Give what is stored of each figure that matplotlib drew: the cell's label, form to content."
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            if "<Figure" in data.get("text/plain", ""): yield directives(cell.source).get("label"), data


LETTERS = 6 # pixels that the smallest are high on a telephone


@pytest.mark.parametrize("path", find_chapters(ROOT/"nbs"), ids=lambda path: path.stem)
def test_figures_are_sharp_and_can_be_read_on_a_telephone(path):
    "Two pixels for one, opaque, and letters that are large enough where the page is 390 pixels wide."
    for label, data in figures_of(nbformat.read(path, as_version=4)):
        remedy = f"{label}: run `mark1 refresh {path.stem}`"
        assert "image/svg+xml" in data and "image/png" not in data, remedy
        drawn = ElementTree.fromstring(data["image/svg+xml"])
        width, height, letters = (float(drawn.get(key)) for key in ("width", "height", "data-letters"))
        kept = drawn[0].get("{http://www.w3.org/1999/xlink}href").partition("base64,")[2]
        picture = Image.open(BytesIO(b64decode(kept)))
        assert picture.size == (2*width, 2*height), label
        assert "transparency" not in picture.info and picture.mode == "RGB", label
        on_a_telephone = letters*min(1, 390/width)
        assert not letters or on_a_telephone >= LETTERS, f"{label}: {on_a_telephone:.1f} px"


def test_the_address_stands_in_settings_alone():
    """In chapters, README and library it stands only where it is made from settings.ini.

    Other tests compare those with it.
    """
    address = setting("git_url").removeprefix("https://")
    made = {"README.md", "mark1/_modidx.py"}
    others = [path for path in TRACKED if path.suffix != ".ipynb"]
    holds = lambda path: address in path.read_text(encoding="utf-8", errors="replace")
    holding = {str(path.relative_to(ROOT)) for path in others if holds(path)}
    assert holding - made == {"settings.ini"}
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        named = [cell["id"] for cell in cells if address in "".join(cell["source"])]
        assert set(named) <= {"elsewhere", "colab"}, path.name
        if path.name == "index.ipynb": continue
        assert not [cell for cell in cells if address in json.dumps(cell.get("outputs"))], path.name
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    addresses = re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", readme)
    foreign = [link for link in addresses if address not in link and "badge" not in link]
    assert not foreign


@pytest.mark.parametrize("path", CHAPTERS, **by_name)
def test_each_chapter_says_where_else_it_can_be_opened(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    remedy = f"type `mark1 refresh`, or call write_form on {path.name}"
    wanted = entrance(read_chapter(path, ROOT/"mark1").place)
    assert [cell for cell in cells if cell["id"] in wanted] == list(wanted.values()), remedy


def test_chapters_and_readme_follow_the_address(copy, monkeypatch):
    settings = copy/"settings.ini"
    theirs = "https://github.com/somebody/their-course"
    settings.write_text(settings.read_text().replace(setting("git_url"), theirs))
    monkeypatch.chdir(copy)
    cells = entrance("01_first_model.ipynb")
    made = "".join("".join(cell["source"]) for cell in cells.values())
    assert made.count("somebody/their-course") == 4
    assert "/content/their-course/nbs" in made and "mark1-course" not in made
    assert cells != entrance("02_learning.ipynb")


def test_the_readme_can_be_opened_elsewhere():
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    addresses = links("nbs/01_first_model.ipynb").values()
    assert all(f"({address})" in readme for address in addresses if "github.dev" not in address)
    assert f"({links('README.md')['github.dev']})" in readme


def broken_links(path):
    "List the links of a Markdown file or notebook that lead to nothing inside the repository."
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets = [target for target in targets if not re.match(r"[a-z]+:|#", target)]
    return [target for target in targets if not (path.parent/target.split("#")[0]).exists()]


@pytest.mark.parametrize("path", [path for path in TRACKED if path.suffix in (".md", ".ipynb")], **by_name)
def test_links_inside_the_repository_resolve(path):
    assert broken_links(path) == []


def test_a_dead_link_is_noticed(tmp_path):
    (tmp_path/"page.md").write_text("[gone](nowhere.md), [there](page.md), [`code`](https://example.org)")
    assert broken_links(tmp_path/"page.md") == ["nowhere.md"]


def faults_without_test(faults):
    "List the faults that no test names, in quotes."
    paths = (path for path in (ROOT/"tests").glob("test_*.py") if path.name != Path(__file__).name)
    tests = "".join(path.read_text(encoding="utf-8") for path in paths)
    return [fault for fault in faults if f'"{fault}"' not in tests]


def test_each_fault_in_the_table_is_made_to_happen():
    faults = faults_listed()
    assert len(faults) > 30 and faults_without_test(faults) == []
    assert faults_without_test(["rain in the machine room"]) == ["rain in the machine room"]


def test_nbdev_3_would_read_the_same_settings():
    table = tomllib.loads((ROOT/"pyproject.toml").read_text())
    in_words = lambda value: " ".join(value) if isinstance(value, list) else str(value)
    theirs = {name: in_words(value) for name, value in table["tool"]["nbdev"].items()}
    assert {name: setting(name) for name in theirs} == theirs
    assert {"recursive", "allowed_metadata_keys", "allowed_cell_metadata_keys"} <= theirs.keys()
    assert table["project"]["version"] == setting("version")
    assert table["project"]["requires-python"].startswith(f">={setting('min_python')}")


def test_the_lock_is_exact_hashed_and_names_no_host():
    text = (ROOT/"build"/"requirements.txt").read_text()
    assert not re.search(r"https?://|--index|--find-links|file:", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[\w.-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    names = {entry.split("==")[0] for entry in entries}
    project = tomllib.loads((ROOT/"pyproject.toml").read_text())["project"]
    wanted = {re.match(r"[\w-]+", name)[0] for name in project["dependencies"]}
    assert wanted <= names


def linted(*paths):
    "Run the linter with the repository's rules on files and folders; what it says comes back."
    options = ["--no-cache", "--output-format", "concise", "--config", ROOT/"pyproject.toml"]
    return typed([BIN/"ruff", "check", *options, *paths], cwd=ROOT)


def test_the_linter_finds_nothing():
    result = linted(".")
    assert result.returncode == 0, result.stdout + result.stderr


def file_of(folder, source):
    path = folder/"toy.py"
    path.write_text(source)
    return path


def notebook_of(folder, source):
    "Write a notebook with this cell; what stands beside it is none of the linter's business."
    cells = [
        new_markdown_cell("A line of prose may be long. " * 9),
        new_code_cell("%matplotlib inline"),
        new_code_cell("#| eval: false\n!pip list"),
        new_code_cell("%%bash\necho " + "x"*200),
        new_code_cell(source),
    ]
    path = folder/"toy.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize("write", [file_of, notebook_of])
@pytest.mark.parametrize("source, rule", [
    ("import ast\nimport os\n\nx = " + "1 + "*26 + "12", None), # 110 columns
    ("x = " + "1 + "*26 + "123", "E501"),
    ("x = 1 # " + "word "*21, "E501"),
    ("import os\nimport ast", "I001"),
    ("import pytest\nfrom mark1.data import lite0\nimport os", "I001"),
], ids=["well", "long", "long comment", "out of order", "three out of order"])
def test_the_linter_finds_long_lines_and_imports_out_of_order(tmp_path, write, source, rule):
    result = linted(write(tmp_path, source))
    assert re.findall(r": ([A-Z]+\d+) ", result.stdout) == ([rule] if rule else []), result.stdout
    assert result.returncode == (1 if rule else 0), result.stderr


def test_ez_json_says_what_the_first_note_says():
    assert json.loads((ROOT/"ez.json").read_text()) == {
        "requires_gpu": "true",
        "base_container_image": "fastdotai/fastai:latest",
    }


def test_the_dev_container_installs_from_the_lock_and_opens_the_first_chapter():
    container = json.loads((ROOT/".devcontainer"/"devcontainer.json").read_text())
    assert container["updateContentCommand"] == "make learn" # which sets up first
    custom = container["customizations"]
    opened = [name.replace(f"{FOLDER}/", "nbs/") for name in custom["codespaces"]["openFiles"]]
    assert "nbs/01_first_model.ipynb" in opened and all((ROOT/name).exists() for name in opened)
    assert f"/{FOLDER}/" in (ROOT/".gitignore").read_text().split()
    path = custom["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert path == "/opt/mark1/bin/python" # the Dockerfile's
    assert "MARK1_VENV=/opt/mark1 " in (ROOT/"build"/"Dockerfile").read_text()


@pytest.mark.parametrize(
    "path",
    sorted((ROOT/".devcontainer").rglob("devcontainer.json")),
    ids=lambda path: path.parent.name,
)
def test_the_dev_containers_have_no_fault(path):
    assert container_faults(path) == []


def test_both_dev_containers_and_ez_are_one_image():
    paths = [ROOT/".devcontainer"/folder/"devcontainer.json" for folder in (".", "gpu")]
    default, gpu = (json.loads(path.read_text()) for path in paths)
    base = json.loads((ROOT/"ez.json").read_text())["base_container_image"]
    assert gpu["build"]["args"]["BASE_IMAGE"] == base
    for config in (default, gpu):
        assert config.pop("name") and config["hostRequirements"].pop("gpu")
        assert config["build"].pop("args").keys() == {"BASE_IMAGE"}
        config["build"] = {key: Path(value).name for key, value in config["build"].items()}
        config["runArgs"] = [word for word in config["runArgs"] if word != "--gpus=all"]
    assert default == gpu
    recommended = json.loads((ROOT/".vscode"/"extensions.json").read_text())["recommendations"]
    assert set(default["customizations"]["vscode"]["extensions"]) <= set(recommended)


def test_the_library_asks_an_image_what_the_dockerfile_asks_it():
    assert CHECK_BASE == (ROOT/"build"/"check_base.sh").read_text()


def test_the_note_keeps_its_front_matter():
    lines = (ROOT/"lesson_notes"/"2021-12-19.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == lines[3] == "+++"
    assert tomllib.loads("\n".join(lines[1:3])).keys() == {"title", "date"}
