"""Through an HTTP proxy: to a real server by http, to one with TLS by https, with and without a user,
and past it. What fails names the proxy and what to do, and never its password."""

import json
import os

import corpus
import faults
import http_proxy
import pytest
import rgw as rgw_module
import stores
from mount import MountFailed, assert_same, wait_until
from test_credentials import Stub, keys
from test_tls import Authority

USER, PASSWORD = "macie", "proxy/secret:word"


@pytest.fixture
def http_proxy_server():
    proxy = http_proxy.HttpProxy().start()
    yield proxy
    proxy.stop()


@pytest.fixture(name="proxy")
def proxy_that_knows_users(http_proxy_server):
    http_proxy_server.user, http_proxy_server.password = USER, PASSWORD
    return http_proxy_server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_store(authority):
    server = faults.FaultServer(tls=authority.context("good", "IP:127.0.0.1")).start()
    store = stores.Faulty(server)
    store.options = {**store.options, "ca_bundle": authority.bundle}
    yield store
    server.stop()


def command_lines():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                yield line.read()
        except OSError:
            pass


def refused(make_mount, store, env):
    mount = make_mount(store, start=False, env={**store.env, **env})
    with pytest.raises(MountFailed) as failed:
        mount.start()
    said = failed.value.stderr
    assert said.count("\n") == 1, said
    assert "secret" not in said
    return said


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_real_server_by_http(bucket, proxy, make_mount, rng, hour, old_hour, variable):
    """Signatures survive the proxy; everything goes through it."""
    old = bucket.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(bucket, env={**bucket.env, variable: proxy.url(USER, PASSWORD)})
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    new = corpus.delivery(rng, hour)
    bucket.put(new)
    mount.wait_for_log(hour, corpus.expected_log([new]))
    gets = [target for method, target in proxy.asked if "list-type" not in target]
    assert len(gets) == 4, gets
    assert all(target.startswith(bucket.options["endpoint"]) for _, target in proxy.asked)


def test_a_server_with_TLS(tls_store, proxy, make_mount, rng, old_hour):
    """Through a tunnel, in which the proxy sees nothing; the user is not shown to the server."""
    old = tls_store.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(tls_store, env={**tls_store.env, "HTTPS_PROXY": proxy.url(USER, PASSWORD)})
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    assert proxy.asked and {method for method, _ in proxy.asked} == {"CONNECT"}
    assert not any("Proxy-Authorization" in r.headers for r in tls_store.server.requests)
    assert not any(PASSWORD.encode() in line for line in command_lines())


def test_past_it(tls_store, proxy, make_mount, rng, old_hour):
    old = tls_store.put_all([corpus.delivery(rng, old_hour)])
    env = {"HTTPS_PROXY": proxy.url(USER, PASSWORD), "NO_PROXY": "example.com,127.0.0.1"}
    mount = make_mount(tls_store, env={**tls_store.env, **env})
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    assert proxy.asked == []


def test_this_machines_services_are_asked_directly(faulty, proxy, make_mount, rng, old_hour):
    """A container's role is served next door, whatever proxies there are."""
    service = Stub(lambda *request: (200, json.dumps(keys(Token="T"))))
    try:
        old = faulty.put_all([corpus.delivery(rng, old_hour)])
        mount = make_mount(faulty, env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint,
                                        "HTTP_PROXY": proxy.url(USER, PASSWORD)})
        assert_same(corpus.expected_log(old), mount.read(old_hour))
        assert service.requests
        assert not any(service.endpoint in target for _, target in proxy.asked)
    finally:
        service.stop()


@pytest.mark.parametrize("user, password, says", [
    (None, None, "wants a user and a password"),
    (USER, "no-secret", "refuses the user or the password"),
])
def test_who_is_not_known_to_it(tls_store, bucket, proxy, make_mount, user, password, says):
    """By CONNECT and by the whole URL."""
    for store, variable in ((tls_store, "https_proxy"), (bucket, "http_proxy")):
        said = refused(make_mount, store, {variable: proxy.url(user, password)})
        assert f"through the proxy 127.0.0.1:{proxy.port} ({variable}), which {says}" in said
    assert proxy.asked == []


@pytest.mark.parametrize("status, says", [
    (403, "does not let requests through to it (status 403)"),
    (502, "cannot reach it (status 502)"),
])
def test_it_does_not_lead_there(tls_store, proxy, make_mount, status, says):
    proxy.refuse = status
    said = refused(make_mount, tls_store, {"https_proxy": proxy.url(USER, PASSWORD)})
    assert f"the proxy 127.0.0.1:{proxy.port} (https_proxy), which {says}" in said


def test_it_is_not_there(tls_store, make_mount):
    port = rgw_module.free_port()
    for address, says in (
            (f"127.0.0.1:{port}", f"the proxy 127.0.0.1:{port} (https_proxy), which takes no conn"),
            ("nowhere.invalid", "the proxy nowhere.invalid:80 (https_proxy), which has no address"),
            ("[", "https_proxy in the environment is no address of a proxy")):
        env = {"https_proxy": f"http://{USER}:secret@{address}"}
        assert says in refused(make_mount, tls_store, env)


def test_its_password_is_changed_for_a_while(tls_store, proxy, make_mount, rng, hour):
    """What comes meanwhile appears once it is right again; what is said never holds it."""
    first, second = corpus.delivery(rng, hour), corpus.delivery(rng, hour)
    tls_store.put_all([first])
    mount = make_mount(tls_store, env={**tls_store.env, "https_proxy": proxy.url(USER, PASSWORD)})
    mount.wait_for_log(hour, corpus.expected_log([first]))
    proxy.password = "another"
    mount.kill_server()  # whose connections are gone with it
    tls_store.put(second)
    wait_until(lambda: "refuses the user or the password" in mount.stderr, "the message")
    assert_same(corpus.expected_log([first]), mount.read(hour))
    proxy.password = PASSWORD
    mount.wait_for_log(hour, corpus.expected_log([first, second]))
    assert PASSWORD not in mount.stderr and "secret" not in mount.stderr
