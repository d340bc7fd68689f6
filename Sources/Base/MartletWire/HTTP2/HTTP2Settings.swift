// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What the two sides tell each other about themselves (RFC 9113 §6.5).
package struct HTTP2Settings: Equatable, Sendable {
    package enum ID: UInt16, Sendable {
        case headerTableSize = 1
        case enablePush = 2
        case maxConcurrentStreams = 3
        case initialWindowSize = 4
        case maxFrameSize = 5
        case maxHeaderListSize = 6
    }

    package static let windowMax = (1 << 31) - 1

    package var headerTableSize = 4_096
    package var initialWindowSize = 65_535
    package var maxFrameSize = 16_384
    package var maxConcurrentStreams = UInt32.max

    /// Takes a SETTINGS frame's payload over; unknown settings are ignored.
    mutating func apply(_ bytes: WireBytes, _ range: Range<Int>) throws(HTTP2Error) {
        var offset = range.lowerBound
        while offset + 6 <= range.upperBound {
            let value = bytes.uint32(at: offset + 2)
            switch ID(rawValue: bytes.uint16(at: offset)) {
            case .headerTableSize: headerTableSize = Int(value)
            case .enablePush:
                guard value <= 1 else {
                    throw HTTP2Error(.protocolError, "ENABLE_PUSH is \(value)")
                }
            case .maxConcurrentStreams: maxConcurrentStreams = value
            case .initialWindowSize:
                guard value <= HTTP2Settings.windowMax else {
                    throw HTTP2Error(.flowControlError, "INITIAL_WINDOW_SIZE is \(value)")
                }
                initialWindowSize = Int(value)
            case .maxFrameSize:
                guard value >= 16_384, value < 1 << 24 else {
                    throw HTTP2Error(.protocolError, "MAX_FRAME_SIZE is \(value)")
                }
                maxFrameSize = Int(value)
            case .maxHeaderListSize, nil: break
            }
            offset += 6
        }
    }
}
