"""The tree is the one that design.md draws: its names, types, owners, modes, inodes, and no writes."""

import datetime
import errno
import os
import stat
import subprocess
import zoneinfo

import corpus
import pytest
import stores
from mount import assert_same, wait_until


def walk(top):
    """{path below top: lstat} of everything that is listed."""
    found = {}
    for folder, folders, files in os.walk(top, onerror=lambda error: pytest.fail(str(error))):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = os.lstat(path)
    return found


def hours_in(mount):
    """The hours that are listed, as paths."""
    return {os.path.dirname(path) for path in walk(mount.path) if path.endswith("/macie.ndjson")}


def with_folders_above(hours):
    """The hours' paths, their logs, and every folder above them."""
    paths = set()
    for hour in hours:
        parts = hour.split("/") + ["macie.ndjson"]
        paths |= {"/".join(parts[:n + 1]) for n in range(len(parts))}
    return paths


def current_hours():
    return {corpus.now_hour(0), corpus.now_hour(1)}


def test_every_hour_with_objects_and_the_two_current_ones_are_listed(store, make_mount, rng):
    hours = {"2019/12/31/23", "2024/02/29/00", "2026/01/05/07", "2026/01/05/08"}
    store.put_all(corpus.delivery(rng, hour) for hour in hours)
    before = current_hours()
    mount = make_mount(store)
    listed = {path for path in walk(mount.path) if not path.startswith("wazuh")}
    assert listed in (with_folders_above(hours | now) for now in (before, current_hours()))


def test_current_and_next_hour_exist_empty(store, make_mount, rng):
    store.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(store)
    for hour in (corpus.now_hour(0), corpus.now_hour(1)):
        assert os.stat(mount.log_path(hour)).st_size == 0
        assert mount.read(hour) == b""


def test_types_and_link_counts(local, make_mount, rng):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    for path, found in walk(make_mount(local).path).items():
        is_log = path.endswith(".ndjson") or path.endswith(".json")
        assert (stat.S_ISREG if is_log else stat.S_ISDIR)(found.st_mode), path
        assert found.st_nlink >= 1


def test_inodes_are_distinct_small_and_those_that_readdir_tells(local, make_mount, rng, old_hour):
    local.put_all(corpus.delivery(rng, hour) for hour in (old_hour, "2026/01/05/07"))
    mount = make_mount(local)
    found = walk(mount.path)
    inodes = [entry.st_ino for entry in found.values()]
    assert len(set(inodes)) == len(inodes)
    assert all(0 < inode < 2**31 for inode in inodes)
    for folder in {os.path.dirname(path) for path in found}:
        with os.scandir(mount.at(folder)) as entries:
            for entry in entries:
                relative = os.path.relpath(entry.path, mount.path)
                assert entry.inode() == found[relative].st_ino, relative


def test_inodes_stay_over_a_mount_without_cache(local, make_mount, rng, old_hour):
    local.put_all(corpus.delivery(rng, hour) for hour in (old_hour, "2026/01/05/07"))
    mounts = [make_mount(local), make_mount(local)]
    first, second = ({path: s.st_ino for path, s in walk(m.path).items()} for m in mounts)
    common = first.keys() & second.keys()
    assert f"{old_hour}/macie.ndjson" in common
    assert all(first[path] == second[path] for path in common)


@pytest.mark.parametrize("options, modes, owner", [
    ({}, (0o440, 0o550), (os.getuid(), os.getgid())),
    ({"uid": 1234, "gid": 4321}, (0o440, 0o550), (1234, 4321)),
    ({"umask": "077"}, (0o400, 0o500), (os.getuid(), os.getgid())),
    ({"umask": "022"}, (0o444, 0o555), (os.getuid(), os.getgid())),
], ids=["default", "owner", "narrow", "wide"])
def test_modes_and_owners(local, make_mount, rng, options, modes, owner):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(local, options)
    entries = {**walk(mount.path), ".": os.stat(mount.path)}
    for path, found in entries.items():
        expected = modes[1] if stat.S_ISDIR(found.st_mode) else modes[0]
        assert (path, oct(stat.S_IMODE(found.st_mode))) == (path, oct(expected))
        assert (found.st_uid, found.st_gid) == owner


