# SPDX-License-Identifier: Apache-2.0
"""Clients of a streaming OpenAI server, as lean as Python allows, since they share the processor with it: one loop
over sockets that notes when bytes came, and reads them when all is over."""
import bisect, json, selectors, socket, time


class Stream:
    """One request from its connection to its end."""

    def __init__(self, port, path, body):
        payload = json.dumps(body).encode()
        self.start = time.perf_counter()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
                            f"Connection: close\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
        self.pieces = []

    def read(self):
        """False at the end of the answer."""
        data = self.socket.recv(1 << 16)
        if data: self.pieces.append((time.perf_counter(), data))
        return bool(data)

    def events(self):
        """(time, event) of the answer; raises ValueError for one that is no stream."""
        data = b"".join(piece for _, piece in self.pieces)
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]: raise ValueError(data[:400].decode(errors="replace"))
        ends, times, end = [], [], 0
        for at, piece in self.pieces: end += len(piece); ends.append(end); times.append(at)
        place, body, marks, chunked = len(data) - len(rest), [], [], b"chunked" in head.lower()
        while chunked and place < len(data):
            line = data.index(b"\r\n", place)
            size = int(data[place:line].split(b";")[0], 16)
            if not size: break
            body.append(data[line + 2:line + 2 + size]); marks.append(line + 2 + size); place = line + size + 4
        if not chunked: body, marks = [rest], None
        text, found, place = b"".join(body), [], 0
        # Where a byte of the text ends among the bytes that came.
        lengths, total = [], 0
        for piece in body: total += len(piece); lengths.append(total)
        for line in text.split(b"\n"):
            place += len(line) + 1
            if not line.startswith(b"data:"): continue
            index = bisect.bisect_left(lengths, min(place, total))
            raw = marks[index] if marks else len(data) - len(rest) + place
            value = line[5:].strip()
            if value != b"[DONE]": found.append((times[min(bisect.bisect_left(ends, raw), len(times) - 1)], json.loads(value)))
        return found

    def result(self):
        times, usage = [], {}
        for at, event in self.events():
            usage = event.get("usage") or usage
            if "error" in event: raise ValueError(json.dumps(event["error"]))
            choice = (event.get("choices") or [{}])[0]
            # Text, or tokens whose text is still to come.
            if choice.get("text") or (choice.get("delta") or {}).get("content"): times.append(at)
        if not times: raise ValueError("an answer without text")
        return {"start": self.start, "times": times, "tokens": usage["completion_tokens"], "prompt": usage["prompt_tokens"],
                "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)}


def load(port, path, bodies, clients, limit=110):
    """Every body asked once, by so many clients that each go on when their answer has ended.
    Returns the results in the order of their starts, and the seconds that all took."""
    waiting, running, ended = iter(bodies), selectors.DefaultSelector(), []
    def next_one():
        body = next(waiting, None)
        if body is None: return
        stream = Stream(port, path, body)
        running.register(stream.socket, selectors.EVENT_READ, stream)
    start = time.perf_counter()
    for _ in range(clients): next_one()
    while running.get_map():
        if time.perf_counter() - start > limit: raise TimeoutError(f"{len(ended)} of {len(bodies)} answers in {limit} s")
        for key, _ in running.select(1):
            if key.data.read(): continue
            running.unregister(key.fd); key.data.socket.close(); ended.append(key.data); next_one()
    seconds = time.perf_counter() - start
    return sorted((stream.result() for stream in ended), key=lambda r: r["start"]), seconds


def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, round(part * (len(values) - 1)))]


def figures(results, seconds):
    """Output tokens a second; times in milliseconds: to the first token, and between events of a stream."""
    first = [1e3 * (r["times"][0] - r["start"]) for r in results]
    between = [1e3 * (b - a) for r in results for a, b in zip(r["times"], r["times"][1:])] or [0]
    return {"rate": sum(r["tokens"] for r in results) / seconds, "prompt": sum(r["prompt"] for r in results) / len(results),
            "cached": sum(r["cached"] or 0 for r in results) / len(results), "ttft50": share(first, 0.5), "ttft95": share(first, 0.95),
            "itl50": share(between, 0.5), "itl99": share(between, 0.99), "events": sum(len(r["times"]) for r in results)}
