"""What the files in wazuh/ are like: which there are, what is in them and in which order, and that
nothing of it ever changes."""

import json
import os
import shutil
import subprocess
import time

import corpus
import messages
import proxy as proxy_module
import pytest
from mount import PATIENCE_S, assert_same, wait_until
from wazuh_view import (HOUR, Ledger, files_on_disk, hour_of, name_of, path_of, read, read_view)

FAST = {"poll": 0.1}  # deep sweeps, which find what is very late, come every 12 seconds


def an_event(text, number=0):
    """A small finding that is told from others by its title."""
    return json.dumps({"source": "aws.macie", "detail": {
        "title": text, "number": number, "severity": {"description": "High"}}}).encode()


def one(rng, hour, text, modified=0):
    """A delivery of one event."""
    return corpus.delivery(rng, hour, [an_event(text)], "nothing", "gzip", modified)


def spread(rng, first, last, count):
    """Deliveries at times from `first` to `last`, each in the bucket's hour of its time."""
    times = [int(first + (last - first) * n / (count - 1)) for n in range(count)]
    return [corpus.delivery(rng, hour_of(at), modified=at) for at in times]


# Which files there are

@pytest.mark.parametrize("window, seconds", [(None, 24 * HOUR), ("90m", 90 * 60),
                                             ("7d", 168 * HOUR)])
