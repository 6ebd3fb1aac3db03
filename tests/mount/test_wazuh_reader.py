"""The model of Wazuh's log collector has the real one's traps: each is shown here on plain files.

Most tests run the model in this process, with a clock that they move; so nothing waits.
"""

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
import time

import pytest
import wazuh_reader
from mount import wait_until
from wazuh_reader import Collector, LogCollector, Settings


def events(first, last):
    return [b'{"n":%d}' % number for number in range(first, last)]


def as_log(lines):
    return b"".join(line + b"\n" for line in lines)


def long_line(length):
    """An event of so many bytes with its newline."""
    return b'{"x":"%s"}\n' % (b"x" * (length - len(b'{"x":""}\n')))


class Model:
    """A log collector on the files of a folder, and the time it lives in."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "logs")
        self.state = os.path.join(folder, "positions")
        self.clock = 1000.0
        self.wall = 1_700_000_000.0
        self.read = os.read
        self.delivered = []
        self.collector = None
        os.mkdir(self.folder)

    def start(self, location="*.json", **settings):
        self.start_again = lambda: self.start(location, **settings)
        self.collector = LogCollector(
            Settings(os.path.join(self.folder, location), self.state, **settings),
            self.delivered.extend, clock=lambda: self.clock, now=lambda: self.wall,
            read=lambda fd, size: self.read(fd, size))
        self.collector.start()
        return self

    def restart(self):
        """A clean end and a new start with the same settings."""
        self.collector.stop()
        return self.start_again()

    def stop(self):
        if self.collector.files:
            self.collector.stop()

    def run(self, seconds=2):
        """Lets so much time pass, with a turn of the main loop every two seconds, and one more for
        what is queued; returns all that was delivered so far."""
        end = self.clock + seconds
        while self.clock < end:
            self._pass_time(2)
            self.collector.tick()
        self._pass_time(1)
        self.collector.queue.drain()
        return self.delivered

    def _pass_time(self, seconds):
        self.clock += seconds
        self.wall += seconds

    def path(self, name="a.json"):
        return os.path.join(self.folder, name)

    def write(self, content, name="a.json"):
        """A new file, or one that is overwritten in place."""
        with open(self.path(name), "wb") as out:
            out.write(content)

    def append(self, content, name="a.json"):
        with open(self.path(name), "ab") as out:
            out.write(content)

    @property
    def counts(self):
        return self.collector.counts

    @property
    def ignored(self):
        return self.collector.ignored


@pytest.fixture
def model(folder):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    made = Model(folder)
    yield made
    if made.collector:
        made.stop()


@pytest.fixture
def following(model):
    """A model that follows one empty file."""
    model.write(b"")
    return model.start()


# What it has no position for

@pytest.mark.parametrize("only_future_events", [True, False])
@pytest.mark.parametrize("version", [4, 5])
def test_what_a_file_holds_at_the_start_is_never_read(model, version, only_future_events):
    model.write(as_log(events(0, 5)))
    model.start(version=version, only_future_events=only_future_events)
    model.append(as_log(events(5, 7)))
    assert model.run(200) == events(5, 7)


@pytest.mark.parametrize("only_future_events", [True, False])
def test_a_file_that_appears_with_its_content_yields_nothing(model, only_future_events):
    model.start(only_future_events=only_future_events)
    model.write(as_log(events(0, 5)))
    assert model.run(200) == []
    model.append(as_log(events(5, 6)))
    assert model.run() == events(5, 6)


def test_version_5_reads_a_file_that_appears_later_from_its_start(model):
    model.write(as_log(events(0, 1)), "early.json")
    model.start(version=5)
    model.write(as_log(events(1, 5)), "late.json")
    assert model.run(64) == events(1, 5)


def test_one_file_an_object_yields_nothing_at_all(model):
    model.start()
    for number in range(6):
        model.write(as_log(events(number, number + 1)), f"{number}.json")
        model.run(64)
    assert (model.delivered, len(model.collector.files)) == ([], 6)


@pytest.fixture
def sizeless():
    """A regular file with content whose st_size is 0: a process's command line under /proc."""
    process = subprocess.Popen([os.fsdecode(as_log(events(0, 3))), "1000"], executable="/bin/sleep")
    path = f"/proc/{process.pid}/cmdline"

    def shows_it():
        with open(path, "rb") as cmdline:
            return cmdline.read().startswith(b'{"n":0}\n')
    wait_until(shows_it, "the command line")
    yield path
    process.kill()
    process.wait()


