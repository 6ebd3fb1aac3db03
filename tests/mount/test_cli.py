"""What the command line accepts and refuses: a refusal is a non-zero exit, one sentence on stderr
that says what to mend, and nothing mounted."""

import json
import os
import pty
import re
import shutil
import stat
import subprocess

import corpus
import pytest
import rgw as rgw_module
import stores
from mount import (BINARY, PATIENCE_S, MountFailed, assert_same, is_mounted, parent_of, pids_naming,
                   sanitizer_environment, sanitizer_reports, wait_until)


def run(*arguments, env=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_S)


class Refusals:
    """Starts mounts that must fail, in both modes, and returns what was said: one sentence; where a
    right is missing, the policy that gives it follows."""

    def __init__(self, make_mount):
        self.make_mount = make_mount

    def __call__(self, store, options=None, **how):
        said = []
        for background in (True, False):
            mount = self.make_mount(store, options, start=False, background=background, **how)
            with pytest.raises(MountFailed) as failed:
                mount.start()
            assert failed.value.code not in (0, None) and failed.value.code > 0
            sentence, end, more = failed.value.stderr.partition("\n")
            said.append(sentence)
            assert end, sentence
            self.policy = json.loads(more.partition("\n")[2]) if " denies s3:" in sentence else None
            assert self.policy or not more, more
            assert not is_mounted(mount.path)
            assert mount.ended()
            assert os.listdir(mount.path) == []
        return said[0]


@pytest.fixture
def refusal(make_mount):
    return Refusals(make_mount)


@pytest.fixture
def filled(local, rng):
    local.put_all([corpus.delivery(rng, "2026/01/05/07")])
    return local


@pytest.fixture
def filled_bucket(bucket, rng, old_hour):
    bucket.put_all([corpus.delivery(rng, old_hour)])
    return bucket


def test_version_and_help():
    version = run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("maciefs ") and version.stdout.count("\n") == 1
    usage = run("--help")
    assert (usage.returncode, usage.stderr) == (0, "")
    for option in ("endpoint", "addressing", "region", "profile", "poll", "timezone", "dir_ttl",
                   "cache", "cache_size", "connections", "max_object", "uid", "gid", "umask",
                   "allow_other"):
        assert option in usage.stdout


