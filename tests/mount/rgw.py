"""A real S3 server on loopback: Ceph's RADOS Gateway over one monitor and one in-memory OSD.

It is the one server in Debian that truly checks Signature Version 4. Everything it writes is in one
folder, and every process it starts is ended by its own pid. As a program it serves until SIGTERM:

    python3 rgw.py FOLDER
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import boto3
from botocore.config import Config

CEPH_CONF = """\
[global]
fsid = {fsid}
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
keyring = {folder}/keyring
mon host = [v2:127.0.0.1:{mon_port}/0]
ms bind ipv4 = true
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc
paxos propose interval = 0.01
mon allow pool size one = true
mon osd crush smoke test = false
mon pg warn on no pool name = false
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = 8589934592
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd max object name len = 2048
osd crush update on start = false
rgw dns name = localhost
rgw crypt require ssl = false
rgw run sync thread = false
debug rgw = 0/0
debug ms = 0/0
debug osd = 0/0
debug objecter = 0/0
debug auth = 0/0
debug finisher = 0/0
debug throttle = 0/0
debug optracker = 0/0
debug objclass = 0/0
debug rados = 0/0
debug tp = 0/0
perf = false
osd enable op tracker = false
rgw enable usage log = false
rgw enable ops log = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw max chunk size = 4194304
rgw thread pool size = 4
osd op num shards = 1
osd op num threads per shard = 1
ms async op threads = 1
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
[client.sts]
rgw frontends = beast endpoint=127.0.0.1:{sts_port} tcp_nodelay=1
rgw s3 auth use sts = true
rgw sts key = {sts_key}
"""

# What Ceph is made for, and Debian does not link its OSD to: with it a listing takes two thirds.
ALLOCATOR = "libtcmalloc.so.4"

START_LIMIT_S = 60
USER = "tester"


def free_port():
    """A TCP port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def s3_client(endpoint, access_key, secret_key, **config):
    """A boto3 client that speaks path-style to `endpoint`. It tries again where the busy server closed
    a connection under it: tests are not about that."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=32,
            **config,
        ),
    )


def _document(*statements):
    """A policy; without spaces, which the server takes for what a form makes of them."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


class Rgw:
    """One gateway. start() brings it up clean, stop() ends it; the folder is the caller's."""

    access_key = "MACIEFSTESTACCESSKEY"
    secret_key = "maciefs/test+secret/0123456789abcdefghij"

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.conf = os.path.join(self.folder, "ceph.conf")
        self.port = None
        self.sts_port = None
        self.processes = []
        self.has_sts = False

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def sts_endpoint(self):
        """A second gateway to the same buckets, which gives and takes temporary credentials. Tokens of
        others' making it refuses, and wrong signatures in other words."""
        if not self.has_sts:
            self._start_gateway("client.sts", self.sts_port)
            self.has_sts = True
        return f"http://127.0.0.1:{self.sts_port}"

    def client(self, **config):
        return s3_client(self.endpoint, self.access_key, self.secret_key, **config)

    def environment(self):
        """What a program needs in its environment to sign requests to this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self):
        try:
            self._configure()
            self._start_monitor()
            self._start_osd()
            self.add_user(USER, self.access_key, self.secret_key, "--caps=roles=*")
            self._start_gateway("client.rgw", self.port)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.processes = []

    def add_user(self, name, access_key, secret_key, *more):
        """A user of its own, who may read no other's bucket."""
        self._run(
            "radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}",
            f"--access-key={access_key}", f"--secret-key={secret_key}", *more,
        )

    def add_role(self, name):
        """A role that the server's own user may assume, without any right; returns its ARN."""
        return self._iam().create_role(RoleName=name, AssumeRolePolicyDocument=_document({
            "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{USER}"]},
            "Action": ["sts:AssumeRole"]}))["Role"]["Arn"]

    def allow(self, role, statements):
        """Gives the role rights, by statements of a policy."""
        self._iam().put_role_policy(RoleName=role, PolicyName="rights",
                                    PolicyDocument=_document(*statements))

    def _iam(self):
        return boto3.client("iam", endpoint_url=self.sts_endpoint, region_name="us-east-1",
                            aws_access_key_id=self.access_key,
                            aws_secret_access_key=self.secret_key,
                            config=Config(retries={"max_attempts": 0}))

    def _configure(self):
        for name in ("mon", "osd"):
            path = os.path.join(self.folder, name)
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)
        self.port, self.sts_port = free_port(), free_port()
        self.fsid = str(uuid.uuid4())
        self.mon_port = free_port()
        with open(self.conf, "w") as conf:
            conf.write(CEPH_CONF.format(
                fsid=self.fsid, folder=self.folder, mon_port=self.mon_port, port=self.port,
                sts_port=self.sts_port, sts_key=secrets.token_hex(8)))
        with open(os.path.join(self.folder, "keyring"), "w") as keyring:
            keyring.write("")

    def _start_monitor(self):
        monmap = os.path.join(self.folder, "monmap")
        self._run("monmaptool", "--create", "--clobber", "--fsid", self.fsid, "--addv", "a",
                  f"[v2:127.0.0.1:{self.mon_port}]", monmap, configured=False)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._spawn("ceph-mon", "-i", "a", "-f")

    def _start_osd(self):
        identity = str(uuid.uuid4())
        self._ceph("osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._ceph("osd", "crush", "add", "osd.0", "1.0", "root=default")
        self._spawn("ceph-osd", "-i", "0", "-f", LD_PRELOAD=ALLOCATOR)

    def _start_gateway(self, name, port):
        gateway = self._spawn("radosgw", "-n", name, "-f")
        deadline = time.monotonic() + START_LIMIT_S
        while not self._listens(port):
            if gateway.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"radosgw does not serve; see {self.folder}/{name}.log")
            time.sleep(0.02)

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _command(self, program, args, configured=True):
        return [program, *(["-c", self.conf] if configured else []), *args]

    def _spawn(self, program, *args, **env):
        # A server never outlives the program that started it, not even one that was killed.
        command = ["setpriv", "--pdeathsig", "KILL", *self._command(program, args)]
        with open(os.path.join(self.folder, f"{program}.out"), "ab") as out:
            process = subprocess.Popen(command, env=dict(os.environ, **env),
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
        self.processes.append(process)
        return process

    def _run(self, program, *args, configured=True):
        done = subprocess.run(self._command(program, args, configured), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=START_LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(args)}: {done.stderr or done.stdout}")
        return done.stdout

    def _ceph(self, *args):
        return self._run("ceph", *args)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: rgw.py FOLDER")
    os.makedirs(sys.argv[1], exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Rgw(sys.argv[1]).start()
    try:
        print(f"endpoint={server.endpoint}")
        print(f"AWS_ACCESS_KEY_ID={server.access_key}")
        print(f"AWS_SECRET_ACCESS_KEY={server.secret_key}", flush=True)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
