// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletGateway
internal import MartletJSON
internal import MartletStorage
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What shadowed requests have shown, by model, and kept over restarts in a file when there is one.
final class ComparisonLedger: Sendable {
    private static let fileBytesMax = 256 << 20

    private struct State {
        var reports: [String: ComparisonReport] = [:]
        var isChanged = false
    }

    private let path: String?
    private let state = Mutex(State())
    private let writing = Mutex(())

    /// - Parameter path: where reports are kept. One that cannot be read is told of and replaced.
    init(path: String?, logger: Logger) {
        self.path = path
        guard let path, FileSystem.exists(path) else { return }
        do {
            let value = try JSONValue(
                parsing: FileSystem.readAll(path, limit: ComparisonLedger.fileBytesMax))
            guard value["format"] == 1, let models = value["comparisons"]?.objectValue else {
                throw ProxyError(.badState, "it is no state of this version")
            }
            var reports: [String: ComparisonReport] = [:]
            for (model, state) in models { reports[model] = ComparisonReport(state: state) }
            state.withLock { $0.reports = reports }
        } catch {
            logger.error(
                "comparisons begin anew",
                metadata: ["file": "\(path)", "reason": "\(error)"])
        }
    }

    func add(_ comparison: ExchangeComparison, model: String) {
        state.withLock { state in
            state.reports[model, default: ComparisonReport()].add(comparison)
            state.isChanged = true
        }
    }

    /// The candidate gave no answer.
    func addFailure(_ reason: String, model: String) {
        state.withLock { state in
            state.reports[model, default: ComparisonReport()].addFailure(reason)
            state.isChanged = true
        }
    }

    var models: [String] { state.withLock { $0.reports.keys.sorted() } }

    /// A model's report with its table for people; nil when nothing has been compared.
    func json(_ model: String) -> JSONValue? {
        guard let report = state.withLock({ $0.reports[model] }) else { return nil }
        return [
            "model": .string(model), "table": .string(report.table()), "report": report.json,
        ]
    }

    /// Forgets a model's report; false when there is none.
    func remove(_ model: String) -> Bool {
        state.withLock { state in
            state.isChanged = true
            return state.reports.removeValue(forKey: model) != nil
        }
    }

    /// Writes every ten seconds: reports are megabytes, and lose little.
    func start(on eventLoop: any EventLoop, _ logger: Logger) {
        guard path != nil else { return }
        eventLoop.scheduleRepeatedTask(initialDelay: .seconds(10), delay: .seconds(10)) {
            [self] _ in
            NIOThreadPool.singleton.submit { [self] _ in save(logger) }
        }
    }

    /// Writes what has changed since the last time, whole or not at all. Blocks on the file.
    func save(_ logger: Logger) {
        guard let path else { return }
        writing.withLock { _ in
            let reports = state.withLock { state -> [String: ComparisonReport]? in
                defer { state.isChanged = false }
                return state.isChanged ? state.reports : nil
            }
            guard let reports else { return }
            var models = JSONObject()
            for (model, report) in reports.sorted(by: { $0.key < $1.key }) {
                models[model] = report.state
            }
            let value: JSONValue = ["format": 1, "comparisons": .object(models)]
            do {
                let bytes = value.serialized()
                var file = try FileReplacement(path: path)
                try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
                try file.commit()
            } catch {
                state.withLock { $0.isChanged = true }
                logger.error(
                    "comparisons could not be written",
                    metadata: ["file": "\(path)", "reason": "\(error)"])
            }
        }
    }
}