def test_a_file_without_a_size_is_read_from_its_first_byte(model, sizeless):
    assert os.stat(sizeless).st_size == 0
    model.start(sizeless)
    assert model.run(200) == events(0, 3)
    assert model.counts["truncated"] == 0


def test_a_file_without_a_size_is_gone_on_with_after_a_restart(model, sizeless):
    model.start(sizeless, max_size=0)
    model.run()
    model.restart()
    assert model.run(200) == events(0, 3)
    assert (model.counts["resumed"], model.counts["backlog"]) == (1, 0)


# How it finds files

def test_growth_is_read_within_two_seconds_and_a_new_path_within_64(following):
    following.write(b"", "b.json")
    following.append(as_log(events(0, 1)))
    assert following.run(2) == events(0, 1)
    following.run(60)
    assert following.path("b.json") not in following.collector.files
    following.run(2)
    assert following.path("b.json") in following.collector.files


def test_only_regular_files_and_links_to_them(model):
    os.mkdir(model.path("folder.json"))
    os.mkfifo(model.path("pipe.json"))
    model.write(b"", "target")
    os.symlink(model.path("target"), model.path("link.json"))
    os.symlink("nowhere", model.path("broken.json"))
    model.start()
    assert list(model.collector.files) == [model.path("link.json")]
    model.append(as_log(events(0, 1)), "target")
    assert model.run(64) == events(0, 1)


def test_a_file_that_is_open_already_under_another_name_is_left_out(model):
    model.write(b"")
    os.link(model.path(), model.path("b.json"))
    model.start()
    model.append(as_log(events(0, 1)))
    assert model.run(64) == events(0, 1)
    assert list(model.collector.files) == [model.path()]


def test_a_date_pattern_follows_the_day_and_not_the_hour(model):
    def dated():
        return time.strftime("%Y-%m-%d-%H.json", time.localtime(model.wall))
    first = dated()
    model.write(b"", first)
    model.start("%Y-%m-%d-%H.json")
    model.append(as_log(events(0, 1)), first)
    model.wall += 3600 if time.localtime(model.wall).tm_hour < 23 else -3600
    model.write(as_log(events(1, 2)), dated())
    assert model.run(200) == events(0, 1)
    model.wall += 86400
    model.write(as_log(events(2, 3)), dated())
    assert model.run(200) == events(0, 1) + events(2, 3)


def test_a_date_pattern_knows_no_wildcards(model):
    model.write(b"", time.strftime("%Y-%m-%d-x.json", time.localtime(model.wall)))
    model.start("%Y-%m-%d-*.json")
    assert not model.collector.files


def test_at_most_1000_files(model):
    for number in range(1003):
        model.write(b"", f"{number:04}.json")
    model.start()
    assert len(model.collector.files) == 1000
    model.append(b'{"seen":1}\n', "0999.json")
    model.append(b'{"seen":0}\n', "1000.json")
    assert model.run(66) == [b'{"seen":1}']


def test_age_goes_by_the_mtime(model):
    model.write(b"", "old.json")
    model.write(b"", "new.json")
    model.start(age_s=3600)
    for name, age in (("old.json", 4000), ("new.json", 3000)):
        model.append(b'{"from":"%s"}\n' % name.encode(), name)
        os.utime(model.path(name), (model.wall - age, model.wall - age))
    assert model.run() == [b'{"from":"new.json"}']


# Passes

def test_at_most_10000_lines_a_pass(model):
    model.write(b"")
    model.start(rate=1e9, max_lines=10_000)
    model.append(as_log(events(0, 10_500)))
    model.run()
    position = model.collector.files[model.path()].offset
    assert position == len(as_log(events(0, 10_000)))
    model.run()
    assert model.collector.files[model.path()].offset == os.stat(model.path()).st_size


def test_it_reads_64_kib_at_once_to_the_end(following):
    sizes = []

    def read(fd, size):
        piece = os.read(fd, size)
        sizes.append((size, len(piece)))
        return piece
    following.read = read
    following.append(long_line(50_000) * 2)
    following.run()
    assert sizes == [(65536, 65536), (65536, 100_000 - 65536), (65536, 0)]


def failing(number, error=errno.EIO):
    """A read call of which the number-th (from 1) and all later ones fail."""
    calls = []

    def read(fd, size):
        calls.append(fd)
        if len(calls) >= number:
            raise OSError(error, os.strerror(error))
        return os.read(fd, size)
    return read


