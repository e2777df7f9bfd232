"What a page needs to know of a code cell: its code, its outputs, what is folded, and what it defines."
import ast
import re

from mark1.workshop.notebook import directives
from outputs import shown
from reference import names_defined

EXERCISE = re.compile(r'@exercise\(\s*"([^"]+)"')


def code_shown(
    source:str, # of a code cell
) -> str:
    "Give the code of a cell without its directives and without what speaks to the test runner alone."
    lines = [line for line in source.splitlines() if not line.startswith(("#|", "# NBVAL_"))]
    return "\n".join(lines).strip("\n")


def is_imports(
    source:str, # of a code cell
) -> bool:
    "Say whether a cell does nothing but import."
    try: body = ast.parse(source).body
    except SyntaxError: return False # a cell with `!` or `%`
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)


def fold_summary(
    marks:dict[str, str], # of `directives`
    code:str, # of `code_shown`
) -> str: # '' where nothing is folded
    "Say what stands above the folded code of a cell."
    if is_imports(code): return "Imports"
    if "exporti" in marks and "@exercise(" in code:
        return f"Answer: {', '.join(EXERCISE.findall(code))}"
    if "exporti" in marks: return "Internal code"
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
    shows = [part for output, name in zip(outputs, names) if (part := shown(output, name, files))]
    record = {"label": label, "caption": marks.get("fig-cap") or marks.get("tbl-cap", ""),
              "alt": marks.get("fig-alt", ""), "code": "" if marks.get("echo") == "false" else code,
              "fold": fold_summary(marks, code), "open": marks.get("code-fold") == "show",
              "defines": names_defined(code) if exported else [], "outputs": shows}
    return record if record["code"] or record["outputs"] else None