@pytest.mark.parametrize("arguments", [
    [], ["s3://bucket"], ["s3://bucket", "/mnt", "extra"], ["--no-such"], ["s3://bucket", "/mnt", "-o"],
    ["s3://bucket", "/mnt", "-x"], ["ftp://bucket", "/mnt"], ["bucket", "/mnt"], ["s3://", "/mnt"],
    ["s3:///prefix", "/mnt"], ["file://relative", "/mnt"], ["s3://bucket", "/no/such/folder"],
    ["s3://bucket", "/etc/passwd"], ["", ""],
], ids=" ".join)
def test_command_lines_that_are_none(arguments):
    done = run(*arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n")


@pytest.mark.parametrize("option, names", [
    ("rw", "rw"), ("no_such_option", "no_such_option"), ("no_such=1", "no_such"),
    ("poll=0", "poll"), ("poll=-1", "poll"), ("poll=x", "poll"), ("poll=1e9", "poll"), ("poll", "poll"),
    ("poll=99999", "poll"), ("poll=", "poll"), ("dir_ttl=-1", "dir_ttl"), ("dir_ttl=soon", "dir_ttl"),
    ("cache_size=1K", "cache_size"), ("cache_size=lots", "cache_size"),
    ("cache_size=99999999999999999999G", "cache_size"), ("cache_size=-1G", "cache_size"),
    ("connections=0", "connections"), ("connections=65", "connections"),
    ("connections=8x", "connections"), ("max_object=0", "max_object"), ("max_object=2T", "max_object"),
    ("uid=nobody-such", "uid"), ("gid=-5", "gid"), ("umask=9", "umask"), ("umask=77777", "umask"),
    ("timezone=Mars/Olympus", "timezone"), ("timezone=+25:00", "timezone"),
    ("timezone=../../etc/passwd", "timezone"), ("addressing=diagonal", "addressing"),
    ("endpoint=ftp://x", "endpoint"), ("endpoint=", "endpoint"), ("allow_other=1", "allow_other"),
    ("secret_access_key=x", "secret_access_key"),
])
def test_an_option_that_is_none_is_named(filled, refusal, option, names):
    name, _, value = option.partition("=")
    said = refusal(filled, {name: value if "=" in option else True})
    assert names in said


@pytest.mark.parametrize("options", [
    "ro,_netdev,nofail,x-systemd.automount,x-gvfs-show,nosuid,nodev,noexec,noatime,noauto,user",
    "defaults,relatime,nouser,comment=hello", "nosuid", "dirsync,sync,async,nodiratime,auto,users",
])
def test_mounts_options_are_accepted(filled, make_mount, options):
    mount = make_mount(filled, {name: True for name in options.split(",")})
    assert mount.read("2026/01/05/07")


def test_options_may_come_in_several_lists_and_anywhere(filled, make_mount):
    mount = make_mount(filled, arguments=["-o", "dir_ttl=1,connections=2", "-o", "umask=077"])
    assert stat.S_IMODE(os.stat(mount.log_path("2026/01/05/07")).st_mode) == 0o400


# What is not there, or not allowed

def test_no_such_folder(folder, refusal):
    missing = stores.Folder(os.path.join(folder, "there"))
    missing.source = f"file://{folder}/missing"
    assert f"{folder}/missing" in refusal(missing)


def test_a_source_that_is_a_file(folder, refusal):
    path = os.path.join(folder, "plain-file")
    with open(path, "w"):
        pass
    store = stores.Folder(os.path.join(folder, "there"))
    store.source = f"file://{path}"
    assert path in refusal(store)


def test_no_such_bucket(filled_bucket, refusal):
    filled_bucket.source = "s3://no-such-bucket-here/macie/"
    assert "no-such-bucket-here" in refusal(filled_bucket)


def test_nothing_under_the_prefix(filled_bucket, refusal):
    filled_bucket.source = f"s3://{filled_bucket.bucket}/misspelt/"
    assert "misspelt" in refusal(filled_bucket)


def test_an_existing_prefix_without_hours_mounts(bucket, make_mount, rng, hour):
    bucket.put_all([corpus.Delivery("", b"")])
    mount = make_mount(bucket)
    assert mount.read(hour) == b""
    one = corpus.delivery(rng, hour)
    bucket.put(one)
    mount.wait_for_log(hour, one.log)


def test_an_empty_folder_mounts(local, make_mount, rng, hour):
    mount = make_mount(local)
    one = corpus.delivery(rng, hour)
    local.put(one)
    mount.wait_for_log(hour, one.log)


def test_wrong_secret(filled_bucket, refusal):
    said = refusal(filled_bucket, env={**filled_bucket.env, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "secret" in said.lower() or "signature" in said.lower() or "credential" in said.lower()
    assert "wrong" not in said.split()


def test_unknown_key(filled_bucket, refusal):
    refusal(filled_bucket, env={**filled_bucket.env, "AWS_ACCESS_KEY_ID": "UNKNOWNKEY"})


def test_no_credentials(filled_bucket, refusal):
    assert "credentials" in refusal(filled_bucket, env={})


def test_no_right_to_list(rgw, filled_bucket, refusal):
    rgw.add_user("stranger", "STRANGERKEY", "stranger-secret")
    refusal(filled_bucket, env={"AWS_ACCESS_KEY_ID": "STRANGERKEY", "AWS_DEFAULT_REGION": "us-east-1",
                                "AWS_SECRET_ACCESS_KEY": "stranger-secret"})
    arn = f"arn:aws:s3:::{filled_bucket.bucket}"
    lists, gets = refusal.policy["Statement"]
    assert (lists["Action"], lists["Resource"]) == ("s3:ListBucket", arn)
    assert lists["Condition"] == {"StringLike": {"s3:prefix": "macie/*"}}
    assert (gets["Action"], gets["Resource"]) == ("s3:GetObject", f"{arn}/macie/*")


def test_nobody_listens_at_the_endpoint(filled_bucket, refusal):
    endpoint = f"http://127.0.0.1:{rgw_module.free_port()}"
    assert endpoint.removeprefix("http://") in refusal(filled_bucket, {"endpoint": endpoint})


def test_an_endpoint_with_no_such_host(filled_bucket, refusal):
    assert "no-such-host.invalid" in refusal(filled_bucket, {"endpoint": "http://no-such-host.invalid"})


def test_an_endpoint_that_is_no_s3(filled_bucket, fault_server, refusal):
    fault_server.arm("body", times=float("inf"), body=b"<html>It works!</html>")
    refusal(filled_bucket, {"endpoint": fault_server.endpoint})


def test_https_to_a_server_that_speaks_http(filled_bucket, rgw, refusal):
    refusal(filled_bucket, {"endpoint": f"https://127.0.0.1:{rgw.port}"})


def test_the_buckets_region_is_found(faulty, fault_server, make_mount, rng, old_hour):
    deliveries = faulty.put_all([corpus.delivery(rng, old_hour, modified=1_700_000_000)])
    fault_server.region = "eu-central-1"
    mount = make_mount(faulty, {"region": "us-east-1"})
    assert_same(corpus.expected_log(deliveries), mount.read(old_hour))


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_clock_that_is_off_is_made_up_for(faulty, fault_server, make_mount, rng, old_hour, skew):
    deliveries = faulty.put_all([corpus.delivery(rng, old_hour, modified=1_700_000_000)])
    fault_server.clock_skew = skew
    mount = make_mount(faulty)
    assert_same(corpus.expected_log(deliveries), mount.read(old_hour))
    # The first requests of the process that mounts, and of the one that serves, are refused; those
    # that are out when it learns of the difference are sent again as well.
    assert 2 <= fault_server.refused_dates <= 10
    assert mount.status()["failures"] == 0


@pytest.mark.parametrize("status, code", [(301, "PermanentRedirect"), (307, "TemporaryRedirect")])
def test_a_bucket_elsewhere(faulty, fault_server, refusal, rng, old_hour, status, code):
    faulty.put_all([corpus.delivery(rng, old_hour, modified=1_700_000_000)])
    fault_server.arm("redirect", times=float("inf"), status=status, code=code, region="eu-north-1",
                     location="http://bucket.s3.eu-north-1.amazonaws.com/")
    said = refusal(faulty)
    assert "eu-north-1" in said


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "InvalidToken",
                                  "RequestTimeTooSkewed", "AllAccessDisabled"])
def test_refusals_of_the_server(faulty, fault_server, refusal, rng, old_hour, code):
    faulty.put_all([corpus.delivery(rng, old_hour, modified=1_700_000_000)])
    armed = fault_server.arm("status", times=float("inf"), status=403, code=code)
    assert refusal(faulty)
    assert armed.hits <= 2 * 3, "4xx is not tried again"


def test_a_profile_that_does_not_exist(filled_bucket, refusal):
    assert "no-such-profile" in refusal(filled_bucket, {"profile": "no-such-profile"})


@pytest.mark.parametrize("file", ["credentials", "config"])
def test_a_profile_of_the_shared_files(filled_bucket, make_mount, folder, old_hour, file):
    path = os.path.join(folder, file)
    section = "audit" if file == "credentials" else "profile audit"
    with open(path, "w") as out:
        out.write("[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n\n"
                  f"# a comment\n[{section}]\n"
                  f"aws_access_key_id={filled_bucket.env['AWS_ACCESS_KEY_ID']}\n"
                  f"aws_secret_access_key = {filled_bucket.env['AWS_SECRET_ACCESS_KEY']}\n"
                  "region = us-east-1\n")
    variable = {"credentials": "AWS_SHARED_CREDENTIALS_FILE", "config": "AWS_CONFIG_FILE"}[file]
    mount = make_mount(filled_bucket, {"profile": "audit"}, env={variable: path})
    assert mount.read(old_hour)


def test_secrets_are_nowhere_to_be_seen(filled_bucket, make_mount, old_hour):
    mount = make_mount(filled_bucket, arguments=["-d"])
    assert mount.read(old_hour)
    secret = filled_bucket.env["AWS_SECRET_ACCESS_KEY"]
    with open("/proc/self/mounts") as mounts:
        assert secret not in mounts.read()
    assert secret not in mount.stderr
    assert "Signature=" not in mount.stderr
    for top, _, files in os.walk(mount.cache):
        for name in files:
            with open(os.path.join(top, name), "rb") as content:
                assert secret.encode() not in content.read()


def test_a_cache_that_is_a_file(filled, folder, refusal):
    path = os.path.join(folder, "not-a-folder")
    with open(path, "w"):
        pass
    assert path in refusal(filled, {"cache": path})


def test_a_cache_that_cannot_be_written(filled, refusal):
    assert "/proc/nothing" in refusal(filled, {"cache": "/proc/nothing"})


def test_a_cache_with_other_things_in_it(filled, folder, make_mount):
    """Whether it is refused or used, what was there is left alone."""
    path = os.path.join(folder, "precious")
    os.mkdir(path)
    with open(os.path.join(path, "letter.txt"), "w") as letter:
        letter.write("keep me")
    try:
        make_mount(filled, {"cache": path})
    except MountFailed as failed:
        assert failed.stderr.count("\n") == 1
    with open(os.path.join(path, "letter.txt")) as letter:
        assert letter.read() == "keep me"


def test_the_cache_is_for_the_owner_alone(filled, make_mount):
    mount = make_mount(filled)
    mount.read("2026/01/05/07")
    assert stat.S_IMODE(os.stat(mount.cache).st_mode) & 0o077 == 0


# Ways to mount

def test_background_returns_when_the_mount_works(store, make_mount, rng, old_hour):
    one = corpus.delivery(rng, old_hour)
    store.put_all([one])
    mount = make_mount(store, background=True)
    assert mount.stderr == ""
    assert is_mounted(mount.path)
    assert_same(one.log, mount.read(old_hour))
    mount.unmount()


@pytest.fixture
def tools(folder):
    """A folder with the binary, where other users may run it too."""
    path = os.path.join(folder, "bin")
    os.mkdir(path)
    shutil.copy(BINARY, os.path.join(path, "maciefs"))
    os.chmod(os.path.join(path, "maciefs"), 0o755)
    return path


@pytest.fixture
def fuse_for_all():
    """/dev/fuse open to everyone, as udev has it; not every container does."""
    before = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    os.chmod("/dev/fuse", 0o666)
    yield
    os.chmod("/dev/fuse", before)


# mount.fuse3 looks for programs in the system's folders alone, so the binary is laid over one of
# them, in a mount namespace that ends with the script: as a program of PATH, which mount.fuse3 runs,
# or as mount(8)'s own helper for the type.
INSTALLED = {
    "program": "mount --bind $TOOLS /usr/local/bin",
    "helper": "ln -s maciefs $TOOLS/mount.fuse.maciefs\n"
              "mount -t overlay overlay -o lowerdir=$TOOLS:/usr/sbin /usr/sbin",
}


def run_installed(way, script, **variables):
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-ec",
         f"{INSTALLED[way]}\n{script}"],
        env={**os.environ, **sanitizer_environment(variables["LOGS"]), **variables},
        capture_output=True, text=True, errors="surrogateescape",
        timeout=PATIENCE_S)


