"""With the network gone, what is on disk stays readable, listings answer, nothing hangs; when it is
back, what was delivered meanwhile appears, once."""

import os
import subprocess

import corpus
import proxy as proxy_module
import pytest
from mount import PATIENCE_S, assert_same, wait_until

CUTS = [proxy_module.REFUSE, proxy_module.RESET, proxy_module.BLACKHOLE]


def run(*command):
    """A command's answer; it is a failure if it hangs."""
    return subprocess.run(command, capture_output=True, timeout=2 * PATIENCE_S)


def read_by_cat(mount, hour):
    done = run("cat", mount.log_path(hour))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("cut", CUTS)
def test_what_was_read_stays_and_what_came_meanwhile_appears(cut, proxy, remote, make_mount, rng,
                                                             old_hour, hour):
    old = remote.put_all(corpus.delivery(rng, old_hour) for _ in range(4))
    new = remote.put_all(corpus.delivery(rng, hour) for _ in range(2))
    mount = make_mount(remote)
    before = corpus.expected_log(new)
    mount.wait_for_log(hour, before)
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    listed = run("ls", "-lR", mount.path).stdout

    proxy.cut(cut)
    wait_until(lambda: proxy.swallowed or mount.status()["offline"], "the cut to be felt")
    assert_same(before, read_by_cat(mount, hour))
    assert_same(corpus.expected_log(old), read_by_cat(mount, old_hour))
    again = run("ls", "-lR", mount.path)
    assert (again.returncode, again.stdout) == (0, listed)
    meanwhile = remote.put_all(corpus.delivery(rng, hour) for _ in range(5))
    assert_same(before, read_by_cat(mount, hour))

    proxy.heal()
    after = before + corpus.expected_log(meanwhile)
    wait_until(lambda: mount.read(hour) == after, "everything", patience=4 * PATIENCE_S)
    wait_until(lambda: not mount.status()["offline"], "the mount to notice")
    polls = mount.status()["lists"]
    wait_until(lambda: mount.status()["lists"] > polls + 2, "more polls")
    assert_same(after, mount.read(hour))
    assert proxy.count("HEAD") == 0


def test_an_old_hour_that_is_not_on_disk_fails_and_comes_back(proxy, remote, make_mount, rng,
                                                              old_hour, hour):
    old = remote.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(remote)
    os.listdir(mount.at(old_hour))
    proxy.cut()
    done = run("cat", mount.log_path(old_hour))
    assert done.returncode != 0 and done.stdout == b""
    assert_same(b"", read_by_cat(mount, hour))
    proxy.heal()
    wait_until(lambda: run("cat", mount.log_path(old_hour)).returncode == 0, "the old hour",
               patience=2 * PATIENCE_S)
    assert_same(corpus.expected_log(old), mount.read(old_hour))


def test_the_current_hours_exist_while_offline(proxy, remote, make_mount, rng, old_hour):
    remote.put_all([corpus.delivery(rng, old_hour)])
    mount = make_mount(remote)
    proxy.cut()
    wait_until(lambda: mount.status()["offline"], "the mount to notice", patience=2 * PATIENCE_S)
    for hour in (corpus.now_hour(0), corpus.now_hour(1)):
        assert_same(b"", read_by_cat(mount, hour))


def test_the_server_comes_back_while_offline(proxy, remote, make_mount, rng, hour):
    deliveries = remote.put_all(corpus.delivery(rng, hour) for _ in range(3))
    before = corpus.expected_log(deliveries)
    mount = make_mount(remote)
    mount.wait_for_log(hour, before)
    proxy.cut()
    mount.kill_server()
    assert_same(before, read_by_cat(mount, hour))
    later = corpus.delivery(rng, hour)
    remote.put(later)
    proxy.heal()
    mount.wait_for_log(hour, before + later.log)


def test_a_mount_ends_while_the_network_swallows_everything(proxy, remote, make_mount, rng, hour):
    remote.put_all([corpus.delivery(rng, hour)])
    mount = make_mount(remote)
    proxy.cut(proxy_module.BLACKHOLE)
    wait_until(lambda: proxy.swallowed, "a request to be swallowed")
    mount.unmount()


def test_a_slow_network_only_takes_time(proxy, remote, make_mount, rng, hour, old_hour):
    deliveries = remote.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(remote)
    proxy.slow(100_000)
    assert_same(corpus.expected_log(deliveries), mount.read(old_hour))
    assert mount.status()["failures"] == 0