def test_an_error_on_the_first_read_of_a_pass_is_the_end(following):
    following.append(as_log(events(0, 2)))
    following.read = failing(1)
    assert following.run(200) == []
    following.read = os.read
    assert following.run() == events(0, 2)


def test_a_read_error_inside_a_pass_skips_to_st_size(following):
    first = long_line(65_000)
    following.append(first + long_line(60_000) + as_log(events(0, 50)))
    following.read = failing(2)
    following.run()
    following.read = os.read
    following.append(as_log(events(50, 52)))
    assert following.run() == [first[:-1]] + events(50, 52)
    assert following.counts["read errors"] == 1


def test_where_st_size_is_0_a_read_error_inside_a_pass_means_everything_again(model, sizeless):
    model.start(sizeless)
    model.read = failing(2)
    assert model.run() == events(0, 3)
    model.read = os.read
    assert model.run() == events(0, 3) * 2


def test_a_line_without_its_newline_is_held(following):
    following.append(b'{"n":0}\n{"n"')
    assert following.run(200) == events(0, 1)
    following.append(b":1}")
    assert following.run(200) == events(0, 1)
    following.append(b"\n")
    assert following.run() == events(0, 2)


# The queue

def test_of_a_burst_most_is_lost(model):
    for name in ("a.json", "b.json", "c.json"):
        model.write(b"", name)
    model.start()
    for name in ("a.json", "b.json", "c.json"):
        model.append(as_log(events(0, 3000)), name)
    assert model.run(200) == events(0, 1024)
    assert model.counts["dropped"] == 9000 - 1024


def paced(model, rate):
    """A read call that takes the time in which so many lines a second may be read."""
    def read(fd, size):
        piece = os.read(fd, 400)
        model.clock += piece.count(b"\n") / rate
        return piece
    return read


@pytest.mark.parametrize("pace, rate", [(400, 500), (2000, 2500)])
def test_of_a_paced_burst_nothing_is_lost(model, pace, rate):
    model.write(b"")
    model.start(rate=rate)
    model.append(as_log(events(0, 9000)))
    model.read = paced(model, pace)
    assert model.run(200) == events(0, 9000)
    assert model.counts["dropped"] == 0


def test_a_pace_above_what_leaves_the_queue_loses(model):
    model.write(b"")
    model.start(rate=500)
    model.append(as_log(events(0, 9000)))
    model.read = paced(model, 1000)
    model.run(200)
    assert 0 < model.counts["dropped"] == 9000 - len(model.delivered)


def test_the_queue_saves_up_nothing_while_it_is_empty(following):
    following.run(200)
    following.append(as_log(events(0, 3000)))
    assert len(following.run(100)) == 1024


def test_the_queue_drains_at_its_rate(following):
    following.append(as_log(events(0, 1024)))
    following.collector.tick()
    for second in (0.5, 1.0, 1.5):
        following.clock += 0.5
        following.collector.queue.drain()
        assert len(following.delivered) == second * 500
    assert following.counts["dropped"] == 0


# Lines

@pytest.mark.parametrize("line, reason", [
    (b"text", "no JSON"), (b"", "no JSON"), (b"{", "no JSON"), (b'"n":1,', "no object"),
    (b"{'n':1}", "no JSON"), (b'{"n":NaN}', "no JSON"),
    (b"[1,2]", "no object"), (b'[{"n":1}]', "no object"), (b"1", "no object"),
    (b'"text"', "no object"), (b"null", "no object"),
    (b'{"n":"\0"}', "NUL"), (b'\0{"n":1}', "NUL"), (b'{"n":1}\0', "NUL"),
    (b'{"n":' + b"[" * 100_000, "too long"),
    (b'{"n":' + b"[" * 60_000, "no JSON"),
])
def test_what_is_no_object_is_dropped(following, line, reason):
    following.append(line + b"\n")
    following.run()
    assert (following.delivered, following.ignored) == ([], {reason: 1})


def test_of_two_objects_on_a_line_the_second_is_dropped(following):
    following.append(b'{"a":{"b":1}}{"c":2}\n {"d":3} {"e":4} {"f":5}\r\n')
    assert following.run() == [b'{"a":{"b":1}}', b'{"d":3}']
    assert following.ignored == {"second object": 2}


def test_an_event_over_several_lines_is_dropped(following):
    following.append(json.dumps({"n": 1, "detail": {"m": 2}}, indent=2).encode() + b"\n")
    assert following.run() == []
    assert following.ignored == {"no JSON": 3, "no object": 3}


