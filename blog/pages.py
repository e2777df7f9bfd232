"""Turn the notebooks in nbs/ into pages for Hugo: prose stays Markdown, code and outputs become data, pictures become files.

One page a notebook and one a module of the library, under _run/blog/content. What is made of a notebook is kept until the
notebook, the library or this file changes; a file is written only where it differs. So neither the next build nor the server
with live reload does again what is done.
"""
import ast
import io
import json
import re
import tokenize
from base64 import b64decode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from execnb.nbio import read_nb
from mark1.chapters import data_of, directives, find_chapters, fingerprint, setting, stored_facts

PAGES, KEPT_PAGES = Path("_run/blog/content"), Path("_run/blog/pages.json") # below the repository
PICTURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"} # the first that an output has is taken
KEPT = {"div", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "b", "strong", "em", "i", "code", "sub", "sup", "br"}
BADGE = re.compile(r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\) ?") # a linked picture of another host; the site has links of its own
ANSI = re.compile(r"\x1b\[[\d;]*m")
WARNING = re.compile(r"/ipykernel_\d+/\S*: (\w*Warning)") # which names a file that is gone
EXERCISE = re.compile(r'@exercise\(\s*"([^"]+)"')
HEAD = re.compile(r"# (.+?)\n+> (.+)\n*")
NUMBER = re.compile(r"[-+−]?[\d,]*\.?\d+(e[-+]?\d+)? ?%?|\d+(:\d\d)+|nan|NaN|") # or a time; or nothing, among numbers


def joined(
    text:str|list[str], # as notebook files hold it
) -> str:
    "A text of a notebook, in one piece."
    return text if isinstance(text, str) else "".join(text)


def plain_table(
    markup:str, # HTML that a cell has put out
) -> str: # '' where it holds no text
    "A table without styles, scripts, borders and whatever else would break the page's own look or rules."
    from lxml import html # here, and pygments below: most builds change no chapter, and need neither
    tree = html.fragment_fromstring(markup, create_parent="div")
    for element in list(tree.iter()):
        if element is tree: continue
        if element.tag in ("style", "script", "progress") or not isinstance(element.tag, str): element.drop_tree()
        elif element.tag not in KEPT: element.drop_tag()
        else:
            for name in set(element.attrib) - {"colspan", "rowspan"}: del element.attrib[name]
    for row in tree.iter("tr"):
        for cell in row.iter("th"):
            if not (cell.text_content().strip() or len(cell)): cell.tag = "td" # an empty heading heads nothing
            else: cell.set("scope", "col" if row.getparent().tag == "thead" else "row")
    for table in tree.iter("table"):
        rows = [] if table.xpath(".//@colspan | .//@rowspan") else table.iter("tr")
        for column in zip(*rows):
            said = [cell.text_content().strip() for cell in column if cell.tag == "td" and cell.getparent().getparent().tag != "thead"]
            if any(said) and all(map(NUMBER.fullmatch, said)):
                for cell in column: cell.set("class", "right")
    if not tree.text_content().strip(): return ""
    return "".join(html.tostring(child, encoding="unicode") for child in tree)


def shown(
    output:dict, # of a code cell
    name:str, # what a picture's file is called, without its ending
    files:dict[str, bytes], # takes the picture
) -> dict[str, str]|None: # 'picture' (a file), 'table' (HTML), 'markdown' or 'text'; None where there is nothing to show
    "What the page shows of one output."
    data = output.get("data", {})
    for kind, ending in PICTURES.items():
        if kind not in data: continue
        content = joined(data[kind])
        files[f"{name}.{ending}"] = content.encode() if ending == "svg" else b64decode(content)
        return {"picture": f"{name}.{ending}"}
    if "text/html" in data:
        table = plain_table(joined(data["text/html"]))
        return {"table": table} if table else None
    if "text/markdown" in data: return {"markdown": joined(data["text/markdown"])}
    text = joined(output.get("text") or data.get("text/plain") or output.get("traceback", "")) # of a stream, a result, an error
    text = ANSI.sub("", text).rstrip()
    return {"text": text} if text else None


def code_shown(
    source:str, # of a code cell
) -> str:
    "The code of a cell without its directives and without what speaks to the test runner alone."
    lines = [line for line in source.splitlines() if not line.startswith(("#|", "# NBVAL_"))]
    return "\n".join(lines).strip("\n")


