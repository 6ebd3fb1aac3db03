"""A server that fails now and then costs time, never an event; what no retry mends is said."""

import os
import subprocess
import time

import corpus
import faults
import pytest
from mount import PATIENCE_S, assert_same, wait_until

# Faults after which trying again helps.
PASSING = {
    "slow-down": ("status", {"status": 503, "code": "SlowDown"}),
    "internal-error": ("status", {"status": 500, "code": "InternalError"}),
    "bad-gateway": ("status", {"status": 502, "code": "BadGateway"}),
    "too-many": ("status", {"status": 429, "code": "TooManyRequests"}),
    "retry-after": ("status", {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "1"}}),
    "reset": ("reset", {}),
    "reset-inside": ("reset_inside", {}),
    "close": ("close", {}),
    "truncated": ("truncate", {}),
}
PASSING_FOR_GET = {
    **PASSING,
    "short-answer": ("short", {}),
    "wrong-body": ("wrong_body", {}),
}
PASSING_FOR_LIST = {
    **PASSING,
    "half-a-listing": ("short", {}),
    "no-http": ("garbage", {}),
    "no-xml": ("body", {"body": b"this is no XML"}),
    "html": ("body", {"body": b"<!DOCTYPE html><html><body>hello</body></html>"}),
    "empty": ("body", {"body": b""}),
    "other-xml": ("body", {"body": b'<?xml version="1.0"?><Other/>'}),
}


@pytest.fixture
def old_deliveries(faulty, rng, old_hour):
    base = int(time.time()) - 5000
    return faulty.put_all(corpus.delivery(rng, old_hour, modified=base + n) for n in range(6))


@pytest.mark.parametrize("fault", PASSING_FOR_GET)
def test_get_is_tried_again(fault, faulty, fault_server, make_mount, old_deliveries, old_hour):
    name, args = PASSING_FOR_GET[fault]
    mount = make_mount(faulty)
    armed = fault_server.arm(name, on=faults.GET, times=2, **args)
    assert_same(corpus.expected_log(old_deliveries), mount.read(old_hour))
    assert armed.hits == 2
    assert mount.status()["damaged"] == 0


@pytest.mark.parametrize("fault", PASSING_FOR_LIST)
def test_list_is_tried_again(fault, faulty, fault_server, make_mount, rng, hour):
    name, args = PASSING_FOR_LIST[fault]
    base = int(time.time()) - 1000
    deliveries = [corpus.delivery(rng, hour, modified=base + n) for n in range(6)]
    faulty.put_all(deliveries[:3])
    mount = make_mount(faulty)
    mount.wait_for_log(hour, corpus.expected_log(deliveries[:3]))
    armed = fault_server.arm(name, on=faults.LIST, times=2, **args)
    faulty.put_all(deliveries[3:])
    mount.wait_for_log(hour, corpus.expected_log(deliveries))
    assert armed.hits == 2


def test_a_mount_survives_faults_at_its_start(faulty, fault_server, make_mount, old_deliveries, old_hour):
    fault_server.arm("status", status=503, code="SlowDown", times=2)
    fault_server.arm("reset", times=1)
    assert_same(corpus.expected_log(old_deliveries), make_mount(faulty).read(old_hour))


def test_faults_at_random(faulty, fault_server, make_mount, rng, old_hour, hour):
    """Every third request fails, one way or another."""
    base = int(time.time()) - 5000
    old = faulty.put_all(corpus.delivery(rng, old_hour, modified=base + n) for n in range(30))
    new = [corpus.delivery(rng, hour, modified=base + n) for n in range(30)]
    mount = make_mount(faulty)
    kinds = [PASSING[name] for name in PASSING if name != "retry-after"]
    for number in range(24):
        name, args = kinds[number % len(kinds)]
        fault_server.arm(name, on=faults.GET, key=rng.choice(old + new).name, **args)
    for one in new:
        faulty.put(one)
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    wait_until(lambda: len(mount.read(hour)) == sum(len(d.log) for d in new), "everything",
               patience=3 * PATIENCE_S)
    assert sorted(mount.read(hour).splitlines()) == sorted(corpus.expected_log(new).splitlines())


