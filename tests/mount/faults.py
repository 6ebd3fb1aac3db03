"""An S3 server that misbehaves when told to.

It serves one bucket from memory: ListObjectsV2 and GetObject, with keep-alive. LastModified is the
test's to choose. A test arms faults, each for a kind of request and a number of times; every request
is recorded. It does not check signatures (the real server does), but it wants one, by a key that it
knows, with that key's session token.
"""

import calendar
import collections
import hashlib
import re
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape

from listener import Listener

BUCKET = "fault-bucket"
ACCESS_KEY = "FAULTACCESSKEY"
SECRET_KEY = "fault-secret"

CLOCK_SLACK_S = 900  # as S3 has it

LIST, GET, ANY = "list", "get", "any"

# How a server writes keys for encoding-type=url. AWS leaves '/' and writes ' ' as '+'.
KEY_STYLES = {
    "aws": lambda text: urllib.parse.quote_plus(text, safe="/*"),
    "escaped": lambda text: urllib.parse.quote(text, safe=""),
    "bare": lambda text: urllib.parse.quote(text, safe="/"),
}


@dataclass
class Stored:
    body: bytes
    modified: float
    etag: str


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: object  # by name, in any case
    at: float = field(default_factory=time.monotonic)

    @property
    def key(self):
        return self.path.partition(f"/{BUCKET}/")[2]

    @property
    def kind(self):
        if self.method != "GET":
            return self.method
        return GET if self.key else LIST


@dataclass
class Fault:
    """One way to misbehave, for the next `times` requests of a kind whose key holds `key`."""

    name: str
    on: str = ANY
    times: float = 1
    key: str = ""
    args: dict = field(default_factory=dict)
    hits: int = 0

    def takes(self, request):
        return (self.hits < self.times and self.on in (ANY, request.kind)
                and self.key in request.key)


def signed_at(headers):
    """When a request says that it was signed, in seconds since 1970."""
    return calendar.timegm(time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))


class FaultServer:
    """The server. start() and stop(); put() and delete() fill it; arm() makes it misbehave."""

    bucket = BUCKET

    def __init__(self, key_style="aws", region="us-east-1", page=1000, tls=None):
        self.tls = tls  # an ssl.SSLContext, to be spoken to by https
        self.key_style = KEY_STYLES[key_style]
        self.region = region
        self.page = page
        self.clock_skew = 0           # seconds that its clock is ahead
        self.clock_slack = CLOCK_SLACK_S
        self.refused_dates = 0        # requests whose date was too far from it
        self.keys = {ACCESS_KEY: None}  # who may ask, each with its session token; None: any
        self.ended = set()            # session tokens that count as expired
        self.refused_keys = 0         # requests by a key that is not known, or whose session ended
        self.content_encoding = None  # header of every object
        self.objects = {}
        self.requests = []
        self.faults = []
        self.lock = threading.Lock()
        self.released = threading.Event()  # set: whoever stalls goes on
        self._http = None

    def clock(self):
        return time.time() + self.clock_skew

    # What the test does

    def start(self):
        self._http = Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        if self.tls:
            # The handshake is the connection's own thread's, not that of who accepts.
            self._http.socket = self.tls.wrap_socket(self._http.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.close_connections()
        self._thread.join()

    @property
    def endpoint(self):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._http.server_address[1]}"

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_DEFAULT_REGION": "us-east-1"}

    def put(self, key, body, modified=None, etag=None):
        modified = time.time() if modified is None else modified
        etag = etag or hashlib.md5(body).hexdigest()
        with self.lock:
            self.objects[key] = Stored(body, modified, etag)
        return int(modified)

    def delete(self, key):
        with self.lock:
            del self.objects[key]

    def arm(self, name, on=ANY, times=1, key="", **args):
        """Arms a fault: see the _Handler's fault_… methods for names and arguments."""
        if not hasattr(_Handler, f"fault_{name}"):
            raise ValueError(f"no such fault: {name}")
        fault = Fault(name, on, times, key, args)
        with self.lock:
            self.faults.append(fault)
        return fault

    def disarm(self):
        with self.lock:
            self.faults.clear()
        self.released.set()
        self.released = threading.Event()

    def count(self, kind, key=""):
        """How many requests of a kind ("list", "get", or another method) there were."""
        with self.lock:
            return sum(r.kind == kind and key in r.key for r in self.requests)

    # What the handler asks

    def meet(self, request):
        """Records a request; returns the fault that takes it, or None."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.takes(request):
                    fault.hits += 1
                    return fault
        return None

    def list_page(self, query):
        """The entries of one page, in order, and the key to continue behind, or None."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        token, after = query.get("continuation-token", ""), query.get("start-after", "")
        limit = min(int(query.get("max-keys", 1000)), self.page)
        with self.lock:
            stored = sorted(self.objects.items(), key=lambda item: item[0].encode())
        entries = collections.OrderedDict()
        for key, item in stored:
            if not key.startswith(prefix) or key.encode() <= max(after, token).encode():
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key if cut < 0 else key[:cut + len(delimiter)]
            if name in entries or name == token:
                continue
            if len(entries) == limit:
                return entries, next(reversed(entries))
            entries[name] = item if cut < 0 else None
        return entries, None


