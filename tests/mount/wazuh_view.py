"""What the tests of wazuh/ share: its paths, what must be in it, and a clock that can be set."""

import glob
import os
import re
import subprocess
import time

import messages
from mount import BINARY, wait_until

HOUR = 3600

LIBFAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"  # of whichever machine


def hour_of(seconds):
    """The hour, as the bucket names it, that a time is in."""
    return time.strftime("%Y/%m/%d/%H", time.gmtime(seconds))


def name_of(seconds):
    return time.strftime("%Y-%m-%d-%H.json", time.gmtime(seconds))


def path_of(mount, seconds):
    """The file of what is delivered at a time."""
    return mount.at("wazuh", name_of(seconds))


def location(mount):
    """What a user writes into Wazuh's configuration."""
    return mount.at("wazuh", "*.json")


def read(path):
    """All that a file has, by read(2) alone: its size is 0."""
    data = b""
    fd = os.open(path, os.O_RDONLY)
    try:
        while piece := os.read(fd, 1 << 16):
            data += piece
    finally:
        os.close(fd)
    return data


def read_view(mount):
    """Everything in the view: the bytes of each file that has any, by name."""
    files = {}
    for name in sorted(os.listdir(mount.at("wazuh"))):
        try:
            files[name] = read(mount.at("wazuh", name))
        except FileNotFoundError:
            pass  # the window moved on
    return {name: data for name, data in files.items() if data}


def files_on_disk(mount, seconds, ending):
    """What the cache folder has for an hour of the view: its data or its journal."""
    found = []
    for folder, _, names in os.walk(mount.cache):
        found += [os.path.join(folder, name) for name in names
                  if name.endswith(ending) and "/wazuh/" in folder + "/"]
    hour = hour_of(seconds)
    return [path for path in found if hour in path]


class Ledger:
    """What was delivered to a store, and so what must be in the view or arrive at a collector."""

    def __init__(self, store, account_alias=""):
        self.store = store
        place, _, prefix = store.source.removeprefix("s3://").partition("/")
        if store.source.startswith("file://"):
            place, prefix = store.path, ""
        self.origin = messages.Origin(place, prefix, account_alias)
        self.deliveries = []
        self.damaged = set()  # keys

    def put(self, delivery, damaged=False):
        self.store.put(delivery)
        return self._note(delivery, damaged)

    def put_all(self, deliveries):
        for delivery in self.store.put_all(deliveries):
            self._note(delivery)

    def _note(self, delivery, damaged=False):
        self.deliveries.append(delivery)
        if damaged:
            self.damaged.add(delivery.key)
        return delivery

    def messages(self, delivery):
        return messages.expected_of(delivery, self.origin, delivery.key in self.damaged)

    @property
    def expected(self):
        """Everything, in the order of a view that met it all at once."""
        ordered = sorted(self.deliveries, key=lambda d: (d.modified, d.key.encode()))
        return [message for delivery in ordered for message in self.messages(delivery)]

    def expected_files(self):
        """Likewise, by the name of the file."""
        files = {}
        for delivery in sorted(self.deliveries, key=lambda d: (d.modified, d.key.encode())):
            files.setdefault(name_of(delivery.modified), []).extend(self.messages(delivery))
        return {name: expected for name, expected in files.items() if expected}

    def wait_for_view(self, mount):
        """Waits until the view has everything, file by file and in order; returns its bytes."""
        def has_all():
            files = read_view(mount)
            lines = sum(data.count(b"\n") for data in files.values())
            return files if lines >= len(self.expected) else None
        files = wait_until(has_all, f"{len(self.expected)} lines in the view")
        assert {n: messages.read_lines(d) for n, d in files.items()} == self.expected_files()
        return files

    def wait_for_lines(self, mount):
        """Waits until the view has everything, in whatever order."""
        def has_all():
            lines = [line for data in read_view(mount).values()
                     for line in data.splitlines(keepends=True)]
            return lines if len(lines) >= len(self.expected) else None
        lines = wait_until(has_all, f"{len(self.expected)} lines in the view")
        messages.assert_each_once(self.expected, lines)

    def wait_for_collector(self, collector):
        """Waits until the collector has delivered everything and looked again: none of it lost,
        repeated or torn, and none that should not be there."""
        count = len(self.expected)
        wait_until(lambda: collector.counts["delivered"] >= count, f"{count} delivered lines")
        collector.wait_for_passes(2)
        messages.assert_each_once(self.expected, collector.delivered)
        assert (collector.dropped, collector.ignored) == (0, {})


def preloaded():
    """What a mount needs so that its clock can be set. A sanitizer's runtime wants to be first."""
    loads = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    runtimes = [line.split()[2] for line in loads.splitlines() if re.search("lib[at]san", line)]
    return ":".join([*runtimes, *glob.glob(LIBFAKETIME)])


class FakeClock:
    """The time that a mount's processes believe in. It goes on by itself, and set() moves it; times
    that are no time of day (timeouts, the monotonic clock) stay as they are.

    It lives some months ago, so that nothing in a test is younger than the true time.
    """

    def __init__(self, folder, fault_server=None):
        self.path = os.path.join(folder, "clock")
        self.fault_server = fault_server  # whose answers tell the same time
        self.env = {"LD_PRELOAD": preloaded(), "FAKETIME_TIMESTAMP_FILE": self.path,
                    "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "FAKETIME_FORCE_MONOTONIC_FIX": "0", "NO_FAKE_STAT": "1"}
        self.set((int(time.time()) // HOUR - 2000) * HOUR + 1800)

    def now(self):
        return time.time() + self.offset

    def set(self, seconds):
        self.offset = seconds - time.time()
        if self.fault_server:
            self.fault_server.clock_skew = self.offset
        with open(self.path + ".new", "w") as clock:
            clock.write(f"{self.offset:+f}")
        os.rename(self.path + ".new", self.path)

    def advance(self, seconds):
        self.set(self.now() + seconds)
