// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import Synchronization

extension ModelRepository {
    /// One model's change, on a loader thread.
    func change(to candidate: ModelCandidate) -> Result<Void, ServingError> {
        let name = candidate.name
        var configuration: ModelConfiguration
        let targets: [Int64]
        records.withLock { $0[name]?.isForgotten = false }
        do {
            let read = try ConfigurationReader.read(candidate)
            for warning in read.warnings {
                logger.warning(
                    "\(candidate.configuration?.place ?? ""): \(warning)",
                    metadata: ["model": "\(name)"])
            }
            configuration = read.configuration
            if let pipeline = candidate.pipeline { configuration.pipeline = pipeline }
            targets = configuration.versionPolicy.select(from: candidate.versions.map(\.number))
            guard !targets.isEmpty else {
                throw configuration.invalid("no version is available under its version policy")
            }
        } catch {
            let failure = ServingError(failure: error)
            records.withLock {
                $0[name]?.failure = failure.message
                $0[name]?.candidate = candidate
            }
            logger.error("\(failure.message)", metadata: ["model": "\(name)"])
            return .failure(failure)
        }
        let isSameConfiguration = records.withLock { records in
            defer {
                records[name]?.failure = nil
                records[name]?.candidate = candidate
            }
            return records[name]?.candidate.configuration == candidate.configuration
        }
        var loaded: [Int64: ServedModel] = [:]
        var failures: [String] = []
        for version in candidate.versions where targets.contains(version.number) {
            if isSameConfiguration, isServing(name, version) { continue }
            switch attempt(version, of: candidate, configuration: configuration) {
            case .success(let served): loaded[version.number] = served
            case .failure(let error):
                failures.append("version \(version.number): \(error.message)")
            }
        }
        publish(name, loaded, targets: targets, keepsOthers: !failures.isEmpty)
        guard failures.isEmpty else {
            return .failure(
                ServingError(
                    .invalidArgument,
                    "failed to load '\(name)', \(failures.joined(separator: "; "))"))
        }
        return .success(())
    }

    private func isServing(_ name: String, _ version: ModelCandidate.Version) -> Bool {
        records.withLock { records in
            guard let record = records[name]?.versions[version.number] else { return false }
            return record.lifecycle.phase == .ready && record.fingerprint == version.fingerprint
        }
    }

    /// Loads and warms one version. The index shows its way, unless an old one of the same number
    /// is serving: then it stays ready, and a failure is its reason.
    private func attempt(
        _ version: ModelCandidate.Version, of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) -> Result<ServedModel, ServingError> {
        let name = candidate.name
        step(name, version.number, .load)
        do {
            let served = try load(version, candidate, configuration)
            step(name, version.number, .loaded)
            do {
                try warm(served, candidate)
            } catch {
                served.executor.close {}
                throw error
            }
            step(name, version.number, .warmed)
            records.withLock {
                $0[name]?.versions[version.number]?.fingerprint = version.fingerprint
                $0[name]?.versions[version.number]?.replacementFailure = ""
            }
            logger.info(
                "loaded", metadata: ["model": "\(name)", "version": "\(version.number)"])
            return .success(served)
        } catch {
            let failure = ServingError(failure: error)
            step(name, version.number, .failed(reason: failure.message))
            records.withLock { records in
                guard let record = records[name]?.versions[version.number] else { return }
                if record.lifecycle.phase == .ready {
                    records[name]?.versions[version.number]?.replacementFailure = failure.message
                }
                records[name]?.versions[version.number]?.fingerprint = version.fingerprint
            }
            logger.error(
                "\(failure.message)",
                metadata: ["model": "\(name)", "version": "\(version.number)"])
            return .failure(failure)
        }
    }

    /// Stores the new table, then closes what it no longer holds.
    private func publish(
        _ name: String, _ loaded: [Int64: ServedModel], targets: [Int64], keepsOthers: Bool
    ) {
        let retired = records.withLock { records -> [(Int64, ServedModel, isReplaced: Bool)] in
            guard var record = records[name] else { return [] }
            var retired: [(Int64, ServedModel, isReplaced: Bool)] = []
            for (number, served) in loaded {
                if let old = record.versions[number]?.served { retired.append((number, old, true)) }
                record.versions[number]?.served = served
            }
            let present = Set(record.candidate.versions.map(\.number))
            for (number, version) in record.versions where !targets.contains(number) {
                if let old = version.served {
                    if keepsOthers { continue }
                    retired.append((number, old, false))
                    record.versions[number]?.served = nil
                } else if present.contains(number) {
                    continue
                }
                record.versions[number]?.lifecycle.step(.unload)
            }
            record.versions = record.versions.filter { number, version in
                version.lifecycle.phase != .unloaded || present.contains(number)
            }
            records[name] = record
            let serving = record.versions.sorted { $0.key < $1.key }.compactMap(\.value.served)
            table.store(table.current.replacing(name, with: serving))
            return retired
        }
        close(name, retired)
    }

    func retireAll(_ name: String) {
        let retired = records.withLock { records -> [(Int64, ServedModel, isReplaced: Bool)] in
            guard var record = records[name] else { return [] }
            var retired: [(Int64, ServedModel, isReplaced: Bool)] = []
            for (number, version) in record.versions {
                if let served = version.served { retired.append((number, served, false)) }
                record.versions[number]?.served = nil
                record.versions[number]?.lifecycle.step(.unload)
            }
            record.failure = nil
            records[name] = record
            table.store(table.current.replacing(name, with: []))
            return retired
        }
        close(name, retired)
    }

    private func close(_ name: String, _ retired: [(Int64, ServedModel, isReplaced: Bool)]) {
        records.withLock { $0[name]?.closing += retired.count }
        for (number, served, isReplaced) in retired {
            served.executor.close { [weak self] in
                if !isReplaced { self?.step(name, number, .drained) }
                self?.records.withLock { records in
                    records[name]?.closing -= 1
                    if records[name]?.isOver == true { records[name] = nil }
                }
            }
        }
    }

    private func step(_ name: String, _ number: Int64, _ event: VersionLifecycle.Event) {
        records.withLock { records in
            var record = records[name]?.versions[number] ?? VersionRecord()
            record.lifecycle.step(event)
            records[name]?.versions[number] = record
        }
    }
}
