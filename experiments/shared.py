"Share what every experiment does: read its command, and keep what it measured for chapters to quote."
import argparse
import json
import os
from pathlib import Path

import torch
from mark1.data.files import staged


def parser_for(
    description:str, # what stands at the top of a script
) -> argparse.ArgumentParser:
    "Make a parser that shows a description line by line, as it is written."
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, formatter_class=layout)


def kept(
    path:Path, # JSON file
) -> dict: # empty where nothing was measured yet
    "Read what was measured before."
    return json.loads(path.read_text()) if path.exists() else {}


def keep(
    figures:dict, # all that the file is to hold
    path:Path, # JSON file to write
):
    "Write what was measured, all of it or nothing."
    with staged(path) as fresh: fresh.write_text(json.dumps(figures, indent=1) + "\n")


def use_one_thread():
    "Compute on one thread, as the chapters do, unless OMP_NUM_THREADS says otherwise."
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
