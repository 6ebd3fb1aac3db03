"""The least that speaks S3: one keep-alive connection that signs, sends and reads.

It stands beside maciefs as the fastest client that can be had in Python, and loads the data.
Source: Signature Version 4, "Create a signed AWS API request".
"""
import hashlib
import hmac
import http.client
import re
import time
import urllib.parse

REGION = "us-east-1"
PAGE = 1000  # keys, S3's limit


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Connection:
    """Not to be shared between threads."""

    def __init__(self, endpoint, access_key, secret_key):
        self.host = endpoint.removeprefix("http://")
        self.access_key, self.secret_key = access_key, secret_key
        self.day, self.key = None, None
        self.http = http.client.HTTPConnection(self.host)

    def _signing_key(self, day):
        if day != self.day:
            key = ("AWS4" + self.secret_key).encode()
            for part in (day, REGION, "s3", "aws4_request"):
                key = _hmac(key, part)
            self.day, self.key = day, key
        return self.key

    def _headers(self, method, path, query):
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        signed = "host;x-amz-content-sha256;x-amz-date"
        canonical = (f"{method}\n{path}\n{query}\nhost:{self.host}\n"
                     f"x-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n"
                     f"{signed}\nUNSIGNED-PAYLOAD")
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
        signature = _hmac(self._signing_key(now[:8]), text).hex()
        return {"x-amz-date": now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                                 f"SignedHeaders={signed}, Signature={signature}"}

    def request(self, method, path, params=None, body=None):
        """Sends one request and returns the answer's body; any answer but 200 is an error."""
        path = urllib.parse.quote(path, safe="/-_.~")
        query = urllib.parse.urlencode(sorted((params or {}).items()),
                                       quote_via=urllib.parse.quote, safe="-_.~")
        self.http.request(method, path + ("?" + query if query else ""), body,
                          self._headers(method, path, query))
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def put(self, bucket, key, data):
        self.request("PUT", f"/{bucket}/{key}", body=data)

    def count_keys(self, bucket, prefix):
        """Lists all keys page by page and does no more with them than to count them."""
        params = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE), "encoding-type": "url"}
        count = 0
        while True:
            page = self.request("GET", f"/{bucket}", params)
            count += page.count(b"<Key>")
            token = re.search(rb"<NextContinuationToken>([^<]+)<", page)
            if not token:
                return count
            params["continuation-token"] = token.group(1).decode()

    def close(self):
        self.http.close()
