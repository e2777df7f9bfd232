"The step that turns notebooks into pages: tables, outputs, cells with directives, the library reference."
import ast
import importlib
import inspect
import re
import sys
from base64 import b64encode
from contextlib import nullcontext

import nbformat
import pytest
from fastcore.docments import docments
from lxml import html
from mark1.workshop.notebook import find_chapters, module_file
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from conftest import ROOT

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
import pages
from cells import cell_record, code_shown
from outputs import plain_table, shown
from reference import comments_of, documented as definitions, module_entries


def displayed(**data):
    "Make an output of a cell; `text_html` stands for text/html."
    return new_output("display_data", data={kind.replace("_", "/", 1): value for kind, value in data.items()})


# --- outputs


def test_a_table_keeps_its_text_and_spans_and_nothing_else():
    markup = (
        '<style>td { color: red }</style><table border="1" class="dataframe">'
        '<thead><tr style="text-align: right"><th></th><th colspan="2">loss</th></tr></thead>'
        '<tbody><tr><th>0</th><td onclick="x()" style="width: 9px">0.5 &lt; 1</td></tr></tbody>'
        '</table><script>x()</script><!-- said -->'
    )
    assert plain_table(markup) == (
        '<table><thead><tr><td></td><th colspan="2" scope="col">loss</th></tr></thead>'
        '<tbody><tr><th scope="row">0</th><td>0.5 &lt; 1</td></tr></tbody></table>'
    )


def test_columns_of_numbers_are_set_to_the_right():
    row_of = lambda texts, *tags: "".join(f"<{tag}>{text}</{tag}>" for text, tag in zip(texts, tags))
    heads = row_of(("", "b", "c", "d", "e"), *["th"]*5)
    rows = [
        ("0", "1,024", "00:05", "0.5 %", "12"),
        ("1", "-.5", "1:02:03", "nan", "few"),
        ("2", "1e-05", "", "99", "1.2.3"),
    ]
    body = "".join(f"<tr>{row_of(row, 'th', *['td']*4)}</tr>" for row in rows)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    found = html.fromstring(plain_table(table))
    classes = [[cell.get("class") for cell in row] for row in found.iter("tr")]
    assert classes == [[None, "right", "right", "right", None]]*4
    spans = table.replace("<th>b</th>", '<th colspan="1">b</th>') # where columns are not plain to see
    assert "class" not in plain_table(spans)


@pytest.mark.parametrize("text, caption, heads", [
    ("held out  law  it\n      25  5.4  .3\n     100    –  .2", "", ["held out", "law", "it"]),
    ("spread, in points\nheld out  <law>  it\n      25    5.4   a\n     100    2.6   b", "spread, in points",
     ["held out", "<law>", "it"]),
    ("digits  57 bytes  sound\nmnist   80 bytes  sound\nfaces   10 bytes  sound", "", []),
])
def test_a_table_printed_as_text_is_a_table(text, caption, heads):
    found = shown(new_output("stream", name="stdout", text=text), "x", {})
    assert found["text"] == text # which notes quote
    table = html.fromstring(found["table"])
    assert table.findtext("caption", "") == caption
    assert [cell.text for cell in table.findall("thead/tr/th")] == heads
    lines = text.splitlines()[bool(caption) + bool(heads):]
    rows = [[cell.text for cell in row] for row in table.findall("tbody/tr")]
    assert rows == [re.split(" {2,}", line.strip()) for line in lines]


def test_no_chapter_of_the_lesson_prints_a_table_as_text():
    "What a chapter shows as a table is one in every editor, not on the site alone."
    printed = []
    for path in find_chapters(ROOT/"nbs", ["lesson"]):
        code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        shows = [shown(output, "x", {}) for cell in code for output in cell.outputs if "text" in output]
        printed += [(path.stem, each["text"]) for each in shows if each and "table" in each]
    assert printed == []
    text = "name  wrong  right\nold       3     77\nnew       1     79\n"
    assert "table" in shown(new_output("stream", text=text), "x", {}) # the control



