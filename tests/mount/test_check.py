"""maciefs check: what the doctor finds, what it says to do, and that it leaves nothing behind."""

import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import corpus
import faults
import pytest
import rgw as rgw_module
import stores
from mount import (BARE_ENVIRONMENT, BINARY, PATIENCE_S, is_mounted, option_list,
                   sanitizer_environment, sanitizer_reports, wait_until)
from test_tls import Authority

STEPS = ["options", "credentials", "region", "reachability", "tls", "listing", "newest_hour",
         "object", "cache", "mount_point", "fuse", "mount_helper", "allow_other", "wazuh"]
OF_A_BUCKET = STEPS[1:5]
STATES = ("ok", "warning", "failed", "not_asked")
HOUR = 3600


class Report:
    """What --json said."""

    def __init__(self, text, code):
        said = json.loads(text)
        self.text = text
        self.source = said["source"]
        self.works = said["works"]
        self.steps = {step["step"]: step for step in said["steps"]}
        assert list(self.steps) == STEPS
        assert set(said) - {"policy"} == {"source", "works", "steps"}
        for step in said["steps"]:
            assert set(step) == {"step", "state", "found", "cure"} and step["state"] in STATES
            assert bool(step["cure"]) == (step["state"] in ("failed", "warning")), step
            assert step["cure"] or step["found"], step
        assert self.works == (code == 0) == (self.named("failed") == [])

    def named(self, state):
        return [name for name, step in self.steps.items() if step["state"] == state]

    def state(self, name):
        return self.steps[name]["state"]

    def found(self, name):
        return self.steps[name]["found"]

    def cure(self, name):
        return self.steps[name]["cure"]


class Doctor:
    """Runs the program on stores; afterwards, what it left behind is looked for."""

    def __init__(self, folder):
        self.folder = folder
        self.cache = os.path.join(folder, "caches", "cache")
        self.said = []

    def command(self, store, *arguments, options=None):
        options = {"cache": self.cache, **store.options, **(options or {})}
        return [BINARY, "check", store.source, *arguments, "-o", option_list(options)]

    def env(self, store, env=None):
        return {**BARE_ENVIRONMENT, **sanitizer_environment(self.folder),
                **(store.env if env is None else env)}

    def run(self, store, *arguments, options=None, env=None, before=()):
        store.settle()
        done = subprocess.run([*before, *self.command(store, *arguments, options=options)],
                              env=self.env(store, env), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=2 * PATIENCE_S)
        assert done.stderr == ""
        assert done.returncode in (0, 1)
        self.said.append(done.stdout)
        return done

    def __call__(self, store, *arguments, **how):
        done = self.run(store, *arguments, "--json", **how)
        return Report(done.stdout, done.returncode)


@pytest.fixture
def check(folder):
    doctor = Doctor(folder)
    os.mkdir(os.path.dirname(doctor.cache))
    yield doctor
    assert not sanitizer_reports(folder)
    assert os.listdir(os.path.dirname(doctor.cache)) == []


@pytest.fixture
def point(folder):
    path = os.path.join(folder, "point")
    os.mkdir(path)
    yield path
    assert not is_mounted(path)


@pytest.fixture
def recent(rng, hour):
    return corpus.delivery(rng, hour, corpus.random_events(rng, 7), compression="gzip")


@pytest.fixture
def filled(store, recent):
    store.put_all([recent])
    return store


@pytest.fixture
def filled_bucket(bucket, recent):
    bucket.put_all([recent])
    return bucket


@pytest.fixture
def filled_folder(local, recent):
    local.put_all([recent])
    return local


@pytest.fixture
def filled_faulty(faulty, recent):
    recent.modified = time.time() - 60
    faulty.put_all([recent])
    return faulty


# All is well

