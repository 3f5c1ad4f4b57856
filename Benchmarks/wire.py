"""Protobuf fields of OTLP by hand, for the benchmarks that make requests of their own."""
import struct


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    """A field of a message: a varint for an int, else one with its length before it."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def pair(key, value):
    """An attribute."""
    if isinstance(value, int):
        value = field(3, value)
    elif isinstance(value, float):
        value = b"\x21" + struct.pack("<d", value)
    else:
        value = field(1, value.encode())
    return field(1, key.encode()) + field(2, value)
