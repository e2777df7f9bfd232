"""Measure how tight claims are: their bounds, what was found, and whether twice as loose is too loose.

    python tests/intervals.py                  all chapters
    python tests/intervals.py 04_validation    one of them

A claim is a function of a chapter whose docstring begins with "Check that". A bound is a number that it
compares with, and its slack is how far it lies from the nearest number that was found. Beside it stands the
spread of all numbers found: over seeds, examples or data sets, whatever the claim was asked of. Each chapter
runs once, and again where a control passes then. Where a control has failed a claim, as it must, it is tried
with twice the slack. Nine controls of ten must still fail.
"""
import ast
import json
import re
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import mutants

ASKED_FOR = .9 # share of the controls that fail with twice the slack

# What runs inside a chapter; it keeps what it saw in a file.
INSIDE = '''
import json as _json, operator as _operator, random as _random
from pathlib import Path as _Path
import numpy as _np, torch as _torch
from fastcore.test import test_fail as _test_fail
_LOOSE, _SEEN, _KEPT = [], [], []
_COMPARE = {"<": _operator.lt, "<=": _operator.le, ">": _operator.gt, ">=": _operator.ge}

def _twice(claim, values, signs, fixed):
    "Double the slack of the bounds among values that are compared; twice or half where nothing was found."
    values = list(values)
    for place, sign in enumerate(signs):
        for at, upper in ((place, sign[0] == ">"), (place + 1, sign[0] == "<")):
            if not fixed[at]: continue
            bound = float(values[at])
            found = [nearest for kind, name, its, nearest, *_ in [*_KNOWN, *_KEPT]
                     if kind == "found" and (name, its) == (claim, bound)]
            unknown = abs(bound) if upper == (bound > 0) else abs(bound)/2
            slack = min((abs(bound - each) for each in found), default=unknown)
            values[at] = bound + (slack if upper else -slack)
    return values

def _nearest(numbers, bound): return float(numbers[_np.abs(numbers - bound).argmin()])

def _held(claim, values, signs, fixed):
    "Compare as the claim does, and note each bound with what was found."
    for place, is_bound in enumerate(fixed):
        if not is_bound: continue
        other = values[place - 1] if place else values[place + 1]
        bound = float(values[place])
        try: numbers = _np.asarray(other, dtype=float).ravel()
        except (TypeError, ValueError): continue
        if len(numbers): _SEEN.append((claim, bound, _nearest(numbers, bound), numbers.min(), numbers.max()))
    if _LOOSE: values = _twice(claim, values, signs, fixed)
    result = True
    for one, sign, other in zip(values, signs, values[1:]):
        result = _COMPARE[sign](one, other)
        if len(signs) > 1 and not result: break
    return result

def _fails(function):
    try: function()
    except Exception: return True
    return False

def _control(function, *args, **kwargs):
    "Check that a control fails, and see whether it does with twice the slack."
    _KEPT.extend(("found", *each) for each in _SEEN)
    _SEEN.clear()
    _test_fail(function, *args, **kwargs)
    seen = list(_SEEN)
    if seen:
        states = _np.random.get_state(), _torch.get_rng_state(), _random.getstate()
        _LOOSE.append(True)
        red = _fails(function)
        _LOOSE.clear()
        _np.random.set_state(states[0]); _torch.set_rng_state(states[1]); _random.setstate(states[2])
        _KEPT.append(("control", *seen[-1][:3], red))
    _SEEN.clear()
'''
AT_THE_END = '''
_KEPT.extend(("found", *each) for each in _SEEN)
_Path(%r).write_text(_json.dumps(_KEPT))
'''
SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


class Watched(ast.NodeTransformer):
    "Let claims note their bounds, and controls try them loosened."
    claim = ""
    numbers = {} # parameters of the claim that have a number as default

    def visit_FunctionDef(self, node):
        if not (ast.get_docstring(node) or "").startswith("Check that"): return self.generic_visit(node)
        before, self.claim = (self.claim, self.numbers), node.name
        defaults = zip(reversed(node.args.args), reversed(node.args.defaults))
        self.numbers = {argument.arg for argument, default in defaults if is_number(default)}
        self.generic_visit(node)
        self.claim, self.numbers = before
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        values = [node.left, *node.comparators]
        fixed = [is_number(value) or getattr(value, "id", "") in self.numbers for value in values]
        if not self.claim or not any(fixed) or not all(type(sign) in SIGNS for sign in node.ops): return node
        signs = [SIGNS[type(sign)] for sign in node.ops]
        call = ast.parse(f"_held({self.claim!r}, [], {signs!r}, {fixed!r})", mode="eval").body
        call.args[1].elts = values
        return call

    def visit_Name(self, node):
        return ast.Name("_control", node.ctx) if node.id == "test_fail" else node