def test_a_slow_body_is_no_fault(faulty, fault_server, make_mount, old_deliveries, old_hour):
    fault_server.arm("slow", on=faults.GET, times=3, seconds=1.0)
    assert_same(corpus.expected_log(old_deliveries), make_mount(faulty).read(old_hour))
    assert fault_server.count("get") == len(old_deliveries)


def test_silence_has_a_limit(faulty, fault_server, make_mount, old_deliveries, old_hour):
    """One answer that stops half way and one that never begins: both are asked for again."""
    mount = make_mount(faulty)
    stalled = fault_server.arm("stall", on=faults.GET, key=old_deliveries[1].name)
    silent = fault_server.arm("silent", on=faults.GET, key=old_deliveries[2].name)
    done = subprocess.run(["cat", mount.log_path(old_hour)], capture_output=True,
                          timeout=4 * PATIENCE_S)
    assert_same(corpus.expected_log(old_deliveries), done.stdout)
    assert stalled.hits == silent.hits == 1


def test_an_etag_that_is_no_md5_is_not_checked(faulty, make_mount, rng, old_hour):
    one = corpus.delivery(rng, old_hour, modified=int(time.time()) - 100)
    faulty.put(one, etag="0123456789abcdef0123456789abcdef-7")
    other = corpus.delivery(rng, old_hour, modified=int(time.time()) - 90)
    faulty.put(other, etag="opaque")
    assert_same(one.log + other.log, make_mount(faulty).read(old_hour))


def check_refused_object(faulty, fault_server, mount, hour, rng, name, **args):
    """An object that is refused is not asked for with every poll, holds nobody up, and comes when
    it may: at the latest, and here, with the next server, which does not know of the refusal."""
    base = int(time.time()) - 500
    refused, other = (corpus.delivery(rng, hour, modified=base + n) for n in range(2))
    armed = fault_server.arm(name, on=faults.GET, key=refused.name, times=float("inf"), **args)
    faulty.put_all([refused, other])
    mount.wait_for_log(hour, other.log)
    wait_until(lambda: armed.hits > 0, "the object to be asked for")
    hits, polls = armed.hits, fault_server.count("list")
    assert hits <= 3, "once for the poll, at most once for a reader, perhaps once again"
    wait_until(lambda: fault_server.count("list") > polls + 20, "some polls")
    assert armed.hits - hits < 8, "less and less often, not with every poll"
    assert_same(other.log, mount.read(hour))
    fault_server.disarm()
    mount.kill_server()
    mount.wait_for_log(hour, other.log + refused.log)


def test_a_refusal_is_not_repeated(faulty, fault_server, make_mount, rng, old_deliveries, hour):
    mount = make_mount(faulty)
    check_refused_object(faulty, fault_server, mount, hour, rng, "status",
                         status=403, code="AccessDenied")
    assert len([line for line in mount.stderr.splitlines() if "refus" in line or "den" in line]) == 1


def test_a_redirect_inside_is_not_followed(faulty, fault_server, make_mount, rng, old_deliveries,
                                           hour):
    elsewhere = faults.FaultServer().start()
    try:
        mount = make_mount(faulty)
        check_refused_object(faulty, fault_server, mount, hour, rng, "redirect", status=307,
                             code="TemporaryRedirect", location=f"{elsewhere.endpoint}/x")
        assert elsewhere.requests == []
    finally:
        elsewhere.stop()


def test_an_object_deleted_between_list_and_get(faulty, fault_server, make_mount, rng, hour):
    base = int(time.time()) - 500
    first, gone, last = (corpus.delivery(rng, hour, modified=base + n) for n in range(3))
    faulty.put_all([first])
    mount = make_mount(faulty)
    mount.wait_for_log(hour, first.log)
    fault_server.arm("status", on=faults.GET, key=gone.name, times=float("inf"),
                     status=404, code="NoSuchKey")
    faulty.put(gone)
    wait_until(lambda: fault_server.count("get", gone.name) > 0, "the object to be asked for")
    faulty.delete(gone)
    faulty.put(last)
    mount.wait_for_log(hour, first.log + last.log)