@pytest.mark.parametrize("text", [
    "loss 0.25\nloss 0.20\nloss 0.10",
    "..##  ##..\n##..  ..##\n..##  ##..", # a drawing
    "MAE, R²   at random   later\nCO2   forest   0.72   1\nCO2   line   1.01   2", # heads of two columns each
    "a  b  1\nc  d  2",
    "one", "",
])
def test_what_may_be_no_table_stays_text(text):
    assert (shown(new_output("stream", name="stdout", text=text), "x", {}) or {"text": ""}) == {"text": text}


def test_a_table_loses_links_and_pictures_but_not_their_words():
    table = plain_table(
        '<table><tr><td><a href="javascript:x()">a <b>link</b></a>'
        '<img src="http://h/x.png"><iframe src="http://h/"></iframe></td></tr></table>'
    )
    assert "<td>a <b>link</b><em>(A picture: run the chapter to have it.)</em>" in table
    assert "http" not in table and "javascript" not in table


@pytest.mark.parametrize("markup", [
    "",
    "<div></div>",
    "<style>p { color: red }</style>",
    '<progress value="3" max="3"></progress>',
    "<script>x()</script>",
])
def test_markup_without_text_is_no_table(markup):
    assert plain_table(markup) == ""
    assert shown(displayed(text_html=markup), "x", {}) is None


def test_of_several_forms_of_an_output_the_picture_is_shown():
    files = {}
    picture = b"\x89PNG"
    output = displayed(image_png=b64encode(picture).decode(), text_html="<b>no</b>", text_plain="no")
    assert shown(output, "fig-x", files) == {"picture": "fig-x.png"} and files == {"fig-x.png": picture}
    drawn = displayed(**{"image_svg+xml": ["<svg", "/>"]})
    assert shown(drawn, "fig-y", files) == {"picture": "fig-y.svg"}
    assert files["fig-y.svg"] == b"<svg/>"
    played = displayed(**{"image_svg+xml": "<svg/>", "application_vnd.mark1.recording": '{"version":1}'})
    assert shown(played, "fig-z", files) == {"picture": "fig-z.svg", "recording": "fig-z.json"}
    assert files["fig-z.json"] == b'{"version":1}'


@pytest.mark.parametrize("output, expected", [
    (
        displayed(text_html="<table><tr><td>1</td></tr></table>", text_markdown="no", text_plain="1"),
        {"table": '<table><tr><td class="right">1</td></tr></table>', "text": "1"},
    ),
    (displayed(text_markdown=["a *b*\n", "c"], text_plain="no"), {"markdown": "a *b*\nc"}),
    (displayed(text_plain=" 1\n"), {"text": " 1"}),
    (
        new_output("stream", name="stdout", text=["\x1b[31mred\x1b[0m\n", "  two \n"]),
        {"text": "red\n  two"},
    ),
    (new_output("stream", name="stdout", text="\n"), None),
    (new_output("error", ename="E", evalue="", traceback=["\x1b[0;31mE\x1b[0m: no"]), {"text": "E: no"}),
    (displayed(**{"application_vnd.jupyter.widget-view+json": {}}), None),
])
def test_what_is_shown_of_an_output(output, expected):
    assert shown(output, "x", {}) == expected


DOT = b64encode(b"GIF89a").decode()


@pytest.mark.parametrize("data, expected", [
    (dict(image_gif=DOT, text_plain="<Image>"), {"picture": "x.gif"}),
    (dict(text_html=f"<img src='data:image/gif;base64,{DOT}'>", text_plain="<HTML>"), {"picture": "x.gif"}),
    (dict(text_html=f'<p><img alt="a" src="data:image/jpeg;base64,{DOT}" /></p>'), {"picture": "x.jpg"}),
    (dict(text_html="<video controls src='data:video/mp4;base64,AAAA'></video>"),
     {"table": "<em>(A video: run the chapter to have it.)</em>"}),
    (dict(text_html='<audio title="a bell"><source src="x.wav">old browsers</audio>'),
     {"table": "<em>(A sound, a bell: run the chapter to have it.)</em>"}),
    (dict(application_pdf="x"), {
        "text": "(An output of the form application/pdf, which a page cannot show: "
                "run the chapter to have it.)",
    }),
])
def test_what_a_page_cannot_play_is_said(data, expected):
    files = {}
    assert shown(displayed(**data), "x", files) == expected
    assert files == ({expected["picture"]: b"GIF89a"} if "picture" in expected else {})


