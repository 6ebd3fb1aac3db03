"""Credentials that change under a mount: renewed, ended before their time, replaced. Readers see
nothing of it, and what was replaced is gone from everywhere."""

import collections
import concurrent.futures
import json
import os
import secrets
import threading
import time

import corpus
import faults
import memory
import mount as mount_module
import pytest
import stores
import wazuh_view
from mount import PATIENCE_S, MountFailed, assert_same, wait_until
from test_credentials import ROLE, serve, sign_in, sts_answer  # noqa: F401: serve is a fixture
from test_tls import Authority

HOUR = LASTING_S = 3600


class Issuer:
    """Hands out credentials, numbered from 1, that the fault server then takes."""

    def __init__(self, server, now=time.time):
        self.server = server
        self.now = now
        self.issued = []
        self.token_bytes = 500
        self.server.keys = {}

    def issue(self, token_name="Token", **more):
        key = f"ISSUEDKEY{len(self.issued) + 1}"
        secret, token = secrets.token_hex(20), secrets.token_hex(self.token_bytes)
        mount_module.SECRETS.update({secret, token})
        self.server.keys[key] = token
        self.issued.append((key, secret, token))
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now() + LASTING_S))
        return {"AccessKeyId": key, "SecretAccessKey": secret, token_name: token,
                "Expiration": end, **more}

    def end_session(self):
        """What was issued last counts as expired from now on."""
        self.server.ended.add(self.issued[-1][2])


@pytest.fixture
def issuer(fault_server):
    return Issuer(fault_server)


def old_hours(faulty, rng, count, objects, now=None):
    """{hour: deliveries} of hours that nobody watches any more."""
    now = now or time.time()
    hours = [time.strftime("%Y/%m/%d/%H", time.gmtime(now - (100 + n) * HOUR)) for n in range(count)]
    return {hour: faulty.put_all(corpus.delivery(rng, hour, modified=1_700_000_000 + n)
                                 for n in range(objects)) for hour in hours}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def reads_of(mount, hours, times):
    """(path, what must be in it): each object, and each log so often, in the order of their names."""
    for hour, deliveries in hours.items():
        for delivery in deliveries:
            yield mount.object_path(delivery.key), delivery.plain
        for _ in range(times):
            yield mount.log_path(hour), corpus.expected_log(deliveries)


def check(path, expected):
    assert_same(expected, read(path))


def read_side_by_side(reads, threads=40):
    """Starts all the reads; returns what they are, to be waited for."""
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    started = [pool.submit(check, *one) for one in reads]
    pool.shutdown(wait=False)
    return started


def finish(started):
    for one in started:
        one.result(10 * PATIENCE_S)


def ended(started):
    return sum(one.done() for one in started)


