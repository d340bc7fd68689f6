// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import Synchronization

/// What shadowed requests have shown, by model.
final class ComparisonLedger: Sendable {
    private let reports = Mutex<[String: ComparisonReport]>([:])

    func add(_ comparison: ExchangeComparison, model: String) {
        reports.withLock { $0[model, default: ComparisonReport()].add(comparison) }
    }

    var models: [String] { reports.withLock { $0.keys.sorted() } }

    /// A model's report with its table for people; nil when nothing has been compared.
    func json(_ model: String) -> JSONValue? {
        guard let report = reports.withLock({ $0[model] }) else { return nil }
        return [
            "model": .string(model), "table": .string(report.table()), "report": report.json,
        ]
    }
}
