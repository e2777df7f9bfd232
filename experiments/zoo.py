"""Count and time pretrained networks, and keep the figures in zoo.json, which chapter 11 quotes and searches.

    python experiments/zoo.py              what zoo.json lacks; half an hour on one core if that is everything
    python experiments/zoo.py --times      all times anew, and nothing else; ten minutes, on a quiet machine
    python experiments/zoo.py --counts     the counts that zoo.json lacks, and nothing else

Nothing is downloaded: the networks have random parameters, which changes neither what they hold nor how long
they take. Counted is every set of weights that timm and torchvision list. Timed is each architecture once for
each size of picture: torchvision's up to 12 thousand million multiply-adds, and of timm's those that answer a
picture with one of ImageNet's 1,000 classes and take 1.5 thousand million at most. Each is timed side by side
with the reference, in pairs; the ratios are taken round by round.
"""
import json
import warnings
from pathlib import Path

import torch
from mark1.data.files import staged
from mark1.zoo import build, listing, ratios, sizes
from rich.progress import track
from shared import kept, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")
REFERENCE = "tf_efficientnet_lite0.in1k"
LIMITS = {"torchvision": 12e9, "timm": 1.5e9} # multiply-adds a picture
ROUNDS = 7


def still_listed(
    known:dict, # name to figures
    table, # of `listing`
) -> dict:
    "Keep the figures of what is listed today."
    return {name: figures for name, figures in known.items() if name in table.index}


def count_all(
    table, # of `listing`
    known:dict, # counts already there
) -> tuple[dict, dict]: # name to parameters, multiply-adds, megabytes; name to why it could not be counted
    "Count every network that is not counted yet, on no device at all."
    counts = still_listed(known, table)
    failures = {}
    missing = table.pixels.drop(list(counts))
    for name, pixels in track(missing.items(), "counting", len(missing)):
        try:
            found = sizes(build(name, "meta"), pixels)
            counts[name] = [int(found.parameters), int(found.multiply_adds), round(found.megabytes, 3)]
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {str(error)[:120]}"
    return counts, failures


def time_all(
    table, # of `listing`
    counts:dict, # of `count_all`
    known:dict, # times already there
) -> dict: # name to ratio, low, high
    "Time each architecture at each size of picture, if not timed yet; weights of the same share figures."
    times = still_listed(known, table)
    chosen = {} # library, architecture and size, to names; the first is timed
    for name, row in table.drop(list(times)).iterrows():
        fits = name in counts and counts[name][1] <= LIMITS[row.library] and row.classes == 1000
        if fits: chosen.setdefault((row.library, row.architecture, row.pixels), []).append(name)
    pair = {REFERENCE: (build(REFERENCE), table.pixels[REFERENCE])}
    for (_, _, pixels), names in track(chosen.items(), "timing"):
        found = ratios({**pair, names[0]: (build(names[0]), pixels)}, REFERENCE, ROUNDS).loc[names[0]]
        figures = [round(float(found[part]), 4) for part in ("ratio", "low", "high")]
        times.update(dict.fromkeys(names, figures))
    return times


def as_text(value):
    "Write JSON with a line for each network."
    if not isinstance(value, dict): return json.dumps(value)
    lines = [f"  {json.dumps(name)}: {json.dumps(figures)}" for name, figures in value.items()]
    return "{\n" + ",\n".join(lines) + "}"


def main():
    parser = parser_for(__doc__)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--times", action="store_true", help="only the times")
    parts.add_argument("--counts", action="store_true", help="only the counts")
    asked = parser.parse_args()
    result = kept(RESULT)
    table = listing()
    if asked.times and "counts" not in result:
        parser.error(f"{RESULT.name} has no counts yet; leave --times out")
    warnings.simplefilter("ignore") # of timm, about names that it has renamed
    use_one_thread()
    if not asked.times:
        result["counts"], result["not counted"] = count_all(table, result.get("counts", {}))
    if not asked.counts:
        known = {} if asked.times else result.get("times", {})
        result["times"] = time_all(table, result["counts"], known)
    result |= {"reference": REFERENCE, "rounds": ROUNDS, "threads": torch.get_num_threads()}
    print(f"{len(result['counts']):,} of {len(table):,} counted, {len(result.get('times', [])):,} timed")
    lines = ",\n".join(f" {json.dumps(key)}: {as_text(value)}" for key, value in result.items())
    with staged(RESULT) as fresh: fresh.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__": main()
