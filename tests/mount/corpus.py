"""Deliveries as Firehose makes them, and the logs they must become.

Everything comes from a seed, so that a failure can be repeated. What a delivery must look like in
its log is worked out here, from the events that were put in, and never by asking maciefs: the two
implementations share nothing.
"""

import datetime
import io
import json
import random
import re
import struct
import uuid
import zipfile
import zlib
from dataclasses import dataclass, field

# --- Events ---------------------------------------------------------------------------------------

REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-2"]
WORDS = ["invoice", "payroll", "schlüssel", "日本", "a\"b", "back\\slash", "{brace}", "line\nbreak",
         "tab\there", "}{", "[x]", "\u2028", "😀", "0007", ""]


def _envelope(rng, source, detail_type, detail):
    return {
        "version": "0",
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "detail-type": detail_type,
        "source": source,
        "account": str(rng.randrange(10**11, 10**12)),
        "time": f"2026-11-24T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
        "region": rng.choice(REGIONS),
        "resources": [f"arn:aws:s3:::bucket-{rng.randrange(100)}"],
        "detail": detail,
    }


def classic_alert(rng):
    """A Macie Classic alert: nested maps with counts, and floats of many digits."""
    timestamps = {f"2026-11-2{n}T05:06:{rng.randrange(60):02}.000000": rng.randrange(1, 9)
                  for n in range(rng.randrange(1, 4))}
    return _envelope(rng, "aws.macie", "Macie Alert", {
        "notification-type": "ALERT_CREATED",
        "name": "Scanning " + rng.choice(WORDS),
        "tags": ["Custom", rng.choice(WORDS)],
        "url": "https://mt.us-east-1.macie.aws.amazon.com/posts/arn%3Aaws",
        "alert-arn": f"arn:aws:macie:us-east-1:1234:trigger/{rng.getrandbits(64):x}",
        "risk-score": rng.randrange(10),
        "trigger": {"rule-arn": "arn:aws:macie:rule", "alert-type": "basic", "risk": 8,
                    "created-at": "2026-01-02 19:54:00.644000", "description": rng.choice(WORDS)},
        "created-at": "2026-04-18T00:21:12.059000",
        "actor": f"555566667777:assumed-role:superawesome:{rng.choice(WORDS)}",
        "summary": {"Description": rng.choice(WORDS), "IP": {"34.199.185.34": rng.randrange(200)},
                    "Time Range": [{"count": 20, "start": "2026-04-18T00:00:00"}],
                    "Source ARN": "arn:aws:sts::1", "Record Count": rng.randrange(1, 99),
                    "Location": {"us-east-1": 3}, "Event Count": rng.randrange(2**63),
                    "Events": {"ListObjects": {"count": 3, "Timestamps": timestamps,
                                               "ISP": {"Amazon": rng.random()}}},
                    "recipientAccountId": {"123456789012": 9}},
    })


def finding(rng):
    """A sensitive-data finding of today's Macie; a few are long."""
    cells = [{"cellReference": None, "column": n, "columnName": rng.choice(WORDS), "row": n * 7}
             for n in range(rng.choice([1, 3, 10, 200]))]
    return _envelope(rng, "aws.macie", "Macie Finding", {
        "schemaVersion": "1.0",
        "id": f"{rng.getrandbits(128):032x}",
        "type": "SensitiveData:S3Object/Personal",
        "title": "The S3 object contains personal information",
        "severity": {"score": rng.randrange(1, 4),
                     "description": rng.choice(["Low", "Medium", "High"])},
        "resourcesAffected": {"s3Object": {"key": f"in/{rng.choice(WORDS)}.csv",
                                           "size": rng.randrange(10**12), "publicAccess": False}},
        "category": "CLASSIFICATION",
        "classificationDetails": {"result": {"sensitiveData": [
            {"category": "PERSONAL_INFORMATION", "totalCount": len(cells),
             "detections": [{"type": "NAME", "occurrences": {"cells": cells}}]}]}},
        "policyDetails": None,
    })


