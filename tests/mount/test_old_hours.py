"""Old hours come when they are asked for: once for all who ask, interruptibly, in bounded space; and
a disk that is full stops growth, nothing else."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import corpus
import pytest
from mount import PATIENCE_S, assert_same, wait_until


@pytest.fixture
def old(faulty, rng, old_hour):
    base = int(time.time()) - 5000
    return faulty.put_all(corpus.delivery(rng, old_hour, modified=base + n) for n in range(12))


def test_listing_fetches_nothing(faulty, fault_server, old, make_mount, old_hour):
    mount = make_mount(faulty)
    subprocess.run(["find", mount.path, mount.at(".objects")], check=True, capture_output=True)
    assert old[0].name in os.listdir(mount.at(".objects", old_hour))
    assert fault_server.count("get") == 0
    assert fault_server.count("HEAD") == 0


def test_many_who_ask_at_once_fetch_once(faulty, fault_server, old, make_mount, old_hour):
    mount = make_mount(faulty)
    expected = corpus.expected_log(old)
    with ThreadPoolExecutor(16) as pool:
        stats = [pool.submit(os.stat, mount.log_path(old_hour)) for _ in range(16)]
        reads = [pool.submit(mount.read, old_hour) for _ in range(8)]
        assert {s.result().st_size for s in stats} == {len(expected)}
        for read in reads:
            assert_same(expected, read.result())
    assert fault_server.count("get") == len(old)


def test_an_old_hour_is_fetched_in_parallel(faulty, fault_server, old, make_mount, old_hour):
    """With every GET held, as many as `connections` are under way at once."""
    mount = make_mount(faulty, {"connections": 4})
    fault_server.arm("hold", on="get", times=4)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(mount.read, old_hour)
        try:
            wait_until(lambda: fault_server.count("get") == 4, "four GETs at once")
        finally:
            fault_server.disarm()
        assert_same(corpus.expected_log(old), read.result())


def test_other_readers_go_on_meanwhile(faulty, fault_server, old, make_mount, rng, old_hour, hour):
    other_hour = corpus.now_hour(-101)
    base = int(time.time()) - 500
    other = corpus.delivery(rng, other_hour, modified=base)
    known = corpus.delivery(rng, hour, modified=base)
    faulty.put_all([other, known])
    mount = make_mount(faulty)
    mount.wait_for_log(hour, known.log)
    fault_server.arm("hold", on="get", key=old[0].name)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mount.read, old_hour)
        try:
            wait_until(lambda: fault_server.count("get", old[0].name), "the GET that is held")
            assert_same(known.log, mount.read(hour))
            assert_same(other.log, mount.read(other_hour))
            grown = corpus.delivery(rng, hour, modified=base + 1)
            faulty.put(grown)
            mount.wait_for_log(hour, known.log + grown.log)
            assert "macie.ndjson" in os.listdir(mount.at(old_hour))
            assert not waiting.done()
        finally:
            fault_server.disarm()
        assert_same(corpus.expected_log(old), waiting.result())


@pytest.mark.parametrize("command", [["cat"], ["stat"], ["head", "-c", "1"]], ids=lambda c: c[0])
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name)
def test_a_signal_ends_a_waiting_reader(faulty, fault_server, old, make_mount, old_hour, command,
                                        signal_):
    """The GET is held until the test lets it go, so only the signal can end the reader."""
    mount = make_mount(faulty)
    fault_server.arm("hold", on="get", times=1000)
    reader = subprocess.Popen([*command, mount.log_path(old_hour)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    try:
        wait_until(lambda: fault_server.count("get") > 0, "the GET that is held")
        reader.send_signal(signal_)
        out, _ = reader.communicate(timeout=PATIENCE_S)
        assert reader.returncode != 0 and out == b""
    finally:
        reader.kill()
        fault_server.disarm()
    assert_same(corpus.expected_log(old), mount.read(old_hour))


def test_an_interrupted_reader_leaves_the_others_waiting(faulty, fault_server, old, make_mount,
                                                         old_hour):
    mount = make_mount(faulty)
    fault_server.arm("hold", on="get", times=1000)
    first, second = (subprocess.Popen(["cat", mount.log_path(old_hour)], stdout=subprocess.PIPE)
                     for _ in range(2))
    try:
        wait_until(lambda: fault_server.count("get") > 0, "the GET that is held")
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=PATIENCE_S)
        assert second.poll() is None
    finally:
        fault_server.disarm()
    out, _ = second.communicate(timeout=PATIENCE_S)
    assert_same(corpus.expected_log(old), out)


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_younger_than_a_second_is_there_a_second_later(local, make_mount, rng, old_hour, before):
    """A file that may still be written is left for later, but not until the listing is forgotten."""
    deliveries = local.put_all(corpus.delivery(rng, old_hour) for _ in range(before))
    mount = make_mount(local, {"dir_ttl": 3600})
    young = corpus.delivery(rng, old_hour, modified=int(time.time()))
    local.put(young)
    os.utime(os.path.join(local.path, young.key))
    if before:
        mount.read(old_hour)
    else:
        subprocess.run(["find", mount.path], check=True, capture_output=True)
    expected = corpus.expected_log(deliveries) + young.log
    wait_until(lambda: os.path.exists(mount.log_path(old_hour)) and mount.read(old_hour) == expected,
               "the young file's events")


def test_eviction_keeps_sizes_and_brings_the_same_bytes_back(faulty, fault_server, make_mount, rng):
    hours = [corpus.now_hour(-100 - n) for n in range(8)]
    base = int(time.time()) - 5000
    deliveries = {h: [corpus.big_delivery(rng, h, 3 << 20, modified=base + n) for n in range(2)]
                  for h in hours}
    for some in deliveries.values():
        faulty.put_all(some)
    expected = {h: corpus.expected_log(some) for h, some in deliveries.items()}
    sizes = [len(log) for log in expected.values()]
    assert sum(sizes) > (16 << 20) + max(sizes), "more than one hour must go"
    mount = make_mount(faulty, {"cache_size": "16M"})
    for h in hours:
        assert_same(expected[h], mount.read(h))
    wait_until(lambda: mount.status()["evicted"] >= 2, "the oldest unused hours to go")
    wait_until(lambda: mount.status()["cache_bytes"] <= 16 << 20, "the cache to fit")
    assert disk_usage(mount.cache) <= (16 << 20) + (1 << 20)
    gets = fault_server.count("get")
    for h in hours:
        assert os.stat(mount.log_path(h)).st_size == len(expected[h])
    assert fault_server.count("get") == gets, "sizes are known without fetching"
    for h in hours:
        assert_same(expected[h], mount.read(h))
    assert fault_server.count("get") > gets


def test_an_evicted_hour_comes_back_in_journal_order(local, make_mount, rng, old_hour):
    """Late objects stay where they were appended, though a fresh mount would order them otherwise."""
    base = int(time.time()) - 5000
    first = corpus.delivery(rng, old_hour, modified=base)
    local.put(first)
    mount = make_mount(local, {"cache_size": "16M", "dir_ttl": 0.2})
    mount.wait_for_log(old_hour, first.log)
    early = corpus.delivery(rng, old_hour, modified=base - 1000)
    local.put(early)
    mount.wait_for_log(old_hour, first.log + early.log)
    others = [corpus.now_hour(-110 - n) for n in range(4)]
    local.put_all(corpus.big_delivery(rng, h, 6 << 20) for h in others)
    for h in others:
        wait_until(lambda: os.path.exists(mount.log_path(h)), "the hour to be listed")
        mount.read(h)
    wait_until(lambda: mount.status()["evicted"] >= 1, "an eviction")
    assert_same(first.log + early.log, mount.read(old_hour))


def disk_usage(folder):
    done = subprocess.run(["du", "-sB1", folder], check=True, capture_output=True)
    return int(done.stdout.split()[0])


def test_a_full_disk_stops_growth_and_nothing_else(small_disk, local, make_mount, rng, hour):
    first = corpus.delivery(rng, hour)
    local.put_all([first])
    mount = make_mount(local, {"cache": os.path.join(small_disk, "cache")})
    mount.wait_for_log(hour, first.log)
    filler = os.path.join(small_disk, "filler")
    with open(filler, "wb") as out:
        while os.statvfs(small_disk).f_bavail * 4096 > 2 << 20:
            out.write(b"\0" * (1 << 16))
            out.flush()
    big = corpus.big_delivery(rng, hour, 5 << 20)
    local.put(big)
    wait_until(lambda: mount.status()["disk_full"], "the mount to notice")
    assert_same(first.log, mount.read(hour))
    assert "room" in mount.stderr or "space" in mount.stderr or "full" in mount.stderr
    messages = len(mount.stderr.splitlines())
    lists = mount.status()["lists"]
    wait_until(lambda: mount.status()["lists"] > lists + 5, "more polls")
    assert len(mount.stderr.splitlines()) <= messages + 1, "one message, not one a poll"
    os.unlink(filler)
    wait_until(lambda: mount.read(hour) == first.log + big.log, "growth to go on",
               patience=3 * PATIENCE_S)
    wait_until(lambda: not mount.status()["disk_full"], "the mount to notice")


def test_a_full_disk_while_an_old_hour_is_read(small_disk, local, make_mount, rng, hour, old_hour):
    known = corpus.delivery(rng, hour)
    too_big = local.put_all([known, corpus.big_delivery(rng, old_hour, 40 << 20)])[1]
    mount = make_mount(local, {"cache": os.path.join(small_disk, "cache")})
    mount.wait_for_log(hour, known.log)
    done = subprocess.run(["cat", mount.log_path(old_hour)], capture_output=True,
                          timeout=2 * PATIENCE_S)
    assert done.returncode != 0
    assert too_big.log.startswith(done.stdout)
    assert_same(known.log, mount.read(hour))
