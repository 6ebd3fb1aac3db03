"""HTTPS to a server whose certificate a private authority signed: the right one, and wrong ones."""

import os
import ssl
import subprocess

import corpus
import faults
import pytest
import stores
from mount import MountFailed, assert_same

YEARS_AGO = ["faketime", "2020-01-01 00:00:00"]


def openssl(*arguments, before=()):
    subprocess.run([*before, "openssl", *arguments], check=True, capture_output=True)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.key, self.bundle = self.path("ca.key"), self.path("ca.pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
                "-subj", "/CN=test authority", "-keyout", self.key, "-out", self.bundle,
                before=YEARS_AGO)

    def path(self, name):
        return os.path.join(self.folder, name)

    def context(self, name, alternative, before=(), days="3650"):
        """A server's side of TLS, with a certificate for that name."""
        key, request, certificate = (self.path(f"{name}.{end}") for end in ("key", "csr", "pem"))
        extension = self.path(f"{name}.ext")
        with open(extension, "w") as out:
            out.write(f"subjectAltName={alternative}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.bundle, "-CAkey", self.key,
                "-CAcreateserial", "-days", days, "-extfile", extension, "-out", certificate,
                before=before)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve():
    """Starts a server with a side of TLS; returns a prefix on it."""
    servers = []

    def start(context):
        servers.append(faults.FaultServer(tls=context).start())
        return stores.Faulty(servers[-1])

    yield start
    for server in servers:
        server.stop()


def refused(make_mount, store, options=None, env=None):
    mount = make_mount(store, options, start=False, env={**store.env, **(env or {})})
    with pytest.raises(MountFailed) as failed:
        mount.start()
    assert failed.value.stderr.count("\n") == 1, failed.value.stderr
    return failed.value.stderr


@pytest.mark.parametrize("way", ["option", "environment", "profile"])
def test_a_private_authority_is_trusted(authority, serve, make_mount, folder, rng, old_hour, way):
    store = serve(authority.context("good", "IP:127.0.0.1"))
    deliveries = store.put_all([corpus.delivery(rng, old_hour)])
    config = os.path.join(folder, "config")
    with open(config, "w") as out:
        out.write(f"[default]\nca_bundle = {authority.bundle}\n")
    options = {"ca_bundle": authority.bundle} if way == "option" else {}
    env = {"environment": {"AWS_CA_BUNDLE": authority.bundle},
           "profile": {"AWS_CONFIG_FILE": config}}.get(way, {})
    mount = make_mount(store, options, env={**store.env, **env})
    assert_same(corpus.expected_log(deliveries), mount.read(old_hour))


def test_an_unknown_authority_is_not(authority, serve, make_mount):
    store = serve(authority.context("unknown", "IP:127.0.0.1"))
    assert "certificate that cannot be trusted" in refused(make_mount, store)


def test_another_servers_certificate_is_refused(authority, serve, make_mount):
    store = serve(authority.context("other", "DNS:other.example"))
    assert "certificate" in refused(make_mount, store, {"ca_bundle": authority.bundle})


def test_an_expired_certificate_is_refused(authority, serve, make_mount):
    store = serve(authority.context("expired", "IP:127.0.0.1", before=YEARS_AGO, days="30"))
    said = refused(make_mount, store, {"ca_bundle": authority.bundle})
    assert "certificate" in said and "expired" in said


def test_a_bundle_that_is_not_there(authority, serve, make_mount):
    store = serve(authority.context("there", "IP:127.0.0.1"))
    assert "ca_bundle= takes" in refused(make_mount, store, {"ca_bundle": "/nonexistent/ca.pem"})
    said = refused(make_mount, store, env={"AWS_CA_BUNDLE": "/nonexistent/ca.pem"})
    assert "/nonexistent/ca.pem" in said