def is_number(
    node:ast.expr,
) -> bool:
    "Say whether an expression is a number that is written out, such as .1, -3 or 2/3."
    if isinstance(node, ast.UnaryOp): return is_number(node.operand)
    if isinstance(node, ast.BinOp): return is_number(node.left) and is_number(node.right)
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def watched(
    notebook:dict, # as its file holds it; changed in place
    out:Path, # where the chapter keeps what its claims saw
    known:list, # what it saw in a run before this
) -> dict:
    "Let the claims and controls of a chapter be watched."
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or not re.search("Check that|test_fail", source): continue
        if re.search(r"^#\| *(export|eval: *false)", source, re.MULTILINE): continue
        tree = Watched().visit(ast.parse(source)) # a cell with magics makes no claims
        marks = [line for line in source.splitlines() if line.startswith("#|")]
        cell["source"] = "\n".join([*marks, ast.unparse(ast.fix_missing_locations(tree))])
    cell = lambda source: {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    first, last = cell(f"{INSIDE}\n_KNOWN = {known!r}"), cell(AT_THE_END % str(out))
    notebook["cells"] = [first, *notebook["cells"], last]
    return notebook


def measured(
    path:Path, # a chapter of a copy
    out:Path, # a file to write
    known:list=(), # as for `watched`
) -> tuple[list, str]: # what its claims saw; what went wrong
    "Run a chapter, watched."
    text = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(watched(json.loads(text), out, list(known))), encoding="utf-8")
    run = partial(mutants.run_chapter, path)
    try: said = mutants.noticed(run, path.parent.parent, out.with_suffix(".log"))
    finally: path.write_text(text, encoding="utf-8")
    return json.loads(out.read_text()) if out.exists() else [], said


def show(
    name:str, # of a chapter
    kept:list,
) -> Counter: # of controls that fail loosened, and that do not
    "Print each bound of each claim: the nearest that was found, and what each control gave."
    found = {}
    for kind, claim, bound, *numbers in kept:
        if kind == "found": found.setdefault((claim, bound), []).append(numbers)
    reds = Counter()
    for (claim, bound), rows in found.items():
        value = min((row[0] for row in rows), key=lambda nearest: abs(nearest - bound))
        slack = abs(value - bound)
        spread = max(row[2] for row in rows) - min(row[1] for row in rows)
        of_bound = f"{slack/abs(bound):.0%}" if bound else "–"
        of_spread = f"{slack/spread:.2g} spreads" if spread else "a single number"
        print(f"{name:<20} {claim:<28} bound {bound:<9.4g} found {value:<9.4g} slack {of_bound}, {of_spread}")
    for kind, claim, bound, value, *red in kept:
        if kind != "control": continue
        reds[red[0]] += 1
        times = f"{value/bound:.2f} times" if bound else f"{value:.3g}"
        then = "red" if red[0] else "GREEN: too loose"
        print(f"{name:<20} {claim:<28} control {times} the bound; with twice the slack {then}")
    return reds


def main(
) -> int: # 1 where too many controls pass with twice the slack
    "Measure the claims of chapters; say how many controls turn red."
    words = sys.argv[1:] or [""]
    mutants.prepare()
    reds = Counter()
    with tempfile.TemporaryDirectory(prefix="mark1-intervals-") as folder:
        mutants.os.environ["MARK1_MUTANTS"] = folder
        for path in sorted((mutants.copied()/"nbs").glob("[0-9]*.ipynb")):
            if not any(word in path.stem for word in words): continue
            out = Path(folder)/f"{path.stem}.json"
            kept, said = measured(path, out)
            if not all(row[-1] for row in kept if row[0] == "control"): # not known: what comes below it
                kept, said = measured(path, out, [row for row in kept if row[0] == "found"])
            if said: print(f"{path.stem} did not run to its end: {said[:200]}")
            reds += show(path.stem, kept)
    print(f"with twice the slack {reds[True]} of {reds.total()} controls turn red")
    return int(reds[True] < ASKED_FOR*reds.total())


if __name__ == "__main__": sys.exit(main())
