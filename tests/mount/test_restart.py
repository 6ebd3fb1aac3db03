"""Logs are the same bytes after any restart, with the cache kept or wiped; one cache has one owner;
a mount ends cleanly when it is told to."""

import os
import shutil
import signal
import subprocess
import time

import corpus
import pytest
import stores
from mount import MountFailed, assert_same, is_mounted, pids_naming, wait_until


def logs(mount, hours):
    return {hour: mount.read(hour) for hour in hours}


def identities(mount, hours):
    return {hour: (s.st_ino, s.st_size, s.st_mtime)
            for hour in hours for s in [os.stat(mount.log_path(hour))]}


@pytest.fixture
def hours():
    return [corpus.now_hour(offset) for offset in (-200, -100, -1, 0)]


def test_with_the_cache_kept_nothing_changes(store, make_mount, rng, hours):
    store.put_all(corpus.delivery(rng, hour) for hour in hours * 4)
    first = make_mount(store)
    for hour in hours:
        wait_until(lambda: first.read(hour).count(b"\n") > 0, "the log")
    wait_until(lambda: first.status()["objects"] == 16, "all objects")
    before, names = logs(first, hours), identities(first, hours)
    first.unmount()
    second = make_mount(store, {"cache": first.cache})
    assert logs(second, hours) == before
    assert identities(second, hours) == names
    assert second.status()["objects"] == 0, "what the journal has is not appended again"


def test_with_the_cache_wiped_the_logs_are_byte_identical(store, make_mount, rng, hours):
    deliveries = store.put_all(corpus.delivery(rng, hour) for hour in hours * 4)
    deliveries += store.put_all(corpus.damaged_delivery(rng, hours[0], d) for d in corpus.DAMAGES)
    expected = {h: corpus.expected_log(d for d in deliveries if d.key.startswith(h)) for h in hours}
    for _ in range(2):
        mount = make_mount(store)
        for hour in hours:
            mount.wait_for_log(hour, expected[hour])
        mount.unmount()
        shutil.rmtree(mount.cache)


def test_growth_met_poll_by_poll_is_the_order_of_a_fresh_mount(store, make_mount, rng, hour):
    store.put_all([corpus.delivery(rng, corpus.now_hour(-100))])
    grown = make_mount(store)
    log = b""
    for _ in range(3):
        one = corpus.delivery(rng, hour)
        store.put(one)
        log += one.log
        grown.wait_for_log(hour, log)
    make_mount(store).wait_for_log(hour, log)


def test_late_objects_keep_their_place_over_a_restart(local, make_mount, rng, hour):
    now = int(time.time())
    first = corpus.delivery(rng, hour, modified=now - 100)
    local.put(first)
    mount = make_mount(local)
    mount.wait_for_log(hour, first.log)
    early = corpus.delivery(rng, hour, modified=now - 5000)
    local.put(early)
    mount.wait_for_log(hour, first.log + early.log)
    mount.unmount()
    again = make_mount(local, {"cache": mount.cache})
    assert_same(first.log + early.log, again.read(hour))
    last = corpus.delivery(rng, hour, modified=now - 50)
    local.put(last)
    again.wait_for_log(hour, first.log + early.log + last.log)


def test_overwritten_and_deleted_objects_keep_their_events_over_a_restart(local, make_mount, rng, hour):
    kept, rewritten, deleted = local.put_all(corpus.delivery(rng, hour) for _ in range(3))
    expected = corpus.expected_log([kept, rewritten, deleted])
    mount = make_mount(local)
    mount.wait_for_log(hour, expected)
    mount.unmount()
    local.delete(deleted)
    local.put(corpus.Delivery(rewritten.key, b'{"other":"content"}'))
    again = make_mount(local, {"cache": mount.cache})
    assert_same(expected, again.read(hour))
    marker = corpus.delivery(rng, hour)
    local.put(marker)
    again.wait_for_log(hour, expected + marker.log)


def test_what_came_while_unmounted_is_appended(store, make_mount, rng, hour, old_hour):
    first = store.put_all(corpus.delivery(rng, h) for h in (hour, old_hour))
    mount = make_mount(store)
    mount.wait_for_log(hour, first[0].log)
    assert_same(first[1].log, mount.read(old_hour))
    mount.unmount()
    second = store.put_all(corpus.delivery(rng, h, modified=0) for h in (hour, old_hour))
    again = make_mount(store, {"cache": mount.cache, "dir_ttl": 0.2})
    again.wait_for_log(hour, first[0].log + second[0].log)
    again.wait_for_log(old_hour, first[1].log + second[1].log)


def half_a_line(path):
    with open(path, "ab") as log:
        log.write(b'{"never":"journaled')


