"""What stands in the memory of a process, as whoever gets hold of a core of it sees."""

import hashlib
import hmac

LARGEST = 1 << 30  # bytes; what is larger is a sanitizer's shadow


def mappings(pid):
    """The writable ones: (first, end)."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            span, mode = line.split()[:2]
            first, end = (int(at, 16) for at in span.split("-"))
            if "w" in mode and "r" in mode and end - first < LARGEST and "[v" not in line:
                yield first, end


def found(pid, texts):
    """Which of the texts (bytes) the process has in its memory."""
    left = set(texts)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for first, end in mappings(pid):
            try:
                memory.seek(first)
                content = memory.read(end - first)
            except OSError:
                continue  # unmapped meanwhile
            left -= {text for text in left if text in content}
    return set(texts) - left


def signing_keys(secret, date, region, service):
    """What Signature Version 4 makes of a secret: the keys on the way, and the last one."""
    keys, key = [], b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        keys.append(key)
    return keys
