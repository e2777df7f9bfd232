"""Read what a note says of itself: its name, and its front matter in TOML or YAML.

What is understood is used; what is not is named with its line.
"""
import re
import tomllib
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

ENDINGS = ".md", ".markdown"
FRONT = re.compile(r"\A(?P<mark>\+\+\+|---)[ \t]*\n(?P<facts>.*?)(?P<end>^(?P=mark)[ \t]*$\n?|\Z)",
                   re.DOTALL | re.MULTILINE)
FACT = re.compile(r"^[\w\"'-]+[ \t]*:", re.MULTILINE) # of YAML
DAY = re.compile(r"(\d{4})[-_./]?(\d\d)[-_./]?(\d\d)(?!\d)") # in the name of a file, or of its folder
TAGS = "tags", "categories", "tag", "category" # and the same below `taxonomies`


def name_of(
    path:Path, # of a note, below `NOTES`
) -> str: # 'DATE' for DATE.md and for DATE/index.md
    "Give the last part of a note's address."
    in_folder = path.stem in ("index", "README") and path.parent.name
    stem = path.parent.name if in_folder else path.stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-").lower()


def line_of(
    key:str, # of front matter, with a dot where it is in a table
    text:str, # of the note
) -> int: # 1 where it is not found
    "Say in which line of a note a key stands."
    name = re.escape(key.split(".")[-1])
    found = re.search(rf"(?im)^[ \t]*(?:\[{name}\]|[\"']?{name}[\"']?[ \t]*[=:])", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def read_toml(
    facts:str, # between the marks
) -> dict:
    "Read front matter in TOML. `ValueError` with line and sentence."
    try: return tomllib.loads(facts)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        lines = facts.splitlines()
        number = int(place[1]) if place and place[1] else len(lines)
        if lines and lines[min(number, len(lines)) - 1].startswith("date"):
            raise ValueError(number + 1, "its date is none; write one such as date=2021-12-19") from error
        said = str(error).replace(place[0] if place else "", "")
        raise ValueError(number + 1, f"its front matter is no TOML: {said}") from error


def read_yaml(
    facts:str, # between the marks
) -> dict:
    "Read front matter in YAML. `ValueError` with line and sentence."
    import yaml  # here, for most builds change no note with YAML
    try: front = yaml.load(facts, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        began = "scanning" in (getattr(error, "context", None) or "") and error.context_mark
        mark = began or getattr(error, "problem_mark", None)
        said = f"its front matter is no YAML: {getattr(error, 'problem', None) or error}"
        raise ValueError((mark.line if mark else 0) + 2, said) from error
    except ValueError as error: # an impossible date
        raise ValueError(line_of("date", facts) + 1,
                         "its date is none; write one such as date: 2021-12-19") from error
    if not isinstance(front or {}, dict):
        raise ValueError(2, "its front matter is no YAML: lines such as title: … are missing")
    return {str(key): value for key, value in (front or {}).items()}


def read_front(
    text:str, # of a note
) -> tuple[dict, int]: # front matter, and the lines it takes
    "Read the front matter of a note. `ValueError` with line and sentence."
    found = FRONT.match(text)
    if not found or (found["mark"] == "---" and not FACT.search(found["facts"])):
        return {}, 0 # a line --- may also be a rule
    if not found["end"]:
        raise ValueError(1, f"its front matter does not end; write a line {found['mark']} below it")
    front = (read_toml if found["mark"] == "+++" else read_yaml)(found["facts"])
    return front, found[0].count("\n")


def as_date(
    value, # of front matter
) -> str|None: # as Hugo reads it; None for no date
    "Read a date, with or without time and zone."
    if isinstance(value, date): return value.isoformat() # a datetime is one as well
    said = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", str(value).strip()).removesuffix(" UTC")
    for form in (date, datetime):
        with suppress(ValueError): return form.fromisoformat(said).isoformat()
    return None


def date_of_name(
    path:Path, # of a note
) -> str|None:
    "Read the date in the name of a note, or of a folder it is in."
    for part in reversed([path.as_posix(), *path.with_suffix("").parts]):
        for found in DAY.finditer(part):
            with suppress(ValueError): return date(*map(int, found.groups())).isoformat()
    return None


def as_list(
    value, # of front matter
) -> list[str]:
    "Read tags as a list, or as words with commas between."
    if isinstance(value, str): return [each.strip() for each in value.split(",") if each.strip()]
    if isinstance(value, list): return [str(each) for each in value]
    return [] if value is None else [str(value)]


def tags_of(
    rest:dict, # front matter; loses its tags, and its tables of them
) -> list[str]: # as they were written
    "Read tags, and categories with them."
    tables = rest.pop("taxonomies", {})
    tags = []
    for source in (rest, tables if isinstance(tables, dict) else {}):
        for name in TAGS: tags += as_list(source.pop(name, None))
    if isinstance(tables, dict): rest |= {f"taxonomies.{name}": value for name, value in tables.items()}
    return list(dict.fromkeys(filter(None, (" ".join(tag.split()) for tag in tags))))


def day_of(
    rest:dict, # front matter; loses its date
    path:Path, # of the note
    text:str, # of the note
) -> str: # as Hugo reads it
    "Read the date of a note, or of its name. `ValueError` with line and sentence."
    value = rest.pop("date", None)
    day = date_of_name(path) if value in (None, "") else as_date(value)
    if day: return day
    if value not in (None, ""):
        raise ValueError(line_of("date", text), "its date is none; write one such as date=2021-12-19")
    raise ValueError(1, "it has no date; write one into its front matter, such as date=2021-12-19, "
                        "or into its name")


def understood(
    front:dict, # as it was written
    path:Path, # of the note
    text:str, # of the note
    remarks:list[tuple[int, str]], # takes what is not
) -> dict: # for Hugo, the tags as they were written
    "Use what is understood of front matter, and name the rest. `ValueError` with line and sentence."
    written = {key.lower(): key for key in front}
    rest = {key.lower(): value for key, value in front.items()}
    page = {"tags": tags_of(rest), "date": day_of(rest, path, text)}
    for name in ("updated", "lastmod"):
        if as_date(rest.get(name, "")): page["lastmod"] = as_date(rest.pop(name))
    title = rest.pop("title", None)
    if title not in (None, ""): page["title"] = " ".join(str(title).split())
    for name in ("description", "summary"):
        if isinstance(rest.get(name), str): page["description"] = " ".join(rest.pop(name).split())
    if isinstance(rest.get("draft"), bool): page["draft"] = rest.pop("draft")
    if isinstance(rest.get("published"), bool): page["draft"] = not rest.pop("published")
    own = "", f"notes/{name_of(path)}"
    aliases = [each for name in ("aliases", "redirect_from") for each in as_list(rest.pop(name, None))]
    page["aliases"] = [f"/{alias.strip('/')}" for alias in aliases if alias.strip("/") not in own]
    extra = rest.get("extra")
    if isinstance(extra, dict): rest |= {f"extra.{name}": value for name, value in rest.pop("extra").items()}
    for name in rest:
        said = f"{written.get(name, name)!r} in the front matter is not used here"
        remarks.append((line_of(name, text), said))
    return page