def test_a_progress_bar_shows_its_last_state():
    link = "\x1b]8;;https://a.org\x1b\\here\x1b]8;;\x1b\\"
    bar = new_output("stream", name="stderr", text=f"\r  0%|   |\r100%|###|\n{link}")
    assert shown(bar, "x", {}) == {"text": "100%|###|\nhere"}


def a_chapter(folder, *cells):
    "Save a notebook, and read it as the site does."
    nbformat.write(new_notebook(cells=[new_markdown_cell("# T\n\n> S."), *cells]), folder/"42_t.ipynb")
    return pages.chapter_at(folder/"42_t.ipynb", folder)


def test_pictures_of_a_cell_come_along(tmp_path):
    (tmp_path/"my shot.png").write_bytes(b"\x89PNG")
    text = "![a dot](attachment:a%20dot.gif) and ![shot](<my shot.png>), `![no](x.png)`\n\n" \
           "```\n![no](y.png)\n```\n"
    cell = new_markdown_cell(text, attachments={"a dot.gif": {"image/gif": DOT}})
    _, body, files, _ = pages.chapter_page(a_chapter(tmp_path, cell))
    pasted, shot = files
    assert files == {pasted: b"GIF89a", shot: b"\x89PNG"}
    assert (pasted[-4:], shot[-4:]) == (".gif", ".png")
    assert f"![a dot]({pasted}) and ![shot]({shot}), `![no](x.png)`" in body and "![no](y.png)" in body


