"""What the wheel says of the address, which stands in settings.ini alone; the rest is in pyproject.toml.

A link of the README that leads to a file gets its whole address, as PyPI shows the page and no files.
"""
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

parser = ConfigParser(interpolation=None)
parser.read("settings.ini", encoding="utf-8")
settings = parser["DEFAULT"]
address = settings["git_url"]
readme = Path("README.md").read_text(encoding="utf-8")
for before, kind in ((r"(!\[[^\]]*\]\()", "raw"), (r"(\]\()", "blob")): # pictures first
    readme = re.sub(before + r"(?![a-z]+:|#)", rf"\1{address}/{kind}/{settings['branch']}/", readme)

setup(
    options={"build": {"build_base": "_run/wheel"}}, # else our build/ is its own, and left out of the sdist
    long_description=readme,
    long_description_content_type="text/markdown",
    project_urls={
        "Repository": address,
        "Changelog": f"{address}/blob/{settings['branch']}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    },
)
