# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Shadows whose comparison takes longer than their answers: bounded, counted, and in nobody's way."""
import json
import random
import time

import httpx
import pytest

from conftest import SECRETS, Gateway
from provider import Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
COUNT = 120


class Coder(Provider):
    """Answers with much code, another each time."""

    def __init__(self, name):
        words = [f"w{number}" for number in range(2_000)]
        draw = random.Random(name)
        self.texts = []
        for _ in range(4):
            lines = "\n".join(f"{draw.choice(words)} = {draw.choice(words)}({draw.choice(words)}, {draw.randrange(99)})"
                              for _ in range(9_000))
            self.texts.append(json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": f"```python\n{lines}\n```"}}]}).encode())
        super().__init__(name)

    async def answer(self, behaviour, path, body, reader, writer):
        text = random.choice(self.texts)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()
        return True


class Shadowed(Gateway):
    def text(self, **changes):
        return super().text(**changes).replace(
            "models:\n", "models:\n  sh: {versions: {v: a, w: b}, default: v, shadow: {to: w, percent: 100, concurrency: 2}}\n",
            1)


@pytest.fixture(scope="module")
def shadowed(tmp_path_factory):
    gateway = Shadowed(tmp_path_factory.mktemp("shadowed"), Coder("a"), Coder("b"), Provider("c"))
    yield gateway
    gateway.stop()


def counts(gateway):
    found = gateway.counters()
    return tuple(int(found[f"martlet_gateway_shadows_{name}_total"]) for name in ("compared", "dropped"))


def test_comparisons_that_cannot_keep_up(shadowed):
    with httpx.Client(timeout=20) as client:
        for _ in range(4):
            client.post(shadowed.url + "/v1/chat/completions", headers=KEY, json={"model": "sh", "messages": []})
        before, most = shadowed.rss(), 0
        for _ in range(COUNT - 4):
            answer = client.post(shadowed.url + "/v1/chat/completions", headers=KEY, json={"model": "sh", "messages": []})
            assert answer.status_code == 200
            most = max(most, shadowed.rss() - before)
        assert sum(counts(shadowed)) <= COUNT
    for _ in range(300):
        if sum(counts(shadowed)) == COUNT:
            break
        time.sleep(0.1)
    compared, dropped = counts(shadowed)
    assert compared + dropped == COUNT and compared > 0 and dropped > 0, (compared, dropped)
    # Two places hold a few answers of some 300 KB each.
    assert most < 60, f"{most:.0f} MiB"
