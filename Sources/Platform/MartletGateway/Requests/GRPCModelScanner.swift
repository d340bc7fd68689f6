// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads the model's name out of a gRPC call's messages as they go by, without decoding them: walks
/// over the fields of each message, and keeps the one that is the name.
///
/// All of a message is walked, because protobuf takes the last of a field that comes twice: two
/// names are refused, in one message or in two. Cost: a step per field, nothing per byte of the
/// long ones.
package struct GRPCModelScanner: Sendable {
    package enum Problem: Sendable, Equatable {
        /// The message's flag says that it is compressed.
        case compressed
        /// No message of protobuf.
        case malformed
        /// Another name than before.
        case anotherModel
    }

    private enum State {
        case header
        case tag
        case varint
        case length(isName: Bool)
        case skip(Int)
        case name(Int)
    }

    private static let nameBytesMax = 1_024

    /// The number of the field with the name; 0: messages name no model.
    private let field: UInt64
    private var state = State.header
    /// Of the message's header, and of the message.
    private var headerBytes = 0
    private var messageLeft: UInt64 = 0
    private var value: UInt64 = 0
    private var shift: UInt64 = 0
    private var name: [UInt8] = []
    private var hasName = false
    private var first: [UInt8]?
    /// Messages that have come whole.
    package private(set) var messages = 0
    package private(set) var problem: Problem?

    package init(field: Int = 0) {
        self.field = UInt64(max(field, 0))
    }

    /// Whether it is known which model is meant, if any.
    package var isSettled: Bool { field == 0 || hasName || first != nil }

    /// The model that the first message names; nil when it names none.
    package var model: String? {
        guard field != 0 else { return nil }
        let bytes = first ?? (hasName ? name : [])
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        guard field != 0 else { return }
        var place = 0
        while place < bytes.count, problem == nil {
            switch state {
            case .header:
                unsafe readHeader(bytes[place])
                place += 1
            case .skip(let left), .name(let left):
                let count = min(left, bytes.count - place)
                if case .name = state {
                    unsafe name.append(contentsOf: bytes[place..<place + count])
                }
                place += count
                messageLeft -= UInt64(count)
                advance(left - count)
            case .tag, .varint, .length:
                unsafe readVarint(bytes[place])
                place += 1
            }
        }
    }

    private mutating func readHeader(_ byte: UInt8) {
        if headerBytes == 0 {
            messageLeft = 0
            guard byte == 0 else {
                problem = .compressed
                return
            }
        } else {
            messageLeft = messageLeft << 8 | UInt64(byte)
        }
        headerBytes += 1
        guard headerBytes == 5 else { return }
        hasName = false
        name.removeAll(keepingCapacity: true)
        nextField()
    }

    /// Some of a field's bytes have gone by.
    private mutating func advance(_ left: Int) {
        if left > 0 {
            if case .name = state { state = .name(left) } else { state = .skip(left) }
            return
        }
        if case .name = state {
            guard !hasName, first == nil || first == name else {
                problem = .anotherModel
                return
            }
            hasName = true
        }
        nextField()
    }

    private mutating func nextField() {
        value = 0
        shift = 0
        guard messageLeft == 0 else {
            state = .tag
            return
        }
        state = .header
        headerBytes = 0
        messages += 1
        if !hasName, let first, !first.isEmpty { problem = .anotherModel }
        if first == nil { first = hasName ? name : [] }
    }

    private mutating func readVarint(_ byte: UInt8) {
        messageLeft -= 1
        guard shift < 64 else {
            problem = .malformed
            return
        }
        value |= UInt64(byte & 0x7F) << shift
        shift += 7
        guard byte & 0x80 == 0 else {
            if messageLeft == 0 { problem = .malformed }
            return
        }
        let read = value
        value = 0
        shift = 0
        switch state {
        case .tag: take(tag: read)
        case .varint: nextField()
        case .length(let isName):
            guard read <= messageLeft, !isName || read <= GRPCModelScanner.nameBytesMax else {
                problem = .malformed
                return
            }
            state = isName ? .name(Int(read)) : .skip(Int(read))
            if read == 0 { advance(0) }
        case .header, .skip, .name: problem = .malformed
        }
    }

    private mutating func take(tag: UInt64) {
        let number = tag >> 3
        guard number > 0 else {
            problem = .malformed
            return
        }
        let isName = number == field
        switch tag & 7 {
        case 0 where !isName: state = .varint
        case 1 where !isName && messageLeft >= 8: state = .skip(8)
        case 2: state = .length(isName: isName)
        case 5 where !isName && messageLeft >= 4: state = .skip(4)
        default: problem = .malformed
        }
        if messageLeft == 0 { problem = .malformed }
    }
}

/// Gives the messages of a call another model name: protobuf takes the last of a field that comes
/// twice, so the new name is put behind each message.
package struct GRPCModelRenamer: Sendable {
    private let suffix: [UInt8]
    private var header: [UInt8] = []
    private var left = 0

    /// - Parameter field: the number of the field with the name, at most 15.
    package init(field: Int, name: String) {
        let bytes = Array(name.utf8.prefix(1_024))
        var suffix = [UInt8(truncatingIfNeeded: field << 3 | 2)]
        if bytes.count < 0x80 {
            suffix.append(UInt8(bytes.count))
        } else {
            suffix.append(UInt8(bytes.count & 0x7F) | 0x80)
            suffix.append(UInt8(bytes.count >> 7))
        }
        self.suffix = suffix + bytes
    }

    package mutating func append(
        _ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]
    ) {
        var place = 0
        while place < bytes.count {
            if left == 0 {
                unsafe header.append(bytes[place])
                place += 1
                guard header.count == 5 else { continue }
                left = header[1...].reduce(0) { $0 << 8 | Int($1) }
                let length = UInt32(clamping: left + suffix.count)
                output.append(header[0])
                for part in [24, 16, 8, 0] as [UInt32] {
                    output.append(UInt8(truncatingIfNeeded: length >> part))
                }
                header.removeAll(keepingCapacity: true)
                if left == 0 { output += suffix }
                continue
            }
            let count = min(left, bytes.count - place)
            unsafe output.append(contentsOf: bytes[place..<place + count])
            place += count
            left -= count
            if left == 0 { output += suffix }
        }
    }
}

/// What the gateway knows of a gRPC method by its path.
package struct GRPCMethodKind: Sendable, Equatable {
    /// The number of the field with the model's name; 0 when there is none.
    package var modelField = 0
    /// Whether its messages go by one after the other.
    package var isStreaming = true
    private var service: Service?

    private enum Service { case live, ready, health }

    package init(path: String) {
        let prefix = "/inference.GRPCInferenceService/"
        guard path.hasPrefix(prefix) else {
            if path == "/grpc.health.v1.Health/Check" { service = .health }
            return
        }
        isStreaming = false
        switch path.dropFirst(prefix.count) {
        case "ModelInfer", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics":
            modelField = 1
        case "ModelStreamInfer":
            modelField = 1
            isStreaming = true
        case "RepositoryModelLoad", "RepositoryModelUnload", "TraceSetting": modelField = 2
        case "ServerLive": service = .live
        case "ServerReady": service = .ready
        default: break
        }
    }

    /// The message of what the gateway answers itself; nil for everything else.
    package func answer(isReady: () -> Bool) -> [UInt8]? {
        switch service {
        case .live: [0x08, 1]
        case .ready: isReady() ? [0x08, 1] : []
        case .health: [0x08, isReady() ? 1 : 2]
        case nil: nil
        }
    }
}
