"""Runs the rows against one server and prints them as a table, plain or for the README."""
import argparse
import os
import shutil
import sys
import tempfile

# Behind this folder and before Debian's own module of the name rgw.
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../mount"))

import data  # noqa: E402
import rows  # noqa: E402
from rgw import Rgw  # noqa: E402

HEAD = ("", "what", "maciefs", "beside it", "ratio", "goal", "")


def number(value, unit):
    return f"{value:.3g}{unit}"


def cells(row):
    goal, end = "", ""
    if row.goal is not None:
        goal = ("≥ " if row.at_least else "≤ ") + number(row.goal, row.unit)
        end = "holds" if row.holds() else "MISSED"
    return (row.letter, row.what, row.ours, row.beside, number(row.ratio, row.unit), goal, end)


def plain(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def markdown(lines):
    for line in [lines[0], ("---",) * len(HEAD), *lines[1:]]:
        print("| " + " | ".join(cell.strip() for cell in line) + " |")


def measure(plan):
    """Yields the rows that the plan names. (c) comes with (b), and (f) sums up all before it."""
    folder, peaks = tempfile.mkdtemp(prefix="maciefs-bench-rgw-"), []
    server = Rgw(folder)
    try:
        if set(plan.rows) & set("bdeg"):
            server.start()
            server.client().create_bucket(Bucket=data.BUCKET)
        for letter, measured in rows.ROWS.items():
            if letter in plan.rows:
                yield from measured(server, plan, peaks)
    finally:
        server.stop()
        shutil.rmtree(folder)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--rows", default="abdefg", help="letters; c comes with b")
    parser.add_argument("--scale", type=float, default=1, help="of the amount of data")
    parser.add_argument("--rounds", type=int, default=5)
    plan = parser.parse_args()
    plan.rows = plan.rows.replace("c", "b")
    plan.objects = max(24, round(2000 * plan.scale))
    plan.hours = max(1, round(2000 * plan.scale))
    plan.shaped = max(4, round(100 * plan.scale))
    plan.keys = 50 * plan.hours
    return plan


def main():
    plan = arguments()
    measured = []
    try:
        for row in measure(plan):
            measured.append(row)
    finally:
        # What was measured before a failure is worth seeing too.
        (markdown if plan.markdown else plain)([HEAD] + [cells(row) for row in measured])
    sys.exit(0 if all(row.holds() for row in measured) else 1)


if __name__ == "__main__":
    main()