def test_all_is_well(filled, check, point, recent, hour):
    report = check(filled, point)
    assert report.works and report.source == filled.source
    of_a_bucket = ["not_asked"] * 4 if filled.source.startswith("file:") else ["ok", "ok", "ok",
                                                                             "not_asked"]
    assert [report.state(name) for name in OF_A_BUCKET] == of_a_bucket
    for name in ("options", "listing", "newest_hour", "object", "cache", "mount_point", "fuse",
                 "allow_other"):
        assert report.state(name) == "ok", report.steps[name]
    assert report.found("newest_hour").startswith(f"{hour} with 1 object, the newest ")
    assert report.found("object") == f"gzip, 7 events in {len(recent.body)} bytes: {recent.key}"
    assert check.cache in report.found("cache") and "will be made" in report.found("cache")
    assert os.listdir(point) == []


def test_where_things_come_from(filled_bucket, check, rgw):
    report = check(filled_bucket)
    assert report.found("credentials") == ("keys from the environment, with the id "
                                           f"...{rgw.access_key[-4:]}")
    assert report.found("region") == "us-east-1, from AWS_DEFAULT_REGION"
    assert f"127.0.0.1, port {rgw.port}" in report.found("reachability")
    assert report.state("mount_point") == "not_asked"
    report = check(filled_bucket, options={"region": "eu-west-1"})
    assert report.found("region") == "eu-west-1, from region="


def test_people_get_marks(filled_folder, check, point):
    done = check.run(filled_folder, point)
    lines = done.stdout.splitlines()
    marks = {line.split()[1]: line.split()[0] for line in lines[:-1] if not line.startswith(" ")}
    assert list(marks) == STEPS
    assert marks["listing"] == "✔" and marks["credentials"] == "–"
    assert lines[-1] == "The mount would work."
    done = check.run(filled_folder, "/no/such/folder")
    assert done.returncode == 1
    assert "\n✘ mount_point " in done.stdout and "create the folder first" in done.stdout
    assert done.stdout.endswith("\nThe mount would not work.\n")


def test_marks_are_words_where_the_locale_has_no_others(filled_folder, check):
    done = check.run(filled_folder, "/no/such/folder", env={"LANG": "C"})
    assert done.stdout.isascii()
    assert "\nok       listing " in done.stdout and "\nFAILED   mount_point " in done.stdout