def policy_finding(rng):
    return _envelope(rng, "aws.macie", "Macie Finding", {
        "type": "Policy:IAMUser/S3BucketPublic",
        "severity": {"score": 3, "description": "High"},
        "category": "POLICY",
        "policyDetails": {"action": {"actionType": "AWS_API_CALL", "apiCallDetails": {
            "api": "PutBucketPolicy", "firstSeen": "2026-11-24T05:00:00.000Z"}},
            "actor": {"ipAddressDetails": {"ipAddressV4": f"198.51.100.{rng.randrange(256)}",
                                           "ipGeoLocation": {"lat": rng.uniform(-90, 90),
                                                             "lon": rng.uniform(-180, 180)}}}},
    })


def other_service(rng):
    return _envelope(rng, rng.choice(["aws.guardduty", "aws.health", "my.app"]),
                     "Something Else", {"text": rng.choice(WORDS), "n": [], "o": {}})


KINDS = [classic_alert, finding, finding, policy_finding, other_service]

# What producers get wrong, or nearly: a scanner must keep each byte of these.
ODD_EVENTS = [
    b'{"lat":007.5,"lon":-0012}',
    b'{"big":123456789012345678901234567890,"small":1E-400,"same":1,"same":2}',
    b'{"latin1":"caf\xe9","half":"\xed\xa0\x80","nul":"\\u0000"}',
    b'{"quote":"\\"","back":"\\\\","both":"\\\\\\"}{","end":"\\\\"}',
    b'{}',
    b'{ "spaced" :  [ 1 ,\t2 ] }',
    b'{"deep":' + b'{"a":[' * 3000 + b']}' * 3000 + b'}',
]


def serialized(rng, event):
    """The event's bytes: compact, spaced, or printed over several lines."""
    style = rng.randrange(6)
    ascii_only = rng.random() < 0.5
    if style < 3:
        text = json.dumps(event, separators=(",", ":"), ensure_ascii=ascii_only)
    elif style == 3:
        text = json.dumps(event, ensure_ascii=ascii_only)
    else:
        text = json.dumps(event, indent=rng.choice([1, 4, "\t"]), ensure_ascii=ascii_only)
        text = text.replace("\n", "\r\n") if style == 5 else text
    return text.encode()


def random_events(rng, count):
    """`count` events as bytes; one in ten is an odd one."""
    return [rng.choice(ODD_EVENTS) if rng.random() < 0.1 else serialized(rng, rng.choice(KINDS)(rng))
            for _ in range(count)]


_STRING_OR_BREAK = re.compile(rb'("(?:[^"\\]+|\\.)*")|[\r\n][ \t\r\n]*', re.DOTALL)


def line_of(event):
    """The line a whole event becomes: newlines outside strings go, with the white space after."""
    return _STRING_OR_BREAK.sub(lambda m: m.group(1) or b"", event) + b"\n"


# --- Joiners: what stands between, before and behind the events -----------------------------------

JOINERS = {
    "nothing": lambda events: b"".join(events),
    "spaces": lambda events: b"   ".join(events) + b" ",
    "lf": lambda events: b"".join(e + b"\n" for e in events),
    "crlf": lambda events: b"".join(e + b"\r\n" for e in events),
    "lf-between": lambda events: b"\n".join(events),
    "empty-lines": lambda events: b"\n\n" + b"\n \n\t\r\n".join(events) + b"\n\n",
    "commas": lambda events: b",\n".join(events),
    "bom": lambda events: b"\xef\xbb\xbf" + b"\n".join(events),
    "rs": lambda events: b"".join(b"\x1e" + e + b"\n" for e in events),
    "nul": lambda events: b"\0".join(events) + b"\0\0",
}

# --- Compressions ---------------------------------------------------------------------------------


def plain(data):
    return data


