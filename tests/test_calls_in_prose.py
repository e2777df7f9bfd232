"What a chapter tells its reader to type can be typed there: calls in its prose, exercises and messages."
import ast
import builtins
import importlib
import inspect
import re

import nbformat
import pytest
from fastai.learner import Learner
from mark1 import exercises
from mark1.exercises import declared, find, judge
from mark1.workshop.notebook import directives, find_chapters, read_chapter

from conftest import ROOT

CHAPTERS = find_chapters(ROOT/"nbs")
by_name = {"ids": lambda path: path.name}
MADE_BY = {"vision_learner": Learner} # functions of fastai that do not say what they return
HARMLESS = "check", "hint", "solution", "progress" # called for real, in a temporary home
EXCEPTIONS = { # chapter and name, to why the name need not exist there
    ("downloads", "extractall"): "a method of the standard library's tarfile, which the sentence names",
    ("05_time_index", "date_of"): "the reader's own: 'from an item, a path say, to its date'",
    ("05_time_index", "df"): "the reader's own table",
    ("11_zoo", "dls"): "the reader's own DataLoaders, made as in chapter 01",
    ("18_exercises", "grader.check"): "Otter-Grader's, named for comparison",
    ("18_exercises", "q_1.check"): "learntools', as are the next two",
    ("18_exercises", "q_1.hint"): "learntools'",
    ("18_exercises", "q_1.solution"): "learntools'"}


def parsed(source):
    "Parse a text in which `…` stands for what is left out; None where it is no Python."
    try: return ast.parse(source.replace("…", "..."))
    except SyntaxError: return None


def dotted(node):
    "Give the name of what is called, such as 'learn.freeze'; None where it is not called by a name."
    parts = []
    while isinstance(node, ast.Attribute):
        parts = [node.attr, *parts]
        node = node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) else None


class Names:
    "Hold the names of a chapter: what its cells import, define and assign. Only the imports are run."
    def __init__(self, sources):
        self.known = dict(vars(builtins)) # name to the object, or to None where it is not known
        self.methods = set() # names that cells call as methods of something
        exported = re.findall(r"^#\|\s*default_exp\s+(\S+)", "\n".join(sources), re.MULTILINE)
        self.module = importlib.import_module(f"mark1.{exported[0]}") if exported else None
        for source in sources:
            if directives(source).get("eval") != "false" and (tree := parsed(source)):
                self.add(tree)

    def add(self, tree):
        "Run the imports of a cell, and enter what it defines."
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                exec(ast.unparse(node), self.known)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.known[node.name] = getattr(self.module, node.name, None)
            else:
                names = [name for name in ast.walk(node) if isinstance(name, ast.Name)]
                for name in names:
                    if isinstance(name.ctx, ast.Store):
                        self.known.setdefault(name.id, None)
                self.add_made(node)
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self.methods |= {function.attr for function in called if isinstance(function, ast.Attribute)}

    def add_made(self, node):
        "Enter the class of what one call makes, where that is known."
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            return
        made = dotted(node.value.func) if isinstance(node.value, ast.Call) else None
        maker = self.known.get(made)
        kind = MADE_BY.get(made) or (maker if inspect.isclass(maker) else None)
        if kind: self.known[node.targets[0].id] = kind

    def fault(self, name):
        "Say what is wrong with a dotted name, looked up as far as it is known; '' if nothing is."
        root, *rest = name.split(".")
        if not rest and root in self.methods:
            return "" # `fine_tune(1)`, where a cell has learn.fine_tune(1)
        if root not in self.known: return f"{root} does not exist"
        found = self.known[root]
        for part in rest:
            if found is None or inspect.isfunction(found): return ""
            if not hasattr(found, part): return f"{root} has no {'.'.join(rest)}"
            found = getattr(found, part)
        return ""

    def misfit(self, call):
        "Say why a function of the course would not take a call's arguments; '' if it would, or none can say."
        function = self.known.get(dotted(call.func))
        if not getattr(function, "__module__", "").startswith("mark1."): return ""
        words = {word.arg: word.value for word in call.keywords}
        try: inspect.signature(function).bind_partial(*call.args, **words)
        except TypeError as error: return str(error)
        return ""


def calls(text):
    "Find the calls in a text: their names and, where they can be parsed, their syntax trees."
    for match in re.finditer(r"(?<![\w.])[A-Za-z_][\w.]*(?=\()", text):
        depth = 0
        end = match.end()
        for end in range(match.end(), len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if not depth: break
        tree = parsed(text[match.start():end + 1])
        yield match[0], tree.body[0].value if tree and isinstance(tree.body[0], ast.Expr) else None


def plain(node):
    "Give the words of a string, with `…` for what is filled in; '' for anything else."
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def sources(cells):
    "Read what stands in the code cells."
    return [cell.source for cell in cells if cell.cell_type == "code"]


def told(cells):
    "Read what a chapter tells: its code spans, the texts of its exercises, and the messages of its errors."
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from re.findall(r"`+([^`\n]+)`+", re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL))
        tree = parsed(cell.source) if cell.cell_type == "code" else None
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Raise) and node.exc:
                yield from map(plain, ast.walk(node.exc))
            for mark in getattr(node, "decorator_list", []):
                yield from asked(node, mark)


