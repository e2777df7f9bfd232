"The library reference: what the exported cells of a notebook define, read from their source."
import ast
import io
import tokenize

from mark1.workshop.notebook import directives

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign


def patched_class(
    node:ast.stmt, # at the top level of a cell
) -> str: # '' for all other statements
    "Name the class of which a function becomes a method, through fastcore's decorator `patch`."
    decorators = getattr(node, "decorator_list", [])
    is_patch = isinstance(node, ast.FunctionDef) and "patch" in map(ast.unparse, decorators)
    return ast.unparse(node.args.args[0].annotation) if is_patch else ""


def public_names(
    node:ast.stmt, # at the top level of a cell
) -> list[str]: # of a function, a class, or constants
    "List the public names that a statement defines; a method added to a class is none of them."
    if patched_class(node): return []
    names = []
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)): names = [node.name]
    for target in getattr(node, "targets", []):
        parts = (part for part in ast.walk(target) if isinstance(part, ast.Name))
        names += [part.id for part in parts if isinstance(part.ctx, ast.Store)]
    return [name for name in names if not name.startswith("_")]


def names_defined(
    source:str, # of a code cell
) -> list[str]: # functions, classes and constants, in their order
    "List the public names that a cell defines at its top level."
    return [name for node in ast.parse(source).body for name in public_names(node)]


def comments_of(
    source:str, # Python
) -> dict[int, str]: # line to the comment on it
    "Read comments, without their hash."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (token for token in tokens if token.type == tokenize.COMMENT)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in comments}


def parameters(
    function:ast.FunctionDef,
    comments:dict[int, str], # of `comments_of`
) -> list[dict[str, str]]: # name, type, default, doc
    "List what a function takes, each with the comment on its line."
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    defaults = dict(zip([arg.arg for arg in plain[len(plain) - len(args.defaults):]], args.defaults))
    defaults |= {arg.arg: value for arg, value in zip(args.kwonlyargs, args.kw_defaults) if value}
    taken = [(arg, "") for arg in plain]
    if args.vararg: taken.append((args.vararg, "*"))
    taken += [(arg, "") for arg in args.kwonlyargs]
    if args.kwarg: taken.append((args.kwarg, "**"))
    found = []
    for arg, stars in taken:
        if arg.arg in ("self", "cls"): continue
        default = defaults.get(arg.arg)
        found.append({"name": stars + arg.arg, "type": ast.unparse(arg.annotation) if arg.annotation else "",
                      "default": ast.unparse(default) if default else "",
                      "doc": comments.get((default or arg).end_lineno, "")})
    return found


def signature(
    node:ast.FunctionDef,
) -> str:
    "Say how a function is called: its parameters and defaults without types."
    args = ast.parse(ast.unparse(node.args).join(["def f(", "): pass"])).body[0].args # a copy
    for group in (args.posonlyargs, args.args):
        if group and group[0].arg in ("self", "cls"): del group[0]
    for arg in ast.walk(args):
        if isinstance(arg, ast.arg): arg.annotation = None
    return f"{node.name}({ast.unparse(args)})"


def fields(
    node:ast.ClassDef,
    comments:dict[int, str], # of `comments_of`
) -> list[dict[str, str]]: # as of `parameters`
    "List the annotated fields of a class, which a dataclass or a named tuple takes."
    return [{"name": child.target.id, "type": ast.unparse(child.annotation),
             "default": ast.unparse(child.value) if child.value else "",
             "doc": comments.get(child.end_lineno, "")}
            for child in node.body if isinstance(child, ast.AnnAssign)]


def constants(
    node:ast.Assign,
    comments:dict[int, str], # of `comments_of`
) -> list[dict]: # as of `documented`
    "Write what the library reference says of constants; several assigned at once have their own values."
    target = node.targets[0]
    value = node.value
    names = public_names(node)
    texts = [ast.unparse(node)]*len(names)
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        if len(target.elts) == len(value.elts) == len(names):
            texts = [f"{name} = {ast.unparse(part)}" for name, part in zip(names, value.elts)]
    doc = comments.get(node.end_lineno, "")
    return [{"name": name, "kind": "constant", "signature": text, "doc": doc}
            for name, text in zip(names, texts)]


def class_entry(
    node:ast.ClassDef,
    comments:dict[int, str], # of `comments_of`
) -> dict: # as of `documented`
    "Write what the library reference says of a class."
    functions = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    made = [child for child in functions if child.name == "__init__"]
    bases = ", ".join(map(ast.unparse, node.bases))
    return {"name": node.name, "doc": ast.get_docstring(node) or "", "kind": "class",
            "signature": f"class {node.name}" + (f"({bases})" if bases else ""),
            "parameters": parameters(made[0], comments) if made else fields(node, comments),
            "methods": [each for child in functions for each in documented(child, comments)]}


def function_entry(
    node:ast.FunctionDef,
    comments:dict[int, str], # of `comments_of`
) -> dict: # as of `documented`
    "Write what the library reference says of a function."
    returns = node.returns
    result = None
    if returns:
        result = {"type": ast.unparse(returns), "doc": comments.get(returns.end_lineno, "")}
    return {"name": node.name, "doc": ast.get_docstring(node) or "", "kind": "function",
            "signature": signature(node), "parameters": parameters(node, comments), "returns": result}


def documented(
    node:Definition,
    comments:dict[int, str], # of `comments_of`
) -> list[dict]: # name, kind, signature, doc, parameters, returns, methods; several for several constants
    "Write what the library reference says of a statement that defines something public."
    if isinstance(node, ast.Assign): return constants(node, comments)
    if not public_names(node): return []
    return [class_entry(node, comments) if isinstance(node, ast.ClassDef) else function_entry(node, comments)]


def module_entries(
    notebook:dict, # as execnb reads it
) -> list[dict]: # as of `documented`
    "List the public definitions that a notebook exports, in its order, methods with their class."
    entries = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or not {"export", "exports"} & directives(cell.source).keys():
            continue
        comments = comments_of(cell.source)
        for node in ast.parse(cell.source).body:
            owner = [entry for entry in entries if entry["name"] == patched_class(node)]
            if owner: owner[0]["methods"].append(function_entry(node, comments))
            elif isinstance(node, Definition): entries += documented(node, comments)
    return entries
