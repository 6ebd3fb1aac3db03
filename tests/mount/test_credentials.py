"""Credentials from where hosts in AWS have them, each by a stub of its service; roles by one of STS."""

import datetime
import email.utils
import hashlib
import http.server
import json
import os
import threading
import time
import urllib.parse

import botocore.session
import corpus
import faults
import pytest
from botocore.tokens import SSOTokenProvider
from botocore.utils import JSONFileCache
from mount import MountFailed, assert_same

ROLE = "arn:aws:iam::111122223333:role/audit"


def expiration(seconds):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def keys(seconds=3600, **more):
    """What services answer: the fault server's keys, for so long."""
    return {"AccessKeyId": faults.ACCESS_KEY, "SecretAccessKey": faults.SECRET_KEY,
            "Expiration": expiration(seconds), **more}


class Stub:
    """A service that answers by `answer(method, path, headers, body)` → status, text; its clock is
    `skew` seconds ahead."""

    def __init__(self, answer, skew=0, tls=None):
        self.requests = []
        self.skew = skew
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                """The record of requests is the owner's."""

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + owner.skew, usegmt=True)

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                owner.requests.append((self.command, self.path, self.headers, body))
                status, text = answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_PUT = do_POST = do_GET

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve():
    stubs = []

    def start(answer, **how):
        stubs.append(Stub(answer, **how))
        return stubs[-1]

    yield start
    for stub in stubs:
        stub.stop()


@pytest.fixture
def deliveries(faulty, rng, old_hour):
    return faulty.put_all(corpus.delivery(rng, old_hour, modified=1_700_000_000 + n)
                          for n in range(20))


def assert_reads(mount, deliveries, old_hour):
    assert_same(corpus.expected_log(deliveries), mount.read(old_hour))


