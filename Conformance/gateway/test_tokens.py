# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Tokens made by PyJWT, key sets that rotate, hang and break, and client certificates."""
import base64
import hmac
import http.server
import json
import ssl
import subprocess
import threading
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from conftest import SECRETS, Case, Gateway
from provider import Provider

ISSUER = "https://idp.example"


class KeyServer:
    """Publishes a key set; `mode` makes it hang, fail or talk nonsense."""

    def __init__(self):
        self.keys, self.mode, self.asked = [], "good", 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if outer.mode == "hangs":
                    time.sleep(6)
                body = json.dumps({"keys": outer.keys}).encode() if outer.mode != "nonsense" else b"<html>oh no</html>"
                if outer.mode == "huge":
                    body = b"[" + b" " * 2_000_000
                self.send_response(500 if outer.mode == "fails" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys.json"


def make(kind):
    return {"RS": lambda: rsa.generate_private_key(65537, 2048), "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "P-384": lambda: ec.generate_private_key(ec.SECP384R1()), "Ed": ed25519.Ed25519PrivateKey.generate}[kind]()


def published(kid, key):
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else (
        ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else OKPAlgorithm)
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


KEYS = {kind: make(kind) for kind in ("RS", "P-256", "P-384", "Ed")}
FITTING = {"RS256": "RS", "RS384": "RS", "RS512": "RS", "PS256": "RS", "PS384": "RS", "PS512": "RS",
           "ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed"}


def token(algorithm="ES256", key=None, headers=None, **claims):
    kind = FITTING[algorithm]
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "gateway", "sub": "u1", "exp": now + 60, "iat": now, "tenant": "acme",
            "models": ["solo", "duo"], **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key or KEYS[kind], algorithm, headers={"kid": kind, **(headers or {})})


@pytest.fixture(scope="module")
def server():
    server = KeyServer()
    server.keys = [published(kind, key) for kind, key in KEYS.items()]
    return server


class Tokened(Gateway):
    def __init__(self, folder, server):
        self.server = server
        super().__init__(folder, *(Provider(name) for name in "abc"))

    def text(self, **changes):
        return super().text(**changes) + f"""
jwt:
  corp: {{issuer: "{ISSUER}", audience: [gateway, other], keys: "{self.server.url}", tenant: tenant, models: models, leeway: 1s, refresh: 1s}}
tenants:
  acme: {{limits: {{requests: {{max: 100000, per: 1s}}}}}}
  other: {{}}
  small: {{limits: {{requests: {{max: 3, per: 1h}}}}}}
"""


@pytest.fixture(scope="module")
def tokened(server, tmp_path_factory):
    gateway = Tokened(tmp_path_factory.mktemp("tokens"), server)
    wait_for(gateway, 200)
    yield gateway
    gateway.stop()


def ask(gateway, secret, model="solo", client=httpx):
    return client.post(gateway.url + "/v1/chat/completions", timeout=10, json={"model": model, "messages": []},
                       headers={"Authorization": "Bearer " + secret} if secret else {})


def wait_for(gateway, status, secret=None, seconds=6):
    end = time.monotonic() + seconds
    while True:
        answer = ask(gateway, secret or token())
        if answer.status_code == status:
            return
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)


@pytest.mark.parametrize("algorithm", FITTING)
def test_algorithms(tokened, algorithm):
    assert ask(tokened, token(algorithm)).status_code == 200
    stranger = make(FITTING[algorithm])
    answer = ask(tokened, token(algorithm, key=stranger))
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_token"


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def unsigned(algorithm, signature=""):
    body = token().split(".")[1]
    return f'{part({"alg": algorithm, "kid": "RS", "typ": "JWT"})}.{body}.{signature}'