def test_the_bytes_of_an_event_are_not_looked_into(following):
    line = b'{"n":1.0e400,"\xff\xfe":"\xc3\xa9 \\u00e9 \x01","n":12345678901234567890}'
    following.append(line + b"\n")
    assert following.run() == [line]


@pytest.mark.parametrize("length, arrives", [(65_279, True), (65_280, False), (200_000, False)])
def test_a_line_too_long_costs_a_later_one(following, length, arrives):
    line = long_line(length)
    following.append(line + as_log(events(0, 3)))
    following.run()
    if arrives:
        assert following.delivered == [line[:-1]] + events(0, 3)
    else:
        assert following.delivered == events(1, 3)
        assert following.ignored == {"too long": 1, "after one too long": 1}


def test_the_later_line_is_lost_in_a_later_pass_as_well(following):
    following.append(long_line(70_000))
    following.run()
    following.append(as_log(events(0, 2)))
    assert following.run() == events(1, 2)


# The look at the paths

def test_another_inode_is_read_from_the_start(following):
    following.append(as_log(events(0, 2)))
    following.run()
    following.write(as_log(events(0, 4)), "new")
    os.rename(following.path("new"), following.path())
    assert following.run(66) == events(0, 2) + events(0, 4)
    assert following.counts["rotated"] == 1


def test_a_file_that_shrinks_by_a_byte_is_read_from_the_start(following):
    following.append(as_log(events(0, 3)) + b"{")
    following.run(66)
    os.truncate(following.path(), os.stat(following.path()).st_size - 1)
    assert following.run(66) == events(0, 3) * 2
    assert following.counts["truncated"] == 1


def test_a_path_that_is_gone_is_forgotten_with_its_position(following):
    following.append(as_log(events(0, 3)))
    following.run()
    os.rename(following.path(), following.path("aside"))
    following.run(64)
    assert following.counts["forgotten"] == 1
    os.rename(following.path("aside"), following.path())
    following.append(as_log(events(3, 5)))
    assert following.run(64) == events(0, 3), "what came before the path was found again is lost"
    following.append(as_log(events(5, 6)))
    assert following.run() == events(0, 3) + events(5, 6)


def test_a_file_without_a_size_that_was_gone_is_read_again(model, sizeless):
    os.symlink(sizeless, model.path())
    model.start()
    model.run()
    os.unlink(model.path())
    model.run(64)
    os.symlink(sizeless, model.path())
    assert model.run(64) == events(0, 3) * 2


def test_an_absence_between_two_looks_is_not_seen(following):
    following.append(as_log(events(0, 3)))
    following.run()
    os.rename(following.path(), following.path("aside"))
    following.run(30)
    os.rename(following.path("aside"), following.path())
    following.append(as_log(events(3, 4)))
    assert following.run(66) == events(0, 4)


def test_any_other_error_is_only_logged(following):
    """The path is a link to itself for a while, which is ELOOP, then a folder, then there again."""
    os.rename(following.path(), following.path("aside"))
    os.symlink(following.path(), following.path())
    following.append(as_log(events(0, 2)), "aside")
    assert following.run(66) == events(0, 2)
    os.unlink(following.path())
    os.mkdir(following.path())
    following.run(66)
    os.rmdir(following.path())
    os.rename(following.path("aside"), following.path())
    following.append(as_log(events(2, 3)))
    assert following.run(66) == events(0, 3)
    assert following.counts["open errors"] == 2
    assert following.counts["forgotten"] == 0


def test_a_dead_descriptor_stays_deaf_until_a_restart(following):
    """The descriptor fails as one of a mount whose daemon died; the path works, same inode."""
    following.append(as_log(events(0, 2)))
    following.run()
    dead = following.collector.files[following.path()].fd

    def read(fd, size):
        if fd == dead:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return os.read(fd, size)
    following.read = read
    following.append(as_log(events(2, 4)))
    assert following.run(1000) == events(0, 2)
    following.read = os.read
    following.restart()
    assert following.run() == events(0, 4)


# Restarts

def test_a_restart_goes_on(following):
    following.append(as_log(events(0, 3)) + b'{"n"')
    following.run()
    following.restart()
    following.append(b":3}\n")
    assert following.run(200) == events(0, 4)
    assert following.counts["resumed"] == 1


def test_a_restart_reads_what_came_meanwhile(following):
    following.append(as_log(events(0, 3)))
    following.run()
    following.collector.stop()
    following.append(as_log(events(3, 6)))
    following.start()
    assert following.run() == events(0, 6)


