// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import Logging
internal import MartletBase
internal import Synchronization

/// The models that are loaded, loading or failed: applies what a scan found, keeps the table that
/// requests read, and frees what nobody uses any more.
///
/// One model changes at a time; different models load side by side on the loader threads. A change
/// loads and warms everything new beside the old, stores one new table, and only then closes what
/// was replaced. A version that fails leaves the old one serving.
package final class ModelRepository: Sendable {
    /// Builds and warms one version; blocks.
    package typealias Load =
        @Sendable (
            ModelCandidate.Version, ModelCandidate, ModelConfiguration
        ) throws -> ServedModel
    /// Runs a built version's warm-up requests; blocks.
    package typealias Warm = @Sendable (ServedModel, ModelCandidate) throws -> Void
    package typealias Completion = @Sendable (Result<Void, ServingError>) -> Void

    struct VersionRecord {
        var lifecycle = VersionLifecycle()
        var served: ServedModel?
        var fingerprint: UInt64 = 0
        /// Why the last attempt to replace a serving version failed; empty for none.
        var replacementFailure = ""
    }

    struct Record {
        var versions: [Int64: VersionRecord] = [:]
        /// What is applied, or was last tried.
        var candidate: ModelCandidate
        /// Why nothing of the model could be loaded at all (a bad configuration).
        var failure: String?
        /// Changes in line behind the one now under way.
        var isBusy = false
        var pending: [@Sendable () -> Void] = []
        /// Versions taken out of the table whose last requests still run.
        var closing = 0
        /// Gone from the repository: the record stays only for what still runs or waits.
        var isForgotten = false

        var isOver: Bool { isForgotten && !isBusy && closing == 0 }
    }

    /// Changes of one model that may wait for the one under way; more are refused.
    private static let pendingMax = 64

    let records = Mutex<[String: Record]>([:])
    let table: ModelTableReference
    let loaders: WorkerPool
    let load: Load
    let warm: Warm
    let logger: Logger

    package init(
        table: ModelTableReference, loadThreads: Int, logger: Logger, load: @escaping Load,
        warm: @escaping Warm
    ) {
        self.table = table
        self.logger = logger
        self.load = load
        self.warm = warm
        loaders = WorkerPool(
            name: "martlet-load", threads: loadThreads,
            waitingMax: RepositoryScanner.modelCountMax)
    }

    // MARK: Asking

    /// Names known, with the candidate last applied.
    package var candidates: [String: ModelCandidate] {
        records.withLock { $0.filter { !$0.value.isForgotten }.mapValues(\.candidate) }
    }

    /// Whether every model answers or was taken out of service on purpose. A version that goes on
    /// serving while its successor loads, or after it failed, is enough: a swap must not take the
    /// server out of its load balancer.
    package var isSettledWithoutFailure: Bool {
        records.withLock { records in
            records.values.allSatisfy { record in
                if record.versions.values.contains(where: { $0.served != nil }) { return true }
                return record.failure == nil && !record.isBusy
                    && record.versions.values.allSatisfy { version in
                        switch version.lifecycle.phase {
                        case .loading, .warming, .failed: false
                        default: true
                        }
                    }
            }
        }
    }

    package func index(readyOnly: Bool) -> [RepositoryEntry] {
        let entries = records.withLock { records -> [RepositoryEntry] in
            records.flatMap { name, record -> [RepositoryEntry] in
                if record.isForgotten { return [] }
                var entries = record.versions.map { number, version -> RepositoryEntry in
                    let (state, reason) = version.lifecycle.indexState
                    return RepositoryEntry(
                        name: name, version: String(number), state: state,
                        reason: reason.isEmpty ? version.replacementFailure : reason)
                }
                if let failure = record.failure {
                    entries.append(
                        RepositoryEntry(
                            name: name, version: "", state: .unavailable, reason: failure))
                }
                return entries
            }
        }
        return entries.filter { !readyOnly || $0.state == .ready }
            .sorted {
                ($0.name, Int64($0.version) ?? 0) < ($1.name, Int64($1.version) ?? 0)
            }
    }

    // MARK: Changing

    /// Loads or reloads a model as `candidate` says; `completion` runs when that is done.
    package func apply(_ candidate: ModelCandidate, completion: @escaping Completion) {
        enqueue(candidate.name, creating: candidate, completion: completion) { [self] in
            change(to: candidate)
        }
    }

    /// Takes a model out of service; what is inside it is still answered.
    /// - Parameter forgets: leave no trace of it, so that the same files, come back, are new.
    package func unload(
        _ name: String, forgets: Bool = false, completion: @escaping Completion
    ) {
        enqueue(name, creating: nil, completion: completion) { [self] in
            retireAll(name)
            if forgets { records.withLock { $0[name]?.isForgotten = true } }
            return .success(())
        }
    }

    /// Whether these models are out of the table and answer nothing any more.
    package func isDrained(_ names: Set<String>) -> Bool {
        records.withLock { records in
            names.allSatisfy { name in
                guard let record = records[name] else { return true }
                return record.closing == 0 && !record.isBusy
                    && record.versions.values.allSatisfy { $0.served == nil }
            }
        }
    }

    /// Runs `work` on a loader thread once earlier changes of the same model are done.
    private func enqueue(
        _ name: String, creating candidate: ModelCandidate?, completion: @escaping Completion,
        _ work: @escaping @Sendable () -> Result<Void, ServingError>
    ) {
        let job: @Sendable () -> Void = { [self] in
            let result = work()
            completion(result)
            startNext(name)
        }
        enum Turn { case now, later, unknown, tooMany }
        let turn = records.withLock { records -> Turn in
            if records[name] == nil {
                guard let candidate else { return .unknown }
                records[name] = Record(candidate: candidate)
            }
            guard records[name]?.isBusy == false else {
                let waiting = records[name]?.pending.count ?? 0
                guard waiting < ModelRepository.pendingMax else { return .tooMany }
                records[name]?.pending.append(job)
                return .later
            }
            records[name]?.isBusy = true
            return .now
        }
        switch turn {
        case .later: return
        case .unknown:
            completion(
                .failure(ServingError(.notFound, "failed to unload '\(name)', unknown model")))
        case .tooMany: completion(.failure(ModelRepository.tooManyLoads(name)))
        case .now:
            guard loaders.submit(job) else {
                completion(.failure(ModelRepository.tooManyLoads(name)))
                startNext(name)
                return
            }
        }
    }

    private static func tooManyLoads(_ name: String) -> ServingError {
        ServingError(
            .unavailable, "model '\(name)': too many loads wait", retryAfter: .seconds(1))
    }

    private func startNext(_ name: String) {
        let next = records.withLock { records -> (@Sendable () -> Void)? in
            guard let record = records[name], let first = record.pending.first else {
                records[name]?.isBusy = false
                if records[name]?.isOver == true { records[name] = nil }
                return nil
            }
            records[name]?.pending.removeFirst()
            return first
        }
        if let next, !loaders.submit(next) { next() }
    }
}
