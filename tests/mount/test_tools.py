"""Ordinary tools work on a mount and give the right answer. They must not sniff at the log's name or
be misled by sizes; each answer is compared with what Python makes of the expected bytes."""

import gzip
import hashlib
import json
import mmap
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import tarfile
import time

import corpus
import pytest
import stores
from mount import PATIENCE_S, Mount, assert_same

NEEDLE = b"needle-in-the-log"


class Ground:
    """One mount with three old hours, for all the tools; and what its logs should hold."""

    def __init__(self, folder):
        rng = corpus.generator(7)
        self.folder = folder
        self.hours = ["2026/01/05/07", "2026/01/05/08", "2026/02/01/00"]
        self.store = stores.Folder(os.path.join(folder, "source"))
        base = int(time.time()) - 5000
        deliveries = [corpus.delivery(rng, h, self.events(rng), compression=c, modified=base + n)
                      for n, (h, c) in enumerate(zip(self.hours * 5, list(corpus.COMPRESSIONS) * 2))]
        self.store.put_all(deliveries)
        self.expected = {h: corpus.expected_log(d for d in deliveries if d.key.startswith(h))
                         for h in self.hours}
        self.deliveries = deliveries
        self.mount = Mount(self.store.source, folder).start()

    @staticmethod
    def events(rng):
        """Events that are valid JSON, some of them with the needle."""
        events = [corpus.serialized(rng, rng.choice(corpus.KINDS)(rng)) for _ in range(20)]
        return events + [b'{"found":"%s","n":%d}' % (NEEDLE, rng.randrange(1000))]

    @property
    def log(self):
        """One log's path and content."""
        return self.mount.log_path(self.hours[0]), self.expected[self.hours[0]]

    def run(self, command, **how):
        """A shell command line in the mount's root; its output."""
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=self.mount.path,
                              capture_output=True, timeout=2 * PATIENCE_S, **how)
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        return done.stdout


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    made = Ground(str(tmp_path_factory.mktemp("tools")))
    yield made
    made.mount.close()


def test_ls_and_stat(ground):
    for hour, expected in ground.expected.items():
        fields = ground.run(f"ls -l {hour}/macie.ndjson").split()
        assert (fields[0][:10], int(fields[4])) == (b"-r--r-----", len(expected))
        assert int(ground.run(f"stat -c %s {hour}/macie.ndjson")) == len(expected)
    assert ground.run("ls 2026/01/05").split() == [b"07", b"08"]


def test_find(ground):
    found = ground.run("find . -name macie.ndjson -size +0").decode().split()
    assert sorted(found) == [f"./{hour}/macie.ndjson" for hour in ground.hours]
    sizes = dict(line.split() for line in
                 ground.run("find 2026/0* -type f -printf '%h %s\\n'").decode().splitlines())
    assert sizes == {h: str(len(expected)) for h, expected in ground.expected.items()}
    exact = len(ground.expected[ground.hours[1]])
    assert ground.run(f"find 2026/0* -size {exact}c").decode().split() == [
        f"2026/01/05/08/macie.ndjson"]
    assert ground.run("find 2026/0* -newermt '1 day ago' -type f").count(b"\n") == 3


def test_du(ground):
    total = sum(map(len, ground.expected.values()))
    files = ground.run("du -b --apparent-size 2026/*/*/*/macie.ndjson").split()[::2]
    assert sum(map(int, files)) == total
    assert int(ground.run("du -sB1 2026").split()[0]) >= total


def test_cat(ground):
    assert_same(b"".join(ground.expected[h] for h in ground.hours),
                ground.run("cat 2026/0*/*/*/macie.ndjson"))


@pytest.mark.parametrize("tool", ["grep -rh", "rg --no-filename --no-ignore --no-config"])
def test_recursive_search(ground, tool):
    found = ground.run(f"{tool} {NEEDLE.decode()} 2026").splitlines(keepends=True)
    expected = [line for log in ground.expected.values() for line in log.splitlines(keepends=True)
                if NEEDLE in line]
    assert sorted(found) == sorted(line for line in expected)


def test_grep_counts_and_offsets(ground):
    path, log = ground.log
    lines = log.split(b"\n")[:-1]
    assert int(ground.run(f"grep -ac Finding {path}")) == sum(b"Finding" in line for line in lines)
    offsets = ground.run(f"grep -abo {NEEDLE.decode()} {path}").split()
    assert [int(o.split(b":")[0]) for o in offsets] == [m.start() for m in re.finditer(NEEDLE, log)]


def test_zgrep(ground):
    """On a log, which is no gzip file, and on objects, whose names end in .gz and bytes are plain."""
    path, log = ground.log
    assert int(ground.run(f"zgrep -ac {NEEDLE.decode()} {path}")) == log.count(NEEDLE)
    objects = [d for d in ground.deliveries if d.name.endswith(".gz")]
    shown = shlex.quote(ground.mount.object_path(objects[0].key))
    assert int(ground.run(f"zgrep -ac {NEEDLE.decode()} {shown}")) == 1


def test_wc(ground):
    path, log = ground.log
    assert ground.run(f"wc -lc < {path}").split() == [
        str(n).encode() for n in (log.count(b"\n"), len(log))]


