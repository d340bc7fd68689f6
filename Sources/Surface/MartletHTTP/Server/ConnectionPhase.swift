// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Where a connection stands between its requests, and how long it may stay there.
enum ConnectionPhase {
    /// Nothing of a request has been read.
    case idle
    /// A head has begun.
    case head
    /// A body of so many bytes (what is known of it) has begun.
    case body(byteCount: Int)
    /// A handler has the request.
    case handling
    /// So many bytes of an answer wait for the client to take them.
    case writing(byteCount: Int)
    /// The last answer is sent; what still comes is thrown away.
    case lingering
    case closed

    /// How long the phase may last; nil for as long as the handler likes.
    func timeout(_ configuration: HTTPServerConfiguration) -> Duration? {
        func transfer(_ byteCount: Int) -> Duration {
            .seconds(byteCount / max(configuration.bytesPerSecondMin, 1))
        }
        switch self {
        case .idle: return configuration.idleTimeout
        case .head: return configuration.headerTimeout
        case .body(let byteCount): return configuration.bodyTimeout + transfer(byteCount)
        case .handling, .closed: return nil
        case .writing(let byteCount): return configuration.writeTimeout + transfer(byteCount)
        case .lingering: return .seconds(2)
        }
    }

    /// Whether more requests may be taken apart now.
    var isReading: Bool {
        switch self {
        case .idle, .head, .body: true
        case .handling, .writing, .lingering, .closed: false
        }
    }
}
