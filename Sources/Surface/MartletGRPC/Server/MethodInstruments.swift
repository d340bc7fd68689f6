// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Metrics
internal import MartletBase

/// The metrics of one method. Made once, before the first request.
final class MethodInstruments: Sendable {
    private let seconds: Metrics.Timer
    private let counters: [Counter]

    init(method: String) {
        seconds = Metrics.Timer(
            label: "martlet_grpc_request_duration", dimensions: [("method", method)])
        counters = GRPCStatus.Code.allCases.map { code in
            Counter(
                label: "martlet_grpc_requests_total",
                dimensions: [("method", method), ("code", String(describing: code))])
        }
    }

    func record(_ code: GRPCStatus.Code, after duration: Duration) {
        counters[code.rawValue].increment()
        seconds.recordNanoseconds(duration.nanosecondsSaturating)
    }
}