def public_names(
    node:ast.stmt, # at the top level of a cell
) -> list[str]: # of a function, a class, or constants
    "The public names that a statement defines."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)): names = [node.name]
    else: names = [part.id for target in getattr(node, "targets", []) for part in ast.walk(target) if isinstance(part, ast.Name)
                   and isinstance(part.ctx, ast.Store)]
    return [name for name in names if not name.startswith("_")]


def names_defined(
    source:str, # of a code cell
) -> list[str]: # functions, classes and constants, in their order
    "The public names that a cell defines at its top level."
    return [name for node in ast.parse(source).body for name in public_names(node)]


def is_imports(
    source:str, # of a code cell
) -> bool:
    "Whether a cell does nothing but import."
    try: body = ast.parse(source).body
    except SyntaxError: return False # a cell with `!` or `%`
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)


def cell_record(
    cell:dict, # a code cell
    number:int, # its place in the notebook, from 0
    files:dict[str, bytes], # takes its pictures
) -> dict|None: # what the template reads; None for a cell of which nothing is shown
    "What a page needs to know of a code cell."
    marks, code = directives(cell.source), code_shown(cell.source)
    if "hide" in marks or "default_exp" in marks or marks.get("include") == "false": return None
    label = marks.get("label", "")
    name = label or f"cell-{number}"
    outputs = [] if marks.get("output") == "false" else [
        shown(output, name if i == 0 else f"{name}-{i}", files) for i, output in enumerate(cell.outputs)]
    exported = bool({"export", "exports"} & marks.keys())
    fold = marks.get("code-fold", "")
    if is_imports(code): summary = "Imports"
    elif "exporti" in marks: summary = f"Answer: {', '.join(EXERCISE.findall(code))}" if "@exercise(" in code else "Internal code"
    else: summary = marks.get("code-summary", "Code") if fold in ("true", "show") else ""
    record = {"label": label, "caption": marks.get("fig-cap") or marks.get("tbl-cap", ""), "alt": marks.get("fig-alt", ""),
              "code": "" if marks.get("echo") == "false" else code, "fold": summary, "open": fold == "show",
              "defines": names_defined(code) if exported and code and not is_imports(code) else [],
              "outputs": [output for output in outputs if output]}
    return record if record["code"] or record["outputs"] else None


def notebook_at(
    path:Path,
) -> dict: # as execnb reads it
    "Read a notebook. `ValueError` where it is none."
    try:
        notebook = read_nb(path)
        for cell in notebook.cells: cell.source, cell.cell_type
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"nbs/{path.name}: it is no notebook ({error}); save it once more") from error
    return notebook


def chapter_page(
    path:Path, # a notebook
    root:Path, # the repository
) -> tuple[dict, str, dict[str, bytes], list[tuple[int, int]]]: # front matter, Markdown, pictures; line and cell where each begins
    "A notebook as the parts of a page. `ValueError` where it has no title or shows a warning."
    notebook = notebook_at(path)
    head = HEAD.match(notebook.cells[0].source if notebook.cells else "")
    title = head or re.match(r"# (.+)\n*()", notebook.cells[0].source if notebook.cells else "")
    if not title: raise ValueError(f"nbs/{path.name}: it does not begin with a title, '# …'; write one into its first cell")
    parts, files, records, starts, line = [], {}, [], [], 1
    for number, cell in enumerate(notebook.cells):
        if cell.get("id") == "elsewhere": continue # the page has such links of its own
        if cell.cell_type == "markdown": text = BADGE.sub("", cell.source[title.end():] if number == 0 else cell.source).strip()
        elif cell.cell_type == "code":
            try: record = cell_record(cell, number, files)
            except SyntaxError as error:
                raise ValueError(f"nbs/{path.name}, cell {number + 1}: it is exported and is no Python: {error.msg}") from error
            warned = WARNING.search("\n".join(output.get("text", "") for output in record["outputs"])) if record else None
            if warned: raise ValueError(f"nbs/{path.name}, cell {number + 1}: it shows a {warned[1]} with the name of a temporary file; "
                                        f"mend what it warns of, and run `make refresh CHAPTERS={path.stem}`")
            if record and not record["outputs"] and starts and starts[-1][1] == number and is_imports(cell.source) and is_imports(notebook.cells[number - 1].source):
                records[-1]["code"] += f"\n\n{record['code']}" # one fold for both
                starts[-1] = starts[-1][0], number + 1
                continue
            markdown = [output["markdown"] for output in record["outputs"] if "markdown" in output] if record else []
            if markdown: text = BADGE.sub("", "\n\n".join(markdown)).strip() # prose that a cell has written
            elif record:
                text = f"{{{{< cell {len(records)} >}}}}"
                records.append(record)
            else: text = ""
        else: text = ""
        if not text: continue
        starts.append((line, number + 1))
        parts.append(text)
        line += text.count("\n") + 2
    module = re.search(r"^#\| default_exp (\w+)", "\n".join(cell.source for cell in notebook.cells), re.MULTILINE)
    facts = stored_facts(notebook)
    front = {"title": title[1].strip(), "description": title[2].strip(), "source": f"nbs/{path.name}", "module": module[1] if module else "",
             "data": data_of(notebook), "seconds": facts.get("seconds", 0), "cells": records,
             "stale": bool(facts) and facts.get("made_from") != fingerprint(notebook, root/setting("lib_path"))}
    return front, "\n\n".join(parts), files, starts