@pytest.mark.parametrize("arguments, expected", [
    ("head -c 1000", lambda log: log[:1000]),
    ("head -n 3", lambda log: b"".join(log.splitlines(keepends=True)[:3])),
    ("head -c -100", lambda log: log[:-100]),
    ("tail -c 100", lambda log: log[-100:]),
    ("tail -c +5000", lambda log: log[4999:]),
    ("tail -n 1", lambda log: log[log[:-1].rfind(b"\n") + 1:]),
    ("tail -n +2", lambda log: log[log.find(b"\n") + 1:]),
    ("tac", lambda log: b"\n".join(log.split(b"\n")[-2::-1]) + b"\n"),
    ("dd status=none bs=999 skip=3 count=2 if=", lambda log: log[2997:4995]),
    ("sort", None),
])
def test_parts_of_a_log(ground, arguments, expected):
    path, log = ground.log
    glue = "" if arguments.endswith("=") else " "
    out = ground.run(f"LC_ALL=C {arguments}{glue}{path}")
    if expected:
        assert_same(expected(log), out)
    else:
        assert_same(b"".join(sorted(log.splitlines(keepends=True))), out)


def test_tail_f_by_name_shows_a_whole_log(ground):
    path, log = ground.log
    tail = subprocess.Popen(["tail", "-n", "+1", "-F", path], stdout=subprocess.PIPE)
    try:
        assert_same(log, tail.stdout.read(len(log)))
        assert not select.select([tail.stdout], [], [], 0)[0]
    finally:
        tail.send_signal(signal.SIGTERM)
        tail.communicate()


def test_jq(ground):
    path, log = ground.log
    ids = ground.run(f"jq -r '.id // empty' {path}").decode().split()
    assert ids == [event["id"] for event in map(json.loads, log.splitlines()) if "id" in event]
    assert int(ground.run(f"cat {path} | jq -s length")) == log.count(b"\n")


def test_copies(ground, tmp_path):
    for name, command in {
        "cp": "cp -r --reflink=auto 2026/01 {to}",
        "cp-sparse": "cp -r --sparse=always 2026/01 {to}",
        "rsync": "rsync -a 2026/01 {to}",
        "tar": "tar cf - 2026/01 | tar xf - --strip-components=1 -C {to}",
    }.items():
        to = tmp_path / name
        to.mkdir()
        ground.run(command.format(to=to))
        for hour in ground.hours[:2]:
            with open(to / hour[5:] / "macie.ndjson", "rb") as copy:
                assert_same(ground.expected[hour], copy.read())
    assert ground.run(f"rsync -anci 2026/01 {tmp_path}/rsync") == b"", "a second rsync has nothing to do"


def test_tar_of_everything_holds_true_sizes(ground, tmp_path):
    ground.run(f"tar cf {tmp_path}/all.tar 2026/0*")
    with tarfile.open(tmp_path / "all.tar") as archive:
        for hour, expected in ground.expected.items():
            assert_same(expected, archive.extractfile(f"{hour}/macie.ndjson").read())


def test_checksums_and_comparison(ground, tmp_path):
    path, log = ground.log
    assert ground.run(f"sha256sum {path}").split()[0].decode() == hashlib.sha256(log).hexdigest()
    (tmp_path / "same").write_bytes(log)
    ground.run(f"cmp {path} {tmp_path}/same && diff -q {path} {tmp_path}/same")
    ground.run(f"gzip -c {path} > {tmp_path}/z.gz")
    assert_same(log, gzip.decompress((tmp_path / "z.gz").read_bytes()))


def test_less(ground):
    """As a pager on a terminal: to the last line, and out."""
    path, log = ground.log
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="vt100", LESS="", LESSOPEN="", LESSSECURE="1")
        os.execvp("less", ["less", "-r", "+G", path])
    out = b""
    os.write(terminal, b"q")
    try:
        while piece := os.read(terminal, 1 << 16):
            out += piece
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    last = log.splitlines()[-1]
    assert NEEDLE in last and NEEDLE in out
    assert_same(log, ground.run(f"less -f {path}"))


def test_python_mmap_seek_and_sendfile(ground, tmp_path):
    path, log = ground.log
    with open(path, "rb") as file, open(tmp_path / "sent", "wb") as sent:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert_same(log, mapped[:])
            assert mapped.find(NEEDLE) == log.find(NEEDLE)
        assert os.lseek(file.fileno(), 0, os.SEEK_END) == len(log)
        assert os.pread(file.fileno(), 100, len(log) - 10) == log[-10:]
        assert os.pread(file.fileno(), 100, len(log) + 10) == b""
        offset = 0
        while count := os.sendfile(sent.fileno(), file.fileno(), offset, 1 << 20):
            offset += count
    assert_same(log, (tmp_path / "sent").read_bytes())


def test_awk_sed_and_while_read(ground):
    path, log = ground.log
    assert int(ground.run(f"awk 'END {{print NR}}' {path}")) == log.count(b"\n")
    assert_same(log.split(b"\n")[1] + b"\n", ground.run(f"sed -n 2p {path}"))
    assert int(ground.run(f"n=0; while read -r _; do n=$((n+1)); done < {path}; echo $n")) == \
        log.count(b"\n")


def test_objects_by_name(ground):
    for one in ground.deliveries:
        shown = shlex.quote(ground.mount.object_path(one.key))
        assert_same(one.plain, ground.run(f"cat {shown}"))
        assert int(ground.run(f"stat -c %s {shown}")) == len(one.plain)
