"""Wazuh's log collector on a mount: every event arrives once, whatever happens.

The collector is the model, which is stricter than the real one: what does not fit its queue is lost
at once. Each test ends in the same count: 0 lost, 0 repeated, 0 torn lines. KILLS scales how often
the server dies (100, which is 200 times here).
"""

import json
import os
import random
import shutil
import time

import corpus
import messages
import pytest
import stores
from mount import PATIENCE_S, wait_until
from wazuh_reader import Collector
from wazuh_view import HOUR, FakeClock, Ledger, hour_of, location

KILLS = 2 * int(os.environ.get("KILLS", "100"))

# Quick, and in the proportion of the defaults: the collector takes more than the mount gives.
QUICK = {"poll": 0.1, "pace": 4000}
SWIFT = {"rate": 8000, "scale": 0.02, "vcheck": 16, "save": 16}


@pytest.fixture
def collect(folder):
    """Starts collectors; the last one's end is the test's."""
    collectors = []

    def start(where, **options):
        own = os.path.join(folder, f"collector{len(collectors)}")
        collectors.append(Collector(where, own, **{**SWIFT, **options}).start())
        return collectors[-1]
    yield start
    for collector in collectors:
        collector.close()


def begun(store):
    """The store with an object that is of no hour: a mount wants to find something."""
    store.put(corpus.Delivery("processing-failed/one", b"{}", modified=int(time.time()) - 60))
    store.newest = 0  # nobody need wait for it
    return store


@pytest.fixture(params=["file", "s3"])
def place(request):
    """A folder, and a bucket of the real server behind a network that can be cut."""
    return begun(request.getfixturevalue({"file": "local", "s3": "remote"}[request.param]))


@pytest.fixture(params=["file", "s3", "real"])
def timed(request, folder):
    """A store and a clock that the daemon believes in: a folder and the fault server, which tell
    objects the time of that clock, and the real server, which dates them by its own. There the
    daemon's clock runs ahead, and it dates its requests by the server's."""
    if request.param == "file":
        return request.getfixturevalue("local"), request.getfixturevalue("clock")
    if request.param == "s3":
        server = request.getfixturevalue("fault_server")
        return begun(stores.Faulty(server)), FakeClock(folder, server)
    clock = FakeClock(folder)
    clock.set(time.time())
    return begun(request.getfixturevalue("remote")), clock


def an_event(number, text=""):
    return json.dumps({"source": "aws.macie", "detail": {
        "number": number, "title": text, "severity": {"description": "High"}}}).encode()


def numbered(rng, hour, first, count, modified=0):
    """A delivery of so many small events."""
    events = [an_event(number) for number in range(first, first + count)]
    return corpus.delivery(rng, hour, events, "nothing", "gzip", modified)


def env_of(store, clock):
    return {**store.env, **clock.env}


# What waits, and what is large

