"""The log collector gets what it was not given before at a rate it can take; nobody else waits, and
nothing is held up twice. Only lower bounds of times are tested, and times that are a small part of
what waiting would take."""

import json
import signal
import subprocess
import sys
import time

import corpus
import pytest
from mount import PATIENCE_S, wait_until
from wazuh_reader import NAME
from wazuh_view import Ledger, path_of, read

# A reader by a name of its own: writes for each read how many lines it got, and ends with the last.
READER = r"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
name, path, lines = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open("/proc/self/comm", "w") as comm:
    comm.write(name)
fd = os.open(path, os.O_RDONLY)
while lines > 0:
    got = os.read(fd, 1 << 16).count(b"\n")
    if got:
        print(got, flush=True)
    lines -= got
"""

MANY = 500  # lines; at a line a second nobody lives to see the end


class Reader:
    """The reader's process, and what it says."""

    def __init__(self, path, lines, name=NAME):
        self.began = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-c", READER, name, path, str(lines)],
                                        stdout=subprocess.PIPE)

    def next_read(self):
        """How many lines the next read brought; 0 where the reader has ended."""
        return int(self.process.stdout.readline() or b"0")

    def finish(self):
        """Waits for the last line; returns the sizes of all reads and how long they took."""
        out, _ = self.process.communicate(timeout=4 * PATIENCE_S)
        assert self.process.returncode == 0
        return [int(got) for got in out.split()], time.monotonic() - self.began

    def ended(self):
        return self.process.poll() is not None

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_reader():
    readers = []

    def start(*arguments, **how):
        readers.append(Reader(*arguments, **how))
        return readers[-1]
    yield start
    for reader in readers:
        reader.end()


@pytest.fixture
def many(local, rng):
    """A ledger with one delivery of many events in the current hour, some seconds ago."""
    ledger = Ledger(local)
    events = [json.dumps({"source": "aws.macie", "detail": {"number": number}}).encode()
              for number in range(MANY)]
    ledger.put(corpus.delivery(rng, corpus.now_hour(), events, "nothing", "gzip",
                               int(time.time()) - 9))
    return ledger


def path_in(mount, ledger):
    ledger.wait_for_view(mount)
    return path_of(mount, ledger.deliveries[0].modified)


def test_new_lines_come_at_the_pace_and_others_do_not_wait(many, local, make_mount, start_reader):
    pace = 200
    mount = make_mount(local, {"pace": pace})
    path = path_in(mount, many)
    reader = start_reader(path, MANY)
    assert 0 < reader.next_read() <= pace / 10
    other = start_reader(path, MANY, name="grep")
    other.finish()
    assert read(path).count(b"\n") == MANY
    assert not reader.ended()
    reads, elapsed = reader.finish()
    assert max(reads) <= pace / 10
    assert elapsed >= (MANY - pace / 10) / pace


def test_the_pace_is_that_of_all_readers_and_files_together(local, make_mount, start_reader, rng):
    """Two threads of the collector, in two hours' files."""
    pace, now = 200, int(time.time())
    ledger = Ledger(local)
    for number, modified in enumerate((now - 3600, now - 9)):
        events = [b'{"source":"aws.macie","detail":{"number":%d}}' % n for n in range(MANY // 2)]
        ledger.put(corpus.delivery(rng, corpus.now_hour(-1), events, "nothing", "gzip", modified))
    mount = make_mount(local, {"pace": pace})
    ledger.wait_for_view(mount)
    readers = [start_reader(path_of(mount, d.modified), MANY // 2) for d in ledger.deliveries]
    assert max(reader.finish()[1] for reader in readers) >= (MANY - pace / 10) / pace


def test_what_was_given_is_given_again_at_full_speed(many, local, make_mount, start_reader):
    """After an unmount and a mount, and after a kill; with a pace that nobody could wait for."""
    mount = make_mount(local, {"pace": 100_000})
    path = path_in(mount, many)
    start_reader(path, MANY).finish()
    mount.unmount()
    mount.command[mount.command.index("-o") + 1] += ",pace=1"
    mount.start()
    reads, _ = start_reader(path, MANY).finish()
    assert len(reads) < MANY / 10
    mount.kill_server()
    start_reader(path, MANY).finish()


def test_a_kill_forgets_nothing_of_what_was_given(many, local, make_mount, start_reader):
    """The server dies before it has written down how much it gave."""
    mount = make_mount(local, {"pace": 200})
    path = path_in(mount, many)
    reader = start_reader(path, MANY)
    given = sum(reader.next_read() for _ in range(4))
    mount.kill_server()
    again = start_reader(path, given)
    assert again.next_read() >= given
    reads, _ = reader.finish()
    assert given + sum(reads) == MANY
    # A step of its own, and one that the other may have been given before it.
    assert max(reads) <= 2 * 20


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_reader_that_waits(ending, many, local, make_mount, start_reader):
    mount = make_mount(local, {"pace": 1})
    reader = start_reader(path_in(mount, many), MANY)
    assert reader.next_read() == 1
    reader.process.send_signal(ending)
    assert reader.process.wait(PATIENCE_S) == -ending
    mount.unmount()


def test_a_mount_ends_under_a_reader_that_waits(many, local, make_mount, start_reader):
    """The reader is told of an error; it does not hang."""
    mount = make_mount(local, {"pace": 1})
    reader = start_reader(path_in(mount, many), MANY)
    assert reader.next_read() == 1
    subprocess.run(["umount", "-f", "-l", mount.path], capture_output=True, check=True)
    wait_until(reader.ended, "the reader to end")
    mount.wait_ended()


def test_without_a_pace_a_read_is_answered_in_full(many, local, make_mount, start_reader):
    mount = make_mount(local, {"pace": 0})
    path = path_in(mount, many)
    whole = read(path)[:1 << 16].count(b"\n")
    assert start_reader(path, MANY).next_read() == whole > 100
