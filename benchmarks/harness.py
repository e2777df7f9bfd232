"""Compare in one way: run every arm once a round, side by side; medians, spread, ratios; a table and JSON.

A shared machine is now quick, now slow. What it does besides hits all arms of a round alike, so ratios are
taken within a round, and their median and range are what is reported. Seconds are given for orientation only.
"""
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from mark1.data.files import in_turn, staged
from rich.console import Console
from rich.table import Table


def measure(
    arms:dict[str, Callable[[], None]], # name to what is timed
    rounds:int, # times that each arm runs
    clock:Callable[[], float]=time.perf_counter, # seconds
) -> dict[str, list[float]]: # name to seconds, one a round
    "Time every arm once a round, in another order each round."
    times = {name: [] for name in arms}
    for turn, name in in_turn(arms, rounds):
        start = clock()
        arms[name]()
        seconds = clock() - start
        times[name].append(seconds)
        print(f"round {turn + 1} of {rounds}: {name}, {seconds:.1f} s", flush=True)
    return times


def spread(
    values:list[float],
) -> dict[str, float]: # 'median', 'low', 'high'
    "Give median and range."
    found = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


def compare(
    times:dict[str, list[float]], # of `measure`
    reference:str, # the arm that the others are divided by
    goals:dict[str, float]={}, # arm to the highest ratio aimed at
) -> dict[str, dict]: # arm to its seconds, its ratio to the reference, its goal
    "Give seconds and ratios of every arm, the latter taken round by round."
    result = {}
    for name, seconds in times.items():
        ratios = [mine/its for mine, its in zip(seconds, times[reference], strict=True)]
        result[name] = {"seconds": spread(seconds), "ratio": spread(ratios), "rounds": len(seconds)}
        if name in goals: result[name]["goal"] = goals[name]
    return result


def report(
    title:str,
    figures:dict[str, dict], # of `compare`
    path:Path, # JSON file to write
    **facts, # more to keep beside the figures
):
    "Print a table and write the figures, with what they were measured on, as JSON."
    machine = {"date": str(date.today()), "cores": os.cpu_count(), "python": platform.python_version(),
               "system": platform.system()}
    table = Table("", "seconds", "ratio", "lowest to highest", "goal", title=title, title_justify="left")
    for name, figure in figures.items():
        ratio = figure["ratio"]
        table.add_row(name, f"{figure['seconds']['median']:.1f}", f"{ratio['median']:.2f}",
                      f"{ratio['low']:.2f} to {ratio['high']:.2f}",
                      f"{figure['goal']:g}" if "goal" in figure else "")
    Console().print(table, *(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    text = json.dumps({"machine": machine, "figures": figures, **facts}, indent=1)
    with staged(path) as fresh: fresh.write_text(text + "\n")