def test_positions_are_path_offset_and_sha1(following):
    following.append(as_log(events(0, 3)) + b"{")
    following.run()
    following.collector.stop()
    with open(following.state) as saved:
        assert json.load(saved) == {"files": [{
            "path": following.path(), "offset": str(len(as_log(events(0, 3)))),
            "hash": hashlib.sha1(as_log(events(0, 3))).hexdigest()}]}


def test_positions_are_saved_every_64_s(following):
    following.run(62)
    assert not os.path.exists(following.state)
    following.run(2)
    assert os.path.exists(following.state)


def test_a_death_repeats_what_was_read_since_the_last_save(following):
    following.append(as_log(events(0, 3)))
    following.run(64)
    following.append(as_log(events(3, 5)))
    following.run()
    following.start()
    assert following.run() == events(0, 5) + events(3, 5)


@pytest.mark.parametrize("line", [0, 2])
def test_a_restart_after_a_byte_has_changed_reads_from_the_start(following, line):
    following.append(as_log(events(0, 3)))
    following.run()
    following.collector.stop()
    changed = events(0, line) + [b'{"n":7}'] + events(line + 1, 3)
    following.write(as_log(changed))
    following.start()
    assert following.run() == events(0, 3) + changed
    assert following.counts["changed"] == 1


def test_a_changed_byte_behind_the_position_is_not_seen(following):
    following.append(as_log(events(0, 3)) + b'{"n":8')
    following.run()
    following.collector.stop()
    with open(following.path(), "r+b") as log:
        log.seek(-1, os.SEEK_END)
        log.write(b"3}\n")
    following.start()
    assert following.run() == events(0, 4)


def test_a_file_cut_below_the_position_is_read_from_the_start(following):
    following.append(as_log(events(0, 5)))
    following.run()
    following.collector.stop()
    following.write(as_log(events(0, 4)))
    following.start()
    assert following.run() == events(0, 5) + events(0, 4)


@pytest.mark.parametrize("over, expected", [(0, events(0, 13)), (1, events(0, 3))])
def test_a_backlog_over_max_size_is_skipped(following, over, expected):
    following.append(as_log(events(0, 3)))
    following.run()
    following.collector.stop()
    backlog = as_log(events(3, 13))
    following.append(backlog)
    following.start(max_size=len(backlog) - over)
    assert following.run() == expected


def test_max_size_is_10_mb_by_default(following):
    following.collector.stop()
    following.append(long_line(50_000) * 210)
    following.start()
    assert (following.run(), following.counts["backlog"]) == ([], 1)


def test_positions_of_absent_paths_are_dropped_at_a_start(following):
    """As where it starts before the file system is mounted."""
    following.append(as_log(events(0, 3)))
    following.run()
    following.collector.stop()
    os.rename(following.path(), following.path("aside"))
    following.start()
    following.collector.stop()
    os.rename(following.path("aside"), following.path())
    following.append(as_log(events(3, 5)))
    following.start()
    assert following.run(200) == events(0, 3), "no position: to the end"


def test_a_late_mount_shows_sizeless_files_as_new(model, sizeless):
    """The same start before the mount, where files have no size: everything comes again."""
    os.symlink(sizeless, model.path())
    model.start()
    model.run()
    model.collector.stop()
    os.unlink(model.path())
    model.start()
    model.run()
    os.symlink(sizeless, model.path())
    assert model.run(64) == events(0, 3) * 2


def test_only_future_events_goes_to_the_end_at_each_start(model):
    model.write(b"")
    model.start(only_future_events=True)
    model.append(as_log(events(0, 3)))
    model.run()
    model.collector.stop()
    model.append(as_log(events(3, 5)))
    model.start(only_future_events=True)
    model.append(as_log(events(5, 6)))
    assert model.run(200) == events(0, 3) + events(5, 6)
    assert not os.path.exists(model.state)


def test_only_future_events_repeats_a_file_without_a_size_at_each_start(model, sizeless):
    model.start(sizeless, only_future_events=True)
    model.run()
    model.restart()
    assert model.run() == events(0, 3) * 2


