"""The rows of the table. Each function measures a pair in turns and returns medians."""
import contextlib
import dataclasses
import datetime
import os
import random
import re
import socket
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
    """One line: what maciefs did, what ran beside it, their ratio, and what it must be, if anything.
    """
    letter: str
    what: str
    ours: str
    beside: str
    ratio: float
    goal: float | None
    at_least: bool
    unit: str = ""

    def holds(self):
        if self.goal is None:
            return True
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


def python_seconds(server, *options):
    """CPU of Python from the bucket to the last line, and the events that became lines."""
    module = os.path.join(mounts.ROOT, "tests/bench/module.py")
    done = subprocess.run([sys.executable, module, *options, server.endpoint, data.BUCKET,
                           data.SHAPED + "/"], env=mounts.environment(server),
                          stdout=subprocess.PIPE, check=True)
    seconds, events = done.stdout.split()
    return float(seconds), int(events)


def sending_seconds(server):
    """The same where each line is sent, to a queue that another process empties."""
    with tempfile.TemporaryDirectory(prefix="maciefs-bench-") as folder:
        queue = os.path.join(folder, "queue")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            receiver.bind(queue)
            reader = subprocess.Popen(
                [sys.executable, "-c", "import socket\nqueue = socket.socket(fileno=0)\n"
                 "while queue.recv(1 << 20): pass"], stdin=receiver)
        try:
            return python_seconds(server, "--send", queue)[0]
        finally:
            reader.kill()
            reader.wait()


def pipeline_seconds(server):
    """bench_shape's line: events, CPU seconds for 100,000 from S3 to line, MB/s of shaping."""
    bench = os.path.join(mounts.ROOT, ".build/release/bench/bench_shape")
    done = subprocess.run([bench, f"s3://{data.BUCKET}/{data.SHAPED}", "5", "-o",
                           f"endpoint={server.endpoint},region={bare.REGION}"],
                          env=mounts.environment(server), stdout=subprocess.PIPE, check=True)
    events, seconds, speed = re.search(rb"(\d+) events, ([\d.]+) s .* (\d+) MB/s",
                                       done.stdout).groups()
    return int(events), float(seconds), int(speed)


def view_seconds(server, peaks, events):
    """CPU of a mount from its start until all events are durable lines in wazuh/."""
    with mounts.maciefs(server, data.SHAPED, peaks, "pace=0", "poll=1") as mount:
        mounts.wait_until("the view has all events",
                          lambda: mount.status()["messages"] >= events)
        if mount.status()["messages"] != events:
            raise RuntimeError(f"{mount.status()['messages']} lines, {events} events were put")
        return mount.cpu_seconds()


def shape_rows(server, plan, peaks):
    say(f"putting {plan.shaped} objects to shape …")
    data.put_shaped(server, plan.shaped)
    lines, python, view, sent = [], [], [], []
    for turn in range(plan.rounds):
        say(f"shaping, round {turn + 1} of {plan.rounds} …")
        seconds, events = python_seconds(server)
        ours, each, speed = pipeline_seconds(server)
        if ours != events:
            raise RuntimeError(f"{ours} events were shaped here, {events} by Python")
        lines.append(each)
        python.append(seconds * 1e5 / events)
        view.append(view_seconds(server, peaks, events) * 1e5 / events)
        sent.append(sending_seconds(server) * 1e5 / events)
    better = python_seconds(server, "--keep-place")[0] * 1e5 / events
    median = statistics.median
    yield Row("g", f"CPU of 100,000 events from S3 to line (shaping alone: {speed} MB/s)",
              f"{median(lines):.2f} s", f"Python, boto3 and json, as the module: "
              f"{median(python):.1f} s (without its copies: {better:.1f} s)",
              median(python) / median(lines), 30, True)
    yield Row("g", "  of a mount, from S3 to both logs, durable", f"{median(view):.2f} s",
              f"the same Python, which sends each line to a queue: {median(sent):.1f} s",
              median(sent) / median(view), None, True)


ROWS = {"a": decode_row, "b": read_rows, "d": list_rows, "e": arrival_row, "f": memory_row,
        "g": shape_rows}
