// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletConfiguration
internal import MartletJSON

/// `martlet config`: every setting with its value, where the value came from, and what it is for.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show every setting, its value, and where the value came from.",
        discussion: """
            Settings come from martlet.yaml (or --config FILE), then from environment variables, \
            then from flags; each wins over the one before. To write a file to start from:
              martlet config --yaml > martlet.yaml
            """)

    @Option(name: .long, help: "The configuration file.")
    var config: String?

    @Flag(name: .long, help: "Print the settings as a martlet.yaml.")
    var yaml = false

    func run() throws {
        let settings = try SettingsLoader.load(file: config)
        print(yaml ? ConfigCommand.file(settings) : ConfigCommand.table(settings))
    }

    private static func table(_ settings: Settings) -> String {
        var lines: [String] = []
        for entry in settings.entries {
            let shown = entry.value.description.isEmpty ? "\"\"" : entry.value.description
            lines.append("\(entry.setting.key) = \(shown)   (\(entry.origin))")
            lines.append("    \(entry.setting.help); \(entry.setting.variable)")
        }
        return lines.joined(separator: "\n")
    }

    private static func file(_ settings: Settings) -> String {
        var lines: [String] = []
        var section = ""
        for entry in settings.entries {
            let parts = entry.setting.key.split(separator: ".", maxSplits: 1).map(String.init)
            if parts[0] != section {
                if section == "models" { lines += ConfigCommand.entriesExample }
                if !section.isEmpty { lines.append("") }
                section = parts[0]
                lines.append("\(section):")
            }
            lines.append("  # \(entry.setting.help)")
            lines.append("  \(parts[1]): \(ConfigCommand.scalar(entry.value))")
        }
        return lines.joined(separator: "\n")
    }

    private static let entriesExample = [
        "  # models with a name or stages of their own; the others are PATHs of `martlet serve`",
        "  # entries:", "  #   - path: /models/resnet50.onnx", "  #     name: resnet50",
        "  #     pre: [decode_image, \"resize:224:256\", \"normalize:imagenet\"]",
        "  #     post: [softmax, \"top_k:5:/models/labels.txt\"]",
    ]

    private static func scalar(_ value: SettingValue) -> String {
        switch value {
        case .text(let text): quoted(text)
        case .list(let list): "[" + list.map(quoted).joined(separator: ", ") + "]"
        case .flag, .number: value.description
        }
    }

    /// JSON's quoting is YAML's too.
    private static func quoted(_ text: String) -> String {
        String(decoding: JSONValue.string(text).serialized(), as: UTF8.self)
    }
}