@pytest.mark.parametrize("count, kept", [(400, True), (900, False)])
def test_of_a_long_file_of_positions_every_one_is_lost(model, count, kept):
    names = [f"2026-11-24-{number:03}.json" for number in range(count)]
    for name in names:
        model.write(b"", name)
    model.start()
    model.collector.stop()
    assert (os.stat(model.state).st_size <= 65_535) == kept
    for name in names:
        model.append(as_log(events(0, 1)), name)
    model.start()
    model.run()
    assert len(model.delivered) == (count if kept else 0)
    assert model.counts["positions lost"] == (0 if kept else 1)


# The program

@pytest.fixture
def log(folder):
    path = os.path.join(folder, "a.json")
    with open(path, "xb"):
        return path


def append(path, content):
    with open(path, "ab") as out:
        out.write(content)


@pytest.fixture
def collect(folder):
    """Starts the program on this folder's files."""
    started = []

    def start(**options):
        started.append(Collector(os.path.join(folder, "*.json"),
                                 os.path.join(folder, f"collector{len(started)}"), **options))
        return started[-1].start()
    yield start
    for collector in started:
        collector.close()


def lines(first, last):
    return [line + b"\n" for line in events(first, last)]


def test_the_program_has_the_log_collectors_name(log, collect):
    collector = collect()
    with open(f"/proc/{collector.pid}/comm") as comm:
        assert comm.read() == "wazuh-logcollec\n"


def test_the_program_delivers_and_counts(log, collect):
    collector = collect()
    append(log, as_log(events(0, 3)) + b'text\n[]\n{"n":3}{}\n')
    collector.wait_for(lines(0, 4))
    collector.wait_for_passes()
    assert collector.counts["delivered"] == 4
    assert (collector.counts["files"], collector.dropped) == (1, 0)
    assert collector.ignored == {"no JSON": 1, "no object": 1, "second object": 1}


def test_the_program_goes_on_after_a_restart(log, collect):
    collector = collect()
    append(log, as_log(events(0, 3)))
    collector.wait_for(lines(0, 3))
    collector.stop()
    append(log, as_log(events(3, 6)))
    collector.start()
    collector.wait_for(lines(0, 6))
    assert collector.counts["starts"] == 2


def test_the_program_repeats_after_its_death(log, collect):
    collector = collect(save=100_000)
    append(log, as_log(events(0, 3)))
    collector.wait_for(lines(0, 3))
    collector.restart()
    append(log, as_log(events(3, 5)))
    collector.wait_for(lines(0, 5))
    collector.kill()
    collector.start()
    collector.wait_for_all(lines(0, 5) + lines(3, 5))


def test_the_program_looks_for_new_files_and_forgets_old_ones(log, collect):
    collector = collect()
    append(log.replace("a.json", "b.json"), as_log(events(0, 5)))
    collector.wait_for_vcheck()
    append(log.replace("a.json", "b.json"), as_log(events(5, 6)))
    collector.wait_for(lines(5, 6))
    os.unlink(log)
    wait_until(lambda: collector.counts["forgotten"] == 1, "the file to be forgotten")
    assert "a.json is gone" in collector.log


def test_the_program_drops_what_bursts_in(log, collect):
    collector = collect(rate=100)
    append(log, as_log(events(0, 3000)))
    wait_until(lambda: collector.dropped, "a loss")
    collector.wait_for_passes()
    collector.stop()
    counts = collector.counts
    assert counts["delivered"] == len(collector.delivered) >= 1024
    assert counts["delivered"] + counts["dropped"] == 3000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the group")
def test_the_program_may_have_a_group_of_its_own(log, collect):
    collector = collect(group=12345)
    with open(f"/proc/{collector.pid}/status") as status:
        ids = {line.split()[0]: set(line.split()[1:]) for line in status}
    assert (ids["Uid:"], ids["Gid:"]) == ({"0"}, {"12345"})


def test_the_program_takes_everything_by_command_line(folder, log):
    out = os.path.join(folder, "out")
    process = subprocess.Popen(
        [sys.executable, wazuh_reader.__file__, "--location", log, "--state", f"{folder}/state",
         "--out", out, "--scale", "0.01", "--vcheck", "32", "--pass", "1", "--save", "64", "--rate",
         "1000", "--version", "5", "--max-size", "1000", "--max-lines", "10", "--max-files", "1"])
    try:
        wait_until(lambda: os.path.exists(out + ".counts"), "the start")
        append(log, as_log(events(0, 50)))

        def all_there():
            with open(out, "rb") as delivered:
                return delivered.read() == as_log(events(0, 50))
        wait_until(all_there, "fifty lines")
    finally:
        process.terminate()
        assert process.wait() == 0
    assert os.path.exists(f"{folder}/state")