def test_others_may_enter_as_far_as_the_modes_go(local, make_mount, rng):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(local, {"gid": 65534})
    log = mount.log_path("2026/01/05/07")
    def cat(*ids):
        return subprocess.run(["setpriv", *ids, "--clear-groups", "cat", log], capture_output=True)
    assert cat("--reuid=65534", "--regid=65534").returncode == 0
    refused = cat("--reuid=65533", "--regid=65533")
    assert refused.returncode != 0 and b"Permission denied" in refused.stderr


def test_df_and_findmnt_show_type_and_source(store, make_mount, rng):
    store.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(store)
    df = subprocess.run(["df", "-T", mount.path], capture_output=True, text=True, check=True)
    source, kind = df.stdout.splitlines()[-1].split()[:2]
    assert (source.rstrip("/"), kind) == (store.source.rstrip("/"), "fuse.maciefs")
    found = subprocess.run(["findmnt", "-nro", "FSTYPE,SOURCE,OPTIONS", mount.path],
                           capture_output=True, text=True, check=True)
    kind, source, options = found.stdout.split()
    assert (source.rstrip("/"), kind) == (store.source.rstrip("/"), "fuse.maciefs")
    assert "ro" in options.split(",")
    assert "SECRET" not in found.stdout.upper()


WRITES = {
    "create": lambda m, log: os.close(os.open(m.at("new"), os.O_CREAT | os.O_WRONLY)),
    "write": lambda m, log: os.close(os.open(log, os.O_WRONLY)),
    "append": lambda m, log: os.close(os.open(log, os.O_WRONLY | os.O_APPEND)),
    "truncate": lambda m, log: os.truncate(log, 0),
    "mkdir": lambda m, log: os.mkdir(m.at("folder")),
    "rmdir": lambda m, log: os.rmdir(os.path.dirname(log)),
    "unlink": lambda m, log: os.unlink(log),
    "rename": lambda m, log: os.rename(log, log + ".1"),
    "link": lambda m, log: os.link(log, log + ".1"),
    "symlink": lambda m, log: os.symlink("x", m.at("link")),
    "chmod": lambda m, log: os.chmod(log, 0o666),
    "chown": lambda m, log: os.chown(log, 1, 1),
    "utime": lambda m, log: os.utime(log),
    "setxattr": lambda m, log: os.setxattr(log, "user.x", b"y"),
}


def test_every_write_is_refused_with_erofs(local, make_mount, rng):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(local)
    before = walk(mount.path).keys()
    answers = {}
    for name, write in WRITES.items():
        with pytest.raises(OSError) as refused:
            write(mount, mount.log_path("2026/01/05/07"))
        answers[name] = errno.errorcode[refused.value.errno]
    assert answers == {name: "EROFS" for name in WRITES}
    assert walk(mount.path).keys() == before


def test_hidden_folders_are_reachable_and_not_listed(local, make_mount, rng):
    one = corpus.delivery(rng, "2026/01/05/07", compression="gzip")
    local.put_all([one])
    mount = make_mount(local)
    assert not [name for name in os.listdir(mount.path) if name.startswith(".")]
    assert sorted(os.listdir(mount.at(".maciefs"))) == ["metrics", "status.json"]
    assert "2026" in os.listdir(mount.at(".objects"))
    assert os.listdir(mount.at(".objects", "2026/01/05/07")) == [one.name]


def test_objects_are_shown_decoded_and_otherwise_untouched(store, make_mount, rng, old_hour):
    forms = store.put_all(corpus.every_form(rng, old_hour))
    mount = make_mount(store)
    assert sorted(os.listdir(mount.at(".objects", old_hour))) == sorted(d.name for d in forms)
    for one in forms:
        with open(mount.object_path(one.key), "rb") as shown:
            assert_same(one.plain, shown.read())
        assert os.stat(mount.object_path(one.key)).st_size == len(one.plain)
        assert os.stat(mount.object_path(one.key)).st_mtime == one.modified