def asked(solve, mark):
    "Read the texts of an exercise: what is said of the right answer, its hint, and its explanations."
    if not (isinstance(mark, ast.Call) and dotted(mark.func) == "exercise"): return
    yield ast.get_docstring(solve) or ""
    for word in mark.keywords:
        yield from map(plain, word.value.keys if word.arg == "mistakes" else [word.value])


def blocks(cells):
    "Find the Python blocks between a chapter's prose."
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return [tree for block in re.findall(r"```python\n(.*?)```", prose, re.DOTALL) if (tree := parsed(block))]


def faults(cells, chapter=""):
    "Find the calls that a chapter's text tells to type and that cannot be typed there, with the reason."
    names = Names(sources(cells))
    found = {}
    for tree in blocks(cells):
        names.add(tree)
        used = [node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))]
        found |= {name: fault for node in used if (name := dotted(node)) and (fault := names.fault(name))}
    for name, call in (each for text in told(cells) for each in calls(text)):
        fault = names.fault(name) or (names.misfit(call) if isinstance(call, ast.Call) else "")
        if fault: found[name] = fault
        elif name in HARMLESS and isinstance(call, ast.Call):
            typed(names.known[name], call)
    return {name: fault for name, fault in found.items() if (chapter, name) not in EXCEPTIONS}


def typed(function, call):
    "Type a call whose first argument, if it has one, is a literal; a name for the answer counts as a blank."
    given = [ast.literal_eval(part) if isinstance(part, ast.Constant) else ... for part in call.args]
    if given[:1] not in ([], [...]): function(*given)


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"learner"))


@pytest.mark.parametrize("path", CHAPTERS, **by_name)
def test_what_the_text_tells_to_type_exists(path):
    assert faults(nbformat.read(path, as_version=4).cells, path.stem) == {}


def module_of(path):
    "The module that a chapter exports."
    return read_chapter(path, ROOT/"mark1").module


WITH_EXERCISES = [path for path in CHAPTERS if module_of(path) in set(declared().values())]

@pytest.mark.parametrize("path", WITH_EXERCISES, **by_name)
def test_what_a_check_tells_to_type_exists(path, monkeypatch):
    """A wrong answer is told `hint('…') may help`: so that must be there wherever something is checked.

    Nothing is solved for it, which may take training.
    """
    names = Names(sources(nbformat.read(path, as_version=4).cells))
    for exercise in (name for name, module in declared().items() if module == module_of(path)):
        known = {"wanted": [0.], "wrong": {}} # in place of what would be computed, and kept
        for name, value in known.items(): monkeypatch.setitem(vars(find(exercise)), name, value)
        said = judge(exercise, -12345.678)[1]
        for name, call in calls(said):
            assert not names.fault(name), f"{exercise}: {said}"
            typed(names.known[name], call)
    assert not [name for name in HARMLESS if names.known.get(name) is not getattr(exercises, name)]


@pytest.mark.parametrize("chapter, name", EXCEPTIONS)
def test_each_exception_is_needed(chapter, name, monkeypatch):
    monkeypatch.setitem(globals(), "EXCEPTIONS", {})
    assert name in faults(nbformat.read(find_chapters(ROOT/"nbs", [chapter])[0], as_version=4).cells, chapter)


CELLS = [("markdown", "Type `hint('told-1')`, then `learn.fine_tune(1)`. `make test` is no call."),
         ("code", "from fastai.vision.all import vision_learner\nfrom mark1.exercises import hint"),
         ("code", "learn = vision_learner(1, 2)")]
EXERCISE = """@exercise('x-1', hint='Try guess(3).', mistakes={'It is for look(1) to say.': f})
def f(): 'See through(2).'"""
MESSAGE = "def g(x): raise ValueError(f'{x} is wrong; try mend({x}, …)')"
BLOCK = "So:\n\n```python\nlearner = cnn_learner(dls)\n```"
PLANTED = { # kind to cell, and to what is missing
    "a name that is not imported": ("markdown", "`solution('told-1')` gives it away.", ["solution"]),
    "a method that is not there": ("markdown", "Then `learn.finetune(1)`.", ["learn.finetune"]),
    "an argument that is not there": ("markdown", "`hint(topic='told-1')`", ["hint"]),
    "a call in a block": ("markdown", BLOCK, ["cnn_learner", "dls"]),
    "a call in an exercise's text": ("code", EXERCISE, ["guess", "look", "through"]),
    "a call in a message": ("code", MESSAGE, ["mend"])}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_call_that_does_not_exist_is_noticed(kind):
    cell = lambda cell_type, source: nbformat.NotebookNode(cell_type=cell_type, source=source)
    sound = [cell(*each) for each in CELLS]
    assert faults(sound) == {}
    planted_as, source, missing = PLANTED[kind]
    assert sorted(faults([*sound, cell(planted_as, source)])) == missing


def test_a_hint_that_raises_is_noticed():
    wrong = nbformat.NotebookNode(cell_type="markdown", source="`hint(\"told-99\")`")
    imports = nbformat.NotebookNode(cell_type="code", source="from mark1.exercises import hint")
    with pytest.raises(ValueError, match="no exercise 'told-99'"):
        faults([imports, wrong])
