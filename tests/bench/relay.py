"""A relay that counts the requests it passes on, for counts that nobody's own word stands for."""
import collections
import re
import socket
import threading

REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")


class CountingRelay:
    """Relays bytes between clients and one server; requests without bodies are counted."""

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("http://").split(":")
        self.server = (host, int(port))
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._relay, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, False), daemon=True).start()

    def _relay(self, source, target, counted):
        head = b""
        try:
            while chunk := source.recv(1 << 16):
                target.sendall(chunk)
                if counted:
                    head = self._count(head + chunk)
        except OSError:
            pass
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _count(self, head):
        """Counts the requests whose head is whole, and returns what is left."""
        while (end := head.find(b"\r\n\r\n")) >= 0:
            method, target = REQUEST.match(head).groups()
            kind = "LIST" if method == b"GET" and b"list-type=2" in target else method.decode()
            with self.lock:
                self.counts[kind] += 1
            head = head[end + 4:]
        return head

    def close(self):
        self.listener.close()