def cut_in_half(path):
    os.truncate(path, os.path.getsize(path) // 2)


@pytest.mark.parametrize("spoil", [half_a_line, cut_in_half, os.unlink], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["log", "journal"])
def test_a_spoilt_cache_is_mended(local, make_mount, rng, old_hour, spoil, kind):
    """Whatever a crash or a person leaves in the cache, the log is whole and right."""
    deliveries = local.put_all(corpus.delivery(rng, old_hour) for _ in range(6))
    expected = corpus.expected_log(deliveries)
    mount = make_mount(local)
    assert_same(expected, mount.read(old_hour))
    mount.unmount()
    name = old_hour.rsplit("/", 1)[1]
    files = [os.path.join(top, file) for top, _, found in os.walk(mount.cache) for file in found
             if old_hour.rsplit("/", 1)[0] in top and file.startswith(name)]
    spoilt = [path for path in files if path.endswith(".ndjson") == (kind == "log")]
    assert spoilt, files
    for path in spoilt:
        spoil(path)
    assert_same(expected, make_mount(local, {"cache": mount.cache}).read(old_hour))


def stop_the_machine(cache):
    """Leaves a cache folder as it is found where the machine stopped soon after hours were fetched:
    the kernel has written nothing of their logs but how long they are. Returns these."""
    kept = os.listdir(os.path.join(cache, "stored"))
    for name in kept:
        with open(os.path.join(cache, "stored", name), "r+b") as objects:
            head = objects.readline()
            objects.seek(head.rindex(b" ") + 1)
            objects.write(b"00000000-0000-0000-0000-000000000000\n")
        log = os.path.join(cache, name.replace("-", "/") + ".ndjson")
        size = os.path.getsize(log)
        os.truncate(log, 0)
        os.truncate(log, size)
    return kept


def test_a_machine_that_stops_loses_no_old_hour(store, make_mount, rng, hour, old_hour):
    """Also where the objects are gone from the bucket since."""
    store.put_all([corpus.delivery(rng, hour)])
    deliveries = store.put_all(corpus.delivery(rng, old_hour) for _ in range(12))
    deliveries += store.put_all(corpus.damaged_delivery(rng, old_hour, d) for d in corpus.DAMAGES)
    expected = corpus.expected_log(deliveries)
    mount = make_mount(store)
    assert_same(expected, mount.read(old_hour))
    before = identities(mount, [old_hour])
    mount.unmount()
    assert stop_the_machine(mount.cache) == [old_hour.replace("/", "-")]
    for delivery in deliveries:
        store.delete(delivery)
    again = make_mount(store, {"cache": mount.cache})
    assert identities(again, [old_hour]) == before
    assert_same(expected, again.read(old_hour))
    assert again.status()["gets"] <= 1, "all but the current hour's object were kept"
    assert not os.listdir(os.path.join(mount.cache, "stored"))


def refused(make_mount, store, options, **how):
    with pytest.raises(MountFailed) as failed:
        make_mount(store, options, **how)
    assert failed.value.stderr.count("\n") == 1 and failed.value.stderr.endswith("\n")
    return failed.value.stderr


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_a_second_daemon_on_the_same_cache_says_so_and_ends(local, make_mount, rng, hour, background):
    local.put_all([corpus.delivery(rng, hour)])
    mount = make_mount(local)
    said = refused(make_mount, local, {"cache": mount.cache}, background=background)
    assert mount.cache in said
    assert mount.read(hour)


def test_a_cache_of_another_source_is_refused(local, folder, make_mount, rng, hour):
    one = corpus.delivery(rng, hour)
    local.put_all([one])
    mount = make_mount(local)
    mount.wait_for_log(hour, one.log)
    mount.unmount()
    other = stores.Folder(os.path.join(folder, "other"))
    other.put_all([corpus.delivery(rng, hour)])
    assert mount.cache in refused(make_mount, other, {"cache": mount.cache})
    assert_same(one.log, make_mount(local, {"cache": mount.cache}).read(hour))


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("stop", ["umount", "SIGTERM", "SIGINT"])
def test_the_daemon_ends(local, make_mount, rng, hour, stop, background):
    local.put_all([corpus.delivery(rng, hour)])
    mount = make_mount(local, background=background)
    if stop == "umount":
        subprocess.run(["umount", mount.path], check=True)
    else:
        os.kill(mount.keeper, getattr(signal, stop))
    mount.wait_ended()
    assert not is_mounted(mount.path)
    assert mount.process.returncode == 0
    assert os.listdir(mount.path) == []


def test_sigterm_ends_a_mount_that_is_in_use(local, make_mount, rng, hour):
    one = corpus.delivery(rng, hour)
    local.put_all([one])
    mount = make_mount(local)
    mount.wait_for_log(hour, one.log)
    with open(mount.log_path(hour), "rb") as log:
        assert log.read(1)
        os.kill(mount.keeper, signal.SIGTERM)
        mount.wait_ended()
    assert not is_mounted(mount.path)


def test_the_background_mount_leaves_nothing_open(local, make_mount, rng, hour):
    """Whoever waits for the end of the program's output does not wait for the daemon."""
    local.put_all([corpus.delivery(rng, hour)])
    mount = make_mount(local, start=False, background=True)
    done = subprocess.run(mount.command, env=mount.env, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)
    mount.process = subprocess.Popen(["true"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert is_mounted(mount.path)
    for pid in pids_naming(mount.path):
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
