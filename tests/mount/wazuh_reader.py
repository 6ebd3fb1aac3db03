"""A model of Wazuh's log collector, as a reader of files: what it skips, drops and reads twice.

`LogCollector` is the model; every rule in it is one of the real program's measured habits, the odd
ones above all. Its clock and its read call can be replaced, so that a test needs no waiting. Run as
a program, it is a process named `wazuh-logcollec`, as the kernel shortens the real one's name:

    python3 wazuh_reader.py --location GLOB --state FILE --out FILE [--scale 0.01] …

`Collector` starts, stops and kills that program, and reads what it delivered.
"""

import argparse
import collections
import dataclasses
import errno
import glob
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

from mount import PATIENCE_S, wait_until

NAME = "wazuh-logcollec"

BUFFER = 1 << 16  # st_blksize of the view, which is what stdio reads at once
LINE_LIMIT = 65_280  # a line of so many bytes, its newline counted, is too long
QUEUE_LINES = 1024
POSITIONS_READ = 65_535  # of the file of saved positions, at a start
DRAIN_EVERY_S = 0.01


@dataclasses.dataclass
class Settings:
    """The collector's configuration; the defaults are Wazuh's own, but for only_future_events."""
    location: str
    state: str
    vcheck_s: float = 64.0
    pass_s: float = 2.0
    save_s: float = 64.0
    rate: float = 500.0  # lines that leave the queue in a second
    version: int = 4
    only_future_events: bool = False
    max_size: int = 10 << 20  # backlog past which a start goes to the end
    max_lines: int = 10_000  # of one file in one pass
    max_files: int = 1000
    age_s: float | None = None  # files with an older st_mtime are not read


class Queue:
    """Lines on their way out, `rate` a second; one that finds no room is lost.

    What leaves is worked out from the time that passed whenever somebody looks, so that a slow
    machine loses no more lines than a fast one.
    """

    def __init__(self, rate, deliver, clock):
        self.rate = rate
        self.deliver = deliver
        self.clock = clock
        self.lines = collections.deque()
        self.since = clock()
        self.lock = threading.Lock()

    def push(self, line):
        """Returns whether there was room."""
        with self.lock:
            self._drain()
            if len(self.lines) >= QUEUE_LINES:
                return False
            self.lines.append(line)
            return True

    def drain(self):
        with self.lock:
            self._drain()

    def flush(self):
        with self.lock:
            self._take(len(self.lines))

    def _drain(self):
        now = self.clock()
        due = int((now - self.since) * self.rate)
        if due >= len(self.lines):
            self.since = now
        else:
            self.since += due / self.rate
        self._take(min(due, len(self.lines)))

    def _take(self, count):
        if count:
            self.deliver([self.lines.popleft() for _ in range(count)])


class File:
    """A file that is being followed."""

    def __init__(self, path, fd):
        found = os.fstat(fd)
        self.path = path
        self.fd = fd
        self.identity = (found.st_dev, found.st_ino)
        self.size = found.st_size  # as last seen: only a smaller one means that it was truncated
        self.offset = 0
        self.sha1 = hashlib.sha1()  # of all bytes before the offset
        self.lose_next = False  # a line too long costs a later one

    def position(self):
        return {"path": self.path, "hash": self.sha1.hexdigest(), "offset": str(self.offset)}


class Ignored(Exception):
    """Why a line is no event."""


def no_constant(name):
    raise ValueError(name)


DECODER = json.JSONDecoder(strict=False, parse_constant=no_constant)


def first_object(line):
    """The JSON object that the line begins with, as it stands there, and whether more follows."""
    if b"\0" in line:
        raise Ignored("NUL")
    text = line.decode("latin-1").strip(" \t\r\n")  # a character a byte: only the syntax counts
    try:
        value, end = DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        raise Ignored("no JSON") from None
    if not isinstance(value, dict):
        raise Ignored("no object")
    return text[:end].encode("latin-1"), end < len(text)