def test_a_thousand_reads_across_a_refresh(faulty, fault_server, serve, make_mount, folder, rng):
    clock = wazuh_view.FakeClock(folder, fault_server)
    fault_server.clock_slack = float("inf")  # requests that are out while the clock is moved
    issuer = Issuer(fault_server, clock.now)
    held, given = threading.Event(), threading.Event()

    def answer(*_):
        if held.is_set():
            given.wait(10 * PATIENCE_S)
        return 200, json.dumps(issuer.issue())

    service = serve(answer, skew=clock.offset)
    hours = old_hours(faulty, rng, 10, 50, clock.now())
    mount = make_mount(faulty, {"connections": "16"},
                       env={**clock.env, "AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint})
    reads = list(reads_of(mount, hours, 50))
    assert len(reads) == 1000
    rng.shuffle(reads)
    assert len(service.requests) == 2, "the process that mounts, and the one that serves"
    started = read_side_by_side(reads)
    wait_until(lambda: ended(started) >= 100, "some reads")
    held.set()
    clock.advance(LASTING_S - 200)
    service.skew = clock.offset
    wait_until(lambda: len(service.requests) == 3, "the refresh")
    before = ended(started)
    # Nobody waits for it who does not have to.
    wait_until(lambda: ended(started) >= min(before + 300, 950), "reads during the refresh")
    given.set()
    finish(started)
    check(mount.at(".maciefs", "status.json"), read(mount.at(".maciefs", "status.json")))
    assert len(service.requests) == 3
    assert fault_server.refused_keys == 0
    assert mount.status()["failures"] == 0
    # Those of the refresh are used.
    wait_until(lambda: "ISSUEDKEY3/" in fault_server.requests[-1].headers["Authorization"],
               "a request with the new credentials")


def test_a_session_that_ends_before_its_time(faulty, fault_server, serve, issuer, make_mount, rng,
                                             hour):
    service = serve(lambda *_: (200, json.dumps(issuer.issue())))
    hours = old_hours(faulty, rng, 4, 50)
    base = int(time.time()) - 1000
    current = faulty.put_all([corpus.delivery(rng, hour, modified=base)])
    mount = make_mount(faulty, {"connections": "16"},
                       env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint})
    mount.wait_for_log(hour, corpus.expected_log(current))
    reads = list(reads_of(mount, hours, 10))
    rng.shuffle(reads)
    started = read_side_by_side(reads)
    for n in range(1, 4):
        wait_until(lambda: ended(started) >= n * 50, "some reads")
        refused = fault_server.refused_keys
        if n == 1:
            issuer.end_session()
            wait_until(lambda: fault_server.refused_keys > refused, "a refusal")
        current.append(corpus.delivery(rng, hour, modified=base + n))
        faulty.put(current[-1])
    finish(started)
    mount.wait_for_log(hour, corpus.expected_log(current))
    assert len(service.requests) == 3, "one refresh for all that were refused"
    assert mount.status()["failures"] == 0
    assert "expired" not in mount.stderr


def write_keys(path, key, secret):
    """As tools do it: the file is replaced."""
    mount_module.SECRETS.add(secret)
    with open(path + ".new", "w") as out:
        out.write(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    os.rename(path + ".new", path)


def test_keys_that_are_replaced_in_their_file(faulty, fault_server, make_mount, folder, rng, hour):
    path = os.path.join(folder, "credentials")
    write_keys(path, "OLDKEY", secrets.token_hex(20))
    fault_server.keys = {"OLDKEY": None}
    base = int(time.time()) - 1000
    current = faulty.put_all([corpus.delivery(rng, hour, modified=base)])
    mount = make_mount(faulty, env={"AWS_SHARED_CREDENTIALS_FILE": path})
    mount.wait_for_log(hour, corpus.expected_log(current))

    # In order: the new key, then the end of the old one.
    fault_server.keys["NEWKEY"] = None
    write_keys(path, "NEWKEY", secrets.token_hex(20))
    del fault_server.keys["OLDKEY"]
    current.append(corpus.delivery(rng, hour, modified=base + 1))
    faulty.put(current[-1])
    mount.wait_for_log(hour, corpus.expected_log(current))
    assert mount.status()["failures"] == 0

    # The wrong way round: it is away until the file is right.
    fault_server.keys = {"NEWESTKEY": None}
    current.append(corpus.delivery(rng, hour, modified=base + 2))
    faulty.put(current[-1])
    wait_until(lambda: "does not know the access key id" in mount.stderr, "a message")
    assert_same(corpus.expected_log(current[:-1]), mount.read(hour))
    write_keys(path, "NEWESTKEY", secrets.token_hex(20))
    mount.wait_for_log(hour, corpus.expected_log(current))
    assert mount.stderr.count("does not know the access key id") == 1
    assert "answers again" in mount.stderr


def test_a_role_of_the_real_server(rgw, bucket, make_mount, rng, hour, old_hour):
    name = f"role-{bucket.bucket}"
    options = {"role_arn": rgw.add_role(name), "sts_endpoint": rgw.sts_endpoint,
               "endpoint": rgw.sts_endpoint}
    old = bucket.put_all(corpus.delivery(rng, old_hour) for _ in range(10))
    with pytest.raises(MountFailed) as failed:
        make_mount(bucket, options, start=False).start()
    sentence, _, policy = failed.value.stderr.split("\n", 2)
    assert f"denies s3:ListBucket on arn:aws:s3:::{bucket.bucket}" in sentence

    # The policy that it showed is all that it needs.
    rgw.allow(name, json.loads(policy)["Statement"])
    mount = make_mount(bucket, options)
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    late = corpus.delivery(rng, hour)
    bucket.put(late)
    mount.wait_for_log(hour, late.log)
    for delivery in old:
        check(mount.object_path(delivery.key), delivery.plain)


# --- What is left of them ----------------------------------------------------------------------------


def container(serve, issuer, folder):
    service = serve(lambda *_: (200, json.dumps(issuer.issue())))
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint}


def instance(serve, issuer, folder):
    def answer(method, path, headers, _):
        if method == "PUT":
            return 200, "SESSION"
        role = path.removeprefix("/latest/meta-data/iam/security-credentials/")
        return 200, json.dumps(issuer.issue(Code="Success")) if role else "audit"

    return {"AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(answer).endpoint}


def role(serve, issuer, folder):
    service = serve(lambda *_: (200, sts_answer("AssumeRole", **issuer.issue("SessionToken"))))
    config = os.path.join(folder, "config")
    with open(config, "w") as out:
        out.write("[profile base]\naws_access_key_id = BASE\naws_secret_access_key = base\n"
                  f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n")
    return {"AWS_CONFIG_FILE": config, "AWS_ENDPOINT_URL_STS": service.endpoint}


def process(serve, issuer, folder):
    """What it prints is fetched, so that it is another each time."""
    service = serve(lambda *_: (200, json.dumps(issuer.issue("SessionToken", Version=1))))
    config = os.path.join(folder, "config")
    with open(config, "w") as out:
        out.write(f"[default]\ncredential_process = curl -s {service.endpoint}\n")
    return {"AWS_CONFIG_FILE": config}


def identity_center(serve, issuer, folder):
    def answer(method, *_):
        if method == "POST":
            return 200, '{"accessToken":"renewed","expiresIn":3600,"refreshToken":"refresh-2"}'
        issued = issuer.issue()
        return 200, json.dumps({"roleCredentials": {
            "accessKeyId": issued["AccessKeyId"], "secretAccessKey": issued["SecretAccessKey"],
            "sessionToken": issued["Token"], "expiration": 1000 * int(time.time() + LASTING_S)}})

    service = serve(answer)
    sign_in(folder)
    return {"HOME": folder, "AWS_PROFILE": "audit", "AWS_ENDPOINT_URL_SSO": service.endpoint,
            "AWS_ENDPOINT_URL_SSO_OIDC": service.endpoint}


def file_of_keys(serve, issuer, folder):
    path = os.path.join(folder, "credentials")
    with open(path + ".new", "w") as out:
        issued = issuer.issue("aws_session_token")
        out.write(f"[default]\naws_access_key_id = {issued['AccessKeyId']}\n"
                  f"aws_secret_access_key = {issued['SecretAccessKey']}\n"
                  f"aws_session_token = {issued['aws_session_token']}\n")
    os.rename(path + ".new", path)
    return {"AWS_SHARED_CREDENTIALS_FILE": path}


def traces(key, secret, token):
    """What a core would show of credentials: themselves, and what requests are signed with."""
    dates = {time.strftime("%Y%m%d", time.gmtime(time.time() - ago)) for ago in (0, 3600)}
    return collections.ChainMap(
        {secret.encode(): "the secret", secret[:20].encode(): "half of the secret",
         token[:40].encode(): "the token", token[len(token) // 2:][:40].encode(): "half of the token"},
        {key: "a signing key" for date in dates
         for key in memory.signing_keys(secret, date, "us-east-1", "s3")})


def found(pid, issued):
    held = traces(*issued)
    return sorted(held[text] for text in memory.found(pid, held))


def replace_and_search(make_mount, store, issuer, rng, env, replace):
    """Uses credentials on all connections, has them replaced, and looks for what is left of them."""
    *before, last = old_hours(store, rng, 3, 30).items()
    mount = make_mount(store, {"connections": "8"}, env=env)
    finish(read_side_by_side(reads_of(mount, dict(before), 1)))
    first, old = issuer.issued[0], issuer.issued[-1]
    issuer.token_bytes = 50  # so that answers are shorter, and do not overwrite the former ones
    replace()
    issuer.server.ended.add(old[2])
    finish(read_side_by_side(reads_of(mount, dict([last]), 1)))
    new = issuer.issued[-1]
    assert new != old
    assert "the secret" in found(mount.server, new), "else the search finds nothing at all"
    for issued in (first, old):
        assert not found(mount.server, issued)
    for issued in (first, old, new):
        assert not found(mount.keeper, issued)


@pytest.mark.parametrize("source", [container, instance, role, process, identity_center,
                                    file_of_keys])
def test_nothing_is_left_of_what_was_replaced(source, faulty, serve, issuer, make_mount, folder, rng):
    env = source(serve, issuer, folder)
    again = source if source is file_of_keys else lambda *_: None
    replace_and_search(make_mount, faulty, issuer, rng, env, lambda: again(serve, issuer, folder))


def test_nothing_is_left_where_it_came_over_tls(serve, make_mount, folder, rng):
    authority = Authority(folder)
    context = authority.context("right", "IP:127.0.0.1")
    server = faults.FaultServer(tls=context).start()
    issuer = Issuer(server)
    env = role(lambda answer: serve(answer, tls=context), issuer, folder)
    try:
        replace_and_search(make_mount, stores.Faulty(server), issuer, rng,
                           {**env, "AWS_CA_BUNDLE": authority.bundle}, lambda: None)
    finally:
        server.stop()
