"""A network that can be cut: a TCP proxy on loopback in front of a server.

It forwards bytes until told otherwise, counts them, and reads the request lines as they pass, so
that a test can say how many requests of which method a mount made.
"""

import re
import socket
import struct
import threading
import time

PASS, REFUSE, RESET, BLACKHOLE, SLOW = "pass", "refuse", "reset", "blackhole", "slow"

REQUEST_LINE = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.1\r$", re.MULTILINE)
CHUNK = 1 << 16


class Proxy:
    """Forwards 127.0.0.1:`port` to `target_port`. The modes are set by cut(), slow() and heal()."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.mode = PASS
        self.bytes_per_second = None
        self.to_server = 0    # bytes
        self.to_client = 0    # bytes
        self.connections = 0  # accepted
        self.requests = []    # (method, target)
        self.swallowed = 0    # pieces that a blackhole holds or held
        self._lock = threading.Lock()
        self._open = set()
        self._stopping = False
        self.port = None
        self._listener = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self._listen()
        return self

    def stop(self):
        self._stopping = True
        self._unlisten()
        self._drop_all()

    def cut(self, mode=REFUSE):
        """The network goes away: refused, reset, or (blackhole) swallowing what is sent."""
        self.mode = mode
        if mode == REFUSE:
            self._unlisten()
        if mode in (REFUSE, RESET):
            self._drop_all()

    def slow(self, bytes_per_second):
        """Answers pass at this rate, each connection by itself."""
        self.bytes_per_second = bytes_per_second
        self.mode = SLOW

    def heal(self):
        """The network is back. Connections that a blackhole swallowed are reset."""
        swallowed = self.mode == BLACKHOLE
        self.mode = PASS
        if swallowed:
            self._drop_all()
        if not self._listener:
            self._listen()

    def count(self, method):
        with self._lock:
            return sum(m == method for m, _ in self.requests)

    def lists(self):
        with self._lock:
            return sum("list-type=2" in target for _, target in self.requests)

    def gets(self):
        with self._lock:
            return sum(m == "GET" and "list-type=2" not in t for m, t in self.requests)

    def forget(self):
        """Sets the counts to nothing."""
        with self._lock:
            self.requests = []
            self.to_server = self.to_client = 0

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port or 0))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _unlisten(self):
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _keep(self, connection):
        """Notes a connection, unless the network is gone: cut() may not see one that comes late."""
        with self._lock:
            self._open.add(connection)
            gone = self.mode in (REFUSE, RESET) or self._stopping
        if gone:
            self._drop(connection)
        return not gone

    def _serve(self, client):
        if not self._keep(client):
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            self._drop(client)
            return
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._keep(server):
            self._drop(client)
            return
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        self._forward(client, server, self._note_request)

    def _answers(self, server, client):
        self._forward(server, client, self._note_answer)

    def _forward(self, source, target, note):
        try:
            while data := source.recv(CHUNK):
                self._wait_in_blackhole()
                note(data)
                target.sendall(data)
        except OSError:
            pass
        self._drop(source)
        self._drop(target)

    def _wait_in_blackhole(self):
        if self.mode == BLACKHOLE:
            self.swallowed += 1
        while self.mode == BLACKHOLE and not self._stopping:
            time.sleep(0.02)

    def _note_request(self, data):
        """Clients send each request's head at once, and no bodies: lines are never cut."""
        with self._lock:
            self.to_server += len(data)
            self.requests += [(m.decode(), t.decode()) for m, t in REQUEST_LINE.findall(data)]

    def _note_answer(self, data):
        with self._lock:
            self.to_client += len(data)
        if self.mode == SLOW:
            time.sleep(len(data) / self.bytes_per_second)

    def _drop(self, connection):
        with self._lock:
            if connection not in self._open:
                return
            self._open.discard(connection)
        try:
            if self.mode != PASS:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()

    def _drop_all(self):
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            self._drop(connection)
