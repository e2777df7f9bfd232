"""Prepare a release and check it; nothing is published: `make release VERSION=0.1.0` calls this.

It writes the version and today's date where they stand, builds wheel and source distribution into
_run/release, looks at what the wheel says, writes the tag's text beside it, and prints what is left to type.
"""
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_run" / "release"
UNRELEASED = "## [Unreleased]\n"
PLACES = { # file to the pattern of its version
    "settings.ini": r"^version = (.*)$",
    "pyproject.toml": r'^version = "(.*)"$',
    "CITATION.cff": r"^version: (.*)$",
    "SECURITY.md": r"Version (\S+) is the only one",
}


def stop(sentence):
    """End with one sentence."""
    sys.exit("mark1: " + sentence)


def versions(root):
    """Read the version in each place that has one."""
    found = {}
    for name, pattern in PLACES.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if not match: stop("%s names no version; write it there as before" % name)
        found[name] = match[1]
    return found


def section(changelog, version):
    """Give what the changelog says of a version; that is the text of the tag."""
    found = re.search(r"^## \[%s\] - \d{4}-\d\d-\d\d\n(.*?)(?=^## |\Z)" % re.escape(version), changelog,
                      re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def write(root, version, today):
    """Write a version and its date where they stand; doing it twice changes nothing more."""
    for name, pattern in PLACES.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        change = lambda match: match[0].replace(match[1], version)
        path.write_text(re.sub(pattern, change, text, count=1, flags=re.MULTILINE), encoding="utf-8")
    citation = root / "CITATION.cff"
    text = re.sub(r"^date-released: .*\n", "", citation.read_text(encoding="utf-8"), flags=re.MULTILINE)
    citation.write_text(text.rstrip() + "\ndate-released: %s\n" % today, encoding="utf-8")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    if section(text, version): return
    if UNRELEASED not in text: stop("CHANGELOG.md has no heading %r; write one" % UNRELEASED.strip())
    if not text.partition(UNRELEASED)[2].partition("\n## ")[0].strip():
        stop("CHANGELOG.md says nothing below %r; write what has changed" % UNRELEASED.strip())
    text = text.replace(UNRELEASED, "%s\n## [%s] - %s\n" % (UNRELEASED, version, today), 1)
    changelog.write_text(text, encoding="utf-8")


def build():
    """Build both distributions into an empty folder; the wheel comes back."""
    shutil.rmtree(OUT, ignore_errors=True)
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(OUT), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode: stop("the build failed:\n" + done.stdout + done.stderr)
    return next(OUT.glob("*.whl"))


def faults(wheel, version):
    """List what an index would refuse or show wrongly in a wheel."""
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(file.read(name))
        held = file.namelist()
    found = []
    if said["Version"] != version: found.append("its version is %s" % said["Version"])
    if not said.get_payload().strip(): found.append("it has no description")
    if said["Description-Content-Type"] != "text/markdown": found.append("its description is no Markdown")
    short = re.findall(r"\]\((?!https://|#)[^)]*\)", said.get_payload())
    if short: found.append("its description has links that lead nowhere there, such as %s" % short[0])
    if not any(name.endswith("licenses/LICENSE") for name in held): found.append("it holds no licence")
    return found


def git(*words):
    """Ask git something."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def main():
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", sys.argv[1]):
        stop("name the version: make release VERSION=0.1.0")
    version = sys.argv[1]
    if git("tag", "--list", "v" + version): stop("there is a tag v%s already; take another version" % version)
    write(ROOT, version, date.today().isoformat())
    subprocess.run([str(Path(sys.executable).parent / "nbdev_export")], cwd=ROOT, check=True)
    if wrong := {name for name, each in versions(ROOT).items() if each != version}:
        stop("another version stands in %s" % ", ".join(sorted(wrong)))
    if wrong := faults(build(), version): stop("the wheel is not fit: " + "; ".join(wrong))
    text = section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    (OUT / "tag.txt").write_text("Mark 1 %s\n\n%s\n" % (version, text), encoding="utf-8")
    print("mark1: %s is ready in _run/release; nothing is published. What is left to do:" % version)
    if git("status", "--porcelain"): print('  git diff\n  git commit -am "Release %s"' % version)
    print("  make test")
    print("  git tag --cleanup=verbatim -a v%s -F _run/release/tag.txt" % version)
    print("  git push origin main v%s" % version)


if __name__ == "__main__":
    main()
