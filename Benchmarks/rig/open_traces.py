#!/usr/bin/env python3
"""Sends plain spans of many traces in turn, so that all traces are open at once: for the memory of tail sampling.

open_traces.py PORT TRACES SPANS: each request holds one span of each of 100 traces; no trace has its root.
"""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from wire import field, pair  # noqa: E402

PER_REQUEST = 100
ATTRIBUTES = [
    ("http.request.method", "GET"), ("url.full", "https://shop.example/api/v1/items/4711?page=3"),
    ("http.response.status_code", 200), ("server.address", "shop.example"), ("server.port", 443),
    ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
    ("network.protocol.version", "1.1"), ("client.address", "10.1.2.3"), ("http.route", "/api/v1/items/{id}"),
    ("app.tenant", "blue-fish"),
]


def places(request, mark):
    found = []
    at = request.find(mark)
    while at >= 0:
        found.append(at)
        at = request.find(mark, at + len(mark))
    return found


def template():
    span = field(1, b"T" * 16) + field(2, b"S" * 8) + field(4, b"P" * 8) + field(5, b"GET /api/v1/items/{id}")
    span += b"\x30\x02\x39" + struct.pack("<Q", 1764 * 10**15) + b"\x41" + struct.pack("<Q", 1764 * 10**15 + 5 * 10**7)
    span += b"".join(field(9, pair(key, value)) for key, value in ATTRIBUTES)
    resource = field(1, field(1, pair("service.name", "shop")) + field(1, pair("host.name", "node-17")))
    scope = field(2, field(1, field(1, b"lib") + field(2, b"1.0")) + field(2, span) * PER_REQUEST)
    return bytearray(field(1, resource + scope))


def post(connection, request):
    head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"
    while True:
        connection.sendall((head % len(request)).encode() + request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        head_text, _, body = answer.partition(b"\r\n\r\n")
        length = [line for line in head_text.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while len(body) < int(length[0].split(b":")[1]):
            body += connection.recv(65536)
        if b" 200 " in head_text[:20]:
            return
        time.sleep(0.1)


def main():
    port, traces, spans = (int(argument) for argument in sys.argv[1:4])
    request = template()
    trace_places, span_places = places(request, b"T" * 16), places(request, b"S" * 8)
    connection = socket.create_connection(("127.0.0.1", port))
    for number in range(spans):
        for first in range(0, traces, PER_REQUEST):
            for index in range(PER_REQUEST):
                trace = first + index
                request[trace_places[index]:trace_places[index] + 16] = struct.pack(
                    ">QQ", (trace + 1) * 0x9E3779B97F4A7C15 & (2**64 - 1), trace + 1)
                request[span_places[index]:span_places[index] + 8] = struct.pack(">II", trace, number + 1)
            post(connection, request)
    print(f"{traces * spans} spans in requests of {len(request)} bytes")


main()
