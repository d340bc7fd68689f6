// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletConfiguration
internal import MartletTesting
internal import MartletYAML
internal import Testing

@Suite("Settings fuzz")
struct SettingsFuzzTests {
    private static let yaml = """
        server:
          http_port: 9000
          host: "0.0.0.0" # all
        log: {style: json, level: 'info'}
        models:
          load: [a, b]
          strict_readiness: true
          entries:
            - name: a
              path: >-
                /folded
                text
            - {name: b, path: |
                x}
        """

    @Test("no YAML crashes the reader")
    func yaml() {
        fuzz("yaml", seeds: [Array(SettingsFuzzTests.yaml.utf8)]) { bytes in
            var settings = Settings()
            try settings.apply(yaml: bytes, file: "f")
            for entry in settings.modelEntries { _ = entry.entries?.map(\.value.kind) }
        }
    }
}