def open_regular(path):
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def sha1_of_first(path, length):
    """SHA-1 of the file's first bytes, or of all there are where they are fewer."""
    sha1 = hashlib.sha1()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while length and (piece := os.read(fd, min(BUFFER, length))):
            sha1.update(piece)
            length -= len(piece)
    finally:
        os.close(fd)
    return sha1


class LogCollector:
    """Follows the files of one location. `deliver` takes lists of lines, without their newlines."""

    def __init__(self, settings, deliver, clock=time.monotonic, now=time.time, read=os.read):
        self.settings = settings
        self.clock = clock
        self.now = now
        self.read = read
        self.files = {}  # by path
        self.counts = collections.Counter()
        self.ignored = collections.Counter()  # by reason
        self.queue = Queue(settings.rate, deliver, clock)
        self.dated = None  # a date pattern: the day for which it was worked out, and the path

    def log(self, message):
        print(message, file=sys.stderr, flush=True)

    # Life

    def start(self):
        """Opens what is there. Everything that is not is forgotten with the next save."""
        saved = {} if self.settings.only_future_events else self._saved_positions()
        for path in self._found():
            self._follow_at_start(path, saved.get(path))
        self.next_vcheck = self.clock() + self.settings.vcheck_s
        self.next_save = self.clock() + self.settings.save_s
        self.counts["starts"] += 1

    def tick(self):
        """One turn of the main loop, of which there is one every pass_s."""
        if self.clock() >= self.next_vcheck:
            self.vcheck()
            self.next_vcheck = self.clock() + self.settings.vcheck_s
        if self.clock() >= self.next_save:
            self.save()
            self.next_save = self.clock() + self.settings.save_s
        self.read_pass()
        self.queue.drain()

    def stop(self):
        """A clean end. What is queued still goes out: the file system has given it."""
        self.queue.flush()
        self.save()
        for file in list(self.files.values()):
            self._close(file)

    # Saved positions

    def save(self):
        if self.settings.only_future_events:
            return
        positions = {"files": [file.position() for file in self.files.values()]}
        new = self.settings.state + ".new"
        with open(new, "w") as out:
            json.dump(positions, out, separators=(",", ":"))
        os.replace(new, self.settings.state)
        self.counts["saves"] += 1

    def _saved_positions(self):
        """By path; none at all where the file is longer than what is read of it."""
        try:
            with open(self.settings.state, "rb") as saved:
                positions = json.loads(saved.read(POSITIONS_READ))["files"]
        except FileNotFoundError:
            return {}
        except ValueError:
            self.log("the saved positions cannot be read: all are lost")
            self.counts["positions lost"] += 1
            return {}
        return {entry["path"]: (int(entry["offset"]), entry["hash"]) for entry in positions}

    # Finding and opening

    def _found(self):
        """The paths of the location, in order; those that are no regular files too."""
        if "%" in self.settings.location:
            path = self._dated_path()
            return [path] if os.path.exists(path) else []
        return sorted(glob.glob(self.settings.location))

    def _dated_path(self):
        """A date pattern, which knows no wildcards and is looked at again when the day changes."""
        local = time.localtime(self.now())
        if not self.dated or self.dated[0] != local.tm_mday:
            self.dated = (local.tm_mday, time.strftime(self.settings.location, local))
        return self.dated[1]

    def _open(self, path):
        """Opens a path that is not followed yet; None where it cannot or need not be."""
        if len(self.files) >= self.settings.max_files:
            self.counts["too many files"] += 1
            return None
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return None
            if any(file.identity == (found.st_dev, found.st_ino) for file in self.files.values()):
                self.counts["same file"] += 1
                return None
            return File(path, open_regular(path))
        except OSError as error:
            self._log_error(path, error)
            return None

    def _follow_at_start(self, path, saved):
        file = self._open(path)
        if not file:
            return
        self.files[path] = file
        if saved:
            self._resume(file, *saved)
        else:
            self._to_end(file)

    def _resume(self, file, offset, digest):
        try:
            sha1 = sha1_of_first(file.path, offset)
        except OSError as error:
            self._log_error(file.path, error)
            sha1 = hashlib.sha1()
        if sha1.hexdigest() != digest:
            self.counts["changed"] += 1
            self.log(f"{file.path} is not what it was: from the start")
        elif file.size - offset > self.settings.max_size:
            self.log(f"{file.path} has a backlog of {file.size - offset} bytes: to the end")
            self.counts["backlog"] += 1
            self._to_end(file)
        else:
            file.offset, file.sha1 = offset, sha1
            self.counts["resumed"] += 1

    def _to_end(self, file):
        """Goes to st_size, which is the first byte of a file that has none to show."""
        file.offset = os.fstat(file.fd).st_size
        try:
            file.sha1 = sha1_of_first(file.path, file.offset)
        except OSError as error:
            self._log_error(file.path, error)
        if file.offset:
            self.counts["to end"] += 1

    def _close(self, file):
        os.close(file.fd)
        del self.files[file.path]

    def _log_error(self, path, error):
        self.counts["open errors"] += 1
        self.log(f"{path}: {error.strerror}")

    # The look at the paths

    def vcheck(self):
        for file in list(self.files.values()):
            self._check(file)
        found = self._found()
        if self.dated:
            self._forget_all_but(found)
        for path in found:
            if path not in self.files:
                self._follow_new(path)
        self.counts["vchecks"] += 1

    def _follow_new(self, path):
        file = self._open(path)
        if not file:
            return
        self.files[path] = file
        if self.settings.version < 5 and not self.dated:
            self._to_end(file)

    def _check(self, file):
        """Opens the path again to see whether the file behind it is still the same."""
        try:
            fd = open_regular(file.path)
        except FileNotFoundError:
            self.log(f"{file.path} is gone: forgotten")
            self.counts["forgotten"] += 1
            self._close(file)
            return
        except OSError as error:
            self._log_error(file.path, error)
            return
        found = os.fstat(fd)
        if found.st_ino != file.identity[1]:
            self._from_start(file, fd, "rotated")
        elif found.st_size < file.size:
            self._from_start(file, fd, "truncated")
        else:
            # Only the number is compared: a descriptor of a mount that died is kept.
            file.size = found.st_size
            os.close(fd)

    def _from_start(self, file, fd, why):
        self.log(f"{file.path} was {why}: from the start")
        self.counts[why] += 1
        os.close(file.fd)
        self.files[file.path] = File(file.path, fd)

    def _forget_all_but(self, paths):
        for file in list(self.files.values()):
            if file.path not in paths:
                self._close(file)

    # Reading

    def read_pass(self):
        for file in list(self.files.values()):
            if not self._too_old(file):
                self._read_file(file)
        self.counts["passes"] += 1

    def _too_old(self, file):
        if self.settings.age_s is None:
            return False
        try:
            return os.stat(file.path).st_mtime < self.now() - self.settings.age_s
        except OSError:
            return False

    def _read_file(self, file):
        """From where it stopped to the end, or to as many lines as one pass may have. What is not a
        whole line stays, and is read again by the next pass."""
        room, rest, first = self.settings.max_lines, b"", True
        os.lseek(file.fd, file.offset, os.SEEK_SET)
        while room > 0:
            try:
                piece = self.read(file.fd, BUFFER)
            except OSError as error:
                self._read_failed(file, error, first)
                return
            if not piece:
                return
            first = False
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole[:room]:
                self._take(file, line + b"\n")
            room -= len(whole)

    def _read_failed(self, file, error, first):
        if first:
            self.counts["errors taken for the end"] += 1
            return
        self.log(f"{file.path}: {error.strerror}: to the end")
        self.counts["read errors"] += 1
        self._to_end(file)

    def _take(self, file, line):
        file.offset += len(line)
        file.sha1.update(line)
        try:
            event = self._event(file, line)
        except Ignored as ignored:
            self.ignored[str(ignored)] += 1
            return
        if not self.queue.push(event):
            self.counts["dropped"] += 1

    def _event(self, file, line):
        lost, file.lose_next = file.lose_next, len(line) >= LINE_LIMIT
        if file.lose_next:
            raise Ignored("too long")
        if lost:
            raise Ignored("after one too long")
        event, more = first_object(line)
        if more:
            self.ignored["second object"] += 1
        return event


