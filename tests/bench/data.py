"""What is measured: deliveries like those of Firehose, made from a fixed seed and put in parallel."""
import concurrent.futures
import datetime
import gzip
import json
import os
import random
import threading
import uuid
import zlib

import bare

BUCKET = "bench"
READS = "reads"          # the prefix of row (b)
KEYS = "keys"            # the prefix of row (d)
ARRIVALS = "arrivals"    # the prefix of row (e)
STORED = 40 * 1024       # bytes of one gzip object
DISTINCT = 64            # bodies, which the objects take in turn
SHAPED = "shaped"        # the prefix of row (g)
SHAPED_SIZE = 1 << 20    # bytes of one of its objects: the least that Firehose buffers
VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "../vectors/wazuh-shape.jsonl")
UPLOADERS = 8


def event(rng, size=1500):
    """An event as EventBridge sends it for a finding, of about `size` bytes."""
    detail = {
        "schemaVersion": "1.0", "id": "%032x" % rng.getrandbits(128), "accountId": "111122223333",
        "partition": "aws", "region": "eu-central-1", "type": "SensitiveData:S3Object/Personal",
        "title": "The S3 object contains personal information.",
        "severity": {"score": rng.randint(1, 3), "description": rng.choice(["Low", "High"])},
        "createdAt": "2026-01-02T03:04:%02dZ" % rng.randint(0, 59), "count": rng.randint(1, 99),
        "resourcesAffected": {"s3Object": {"key": "in/%x.csv" % rng.getrandbits(64),
                                           "eTag": "%032x" % rng.getrandbits(128),
                                           "size": rng.randint(1, 10**9)}},
        "cells": [],
    }
    whole = {"version": "0", "id": str(uuid.UUID(int=rng.getrandbits(128))),
             "detail-type": "Macie Finding", "source": "aws.macie", "account": "111122223333",
             "region": "eu-central-1", "resources": [], "detail": detail}
    while len(json.dumps(whole)) < size:
        detail["cells"].append({"row": rng.randint(1, 10**5), "column": rng.randint(1, 40),
                                "columnName": "ssn", "cellReference": None})
    return json.dumps(whole, separators=(",", ":")).encode()


def gzip_object(rng):
    """(stored bytes, number of events): events without separators up to STORED bytes of gzip."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    out, events = bytearray(), 0
    while len(out) < STORED:
        out += deflate.compress(event(rng))
        out += deflate.flush(zlib.Z_SYNC_FLUSH) if events % 64 == 63 else b""
        events += 1
    return bytes(out + deflate.flush()), events


def hours_back(count, days_ago):
    """`count` hours that end so many days before today, oldest first, as paths."""
    end = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days_ago)
    return [(end - datetime.timedelta(hours=back)).strftime("%Y/%m/%d/%H")
            for back in range(count, 0, -1)]


def delivery_key(prefix, hour, number, extension=""):
    name = "macie-1-%s-00-%02d-%s" % (hour.replace("/", "-"), number % 60,
                                     uuid.uuid5(uuid.NAMESPACE_URL, f"{hour}/{number}"))
    return f"{prefix}/{hour}/{name}{extension}"


def put_all(server, items):
    """Puts (key, bytes) pairs over several connections."""
    local = threading.local()

    def put(item):
        if not hasattr(local, "connection"):
            local.connection = bare.Connection(server.endpoint, server.access_key,
                                               server.secret_key)
        local.connection.put(BUCKET, *item)

    with concurrent.futures.ThreadPoolExecutor(UPLOADERS) as pool:
        for _ in pool.map(put, items):
            pass


def put_reads(server, objects, hours=24):
    """Puts the objects of row (b); returns how many events and stored bytes they hold."""
    rng = random.Random(1)
    bodies = [gzip_object(rng) for _ in range(min(DISTINCT, objects))]
    labels = hours_back(hours, days_ago=7)
    chosen = [bodies[i % len(bodies)] for i in range(objects)]
    put_all(server, [(delivery_key(READS, labels[i % hours], i, ".gz"), body)
                     for i, (body, _) in enumerate(chosen)])
    return sum(events for _, events in chosen), sum(len(body) for body, _ in chosen)


def put_keys(server, keys, hours):
    """Puts the keys of row (d), spread evenly over the hours."""
    rng = random.Random(2)
    body = event(rng, 200)
    labels = hours_back(hours, days_ago=7)
    put_all(server, [(delivery_key(KEYS, labels[i * hours // keys], i), body)
                     for i in range(keys)])


def shaped_objects(count):
    """The gzip objects of row (g), one after another: the vectors' events in any order, without
    white space as EventBridge sends them."""
    rng = random.Random(4)
    with open(VECTORS, encoding="utf-8") as lines:
        events = [json.dumps(json.loads(json.loads(line)["event"]), separators=(",", ":"),
                             ensure_ascii=False).encode() for line in lines]
    for _ in range(count):
        chosen, size = [], 0
        while size < SHAPED_SIZE:
            chosen.append(rng.choice(events))
            size += len(chosen[-1])
        yield gzip.compress(b"".join(chosen), 6)


def put_shaped(server, count):
    """Puts the objects of row (g) into the current hour."""
    hour = hours_back(1, days_ago=0)[0]
    put_all(server, [(delivery_key(SHAPED, hour, number, ".gz"), body)
                     for number, body in enumerate(shaped_objects(count))])
