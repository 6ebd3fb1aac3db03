"""kill -9 of the serving process is not seen by readers: no error, no changed inode, no lost or
repeated byte. KILLS sets how often (100)."""

import mmap
import os
import random
import subprocess
import sys
import time

import corpus
import pytest
from mount import PATIENCE_S, assert_same, wait_until

KILLS = int(os.environ.get("KILLS", "100"))

# One reader: opens, reads at random and holds descriptors until its standard input ends; exits with
# a message on the first byte, size, inode or error that is not as it should be.
READER = r"""
import os, random, select, sys
seed, log_path, expected_path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
rng = random.Random(seed)
expected = open(expected_path, "rb").read()
inode = os.stat(log_path).st_ino
held = os.open(log_path, os.O_RDONLY)
folder = os.path.dirname(log_path)
tailed = reads = 0
while not select.select([0], [], [], 0)[0]:
    found = os.stat(log_path)
    assert found.st_ino == inode, "the inode changed"
    assert tailed <= found.st_size <= len(expected), f"size {found.st_size} after {tailed}"
    fd = os.open(log_path, os.O_RDONLY)
    for use in (fd, held):
        at = rng.randrange(found.st_size + 1)
        piece = os.pread(use, rng.choice((1, 100, 4096, 70000)), at)
        assert expected.startswith(piece, at), f"wrong bytes at {at}"
        assert piece or at == found.st_size, f"no bytes at {at} of {found.st_size}"
    os.close(fd)
    piece = os.pread(held, 1 << 26, tailed)
    assert expected.startswith(piece, tailed), f"wrong bytes at {tailed}"
    assert not piece or piece.endswith(b"\n"), "a torn line"
    tailed += len(piece)
    if tailed == len(expected):
        tailed = 0
    assert os.listdir(folder) == [os.path.basename(log_path)]
    reads += 4
print(reads)
"""