@pytest.mark.parametrize("arguments", [
    ["check"], ["check", "s3://bucket", "-o", "poll=0"], ["check", "/mnt"],
    ["check", "s3://bucket", "--jason"], ["check", "s3://bucket", "/mnt", "extra"],
], ids=" ".join)
def test_command_lines_that_are_none(arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode != 0 and done.stdout == "" and done.stderr.count("\n") == 1


def test_a_report_that_cannot_be_written(filled_folder, check):
    with open("/dev/full", "w") as full:
        done = subprocess.run(check.command(filled_folder), env=check.env(filled_folder),
                              stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == 1 and done.stderr == b"maciefs: what was found cannot be written\n"


# The way to the bucket

def test_no_credentials(filled_bucket, check, point):
    report = check(filled_bucket, point, env={})
    assert report.named("failed") == ["credentials"]
    assert "no AWS credentials were found" in report.cure("credentials")
    assert report.state("reachability") == report.state("cache") == report.state("fuse") == "ok"
    assert report.state("listing") == report.state("object") == "not_asked"
    assert "credentials" in report.found("listing")


def test_no_credentials_are_wanted(filled_bucket, check):
    report = check(filled_bucket, options={"no_sign": True}, env={})
    assert report.state("credentials") == "not_asked"
    assert report.named("failed") == ["listing"]


def test_a_profile_that_does_not_exist(filled_bucket, check):
    report = check(filled_bucket, options={"profile": "no-such-profile"})
    assert report.named("failed") == ["credentials"]
    assert "no-such-profile" in report.cure("credentials")


def test_the_keys_of_a_process(filled_bucket, check, folder, rgw):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    keys = {"Version": 1, "AccessKeyId": rgw.access_key, "SecretAccessKey": rgw.secret_key,
            "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    for name, text in (("keys", json.dumps(keys)),
                       ("config", f"[default]\ncredential_process = cat {folder}/keys\n")):
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)
    report = check(filled_bucket, env={"AWS_CONFIG_FILE": os.path.join(folder, "config")})
    assert report.works
    assert report.found("credentials") == (
        "keys from the profile's credential_process, with the id "
        f"...{rgw.access_key[-4:]}, until {end:%Y-%m-%d %H:%M} UTC")
    assert report.found("region") == "us-east-1, from the default"


def test_wrong_secret(filled_bucket, check):
    report = check(filled_bucket, env={**filled_bucket.env, "AWS_SECRET_ACCESS_KEY": "wrong-one"})
    assert report.named("failed") == ["listing"]
    assert "secret access key does not belong" in report.cure("listing")
    assert report.state("newest_hour") == report.state("object") == "not_asked"
    assert "wrong-one" not in report.text


def test_no_such_bucket(filled_bucket, check):
    filled_bucket.source = "s3://no-such-bucket-here/macie/"
    report = check(filled_bucket)
    assert report.named("failed") == ["listing"]
    assert "no-such-bucket-here" in report.cure("listing")


def test_no_such_prefix(filled_bucket, check):
    filled_bucket.source = f"s3://{filled_bucket.bucket}/misspelt/"
    report = check(filled_bucket)
    assert report.named("failed") == ["listing"] and "misspelt" in report.cure("listing")


def test_a_region_that_is_none(filled_bucket, check):
    report = check(filled_bucket, options={"region": "EU_West"})
    assert report.named("failed") == ["options"] and "EU_West" in report.cure("options")
    assert report.state("reachability") == "not_asked" and report.state("cache") == "ok"


def test_the_buckets_own_region(filled_faulty, fault_server, check):
    fault_server.region = "eu-central-1"
    report = check(filled_faulty)
    assert report.works
    assert report.found("region") == "us-east-1, from AWS_DEFAULT_REGION"
    assert "region=eu-central-1" in report.found("listing")


def test_a_region_that_the_bucket_is_not_in(filled_faulty, fault_server, check):
    fault_server.arm("redirect", times=float("inf"), status=301, region="eu-north-1",
                     location="http://bucket.s3.eu-north-1.amazonaws.com/")
    report = check(filled_faulty)
    assert report.named("failed") == ["listing"] and "eu-north-1" in report.cure("listing")


def test_nobody_listens_at_the_endpoint(filled_bucket, check):
    endpoint = f"http://127.0.0.1:{rgw_module.free_port()}"
    report = check(filled_bucket, options={"endpoint": endpoint})
    assert report.named("failed") == ["reachability"]
    assert endpoint.removeprefix("http://") in report.cure("reachability")
    assert report.state("credentials") == "ok"
    assert report.state("tls") == report.state("listing") == "not_asked"


def test_an_endpoint_with_no_such_host(filled_bucket, check):
    report = check(filled_bucket, options={"endpoint": "http://no-such-host.invalid"})
    assert report.named("failed") == ["reachability"]
    assert "no-such-host.invalid" in report.cure("reachability")


def test_an_endpoint_that_swallows_all(filled_bucket, check):
    """A full queue drops who comes, as a network does that is away: that takes one time limit."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        report = check(filled_bucket,
                       options={"endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        for one in waiting:
            one.close()
    assert report.named("failed") == ["reachability"]
    assert "in time" in report.cure("reachability")


def test_ctrl_c_ends_it(filled_faulty, fault_server, check):
    fault_server.arm("silent")
    process = subprocess.Popen(check.command(filled_faulty), env=check.env(filled_faulty),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: fault_server.count("list"), "the request")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    assert "reachability" in out.decode() and b"listing" not in out and err == b""


# TLS

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority, recent):
    """A filled prefix on a server with a certificate of the authority's."""
    context = authority.context("check", "IP:127.0.0.1")
    server = faults.FaultServer(tls=context).start()
    store = stores.Faulty(server)
    recent.modified = time.time() - 60
    store.put_all([recent])
    yield store
    server.stop()


def test_a_certificate_that_is_trusted(secure, authority, check):
    report = check(secure, options={"ca_bundle": authority.bundle})
    assert report.works and report.state("tls") == "ok"
    assert "until" in report.found("tls") and "GMT" in report.found("tls")


def test_an_unknown_authority(secure, check):
    report = check(secure)
    assert report.named("failed") == ["tls"]
    assert "certificate that cannot be trusted" in report.cure("tls")
    assert report.state("reachability") == "ok" and report.state("listing") == "not_asked"


def test_a_bundle_that_cannot_be_read(secure, check):
    report = check(secure, env={**secure.env, "AWS_CA_BUNDLE": "/nonexistent/ca.pem"})
    assert report.named("failed") == ["tls"] and "/nonexistent/ca.pem" in report.cure("tls")


def test_https_to_a_server_that_speaks_http(filled_bucket, rgw, check):
    report = check(filled_bucket, options={"endpoint": f"https://127.0.0.1:{rgw.port}"})
    assert report.named("failed") == ["tls"] and "https" in report.cure("tls")


# What is in it

def test_no_hour_yet(local, check):
    report = check(local)
    assert report.works and report.state("newest_hour") == "warning"
    assert report.state("object") == "not_asked"


def test_the_newest_of_many(local, check, rng, old_hour, hour):
    now = int(time.time())
    early, newest = (corpus.delivery(rng, hour, modified=now - age) for age in (900, 300))
    local.put_all([corpus.delivery(rng, old_hour, modified=now - 100 * HOUR), newest, early])
    report = check(local)
    assert report.found("newest_hour").startswith(f"{hour} with 2 objects, the newest 5 minutes")
    assert report.found("object").endswith(newest.key)


def test_nothing_came_for_long(local, check, rng, old_hour):
    local.put_all([corpus.delivery(rng, old_hour, modified=int(time.time()) - 100 * HOUR)])
    report = check(local)
    assert report.works and report.state("newest_hour") == "warning"
    assert "4 days old" in report.found("newest_hour") and "24 hours" in report.cure("newest_hour")
    assert check(local, options={"window": "7d"}).state("newest_hour") == "ok"


def test_hours_of_another_zone(local, check, rng):
    ahead = corpus.now_hour(5)
    local.put_all([corpus.delivery(rng, ahead, modified=int(time.time()) - 60)])
    report = check(local)
    assert report.state("newest_hour") == "warning" and "timezone=" in report.cure("newest_hour")
    assert check(local, options={"timezone": "+05:00"}).state("newest_hour") == "ok"


def test_a_zone_that_is_none(local, check):
    report = check(local, options={"timezone": "Mars/Olympus"})
    assert report.named("failed") == ["options"] and "Mars/Olympus" in report.cure("options")


@pytest.mark.parametrize("form, name", [("plain", "plain"), ("zip-deflated", "zip"),
                                        ("snappy", "snappy"), ("hadoop-snappy", "hadoop-snappy")])
def test_formats(local, check, rng, hour, form, name):
    local.put_all([corpus.delivery(rng, hour, corpus.random_events(rng, 3), compression=form)])
    assert check(local).found("object").startswith(f"{name}, 3 events in ")


def test_a_damaged_object(local, check, recent):
    recent.body = recent.body[:-6]
    local.put_all([recent])
    report = check(local)
    assert report.works and report.state("object") == "warning"
    assert recent.key in report.cure("object") and "damaged at byte" in report.cure("object")


def test_an_object_without_events(local, check, hour):
    local.put_all([corpus.Delivery(f"{hour}/some-log", b"one line\nand another\n")])
    report = check(local)
    assert report.works and report.state("object") == "warning"
    assert report.cure("object").startswith("2 of its lines")


def test_no_right_to_get(filled_faulty, fault_server, check):
    fault_server.arm("status", on=faults.GET, times=float("inf"), status=403, code="AccessDenied")
    report = check(filled_faulty)
    assert report.named("failed") == ["object"] and "s3:GetObject" in report.cure("object")


def test_the_policy_that_is_needed_is_shown(filled_faulty, fault_server, check):
    key = "arn:aws:kms:us-east-1:111122223333:key/k"
    fault_server.arm("status", on=faults.GET, times=float("inf"), status=403, code="AccessDenied",
                     message="User: arn:aws:iam::111122223333:user/u is not authorized to perform: "
                             f"kms:Decrypt on resource: {key} because no identity-based policy "
                             "allows the kms:Decrypt action")
    done = check.run(filled_faulty)
    policy = json.loads(done.stdout[done.stdout.index("{"):])
    assert json.loads(check.run(filled_faulty, "--json").stdout)["policy"] == policy
    lists, gets, decrypts = policy["Statement"]
    assert lists["Action"] == "s3:ListBucket" and gets["Action"] == "s3:GetObject"
    assert (decrypts["Action"], decrypts["Resource"]) == ("kms:Decrypt", key)


def test_an_object_that_went_meanwhile(filled_faulty, fault_server, check):
    fault_server.arm("status", on=faults.GET, status=404, code="NoSuchKey")
    report = check(filled_faulty)
    assert report.works and report.state("object") == "warning"


def test_only_the_beginning_of_a_huge_object(local, check, hour):
    local.put_all([corpus.Delivery(f"{hour}/huge", b'{"detail":{"a":1}}\n')])
    path = os.path.join(local.path, hour, "huge")
    before = os.stat(path)
    with open(path, "ab") as out:
        out.truncate(1 << 40)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = check(local)
    assert "plain, 1 event in the first 67108864 bytes" in report.found("object")


# This machine

def test_a_cache_that_is_a_file(filled_folder, folder, check):
    path = os.path.join(folder, "not-a-folder")
    with open(path, "w"):
        pass
    report = check(filled_folder, options={"cache": path})
    assert report.named("failed") == ["cache"] and path in report.cure("cache")


def test_a_cache_without_room(filled_folder, check):
    report = check(filled_folder, options={"cache": "/proc/nothing"})
    assert report.named("failed") == ["cache"] and "no room" in report.cure("cache")


def test_a_cache_that_the_disk_is_too_small_for(filled_folder, small_disk, check):
    options = {"cache": small_disk}
    report = check(filled_folder, options=options)
    assert report.works and report.state("cache") == "warning"
    assert "cache_size" in report.cure("cache")
    assert check(filled_folder, options={**options, "cache_size": "16M"}).state("cache") == "ok"
    assert os.listdir(small_disk) == []


def test_a_cache_of_another_source(filled_folder, folder, make_mount, check):
    mount = make_mount(filled_folder)
    mount.unmount()
    other = stores.Folder(os.path.join(folder, "other"))
    report = check(other, options={"cache": mount.cache})
    assert report.named("failed") == ["cache"] and filled_folder.source in report.cure("cache")


def test_a_mount_that_is_running(filled_folder, make_mount, check):
    mount = make_mount(filled_folder)
    mount.read(corpus.now_hour())
    report = check(filled_folder, mount.path, options={"cache": mount.cache})
    assert report.works and report.state("cache") == "ok"
    assert "a mount that is running uses it" in report.found("cache")
    assert report.state("mount_point") == "warning"
    assert filled_folder.source in report.found("mount_point")
    assert "fuse.maciefs" in report.found("mount_point")


def test_mount_points(filled_folder, folder, point, check):
    report = check(filled_folder, os.path.join(folder, "missing"))
    assert report.named("failed") == ["mount_point"]
    report = check(filled_folder, filled_folder.path)
    assert report.named("failed") == ["mount_point"]
    assert "must not lie in the SOURCE" in report.cure("mount_point")
    with open(os.path.join(point, "letter"), "w"):
        pass
    report = check(filled_folder, point)
    assert report.works and report.state("mount_point") == "warning"
    assert "is not empty" in report.found("mount_point")
    os.unlink(os.path.join(point, "letter"))


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def elsewhere(folder):
    """Runs a script in a mount namespace of its own, in which the machine may be changed, with the
    binary where every user may run it."""
    os.mkdir(os.path.join(folder, "bin"))
    binary = os.path.join(folder, "bin", "maciefs")
    shutil.copy(BINARY, binary)
    os.chmod(binary, 0o755)

    def run(check, store, script, *arguments, before=(), options=None):
        command = check.command(store, *arguments, "--json", options=options)
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "bash", "-ec",
             script + '\n"${@}"', "bash", *before, binary, *command[1:]],
            env={**check.env(store), "FOLDER": folder}, cwd="/", capture_output=True, text=True,
            timeout=PATIENCE_S)
        assert done.stderr == ""
        return Report(done.stdout, done.returncode)

    return run


