// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletWire
public import ServiceContextModule

/// A whole request, as a handler gets it.
public struct HTTPRequest: Sendable {
    public let head: HTTPRequestHead
    /// Unpacked, if it came compressed.
    public internal(set) var body: HTTPBody
    let requestID: RequestID
    /// Cancelled when the client goes away before it is answered.
    public let cancellation: Cancellation
    /// When the first byte of the head was read.
    public let received: MonotonicInstant
    /// The caller's trace, when it sent one.
    public let context: ServiceContext
    let route: Route?
    let parameters: RouteParameters

    /// The client's `X-Request-Id`, or one made here.
    public var id: String { requestID.description }

    /// The path segment that stands for `:name` in the route's pattern, percent-decoded; nil when
    /// the pattern has none or the segment is no UTF-8.
    public func parameter(_ name: String) -> String? {
        guard let index = route?.parameterNames.firstIndex(of: name), index < parameters.count
        else { return nil }
        return PercentCoding.decode(head.fields.bytes[parameters[index]])
    }

    /// The first value of a query parameter, decoded.
    public func query(_ name: String) -> String? {
        for pair in head.fields.bytes[head.query].split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1)
            guard let first = parts.first, PercentCoding.decode(first) == name else { continue }
            return parts.count > 1 ? PercentCoding.decode(parts[1]) : ""
        }
        return nil
    }
}