# As a program

class Output:
    """The file of delivered lines, and beside it the counts; both go on where they exist."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.counts_path = path + ".counts"
        self.delivered = 0

    def deliver(self, lines):
        os.write(self.fd, b"".join(line + b"\n" for line in lines))
        self.delivered += len(lines)

    def load_counts(self, collector):
        try:
            with open(self.counts_path) as before:
                counts = json.load(before)
        except FileNotFoundError:
            return
        self.delivered = counts.pop("delivered")
        del counts["files"]
        collector.ignored.update(counts.pop("ignored"))
        collector.counts.update(counts)

    def save_counts(self, collector):
        counts = {**collector.counts, "delivered": self.delivered, "files": len(collector.files),
                  "ignored": dict(collector.ignored)}
        with open(self.counts_path + ".new", "w") as out:
            json.dump(counts, out)
        os.replace(self.counts_path + ".new", self.counts_path)


def be_named(name):
    """Gives the process, and the thread that reads, the name by which it is known."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def drain_for_ever(queue):
    """Lines leave the queue while a read waits, too."""
    while True:
        time.sleep(DRAIN_EVERY_S)
        queue.drain()


def run(settings, output):
    """Follows the files until SIGTERM. The signal is only looked for between two passes, so that
    none is cut short; the positions are saved then."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    collector = LogCollector(settings, output.deliver)
    output.load_counts(collector)
    collector.start()
    output.save_counts(collector)
    threading.Thread(target=drain_for_ever, args=(collector.queue,), daemon=True).start()
    while not signal.sigtimedwait(ending, settings.pass_s):
        collector.tick()
        output.save_counts(collector)
    collector.stop()
    output.save_counts(collector)


def parse(arguments):
    parser = argparse.ArgumentParser(description="A model of Wazuh's log collector.")
    parser.add_argument("--location", required=True, help="a path with wildcards or a date pattern")
    parser.add_argument("--state", required=True, help="where positions are saved")
    parser.add_argument("--out", required=True, help="gets the delivered lines; counts beside it")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of the three times below")
    parser.add_argument("--vcheck", type=float, default=64.0, help="seconds between looks at paths")
    parser.add_argument("--pass", type=float, default=2.0, help="seconds between reads", dest="pass_")
    parser.add_argument("--save", type=float, default=64.0, help="seconds between saved positions")
    parser.add_argument("--rate", type=float, default=500.0, help="lines a second out of the queue")
    parser.add_argument("--version", type=int, choices=(4, 5), default=4)
    parser.add_argument("--only-future-events", action="store_true")
    parser.add_argument("--max-size", type=int, default=10 << 20, help="backlog that a start skips")
    parser.add_argument("--max-lines", type=int, default=10_000, help="of a file in a pass")
    parser.add_argument("--max-files", type=int, default=1000)
    parser.add_argument("--age", type=float, help="seconds since the change of files that are read")
    parser.add_argument("--group", type=int, help="number of the group to run as, as Wazuh's has its own")
    parser.add_argument("--name", default=NAME, help="of the process")
    return parser.parse_args(arguments)


def main():
    args = parse(sys.argv[1:])
    be_named(args.name)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args.group is not None:
        os.setresgid(args.group, args.group, args.group)
    settings = Settings(
        args.location, args.state, vcheck_s=args.vcheck * args.scale, pass_s=args.pass_ * args.scale,
        save_s=args.save * args.scale, rate=args.rate, version=args.version,
        only_future_events=args.only_future_events, max_size=args.max_size,
        max_lines=args.max_lines, max_files=args.max_files, age_s=args.age)
    run(settings, Output(args.out))


# For tests

class Collector:
    """The program on one location, with its files in `folder`; what it delivered outlives restarts.

    `options` are those of the command line: Collector(…, rate=1000, only_future_events=True).
    """

    def __init__(self, location, folder, **options):
        self.folder = str(folder)
        self.state = os.path.join(self.folder, "positions.json")
        self.out = os.path.join(self.folder, "delivered")
        self.log_path = os.path.join(self.folder, "collector.log")
        self.process = None
        self.command = [sys.executable, os.path.abspath(__file__), "--location", str(location),
                        "--state", self.state, "--out", self.out]
        for name, value in {"scale": 0.01, **options}.items():
            flag = "--" + name.rstrip("_").replace("_", "-")
            if value is True:
                self.command.append(flag)
            elif value is not None and value is not False:
                self.command += [flag, str(value)]
        os.makedirs(self.folder, exist_ok=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.close()

    def start(self):
        """Returns when the files that are there have been opened."""
        starts = self.counts["starts"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

        def started():
            assert self.process.poll() is None, self.log
            return self.counts["starts"] > starts
        wait_until(started, "the collector to start")
        return self

    def stop(self):
        """A clean end, with the positions saved."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0, self.log

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """The end without a save; what was queued is lost."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Whatever its state."""
        if self.process and self.process.poll() is None:
            self.kill()

    @property
    def pid(self):
        return self.process.pid

    @property
    def delivered(self):
        """The lines that went out, with their newlines as they are in the file they come from."""
        try:
            with open(self.out, "rb") as out:
                whole = out.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        return [line + b"\n" for line in whole.split(b"\n")] if whole else []

    @property
    def counts(self):
        """What happened over all its lives, as of the last pass: "delivered", "dropped", "passes",
        "vchecks", "saves", "resumed", "changed", "forgotten", "rotated", "truncated" …; "files" is
        how many it follows."""
        try:
            with open(self.out + ".counts") as counts:
                return collections.Counter(json.load(counts))
        except FileNotFoundError:
            return collections.Counter()

    @property
    def dropped(self):
        return self.counts["dropped"]

    @property
    def ignored(self):
        """How many lines were no events, by reason."""
        return self.counts["ignored"] or {}

    @property
    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def wait_for(self, lines):
        """Waits until exactly these lines were delivered, in this order; fails at once where a
        line is another."""
        def matches():
            delivered = self.delivered
            for number, (expected, line) in enumerate(zip(lines, delivered)):
                assert line == expected, f"line {number}: expected {expected[:200]}, got {line[:200]}"
            assert len(delivered) <= len(lines), f"too much: {delivered[len(lines)][:200]}"
            return len(delivered) == len(lines)
        wait_until(matches, f"{len(lines)} delivered lines")

    def wait_for_all(self, lines):
        """Waits until these lines were delivered, each as often as it is given, in any order."""
        expected = collections.Counter(lines)

        def matches():
            delivered = collections.Counter(self.delivered)
            extra = delivered - expected
            assert not extra, f"{extra.total()} lines too many: {next(iter(extra))[:200]}"
            return delivered == expected
        wait_until(matches, f"{len(lines)} delivered lines")

    def wait_for_passes(self, count=1):
        """Waits for whole passes that begin after the call."""
        self._wait_for_more("passes", count + 1)

    def wait_for_vcheck(self):
        """Waits for a look at the paths that begins after the call."""
        self._wait_for_more("vchecks", 2)

    def _wait_for_more(self, what, count):
        goal = self.counts[what] + count
        wait_until(lambda: self.counts[what] >= goal, f"{count} {what}")


if __name__ == "__main__":
    main()
