"""An HTTP proxy on loopback, as companies have between their hosts and AWS.

It takes whole URLs (http) and CONNECT (https), wants a user and a password where told so, and records
what was asked for. `refuse` is a status that it answers everything with instead.
"""

import base64
import http.client
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler

from listener import Listener

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authorization",
              "transfer-encoding"}


class HttpProxy:
    """The proxy. start() and stop(); `user` and `password` may change while it serves."""

    def __init__(self, user=None, password=None):
        self.user, self.password = user, password
        self.refuse = None
        self.asked = []  # (method, target) of what was let through
        self._http = None

    def start(self):
        self._http = Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._http.shutdown()
        self._http.server_close()
        self._http.close_connections()
        self._thread.join()

    @property
    def port(self):
        return self._http.server_address[1]

    def url(self, user=None, password=None):
        who = f"{urllib.parse.quote(user)}:{urllib.parse.quote(password, '')}@" if user else ""
        return f"http://{who}127.0.0.1:{self.port}"

    def answer(self, authorization):
        """The status for a request that shows this, or None to let it through."""
        wanted = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and authorization != f"Basic {wanted}":
            return 407
        return self.refuse


def _relay(source, sink):
    """Until the source ends."""
    try:
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        """The record of requests is the owner's."""

    def lets_through(self):
        """Records the request, or refuses it."""
        owner = self.server.owner
        status = owner.answer(self.headers.get("Proxy-Authorization"))
        if not status:
            owner.asked.append((self.command, self.path))
            return True
        self.close_connection = True
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        return False

    def do_CONNECT(self):
        self.close_connection = True
        if not self.lets_through():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as server:
            self.send_response_only(200, "Connection established")
            self.end_headers()
            there = threading.Thread(target=_relay, args=(self.connection, server), daemon=True)
            there.start()
            _relay(server, self.connection)
            there.join()

    def do_GET(self):
        if not self.lets_through():
            return
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = http.client.HTTPConnection(url.hostname, url.port)
        target = url.path + (f"?{url.query}" if url.query else "")
        server.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                server.putheader(name, value)
        server.endheaders(body)
        self.forward(server.getresponse())
        server.close()

    do_POST = do_GET

    def forward(self, answer):
        body = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
