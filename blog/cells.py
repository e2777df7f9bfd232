"What a page needs to know of a code cell: its code, its outputs, what is folded, and what it defines."
import ast
import builtins
import re

from mark1.workshop.notebook import directives, is_imports, kind_of, syntax_tree
from markup import as_hugo_reads
from outputs import joined, shown
from reference import names_defined, public_names

try:
    from fastcore.nbio import read_nb
except ImportError: # before fastcore 2
    from execnb.nbio import read_nb  # noqa: F401

EXERCISE = re.compile(r'@exercise\(\s*"([^"]+)"')


def code_shown(
    source:str, # of a code cell
) -> str:
    "Give the code of a cell without its directives and without what speaks to the test runner alone."
    lines = [line for line in source.splitlines() if not line.startswith(("#|", "# NBVAL_"))]
    return "\n".join(lines).strip("\n")


def checked_names(
    code:str, # of a cell of checks
) -> str: # the first three
    "Name what a cell of checks calls beside the checks themselves."
    calls = [node.func for node in ast.walk(syntax_tree(code)) if isinstance(node, ast.Call)]
    names = dict.fromkeys(func.id for func in calls if isinstance(func, ast.Name))
    names = [name for name in names if not name.startswith("test_") and not hasattr(builtins, name)]
    return ", ".join(names[:3])


def defined(
    code:str, # of a cell of definitions
) -> str: # a line
    "Say what a cell defines, functions with what they take."
    said = []
    for node in syntax_tree(code).body:
        if isinstance(node, ast.FunctionDef):
            names = (arg.arg for arg in (*node.args.args, *node.args.kwonlyargs))
            said.append(f"{node.name}({', '.join(names)})")
        elif isinstance(node, ast.ClassDef):
            said.append(f"class {node.name}")
        else:
            said += public_names(node)
    return ", ".join(said)


def is_widget(
    output:dict, # of a code cell
) -> bool:
    "Say whether an output is the text of a widget, which no page runs; its static form stands beside it."
    data = output.get("data", {})
    if output.output_type != "display_data" or set(data) != {"text/plain"}: return False
    text = joined(data["text/plain"])
    if text.endswith(": run the cell to move it."): return True # see mark1.widgets
    made = re.match(r"([A-Z]\w+)\(\w+=", text)
    if not made: return False
    import ipywidgets  # here, for few cells show one
    return hasattr(ipywidgets, made[1])


def fold_summary(
    cell:dict, # a code cell
) -> str: # '' where nothing is folded
    "Say what stands above the folded code of a cell."
    marks = directives(cell.source)
    code = code_shown(cell.source)
    kind = kind_of(cell)
    if kind == "imports": return "Imports"
    if "exporti" in marks and "@exercise(" in code:
        return f"Answer: {', '.join(EXERCISE.findall(code))}"
    if "exporti" in marks: return "Internal code"
    if kind == "check": return f"Check: {checked_names(code)}".removesuffix(": ")
    if kind == "definition": return defined(code)
    return marks.get("code-summary", "Code") if marks.get("code-fold") in ("true", "show") else ""


def cell_record(
    cell:dict, # a code cell
    number:int, # its place in the notebook, from 0
    files:dict[str, bytes], # takes its pictures
) -> dict|None: # what the template reads; None for a cell of which nothing is shown
    "Note what a page needs to know of a code cell. `SyntaxError` for one that is exported and is no Python."
    marks = directives(cell.source)
    code = code_shown(cell.source)
    if "hide" in marks or "default_exp" in marks or marks.get("include") == "false":
        return None
    label = marks.get("label", "")
    outputs = cell.outputs if marks.get("output") != "false" else []
    name = label or f"cell-{number}"
    names = [name] + [f"{name}-{i}" for i in range(1, len(outputs))]
    exported = {"export", "exports"} & marks.keys() and code and not is_imports(code)
    shows = [part for output, name in zip(outputs, names)
             if not is_widget(output) and (part := shown(output, name, files))]
    record = {"label": label, "caption": as_hugo_reads(marks.get("fig-cap") or marks.get("tbl-cap", "")),
              "alt": marks.get("fig-alt", ""), "code": "" if marks.get("echo") == "false" else code,
              "fold": fold_summary(cell), "open": marks.get("code-fold") == "show",
              "defines": names_defined(code) if exported else [], "outputs": shows}
    return record if record["code"] or record["outputs"] else None