@pytest.mark.parametrize("text, said", [
    ("![x](gone.png)", "nbs/42_t.ipynb, cell 2: there is no picture gone.png; put it beside the notebook"),
    ("![x](attachment:gone.png)", "cell 2: the picture gone.png is not pasted into this cell"),
    ("![x](a.heic)", "cell 2: browsers cannot show a.heic"),
])
def test_a_picture_that_a_cell_lacks_is_named(tmp_path, text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        pages.chapter_page(a_chapter(tmp_path, new_markdown_cell(text)))


# --- cells


def test_code_is_shown_without_directives_and_words_to_the_test_runner():
    directives = "#| export\n#|label: x\n# NBVAL_IGNORE_OUTPUT\n"
    code = "x = 1 # NBVAL_ is not at the start\n\n# why\ny = 2"
    assert code_shown(f"{directives}\n{code}\n") == code


def record(source, *outputs, number=7):
    return cell_record(new_code_cell(source, outputs=list(outputs)), number, {})


PRINTED = new_output("stream", name="stdout", text="1\n")
FIGURE = displayed(image_png=b64encode(b"x").decode())


def test_label_caption_and_alt_are_passed_on():
    source = "#| label: fig-x\n#| fig-cap: What it *shows*: all\n#| fig-alt: A line that rises.\nplot()"
    found = record(source, FIGURE)
    assert found | {"code": ""} == {
        "label": "fig-x",
        "caption": "What it *shows*: all",
        "alt": "A line that rises.",
        "code": "",
        "fold": "",
        "open": False,
        "defines": [],
        "outputs": [{"picture": "fig-x.png"}],
    }
    assert found["code"] == "plot()"
    assert record("#| tbl-cap: Of a table\nx", PRINTED)["caption"] == "Of a table"


def test_pictures_are_named_after_the_label_or_the_place():
    pictures = lambda source: [each["picture"] for each in record(source, FIGURE, FIGURE)["outputs"]]
    assert pictures("#| label: fig-x\nx") == ["fig-x.png", "fig-x-1.png"]
    assert pictures("x") == ["cell-7.png", "cell-7-1.png"]


@pytest.mark.parametrize("directive", ["hide", "include: false", "default_exp toy"])
def test_what_is_hidden_is_left_out(directive):
    assert record(f"#| {directive}\nx = 1", PRINTED) is None


def test_code_and_output_are_left_out_by_themselves():
    no_code = record("#| echo: false\nx", PRINTED)
    assert no_code["code"] == ""
    assert no_code | {"code": None} == record("x", PRINTED) | {"code": None}
    no_output = record("#| output: false\nx", PRINTED)
    assert no_output["outputs"] == [] and no_output["code"] == "x"
    assert record("#| echo: false\n#| output: false\nx", PRINTED) is None
    assert record("#| echo: false\nx") is None


@pytest.mark.parametrize("text, stays", [
    ("A slider, tosses from 5 to 320: run the cell to move it.", False),
    ("FileUpload(value=(), accept='image/*', description='Upload')", False),
    ("Label(value='no picture yet')", False),
    ("Point(x=1, y=2)", True), # an object of one's own
    ("a sentence", True),
])
def test_the_text_of_a_widget_is_left_out(text, stays):
    found = record("show()", displayed(text_plain=text), FIGURE)["outputs"]
    assert [*map(list, found)] == ([["text"], ["picture"]] if stays else [["picture"]])
    assert record("x", new_output("stream", name="stdout", text=text))["outputs"] == [{"text": text}]


ANSWERS = """#| exporti
@exercise("a-1")
def x(): pass
@exercise("b-2", cases=())
def y(): pass"""


@pytest.mark.parametrize("source, fold, opened", [
    ("x", "", False),
    ("#| code-fold: true\nx", "Code", False),
    ("#| code-fold: show\nx", "Code", True),
    ("#| code-fold: false\nx", "", False),
    ("#| code-fold: true\n#| code-summary: How\nx", "How", False),
    ("import a\nfrom b import c", "Imports", False),
    ("import a\nx", "", False),
    ("#| exporti\nx = 1", "Internal code", False),
    (ANSWERS, "Answer: a-1, b-2", False),
    ("!ls", "", False),
])
def test_what_is_folded(source, fold, opened):
    found = record(source)
    assert (found["fold"], found["open"]) == (fold, opened)


@pytest.mark.parametrize("directive, defines", [
    ("export", ["A", "B", "D", "f", "C"]),
    ("exports", ["A", "B", "D", "f", "C"]),
    ("exporti", []),
    ("eval: true", []),
])
def test_what_a_cell_defines_for_the_library(directive, defines):
    source = (
        f"#| {directive}\n"
        "A = _b = 1\n"
        "B, (D, *_e) = x.y = z[i] = 2, (3, 4)\n"
        "def f(): g = 1\n"
        "class C: pass\n"
        "def _h(): pass\n"
    )
    assert record(source)["defines"] == defines
    assert record(f"#| {directive}\nimport a")["defines"] == []


# --- chapters


CHAPTERS = [pages.chapter_at(path, ROOT/"mark1") for path in find_chapters(ROOT/"nbs")]


def page_of(path):
    return pages.chapter_page(pages.chapter_at(path, ROOT/"mark1"))


def test_a_chapter_becomes_a_page_whose_lines_lead_back_to_their_cells(tmp_path):
    (tmp_path/"nbs").mkdir()
    cells = [
        new_markdown_cell("# Toy\n\n> A *toy*\n\n[![run](http://h/b.svg)](http://h/) First words."),
        new_code_cell("#| default_exp toy"),
        new_code_cell("import a"),
        new_code_cell("#| export\nimport b"),
        new_markdown_cell("two\nlines"),
        new_code_cell("#| hide\nx"),
        new_code_cell("#| label: num-x\nprint(1)", outputs=[PRINTED]),
        new_code_cell("m()", outputs=[displayed(text_markdown="written by a cell")]),
        new_markdown_cell("last"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path/"nbs"/"01_toy.ipynb")
    front, body, files, starts = page_of(tmp_path/"nbs"/"01_toy.ipynb")
    assert front["title"] == "Toy"
    assert front["description"] == "A *toy*"
    assert front["source"] == "nbs/01_toy.ipynb"
    assert front["module"] == "toy"
    assert front["stale"] == False
    assert body == (
        "First words.\n\n{{< cell 0 >}}\n\ntwo\nlines\n\n{{< cell 1 >}}\n\n"
        "written by a cell\n\nlast"
    )
    codes = [(cell["label"], cell["code"]) for cell in front["cells"]]
    assert codes == [("", "import a\n\nimport b"), ("num-x", "print(1)")] # imports in one fold
    lines = body.splitlines()
    assert [(lines[line - 1], cell) for line, cell in starts] == [
        ("First words.", 1),
        ("{{< cell 0 >}}", 4),
        ("two", 5),
        ("{{< cell 1 >}}", 7),
        ("written by a cell", 8),
        ("last", 9),
    ]


def test_a_notebook_without_title_is_named(tmp_path):
    nbformat.write(new_notebook(cells=[new_markdown_cell("Words")]), tmp_path/"01_toy.ipynb")
    with pytest.raises(ValueError, match=r"nbs/01_toy.ipynb: it does not begin with a title"):
        page_of(tmp_path/"01_toy.ipynb")


def test_a_chapter_that_shows_a_warning_is_refused(tmp_path):
    (tmp_path/"nbs").mkdir()
    path = tmp_path/"nbs"/"01_toy.ipynb"
    warning = "/tmp/ipykernel_81/57.py:8: UserWarning: Converting a tensor\n  float(x)\n"
    for source, text, refused in (
        ("f()", warning, True),
        ("#| output: false\nf()", warning, False),
        ("f()", "UserWarning: said by the chapter\n", False),
    ):
        cell = new_code_cell(source, outputs=[PRINTED, new_output("stream", name="stderr", text=text)])
        nbformat.write(new_notebook(cells=[new_markdown_cell("# Toy"), cell]), path)
        with pytest.raises(ValueError) if refused else nullcontext() as caught:
            page_of(path)
        assert not refused or str(caught.value) == (
            "nbs/01_toy.ipynb, cell 2: it shows a UserWarning with the name of a temporary file; "
            "mend what it warns of, and run `make refresh CHAPTERS=01_toy`"
        )


# --- the library reference


def documented(source):
    entry, = definitions(ast.parse(source).body[0], comments_of(source))
    return entry


def test_a_function_with_every_kind_of_parameter():
    found = documented('''def f(
    a, # first
    b:int=1, # (n,) second, 0 to 1
    *rest:str, # more
    c, # by name
    d:str="#x", # with a hash in it
    **options, # all others
) -> dict[str, int]: # name to number
    "Do it.\\n\\n    Two lines."
''')
    assert found["signature"] == "f(a, b=1, *rest, c, d='#x', **options)"
    assert found["doc"] == "Do it.\n\nTwo lines."
    assert [tuple(each.values()) for each in found["parameters"]] == [
        ("a", "", "", "first"),
        ("b", "int", "1", "(n,) second, 0 to 1"),
        ("*rest", "str", "", "more"),
        ("c", "", "", "by name"),
        ("d", "str", "'#x'", "with a hash in it"),
        ("**options", "", "", "all others"),
    ]
    assert found["returns"] == {"type": "dict[str, int]", "doc": "name to number"}


def test_what_is_marked_as_by_name_or_by_place_alone_stays_so():
    for signature in ("f(a, *, b=1)", "f(a, /, b)", "f(*, a)", "f(a, /, *, b)", "f(a, /)"):
        assert documented(f"def {signature}: pass")["signature"] == signature


def test_a_class_and_a_constant():
    found = documented(
        'class C(Base):\n'
        '    "About it."\n'
        '    def __init__(self,\n'
        '        a:int, # how many\n'
        '    ): pass\n'
        '    def go(self): "Goes."\n'
        '    def _no(self): pass\n'
    )
    a = {"name": "a", "type": "int", "default": "", "doc": "how many"}
    b = {"name": "b", "type": "str", "default": "'x'", "doc": "which"}
    assert found["signature"] == "class C(Base)" and found["parameters"] == [a]
    assert [(method["signature"], method["doc"]) for method in found["methods"]] == [("go()", "Goes.")]
    found = documented("@dataclass\nclass D:\n    a:int # how many\n    b:str='x' # which\n")
    assert found["parameters"] == [a, b]
    made = lambda source: definitions(ast.parse(source).body[0], comments_of(source))
    three = [(each["name"], each["signature"], each["doc"])
             for each in made("A, _b, B = 1, 2, (3, 4) # three")]
    assert three == [(name, "A, _b, B = (1, 2, (3, 4))", "three") for name in "AB"]
    assert [each["signature"] for each in made("A, B = 1, (3, 4)")] == ["A = 1", "B = (3, 4)"]
    assert [each["signature"] for each in made("A = B = (1, 2)")] == ["A = B = (1, 2)"]*2
    assert documented("SIZE = 3 # in pixels") == {
        "name": "SIZE",
        "kind": "constant",
        "signature": "SIZE = 3",
        "doc": "in pixels",
    }


def test_a_method_added_later_stands_with_its_class():
    sources = ['class Machine:\n    "Do."', '@patch\ndef run(self:Machine, far:int=1): # steps\n    "Run."',
               'def walk(self): "Walk."']
    notebook = new_notebook(cells=[new_code_cell(f"#| export\n{source}") for source in sources])
    machine, walk = module_entries(notebook)
    method, = machine["methods"]
    assert (walk["name"], walk["kind"]) == ("walk", "function")
    assert (method["signature"], method["doc"]) == ("run(far=1)", "Run.")
    assert [entry["name"] for entry in method["parameters"]] == ["far"]


WITHOUT_TORCH = ["workshop.notebook", "exercises", "workshop.kernels"]


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_the_reference_agrees_with_what_python_says_of_the_modules(name):
    module = importlib.import_module(f"mark1.{name}")
    seen = 0
    chapter, = (chapter for chapter in CHAPTERS if chapter.module == name)
    for entry in module_entries(chapter.notebook):
        it = getattr(module, entry["name"])
        if entry["kind"] == "constant": continue
        assert entry["doc"] == (inspect.getdoc(it) if it.__doc__ else "")
        if entry["kind"] == "class" and "__init__" not in vars(it):
            continue # takes what its base takes
        of = inspect.signature(it)
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        expected = list(of.parameters.values())
        named = [stars.get(each.kind, "") + each.name for each in expected]
        assert [each["name"] for each in entry["parameters"]] == named
        comments = docments(it)
        # two on one line share its comment, which docments gives the last
        after = [comments[each.name] for each in expected[1:]] + [None]
        for said, each, shared in zip(entry["parameters"], expected, after):
            assert bool(said["default"]) == (each.default is not each.empty), (entry["name"], said)
            assert not said["default"] or eval(said["default"], vars(module).copy()) == each.default
            kind = "" if each.annotation is each.empty else each.annotation
            assert eval(said["type"] or "''", vars(module).copy()) == kind
            assert said["doc"] in (comments[each.name] or "", shared)
            seen += 1
    assert seen >= 5


def public(path):
    "Read the `__all__` of a module, without importing it."
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in assigned if node.targets[0].id == "__all__")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_public_name_is_documented_and_said_to_be_defined_in_its_chapter(chapter):
    names = public(module_file(chapter.module, ROOT/"mark1"))
    entries = module_entries(chapter.notebook)
    assert sorted(entry["name"] for entry in entries) == sorted(names)
    assert all(entry["doc"] for entry in entries if entry["kind"] != "constant")
    front, *_ = page_of(chapter.path)
    assert sorted(name for cell in front["cells"] for name in cell["defines"]) == sorted(names)
