"""Judge traces with five seeds, as the chapters 09 do with one, and keep the figures in mouse.json for them.

    python experiments/mouse.py [ARCHIVE]     some three minutes of one core, ten with the recordings

ARCHIVE is the file of the Balabit Mouse Dynamics Challenge. Without it, what was measured on recordings
stays. The five seeds were fixed before the first run.
"""
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from mark1.data.downloads import unpack
from mark1.data.files import checksum
from mark1.data.sets import manifest_row, traces
from mark1.data.traces import read_sessions
from mark1.mouse import (
    ENCODINGS,
    by_features,
    by_network,
    clean_events,
    draw_traces,
    how_features,
    split_people,
    windows,
    wrong_answers,
)
from mark1.owner import (
    by_forest,
    equal_error,
    equal_error_interval,
    owner_scores,
    split_sessions,
    split_windows,
    together,
    when_features,
    where_features,
)
from shared import keep, kept, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")
SEEDS = range(5)


def measure_bots(
    events:pd.DataFrame, # of `clean_events`, of people and bots
) -> dict: # bot to encoding to shares wrong, one a seed; also with shuffled labels
    "Tell people from each bot, two people and their bots held out, other ones with each seed."
    table = windows(events, count=100)
    result = {}
    for bot in ("straight bot", "even bot"):
        rows = table[table.maker.isin(["person", bot])]
        labels = rows.maker
        inputs = {name: (by_network, draw_traces(events, rows, name)) for name in ENCODINGS}
        inputs["four features"] = by_features, how_features(events, rows)
        result[bot] = {name: [] for name in inputs}
        shuffled = []
        for seed in SEEDS:
            held_out = split_people(rows, seed=seed)
            share = lambda judge, x, y: round(wrong_answers(judge, x, y, held_out, seed)/held_out.sum(), 4)
            for name, (judge, x) in inputs.items(): result[bot][name].append(share(judge, x, labels))
            mixed = labels.to_numpy().copy()
            mixed[~held_out] = np.random.default_rng(seed).permutation(mixed[~held_out])
            shuffled.append(share(*inputs["points"], mixed))
        result["shuffled"] = shuffled # of the last bot
        print(bot, result[bot], shuffled, flush=True)
    return result


def inputs_of(people, hands):
    "Give what each judge sees, by name."
    return {"network, speed": (by_network, draw_traces(people, hands, "speed")),
            "four features": (by_features, how_features(people, hands)),
            "only where": (by_forest, where_features(people, hands)),
            "only the clock": (by_forest, when_features(people, hands))}


def measure_hands(
    people:pd.DataFrame, # of `clean_events`
) -> dict: # judge to split to shares wrong, one a seed
    "Name the person, with windows held out at random and with sessions never seen."
    hands = windows(people, count=100)
    result = {name: {"random": [], "sessions": []} for name in (*inputs_of(people, hands), "commonest name")}
    for name, (judge, x) in inputs_of(people, hands).items():
        for seed in SEEDS:
            for split, hold_out in (("random", split_windows), ("sessions", split_sessions)):
                held_out = hold_out(hands, seed=seed)
                wrong = wrong_answers(judge, x, hands.person, held_out, seed)
                result[name][split].append(round(wrong/held_out.sum(), 4))
                if name == "four features":
                    commonest = hands.person[~held_out].mode()[0]
                    share = float((hands.person[held_out] != commonest).mean())
                    result["commonest name"][split].append(round(share, 4))
        print(name, result[name], flush=True)
    return result


def measure_owner(
    people:pd.DataFrame, # of `clean_events`
) -> dict: # 'rates': judge to equal error rates, one a seed; 'intervals': judge to that of the first seed
    "Tell owners from strangers, by one window and by six."
    hands = windows(people, count=100)
    result, intervals = {}, {}
    for name, (judge, x) in inputs_of(people, hands).items():
        for seed in SEEDS:
            scores = owner_scores(judge, x, hands, seed=seed)
            for count, words in ((1, "one window"), (6, "six windows")):
                fits, key = together(scores, count), f"{name}, {words}"
                result.setdefault(key, []).append(round(equal_error(fits), 4))
                if not seed: intervals[key] = [round(end, 4) for end in equal_error_interval(fits)]
        print(name, {key: rates for key, rates in result.items() if key.startswith(name)}, flush=True)
    return {"rates": result, "intervals": intervals}


def main():
    parser = parser_for(__doc__)
    parser.add_argument("archive", nargs="?", type=Path,
                        help="of the recordings, mouse-dynamics-challenge.tgz")
    archive = parser.parse_args().archive
    if archive and not archive.is_file(): parser.error(f"there is no file {archive}")
    use_one_thread()
    figures = kept(RESULT)
    events, _ = clean_events(traces())
    figures["bots"] = measure_bots(events)
    people, _ = clean_events(traces().query("maker == 'person'").drop(columns="maker"))
    for name, measured in (("hands", measure_hands), ("owner", measure_owner)):
        figures.setdefault(name, {})["made"] = measured(people)
    keep(figures, RESULT)
    if archive:
        with tempfile.TemporaryDirectory() as folder:
            unpack(archive, Path(folder)/"unpacked")
            home = Path(folder)/"unpacked"/manifest_row("mouse_sessions").folder_name
            recorded = read_sessions(home/"training_files")
        people, faults = clean_events(recorded, sort=True)
        figures["recordings"] = {"archive": checksum(archive), "people": int(people.person.nunique()),
                                 "sessions": int(people.session.nunique()), "faults": faults.sum().to_dict()}
        figures["hands"]["recorded"] = measure_hands(people)
        figures["owner"]["recorded"] = measure_owner(people)
    keep(figures, RESULT)


if __name__ == "__main__": main()
