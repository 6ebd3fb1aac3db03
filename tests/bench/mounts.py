"""Mounts to be measured, each fresh, cold and gone at the end of its `with` block."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

import bare
import data

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACIEFS = os.environ.get("MACIEFS", os.path.join(ROOT, ".build/release/maciefs"))
LIMIT_S = 120  # for a mount to come up, and to go


def wait_until(what, condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited in vain: " + what)
        time.sleep(0.02)


def environment(server):
    """The server's credentials, and nothing that the user has set for AWS."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return dict(clean, AWS_ACCESS_KEY_ID=server.access_key,
                AWS_SECRET_ACCESS_KEY=server.secret_key, AWS_REGION=bare.REGION)


@contextlib.contextmanager
def folder_for(name):
    """An empty folder with a mount point in it; unmounts what is on it and removes all."""
    folder = tempfile.mkdtemp(prefix=f"maciefs-bench-{name}-")
    mountpoint = os.path.join(folder, "mnt")
    os.mkdir(mountpoint)
    try:
        yield folder, mountpoint
    finally:
        if os.path.ismount(mountpoint):
            done = subprocess.run(["umount", mountpoint], check=False)
            if done.returncode != 0:
                subprocess.run(["umount", "-l", mountpoint], check=True)
        shutil.rmtree(folder)


class Maciefs:
    """A mount of maciefs: where it is, what it counts, and what memory it ever had."""

    def __init__(self, mountpoint, cache):
        self.mountpoint, self.cache = mountpoint, cache

    def processes(self):
        binary = os.path.realpath(MACIEFS)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") != binary:
                    continue
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    if os.fsencode(self.mountpoint) in cmdline.read().split(b"\0"):
                        yield pid

    def peak_kib(self):
        """VmHWM of the largest process of this mount."""
        peaks = [0]
        for pid in self.processes():
            with open(f"/proc/{pid}/status") as status:
                peaks += [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
        return max(peaks)

    def cpu_seconds(self):
        """What all processes of this mount have used so far."""
        ticks = 0
        for pid in self.processes():
            with open(f"/proc/{pid}/stat") as stat:
                ticks += sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def status(self):
        with open(os.path.join(self.mountpoint, ".maciefs/status.json")) as status:
            return json.load(status)


@contextlib.contextmanager
def maciefs(server, prefix, peaks, *options, endpoint=None):
    """Mounts the prefix with an empty cache, and adds the peak of its memory to `peaks`."""
    with folder_for("maciefs") as (folder, mountpoint):
        mount = Maciefs(mountpoint, os.path.join(folder, "cache"))
        options = ",".join([f"endpoint={endpoint or server.endpoint}", f"region={bare.REGION}",
                            f"cache={mount.cache}", *options])
        subprocess.run([MACIEFS, f"s3://{data.BUCKET}/{prefix}", mountpoint, "-o", options],
                       env=environment(server), check=True)
        try:
            yield mount
        finally:
            peaks.append(mount.peak_kib())
            subprocess.run(["umount", mountpoint], check=True)
            wait_until("maciefs ends", lambda: not any(mount.processes()))


@contextlib.contextmanager
def foreground(command, mountpoint, env):
    """Runs a program that mounts and stays; ends it after unmounting."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    try:
        wait_until(f"{command[0]} mounts", lambda: os.path.ismount(mountpoint) or process.poll())
        if not os.path.ismount(mountpoint):
            raise RuntimeError(f"{command[0]} did not mount")
        yield
        subprocess.run(["umount", mountpoint], check=True)
        process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def s3fs(server, prefix):
    """s3fs with room for all attributes and its parallel requests at 8, as maciefs has them."""
    with folder_for("s3fs") as (_, mountpoint):
        options = (f"url={server.endpoint},use_path_request_style,ro,endpoint={bare.REGION},"
                   "parallel_count=8,multireq_max=8,max_stat_cache_size=200000")
        command = ["s3fs", f"{data.BUCKET}:/{prefix}", mountpoint, "-f", "-o", options]
        env = environment(server)
        env.update(AWSACCESSKEYID=server.access_key, AWSSECRETACCESSKEY=server.secret_key)
        with foreground(command, mountpoint, env):
            yield mountpoint


@contextlib.contextmanager
def rclone(server, prefix):
    """rclone mount, spared the HEAD request an object that its default times cost."""
    with folder_for("rclone") as (folder, mountpoint):
        command = ["rclone", "mount", f":s3:{data.BUCKET}/{prefix}", mountpoint, "--read-only",
                   "--config", os.path.join(folder, "rclone.conf"), "--s3-provider=Ceph",
                   "--s3-env-auth", f"--s3-endpoint={server.endpoint}",
                   f"--s3-region={bare.REGION}", "--use-server-modtime", "--log-level=ERROR"]
        with foreground(command, mountpoint, environment(server)):
            yield mountpoint