@pytest.mark.parametrize("ratio", ["quick", "defaults"])
def test_a_first_start_with_24_hours_waiting(ratio, local, make_mount, collect, rng):
    """All kinds of deliveries of a day, more than the collector's queue holds; and fewer at the
    pace and the rate that are the defaults."""
    quick = ratio == "quick"
    now = int(time.time())
    ledger = Ledger(local)
    for at in range(now - 23 * HOUR, now - 9, HOUR // (4 if quick else 1)):
        ledger.put(corpus.delivery(rng, hour_of(at), modified=at))
    ledger.put(numbered(rng, hour_of(now), 0, 2000 if quick else 400, now - 9))
    assert len(ledger.expected) > (2000 if quick else 500)
    mount = make_mount(local, QUICK if quick else {"poll": 0.1})
    collector = collect(location(mount), **({} if quick else {"rate": 500}))
    ledger.wait_for_collector(collector)


def test_a_first_start_with_24_hours_of_the_stream_waiting(remote, make_mount, collect, rng):
    """On the real server."""
    ledger = Ledger(begun(remote))
    now = int(time.time())
    for hours in range(24):
        ledger.put(corpus.delivery(rng, hour_of(now - hours * HOUR)))
        ledger.put(numbered(rng, hour_of(now - hours * HOUR), 1000 * hours, 100))
    mount = make_mount(remote, QUICK)
    ledger.wait_for_collector(collect(location(mount)))


def test_20000_events_in_one_object(place, make_mount, collect, rng, hour):
    ledger = Ledger(place)
    mount = make_mount(place, {**QUICK, "pace": 9000})
    collector = collect(location(mount), rate=18_000)
    ledger.put(numbered(rng, hour, 0, 20_000))
    ledger.wait_for_collector(collector)


def test_kinds_of_events_that_are_hard_to_take(place, make_mount, collect, rng, hour):
    """Long ones, damaged objects, text, events without detail, in between ordinary ones: each line
    that arrives is one the collector can take, and nothing beside the bad ones is lost."""
    ledger = Ledger(place)
    mount = make_mount(place, QUICK)
    collector = collect(location(mount))
    for size in (70 << 10, 300 << 10, 1 << 20):
        cells = json.dumps(["cell"] * (size // 7), separators=(",", ":")).encode()
        long = b'{"source":"aws.macie","detail":{"title":"%d","cells":%b}}' % (size, cells)
        events = [an_event(1), long, an_event(2)]
        ledger.put(corpus.delivery(rng, hour, events, "spaces", "gzip"))
        ledger.put(corpus.delivery(rng, hour, [b"no JSON", b"{}", b'"x"', an_event(3)], "lf"))
        for damage in ("gzip-truncated", "plain-truncated", "snappy-checksum"):
            ledger.put(corpus.damaged_delivery(rng, hour, damage), damaged=True)
        ledger.put(corpus.delivery(rng, hour))
    ledger.put(corpus.empty_delivery(rng, hour))
    for kind in corpus.KINDS:
        some = [corpus.serialized(rng, kind(rng)) for _ in range(5)]
        ledger.put(corpus.delivery(rng, hour, some))
    ledger.wait_for_collector(collector)


# Time passes

def test_steady_deliveries_over_hour_boundaries(timed, make_mount, collect, rng):
    """The collector finds each hour's file before its first event; hours leave the window while it
    holds their files open."""
    store, clock = timed
    ledger = Ledger(store)
    mount = make_mount(store, {**QUICK, "window": "2h"}, env=env_of(store, clock))
    collector = collect(location(mount))
    start = int(clock.now()) // HOUR * HOUR
    for number in range(1, 6):
        clock.set(start + number * HOUR - 2)
        collector.wait_for_vcheck()
        for offset in (-1, 0, 1, 2):  # around the boundary, by the object's time and the clock's
            at = start + number * HOUR + offset - 2
            ledger.put(corpus.delivery(rng, hour_of(at), modified=at))
        clock.set(start + number * HOUR + 1)
        ledger.put(corpus.delivery(rng, hour_of(clock.now()), modified=int(clock.now()) - 1))
        ledger.wait_for_collector(collector)
    collector.wait_for_vcheck()
    assert collector.counts["forgotten"] >= 2


def test_late_objects(place, make_mount, collect, rng):
    """By a minute, three hours and thirty hours: its hour in the bucket is so much older."""
    ledger = Ledger(place)
    mount = make_mount(place, QUICK)
    collector = collect(location(mount))
    now = int(time.time())
    for late in (30 * HOUR, 3 * HOUR, 60, 0):
        ledger.put(numbered(rng, hour_of(now - late), late, 20))
    ledger.wait_for_collector(collector)


def test_the_collector_was_stopped_for_hours(timed, make_mount, collect, rng):
    """It goes on where it was, in files that stand still in the window, and reads the new ones."""
    store, clock = timed
    ledger = Ledger(store)
    start = int(clock.now())
    mount = make_mount(store, {**QUICK, "window": "8h"}, env=env_of(store, clock))
    ledger.put(corpus.delivery(rng, hour_of(start), modified=start - 9))
    collector = collect(location(mount))
    ledger.wait_for_collector(collector)
    collector.stop()
    for hours in range(6):
        clock.set(start + hours * HOUR)
        ledger.put(corpus.delivery(rng, hour_of(clock.now()), modified=start + hours * HOUR - 5))
        ledger.wait_for_lines(mount)
    collector.start()
    ledger.wait_for_collector(collector)
    assert (collector.counts["resumed"] > 0, collector.counts["changed"]) == (True, 0)


def test_the_collector_was_started_before_the_mount(place, make_mount, collect, rng, hour):
    ledger = Ledger(place)
    ledger.put(numbered(rng, hour, 0, 300))
    mount = make_mount(place, QUICK, start=False)
    collector = collect(location(mount))
    collector.wait_for_vcheck()
    mount.start()
    ledger.wait_for_collector(collector)
    ledger.put(numbered(rng, hour, 300, 100))
    ledger.wait_for_collector(collector)


# Things break

@pytest.mark.parametrize("place, kills", [("file", KILLS // 4), ("s3", 2 * KILLS)], indirect=["place"])
def test_the_server_is_killed_all_the_time(place, kills, make_mount, collect, rng, hour):
    ledger = Ledger(place)
    mount = make_mount(place, {**QUICK, "pace": 2000})
    collector = collect(location(mount), rate=4000)
    killed = set()
    for number in range(kills):
        if number % 10 == 0:
            ledger.put(numbered(rng, hour, number * 1000, random.Random(number).choice([10, 200])))
        killed.add(mount.kill_server())
        wait_until(lambda: mount.server not in killed | {None}, "a new server")
        time.sleep(rng.choice([0, 0, 0.01, 0.03]))
    ledger.wait_for_collector(collector)
    assert mount.status()["restarts"] == kills
    assert (collector.counts["read errors"], collector.counts["errors taken for the end"]) == (0, 0)


@pytest.mark.parametrize("cut", ["refuse", "blackhole"])
def test_the_network_goes_away_for_a_while(cut, proxy, remote, make_mount, collect, rng, hour):
    ledger = Ledger(remote)
    ledger.put(numbered(rng, hour, 0, 200))
    mount = make_mount(remote, QUICK)
    collector = collect(location(mount))
    ledger.wait_for_collector(collector)
    proxy.cut(cut)
    for number in range(3):
        ledger.put(numbered(rng, hour, 1000 * (number + 1), 200))
    wait_until(lambda: proxy.swallowed or mount.status()["offline"], "the cut to be felt")
    collector.wait_for_vcheck()
    collector.restart()
    proxy.heal()
    wait_until(lambda: not mount.status()["offline"], "the network", patience=4 * PATIENCE_S)
    ledger.wait_for_collector(collector)
    assert collector.counts["forgotten"] == 0


def wipe_and_remount(mount, collector):
    """The mount begins anew, with nothing in its cache; the collector is not there meanwhile."""
    collector.stop()
    mount.unmount()
    shutil.rmtree(mount.cache)
    mount.start()


def test_the_cache_is_lost(place, make_mount, collect, rng, hour):
    """What was met in the order of delivery lies as it lay: the collector goes on, nothing is
    repeated."""
    ledger = Ledger(place)
    ledger.put_all(numbered(rng, hour, 1000 * n, 100) for n in range(3))
    mount = make_mount(place, QUICK)
    before = ledger.wait_for_view(mount)
    collector = collect(location(mount))
    ledger.wait_for_collector(collector)
    wipe_and_remount(mount, collector)
    assert ledger.wait_for_view(mount) == before
    collector.start()
    ledger.put(numbered(rng, hour, 9000, 100))
    ledger.wait_for_collector(collector)
    assert (collector.counts["resumed"] > 0, collector.counts["changed"]) == (True, 0)


def test_the_cache_is_lost_with_the_order_that_only_it_knew(local, make_mount, collect, rng, hour):
    """The file is another one, so the collector reads it from its start: repeats, no loss."""
    now = int(time.time()) - 60
    ledger = Ledger(local)
    ledger.put(numbered(rng, hour, 0, 100, now))
    mount = make_mount(local, QUICK)
    collector = collect(location(mount))
    ledger.wait_for_collector(collector)
    ledger.put(numbered(rng, hour, 1000, 100, now - 1))
    ledger.wait_for_collector(collector)
    wipe_and_remount(mount, collector)
    ledger.wait_for_view(mount)
    collector.start()
    assert collector.counts["changed"] == 1
    wait_until(lambda: collector.counts["delivered"] >= 400, "everything once more")
    collector.wait_for_passes(2)
    messages.assert_each_once(ledger.expected * 2, collector.delivered)


# The other view

def test_hour_logs_in_steady_state(timed, make_mount, collect, rng):
    """Events as they were sent, of logs that were found while they were empty."""
    store, clock = timed
    mount = make_mount(store, QUICK, env=env_of(store, clock))
    collector = collect(mount.at("20??", "*", "*", "*", "macie.ndjson"))
    start = int(clock.now()) // HOUR * HOUR
    lines = []
    for number in range(1, 4):
        clock.set(start + number * HOUR - 1)
        collector.wait_for_vcheck()
        for at in (int(clock.now()) - 5, start + number * HOUR):
            made = numbered(rng, hour_of(at), len(lines), 20, at)
            store.put(made)
            lines += made.lines
        clock.set(start + number * HOUR + 2)
        collector.wait_for_all(lines)
    collector.wait_for_passes(2)
    assert sorted(collector.delivered) == sorted(lines)
    assert (collector.dropped, collector.ignored) == (0, {})
