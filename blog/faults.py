"Say what is wrong in notes and chapters, with file and line as a person wrote them, out of what Hugo says."
import re
from pathlib import Path

RAW = re.compile(r"<!--|</?[a-zA-Z][^>\n]*>") # raw HTML, in a line outside of code


def in_repository(
    message:str, # of Hugo
    root:Path, # the repository
    origins:dict, # of `make_pages` and `make_notes`
) -> str: # one line
    "Put into an error of Hugo's the file and the line that a person wrote."
    line = re.sub(r'"([^"]+:\d+:\d+)"', r"\1", message.replace(f"{root}/", "")).strip()
    if not line.startswith("lesson_notes/"): # else a sentence of ours
        line = re.sub(r"^.*?(?=\S+:\d+: )", "", line, count=1) # what Hugo was doing when it found it
    line = re.sub(r"(\S+?:\d+):\d+(:|$)", r"\1\2", line) # columns are Hugo's, not the reader's
    line = re.sub(r'failed to extract shortcode: template for shortcode ("[^"]*") not found',
                  r"there is no shortcode \1; there is embed", line)
    place = re.match(r"(\S+\.md):(\d+)", line)
    if place and place[1] in origins:
        source, starts = origins[place[1]]
        number = int(place[2])
        if isinstance(starts, int): there = f"{source}:{number - starts}" # of a note
        else: there = f"{source}, cell {max((cell for start, cell in starts if start <= number), default=1)}"
        line = line.replace(place[0], there, 1)
    return line


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
    origins:dict, # of `make_pages` and `make_notes`
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
