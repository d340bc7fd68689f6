# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Starts providers and the gateway, and prints the exam's table at the end."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

import openai
import pytest

from provider import Provider

SECRETS = {"alice": "sk-alice-SECRET-1f3a", "bob": "sk-bob-SECRET-77c2", "admin": "sk-admin-SECRET-9d0e",
           "upstream": "sk-upstream-SECRET-4411"}
ROWS = []


def digest(name):
    return hashlib.sha256(SECRETS[name].encode()).hexdigest()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    def __init__(self, folder, a, b, c):
        self.a, self.b, self.c = a, b, c
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = folder / "gateway.yaml"
        self.log = folder / "gateway.log"
        self.write()
        self.start()

    def text(self, extra_routes="", members="[a, b]", more=""):
        return f"""
listen: {{port: {self.port}, header: 1s, body: 2s, write: 2s, drain: 5s, body_bytes: 20000000}}
log: {{requests: true}}
keys:
  alice: {{sha256: {digest("alice")}, tenant: acme}}
  bob: {{sha256: {digest("bob")}, tenant: other, models: [solo], limits: {{requests: {{max: 5, per: 60s}}, tokens: {{max: 1000, per: 60s}}, concurrency: 2}}}}
admin: {{sha256: {digest("admin")}}}
upstreams:
  a: {{url: "http://127.0.0.1:{self.a.port}", key_env: UPSTREAM_KEY}}
  b: http://127.0.0.1:{self.b.port}
  c: http://127.0.0.1:{self.c.port}
pools:
  one: {{members: [a], attempts: 1, timeout: 1s, breaker: {{calls_min: 1000000}}, outliers: {{failures_in_row: 1000000}}}}
  two: {{members: {members}, attempts: 2, timeout: 1s, breaker: {{calls_min: 1000000}}, outliers: {{failures_in_row: 1000000}}}}
  guarded: {{members: [a], attempts: 1, timeout: 1s, breaker: {{calls_min: 5, failure_share: 0.5, open: 300ms, open_max: 600ms}}}}
  ejecting: {{members: [a, b], attempts: 2, timeout: 1s, outliers: {{failures_in_row: 3, ejection: 3s}}, breaker: {{calls_min: 1000000}}}}
  big: {{members: [a], attempts: 1, timeout: 20s}}
models:
  solo: {{versions: {{v1: {{pool: one, model: real, price: {{input: 1, output: 2}}}}}}}}
  duo: {{versions: {{v1: {{pool: two, model: real, price: {{input: 1, output: 2}}}}}}}}
  guarded: {{versions: {{v1: {{pool: guarded, model: real}}}}}}
  ejecting: {{versions: {{v1: {{pool: ejecting, model: real}}}}}}
  big: {{versions: {{v1: {{pool: big, model: real}}}}}}
  safe: {{versions: {{v1: {{pool: one, model: real}}}}, fallback: [spare]}}
  spare: {{versions: {{v1: {{pool: c, model: real}}}}}}
  m: two
{more}
routes:
  - name: nothing
    match: {{path: "/none/*"}}
    refuse: {{status: 404, message: nothing here}}
{extra_routes}
"""

    def write(self, **changes):
        new = self.file.with_suffix(".new")
        new.write_text(self.text(**changes))
        os.replace(new, self.file)

    def start(self):
        binary = os.environ["MARTLET_BIN"]
        self.output = open(self.log, "ab")
        self.process = subprocess.Popen(
            [binary, "gateway", "--config", str(self.file), "--log-style", "json"], stdout=self.output,
            stderr=self.output, env={**os.environ, "UPSTREAM_KEY": SECRETS["upstream"]})
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise RuntimeError(self.log.read_text())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.output.close()

    def get(self, path, secret="admin"):
        request = urllib.request.Request(self.url + path, headers={"Authorization": "Bearer " + SECRETS[secret]})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def admin(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=body and body.encode(),
                                         headers={"Authorization": "Bearer " + SECRETS["admin"]})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def counters(self):
        found = {}
        for line in self.get("/metrics").splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def billed(self):
        rows = json.loads(self.get("/admin/usage"))["usage"]
        return {(row["key"], row["model"]): row for row in rows}

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    def client(self, key="alice", **options):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=SECRETS[key], max_retries=0, timeout=20, **options)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    providers = [Provider(name) for name in "abc"]
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), *providers)
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def fresh(request):
    if "gateway" in request.fixturenames:
        gateway = request.getfixturevalue("gateway")
        for provider in (gateway.a, gateway.b, gateway.c):
            provider.reset()


class Case:
    """One row of the table: what the client saw, what was billed, what was retried."""

    def __init__(self, gateway, name):
        self.gateway, self.name = gateway, name

    def __enter__(self):
        self.before = self.gateway.billed(), self.gateway.counters()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            return
        time.sleep(0.05)
        billed, counters = self.gateway.billed(), self.gateway.counters()
        self.tokens = [0, 0, 0]
        for key, row in billed.items():
            old = self.before[0].get(key, {})
            for index, field in enumerate(("input_tokens", "output_tokens", "estimated_requests")):
                self.tokens[index] += row[field] - old.get(field, 0)
        self.retries = int(counters["martlet_gateway_retries_total"] - self.before[1]["martlet_gateway_retries_total"])
        self.fallbacks = int(counters["martlet_gateway_fallbacks_total"]
                             - self.before[1]["martlet_gateway_fallbacks_total"])
        estimated = " (estimated)" if self.tokens[2] else ""
        ROWS.append((self.name, self.saw, f"{self.tokens[0]} + {self.tokens[1]}{estimated}",
                     f"{self.retries}" + (f", {self.fallbacks} to a fallback" if self.fallbacks else "")))


@pytest.fixture
def case(gateway):
    return lambda name: Case(gateway, name)


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    heads = ("fault", "what the client saw", "billed, in + out", "retried")
    widths = [max(len(row[i]) for row in [heads, *ROWS]) for i in range(4)]
    terminalreporter.write_line("")
    for row in [heads, tuple("-" * w for w in widths), *ROWS]:
        terminalreporter.write_line("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
