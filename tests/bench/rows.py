"""The rows of the table. Each function measures a pair in turns and returns medians."""
import contextlib
import dataclasses
import datetime
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

import bare
import data
import mounts
import relay

READERS = 8
ARRIVAL_POLL_S = 1
ARRIVALS = 10


@dataclasses.dataclass
class Row:
    """One line: what maciefs did, what ran beside it, their ratio, and what it must be."""
    letter: str
    what: str
    ours: str
    beside: str
    ratio: float
    goal: float
    at_least: bool
    unit: str = ""

    def holds(self):
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal


def timed(command):
    start = time.monotonic()
    subprocess.run(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start


def output(command):
    return subprocess.run(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE,
                          check=True).stdout


def say(text):
    print(text, file=sys.stderr, flush=True)


def shown(times):
    return f"{statistics.median(times):.2f} s"


def read_all(folder, name, reader, files_a_call):
    """The command by which 8 readers at once read every file of that name."""
    return (f"find {folder} -type f -name '{name}' -print0 | "
            f"xargs -0 -P {READERS} -n {files_a_call} {reader} >/dev/null")


# --- (a) ----------------------------------------------------------------------------------------


def decode_row(_server, _plan, _peaks):
    """bench_decode ends with a line that has both speeds in MB/s, and their ratio last."""
    last = output(os.path.join(mounts.ROOT, ".build/release/bench/bench_decode")).decode()
    last = last.strip().splitlines()[-1]
    ours, inflate, ratio = (float(n) for n in re.findall(r"\d+(?:\.\d+)?", last)[-3:])
    yield Row("a", "decode and split, one thread", f"{ours:.0f} MB/s",
              f"inflate() alone: {inflate:.0f} MB/s", ratio, 0.85, True)


# --- (b) and (c) --------------------------------------------------------------------------------


def check_reads(mount, events):
    """What was timed was all of it, and the same bytes on both sides of (c)."""
    lines, size = (int(n) for n in output(
        f"find {mount.mountpoint} -name macie.ndjson -exec cat {{}} + | wc -lc").split())
    cached = int(output(f"find {mount.cache} -name '*.ndjson' -exec cat {{}} + | wc -c"))
    if lines != events:
        raise RuntimeError(f"{lines} lines were read, {events} events were put")
    if cached != size:
        raise RuntimeError(f"the mount has {size} bytes, its cache {cached}")


def cold_read_of(mount, command):
    with mount as mountpoint:
        return timed(command(mountpoint))


def second_reads(mount, rounds):
    """Times of reading the mount and of reading its cache, in turns."""
    ours, beside = [], []
    for _ in range(rounds):
        ours.append(timed(read_all(mount.mountpoint, "macie.ndjson", "cat", 1)))
        beside.append(timed(read_all(mount.cache, "*.ndjson", "cat", 1)))
    return ours, beside


def read_rows(server, plan, peaks):
    say(f"putting {plan.objects} objects …")
    events, stored = data.put_reads(server, plan.objects)
    zcat = lambda folder: read_all(folder, "*.gz", "zcat", max(1, plan.objects // READERS // 10))
    times = {"maciefs": [], "s3fs": [], "rclone": []}
    for turn in range(plan.rounds):
        say(f"cold reads, round {turn + 1} of {plan.rounds} …")
        times["s3fs"].append(cold_read_of(mounts.s3fs(server, data.READS), zcat))
        times["rclone"].append(cold_read_of(mounts.rclone(server, data.READS), zcat))
        with mounts.maciefs(server, data.READS, peaks) as mount:
            times["maciefs"].append(timed(read_all(mount.mountpoint, "macie.ndjson", "cat", 1)))
            if turn == plan.rounds - 1:
                check_reads(mount, events)
                again, cache = second_reads(mount, 2 * plan.rounds + 1)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    faster = min(("s3fs", "rclone"), key=median.get)
    yield Row("b", f"cold read of {events:,} events in {plan.objects:,} objects "
              f"({stored / 1e6:.0f} MB gzip)", shown(times["maciefs"]),
              f"s3fs {median['s3fs']:.2f} s, rclone {median['rclone']:.2f} s, {READERS} zcat",
              median[faster] / median["maciefs"], 2, True)
    yield Row("c", "second read of the same", shown(again),
              f"the cache's file system: {shown(cache)}",
              statistics.median(cache) / statistics.median(again), 0.8, True)


# --- (d) ----------------------------------------------------------------------------------------


def listed_cold(server, peaks, command):
    with mounts.maciefs(server, data.KEYS, peaks) as mount:
        return timed(command(mount.mountpoint))


def listed_bare(server, keys):
    connection = bare.Connection(server.endpoint, server.access_key, server.secret_key)
    with contextlib.closing(connection):
        start = time.monotonic()
        count = connection.count_keys(data.BUCKET, data.KEYS + "/")
        taken = time.monotonic() - start
    if count != keys:
        raise RuntimeError(f"{count} keys were listed, {keys} were put")
    return taken


def requests_of_find(server, peaks, below, keys):
    """The requests that mounting and one cold find make, by kind."""
    counter = relay.CountingRelay(server.endpoint)
    with contextlib.closing(counter), \
            mounts.maciefs(server, data.KEYS, peaks, endpoint=counter.endpoint) as mount:
        found = int(output(f"find {mount.mountpoint}{below} -type f | wc -l"))
        if below and found != keys:
            raise RuntimeError(f"find shows {found} objects, {keys} were put")
        return dict(counter.counts)


def counted(requests):
    return " ".join(f"{requests.get(kind, 0)} {kind}" for kind in ("LIST", "GET", "HEAD"))


def list_rows(server, plan, peaks):
    say(f"putting {plan.keys} keys …")
    data.put_keys(server, plan.keys, plan.hours)
    objects, pages, tree = [], [], []
    for turn in range(plan.rounds):
        say(f"cold listings, round {turn + 1} of {plan.rounds} …")
        objects.append(listed_cold(server, peaks, lambda m: f"find {m}/.objects >/dev/null"))
        pages.append(listed_bare(server, plan.keys))
        tree.append(listed_cold(server, peaks, lambda m: f"find {m} >/dev/null"))
    of_objects = requests_of_find(server, peaks, "/.objects", plan.keys)
    of_tree = requests_of_find(server, peaks, "", plan.keys)
    yield Row("d", f"find .objects over {plan.keys:,} keys in {plan.hours:,} hours, cold "
              f"({counted(of_objects)})", shown(objects), f"bare paged listing: {shown(pages)}",
              statistics.median(objects) / statistics.median(pages), 1.5, False)
    yield Row("d", "  HEAD requests of that", str(of_objects.get("HEAD", 0)), "",
              of_objects.get("HEAD", 0), 0, False)
    yield Row("d", f"  find over the hour tree ({counted(of_tree)})", shown(tree),
              f"find .objects: {shown(objects)}",
              statistics.median(tree) / statistics.median(objects), 0.1, False)


# --- (e) ----------------------------------------------------------------------------------------


def arrival(mount, connection, rng, number):
    """Seconds from a PUT's answer to its line, read by a reader that holds the log open."""
    hour = datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d/%H")
    body = data.event(rng)
    log = os.open(os.path.join(mount.mountpoint, hour, "macie.ndjson"), os.O_RDONLY)
    try:
        os.lseek(log, 0, os.SEEK_END)
        connection.put(data.BUCKET, data.delivery_key(data.ARRIVALS, hour, number), body)
        start, got = time.monotonic(), b""
        while not got.endswith(b"\n"):
            got += os.read(log, 1 << 20)
            if time.monotonic() - start > mounts.LIMIT_S:
                raise RuntimeError("a delivery did not arrive")
            time.sleep(0.002)
        taken = time.monotonic() - start
    finally:
        os.close(log)
    if got != body + b"\n":
        raise RuntimeError("another line arrived than the one that was put")
    return taken


def arrival_row(server, plan, peaks):
    say(f"{ARRIVALS} deliveries …")
    rng = random.Random(3)
    data.put_all(server, [(data.delivery_key(data.ARRIVALS, data.hours_back(1, 7)[0], 0),
                           data.event(rng))])
    connection = bare.Connection(server.endpoint, server.access_key, server.secret_key)
    times = []
    with contextlib.closing(connection), \
            mounts.maciefs(server, data.ARRIVALS, peaks, f"poll={ARRIVAL_POLL_S}") as mount:
        for number in range(ARRIVALS):
            time.sleep(rng.random() * ARRIVAL_POLL_S)
            times.append(arrival(mount, connection, rng, number))
    over = max(times) - ARRIVAL_POLL_S
    yield Row("e", f"PUT's answer to the line read, poll={ARRIVAL_POLL_S}, longest of {ARRIVALS}",
              f"{max(times):.2f} s (median {statistics.median(times):.2f})",
              "over poll", over, 0.3, False, " s")


# --- (f) ----------------------------------------------------------------------------------------


def memory_row(_server, _plan, peaks):
    if not any(peaks):
        raise RuntimeError("no process of a mount was seen")
    yield Row("f", "peak memory of the daemon in all that", f"{max(peaks) / 1024:.1f} MiB", "",
              max(peaks) / 1024, 64, False, " MiB")


# --- (g) ----------------------------------------------------------------------------------------


def python_seconds(paths, *options):
    """CPU of Python for 100,000 events."""
    module = os.path.join(mounts.ROOT, "tests/bench/module.py")
    seconds, events = output(f"{sys.executable} {module} {' '.join([*options, *paths])}").split()
    return float(seconds) * 1e5 / int(events)


def shape_row(_server, plan, _peaks):
    """bench_shape ends with a line: events, seconds for 100,000, MB/s of shaping alone."""
    say("shaping …")
    with tempfile.TemporaryDirectory(prefix="maciefs-bench-") as folder:
        paths = data.write_shaped(folder, plan.shaped)
        bench = os.path.join(mounts.ROOT, ".build/release/bench/bench_shape")
        last = output(f"{bench} 15 {' '.join(paths)}").decode().strip().splitlines()[-1]
        python = min(python_seconds(paths) for _ in range(plan.rounds))
        better = min(python_seconds(paths, "--keep-place") for _ in range(plan.rounds))
    ours, alone = (float(n) for n in re.search(r"([\d.]+) s .* (\d+) MB/s", last).groups())
    yield Row("g", f"CPU of 100,000 events from gzip object to line (shaping: {alone:.0f} MB/s)",
              f"{ours:.2f} s", f"Python with json, as the module: {python:.1f} s "
              f"(without its copies: {better:.1f} s)", python / ours, 30, True)


ROWS = {"a": decode_row, "b": read_rows, "d": list_rows, "e": arrival_row, "f": memory_row,
        "g": shape_row}
