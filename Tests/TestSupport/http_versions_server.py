"""A server on loopback that speaks HTTP/1.1 and HTTP/2 over TLS, for tests: the standard library alone.

    http_versions_server.py CERT KEY

Prints the port, then per request its version and the number of its connection. Each is answered with 200, over HTTP/2
with the status 0 of gRPC too. It reads no heads of HTTP/2.
"""

import socket
import ssl
import struct
import sys
import threading

DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
# :status 200, then content-type and grpc-status as literals that are not indexed.
HEAD = b"\x88\x00\x0ccontent-type\x10application/grpc\x00\x0bgrpc-status\x010"
print_lock = threading.Lock()


def tell(version, number):
    with print_lock:
        print(version, number, flush=True)


def take(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def http1(stream, connection, number):
    while True:
        length = 0
        if not stream.readline():
            return
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        take(stream, length)
        tell("HTTP/1.1", number)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def http2(stream, connection, number):
    take(stream, 24)
    connection.sendall(frame(SETTINGS, 0, 0))
    while True:
        head = take(stream, 9)
        payload = take(stream, int.from_bytes(head[:3], "big"))
        kind, flags, where = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind in (SETTINGS, PING) and not flags & ACK:
            connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == DATA and payload:
            for which in (0, where):
                connection.sendall(frame(WINDOW_UPDATE, 0, which, struct.pack(">I", len(payload))))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            tell("HTTP/2", number)
            connection.sendall(frame(HEADERS, END_STREAM | END_HEADERS, where, HEAD))


def serve(context, plain, number):
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            stream = connection.makefile("rb")
            handle = http2 if connection.selected_alpn_protocol() == "h2" else http1
            handle(stream, connection, number)
    except (EOFError, OSError):
        pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.set_alpn_protocols(["h2", "http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        number = 0
        while True:
            plain, _ = listener.accept()
            number += 1
            threading.Thread(target=serve, args=(context, plain, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


main()
