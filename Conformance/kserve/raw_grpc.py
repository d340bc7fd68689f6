# SPDX-License-Identifier: Apache-2.0
"""One gRPC call by hand, for what real clients will not send. Headers go out as HPACK literals
without indexing; of the answer only `grpc-status` is looked for, plain or Huffman-coded."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) \
        + struct.pack(">I", stream) + payload


def integer(value: int, bits: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    rest = value - limit
    out = bytes([limit])
    while rest >= 128:
        out += bytes([rest & 127 | 128])
        rest >>= 7
    return out + bytes([rest])


def literal(name: str, value: str) -> bytes:
    return b"\x00" + integer(len(name), 7) + name.encode() \
        + integer(len(value), 7) + value.encode()


def status_of(block: bytes) -> str | None:
    """The value after a literal `grpc-status` name in a header block."""
    huffman_name = bytes.fromhex("9acac8b21234da8f")
    for name in (b"grpc-status", huffman_name):
        at = block.find(name)
        if at >= 0:
            return value_at(block, at + len(name))
    return None


# Huffman codes of the digits (RFC 7541, appendix B): "0" to "2" take 5 bits, the others 6.
DIGITS = {**{format(code, "05b"): str(code) for code in range(3)},
          **{format(0x19 + code - 3, "06b"): str(code) for code in range(3, 10)}}


def value_at(block: bytes, at: int) -> str:
    length = block[at] & 127
    raw = block[at + 1:at + 1 + length]
    if not block[at] & 128:
        return raw.decode()
    bits = "".join(format(byte, "08b") for byte in raw)
    text = ""
    while bits and set(bits) != {"1"}:
        size = 5 if bits[:5] in DIGITS else 6
        if bits[:size] not in DIGITS:
            break
        text += DIGITS[bits[:size]]
        bits = bits[size:]
    return text


def read_exactly(connection, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the server closed the connection")
        data += part
    return data


class Call:
    """Sends `body` as the whole request on stream 1, within the windows that the server gives."""

    def __init__(self, connection, body: bytes):
        self.connection = connection
        self.body = body
        self.stream_window = self.connection_window = 65_535
        self.answer = None

    def run(self):
        while self.answer is None:
            while self.body and min(self.stream_window, self.connection_window) > 0:
                self.send()
            self.receive()
        return self.answer

    def send(self) -> None:
        size = min(16_384, self.stream_window, self.connection_window)
        part, self.body = self.body[:size], self.body[size:]
        self.stream_window -= len(part)
        self.connection_window -= len(part)
        self.connection.sendall(frame(DATA, 0 if self.body else END_STREAM, 1, part))

    def receive(self) -> None:
        head = read_exactly(self.connection, 9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9])
        payload = read_exactly(self.connection, int.from_bytes(head[:3]))
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at:at + 2]) == INITIAL_WINDOW_SIZE:
                    self.stream_window += int.from_bytes(payload[at + 2:at + 6]) - 65_535
            self.connection.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == WINDOW_UPDATE and stream == 0:
            self.connection_window += int.from_bytes(payload)
        elif kind == WINDOW_UPDATE:
            self.stream_window += int.from_bytes(payload)
        elif kind == HEADERS and flags & END_STREAM:
            self.answer = status_of(payload), payload
        elif kind in (RST_STREAM, GOAWAY):
            raise ConnectionError(f"frame {kind}: {payload!r}")


def grpc_request(address: str, path: str, body: bytes, headers: dict):
    """Answers (grpc-status, the last header block)."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        block = b"".join(literal(name, value) for name, value in {
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": address,
            "te": "trailers", "content-type": "application/grpc", **headers}.items())
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"")
                           + frame(HEADERS, END_HEADERS, 1, block))
        return Call(connection, body).run()