@pytest.fixture
def open_fuse():
    """A script that opens /dev/fuse to all, and /etc/fuse.conf as `conf`."""
    def script(mode="666", conf=""):
        return (f"touch $FOLDER/fuse; chmod {mode} $FOLDER/fuse; mount --bind $FOLDER/fuse /dev/fuse\n"
                f"printf '{conf}' >$FOLDER/fuse.conf; mount --bind $FOLDER/fuse.conf /etc/fuse.conf")
    return script


def test_an_ordinary_user(filled_folder, folder, check, elsewhere, open_fuse, point):
    os.chmod(os.path.dirname(check.cache), 0o777)
    os.chmod(point, 0o777)
    report = elsewhere(check, filled_folder, open_fuse(), point, before=NOBODY)
    assert report.works
    assert "fusermount3" in report.found("fuse") and report.state("allow_other") == "not_asked"
    os.chmod(point, 0o755)
    report = elsewhere(check, filled_folder, open_fuse(), point, before=NOBODY)
    assert report.named("failed") == ["mount_point"] and "chown" in report.cure("mount_point")


def test_an_ordinary_user_who_may_not_open_fuse(filled_folder, check, elsewhere, open_fuse):
    os.chmod(os.path.dirname(check.cache), 0o777)
    report = elsewhere(check, filled_folder, open_fuse("600"), before=NOBODY)
    assert report.named("failed") == ["fuse"] and "/dev/fuse" in report.cure("fuse")