def gzip_member(data, level=6, header=b"\x1f\x8b\x08\0\0\0\0\0\0\x03"):
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (header + deflate.compress(data) + deflate.flush()
            + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))


def gzip_fields(data):
    """Every optional header field: extra, name, comment, header checksum."""
    header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03" + struct.pack("<H", 5) + b"\0\x1f\x8b\x08\0"
    header += b"name.json\0" + b"comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    return gzip_member(data, header=header)


def gzip_stored(data):
    return gzip_member(data, level=0)


def gzip_members(data):
    """Several members, one of them empty, cut wherever it falls; zero padding behind them."""
    third = max(1, len(data) // 3)
    parts = [data[:third], b"", data[third:2 * third], data[2 * third:]]
    return b"".join(gzip_member(part) for part in parts) + b"\0" * 700


class _Unseekable(io.RawIOBase):
    """Makes zipfile write sizes behind the data, as a streaming producer does."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def _zip(data, method, out=None, zip64=False):
    out = io.BytesIO() if out is None else out
    entry = zipfile.ZipInfo("events.json", (2026, 11, 24, 5, 6, 8))
    entry.compress_type = method
    with zipfile.ZipFile(out, "w") as archive:
        with archive.open(entry, "w", force_zip64=zip64) as member:
            member.write(data)
    return bytes(out.data) if isinstance(out, _Unseekable) else out.getvalue()


def zip_stored(data):
    return _zip(data, zipfile.ZIP_STORED)


def zip_deflated(data):
    return _zip(data, zipfile.ZIP_DEFLATED)


def zip_streamed(data):
    return _zip(data, zipfile.ZIP_DEFLATED, _Unseekable())


def zip64(data):
    return _zip(data, zipfile.ZIP_DEFLATED, zip64=True)


def zip64_streamed(data):
    return _zip(data, zipfile.ZIP_DEFLATED, _Unseekable(), zip64=True)


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _snappy_literal(data):
    if not data:
        return b""
    length = len(data) - 1
    if length < 60:
        return bytes([length << 2]) + data
    size = (length.bit_length() + 7) // 8
    return bytes([(59 + size) << 2]) + length.to_bytes(size, "little") + data


def snappy_raw(data):
    """One Snappy block: literals, and copies with 2-byte offsets of what stood there before."""
    out = bytearray(_varint(len(data)))
    seen = {}
    at = start = 0
    while at + 4 <= len(data):
        word = data[at:at + 4]
        before = seen.get(word, -1)
        seen[word] = at
        if before < 0 or at - before > 0xFFFF:
            at += 1
            continue
        length = 4
        while length < 64 and at + length < len(data) and data[before + length] == data[at + length]:
            length += 1
        out += _snappy_literal(data[start:at])
        out += bytes([(length - 1) << 2 | 2]) + struct.pack("<H", at - before)
        at += length
        start = at
    return bytes(out + _snappy_literal(data[start:]))


SNAPPY_STREAM = b"\xff\x06\0\0sNaPpY"


def snappy_chunk(data, compressed=True, crc=None):
    crc = crc32c(data) if crc is None else crc
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    body = struct.pack("<I", masked) + (snappy_raw(data) if compressed else data)
    return bytes([0 if compressed else 1]) + len(body).to_bytes(3, "little") + body


def snappy(data):
    """The framing format, with an uncompressed chunk, padding, a skippable chunk, a second start."""
    chunks = [data[n:n + 65536] for n in range(0, len(data), 65536)]
    out = bytearray(SNAPPY_STREAM)
    for number, chunk in enumerate(chunks):
        out += snappy_chunk(chunk, compressed=number % 3 != 1)
        if number == 0:
            out += b"\xfe\x05\0\0\0\0\0\0\0" + b"\x80\x03\0\0abc" + SNAPPY_STREAM
    return bytes(out)


def hadoop_snappy(data):
    """Hadoop's blocks: total length, then length and raw Snappy of each part."""
    out = bytearray()
    for at in range(0, len(data), 200_000):
        block = data[at:at + 200_000]
        out += struct.pack(">I", len(block))
        for part in range(0, len(block), 120_000):
            raw = snappy_raw(block[part:part + 120_000])
            out += struct.pack(">I", len(raw)) + raw
    return bytes(out)


COMPRESSIONS = {
    "plain": (plain, ""),
    "gzip": (gzip_member, ".gz"),
    "gzip-fields": (gzip_fields, ".gz"),
    "gzip-stored": (gzip_stored, ".gz"),
    "gzip-members": (gzip_members, ".gz"),
    "zip-stored": (zip_stored, ".zip"),
    "zip-deflated": (zip_deflated, ".zip"),
    "zip-streamed": (zip_streamed, ".zip"),
    "zip64": (zip64, ".zip"),
    "zip64-streamed": (zip64_streamed, ".zip"),
    "snappy": (snappy, ".snappy"),
    "hadoop-snappy": (hadoop_snappy, ".snappy"),
}

# --- Deliveries -----------------------------------------------------------------------------------


@dataclass
class Delivery:
    """One object: where it goes, what is stored, and the lines it must become."""

    key: str
    body: bytes                                # as it is stored
    lines: list = field(default_factory=list)  # that it adds to its hour's log
    modified: int = 0                          # seconds since 1970; what the store says, once there
    plain: bytes = b""                         # decoded and otherwise untouched

    @property
    def name(self):
        return self.key.rsplit("/", 1)[-1]

    @property
    def log(self):
        return b"".join(self.lines)


def hour_path(when):
    return when.strftime("%Y/%m/%d/%H")


def now_hour(offset_hours=0, zone=datetime.timezone.utc):
    """The current hour's path, or that of some hours away."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=offset_hours)
    return hour_path(now.astimezone(zone))


def delivery_key(rng, hour, extension, version=1):
    """A key as Firehose forms it, for an hour "YYYY/MM/DD/HH"."""
    stamp = f"{hour.replace('/', '-')}-{rng.randrange(60):02}-{rng.randrange(60):02}"
    unique = uuid.UUID(int=rng.getrandbits(128), version=4)
    return f"{hour}/macie-stream-{version}-{stamp}-{unique}{extension}"


def delivery(rng, hour, events=None, joiner=None, compression=None, modified=0):
    """A delivery of given or random events; what is not given is drawn."""
    events = random_events(rng, rng.choice([1, 2, 5, 40])) if events is None else events
    join = JOINERS[joiner or rng.choice(sorted(JOINERS))]
    compress, extension = COMPRESSIONS[compression or rng.choice(sorted(COMPRESSIONS))]
    key = delivery_key(rng, hour, extension, version=rng.choice([1, 9, 10]))
    data = join(events)
    return Delivery(key, compress(data), [line_of(e) for e in events], modified, data)


def empty_delivery(rng, hour, modified=0):
    """An object of 0 bytes."""
    return Delivery(delivery_key(rng, hour, ""), b"", [], modified)


def big_delivery(rng, hour, size, compression="gzip", modified=0):
    """At least `size` decoded bytes."""
    some = [serialized(rng, finding(rng)) for _ in range(50)]
    events = []
    while size > 0:
        events.append(rng.choice(some))
        size -= len(events[-1])
    return delivery(rng, hour, events, "nothing", compression, modified)


def every_form(rng, hour, modified=0):
    """One delivery for every compression and for every joiner."""
    forms = [delivery(rng, hour, compression=c, modified=modified) for c in COMPRESSIONS]
    return forms + [delivery(rng, hour, joiner=j, modified=modified) for j in JOINERS]


def expected_log(deliveries):
    """The log of an hour whose objects were all met at once: ordered by (LastModified, key)."""
    ordered = sorted(deliveries, key=lambda d: (d.modified, d.key.encode()))
    return b"".join(d.log for d in ordered)


# --- Damage ---------------------------------------------------------------------------------------


def _whole_lines(events, plain_bytes):
    """The lines of those events (which were joined by nothing) that end within `plain_bytes`."""
    lines, at = [], 0
    for event in events:
        at += len(event)
        if at > plain_bytes:
            break
        lines.append(line_of(event))
    return lines


def _inflated(stored):
    return len(zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(stored))


def _gzip_truncated(events, data):
    stored = gzip_member(data)
    stored = stored[:len(stored) * 2 // 3]
    return stored, _inflated(stored)


def _gzip_without_trailer(events, data):
    return gzip_member(data)[:-3], len(data)


def _gzip_checksum(events, data):
    stored = bytearray(gzip_member(data))
    stored[-8] ^= 0x10
    return bytes(stored), len(data)


def _gzip_length(events, data):
    stored = bytearray(gzip_member(data))
    stored[-1] ^= 0x01
    return bytes(stored), len(data)


def _gzip_block_type(events, data):
    """The second of two members begins with a block type that does not exist."""
    half = len(b"".join(events[:len(events) // 2]))
    second = bytearray(gzip_member(data[half:]))
    second[10] |= 0x06
    return gzip_member(data[:half]) + bytes(second), half


def _gzip_then_garbage(events, data):
    return gzip_member(data) + b"garbage", len(data)


def _zip_truncated(events, data):
    stored = zip_stored(data)
    header = 30 + len("events.json")
    return stored[:header + len(data) // 2], len(data) // 2


def _zip_checksum(events, data):
    stored = bytearray(zip_deflated(data))
    stored[14] ^= 0x01
    return bytes(stored), len(data)


def _snappy_checksum(events, data):
    """The chunk that begins with the second half's first event has a wrong checksum."""
    half = len(b"".join(events[:len(events) // 2]))
    bad, rest = data[half:half + 60_000], data[half + 60_000:]
    return snappy(data[:half]) + snappy_chunk(bad, crc=crc32c(bad) ^ 1) + snappy(rest), half


def _snappy_truncated(events, data):
    half = len(b"".join(events[:len(events) // 2]))
    return snappy(data[:half]) + snappy_chunk(data[half:half + 60_000])[:-1], half


def _hadoop_truncated(events, data):
    half = len(b"".join(events[:len(events) // 2]))
    rest = data[half:][:150_000]
    # What lacks its last byte is the last part alone: one before it in the block is whole.
    whole = half + (120_000 if len(rest) > 120_000 else 0)
    return hadoop_snappy(data[:half]) + hadoop_snappy(rest)[:-1], whole


def _plain_truncated(events, data):
    return data[:-1], len(data) - 1


DAMAGES = {
    "gzip-truncated": _gzip_truncated,
    "gzip-without-trailer": _gzip_without_trailer,
    "gzip-checksum": _gzip_checksum,
    "gzip-length": _gzip_length,
    "gzip-block-type": _gzip_block_type,
    "gzip-then-garbage": _gzip_then_garbage,
    "zip-truncated": _zip_truncated,
    "zip-checksum": _zip_checksum,
    "snappy-checksum": _snappy_checksum,
    "snappy-truncated": _snappy_truncated,
    "hadoop-truncated": _hadoop_truncated,
    "plain-truncated": _plain_truncated,
}


def damaged_delivery(rng, hour, damage, modified=0):
    """A delivery that is damaged so; its lines are those of the whole events before the damage."""
    events = [serialized(rng, rng.choice(KINDS)(rng)) for _ in range(30)]
    stored, decoded = DAMAGES[damage](events, b"".join(events))
    key = delivery_key(rng, hour, f".{damage}")
    return Delivery(key, stored, _whole_lines(events, decoded), modified, b"".join(events)[:decoded])


def generator(seed):
    return random.Random(seed)
