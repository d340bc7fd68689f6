# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the server under test."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`martlet serve` over a repository, on free ports of 127.0.0.1."""

    def __init__(self, repository: pathlib.Path, log: pathlib.Path, *flags: str,
                 mode: str = "explicit"):
        self.repository = repository
        self.http = f"127.0.0.1:{free_port()}"
        self.grpc = f"127.0.0.1:{free_port()}"
        self.metrics = f"127.0.0.1:{free_port()}"
        self.log = log
        explicit = ["--load-model", "*"] if mode == "explicit" else []
        self.command = [
            os.environ["MARTLET_BIN"], "serve", str(repository), "--host", "127.0.0.1",
            "--http-port", self.http.split(":")[1], "--grpc-port", self.grpc.split(":")[1],
            "--metrics-port", self.metrics.split(":")[1], "--model-control-mode", mode,
            *explicit, *flags]
        self.process: subprocess.Popen | None = None

    def start(self, limit: float = 60) -> "Server":
        self.process = subprocess.Popen(
            self.command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.tail()}")
            if self.is_ready():
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server was not ready within {limit} s: {self.tail()}")

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.http}/v2/health/ready", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, limit: float = 40) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]