def test_an_ordinary_user_without_a_cache(filled_folder, check, elsewhere, open_fuse):
    report = elsewhere(check, filled_folder, open_fuse(), before=NOBODY)
    assert report.named("failed") == ["cache"] and check.cache in report.cure("cache")


@pytest.mark.parametrize("conf, works", [("", False), ("# user_allow_other\\n", False),
                                         ("mount_max = 9\\nuser_allow_other\\n", True)])
def test_an_ordinary_user_and_others(filled_folder, check, elsewhere, open_fuse, conf, works):
    os.chmod(os.path.dirname(check.cache), 0o777)
    report = elsewhere(check, filled_folder, open_fuse(conf=conf), before=NOBODY,
                       options={"allow_other": True})
    assert report.named("failed") == ([] if works else ["allow_other"])
    if not works:
        assert "user_allow_other" in report.cure("allow_other")


def test_root_that_may_not_mount(filled_folder, check, elsewhere, open_fuse):
    report = elsewhere(check, filled_folder, open_fuse(),
                       before=["setpriv", "--bounding-set", "-sys_admin"])
    assert report.named("failed") == ["fuse"] and "SYS_ADMIN" in report.cure("fuse")


def test_mounts_helper(filled_folder, check, elsewhere):
    bare = "mkdir -p $FOLDER/{sbin,local}; mount --bind $FOLDER/sbin /usr/sbin\n"
    report = elsewhere(check, filled_folder, bare + "mount --bind $FOLDER/local /usr/local/bin")
    assert report.works and report.state("mount_helper") == "warning"
    assert "make install" in report.cure("mount_helper")
    installed = bare + "mount --bind $FOLDER/bin /usr/local/bin"
    report = elsewhere(check, filled_folder, installed)
    assert "package fuse3" in report.cure("mount_helper")
    report = elsewhere(check, filled_folder, installed + "; cp /bin/true /usr/sbin/mount.fuse")
    assert report.found("mount_helper").endswith("mount.fuse, which runs /usr/local/bin/maciefs")
    report = elsewhere(check, filled_folder,
                       bare + "ln -s $FOLDER/bin/maciefs /usr/sbin/mount.fuse.maciefs")
    assert report.found("mount_helper").endswith("/mount.fuse.maciefs")


