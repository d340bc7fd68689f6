// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Metrics
internal import Synchronization

/// What one route is measured by: requests by status, and how long they took.
final class RouteMetrics: Sendable {
    private let route: String
    private let duration: Timer
    private let counters = Mutex<[Int: Counter]>([:])

    init(route: String) {
        self.route = route
        duration = Timer(
            label: "martlet_http_request_duration", dimensions: [("route", route)],
            preferredDisplayUnit: .seconds)
    }

    func record(status: Int, nanoseconds: Int64) {
        let counter = counters.withLock { counters -> Counter in
            if let known = counters[status] { return known }
            let new = Counter(
                label: "martlet_http_requests",
                dimensions: [("route", route), ("status", String(status))])
            counters[status] = new
            return new
        }
        counter.increment()
        duration.recordNanoseconds(nanoseconds)
    }
}

/// What the whole door is measured by.
final class ServerMetrics: Sendable {
    /// For requests that no route took.
    let unrouted = RouteMetrics(route: "none")
    private let received = Counter(label: "martlet_http_received_bytes")
    private let sent = Counter(label: "martlet_http_sent_bytes")
    private let inFlight = Meter(label: "martlet_http_requests_in_flight")
    private let connections = Meter(label: "martlet_http_connections")
    private let inFlightCount = Atomic<Int>(0)

    func received(bytes: Int) { received.increment(by: Int64(bytes)) }
    func sent(bytes: Int) { sent.increment(by: Int64(bytes)) }

    func requestBegins() {
        let count = inFlightCount.add(1, ordering: .relaxed).newValue
        inFlight.set(Int64(count))
    }

    func requestEnds() {
        let count = inFlightCount.subtract(1, ordering: .relaxed).newValue
        inFlight.set(Int64(count))
    }

    func set(connections count: Int) { connections.set(Int64(count)) }
}