def test_hostile_listings_do_no_harm(faulty, fault_server, make_mount, rng, old_hour, hour):
    """Listings that lie: entities, endless depth, keys elsewhere, numbers that are none."""
    base = int(time.time()) - 500
    one = corpus.delivery(rng, hour, modified=base)
    faulty.put(one)
    mount = make_mount(faulty)
    mount.wait_for_log(hour, one.log)
    entry = ("<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>x</ETag>"
             "<Size>{}</Size></Contents>")
    page = ('<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{}'
            "</ListBucketResult>")
    date = "2026-01-01T00:00:00.000Z"
    bodies = [
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        "<ListBucketResult><Name>&b;</Name></ListBucketResult>",
        "<a>" * 100_000,
        page.format(entry.format("../../../../etc/passwd", date, 5)),
        page.format(entry.format(f"other/{hour}/x", date, 5)),
        page.format(entry.format("macie/" + "k" * 5000, date, 5)),
        page.format(entry.format(f"macie/{hour}/bad-size", date, "-1")),
        page.format(entry.format(f"macie/{hour}/bad-size", date, "9" * 40)),
        page.format(entry.format(f"macie/{hour}/bad-date", "yesterday", 5)),
        page.format("<Contents></Contents>"),
        page.format("") + "trailing",
        page.format("<NextContinuationToken>" + "t" * 100_000 + "</NextContinuationToken>"),
        page.replace("false", "true").format(""),
    ]
    for body in bodies:
        fault_server.arm("body", on=faults.LIST, body=body.encode())
    last = fault_server.arm("status", on=faults.LIST, status=503, code="SlowDown")
    wait_until(lambda: last.hits == 1, "all listings to be tried", patience=4 * PATIENCE_S)
    other = corpus.delivery(rng, hour, modified=base + 1)
    faulty.put(other)
    mount.wait_for_log(hour, one.log + other.log)
    assert sorted(os.listdir(mount.at(".objects", hour))) == sorted([one.name, other.name])
    assert mount.status()["restarts"] == 0


def test_a_truncated_listing_that_never_ends_does_not_hang_readers(faulty, fault_server, make_mount,
                                                                  rng, old_hour, hour):
    one = corpus.delivery(rng, hour, modified=int(time.time()) - 100)
    faulty.put(one)
    mount = make_mount(faulty)
    mount.wait_for_log(hour, one.log)
    body = (b'<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated>'
            b"<NextContinuationToken>same</NextContinuationToken></ListBucketResult>")
    endless = fault_server.arm("body", on=faults.LIST, times=float("inf"), body=body)
    wait_until(lambda: endless.hits > 3, "the endless listing to be met")
    assert_same(one.log, mount.read(hour))
    fault_server.disarm()
    other = corpus.delivery(rng, hour, modified=int(time.time()) - 50)
    faulty.put(other)
    mount.wait_for_log(hour, one.log + other.log)


def test_content_encoding_is_ignored(faulty, fault_server, make_mount, rng, old_hour):
    one = corpus.delivery(rng, old_hour, compression="gzip-members", modified=1_700_000_000)
    faulty.put(one)
    mount = make_mount(faulty)
    fault_server.content_encoding = "gzip"
    assert_same(one.log, mount.read(old_hour))


def test_requests_are_few_and_signed(faulty, fault_server, make_mount, old_deliveries, old_hour):
    mount = make_mount(faulty)
    mount.read(old_hour)
    for request in fault_server.requests:
        assert request.method == "GET"
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        assert "gzip" not in request.headers.get("Accept-Encoding", "")
    lists = [r for r in fault_server.requests if r.kind == faults.LIST]
    assert all(r.query["list-type"] == "2" and r.query["encoding-type"] == "url" for r in lists)