def test_what_is_not_there_is_enoent(local, make_mount, rng):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(local)
    for path in ("x", "2026/13", "2026/00", "2026/01/32", "2026/1", "2026/01/05/24", "02026",
                 "2026/01/05/07/other", "2026/01/05/07/macie.ndjson.1", ".objects/2026/01/05/07/no",
                 ".maciefs/other", "2026/02/30", "..objects"):
        with pytest.raises(FileNotFoundError):
            os.stat(mount.at(path))
    with pytest.raises(NotADirectoryError):
        os.stat(mount.log_path("2026/01/05/07") + "/x")


def test_what_is_of_no_hour_is_not_shown(store, make_mount, rng):
    good = corpus.delivery(rng, "2026/01/05/07")
    strays = ["processing-failed/2026/01/05/07/x", "2026/01/05/x", "2026/1/5/7/x", "20260/01/05/07/x",
              "2026/01/05/24/x", "2026/13/05/07/x", "notes.txt"]
    store.put_all([good] + [corpus.Delivery(key, b'{"stray":1}') for key in strays])
    mount = make_mount(store)
    assert hours_in(mount) - current_hours() == {"2026/01/05/07"}
    assert_same(good.log, mount.read("2026/01/05/07"))


@pytest.mark.parametrize("written, stored", [
    ("macie", "macie/"), ("macie/", "macie/"), ("macie", "macie"), ("", ""),
    ("deep/er/macie", "deep/er/macie/"), ("with space/+%41", "with space/+%41/"),
], ids=lambda text: text or "none")
def test_prefix_with_and_without_final_slash(bucket, rgw, make_mount, rng, old_hour, written, stored):
    prefixed = stores.Bucket(rgw, bucket.bucket, stored)
    deliveries = prefixed.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    prefixed.source = f"s3://{bucket.bucket}/{written}"
    assert_same(corpus.expected_log(deliveries), make_mount(prefixed).read(old_hour))


def test_source_without_prefix_or_slash(bucket, rgw, make_mount, rng, old_hour):
    root = stores.Bucket(rgw, bucket.bucket, "")
    one = corpus.delivery(rng, old_hour)
    root.put(one)
    root.source = f"s3://{bucket.bucket}"
    assert_same(one.log, make_mount(root).read(old_hour))


@pytest.mark.parametrize("zone, offset", [
    ("UTC", 0), ("+14:00", 14 * 60), ("-12:00", -12 * 60), ("+05:30", 330), ("Asia/Tokyo", 9 * 60),
    ("Europe/Berlin", None),
])
def test_current_hour_is_that_of_the_streams_zone(local, make_mount, rng, zone, offset):
    local.put_all([corpus.delivery(rng, "2019/01/05/07")])
    tz = (zoneinfo.ZoneInfo(zone) if offset is None
          else datetime.timezone(datetime.timedelta(minutes=offset)))
    before = corpus.now_hour(0, tz)
    mount = make_mount(local, {"timezone": zone})
    hours = hours_in(mount) - {"2019/01/05/07"}
    assert hours in ({corpus.now_hour(0, tz), corpus.now_hour(1, tz)},
                     {before, corpus.now_hour(0, tz)})
    one = corpus.delivery(rng, sorted(hours)[0])
    local.put_all([one])
    mount.wait_for_log(sorted(hours)[0], one.log)


def test_a_new_hour_appears_by_itself(store, make_mount, rng):
    store.put_all([corpus.delivery(rng, "2026/01/05/07")])
    mount = make_mount(store, {"dir_ttl": 0.2})
    one = corpus.delivery(rng, "2026/01/05/09")
    store.put_all([one])
    wait_until(lambda: "09" in os.listdir(mount.at("2026/01/05")), "the new hour")
    mount.wait_for_log("2026/01/05/09", one.log)


def test_size_and_blocks_of_an_old_log_are_true_at_the_first_stat(store, make_mount, rng, old_hour):
    deliveries = store.put_all(corpus.delivery(rng, old_hour) for _ in range(5))
    found = os.stat(make_mount(store).log_path(old_hour))
    size = len(corpus.expected_log(deliveries))
    assert found.st_size == size
    assert found.st_blocks == -(-size // 512) or found.st_blocks * 512 >= size
