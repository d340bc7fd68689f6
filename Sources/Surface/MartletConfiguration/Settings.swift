// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletYAML

/// A whole configuration: defaults, then the file, then the environment, then flags; each layer
/// wins over the one before.
public struct Settings: Sendable {
    /// Where a value came from.
    public enum Origin: Sendable, Hashable, CustomStringConvertible {
        case standard
        case file(SourcePosition)
        case environment
        case flag

        public var description: String {
            switch self {
            case .standard: "default"
            case .file(let position): "file, \(position)"
            case .environment: "environment"
            case .flag: "flag"
            }
        }
    }

    public struct Entry: Sendable {
        public let setting: Setting
        public fileprivate(set) var value: SettingValue
        public fileprivate(set) var origin: Origin
    }

    public private(set) var entries: [Entry]
    /// The file's `models.entries` list, read by whoever knows what a model entry is.
    public private(set) var modelEntries: [YAMLNode] = []

    private static let modelEntriesKey = "models.entries"

    public init() {
        entries = Setting.all.map { Entry(setting: $0, value: $0.fallback, origin: .standard) }
    }

    // MARK: Layers

    /// Applies a YAML file's content.
    /// - Throws: `ConfigurationError` with `file` and the line; an unknown key names the nearest.
    public mutating func apply(yaml bytes: [UInt8], file: String) throws(ConfigurationError) {
        do throws(ConfigurationError) {
            guard let root = try YAMLParser.parse(bytes), !root.isNull else { return }
            guard let sections = root.entries else {
                throw ConfigurationError(
                    .malformed, "the file must hold sections, not \(root.kind)",
                    position: root.position)
            }
            for section in sections { try apply(section) }
        } catch {
            var error = error
            error.source = file
            throw error
        }
    }

    private mutating func apply(_ section: YAMLNode.Entry) throws(ConfigurationError) {
        guard Setting.all.contains(where: { $0.key.hasPrefix(section.key + ".") }) else {
            throw Settings.unknown(section.key, at: section.position)
        }
        if section.value.isNull { return }
        guard let keys = section.value.entries else {
            throw ConfigurationError(
                .invalidValue, "'\(section.key)' is a section, got \(section.value.kind)",
                position: section.value.position)
        }
        for entry in keys {
            let key = section.key + "." + entry.key
            if key == Settings.modelEntriesKey {
                guard let items = entry.value.items else {
                    throw ConfigurationError(
                        .invalidValue, "'\(key)' is a list, got \(entry.value.kind)",
                        position: entry.value.position)
                }
                modelEntries = items
                continue
            }
            guard let index = entries.firstIndex(where: { $0.setting.key == key }) else {
                throw Settings.unknown(key, at: entry.position)
            }
            do throws(ConfigurationError) {
                entries[index].value = try Settings.value(of: entry.value, entries[index].setting)
            } catch {
                throw ConfigurationError(
                    error.code, error.message, position: entry.value.position)
            }
            entries[index].origin = .file(entry.position)
        }
    }

    private static func value(
        of node: YAMLNode, _ setting: Setting
    ) throws(ConfigurationError) -> SettingValue {
        if setting.kind == .list, let items = node.items {
            var texts: [String] = []
            for item in items {
                guard let text = item.text else {
                    throw setting.wrong(item.kind, "a list of texts")
                }
                texts.append(text)
            }
            return .list(texts)
        }
        guard let text = node.text else { throw setting.wrong(node.kind, "one value") }
        return try setting.parse(text)
    }

    /// Applies environment variables; only those that name a setting count, except that an unknown
    /// one with a known section ("MARTLET_SERVER_PROT") is an error. What Kubernetes sets for a
    /// service that happens to be called so ("MARTLET_SERVER_PORT_8000_TCP") is passed over.
    public mutating func apply(environment: [String: String]) throws(ConfigurationError) {
        for (index, entry) in entries.enumerated() {
            guard let text = environment[entry.setting.variable],
                !Settings.isServiceLink(entry.setting.variable, text)
            else { continue }
            do throws(ConfigurationError) {
                entries[index].value = try entry.setting.parse(text)
            } catch {
                var error = error
                error.source = entry.setting.variable
                throw error
            }
            entries[index].origin = .environment
        }
        let sections = Set(Setting.all.compactMap { $0.key.split(separator: ".").first })
        let known = Set(Setting.all.map(\.variable))
        for (name, text) in environment.sorted(by: { $0.key < $1.key })
        where !known.contains(name) && !Settings.isServiceLink(name, text) {
            let parts = name.lowercased().split(separator: "_")
            guard parts.count > 2, parts[0] == "martlet", sections.contains(parts[1]) else {
                continue
            }
            let key = parts[1] + "." + parts[2...].joined(separator: "_")
            var error = Settings.unknown(String(key), at: nil)
            error.source = name
            throw error
        }
    }

    private static func isServiceLink(_ name: String, _ text: String) -> Bool {
        ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP"].contains { name.contains($0) }
            || text.hasPrefix("tcp://") || text.hasPrefix("udp://")
    }

    /// Applies one flag's value.
    public mutating func apply(flag key: String, _ text: String) throws(ConfigurationError) {
        guard let index = entries.firstIndex(where: { $0.setting.key == key }) else {
            throw Settings.unknown(key, at: nil)
        }
        entries[index].value = try entries[index].setting.parse(text)
        entries[index].origin = .flag
    }

    private static func unknown(_ key: String, at position: SourcePosition?) -> ConfigurationError {
        let candidates =
            key.contains(".")
            ? Setting.all.map(\.key) + [modelEntriesKey]
            : Set(Setting.all.compactMap { $0.key.split(separator: ".").first.map(String.init) })
                .sorted()
        let nearest = candidates.min {
            EditDistance.between($0, key) < EditDistance.between($1, key)
        }
        let hint = nearest.map { "; did you mean '\($0)'?" } ?? ""
        return ConfigurationError(
            .unknownKey, "unknown key '\(key)'\(hint)", position: position)
    }

    // MARK: Reading

    private func value(_ key: String) -> SettingValue? {
        entries.first { $0.setting.key == key }?.value
    }

    /// A text or choice; "" for a key that is of another kind.
    public func text(_ key: String) -> String {
        guard case .text(let text)? = value(key) else { return "" }
        return text
    }

    /// A number; 0 for a key that is of another kind.
    public func number(_ key: String) -> Int {
        guard case .number(let number)? = value(key) else { return 0 }
        return number
    }

    /// A truth value; false for a key that is of another kind.
    public func flag(_ key: String) -> Bool {
        guard case .flag(let flag)? = value(key) else { return false }
        return flag
    }

    /// A list; empty for a key that is of another kind.
    public func list(_ key: String) -> [String] {
        guard case .list(let list)? = value(key) else { return [] }
        return list
    }
}
