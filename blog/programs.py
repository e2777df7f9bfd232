"Start the programs that make the site: Hugo makes the pages, Pagefind the index of the search."
import os
import subprocess
import sysconfig
from pathlib import Path


def binary(
    place:str, # below site-packages
) -> str:
    """Find a program that a Python package brings; the package's own wrapper prints a line too many.

    `FileNotFoundError` without it.
    """
    path = Path(sysconfig.get_path("platlib"))/place
    found = [each for each in (path, path.with_suffix(".exe")) if each.is_file()]
    if not found:
        raise FileNotFoundError(f"{path.name} is not installed; run `make setup`")
    return str(found[0])


def hugo(
    root:Path, # the repository
    settings:dict[str, str], # of settings.ini
    *words:str, # of its command line
    **options, # of `subprocess.Popen`
) -> subprocess.Popen:
    "Start Hugo, with what the templates take from settings.ini."
    facts = {"repository": settings["git_url"]}
    facts |= {name: settings[name] for name in ("description", "author", "branch", "version")}
    environment = {"GOGC": "400", **os.environ} # garbage is collected less often: a tenth of Hugo's time
    environment |= {f"HUGO_PARAMS_{name.upper()}": value for name, value in facts.items()}
    command = [binary("hugo/binaries/hugo"), *words, "--source", str(root), "--config", "blog/hugo.toml",
               "--noBuildLock", "--cacheDir", str(root/"_run"/"hugo")]
    return subprocess.Popen(command, cwd=root, env=environment, **options)
