"""Logs grow in place: what is delivered appears to readers that hold the file open, in whole lines,
once and in order; what came late, was overwritten or was deleted moves no byte."""

import os
import subprocess
import time

import corpus
import pytest
from mount import assert_same, wait_until


class Reader:
    """Holds a log open, reads what is added, and checks every piece as it comes."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        self.seen = b""

    def read(self):
        while piece := os.read(self.fd, 1 << 16):
            self.seen += piece
        assert b"\0" not in self.seen
        assert self.seen == b"" or self.seen.endswith(b"\n"), self.seen[-80:]
        return self.seen

    def wait_for(self, expected):
        def matches():
            seen = self.read()
            assert_same(expected[:len(seen)], seen)
            return len(seen) == len(expected)
        wait_until(matches, f"{len(expected)} bytes")

    def close(self):
        os.close(self.fd)


@pytest.fixture
def open_reader():
    readers = []

    def make(path):
        readers.append(Reader(path))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def small(rng, hour, number, modified=0):
    """A delivery of one short event."""
    return corpus.delivery(rng, hour, [b'{"n":%d}' % number], "nothing", "gzip", modified)


def test_a_delivery_appears_in_an_open_reader(store, make_mount, open_reader, rng, hour):
    store.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    mount = make_mount(store)
    reader = open_reader(mount.log_path(hour))
    assert reader.read() == b""
    expected = b""
    for _ in range(3):
        one = corpus.delivery(rng, hour)
        store.put(one)
        expected += one.log
        reader.wait_for(expected)
    assert os.fstat(reader.fd).st_size == len(expected)


def test_growth_inside_one_page(local, make_mount, open_reader, rng, hour):
    """Steps far smaller than a page: cached page tails must neither hide them nor show zeros."""
    base = int(time.time()) - 1000
    local.put_all([small(rng, hour, 0, base)])
    mount = make_mount(local, {"poll": 0.1})
    expected = b'{"n":0}\n'
    reader = open_reader(mount.log_path(hour))
    reader.wait_for(expected)
    for number in range(1, 25):
        one = small(rng, hour, number, base + number)
        local.put(one)
        expected += one.log
        reader.wait_for(expected)
        assert_same(expected, mount.read(hour))
        assert os.stat(mount.log_path(hour)).st_size == len(expected)
        assert os.pread(reader.fd, 100, len(expected) - len(one.log)) == one.log


def test_a_reader_that_waits_at_the_end_never_sees_nul_or_torn_lines(local, make_mount, rng, hour):
    """Readers race with growth at several block sizes, from the first byte and from the end."""
    base = int(time.time()) - 1000
    deliveries = [corpus.delivery(rng, hour, modified=base + n) for n in range(40)]
    local.put_all(deliveries[:1])
    mount = make_mount(local, {"poll": 0.1})
    expected = corpus.expected_log(deliveries)
    readers = [(os.open(mount.log_path(hour), os.O_RDONLY), size) for size in (1, 511, 4096, 1 << 17)]
    seen = {fd: b"" for fd, _ in readers}
    for one in deliveries[1:]:
        local.put(one)
        for fd, size in readers:
            for _ in range(50):
                piece = os.pread(fd, size, len(seen[fd]))
                assert expected.startswith(piece, len(seen[fd])), "a byte that is not the log's"
                seen[fd] += piece
    mount.wait_for_log(hour, expected)
    for fd, _ in readers:
        os.close(fd)


def test_objects_of_the_same_second_are_ordered_by_key(faulty, make_mount, rng, hour):
    faulty.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    mount = make_mount(faulty)
    second = int(time.time()) + 2
    deliveries = [corpus.delivery(rng, hour, modified=second) for _ in range(12)]
    for one in sorted(deliveries, key=lambda d: d.key, reverse=True):
        faulty.put(one)
        time.sleep(0.05)
    mount.wait_for_log(hour, corpus.expected_log(deliveries))


def test_an_object_whose_second_is_not_over_is_held_back(faulty, fault_server, make_mount, rng, hour):
    fault_server.clock_skew = -600
    past = corpus.delivery(rng, hour, modified=int(time.time()) - 700)
    ahead = corpus.delivery(rng, hour, modified=int(time.time()) - 600 + 30)
    faulty.put_all([past, ahead])
    mount = make_mount(faulty)
    mount.wait_for_log(hour, past.log)
    polls = fault_server.count("list")
    wait_until(lambda: fault_server.count("list") > polls + 5, "some polls")
    assert_same(past.log, mount.read(hour))
    fault_server.clock_skew = 0
    mount.wait_for_log(hour, past.log + ahead.log)


def test_late_objects_are_appended(store, make_mount, open_reader, rng, old_hour):
    first = store.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(store, {"dir_ttl": 0.2})
    before = corpus.expected_log(first)
    assert_same(before, mount.read(old_hour))
    reader = open_reader(mount.log_path(old_hour))
    late = corpus.Delivery(f"{old_hour}/0-smallest-key", b'{"late":1}', [b'{"late":1}\n'])
    store.put(late)
    mount.wait_for_log(old_hour, before + late.log)
    reader.wait_for(before + late.log)
    assert mount.status()["late"] >= 1


def test_late_objects_of_an_earlier_time_are_appended_too(local, make_mount, rng, hour):
    now = int(time.time())
    first = corpus.delivery(rng, hour, modified=now - 100)
    local.put(first)
    mount = make_mount(local)
    mount.wait_for_log(hour, first.log)
    earlier = corpus.delivery(rng, hour, modified=now - 5000)
    local.put(earlier)
    mount.wait_for_log(hour, first.log + earlier.log)
    assert os.stat(mount.log_path(hour)).st_mtime == now - 100


def test_overwritten_and_deleted_objects_change_nothing(store, make_mount, open_reader, rng, hour):
    kept, rewritten, deleted = store.put_all(
        corpus.delivery(rng, hour, compression="gzip") for _ in range(3))
    expected = corpus.expected_log([kept, rewritten, deleted])
    mount = make_mount(store)
    mount.wait_for_log(hour, expected)
    reader = open_reader(mount.log_path(hour))
    store.delete(deleted)
    store.put(corpus.Delivery(rewritten.key, b'{"other":"content, and of another length"}'))
    wait_until(lambda: mount.status()["overwritten"] == 1, "the overwritten object to be counted")
    marker = small(rng, hour, 1)
    store.put(marker)
    mount.wait_for_log(hour, expected + marker.log)
    reader.wait_for(expected + marker.log)
    assert mount.status()["overwritten"] == 1


def test_overwritten_and_deleted_objects_of_an_old_hour(local, make_mount, rng, old_hour):
    kept, rewritten, deleted = local.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    expected = corpus.expected_log([kept, rewritten, deleted])
    mount = make_mount(local, {"dir_ttl": 0.2})
    assert_same(expected, mount.read(old_hour))
    local.delete(deleted)
    local.put(corpus.Delivery(rewritten.key, b'{"other":1}'))
    marker = small(rng, old_hour, 1)
    local.put(marker)
    mount.wait_for_log(old_hour, expected + marker.log)


def test_mtime_is_the_newest_objects_and_never_goes_back(local, make_mount, rng, hour):
    base = int(time.time()) - 5000
    stamps = [base + step for step in (0, 50, 20, 90, 10, 100)]
    mount = None
    newest = 0
    log = b""
    for stamp in stamps:
        one = corpus.delivery(rng, hour, modified=stamp)
        local.put(one)
        mount = mount or make_mount(local)
        log += one.log
        newest = max(newest, stamp)
        mount.wait_for_log(hour, log)
        assert os.stat(mount.log_path(hour)).st_mtime == newest


def test_tail_follows(store, make_mount, rng, hour, folder):
    store.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    mount = make_mount(store)
    out = os.path.join(folder, "tail.out")
    with open(out, "wb") as sink:
        tail = subprocess.Popen(["tail", "-n", "+1", "-s", "0.1", "-F", mount.log_path(hour)],
                                stdout=sink, stderr=subprocess.DEVNULL)
    try:
        expected = b""
        for _ in range(3):
            one = corpus.delivery(rng, hour)
            store.put(one)
            expected += one.log
            mount.wait_for_log(hour, expected)
        def followed():
            with open(out, "rb") as seen:
                return seen.read() == expected
        wait_until(followed, "tail to have it all")
    finally:
        tail.kill()
        tail.wait()


def test_every_object_is_fetched_once(faulty, fault_server, make_mount, rng, hour):
    fault_server.page = 3
    base = int(time.time()) - 1000
    deliveries = [corpus.delivery(rng, hour, modified=base + n) for n in range(20)]
    faulty.put_all(deliveries[:10])
    mount = make_mount(faulty)
    for one in deliveries[10:]:
        faulty.put(one)
    wait_until(lambda: len(mount.read(hour)) == sum(len(d.log) for d in deliveries), "everything")
    polls = fault_server.count("list")
    wait_until(lambda: fault_server.count("list") > polls + 3, "some more polls")
    assert fault_server.count("get") == len(deliveries)
    assert fault_server.count("HEAD") == 0


def test_the_previous_hour_still_grows(store, make_mount, rng):
    previous = corpus.now_hour(-1)
    first = corpus.delivery(rng, previous)
    store.put_all([first])
    mount = make_mount(store, {"dir_ttl": 3600})
    mount.wait_for_log(previous, first.log)
    second = corpus.delivery(rng, previous)
    store.put(second)
    mount.wait_for_log(previous, first.log + second.log)


def test_deliveries_of_several_streams_and_versions(store, make_mount, rng, hour):
    """Neither key order nor stream name decides: "-10-" sorts before "-9-"."""
    base = [b"b-stream-9-x", b"a-stream-9-x", b"b-stream-10-x", b"B-stream-1-x"]
    store.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    mount = make_mount(store)
    log = b""
    for name in base:
        event = b'{"from":"%s"}' % name
        one = corpus.Delivery(f"{hour}/{name.decode()}", event, [event + b"\n"])
        store.put(one)
        log += one.log
        mount.wait_for_log(hour, log)
