"""Where deliveries are put: the same few calls for a folder, a real bucket and the fault server.

put() takes a corpus.Delivery, stores it under the prefix, and notes the LastModified that the store
gave it, so that the expected order can be worked out. An object is held back until the second of its
LastModified is over: settle() waits for that.
"""

import os
import tempfile
import time

import faults


class Store:
    """What tests rely on; `source`, `options` and `env` are what a mount of it needs."""

    newest = 0  # LastModified

    def put(self, delivery):
        raise NotImplementedError

    def delete(self, delivery):
        raise NotImplementedError

    def put_all(self, deliveries):
        """Stores what was there before the mount; returns the deliveries as a list."""
        deliveries = list(deliveries)
        for delivery in deliveries:
            self.put(delivery)
        return deliveries

    def settle(self):
        """Waits until the second in which the last object came is over."""
        while time.time() < self.newest + 1:
            time.sleep(0.01)


class Folder(Store):
    """A folder laid out like the prefix, as a bucket sync leaves it."""

    options = {}
    env = {}

    def __init__(self, path):
        self.path = str(path)
        self.source = f"file://{self.path}"
        self.staging = tempfile.mkdtemp(prefix=".staging.", dir=os.path.dirname(self.path))
        os.makedirs(self.path, exist_ok=True)

    def put(self, delivery):
        target = os.path.join(self.path, delivery.key)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        staged = os.path.join(self.staging, "object")
        with open(staged, "wb") as out:
            out.write(delivery.body)
        delivery.modified = delivery.modified or int(time.time())
        os.utime(staged, (delivery.modified, delivery.modified))
        os.rename(staged, target)
        self.newest = max(self.newest, delivery.modified)

    def put_all(self, deliveries):
        """As above; what has no LastModified came a minute ago, so that nobody has to wait."""
        deliveries = list(deliveries)
        for delivery in deliveries:
            delivery.modified = delivery.modified or int(time.time()) - 60
        return super().put_all(deliveries)

    def delete(self, delivery):
        os.unlink(os.path.join(self.path, delivery.key))


class Bucket(Store):
    """A prefix in a bucket of the real server, put there by boto3."""

    def __init__(self, server, bucket, prefix="", endpoint=None):
        self.client = server.client()
        self.bucket = bucket
        self.prefix = prefix
        self.source = f"s3://{bucket}/{prefix}"
        self.options = {"endpoint": endpoint or server.endpoint}
        self.env = server.environment()

    def put(self, delivery):
        key = self.prefix + delivery.key
        self.client.put_object(Bucket=self.bucket, Key=key, Body=delivery.body)
        head = self.client.head_object(Bucket=self.bucket, Key=key)
        delivery.modified = int(head["LastModified"].timestamp())
        self.newest = max(self.newest, delivery.modified)

    def delete(self, delivery):
        self.client.delete_object(Bucket=self.bucket, Key=self.prefix + delivery.key)


class Faulty(Store):
    """A prefix on the fault server; LastModified is the delivery's own, where it has one."""

    def __init__(self, server, prefix="macie/", endpoint=None):
        self.server = server
        self.prefix = prefix
        self.source = f"s3://{faults.BUCKET}/{prefix}"
        self.options = {"endpoint": endpoint or server.endpoint}
        self.env = server.environment()

    def put(self, delivery, **how):
        delivery.modified = self.server.put(self.prefix + delivery.key, delivery.body,
                                            delivery.modified or None, **how)
        self.newest = max(self.newest, delivery.modified)

    def delete(self, delivery):
        self.server.delete(self.prefix + delivery.key)