def confused():
    """The public key taken for an HMAC secret."""
    pem = KEYS["RS"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = unsigned("HS256").rstrip(".")
    return head + "." + base64.urlsafe_b64encode(hmac.digest(pem, head.encode(), "sha256")).rstrip(b"=").decode()


def bad_tokens():
    now = int(time.time())
    return {
        "alg: none": unsigned("none"), "alg: None": unsigned("None"), "none with a signature": unsigned("none", "AAAA"),
        "HS256 with the public key": confused(), "expired": token(exp=now - 5),
        "no exp": token(exp=None), "not yet": token(nbf=now + 30), "issued in the future": token(iat=now + 300),
        "another issuer": token(iss="https://evil.example"), "no issuer": token(iss=None),
        "another audience": token(aud="elsewhere"), "no audience": token(aud=None), "unknown kid": token(headers={"kid": "x"}),
        "crit": token(headers={"crit": ["x"], "x": 1}), "tenant is a number": token(tenant=7),
        "tenant with a line end": token(tenant="a\nb"), "models is a number": token(models=3), "sub is long": token(sub="x" * 1000),
        "unknown tenant": token(tenant="nobody"), "another type": token(headers={"typ": "logout+jwt"}),
        "two parts": "eyJ.x", "empty parts": "ey..", "huge": "ey" + "A" * 12000 + ".e30.AA",
    }


def test_bad_tokens(tokened):
    tokened.a.reset()
    with Case(tokened, "bad tokens: none, HS256, expired, iss, aud, kid…") as row:
        codes = {}
        for name, secret in bad_tokens().items():
            answer = ask(tokened, secret)
            assert answer.status_code == 401, (name, answer.text)
            codes[name] = answer.json()["error"]["code"]
            assert secret not in answer.text
        row.saw = f"{len(codes)} x 401"
    assert codes["expired"] == "expired_token" and codes["unknown kid"] == "unknown_token_key"
    assert row.tokens == [0, 0, 0] and not tokened.a.requests
    assert ask(tokened, "").json()["error"]["code"] == "missing_api_key"
    assert ask(tokened, SECRETS["alice"]).status_code == 200, "keys go on beside tokens"


def test_claims(tokened):
    assert ask(tokened, token(models=["duo"])).status_code == 403
    assert ask(tokened, token(models="solo duo")).status_code == 200
    assert ask(tokened, token(models=None)).status_code == 403, "a claim that is missing allows nothing"
    for _ in range(3):
        assert ask(tokened, token(tenant="small")).status_code == 200
    assert ask(tokened, token(tenant="small", sub="u2")).status_code == 429, "the tenant's limit, whoever asks"
    rows = json.loads(tokened.get("/admin/usage"))["usage"]
    assert {row["tenant"] for row in rows if row["key"] == "jwt/corp"} >= {"acme", "small"}


def test_kept_connection(tokened):
    """A token that was good is no longer when its time is over, on the same connection too."""
    with httpx.Client() as client:
        short = token(exp=int(time.time()) + 1)
        assert ask(tokened, short, client=client).status_code == 200
        assert ask(tokened, token(tenant="other"), client=client).status_code == 200
        time.sleep(3.2)
        assert ask(tokened, short, client=client).status_code == 401


def test_rotation(tokened, server):
    with Case(tokened, "the issuer's keys change") as row:
        new = make("P-256")
        fresh = token(key=new, headers={"kid": "new"})
        assert ask(tokened, fresh).json()["error"]["code"] == "unknown_token_key"
        server.keys.append(published("new", new))
        begin = time.monotonic()
        wait_for(tokened, 200, fresh)
        took = time.monotonic() - begin
        server.keys.pop()
        wait_for(tokened, 401, fresh)
        row.saw = f"401, after {took:.1f} s 200; 401 once the key is withdrawn"


@pytest.mark.parametrize("mode", ["hangs", "fails", "nonsense", "huge"])
def test_keys_cannot_be_had(tokened, server, mode):
    names = {"hangs": "hangs", "fails": "answers 500", "nonsense": "is no JSON", "huge": "is of 2 MB"}
    with Case(tokened, f"the key set {names[mode]}") as row:
        server.mode = mode
        asked, begin = server.asked, time.monotonic()
        while server.asked < asked + 1 and time.monotonic() - begin < 8:
            time.sleep(0.05)
        slowest = 0
        for _ in range(20):
            start = time.perf_counter()
            assert ask(tokened, token()).status_code == 200, "the keys that are there stay"
            assert ask(tokened, token(headers={"kid": "unknown"})).status_code == 401
            slowest = max(slowest, time.perf_counter() - start)
            time.sleep(0.02)
        assert server.asked - asked <= 3, "nobody makes it ask more often"
        row.saw = f"200 by the old keys, slowest {slowest * 1000:.0f} ms"
        server.mode = "good"
    assert slowest < 0.3


def test_no_keys_yet(server, tmp_path):
    server.mode = "fails"
    gateway = Tokened(tmp_path, server)
    answer = ask(gateway, token())
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "token_keys_unavailable"
    server.mode = "good"
    wait_for(gateway, 200)
    text = gateway.log.read_text()
    assert "could not be had" in text and token().split(".")[2] not in text
    gateway.stop()


def test_secrets(tokened):
    """Nothing of a token shows in logs, metrics, answers or the admin API: neither a good one's nor a bad one's."""
    good, bad = token(sub="subject-SECRET"), token(key=make("P-256"), sub="subject-SECRET")
    seen = ask(tokened, good).text + ask(tokened, bad).text + ask(tokened, good, "none").text
    seen += tokened.log.read_text() + tokened.get("/metrics") + tokened.get("/admin/usage") + tokened.get("/admin/upstreams")
    for part in good.split(".")[1:] + bad.split(".")[1:] + ["SECRET"] + list(SECRETS.values()):
        assert part not in seen
    assert len(seen) > 1000


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mtls")

    def run(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    def sign(name, extension, authority="ca"):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "ext").write_text(f"subjectAltName={extension}\n")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.pem", "-extfile", "ext")
    for name in ("ca", "evil"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
    sign("server", "DNS:localhost")
    sign("carol", "URI:spiffe://acme/carol,DNS:carol.example")
    sign("nobody", "DNS:nobody.example")
    sign("forged", "URI:spiffe://acme/carol", authority="evil")

    class Certified(Gateway):
        def text(self, **changes):
            return super().text(**changes).replace("listen: {", (
                f"listen: {{certificate: {folder}/server.pem, key: {folder}/server.key, client_ca: {folder}/ca.pem, "), 1).replace(
                "keys:\n", "keys:\n  carol: {certificate: 'URI:spiffe://acme/carol', tenant: acme, models: [solo]}\n", 1)
    gateway = Certified(folder, *(Provider(name) for name in "abc"))
    gateway.url = gateway.url.replace("http:", "https:")

    def client(name):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return httpx.Client(verify=context, timeout=5)
    yield gateway, client
    gateway.process.terminate()
    gateway.process.wait(20)


def test_certificates(certified):
    gateway, client = certified
    with client("carol") as carol:
        for _ in range(3):
            assert ask(gateway, "", client=carol).status_code == 200
        assert ask(gateway, "", "duo", client=carol).status_code == 403, "the key's models"
        assert ask(gateway, SECRETS["alice"], "duo", client=carol).status_code == 200, "a key goes before"
        assert ask(gateway, "wrong", client=carol).status_code == 401
        rows = carol.get(gateway.url + "/admin/usage", headers={"Authorization": "Bearer " + SECRETS["admin"]}).json()["usage"]
        assert [row["requests"] for row in rows if row["key"] == "carol" and row["tenant"] == "acme"] == [3]
    with client("nobody") as nobody:
        assert ask(gateway, "", client=nobody).json()["error"]["code"] == "missing_api_key"
    for name in ("forged", None):
        with client(name) as stranger, pytest.raises(httpx.HTTPError):
            ask(gateway, SECRETS["alice"], client=stranger)
