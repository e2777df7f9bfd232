"Remember which notes were found sound, so that only those are looked at that have changed."
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from origins import unsourced

RULES = "blog/origins.py", "blog/results.py", "settings.ini" # what a verdict rests on


def unsourced_numbers(
    root:Path, # the repository
    notes:dict[str, str], # name to text
) -> list[str]: # a sentence for each number without an origin
    "Look at the notes that have not been found sound before, by these very rules."
    kept = root/"_run"/"blog"/"sourced.json"
    known = set()
    with suppress(OSError, ValueError):
        known = set(json.loads(kept.read_text())) # else all are looked at
    rules = b"".join((root/name).read_bytes() for name in RULES)
    marks = {name: hashlib.sha256(rules + text.encode()).hexdigest() for name, text in notes.items()}
    said = {name: unsourced(text, name) for name, text in notes.items() if marks[name] not in known}
    kept.write_text(json.dumps([mark for name, mark in marks.items() if not said.get(name)]))
    return [sentence for sentences in said.values() for sentence in sentences]
