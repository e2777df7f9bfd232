"Say what is wrong in notes and chapters, with file and line as a person wrote them, out of what Hugo says."
import re
import tomllib
from datetime import date
from pathlib import Path

RAW = re.compile(r"<!--|</?[a-zA-Z][^>\n]*>") # raw HTML, in a line outside of code


def in_repository(
    message:str, # of Hugo
    root:Path, # the repository
    origins:dict, # of `make_pages`
) -> str: # one line
    "Put into an error of Hugo's the file and the line that a person wrote."
    line = re.sub(r'"([^"]+:\d+:\d+)"', r"\1", message.replace(f"{root}/", "")).strip()
    line = re.sub(r"^.*?(?=\S+:\d+: )", "", line, count=1) # what Hugo was doing when it found it
    line = re.sub(r"(\S+?:\d+):\d+(:|$)", r"\1\2", line) # columns are Hugo's, not the reader's
    line = re.sub(r'failed to extract shortcode: template for shortcode ("[^"]*") not found',
                  r"there is no shortcode \1; there is embed", line)
    line = line.replace("unclosed shortcode action", "a shortcode above does not end; close it with >}}")
    place = re.match(r"(\S+/index\.md):(\d+)", line)
    if place and place[1] in origins:
        notebook, starts = origins[place[1]]
        cell = max((cell for start, cell in starts if start <= int(place[2])), default=1)
        line = line.replace(place[0], f"{notebook}, cell {cell}", 1)
    return line


def front_matter_fault(
    text:str, # of a note
) -> tuple[int, str]|None: # line and sentence
    "Say what is wrong with the TOML between a note's `+++` lines."
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "+++":
        return 1, "it does not begin with front matter; write +++, title=, date= and +++ above the text"
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "+++"), None)
    if end is None: return 1, "its front matter does not end; write a line +++ below it"
    try: front = tomllib.loads("\n".join(lines[1:end]))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)", str(error))
        number = int(place[1]) if place else end # of the line in the text, counted from 0
        if lines[number].startswith("date"):
            return number + 1, "its date is none; write one such as date=2021-12-19"
        return number + 1, f"its front matter is no TOML: {str(error).replace(place[0] if place else '', '')}"
    number = next((number for number, line in enumerate(lines[:end], 1) if line.startswith("date")), 1)
    if not isinstance(front.get("date"), date):
        return number, "it has no date; write one into its front matter, such as date=2021-12-19"


def front_matter_faults(
    notes:dict[str, str], # name to text
) -> list[str]: # a sentence each, with file and line
    "Say what is wrong in the front matter of notes."
    found = {name: front_matter_fault(text) for name, text in notes.items()}
    return [f"{name}:{fault[0]}: {fault[1]}" for name, fault in found.items() if fault]


def first_raw(
    path:Path, # Markdown
) -> tuple[int, str]: # line and tag
    "Say where a note first holds raw HTML."
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")): fenced = not fenced
        found = None if fenced else RAW.search(re.sub(r"`[^`]*`|<https?://[^>]*>", "", line))
        if found: return number, found[0]
    return 1, "a tag"


def complaints(
    log:str, # what Hugo printed
    root:Path, # the repository
    origins:dict, # of `make_pages`
) -> list[str]: # a sentence each, with file and line
    "Say what is wrong, out of what Hugo says."
    found = []
    for line in log.splitlines():
        raw = re.search(r'Raw HTML omitted while rendering "([^"]+)"', line)
        if raw:
            number, tag = first_raw(root/raw[1])
            place = in_repository(f"{raw[1]}:{number}:1", root, origins)
            found.append(f"{place}: raw HTML ({tag}) is left out of pages; write it as Markdown")
        error = re.match(r"(?:ERROR|Error:) (.*)", line)
        if error and not re.search(r"logged \d+ error", error[1]):
            found.append(in_repository(error[1], root, origins))
    return list(dict.fromkeys(found))