def _iso(when):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + ".000Z"


def _error_xml(code, message, extra=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
            f"<Message>{message}</Message>{extra}<RequestId>4442587FB7D0A2F9</RequestId></Error>")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    @property
    def owner(self):
        return self.server.owner

    def log_message(self, *args):
        """The record of requests is the owner's."""

    def date_time_string(self, timestamp=None):
        now = self.owner.clock()
        return formatdate(now if timestamp is None else timestamp, usegmt=True)

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, urllib.parse.unquote(parts.path), query, self.headers)
        fault = self.owner.meet(request)
        if fault:
            getattr(self, f"fault_{fault.name}")(request, **fault.args)
        elif not self.refused(request):
            self.answer(*self.result(request))

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    # Right answers

    def refused(self, request):
        """Answers a request that S3 would refuse whatever it asks for. Returns whether it did."""
        match = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]*)/\d{8}/([^/]*)/s3/aws4_request,",
                         request.headers.get("Authorization", ""))
        token = request.headers.get("x-amz-security-token")
        if not match or match[1] not in self.owner.keys:
            self.owner.refused_keys += 1
            self.error(403, "InvalidAccessKeyId", "The key does not exist in our records.")
        elif token in self.owner.ended:
            self.owner.refused_keys += 1
            self.error(400, "ExpiredToken", "The provided token has expired.")
        elif self.owner.keys[match[1]] not in (None, token):
            self.error(400, "InvalidToken", "The provided token is malformed.")
        elif match[2] != self.owner.region:
            self.fault_region(request, self.owner.region)
        elif abs(self.owner.clock() - signed_at(request.headers)) > self.owner.clock_slack:
            self.owner.refused_dates += 1
            self.error(403, "RequestTimeTooSkewed", "The clocks differ too much.")
        elif request.path.split("/")[1] != BUCKET:
            self.error(404, "NoSuchBucket", "The specified bucket does not exist")
        elif request.method != "GET":
            self.error(405, "MethodNotAllowed", "The method is not allowed")
        else:
            return False
        return True

    def result(self, request):
        """Status, headers and body that a good server would answer."""
        if request.kind == LIST:
            return 200, {"Content-Type": "application/xml"}, self.list_xml(request.query)
        with self.owner.lock:
            stored = self.owner.objects.get(request.key)
        if not stored:
            return 404, {}, _error_xml("NoSuchKey", "The key does not exist.").encode()
        if request.headers.get("If-Match", stored.etag).strip('"') != stored.etag:
            return 412, {}, _error_xml("PreconditionFailed", "A condition did not hold").encode()
        headers = {"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes",
                   "Last-Modified": self.date_time_string(stored.modified)}
        if self.owner.content_encoding:
            headers["Content-Encoding"] = self.owner.content_encoding
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if not span:
            return 200, headers, stored.body
        first, last = int(span[1]), int(span[2] or len(stored.body) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(stored.body)}"
        return 206, headers, stored.body[first:last + 1]

    def list_xml(self, query):
        encoded = query.get("encoding-type") == "url"
        def text(key):
            return escape(self.owner.key_style(key) if encoded else key)
        entries, following = self.owner.list_page(query)
        out = ['<?xml version="1.0" encoding="UTF-8"?>\n'
               '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
               f"<Name>{BUCKET}</Name><Prefix>{text(query.get('prefix', ''))}</Prefix>",
               f"<KeyCount>{len(entries)}</KeyCount>",
               f"<IsTruncated>{'true' if following is not None else 'false'}</IsTruncated>"]
        if encoded:
            out.append("<EncodingType>url</EncodingType>")
        if following is not None:
            out.append(f"<NextContinuationToken>{escape(following)}</NextContinuationToken>")
        for key, stored in entries.items():
            if stored:
                out.append(f"<Contents><Key>{text(key)}</Key>"
                           f"<LastModified>{_iso(stored.modified)}</LastModified>"
                           f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{len(stored.body)}</Size>"
                           "<StorageClass>STANDARD</StorageClass></Contents>")
        out += [f"<CommonPrefixes><Prefix>{text(key)}</Prefix></CommonPrefixes>"
                for key, stored in entries.items() if not stored]
        return "".join(out + ["</ListBucketResult>"]).encode()

    def head(self, status, headers, length):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def answer(self, status, headers, body):
        self.head(status, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message="It went wrong.", headers=None, extra=""):
        self.answer(status, {"Content-Type": "application/xml", **(headers or {})},
                    _error_xml(code, message, extra).encode())

    # Faults: each is armed by its name without "fault_"

    def fault_status(self, request, status, code="InternalError", message="It went wrong.",
                     headers=None, extra=""):
        """An error answer: 503 SlowDown, 500, 429, 403 with a code …"""
        self.error(status, code, message, headers, extra)

    def fault_region(self, request, region):
        self.error(400, "AuthorizationHeaderMalformed", f"expecting '{region}'",
                   {"x-amz-bucket-region": region}, f"<Region>{region}</Region>")

    def fault_redirect(self, request, status, location="", region="", code="PermanentRedirect"):
        """301 to another region's endpoint, or 307 elsewhere."""
        headers = {"Location": location} if location else {}
        if region:
            headers["x-amz-bucket-region"] = region
        self.error(status, code, headers=headers,
                   extra=f"<Endpoint>{location}</Endpoint><Bucket>{BUCKET}</Bucket>")

    def fault_reset(self, request):
        """The connection is reset before anything is answered."""
        self.reset()

    def fault_reset_inside(self, request):
        """The connection is reset in the middle of the body."""
        self.half(request)
        self.reset()

    def fault_close(self, request):
        """The connection is closed before anything is answered."""
        self.close_connection = True

    def fault_truncate(self, request):
        """The connection is closed in the middle of the body."""
        self.half(request)
        self.close_connection = True

    def fault_short(self, request):
        """A whole, well-framed answer with half the object's bytes."""
        status, headers, body = self.result(request)
        self.answer(status, headers, body[:len(body) // 2])

    def fault_slow(self, request, seconds=1.0, steps=20):
        """The body trickles in."""
        status, headers, body = self.result(request)
        self.head(status, headers, len(body))
        step = -(-len(body) // steps) or 1
        for at in range(0, len(body), step):
            self.wfile.write(body[at:at + step])
            self.wfile.flush()
            time.sleep(seconds / steps)

    def fault_stall(self, request):
        """Half the body, then nothing until the test disarms the server."""
        released = self.owner.released
        self.half(request)
        released.wait()
        self.close_connection = True

    def fault_silent(self, request):
        """No answer at all until the test disarms the server."""
        self.owner.released.wait()
        self.close_connection = True

    def fault_hold(self, request):
        """A right answer, but only once the test disarms the server."""
        self.owner.released.wait()
        self.answer(*self.result(request))

    def fault_wrong_body(self, request):
        """As many bytes as there should be, under the right ETag, with one bit wrong."""
        status, headers, body = self.result(request)
        wrong = bytearray(body)
        wrong[len(wrong) // 2] ^= 0x20
        self.answer(status, headers, bytes(wrong))

    def fault_body(self, request, body, content_type="application/xml"):
        """200 with a body of the test's choice: garbage, or XML that is no listing."""
        self.answer(200, {"Content-Type": content_type}, body)

    def fault_garbage(self, request):
        """Something that is not even HTTP."""
        self.wfile.write(b"\x16\x03\x01\0\0garbage\r\n\r\n")
        self.close_connection = True

    def half(self, request):
        status, headers, body = self.result(request)
        self.head(status, headers, len(body))
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
