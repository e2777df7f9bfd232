"What a page shows of the outputs of a cell: a picture, a table, prose or text."
import re
from base64 import b64decode
from html import escape

from mark1.workshop.notebook import last_state

PICTURES = { # the first there is is taken
    "image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp",
}
RECORDING = "application/vnd.mark1.recording" # a training, from which a page can play: see chapter 14
KEPT = set("div table caption thead tbody tfoot tr th td b strong em i code sub sup br".split()) # of tables
LOST = "style", "script", "progress" # with all they hold
MEDIA = {"img": "picture", "video": "video", "audio": "sound", "iframe": "page", "object": "document"}
WITHOUT_FORM = "application/vnd.jupyter.widget-view+json", "application/javascript" # nothing that can be read
DATA_PICTURE = re.compile( # alone, or in elements that hold nothing else
    r"""\s*(?:<(?!img)\w+[^>]*>\s*)*<img[^>]*\bsrc=["']data:image/(png|jpe?g|gif|webp);base64,([^"']+)["'][^>]*>"""
    r"\s*(?:</\w+>\s*)*", re.IGNORECASE)
CELL = re.compile(r"\S+(?: \S+)*") # of a table printed as text: two spaces stand between them
NUMBER = re.compile(r"[-+−]?[\d,]*\.?\d+(e[-+]?\d+)? ?%?|\d+(:\d\d)+|nan|NaN|") # or a time, or nothing


def joined(
    text:str|list[str], # as notebook files hold it
) -> str:
    "Join a text of a notebook to one piece."
    return text if isinstance(text, str) else "".join(text)


def strip(
    tree, # of lxml
):
    "Drop all elements of a tree that are no part of a table, and all attributes but spans."
    for element in list(tree.iter()):
        if element is tree: continue
        if element.tag in LOST or not isinstance(element.tag, str): element.drop_tree()
        elif element.tag not in KEPT: element.drop_tag()
        else:
            for name in set(element.attrib) - {"colspan", "rowspan"}:
                del element.attrib[name]


def mark_headings(
    tree, # of `strip`
):
    "Say what each heading heads; one that is empty heads nothing."
    for row in tree.iter("tr"):
        for cell in row.iter("th"):
            if not (cell.text_content().strip() or len(cell)): cell.tag = "td"
            else: cell.set("scope", "col" if row.getparent().tag == "thead" else "row")


def set_right(
    table, # of `mark_headings`
):
    "Set columns of numbers to the right, where columns are plain to see."
    if table.xpath(".//@colspan | .//@rowspan"): return
    for column in zip(*table.iter("tr")):
        body = (cell for cell in column if cell.tag == "td" and cell.getparent().getparent().tag != "thead")
        said = [cell.text_content().strip() for cell in body]
        if any(said) and all(map(NUMBER.fullmatch, said)):
            for cell in column: cell.set("class", "right")


def name_media(
    tree, # of lxml
):
    "Put words in place of what a page does not take from an output: videos, sounds, pictures in a text."
    for element in list(tree.iter(*MEDIA)):
        kind, said, tail = MEDIA[element.tag], element.get("alt") or element.get("title"), element.tail
        element.clear()
        element.tag, element.tail = "em", tail
        element.text = f"(A {kind}{f', {said}' if said else ''}: run the chapter to have it.)"


def plain_table(
    markup:str, # HTML that a cell has put out
) -> str: # '' where it holds no text
    "Give a table without styles, scripts, borders and what else would break the page's look or rules."
    from lxml import html  # here, for most builds change no chapter, and do not need it
    tree = html.fragment_fromstring(markup, create_parent="div")
    name_media(tree)
    strip(tree)
    mark_headings(tree)
    for table in tree.iter("table"): set_right(table)
    if not tree.text_content().strip(): return ""
    return "".join(html.tostring(child, encoding="unicode") for child in tree)


def printed_table(
    text:str, # that a cell has printed
) -> str: # '' where it is no table beyond doubt
    """Give a table that was printed as text: three or more rows of equally many cells, three or more.

    A line of one cell above them becomes the caption. The first row heads the others where it holds no number
    and some column below it holds mostly numbers.
    """
    lines = text.splitlines()
    caption = lines.pop(0) if len(CELL.findall(lines[0])) == 1 else ""
    rows = [CELL.findall(line) for line in lines]
    if len(rows) < 3 or len(rows[0]) < 3 or len({*map(len, rows)}) > 1: return ""
    is_number = lambda cell: cell == "–" or NUMBER.fullmatch(cell)
    shares = [sum(map(bool, map(is_number, column)))/len(column) for column in zip(*rows[1:])]
    headed = not any(map(is_number, rows[0])) and max(shares) > .5
    row_of = lambda cells, tag: "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    if headed: top += f"<thead><tr>{row_of(rows.pop(0), 'th')}</tr></thead>"
    body = "".join(f"<tr>{row_of(row, 'td')}</tr>" for row in rows)
    return plain_table(f"<table>{top}<tbody>{body}</tbody></table>")


def shown(
    output:dict, # of a code cell
    name:str, # what a picture's file is called, without its ending
    files:dict[str, bytes], # takes the picture, and the recording where there is one
) -> dict[str, str]|None: # 'picture', 'recording' (files), 'table' (HTML), 'markdown', 'text' (to quote)
    "Give what the page shows of one output, None for nothing."
    data = output.get("data", {})
    for kind, ending in PICTURES.items():
        if kind not in data: continue
        content = joined(data[kind])
        files[f"{name}.{ending}"] = content.encode() if ending == "svg" else b64decode(content)
        if RECORDING not in data: return {"picture": f"{name}.{ending}"}
        files[f"{name}.json"] = joined(data[RECORDING]).encode()
        return {"picture": f"{name}.{ending}", "recording": f"{name}.json"}
    if found := DATA_PICTURE.fullmatch(joined(data.get("text/html", ""))):
        file = f"{name}.{found[1].lower().replace('jpeg', 'jpg')}"
        files[file] = b64decode(found[2])
        return {"picture": file}
    if "text/html" in data:
        table = plain_table(joined(data["text/html"]))
        text = joined(data.get("text/plain", "<"))
        told = {} if text.startswith("<") else {"text": text} # a name of Python's
        return {"table": table} | told if table else None
    if "text/markdown" in data: return {"markdown": joined(data["text/markdown"])}
    said = output.get("text"), data.get("text/plain"), output.get("traceback") # stream, result, error
    text = last_state(joined(next(filter(None, said), ""))).rstrip()
    form = next((kind for kind in data if kind not in WITHOUT_FORM), "")
    if not text and form and "text/plain" not in data:
        text = f"(An output of the form {form}, which a page cannot show: run the chapter to have it.)"
    if not text: return None
    table = printed_table(text)
    return {"text": text} | ({"table": table} if table else {})
