// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import NIOCore
internal import NIOPosix

/// What compares versions that serve side by side: deliveries, feedback, the log of exposures.
final class Variants: Sendable {
    let deliveries: Deliveries
    let feedback: FeedbackDesk?
    let exposures: ExposureLog?
    private let store: RuntimeStore
    private let logger: Logger
    private let time = SystemTime()

    init(store: RuntimeStore, logger: Logger) {
        let tables = store.load().runtime.snapshot.tables
        deliveries = store.deliveries
        feedback = tables.feedback.map { FeedbackDesk(policy: $0) }
        exposures = tables.deliveryFiles.exposures.map {
            ExposureLog(path: $0, bytesMax: tables.deliveryFiles.exposureBytesMax)
        }
        self.store = store
        self.logger = logger
    }

    /// Puts a delivery's change in force and writes it down.
    func apply(_ change: Deliveries.Change?) {
        guard let change else { return }
        if change.action != nil { store.refreshShares() }
        logger.notice(
            "delivery: \(change.what)",
            metadata: ["model": "\(change.model)", "experiment": "\(change.experiment)"])
        saveSoon()
    }

    private func saveSoon() {
        NIOThreadPool.singleton.submit { [self] _ in save() }
    }

    /// Writes state and exposures down. Blocks on files.
    func save() {
        exposures?.flush()
        do {
            try deliveries.save(at: time.now())
        } catch {
            logger.error("the deliveries' state cannot be kept", metadata: ["reason": "\(error)"])
        }
    }

    private func tick() {
        for problem in deliveries.takeProblems() { logger.error("\(problem)") }
        for change in deliveries.advance(to: time.now()) { apply(change) }
    }

    /// Looks five times a second whether a step is over, and writes down once a second.
    func start(on eventLoop: any EventLoop) {
        tick()
        eventLoop.scheduleRepeatedTask(
            initialDelay: .milliseconds(200), delay: .milliseconds(200)
        ) { [self] _ in tick() }
        eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [self] _ in
            saveSoon()
        }
    }
}