def test_an_instances_role(faulty, serve, make_mount, deliveries, old_hour):
    def answer(method, path, headers, _):
        if method == "PUT" and path == "/latest/api/token":
            return 200, "SESSION"
        if headers["X-aws-ec2-metadata-token"] != "SESSION":
            return 401, ""
        role = path.removeprefix("/latest/meta-data/iam/security-credentials/")
        return 200, json.dumps(keys(Code="Success", Token="T")) if role else "audit"

    imds = serve(answer)
    mount = make_mount(faulty, env={"AWS_EC2_METADATA_DISABLED": "false",
                                    "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.endpoint})
    assert_reads(mount, deliveries, old_hour)
    assert len(imds.requests) == 2 * 3, "once by the process that mounts, once by the one that serves"


def test_a_containers_role(faulty, serve, make_mount, folder, deliveries, old_hour):
    ecs = serve(lambda method, path, headers, body: (
        (200, json.dumps(keys(Token="T"))) if headers["Authorization"] == "pod" else (403, "")))
    token = os.path.join(folder, "token")
    with open(token, "w") as out:
        out.write("pod\n")
    mount = make_mount(faulty, env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": ecs.endpoint + "/v1",
                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})
    assert_reads(mount, deliveries, old_hour)


@pytest.mark.parametrize("lasting", [3600, 200])
def test_a_process(faulty, make_mount, folder, deliveries, old_hour, lasting):
    answer, count = os.path.join(folder, "answer"), os.path.join(folder, "count")
    with open(answer, "w") as out:
        json.dump(keys(lasting, Version=1, SessionToken="T"), out)
    config = os.path.join(folder, "config")
    with open(config, "w") as out:
        out.write(f"[profile audit]\ncredential_process = echo x >>{count}; cat {answer}\n")
    mount = make_mount(faulty, {"profile": "audit"}, env={"AWS_CONFIG_FILE": config})
    assert_reads(mount, deliveries, old_hour)
    with open(count) as runs:
        assert len(runs.readlines()) == 2, "once for each of the two processes"


def sso(serve, access_key, secret_key):
    """A stub of IAM Identity Center, portal and OIDC service: it renews "refresh-1", once, to the
    token "renewed", and gives the keys for that."""
    usable = ["refresh-1"]

    def answer(method, path, headers, body):
        if (method, path) == ("POST", "/token"):
            if json.loads(body) != {"grantType": "refresh_token", "clientId": "client",
                                    "clientSecret": "client's", "refreshToken": usable.pop()}:
                return 400, '{"error":"invalid_grant"}'
            return 200, '{"accessToken":"renewed","expiresIn":3600,"refreshToken":"refresh-2"}'
        url = urllib.parse.urlsplit(path)
        if headers["x-amz-sso_bearer_token"] != "renewed" or url.path != "/federation/credentials":
            return 401, ""
        if dict(urllib.parse.parse_qsl(url.query)) != {"role_name": "Audit", "account_id": "0123"}:
            return 403, ""
        return 200, json.dumps({"roleCredentials": {
            "accessKeyId": access_key, "secretAccessKey": secret_key, "sessionToken": "T",
            "expiration": 1000 * int(time.time() + 3600)}})

    return serve(answer)


def sign_in(home):
    """What `aws configure sso` and, hours ago, `aws sso login` left; returns the token's file."""
    cache = os.path.join(home, ".aws", "sso", "cache")
    os.makedirs(cache)
    with open(os.path.join(home, ".aws", "config"), "w") as out:
        out.write("[profile audit]\nsso_session = work\nsso_account_id = 0123\n"
                  "sso_role_name = Audit\n[sso-session work]\nsso_region = eu-west-1\n"
                  "sso_start_url = https://work.awsapps.com/start\n")
    path = os.path.join(cache, hashlib.sha1(b"work").hexdigest() + ".json")
    with open(path, "w") as out:
        json.dump({"accessToken": "over", "expiresAt": expiration(-60), "clientId": "client",
                   "clientSecret": "client's", "refreshToken": "refresh-1",
                   "registrationExpiresAt": expiration(3600)}, out)
    return path


def clis_token(home):
    """The token that the AWS CLI's library finds for the profile."""
    session = botocore.session.Session(profile="audit")
    session.set_config_variable("config_file", os.path.join(home, ".aws", "config"))
    cache = JSONFileCache(os.path.join(home, ".aws", "sso", "cache"))
    return SSOTokenProvider(session, cache=cache).load_token().get_frozen_token().token


def test_identity_center(bucket, rgw, rng, serve, make_mount, folder, old_hour):
    """On the real server, by a session whose token has to be renewed first."""
    service = sso(serve, rgw.access_key, rgw.secret_key)
    token = sign_in(folder)
    deliveries = bucket.put_all(corpus.delivery(rng, old_hour) for _ in range(5))
    mount = make_mount(bucket, {"profile": "audit"}, env={
        "HOME": folder, "AWS_ENDPOINT_URL_SSO": service.endpoint,
        "AWS_ENDPOINT_URL_SSO_OIDC": service.endpoint})
    assert_reads(mount, deliveries, old_hour)
    methods = [method for method, *_ in service.requests]
    assert methods == ["POST", "GET", "GET"], "renewed once, and by the process that serves read"
    with open(token) as kept:
        assert json.load(kept)["refreshToken"] == "refresh-2"
    assert clis_token(folder) == "renewed", "the CLI goes on with what was written"


def test_identity_center_wants_a_sign_in(faulty, serve, make_mount, folder, deliveries):
    service = serve(lambda *_: (401, ""))
    os.unlink(sign_in(folder))
    mount = make_mount(faulty, {"profile": "audit"}, start=False, env={
        "HOME": folder, "AWS_ENDPOINT_URL_SSO": service.endpoint})
    with pytest.raises(MountFailed) as failed:
        mount.start()
    assert failed.value.stderr.count("\n") == 1
    assert "run aws sso login --sso-session work" in failed.value.stderr
    assert service.requests == []


def sts_answer(action, **result):
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in result.items())
    return (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials>{inner}</Credentials></{action}Result></{action}Response>")


def sts(serve, refuse=None, skew=0):
    """A stub of STS whose only role is ROLE, and which takes no date that is off its clock."""
    def answer(method, path, headers, body):
        form = dict(urllib.parse.parse_qsl(body))
        signed = headers["X-Amz-Date"]
        if signed and abs(faults.signed_at(headers) - time.time() - skew) > 300:
            return 403, ("<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature "
                         f"expired: {signed} is now earlier</Message></Error></ErrorResponse>")
        if refuse or form.get("RoleArn") != ROLE:
            return 403, ("<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message>"
                         "</Error></ErrorResponse>")
        return 200, sts_answer(form["Action"], SessionToken="T", **keys(3600 + skew))

    return serve(answer, skew=skew)


def test_a_profiles_role(faulty, serve, make_mount, folder, deliveries, old_hour):
    service = sts(serve)
    config = os.path.join(folder, "config")
    with open(config, "w") as out:
        out.write("[profile base]\naws_access_key_id = BASE\naws_secret_access_key = base\n"
                  f"[profile audit]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = e1\n")
    mount = make_mount(faulty, {"profile": "audit"},
                       env={"AWS_CONFIG_FILE": config, "AWS_ENDPOINT_URL_STS": service.endpoint})
    assert_reads(mount, deliveries, old_hour)
    method, _, headers, body = service.requests[0]
    assert method == "POST" and "Credential=BASE/" in headers["Authorization"]
    assert dict(urllib.parse.parse_qsl(body))["ExternalId"] == "e1"


def test_a_role_of_the_options(faulty, serve, make_mount, deliveries, old_hour):
    service = sts(serve)
    mount = make_mount(faulty, {"role_arn": ROLE, "sts_endpoint": service.endpoint,
                                "external_id": "e-1"})
    assert_reads(mount, deliveries, old_hour)
    assert len(service.requests) == 2


@pytest.mark.parametrize("skew", [-3 * 3600, 3 * 3600])
def test_a_clock_that_is_off(faulty, serve, make_mount, deliveries, old_hour, skew):
    """AWS's clock counts, for the dates of requests and for the end of what it gives."""
    service = sts(serve, skew=skew)
    faulty.server.clock_skew = skew
    mount = make_mount(faulty, {"role_arn": ROLE, "sts_endpoint": service.endpoint})
    assert_reads(mount, deliveries, old_hour)
    assert len(service.requests) == 2 * 2, "each of the two processes is refused once"
    assert faulty.server.refused_dates == 0, "what STS told holds for S3"


@pytest.mark.parametrize("skew", [-3 * 3600, 3 * 3600])
def test_a_web_identity_by_a_clock_that_is_off(faulty, serve, make_mount, folder, deliveries,
                                               old_hour, skew):
    service = sts(serve, skew=skew)
    faulty.server.clock_skew = skew
    token = os.path.join(folder, "token")
    with open(token, "w") as out:
        out.write("web.identity.token")
    mount = make_mount(faulty, env={"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": ROLE,
                                    "AWS_ENDPOINT_URL_STS": service.endpoint})
    assert_reads(mount, deliveries, old_hour)
    assert len(service.requests) == 2


def test_a_web_identity(faulty, serve, make_mount, folder, deliveries, old_hour):
    service = sts(serve)
    token = os.path.join(folder, "token")
    with open(token, "w") as out:
        out.write("web.identity.token")
    mount = make_mount(faulty, env={"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": ROLE,
                                    "AWS_ENDPOINT_URL_STS": service.endpoint})
    assert_reads(mount, deliveries, old_hour)
    _, _, headers, body = service.requests[0]
    assert "Authorization" not in headers and "web.identity.token" in body


def test_a_role_that_is_refused(faulty, serve, make_mount, deliveries):
    service = sts(serve, refuse=True)
    mount = make_mount(faulty, {"role_arn": ROLE, "sts_endpoint": service.endpoint}, start=False)
    with pytest.raises(MountFailed) as failed:
        mount.start()
    assert failed.value.stderr.count("\n") == 1
    assert ROLE in failed.value.stderr and "sts:AssumeRole" in failed.value.stderr


def test_requests_at_once_ask_once(faulty, serve, make_mount, deliveries, old_hour):
    ecs = serve(lambda *_: (200, json.dumps(keys(Token="T"))))
    mount = make_mount(faulty, {"connections": "16"},
                       env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": ecs.endpoint})
    assert_reads(mount, deliveries, old_hour)
    assert len(ecs.requests) == 2, "once by the process that mounts, once by the one that serves"