@pytest.mark.parametrize("given", ["", "ro,", "rw,", "defaults,_netdev,nofail,"],
                         ids=lambda text: text.rstrip(",") or "none")
@pytest.mark.parametrize("way", INSTALLED)
def test_mount_t_fuse_maciefs(filled, folder, tools, way, given):
    point = os.path.join(folder, "mnt")
    os.mkdir(point)
    done = run_installed(way, """
        mount -t fuse.maciefs "$SOURCE" "$POINT" -o "$OPTIONS"
        cat "$POINT/2026/01/05/07/macie.ndjson"
        findmnt -nro FSTYPE,OPTIONS "$POINT" >&2
        umount "$POINT"
    """, LOGS=folder, TOOLS=tools, SOURCE=filled.source, POINT=point, OPTIONS=f"{given}cache={folder}/cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("}\n")
    assert re.fullmatch(r"fuse\.maciefs ro(,\S*)?\n", done.stderr)
    wait_until(lambda: not pids_naming(point), "the daemon's end")


@pytest.mark.parametrize("way", INSTALLED)
def test_mount_t_fuse_maciefs_hands_failures_on(folder, tools, way):
    point = os.path.join(folder, "mnt")
    os.mkdir(point)
    done = run_installed(way, """
        mount -t fuse.maciefs file:///no/such/folder "$POINT" && exit 77
        ! findmnt "$POINT" || exit 78
        exit 79
    """, LOGS=folder, TOOLS=tools, POINT=point)
    assert done.returncode == 79
    assert "/no/such/folder" in done.stderr


