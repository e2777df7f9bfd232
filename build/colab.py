"""Install the course in Google Colab, beside the torch that is there: `python build/colab.py` in a clone.

Colab's torch fits its graphics cards, and to replace it takes minutes. So whatever version the course asks
for, torch and torchvision stay as they are; JupyterLab is left out, since Colab is one.
"""
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

KEEP = ("torch", "torchvision")
LEAVE_OUT = ("jupyterlab",)


def overrides():
    """Write lines for uv: what it must not touch, and what it need not install."""
    lines = [name + " ; python_version < '3'" for name in LEAVE_OUT]
    for name in KEEP:
        try:
            lines.append("%s==%s" % (name, version(name)))
        except PackageNotFoundError:
            pass  # not there, so there is nothing to keep
    return lines


def main():
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("\n".join(overrides()) + "\n")
        course = str(Path(__file__).resolve().parent.parent)
        done = subprocess.run([
            "uv", "pip", "install", "--quiet",
            "--python", sys.executable,
            "--override", str(kept),
            *sys.argv[1:],
            course,
        ])
    if done.returncode:
        sys.exit("mark1: the course could not be installed (the lines above say why); "
                 "use Runtime, Disconnect and delete, and try again")
    print("mark1: ready; kept " + ", ".join(line for line in overrides() if "==" in line))


if __name__ == "__main__":
    main()
