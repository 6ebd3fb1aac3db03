"""Fixtures of the mount tests: servers, stores, mounts; each is taken down whatever happens."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import corpus
import faults
import mount as mount_module
import proxy as proxy_module
import rgw as rgw_module
import stores
import wazuh_view


HOUR = 3600
LONGEST_TEST = 60  # seconds; of those that mind the hour, when sanitized


mount_module.SECRETS.update({faults.SECRET_KEY, rgw_module.Rgw.secret_key})


def pytest_configure():
    """SIGTERM ends a run as Ctrl-C does: whatever was started is taken down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def rgw():
    """The real S3 server, one for all tests."""
    folder = tempfile.mkdtemp(prefix="maciefs-rgw.")
    server = rgw_module.Rgw(folder).start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def folder():
    """A folder of the test's own that other users may enter too."""
    path = tempfile.mkdtemp(prefix="maciefs-test.")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def rng(request):
    """Random numbers that are the same for the same test in every run."""
    return corpus.generator(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def well_before_the_next_hour():
    """What a test calls the current hour shall still be it when the test ends: an hour that is over
    and empty is no folder any more."""
    left = HOUR - time.time() % HOUR
    if left < LONGEST_TEST:
        time.sleep(left + 0.1)


@pytest.fixture
def hour():
    """The current hour."""
    return corpus.now_hour()


@pytest.fixture
def old_hour():
    """An hour that nobody watches any more, some days ago."""
    return corpus.now_hour(-100)


@pytest.fixture
def bucket(rgw):
    """A new bucket on the real server, with the prefix "macie/"."""
    name = f"test-{uuid.uuid4()}"
    rgw.client().create_bucket(Bucket=name)
    return stores.Bucket(rgw, name, "macie/")


@pytest.fixture
def local(folder):
    """A source folder."""
    return stores.Folder(os.path.join(folder, "source"))


@pytest.fixture(params=["file", "s3"])
def store(request):
    """Each kind of source in turn: a folder, and a bucket of the real server."""
    return request.getfixturevalue({"file": "local", "s3": "bucket"}[request.param])


@pytest.fixture
def proxy(rgw):
    """A network to the real server that can be cut."""
    network = proxy_module.Proxy(rgw.port).start()
    yield network
    network.stop()


@pytest.fixture
def remote(rgw, bucket, proxy):
    """A bucket of the real server, reached through the proxy."""
    return stores.Bucket(rgw, bucket.bucket, bucket.prefix, endpoint=proxy.endpoint)


@pytest.fixture
def fault_server():
    server = faults.FaultServer().start()
    yield server
    server.stop()


@pytest.fixture
def faulty(fault_server):
    """A prefix on the fault server."""
    return stores.Faulty(fault_server)


@pytest.fixture
def clock(folder):
    """A time of day that a test moves; mounts with its `env` believe in it."""
    return wazuh_view.FakeClock(folder)


@pytest.fixture
def make_mount(folder):
    """Makes mounts of stores, once the objects in them are old enough to be shown."""
    mounts = []

    def make(store, options=None, start=True, **how):
        own = os.path.join(folder, f"mount{len(mounts)}")
        os.makedirs(own)
        store.settle()
        made = mount_module.Mount(store.source, own, {**store.options, **(options or {})},
                                  how.pop("env", store.env), **how)
        mounts.append(made)
        return made.start() if start else made

    def abort_all():
        for made in mounts:
            made.abort()

    # A mount that never answers would stop the whole run: nothing else can wake who waits for it.
    watchdog = threading.Timer(10 * mount_module.PATIENCE_S, abort_all)
    watchdog.start()
    yield make
    watchdog.cancel()
    failures = []
    for made in reversed(mounts):
        try:
            made.close()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def small_disk(folder):
    """A file system of 24 MiB for a cache."""
    path = os.path.join(folder, "small")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)