class Readers:
    """Parallel readers of some logs, each in a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def start(self, log_path, expected):
        number = len(self.processes)
        expected_path = os.path.join(self.folder, f"expected.{number}")
        with open(expected_path, "wb") as out:
            out.write(expected)
        self.processes.append(subprocess.Popen(
            [sys.executable, "-c", READER, str(number), log_path, expected_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def check(self):
        """Fails as soon as a reader has failed."""
        for process in self.processes:
            assert process.poll() is None, process.stderr.read()

    def finish(self):
        """Ends the readers; returns how many reads they made, each of them right."""
        reads = 0
        for process in self.processes:
            out, err = process.communicate(timeout=2 * PATIENCE_S)
            assert process.returncode == 0, err
            reads += int(out)
        return reads

    def abandon(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def readers(folder):
    made = Readers(folder)
    yield made
    made.abandon()


def test_kills_under_parallel_readers(local, make_mount, readers, rng, old_hour, hour):
    base = int(time.time()) - 5000
    old = local.put_all(corpus.delivery(rng, old_hour) for _ in range(10))
    new = [corpus.delivery(rng, hour, modified=base + n) for n in range(60)]
    local.put_all(new[:5])
    mount = make_mount(local)
    mount.wait_for_log(hour, corpus.expected_log(new[:5]))
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    for _ in range(2):
        readers.start(mount.log_path(hour), corpus.expected_log(new))
        readers.start(mount.log_path(old_hour), corpus.expected_log(old))
    killed = set()
    waiting = new[5:]
    for number in range(KILLS):
        killed.add(mount.kill_server())
        if waiting and number % 2:
            local.put(waiting.pop(0))
        wait_until(lambda: mount.server not in killed | {None}, "a new server")
        time.sleep(rng.random() * 0.06)
        readers.check()
    for one in waiting:
        local.put(one)
        mount.wait_for_log(hour, corpus.expected_log(d for d in new if d.modified <= one.modified))
    mount.wait_for_log(hour, corpus.expected_log(new))
    assert readers.finish() > KILLS
    assert mount.status()["restarts"] == KILLS
    assert_same(corpus.expected_log(old), mount.read(old_hour))


def test_kills_while_an_old_hour_grows(local, make_mount, readers, rng, old_hour):
    """Late objects for an hour that the kernel keeps pages of: the server dies around each of them."""
    base = int(time.time()) - 5000
    all_of_it = [corpus.delivery(rng, old_hour, modified=base + n) for n in range(5 + KILLS // 2)]
    local.put_all(all_of_it[:5])
    mount = make_mount(local, {"dir_ttl": 0.05})
    assert_same(corpus.expected_log(all_of_it[:5]), mount.read(old_hour))
    for _ in range(3):
        readers.start(mount.log_path(old_hour), corpus.expected_log(all_of_it))
    for one in all_of_it[5:]:
        local.put(one)
        time.sleep(rng.random() * 0.1)
        before = mount.kill_server()
        wait_until(lambda: mount.server not in (before, None), "a new server")
        readers.check()
    mount.wait_for_log(old_hour, corpus.expected_log(all_of_it))
    assert readers.finish() > KILLS // 2


def test_kills_while_old_hours_are_fetched(faulty, fault_server, make_mount, rng):
    """The server dies while readers wait for hours that come slowly: they get them all the same."""
    hours = [corpus.now_hour(-100 - n) for n in range(6)]
    base = int(time.time()) - 5000
    deliveries = [corpus.delivery(rng, h, modified=base + n) for n, h in enumerate(hours * 8)]
    faulty.put_all(deliveries)
    mount = make_mount(faulty)
    fault_server.arm("slow", on="get", times=len(deliveries), seconds=0.2)
    cats = [subprocess.Popen(["cat", mount.log_path(h)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for h in hours]
    try:
        for _ in range(5):
            time.sleep(0.1 + rng.random() * 0.1)
            before = mount.kill_server()
            wait_until(lambda: mount.server not in (before, None), "a new server")
        for h, cat in zip(hours, cats):
            out, err = cat.communicate(timeout=2 * PATIENCE_S)
            assert (cat.returncode, err) == (0, b"")
            assert_same(corpus.expected_log(d for d in deliveries if d.key.startswith(h)), out)
    finally:
        for cat in cats:
            if cat.poll() is None:
                cat.kill()
                cat.communicate()


def test_a_kill_in_the_middle_of_appends(store, make_mount, rng, hour):
    """Kills race with deliveries: each is there once."""
    store.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    mount = make_mount(store, {"poll": 0.1})
    deliveries = []
    for number in range(12):
        deliveries.append(corpus.big_delivery(rng, hour, 300_000))
        store.put(deliveries[-1])
        time.sleep(random.Random(number).random() * 0.3)
        mount.kill_server()
    total = sum(len(d.log) for d in deliveries)
    wait_until(lambda: os.stat(mount.log_path(hour)).st_size >= total, "everything")
    assert_same(corpus.expected_log(deliveries), mount.read(hour))


def test_a_mapped_log_outlives_its_server(local, make_mount, rng, old_hour):
    one = corpus.big_delivery(rng, old_hour, 3 << 20)
    local.put_all([one])
    mount = make_mount(local)
    with open(mount.log_path(old_hour), "rb") as log:
        mapped = mmap.mmap(log.fileno(), 0, prot=mmap.PROT_READ)
        assert_same(one.log[:4096], mapped[:4096])
        mount.kill_server()
        assert_same(one.log, mapped[:])
        mapped.close()


def test_the_keepers_death_is_not_seen_either(local, make_mount, rng, hour):
    """Without its keeper the server goes on, and ends with the mount as ever."""
    one = corpus.delivery(rng, hour)
    local.put_all([one])
    mount = make_mount(local)
    mount.wait_for_log(hour, one.log)
    mount.process.kill()
    mount.process.wait()
    later = corpus.delivery(rng, hour)
    local.put(later)
    mount.wait_for_log(hour, one.log + later.log)
    mount.unmount()