def comments_of(
    source:str, # Python
) -> dict[int, str]: # line to the comment on it
    "Comments, without their hash."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def parameters(
    function:ast.FunctionDef,
    comments:dict[int, str], # of `comments_of`
) -> list[dict[str, str]]: # name, type, default, doc
    "What a function takes, each with the comment on its line."
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    defaults = dict(zip([arg.arg for arg in plain[len(plain) - len(args.defaults):]], args.defaults))
    defaults |= {arg.arg: value for arg, value in zip(args.kwonlyargs, args.kw_defaults) if value}
    starred = [(args.vararg, "*")] if args.vararg else []
    doubled = [(args.kwarg, "**")] if args.kwarg else []
    found = []
    for arg, stars in [*((arg, "") for arg in plain), *starred, *((arg, "") for arg in args.kwonlyargs), *doubled]:
        if arg.arg in ("self", "cls"): continue
        default = defaults.get(arg.arg)
        found.append({"name": stars + arg.arg, "type": ast.unparse(arg.annotation) if arg.annotation else "",
                      "default": ast.unparse(default) if default else "", "doc": comments.get((default or arg).end_lineno, "")})
    return found


def signature(
    node:ast.FunctionDef,
) -> str:
    "How a function is called: its parameters and defaults without types."
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
    "The annotated fields of a class, which a dataclass or a named tuple takes."
    return [{"name": child.target.id, "type": ast.unparse(child.annotation), "default": ast.unparse(child.value) if child.value else "",
             "doc": comments.get(child.end_lineno, "")} for child in node.body if isinstance(child, ast.AnnAssign)]


def documented(
    node:ast.FunctionDef|ast.ClassDef|ast.Assign,
    comments:dict[int, str], # of `comments_of`
) -> list[dict]: # name, kind, signature, doc, parameters, returns, methods; several where constants are assigned at once
    "What the library reference says of a statement that defines something public."
    if isinstance(node, ast.Assign):
        target, value, names = node.targets[0], node.value, public_names(node)
        each = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts) == len(names)
        said = [f"{name} = {ast.unparse(part)}" for name, part in zip(names, value.elts)] if each else [ast.unparse(node)]*len(names)
        return [{"name": name, "kind": "constant", "signature": text, "doc": comments.get(node.end_lineno, "")} for name, text in zip(names, said)]
    if not public_names(node): return []
    entry = {"name": node.name, "doc": ast.get_docstring(node) or ""}
    if isinstance(node, ast.ClassDef):
        functions = [child for child in node.body if isinstance(child, ast.FunctionDef)]
        made = [child for child in functions if child.name == "__init__"]
        bases = ", ".join(map(ast.unparse, node.bases))
        return [{**entry, "kind": "class", "signature": f"class {node.name}" + (f"({bases})" if bases else ""),
                 "parameters": parameters(made[0], comments) if made else fields(node, comments),
                 "methods": [each for child in functions for each in documented(child, comments)]}]
    returns = {"type": ast.unparse(node.returns), "doc": comments.get(node.returns.end_lineno, "")} if node.returns else None
    return [{**entry, "kind": "function", "signature": signature(node), "parameters": parameters(node, comments), "returns": returns}]


def module_entries(
    path:Path, # a notebook
) -> list[dict]: # as `documented`
    "The public definitions that a notebook exports, in its order."
    exported = [cell.source for cell in read_nb(path).cells if cell.cell_type == "code" and {"export", "exports"} & directives(cell.source).keys()]
    return [entry for source in exported for node in ast.parse(source).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign)) for entry in documented(node, comments_of(source))]