def test_names_are_the_hours_of_the_window_and_the_next(window, seconds, local, make_mount):
    mount = make_mount(local, {"window": window})

    def expected():
        now = time.time()
        hours = range(int(now - seconds) // HOUR, int(now) // HOUR + 2)
        return [name_of(hour * HOUR) for hour in hours]
    before = expected()
    names = sorted(os.listdir(mount.at("wazuh")))
    assert names in (before, expected())
    assert all(read(mount.at("wazuh", name)) == b"" for name in names[1:])
    assert "wazuh" in os.listdir(mount.path)


@pytest.mark.parametrize("name", ["2026-11-24-05", "2026-11-24.json", "2026-13-24-05.json",
                                  "x.json", "1999-01-01-00.json", "2026-11-24-05.json.gz"])
def test_other_names_do_not_exist(name, local, make_mount):
    mount = make_mount(local)
    with pytest.raises(FileNotFoundError):
        os.stat(mount.at("wazuh", name))


def test_an_hour_outside_the_window_does_not_exist(local, make_mount):
    mount = make_mount(local, {"window": "90m"})
    for offset in (-3 * HOUR, 2 * HOUR):
        with pytest.raises(FileNotFoundError):
            os.stat(path_of(mount, time.time() + offset))


def test_size_is_0_and_blocks_are_64_kib(local, make_mount, rng, hour):
    """That alone makes the log collector read from the first byte, and 64 KiB at once."""
    ledger = Ledger(local)
    ledger.put_all(corpus.delivery(rng, hour) for _ in range(3))
    mount = make_mount(local)
    ledger.wait_for_view(mount)
    newest = max(d.modified for d in ledger.deliveries)
    found = os.stat(path_of(mount, newest))
    assert (found.st_size, found.st_blksize, found.st_blocks) == (0, 1 << 16, 0)
    assert found.st_mtime == newest
    with open(path_of(mount, newest), "rb") as held:
        assert os.fstat(held.fileno()).st_size == 0


def test_inodes_stay_and_are_no_others(local, make_mount, rng, hour):
    local.put_all([corpus.delivery(rng, hour)])

    def inodes(mount):
        names = sorted(os.listdir(mount.at("wazuh")))
        return {name: os.stat(mount.at("wazuh", name)).st_ino for name in names}
    mount = make_mount(local)
    first = inodes(mount)
    logs = {os.stat(mount.log_path(corpus.now_hour(n))).st_ino for n in (0, 1)}
    assert len(set(first.values()) | logs) == len(first) + 2
    assert all(0 < inode < 1 << 31 for inode in first.values())

    def assert_kept():
        now = inodes(mount)
        both = first.keys() & now.keys()
        assert len(both) >= len(first) - 1
        assert all(first[name] == now[name] for name in both)
    mount.unmount()
    mount.start()
    assert_kept()
    mount.kill_server()
    assert_kept()


# What is in them

def test_every_form_becomes_its_messages(store, make_mount, rng, hour):
    """All compressions and joiners, all kinds of events, odd ones too, and text that is none."""
    ledger = Ledger(store)
    ledger.put_all(corpus.every_form(rng, hour))
    ledger.put_all([corpus.empty_delivery(rng, hour),
                    corpus.delivery(rng, hour, [b"no JSON at all", b"[1]", b"7"], "lf", "gzip")])
    mount = make_mount(store)
    ledger.wait_for_view(mount)
    skipped = sum(len(delivery.lines) for delivery in ledger.deliveries) - len(ledger.expected)
    wait_until(lambda: mount.status()["skipped"] == skipped, "the lines that have no place")
    assert mount.status()["messages"] == len(ledger.expected)


def test_what_rules_look_at_stands_first(local, make_mount, rng, hour):
    local.put_all([corpus.delivery(rng, hour, [corpus.serialized(rng, corpus.finding(rng))])])
    mount = make_mount(local)
    line = wait_until(lambda: b"".join(read_view(mount).values()), "a line")
    message = json.loads(line)
    assert list(message) == ["integration", "aws"]
    assert list(message["aws"])[:5] == messages.HEAD


@pytest.mark.parametrize("alias", ["audit", "a \"quoted\" näme"])
def test_account_alias(alias, local, make_mount, rng, hour):
    ledger = Ledger(local, alias)
    ledger.put_all([corpus.delivery(rng, hour)])
    ledger.wait_for_view(make_mount(local, {"account_alias": alias}))


def test_shape_event_leaves_events_as_they_are(local, make_mount, rng, hour):
    """Byte for byte; those without a detail are left out, as they are in the other shape."""
    some = corpus.delivery(rng, hour, corpus.random_events(rng, 30))
    local.put_all([some, corpus.delivery(rng, hour, [b"text", b"[1]"], "lf")])
    mount = make_mount(local, {"shape": "event"})
    kept = [line for line in some.lines if messages.message_of_line(line, {})]
    assert_same(b"".join(kept), read_view_when(mount, len(kept)))
    left_out = 2 + len(some.lines) - len(kept)
    wait_until(lambda: mount.status()["skipped"] == left_out, "the rest to be skipped")
    assert mount.status()["messages"] == len(kept)


def test_shape_event_slims_what_is_too_long(local, make_mount, rng, hour):
    text = long_event(rng, 300 << 10)
    local.put(corpus.delivery(rng, hour, [text], "nothing"))
    mount = make_mount(local, {"shape": "event"})
    line = read_view_when(mount, 1)
    assert line.startswith(b'{"maciefs":{"truncated":true},') and len(line) <= messages.LINE_MAX + 1
    whole, slim = messages.parse(text), messages.parse(line)
    del whole["detail"], slim["detail"], slim["maciefs"]
    assert slim == whole


def test_long_events_are_slimmed_and_marked(store, make_mount, rng, hour):
    """And what stands around them is whole; in the hour's log they are whole too."""
    ledger = Ledger(store)
    for size in (70 << 10, 300 << 10, 1 << 20):
        events = [an_event("before"), long_event(rng, size), an_event("behind")]
        ledger.put_all([corpus.delivery(rng, hour, events, "nothing", "gzip")])
    mount = make_mount(store)
    files = ledger.wait_for_view(mount)
    lines = [line for data in files.values() for line in data.splitlines()]
    assert sum(messages.is_slimmed(messages.parse(line)) for line in lines) == 3
    assert all(len(line) <= messages.LINE_MAX for line in lines)
    mount.wait_for_log(hour, corpus.expected_log(ledger.deliveries))


def long_event(rng, size):
    """A finding with as many cells as it takes."""
    event = corpus.finding(rng)
    sensitive = event["detail"]["classificationDetails"]["result"]["sensitiveData"][0]
    cell = {"column": 1, "columnName": "a name of a column", "row": 7}
    sensitive["detections"][0]["occurrences"]["cells"] = [cell] * (size // 50)
    text = json.dumps(event, separators=(",", ":")).encode()
    assert len(text) >= size
    return text


def test_a_line_may_have_65278_bytes_and_no_more(local, make_mount, rng, hour):
    def padded(length):
        return json.dumps({"source": "aws.macie", "detail": {"x": ["y", "x" * length]}}).encode()

    def put(length):
        made = corpus.delivery(rng, hour, [padded(length)], "nothing", "plain",
                               int(time.time()) - 9)
        local.put(made)
        mount = make_mount(local)
        line = wait_until(lambda: b"".join(read_view(mount).values()), "a line")
        local.delete(made)
        assert_same(b"\n", line[-1:])
        return line[:-1]
    room = messages.LINE_MAX - len(put(0))
    whole, longer = put(room), put(room + 1)
    assert len(whole) == messages.LINE_MAX and b"truncated" not in whole
    assert len(longer) <= messages.LINE_MAX and messages.is_slimmed(messages.parse(longer))


@pytest.mark.parametrize("damage", ["gzip-truncated", "zip-checksum", "snappy-checksum"])
def test_a_damaged_object_ends_in_an_error_message(damage, local, make_mount, rng, hour):
    """Its whole events, then one line with error_msg; what is delivered after it is there too."""
    ledger = Ledger(local)
    base = int(time.time()) - 9
    ledger.put(one(rng, hour, "before", base))
    damaged = ledger.put(corpus.damaged_delivery(rng, hour, damage, base + 1), damaged=True)
    ledger.put(one(rng, hour, "behind", base + 2))
    mount = make_mount(local)
    files = ledger.wait_for_view(mount)
    errors = [line for data in files.values() for line in data.splitlines() if b"error_msg" in line]
    assert len(errors) == 1
    error = json.loads(errors[0])
    assert list(error) == ["integration", "aws", "error_msg"]
    assert error["aws"]["log_info"]["log_file"] == damaged.key
    assert mount.status()["damaged"] == 1


# By the time of delivery

def test_an_object_of_an_older_hour_is_in_the_file_of_its_delivery(local, make_mount, rng):
    """Late by a minute and by hours, which another of the watcher's sweeps finds."""
    now = int(time.time())
    ledger = Ledger(local)
    mount = make_mount(local, FAST)
    for late in (60, 3 * HOUR):
        ledger.put(one(rng, hour_of(now - late), f"late by {late} s", now - 9))
        ledger.wait_for_lines(mount)
    assert set(read_view(mount)) == {name_of(now - 9)}


def test_objects_of_one_name_in_two_hours_are_there_once_each(local, make_mount, rng):
    now = int(time.time())
    ledger = Ledger(local)
    first = ledger.put(one(rng, hour_of(now - HOUR), "twice", now - 90))
    again = corpus.Delivery(f"{hour_of(now)}/{first.name}", first.body, first.lines, now - 90)
    ledger.put(again)
    mount = make_mount(local, FAST)
    before = ledger.wait_for_view(mount)
    lists = mount.status()["lists"]
    wait_until(lambda: mount.status()["lists"] > lists + 28, "two sweeps")
    assert read_view(mount) == before


def test_what_was_delivered_before_the_window_is_not_taken(local, make_mount, rng):
    """Of a first start; the hour tree has it."""
    now = int(time.time())
    ledger = Ledger(local)
    local.put_all([one(rng, hour_of(now - 5 * HOUR), "before", now - 5 * HOUR),
                   one(rng, hour_of(now - HOUR), "before, too", now - 4 * HOUR)])
    ledger.put(one(rng, hour_of(now - 9), "in it", now - 9))
    mount = make_mount(local, {"window": "2h", **FAST})
    ledger.wait_for_view(mount)
    lists = mount.status()["lists"]
    wait_until(lambda: mount.status()["lists"] > lists + 28, "two sweeps")
    ledger.wait_for_view(mount)


@pytest.mark.parametrize("window, hours", [("24h", 23), ("7d", 167)])
def test_a_first_start_takes_the_whole_window_in_order(window, hours, local, make_mount, rng):
    """In each file by the time of delivery, whatever hours of the bucket its objects are in; and
    the same bytes once more, when the cache is lost."""
    now = int(time.time())
    ledger = Ledger(local)
    ledger.put_all(spread(rng, now - hours * HOUR, now - 9, 40))
    ledger.put_all(one(rng, hour_of(now - (hours + 3 * n) * HOUR), f"late {n}", now - n * HOUR // 2)
                   for n in range(1, 8))
    ledger.put_all(one(rng, hour_of(now - 7 * HOUR), f"of one second {n}", now - 6 * HOUR)
                   for n in range(5))
    mount = make_mount(local, {"window": window})
    before = ledger.wait_for_view(mount)
    mount.unmount()
    shutil.rmtree(mount.cache)
    mount.start()
    assert ledger.wait_for_view(mount) == before


def test_kills_during_a_first_start_change_nothing_of_the_order(local, make_mount, rng):
    now = int(time.time())
    ledger = Ledger(local)
    ledger.put_all(spread(rng, now - 23 * HOUR, now - 9, 150))
    mount = make_mount(local)
    mount.status()  # it answers: from now on a dead server is replaced
    for _ in range(12):
        before = mount.kill_server()
        wait_until(lambda: mount.server not in (before, None), "a new server")
        time.sleep(rng.random() * 0.1)
    ledger.wait_for_view(mount)


def test_hours_that_leave_the_window_vanish(local, make_mount, clock, rng):
    """From the view at once and from the disk soon; their journals stay, so that nothing is taken
    again."""
    ledger = Ledger(local)
    start = int(clock.now())
    ledger.put_all([one(rng, hour_of(start), "goes", start - 9)])
    mount = make_mount(local, {"window": "2h", **FAST}, env=clock.env)
    ledger.wait_for_view(mount)
    assert files_on_disk(mount, start, ".ndjson")
    clock.advance(4 * HOUR)
    with pytest.raises(FileNotFoundError):
        os.stat(path_of(mount, start))
    hours = range(int(clock.now()) // HOUR - 2, int(clock.now()) // HOUR + 2)
    assert sorted(os.listdir(mount.at("wazuh"))) == [name_of(hour * HOUR) for hour in hours]
    wait_until(lambda: not files_on_disk(mount, start, ".ndjson"), "the data to go")
    assert files_on_disk(mount, start, ".journal")
    later = one(rng, hour_of(clock.now()), "comes", int(clock.now()) - 9)
    local.put(later)
    wait_until(lambda: read(path_of(mount, later.modified)), "the next event")
    assert list(read_view(mount)) == [name_of(later.modified)]
    clock.advance(200 * HOUR)
    local.put(one(rng, hour_of(clock.now()), "comes much later", int(clock.now()) - 9))
    wait_until(lambda: read(path_of(mount, clock.now() - 9)), "the last event")
    clock.advance(HOUR)
    wait_until(lambda: not files_on_disk(mount, start, ".journal"), "the journal to go")


@pytest.mark.parametrize("zone, offset", [("+05:30", 330), ("-12:00", -720), ("Asia/Tokyo", 540)])
def test_hours_are_those_of_the_streams_zone(zone, offset, local, make_mount, rng):
    def in_zone(seconds):
        return seconds + offset * 60
    now = int(time.time())
    ledger = Ledger(local)
    for modified in (now - 5 * HOUR, now - HOUR, now - 9):
        ledger.put(one(rng, hour_of(in_zone(modified)), f"at {modified}", modified))
    mount = make_mount(local, {"timezone": zone})
    ledger.wait_for_lines(mount)
    assert list(read_view(mount)) == [name_of(in_zone(d.modified)) for d in ledger.deliveries]


def test_a_held_file_that_left_the_window_is_at_its_end(local, make_mount, clock, rng):
    ledger = Ledger(local)
    start = int(clock.now())
    ledger.put_all([one(rng, hour_of(start), "goes", start - 9)])
    mount = make_mount(local, {"window": "2h", **FAST}, env=clock.env)
    ledger.wait_for_view(mount)
    with open(path_of(mount, start), "rb", buffering=0) as held:
        clock.advance(4 * HOUR)
        wait_until(lambda: not files_on_disk(mount, start, ".ndjson"), "the data to go")
        assert held.read() == b""


def test_what_was_delivered_while_nobody_looked_is_never_missed(local, make_mount, clock, rng):
    """The mount was down for longer than its window: what came meanwhile goes into the current
    hour's file, or its own where that is still there."""
    ledger = Ledger(local)
    start = int(clock.now())
    ledger.put_all([one(rng, hour_of(start), "before", start - 9)])
    mount = make_mount(local, {"window": "2h", **FAST}, env=clock.env)
    ledger.wait_for_view(mount)
    mount.unmount()
    missed = [one(rng, hour_of(start + n * HOUR), f"meanwhile {n}", start + n * HOUR)
              for n in range(1, 12)]
    local.put_all(missed)
    clock.set(start + 11 * HOUR + 60)
    mount.start()

    def titles(seconds):
        lines = read(path_of(mount, seconds)).splitlines()
        return [json.loads(line)["aws"]["title"] for line in lines]
    wait_until(lambda: len(titles(clock.now())) == 9, "what was missed")
    assert sorted(titles(clock.now())) == sorted(f"meanwhile {n}" for n in (*range(1, 9), 11))
    assert titles(start + 9 * HOUR) == ["meanwhile 9"]
    assert titles(start + 10 * HOUR) == ["meanwhile 10"]


# Nothing of it changes

def test_bytes_are_the_same_after_a_restart(store, make_mount, rng, hour):
    ledger = Ledger(store)
    ledger.put_all(corpus.delivery(rng, hour) for _ in range(8))
    mount = make_mount(store)
    before = ledger.wait_for_view(mount)
    for _ in range(2):
        ledger.put(corpus.delivery(rng, hour))
        ledger.wait_for_lines(mount)
    before = read_view(mount)
    mount.unmount()
    mount.start()
    assert read_view(mount) == before
    ledger.put(corpus.delivery(rng, hour, [an_event("after it")]))
    ledger.wait_for_lines(mount)
    after = read_view(mount)
    assert all(after[name].startswith(data) for name, data in before.items())


def test_a_late_object_of_an_earlier_time_moves_nothing(local, make_mount, rng, hour):
    now = int(time.time())
    ledger = Ledger(local)
    ledger.put(one(rng, hour, "first", now - 10))
    mount = make_mount(local, FAST)
    before = read_view_when(mount, 1)
    ledger.put(one(rng, hour, "earlier", now - 20))
    after = read_view_when(mount, 2)
    assert after.startswith(before) or name_of(now - 10) != name_of(now - 20)


def read_view_when(mount, lines):
    """All of the view, in a row, when it has so many lines."""
    def has_them():
        data = b"".join(read_view(mount).values())
        return data if data.count(b"\n") == lines else None
    return wait_until(has_them, f"{lines} lines")


def test_overwritten_and_deleted_objects_change_nothing(local, make_mount, rng, hour):
    base = int(time.time()) - 60
    ledger = Ledger(local)
    for number in range(3):
        ledger.put(one(rng, hour, f"number {number}", base))
    mount = make_mount(local, FAST)
    before = ledger.wait_for_view(mount)
    local.delete(ledger.deliveries[0])
    local.put(corpus.Delivery(ledger.deliveries[1].key, an_event("other content")))
    wait_until(lambda: mount.status()["overwritten"] == 1, "the overwritten object to be counted")
    assert read_view(mount) == before


@pytest.mark.parametrize("cut", [proxy_module.REFUSE, proxy_module.BLACKHOLE])
def test_it_is_read_without_the_network(cut, proxy, remote, make_mount, rng, hour):
    ledger = Ledger(remote)
    ledger.put_all(corpus.delivery(rng, hour) for _ in range(4))
    mount = make_mount(remote)
    before = ledger.wait_for_view(mount)
    names = os.listdir(mount.at("wazuh"))
    proxy.cut(cut)
    wait_until(lambda: proxy.swallowed or mount.status()["offline"], "the cut to be felt")
    mount.kill_server()
    assert os.listdir(mount.at("wazuh")) == names or time.time() % HOUR < 60
    for name, data in before.items():
        done = subprocess.run(["cat", mount.at("wazuh", name)], capture_output=True,
                              timeout=2 * PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, b"")
        assert_same(data, done.stdout)
    proxy.heal()


def test_a_full_disk_delays_and_loses_nothing(local, make_mount, small_disk, rng, hour):
    filler = os.path.join(small_disk, "filler")
    with open(filler, "wb") as out:
        out.write(bytes(16 << 20))
    ledger = Ledger(local)
    mount = make_mount(local, {"cache": os.path.join(small_disk, "cache"), **FAST})
    for number in range(5):
        ledger.put(corpus.big_delivery(rng, hour, 1_500_000))
    wait_until(lambda: mount.status()["disk_full"] or "wazuh/ could not" in mount.stderr,
               "the disk to be full")
    os.unlink(filler)
    ledger.wait_for_lines(mount)


def test_a_read_from_anywhere_is_a_part_of_the_whole(local, make_mount, rng, hour):
    """Also just after a kill, and beyond the end."""
    ledger = Ledger(local)
    ledger.put_all(corpus.delivery(rng, hour) for _ in range(6))
    mount = make_mount(local)
    files = ledger.wait_for_view(mount)
    for name, data in files.items():
        with open(mount.at("wazuh", name), "rb", buffering=0) as held:
            for number in range(60):
                if number == 30:
                    mount.kill_server()
                at, size = rng.randrange(len(data) + 10), rng.choice([1, 4095, 1 << 16, 1 << 20])
                assert_same(data[at:at + size], os.pread(held.fileno(), size, at))
