"""Draw the same thousand windows in three ways, and keep the figures in mouse.json for chapter 09.

    python benchmarks/mouse.py [--rounds N]
"""
import argparse
from pathlib import Path

import numpy as np
from harness import compare, measure, report
from mark1.data.sets import traces
from mark1.mouse import GREY, WHITE, clean_events, columns_of, draw_traces, fitted, gathered, windows
from PIL import Image, ImageDraw
from skimage.draw import line, rectangle

SIZE = 32 # px


def windows_in_turn(events, table):
    "Give each window's places in its picture, and which of its events are clicks."
    owner, rows, begins = gathered(events, table)
    places = fitted(columns_of(events, rows)[0], owner, begins, SIZE, None)
    down = events.pressed.to_numpy()[rows]
    for start, stop in zip(begins, [*begins[1:], len(rows)]): yield places[start:stop], down[start:stop]


def by_pillow(events, table):
    "Draw paths with Pillow, window by window."
    pictures = []
    for places, down in windows_in_turn(events, table):
        picture = Image.new("RGB", (SIZE, SIZE))
        brush = ImageDraw.Draw(picture)
        for x, y in np.rint(places[down]).astype(int).tolist():
            brush.rectangle((x - 1, y - 1, x + 1, y + 1), fill=(WHITE,)*3)
        brush.line([tuple(place) for place in np.rint(places).astype(int).tolist()], fill=(GREY,)*3)
        pictures.append(np.asarray(picture))
    return np.stack(pictures)


def by_skimage(events, table):
    "Draw paths with scikit-image, step by step."
    pictures = np.zeros((len(table), SIZE, SIZE, 3), np.uint8)
    for picture, (places, down) in zip(pictures, windows_in_turn(events, table)):
        at = np.rint(places).astype(int)
        for x, y in at[down]: picture[rectangle((y - 1, x - 1), (y + 1, x + 1))] = WHITE
        for (x, y), (to_x, to_y) in zip(at[:-1], at[1:]): picture[line(y, x, to_y, to_x)] = GREY
    return pictures


def main():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    events, _ = clean_events(traces())
    table = windows(events, count=100).sample(1000, random_state=0)
    drawn = draw_traces(events, table, "path")
    for peer in (by_pillow, by_skimage): # the same pictures, but for the rounding of slanted lines
        different = (drawn != peer(events, table)).any(-1).mean()
        assert different < .03, different
    arms = {"draw_traces": lambda: draw_traces(events, table, "path"),
            "loop, Pillow": lambda: by_pillow(events, table),
            "loop, scikit-image": lambda: by_skimage(events, table)}
    figures = compare(measure(arms, rounds), "draw_traces")
    report("1,000 windows drawn", figures, Path(__file__).with_suffix(".json"), windows=len(table), size=SIZE)


if __name__ == "__main__": main()
