"""Seen from another machine: which ports answer, what SSH says to somebody without a key, and how long it goes on saying so.

Usage: outside.py ADDRESS. Prints one JSON document. "filtered" is a port that gives no answer at all.
"""

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TCP = (22, 25, 53, 80, 111, 443, 2375, 2376, 2377, 3000, 5000, 5432, 6379, 7946, 8080, 8088, 9000, 9099)
UDP = (53, 443, 4789, 5353, 7946)
WAIT_S = 2.0
NOTICED_S = 20  # fail2ban reads the journal now and then
TRIES = 8  # more than fail2ban forgives


def tcp(port: int) -> str:
    """What becomes of a connection."""
    with socket.socket() as caller:
        caller.settimeout(WAIT_S)
        try:
            caller.connect((ADDRESS, port))
        except ConnectionRefusedError:
            return "closed"
        except OSError:
            return "filtered"
        return "open"


def udp(port: int) -> str:
    """Whether a packet comes through: nobody listens there, and only whom it reaches can say so."""
    with socket.socket(type=socket.SOCK_DGRAM) as caller:
        caller.settimeout(WAIT_S)
        caller.connect((ADDRESS, port))
        caller.send(b"anybody there?")
        try:
            caller.recv(100)
        except ConnectionRefusedError:
            return "open"
        except OSError:
            return "filtered"
        return "open"


def ssh(*options: str) -> str:
    """The last line that SSH gives."""
    base = ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=3"]
    words = [*base, "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", *options, ADDRESS, "true"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "no answer"
    return (done.stderr.strip().splitlines() or [""])[-1]


ADDRESS = sys.argv[1]
with ThreadPoolExecutor(len(TCP)) as pool:
    ports = dict(zip(TCP, pool.map(tcp, TCP), strict=True))
    packets = dict(zip(UDP, pool.map(udp, UDP), strict=True))
answers = []
for name in ("root", "smos", *["guest"] * TRIES):
    answers.append(ssh("-l", name, "-o", "PubkeyAuthentication=no"))
    if tcp(22) != "open":
        break
deadline = time.monotonic() + NOTICED_S
while (after := tcp(22)) == "open" and time.monotonic() < deadline:
    time.sleep(0.5)
json.dump({"tcp": ports, "udp": packets, "ssh": answers, "after": after}, sys.stdout)