def as_nobody(*command, **how):
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command],
                          capture_output=True, text=True, errors="surrogateescape",
                          timeout=PATIENCE_S, **how)


@pytest.fixture
def ordinary(folder, tools, fuse_for_all):
    """A mount point and a command line of user nobody's own; unmounted afterwards."""
    own = os.path.join(folder, "nobody")
    os.makedirs(os.path.join(own, "mnt"))
    for path in (own, os.path.join(own, "mnt")):
        os.chown(path, 65534, 65534)
    path = os.path.join(own, "mnt")
    yield path, own, {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": own,
                      **sanitizer_environment(own)}
    if is_mounted(path):
        subprocess.run(["umount", "-l", path], check=True)
    wait_until(lambda: not pids_naming(path), "the daemon's end")
    assert not sanitizer_reports(own)


def test_an_ordinary_user_can_mount(filled, ordinary):
    path, own, env = ordinary
    done = as_nobody("maciefs", filled.source, path, "-o", f"cache={own}/cache", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    log = f"{path}/2026/01/05/07/macie.ndjson"
    shown = as_nobody("cat", log)
    assert shown.returncode == 0 and shown.stdout.endswith("\n")
    owner = as_nobody("stat", "-c", "%u %g %a", log).stdout.split()
    assert owner == ["65534", "65534", "440"]
    assert as_nobody("fusermount3", "-u", path).returncode == 0
    assert not is_mounted(path)


def test_an_ordinary_users_mount_outlives_its_server(filled, ordinary):
    path, own, env = ordinary
    done = as_nobody("maciefs", filled.source, path, "-o", f"cache={own}/cache", env=env)
    assert done.returncode == 0, done.stderr
    log = f"{path}/2026/01/05/07/macie.ndjson"
    before = as_nobody("cat", log).stdout
    pids = pids_naming(path)
    server = next(pid for pid in pids if parent_of(pid) in pids)
    os.kill(server, 9)
    assert as_nobody("cat", log).stdout == before != ""


def test_an_ordinary_users_cache_is_in_his_home(filled, ordinary):
    path, own, env = ordinary
    done = as_nobody("maciefs", filled.source, path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert as_nobody("cat", f"{path}/2026/01/05/07/macie.ndjson").returncode == 0
    found = [os.path.join(top, name) for top, _, files in os.walk(own, onerror=lambda e: None)
             for name in files if ".cache" in top]
    assert found


def test_a_mount_on_a_terminal_ends_with_ctrl_c(filled, make_mount):
    """In the foreground of a terminal: Ctrl-C reaches keeper and server alike, and both end."""
    mount = make_mount(filled, start=False)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BINARY, mount.command, mount.env)
    wait_until(lambda: is_mounted(mount.path), "the mount")
    assert mount.read("2026/01/05/07")
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    wait_until(lambda: not is_mounted(mount.path), "the unmount")


def test_a_mount_point_that_is_mounted_already(filled, folder, make_mount):
    """As other file systems do, it mounts over; unmounting twice leaves nothing."""
    first = make_mount(filled)
    done = subprocess.run([BINARY, filled.source, first.path, "-o", f"cache={folder}/other-cache"],
                          env=first.env, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode == 0:
        subprocess.run(["umount", first.path], check=True)
    else:
        assert done.stderr.count("\n") == 1
    assert first.read("2026/01/05/07")
