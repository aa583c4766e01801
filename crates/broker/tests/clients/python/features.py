"""What a program for one client shares with the others: the list of features and how it is told.

Each feature is one line of standard output: `FEATURE ok`, `FEATURE cannot: REASON` or
`FEATURE failed: REASON`.
"""

import random
import sys
import time

PATIENCE_SECONDS = 40

NAMES = [
    "codec-none",
    "codec-gzip",
    "codec-snappy",
    "codec-lz4",
    "codec-zstd",
    "headers",
    "large-record",
    "too-large-refused",
    "idempotent",
    "transactions",
    "transaction-offsets",
    "transaction-fencing",
    "group-rebalance",
    "group-resume",
    "static-member",
    "new-group-rebalance",
    "new-group-resume",
    "offsets-by-time",
    "delete-records",
    "admin-topics",
    "admin-configs",
    "admin-groups",
    "admin-cluster",
]

HEADERS = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]

# Where the clock of the records of offsets-by-time begins: an hour ago.
MINUTE_MS = 60_000


class Cannot(Exception):
    """The client does not have this feature."""


def wanted():
    """The broker's address, and the features to try."""
    names = sys.argv[2:] or NAMES
    return sys.argv[1], names


def report(name, error):
    if error is None:
        print(name, "ok", flush=True)
    elif isinstance(error, Cannot):
        print(name, f"cannot: {error}", flush=True)
    else:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(name, f"failed: {text}", flush=True)


def run(bootstrap, names, table):
    """Tries the features of a client that blocks."""
    for name in names:
        try:
            table[name](bootstrap)
        except Exception as error:  # whatever a client may raise
            report(name, error)
        else:
            report(name, None)


def value(number):
    return f"value-{number} ".encode() + b"again and " * 20


def numbered(count):
    return [(f"key-{number}".encode(), value(number)) for number in range(count)]


def noise(length):
    return random.Random(1).randbytes(length)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def hour_ago_ms():
    return int(time.time() * 1000) - 60 * MINUTE_MS


def until(what, holds):
    """Looks again and again whether this holds; looking is what makes a client poll."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")