def write(
    path:Path,
    content:bytes,
):
    "Write a file unless it holds just that already."
    if path.exists() and path.read_bytes() == content: return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def page_text(
    front:dict, # front matter
    body:str="", # Markdown
) -> bytes:
    "A page as Hugo reads it, its front matter in JSON."
    return (json.dumps(front, indent=1, ensure_ascii=False) + "\n\n" + body + "\n").encode()


def pages_of(
    place:str, # of its page, below `PAGES`
    path:Path, # a notebook
    weight:int, # its place in lists
    root:Path, # the repository
) -> tuple[list[str], list[tuple[int, int]]]: # files, below `PAGES`; line of the page and cell where each part begins
    "Write the page of a notebook, and that of the module it exports."
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    front, body, files, starts = chapter_page(path, root)
    lexer, spans = PythonLexer(), HtmlFormatter(nowrap=True)
    for cell in front["cells"]: # here, since a page that is kept is coloured once, and Hugo would do it in each build
        cell["code"] = highlight(cell["code"], lexer, spans).strip("\n") if cell["code"] else ""
    if place == "start": front |= {"title": "What Mark 1 is", "description": "How to start, what it takes, the commands, and what is where"}
    text = page_text({**front, "weight": weight}, body)
    before = text[:text.index(b"\n}\n") + 3].count(b"\n") + 1 # lines of front matter
    files = {f"{place}/{name}": content for name, content in (files | {"index.md": text}).items()}
    if front["module"] and (entries := module_entries(path)):
        files[f"library/{front['module']}/index.md"] = page_text({
            "title": f"mark1.{front['module']}", "weight": weight, "entries": entries, "chapter": path.stem, "source": f"nbs/{path.name}",
            "description": f"Functions, classes and constants of chapter {path.stem[:2]}: {', '.join(entry['name'] for entry in entries)}"})
    for name, content in files.items(): write(root/PAGES/name, content)
    return list(files), [(line + before, cell) for line, cell in starts]


def write_fault(
    place:str, # of the page, below `PAGES`
    path:Path, # a notebook
    fault:str, # a sentence
    root:Path, # the repository
):
    "Have the page of a notebook stop Hugo, which says and shows the fault; what the page held stays, for notes that embed it."
    page, body = root/PAGES/place/"index.md", ""
    front = {"title": path.stem, "description": "", "source": f"nbs/{path.name}", "module": "", "data": "none", "cells": []}
    with suppress(OSError):
        text = page.read_text(encoding="utf-8")
        front, end = json.JSONDecoder().raw_decode(text)
        body = text[end:].strip()
    write(page, page_text(front | {"fault": fault}, body))


def make_pages(
    root:Path, # the repository
) -> tuple[dict[str, tuple[str, list[tuple[int, int]]]], list[str]]: # page, below the root, to its notebook and the line and cell where each part begins; faults
    "Write a page for every notebook and every module, and remove those whose notebook is gone."
    notebooks = {f"chapters/{path.stem}": path for path in find_chapters(root/"nbs")}
    notebooks |= {place: root/"nbs"/f"{name}.ipynb" for place, name in (("glossary", "glossary"), ("start", "index"))}
    library = b"".join(path.read_bytes() for path in (Path(__file__), *sorted((root/setting("lib_path")).rglob("*.py"))))
    kept, pages, origins, faults = {}, {}, {}, []
    with suppress(OSError, ValueError): kept = json.loads((root/KEPT_PAGES).read_bytes())
    for weight, (place, path) in enumerate(notebooks.items(), 1):
        if not path.exists(): continue
        page = kept.get(place, {})
        try:
            stamp = sha256(path.read_bytes() + library + str(weight).encode()).hexdigest()
            if page.get("stamp") != stamp or not all((root/PAGES/name).exists() for name in page["files"]):
                page = dict(zip(("files", "starts"), pages_of(place, path, weight, root)), stamp=stamp)
        except ValueError as error:
            faults.append(str(error))
            write_fault(place, path, faults[-1], root)
            page = {"files": page.get("files", [f"{place}/index.md"]), "starts": page.get("starts", []), "stamp": ""}
        pages[place] = page
        origins[str(PAGES/place/"index.md")] = f"nbs/{path.name}", page["starts"]
    files = {name for page in pages.values() for name in page["files"]}
    for path in (root/PAGES).rglob("*"):
        if path.is_file() and path.relative_to(root/PAGES).as_posix() not in files: path.unlink()
    write(root/KEPT_PAGES, json.dumps(pages).encode())
    return origins, faults