# Wazuh

LOCALFILE = """<ossec_config>
<localfile><log_format>json</log_format><location>{}</location>{}</localfile>
</ossec_config>
"""
KEEPS = "<only-future-events>no</only-future-events>"


@pytest.fixture
def wazuh(folder, elsewhere):
    """Examines where Wazuh is installed with an ossec.conf."""
    def run(check, store, *arguments, conf=None, **how):
        ossec = os.path.join(folder, "var", "ossec")
        for name in ("bin", "etc"):
            os.makedirs(os.path.join(ossec, name), exist_ok=True)
        with open(os.path.join(ossec, "bin", "wazuh-logcollector"), "w"):
            pass
        with open(os.path.join(ossec, "etc", "ossec.conf"), "w") as out:
            out.write(conf or "")
        return elsewhere(check, store, "mount --bind $FOLDER/var /var", *arguments, **how)
    return run


def test_without_wazuh(filled_folder, check, elsewhere):
    report = elsewhere(check, filled_folder, "mkdir $FOLDER/var; mount --bind $FOLDER/var /var")
    assert report.works and report.state("wazuh") == "not_asked"


def test_wazuh_that_reads_the_view(filled_folder, check, point, wazuh):
    conf = LOCALFILE.format(f"{point}/wazuh/*.json", KEEPS)
    assert wazuh(check, filled_folder, point, conf=conf).state("wazuh") == "ok"
    report = wazuh(check, filled_folder, point, conf=conf.replace(KEEPS, ""))
    assert report.state("wazuh") == "warning" and KEEPS in report.cure("wazuh")


