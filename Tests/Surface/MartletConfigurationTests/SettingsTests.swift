// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletConfiguration
internal import MartletYAML
internal import Testing

@Suite("Settings")
struct SettingsTests {
    private func message(_ body: (inout Settings) throws(ConfigurationError) -> Void) -> String? {
        var settings = Settings()
        do throws(ConfigurationError) {
            try body(&settings)
            return nil
        } catch {
            return error.description
        }
    }

    private func message(yaml: String) -> String? {
        message { settings throws(ConfigurationError) in
            try settings.apply(yaml: Array(yaml.utf8), file: "martlet.yaml")
        }
    }

    @Test("a later layer wins and says where its value came from")
    func layers() throws {
        var settings = Settings()
        #expect(settings.number("server.http_port") == 8_000)
        try settings.apply(
            yaml: Array("server:\n  http_port: 9000\n  host: \"0.0.0.0\"\n".utf8), file: "f")
        #expect(settings.number("server.http_port") == 9_000)
        try settings.apply(environment: ["MARTLET_SERVER_HTTP_PORT": "9001", "PATH": "/bin"])
        #expect(settings.number("server.http_port") == 9_001)
        try settings.apply(flag: "server.http_port", "9002")
        #expect(settings.number("server.http_port") == 9_002)
        #expect(settings.text("server.host") == "0.0.0.0")
        let origins = settings.entries.filter { $0.origin != .standard }.map(\.origin.description)
        #expect(origins == ["file, line 3", "flag"])
    }

    @Test("an unknown key names its line and the nearest key")
    func unknownKeys() {
        #expect(
            message(yaml: "server:\n  http_prot: 1\n")
                == "martlet.yaml, line 2: unknown key 'server.http_prot'; "
                + "did you mean 'server.http_port'?")
        #expect(
            message(yaml: "sever:\n  host: x\n")
                == "martlet.yaml, line 1: unknown key 'sever'; did you mean 'server'?")
        #expect(
            message { settings throws(ConfigurationError) in
                try settings.apply(environment: ["MARTLET_LOG_STILE": "json"])
            } == "MARTLET_LOG_STILE: unknown key 'log.stile'; did you mean 'log.style'?")
    }

    @Test(
        "a wrong value names the key, the line and what it takes",
        arguments: [
            ("server:\n  http_port: many\n", "a number from -1 to 65535, got 'many'"),
            ("server:\n  http_port: 70000\n", "a number from -1 to 65535, got '70000'"),
            ("server:\n  http_port: [1]\n", "one value, got 'a list'"),
            ("models:\n  strict_readiness: perhaps\n", "true or false, got 'perhaps'"),
            ("log:\n  style: loud\n", "one of pretty, json, got 'loud'"),
        ])
    func wrongValues(yaml: String, expected: String) throws {
        let text = try #require(self.message(yaml: yaml))
        #expect(text.hasPrefix("martlet.yaml, line 2: "))
        #expect(text.hasSuffix(expected))
    }

    @Test(
        "YAML that is not a plain tree of sections is refused",
        arguments: [
            "server: 3\n", "- a\n", "server: &a {host: x}\nlog: *a\n", "a: [\n", "a: b: c\n",
            "server: {host: a, host: b}\n", "--- {}\n--- {}\n", "server: !!binary x\n", "\u{1}",
            "server: !x {host: a}\n", "models: {load: &a [b]}\n",
        ])
    func refused(yaml: String) {
        #expect(message(yaml: yaml) != nil)
    }

    @Test("nesting and size are bounded")
    func bounds() {
        #expect(message(yaml: String(repeating: "[", count: 100_000)) != nil)
        #expect(message(yaml: "a: " + String(repeating: "x", count: 17 << 20)) != nil)
    }

    @Test("lists come from YAML lists and from comma-separated variables")
    func lists() throws {
        var settings = Settings()
        try settings.apply(yaml: Array("models:\n  load: [a, b]\n".utf8), file: "f")
        #expect(settings.list("models.load") == ["a", "b"])
        try settings.apply(environment: ["MARTLET_MODELS_LOAD": "c, d,"])
        #expect(settings.list("models.load") == ["c", "d"])
    }

    @Test("what Kubernetes sets for a service of that name is passed over")
    func serviceLinks() throws {
        var settings = Settings()
        try settings.apply(environment: [
            "MARTLET_SERVER_PORT": "tcp://10.0.0.1:8000", "MARTLET_SERVER_SERVICE_HOST": "10.0.0.1",
            "MARTLET_SERVER_PORT_8000_TCP_ADDR": "10.0.0.1",
            "MARTLET_SERVER_HTTP_PORT": "tcp://10.0.0.1:8000",
        ])
        #expect(settings.entries.allSatisfy { $0.origin == .standard })
    }

    @Test("model entries are handed on with their places")
    func modelEntries() throws {
        var settings = Settings()
        let yaml = "models:\n  entries:\n    - name: a\n      path: /m\n"
        try settings.apply(yaml: Array(yaml.utf8), file: "f")
        let entry = try #require(settings.modelEntries.first?.entries)
        #expect(entry.map(\.key) == ["name", "path"])
        #expect(entry.map(\.position.line) == [3, 4])
    }

    @Test("no two settings share a key or a variable, and every default has its own kind")
    func table() throws {
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        for setting in Setting.all {
            if setting.kind == .list { continue }
            var settings = Settings()
            try settings.apply(flag: setting.key, setting.fallback.description)
        }
    }
}
