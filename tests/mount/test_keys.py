"""Whatever a key is made of, its events are in the log, and .objects shows it under its own name or
not at all: never a crash, never a path outside, never another object's bytes."""

import os
import time

import corpus
import faults
import pytest
import stores
from mount import assert_same, wait_until

# What follows "YYYY/MM/DD/HH/". Those that are good file names must be shown as they are.
GOOD_NAMES = [
    "plain.json", "two words", " leading", "trailing ", "a+b", "a%41", "%", "%2F", "a&b=c?d#e",
    "quote'\"", "back\\slash", "semi;colon", "star*", "tilde~", "<angle>", "ümlaut", "日本語", "😀",
    "e\u0301", "\u202eright-to-left", "x" * 255, "..almost", ".hidden", "macie.ndjson", "-rf",
    "[bracket]", "{brace}", "at@", "comma,",
]
ODD_NAMES = [
    "/two-slashes", "a//b", "..", "../up", "../../../../../../etc/passwd", ".", "./x", "a/../b",
    "folder", "folder/", "folder/inside", "file/", "new\nline", "tab\there", "bell\x07", "del\x7f",
    "escape\x1b[31m", "x" * 256, "é" * 200, "deep/" * 50 + "x",
]


def deliveries_named(names, hour, modified):
    """One event for each name, which says what its key was."""
    made = []
    for number, name in enumerate(names):
        event = b'{"number":%d}' % number
        made.append(corpus.Delivery(f"{hour}/{name}", event, [event + b"\n"], modified, event))
    return made


def longest_names(prefix, hour):
    """Keys of exactly 1,024 bytes: one long name, and many parts that are good names."""
    room = 1024 - len(f"{prefix}{hour}/".encode())
    return ["k" * room, ("p" * 200 + "/") * (room // 201) + "q" * (room % 201)]


def shown_below(folder):
    """{path below the folder: content} of what .objects shows."""
    shown = {}
    for top, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(top, name)
            with open(path, "rb") as content:
                shown[os.path.relpath(path, folder)] = content.read()
    return shown


def check(mount, deliveries, hour, prefix_names=GOOD_NAMES):
    assert_same(corpus.expected_log(deliveries), mount.read(hour))
    by_name = {d.key[len(hour) + 1:]: d.body for d in deliveries}
    shown = shown_below(mount.at(".objects", hour))
    wrong = {name: body for name, body in shown.items() if by_name.get(name) != body}
    assert not wrong
    missing = [name for name in prefix_names if name not in shown]
    assert not missing
    return shown


def test_keys_on_the_real_server(bucket, make_mount, old_hour):
    names = GOOD_NAMES + ODD_NAMES + longest_names(bucket.prefix, old_hour)
    deliveries = bucket.put_all(deliveries_named(names, old_hour, 0))
    mount = make_mount(bucket)
    shown = check(mount, deliveries, old_hour)
    assert mount.status()["hidden"] >= len(set(names) - set(shown)) > 0


@pytest.mark.parametrize("style", faults.KEY_STYLES)
@pytest.mark.parametrize("prefix", ["macie/", "pre fix+%41/ü/", "macie"])
def test_keys_in_each_encoding(fault_server, make_mount, old_hour, style, prefix):
    fault_server.key_style = faults.KEY_STYLES[style]
    fault_server.page = 7
    store = stores.Faulty(fault_server, prefix)
    names = GOOD_NAMES + ODD_NAMES + longest_names(prefix, old_hour)
    deliveries = store.put_all(deliveries_named(names, old_hour, int(time.time()) - 100))
    check(make_mount(store), deliveries, old_hour)


def test_keys_of_a_folder(local, make_mount, old_hour):
    names = GOOD_NAMES + ["new\nline", "sub/inside", "sub2/a/b"]
    deliveries = local.put_all(deliveries_named(names, old_hour, int(time.time()) - 100))
    check(make_mount(local), deliveries, old_hour)


def test_hidden_keys_are_logged_once_without_control_characters(bucket, make_mount, old_hour):
    bucket.put_all(deliveries_named(["good", "bell\x07", "new\nline", "esc\x1b[2J"], old_hour, 0))
    mount = make_mount(bucket)
    for _ in range(3):
        os.listdir(mount.at(".objects", old_hour))
    mount.read(old_hour)
    said = mount.stderr
    assert "\x1b" not in said and "\x07" not in said
    assert said.count("bell?") <= 1 and said.count("esc?") <= 1
    assert said.count("bell") + said.count("esc?") >= 1


def test_a_folder_marker_is_no_object(bucket, make_mount, rng, old_hour):
    one = corpus.delivery(rng, old_hour)
    bucket.put_all([corpus.Delivery(f"{old_hour}/", b""), one])
    mount = make_mount(bucket)
    assert_same(one.log, mount.read(old_hour))
    assert os.listdir(mount.at(".objects", old_hour)) == [one.name]


def test_growth_under_odd_keys(fault_server, faulty, make_mount, hour):
    """The poll's start-after and continuation must survive keys that need escapes."""
    fault_server.page = 2
    base = int(time.time()) - 500
    deliveries = deliveries_named(GOOD_NAMES, hour, base)
    faulty.put_all(deliveries[:9])
    mount = make_mount(faulty)
    mount.wait_for_log(hour, corpus.expected_log(deliveries[:9]))
    for one in deliveries[9:]:
        one.modified = base + 1
    faulty.put_all(deliveries[9:])
    wait_until(lambda: len(mount.read(hour)) == sum(len(d.log) for d in deliveries), "all of them")
    assert sorted(mount.read(hour).splitlines()) == sorted(d.body for d in deliveries)