def test_wazuh_that_does_not_read_the_view(filled_folder, check, point, wazuh):
    report = wazuh(check, filled_folder, point, conf=LOCALFILE.format("/var/log/x", KEEPS))
    assert report.works and report.state("wazuh") == "warning"
    assert f"{point}/wazuh/*.json" in report.cure("wazuh")


def test_wazuh_that_is_kept_out(filled_folder, check, wazuh):
    report = wazuh(check, filled_folder, options={"noallow_other": True})
    assert report.works and "allow_other" in report.cure("wazuh")


# Secrets

def test_secrets_are_not_told(filled_bucket, faulty, fault_server, check, rgw):
    token = "SESSION-TOKEN-OF-THE-TEST"
    check(filled_bucket)
    check.run(filled_bucket)
    check(filled_bucket, env={**filled_bucket.env, "AWS_SECRET_ACCESS_KEY": rgw.secret_key + "x"})
    fault_server.arm("status", times=float("inf"), status=403, code="InvalidToken")
    report = check(faulty, env={**faulty.env, "AWS_SESSION_TOKEN": token})
    assert report.found("credentials").startswith("temporary keys from the environment")
    assert report.state("credentials") == "warning"
    assert "cannot be renewed" in report.cure("credentials")
    check.run(faulty, env={**faulty.env, "AWS_SESSION_TOKEN": token})
    for said in check.said:
        for secret in (rgw.secret_key, rgw.access_key, token, faults.SECRET_KEY,
                       faults.ACCESS_KEY, "Signature"):
            assert secret not in said
