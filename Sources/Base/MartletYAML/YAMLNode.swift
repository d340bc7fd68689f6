// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A place in a configuration file; lines and columns count from 1.
public struct SourcePosition: Hashable, Sendable, CustomStringConvertible {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public var description: String { "line \(line)" }
}

/// A YAML document's node with its place in the file.
public struct YAMLNode: Sendable {
    /// A mapping's entry, in the file's order.
    public struct Entry: Sendable {
        public var key: String
        public var position: SourcePosition
        public var value: YAMLNode
    }

    public enum Content: Sendable {
        /// Plain scalars may be read as numbers, truth values or null; quoted ones are text.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    public var content: Content
    public var position: SourcePosition

    /// What the node is, for messages.
    public var kind: String {
        switch content {
        case .scalar: "a value"
        case .sequence: "a list"
        case .mapping: "a section"
        }
    }

    /// The scalar's text; nil for other nodes.
    public var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }

    /// The sequence's items; nil for other nodes.
    public var items: [YAMLNode]? {
        guard case .sequence(let items) = content else { return nil }
        return items
    }

    /// The mapping's entries; nil for other nodes.
    public var entries: [Entry]? {
        guard case .mapping(let entries) = content else { return nil }
        return entries
    }

    /// Whether the node stands for "nothing": an empty or `null` plain scalar.
    public var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
}
