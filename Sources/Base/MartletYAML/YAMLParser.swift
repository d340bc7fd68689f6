// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletYAML

/// Reads one YAML document through libyaml's event parser.
///
/// Anchors and aliases are refused (a few bytes of them can stand for gigabytes), so are duplicate
/// keys, tags, and more nodes or levels than the limits.
@safe package struct YAMLParser: ~Copyable {
    package static let byteCountMax = 16 << 20
    static let nodeCountMax = 1_000_000
    static let depthMax = 64

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var nodeCount = 0

    private init() throws(ConfigurationError) {
        unsafe parser = .allocate(capacity: 1)
        guard unsafe yaml_parser_initialize(parser) == 1 else {
            unsafe parser.deallocate()
            throw ConfigurationError(.malformed, "the YAML parser could not be set up")
        }
    }

    deinit {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
    }

    /// Parses a whole document; nil when it is empty.
    /// - Throws: `ConfigurationError` with the line of what is wrong.
    package static func parse(_ bytes: [UInt8]) throws(ConfigurationError) -> YAMLNode? {
        guard bytes.count <= byteCountMax else {
            throw ConfigurationError(
                .malformed, "\(bytes.count) bytes of YAML, at most \(byteCountMax)")
        }
        var parser = try YAMLParser()
        let result: Result<YAMLNode?, ConfigurationError> = unsafe bytes.withUnsafeBufferPointer {
            unsafe yaml_parser_set_input_string(parser.parser, $0.baseAddress, $0.count)
            do throws(ConfigurationError) {
                return .success(try parser.document())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// What an event says, copied out so that libyaml's memory is freed at once.
    private enum Event {
        case scalar(String, isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
        case documentStart, streamEnd, other
    }

    private mutating func next() throws(ConfigurationError) -> (Event, SourcePosition) {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        defer { unsafe yaml_event_delete(&event) }
        let position = unsafe SourcePosition(
            line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            try refuse(isMarked: unsafe scalar.anchor != nil || scalar.tag != nil, position)
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let text = unsafe String(decoding: bytes, as: UTF8.self)
            return (
                .scalar(text, isPlain: unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE), position
            )
        case YAML_SEQUENCE_START_EVENT:
            let list = unsafe event.data.sequence_start
            try refuse(isMarked: unsafe list.anchor != nil || list.tag != nil, position)
            return (.sequenceStart, position)
        case YAML_SEQUENCE_END_EVENT: return (.sequenceEnd, position)
        case YAML_MAPPING_START_EVENT:
            let section = unsafe event.data.mapping_start
            try refuse(isMarked: unsafe section.anchor != nil || section.tag != nil, position)
            return (.mappingStart, position)
        case YAML_MAPPING_END_EVENT: return (.mappingEnd, position)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, position)
        case YAML_STREAM_END_EVENT: return (.streamEnd, position)
        case YAML_ALIAS_EVENT:
            throw ConfigurationError(.malformed, "aliases are not allowed", position: position)
        default: return (.other, position)
        }
    }

    private func refuse(
        isMarked: Bool, _ position: SourcePosition
    ) throws(ConfigurationError) {
        guard isMarked else { return }
        throw ConfigurationError(
            .malformed, "anchors and tags are not allowed", position: position)
    }

    private func problem() -> ConfigurationError {
        let text = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "not YAML"
        let mark = unsafe parser.pointee.problem_mark
        return ConfigurationError(
            .malformed, text,
            position: SourcePosition(line: Int(mark.line) + 1, column: Int(mark.column) + 1))
    }

    private mutating func document() throws(ConfigurationError) -> YAMLNode? {
        while true {
            let (event, _) = try next()
            switch event {
            case .streamEnd: return nil
            case .documentStart:
                let (first, position) = try next()
                let root = try node(first, position, depth: 0)
                while true {
                    let (event, position) = try next()
                    if case .streamEnd = event { return root }
                    if case .documentStart = event {
                        throw ConfigurationError(
                            .malformed, "a second document is not allowed", position: position)
                    }
                }
            default: continue
            }
        }
    }

    private mutating func node(
        _ event: Event, _ position: SourcePosition, depth: Int
    ) throws(ConfigurationError) -> YAMLNode {
        nodeCount += 1
        guard depth < YAMLParser.depthMax, nodeCount <= YAMLParser.nodeCountMax else {
            throw ConfigurationError(
                .malformed, "nested or long beyond reason", position: position)
        }
        switch event {
        case .scalar(let text, let isPlain):
            return YAMLNode(content: .scalar(text, isPlain: isPlain), position: position)
        case .sequenceStart:
            var items: [YAMLNode] = []
            while true {
                let (event, itemPosition) = try next()
                if case .sequenceEnd = event { break }
                items.append(try node(event, itemPosition, depth: depth + 1))
            }
            return YAMLNode(content: .sequence(items), position: position)
        case .mappingStart:
            return YAMLNode(content: .mapping(try entries(depth: depth)), position: position)
        default:
            throw ConfigurationError(.malformed, "a value is missing", position: position)
        }
    }

    private mutating func entries(depth: Int) throws(ConfigurationError) -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        var known: Set<String> = []
        while true {
            let (event, position) = try next()
            switch event {
            case .mappingEnd: return entries
            case .scalar(let key, _):
                // A set costs more than it saves for the few keys that most sections have.
                let isNew: Bool
                if entries.count < 8 {
                    isNew = !entries.contains { $0.key == key }
                } else {
                    if known.isEmpty { known = Set(entries.map(\.key)) }
                    isNew = known.insert(key).inserted
                }
                guard isNew else {
                    throw ConfigurationError(
                        .malformed, "'\(key)' is given twice", position: position)
                }
                let (valueEvent, valuePosition) = try next()
                let value = try node(valueEvent, valuePosition, depth: depth + 1)
                entries.append(YAMLNode.Entry(key: key, position: position, value: value))
            default:
                throw ConfigurationError(.malformed, "a key must be text", position: position)
            }
        }
    }
}
