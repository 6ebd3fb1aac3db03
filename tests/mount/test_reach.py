"""Ways to the bucket: an access point's ARN, a bucket in the host's name, objects under a customer's
key; all on the real server."""

import base64
import os

import corpus
import pytest
import stores
from mount import MountFailed, assert_same, wait_until

ACCOUNT = "123456789012"
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


class Encrypted(stores.Bucket):
    """A prefix whose objects are encrypted with a customer's key."""

    def put(self, delivery):
        key = self.prefix + delivery.key
        how = {"Bucket": self.bucket, "Key": key, "SSECustomerKey": KEY,
               "SSECustomerAlgorithm": "AES256"}
        self.client.put_object(Body=delivery.body, **how)
        delivery.modified = int(self.client.head_object(**how)["LastModified"].timestamp())
        self.newest = max(self.newest, delivery.modified)


@pytest.fixture
def encrypted(rgw, bucket):
    return Encrypted(rgw, bucket.bucket, bucket.prefix)


def key_file(folder, content, mode=0o600):
    path = os.path.join(folder, "key")
    with open(path, "wb") as out:
        out.write(content)
    os.chmod(path, mode)
    return path


def named_in_the_host(rgw, name):
    """A prefix of a bucket, where the server's name takes buckets before it."""
    rgw.client().create_bucket(Bucket=name)
    return stores.Bucket(rgw, name, "macie/", endpoint=f"http://localhost:{rgw.port}")


def test_an_access_points_arn(rgw, make_mount, rng, hour, old_hour):
    """To the server the access point is the bucket that its host names."""
    store = named_in_the_host(rgw, f"reach-{os.getpid()}-{ACCOUNT}")
    arn = f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/reach-{os.getpid()}"
    store.source = f"s3://{arn}/macie"
    old = store.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    mount = make_mount(store)
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    new = corpus.delivery(rng, hour)
    store.put(new)
    mount.wait_for_log(hour, corpus.expected_log([new]))
    with open("/proc/self/mountinfo") as mounts:
        assert arn in mounts.read()


def test_a_bucket_in_the_hosts_name(rgw, make_mount, rng, old_hour):
    """One with a dot, which goes there where it is told to."""
    store = named_in_the_host(rgw, f"reach.{os.getpid()}")
    old = store.put_all([corpus.delivery(rng, old_hour)])
    mount = make_mount(store, {"addressing": "virtual"})
    assert_same(corpus.expected_log(old), mount.read(old_hour))


@pytest.mark.parametrize("content", [KEY, base64.b64encode(KEY) + b"\n"], ids=["raw", "base64"])
def test_a_customers_key(encrypted, bucket, make_mount, folder, rng, hour, old_hour, content):
    """Objects under it and objects under none; also after the server process was replaced."""
    old = encrypted.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    old += bucket.put_all([corpus.delivery(rng, old_hour)])
    mount = make_mount(encrypted, {"sse_customer_key": key_file(folder, content)})
    assert_same(corpus.expected_log(old), mount.read(old_hour))
    mount.kill_server()
    new = corpus.delivery(rng, hour)
    encrypted.put(new)
    mount.wait_for_log(hour, corpus.expected_log([new]))


@pytest.mark.parametrize("wrong, says", [
    (None, "is encrypted with a customer's key (SSE-C): give the file"),
    (OTHER_KEY, "is encrypted with another key than that of -o sse_customer_key="),
], ids=["none", "another"])
def test_without_its_key(encrypted, bucket, make_mount, folder, rng, hour, old_hour, wrong, says):
    """What is under no key is shown; what is under one is told, and appears when its key is given."""
    delivery = corpus.delivery(rng, hour)
    old = encrypted.put_all(corpus.delivery(rng, old_hour) for _ in range(3))
    encrypted.put(delivery)
    plain = bucket.put_all([corpus.delivery(rng, hour)])
    options = {"sse_customer_key": wrong and key_file(folder, wrong)}
    cache = os.path.join(folder, "cache")
    mount = make_mount(encrypted, {**options, "cache": cache})
    wait_until(lambda: says in mount.stderr, "the message")
    mount.wait_for_log(hour, corpus.expected_log(plain))
    assert mount.read(old_hour) == b""
    mount.unmount()
    again = make_mount(encrypted, {"sse_customer_key": key_file(folder, KEY), "cache": cache})
    again.wait_for_log(hour, corpus.expected_log(plain) + corpus.expected_log([delivery]))
    assert_same(corpus.expected_log(old), again.read(old_hour))


@pytest.mark.parametrize("content, mode, options, says", [
    (KEY, 0o644, {}, "chmod 600"),
    (b"short", 0o600, {}, "holds no key"),
    (KEY, 0o600, {"endpoint": "http://s3.example"}, "sse_customer_key= needs https"),
], ids=["open", "short", "plain"])
def test_a_key_that_cannot_be_used(encrypted, make_mount, folder, content, mode, options, says):
    key = {"sse_customer_key": key_file(folder, content, mode)}
    mount = make_mount(encrypted, {**options, **key}, start=False)
    with pytest.raises(MountFailed) as failed:
        mount.start()
    assert says in failed.value.stderr
    assert failed.value.stderr.count("\n") == 1, failed.value.stderr
