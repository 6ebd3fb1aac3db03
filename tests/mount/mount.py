"""One maciefs mount under test.

It is started as a user would start it, watched by its processes, and unmounted whatever happened.
Closing it fails where a sanitizer wrote a report, the mount did not end, or a secret stands where
others can read it.
"""

import glob
import json
import os
import signal
import subprocess
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("MACIEFS", os.path.join(REPOSITORY, ".build/release/maciefs"))

# Limits after which something that should have happened counts as failed. They are no measurements.
PATIENCE_S = float(os.environ.get("PATIENCE", "30"))

# A test's environment has no credentials but those it names.
BARE_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_EC2_METADATA_DISABLED": "true",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
}


# What no mount may show: the secrets that tests, and the services that they stand for, hand out.
SECRETS = set()
SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN")
SIGNATURE = "Signature="


def wait_until(condition, what, patience=PATIENCE_S):
    """Waits for condition() to be true and returns its value; fails, naming `what`, if it is not."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.02)


def is_mounted(folder):
    with open("/proc/self/mountinfo") as mounts:
        return any(line.split()[4] == folder for line in mounts)


def sanitizer_environment(folder):
    """Lets the sanitizers write their reports into `folder`."""
    log = os.path.join(folder, "sanitizer")
    return {
        "ASAN_OPTIONS": f"log_path={log}.asan",
        "UBSAN_OPTIONS": f"log_path={log}.ubsan:print_stacktrace=1",
        "TSAN_OPTIONS": f"log_path={log}.tsan",
    }


def sanitizer_reports(folder):
    """What the sanitizers wrote, to their own files or (undefined behaviour) to stderr."""
    reports = []
    for path in sorted(glob.glob(os.path.join(folder, "sanitizer.*"))):
        with open(path, errors="replace") as report:
            reports.append(f"{path}:\n{report.read()}")
    stderr = os.path.join(folder, "stderr")
    if os.path.exists(stderr):
        with open(stderr, errors="replace") as said:
            text = said.read()
        at = text.find(": runtime error: ")
        if at >= 0:
            reports.append(text[max(0, at - 200):at + 2000])
    return reports


def option_list(options):
    """{"poll": 0.2, "ro": True} as mount(8) has it: "poll=0.2,ro"."""
    return ",".join(name if value is True else f"{name}={value}"
                    for name, value in options.items() if value is not None)


def parent_of(pid):
    """The parent's pid, or None where there is no such process or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            state, parent = stat.read().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def pids_naming(argument):
    """The processes that have `argument` on their command line."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as cmdline:
                words = cmdline.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(argument) in words and parent_of(int(name)) is not None:
            found.append(int(name))
    return found


class Mount:
    """A mount of `source` in `folder`, which is the test's own and also holds the cache."""

    def __init__(self, source, folder, options=None, env=None, binary=BINARY, background=False,
                 arguments=()):
        self.source = source
        self.folder = str(folder)
        self.path = os.path.join(self.folder, "mnt")
        self.cache = os.path.join(self.folder, "cache")
        self.options = {"poll": 0.2, "cache": self.cache, **(options or {})}
        self.background = background
        self.process = None
        self.keeper = None
        self.kills = 0  # servers that the test killed
        self.stderr_path = os.path.join(self.folder, "stderr")
        self.env = {**BARE_ENVIRONMENT, **sanitizer_environment(self.folder), **(env or {})}
        self.command = [binary, source, self.path, *(() if background else ("-f",)),
                        "-o", option_list(self.options), *arguments]
        os.makedirs(self.path, exist_ok=True)

    # Life

    def start(self):
        """Mounts. Raises MountFailed where the program ends instead, or ends with an error."""
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr)
        if self.background:
            self.process.wait(PATIENCE_S)
            self._check_alive()
            self.keeper = self._find_keeper()
        else:
            self.keeper = self.process.pid
            wait_until(self._is_up, "the mount")
        return self

    @property
    def secrets(self):
        own = {self.env[name] for name in SECRET_VARIABLES if self.env.get(name)}
        return {secret for secret in SECRETS | own if len(secret) >= 8} | {SIGNATURE}

    def _exposures(self):
        """Where a secret stands that should not: in what it said; and, while it lives, on its command
        lines or among the mounts, which all users see."""
        seen = {"its messages": self.stderr}
        for pid in pids_naming(self.path):
            try:
                with open(f"/proc/{pid}/cmdline") as cmdline:
                    seen[f"the command line of {pid}"] = cmdline.read()
            except OSError:
                continue  # it ended
        with open("/proc/self/mountinfo") as mounts:
            seen["the mounts"] = mounts.read()
        return [where for where, text in seen.items() if any(s in text for s in self.secrets)]

    def _is_up(self):
        self._check_alive()
        return is_mounted(self.path) and self.server and self._answers()

    def _answers(self):
        """Whether a server serves: one that is killed before it ever did is not replaced."""
        try:
            os.stat(self.at(".maciefs"))
        except PermissionError:
            pass  # another user's mount lets nobody in
        except OSError:
            return False
        return True

    def _check_alive(self):
        code = self.process.poll()
        if code or (code is not None and not self.background):
            raise MountFailed(code, self.stderr)

    def _find_keeper(self):
        pids = pids_naming(self.path)
        keepers = [pid for pid in pids if parent_of(pid) not in pids]
        assert len(keepers) == 1, f"processes of the mount: {pids}"
        return keepers[0]

    @property
    def server(self):
        """The serving process's pid, or None while there is none."""
        children = [pid for pid in pids_naming(self.path) if parent_of(pid) == self.keeper]
        return children[0] if children else None

    def kill_server(self):
        """kill -9 of the serving process; returns the pid that it had."""
        server = wait_until(lambda: self.server, "a serving process")
        os.kill(server, signal.SIGKILL)
        self.kills += 1
        return server

    def ended(self):
        return not pids_naming(self.path)

    def wait_ended(self):
        """Waits for all of the mount's processes to be gone."""
        if self.process and not self.background:
            self.process.wait(PATIENCE_S)
        wait_until(self.ended, "the mount's processes to end")

    def unmount(self):
        """umount(8), as a user does it, and the daemon's end."""
        subprocess.run(["umount", self.path], check=True, capture_output=True)
        self.wait_ended()

    def close(self):
        """Ends the mount whatever its state; fails on sanitizer reports, on servers that died by
        themselves, and on what would not end."""
        exposures = self._exposures()
        restarts = self._restarts()
        lazily = False
        if is_mounted(self.path):
            if subprocess.run(["umount", self.path], capture_output=True).returncode:
                lazily = True
                subprocess.run(["umount", "-l", self.path], capture_output=True)
        try:
            if self.process:
                self.wait_ended()
        except (AssertionError, subprocess.TimeoutExpired):
            for pid in pids_naming(self.path):
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"the daemon did not end with its mount; it said:\n{self.stderr}")
        finally:
            reports = sanitizer_reports(self.folder)
            assert not reports, "\n".join(reports)
        exposures = exposures or self._exposures()
        assert not exposures, f"a secret stands in {', '.join(exposures)}:\n{self.stderr}"
        assert not lazily, "the mount was busy at the end of the test"
        assert restarts in (None, self.kills), f"a server died by itself:\n{self.stderr}"

    def _restarts(self):
        """How many servers were replaced, or None where the mount does not tell (any more)."""
        if not is_mounted(self.path):
            return None
        try:
            done = subprocess.run(["cat", self.at(".maciefs", "status.json")], capture_output=True,
                                  timeout=PATIENCE_S)
            return json.loads(done.stdout)["restarts"]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return None

    def abort(self):
        """Lets everyone who waits for an answer of the mount fail, and ends it."""
        subprocess.run(["umount", "-f", self.path], capture_output=True)
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        for pid in pids_naming(self.path):
            os.kill(pid, signal.SIGKILL)

    # What is in it

    def at(self, *names):
        return os.path.join(self.path, *names)

    def log_path(self, hour):
        return self.at(hour, "macie.ndjson")

    def object_path(self, key):
        """Where an object (by its key under the prefix) is shown by itself."""
        return self.at(".objects", key)

    def read(self, hour):
        with open(self.log_path(hour), "rb") as log:
            return log.read()

    def wait_for_log(self, hour, expected):
        """Waits until the hour's log is `expected`; what comes before must be a beginning of it."""
        def matches():
            try:
                log = self.read(hour)
            except FileNotFoundError:
                return False
            assert expected.startswith(log), difference(expected, log)
            return log == expected
        wait_until(matches, f"{len(expected)} bytes in the log of {hour}")

    def status(self):
        with open(self.at(".maciefs", "status.json")) as status:
            return json.load(status)

    @property
    def stderr(self):
        if not os.path.exists(self.stderr_path):
            return ""  # the test started it by itself
        with open(self.stderr_path, errors="replace") as stderr:
            return stderr.read()


class MountFailed(Exception):
    """The program ended without a mount."""

    def __init__(self, code, stderr):
        super().__init__(f"maciefs ended with {code}: {stderr}")
        self.code = code
        self.stderr = stderr


def difference(expected, actual):
    """Where two byte strings part, for a message that can be read."""
    length = min(len(expected), len(actual))
    at = next((n for n in range(length) if expected[n] != actual[n]), length)
    return (f"lengths {len(expected)} and {len(actual)}; they part at {at}: "
            f"expected {expected[at:at + 60]!r}, got {actual[at:at + 60]!r}")


def assert_same(expected, actual):
    """Like ==, without pytest's endless comparison of megabytes."""
    same = expected == actual
    assert same, difference(expected, actual)
