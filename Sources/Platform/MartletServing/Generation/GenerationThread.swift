// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage

/// The one thread that generates with a model: takes requests in, steps the core while there is
/// work, sleeps otherwise.
final class GenerationThread: Sendable {
    /// Names a request from its submission on.
    typealias Ticket = UInt64

    private enum Command {
        case submit(PreparedGeneration, Ticket)
        case cancel(Ticket)
        case perform(@Sendable (GenerationCore) -> Void)
    }

    // Sendable: read and written under `monitor` only.
    private final class Inbox: @unchecked Sendable {
        var commands: [Command] = []
        /// Submissions among them.
        var waiting = 0
        var nextTicket: Ticket = 1
        var counts = SchedulerCounts()
        var isStopped = false
    }

    /// Hands the core to the thread.
    // Sendable: made by one thread and used by another, never by both.
    private final class Handover: @unchecked Sendable {
        let core: GenerationCore
        init(_ core: GenerationCore) { self.core = core }
    }

    private let monitor = Monitor()
    private let inbox = Inbox()
    private let waitingMax: Int

    /// Starts the thread; the core is its own from now on.
    init(
        model: String, core: sending GenerationCore, time: any TimeSource, waitingMax: Int,
        observer: @escaping @Sendable (SchedulerCounts) -> Void
    ) throws(ServingError) {
        self.waitingMax = max(1, waitingMax)
        let handover = Handover(core)
        try NativeThread.start(name: "martlet-generate") { [monitor, inbox] in
            GenerationThread.run(handover.core, monitor, inbox, time, observer)
        }
    }

    deinit { stop() }

    var counts: SchedulerCounts { monitor.withLock { inbox.counts } }

    /// Puts a request in line; nil when too many wait to be taken in.
    func submit(_ request: PreparedGeneration) -> Ticket? {
        monitor.withLock {
            guard !inbox.isStopped, inbox.waiting < waitingMax else { return nil }
            let ticket = inbox.nextTicket
            inbox.nextTicket += 1
            inbox.waiting += 1
            inbox.commands.append(.submit(request, ticket))
            monitor.signal()
            return ticket
        }
    }

    /// Ends a request before its next step; nothing happens for one that has ended.
    func cancel(_ ticket: Ticket) {
        monitor.withLock {
            inbox.commands.append(.cancel(ticket))
            monitor.signal()
        }
    }

    /// Does something with the core between two steps.
    /// - Returns: false when the thread has ended; then nothing is done.
    func perform(_ body: @escaping @Sendable (GenerationCore) -> Void) -> Bool {
        monitor.withLock {
            guard !inbox.isStopped else { return false }
            inbox.commands.append(.perform(body))
            monitor.signal()
            return true
        }
    }

    /// Ends the thread once nobody is inside.
    func stop() {
        monitor.withLock {
            inbox.isStopped = true
            monitor.broadcast()
        }
    }

    private static func run(
        _ core: GenerationCore, _ monitor: Monitor, _ inbox: Inbox, _ time: any TimeSource,
        _ observer: @Sendable (SchedulerCounts) -> Void
    ) {
        var tickets: [Ticket: GenerationCore.RequestID] = [:]
        while true {
            monitor.lock()
            while inbox.commands.isEmpty, core.isIdle, !inbox.isStopped { monitor.wait() }
            if inbox.isStopped, core.isIdle, inbox.commands.isEmpty {
                monitor.unlock()
                return
            }
            var commands: [Command] = []
            swap(&commands, &inbox.commands)
            inbox.waiting = 0
            monitor.unlock()
            for command in commands { apply(command, core, &tickets, time.now()) }
            _ = core.step(time: time)
            let counts = core.scheduler.counts
            monitor.withLock { inbox.counts = counts }
            observer(counts)
            if core.isIdle {
                tickets.removeAll(keepingCapacity: true)
            } else if tickets.count > 4 * core.requestCount + 64 {
                tickets = tickets.filter { core.isRunning($0.value) }
            }
        }
    }

    private static func apply(
        _ command: Command, _ core: GenerationCore,
        _ tickets: inout [Ticket: GenerationCore.RequestID], _ now: MonotonicInstant
    ) {
        switch command {
        case .submit(let request, let ticket):
            do throws(LanguageError) {
                tickets[ticket] = try core.submit(request, now: now)
            } catch {
                request.receive(.failed(error))
            }
        case .perform(let body): body(core)
        case .cancel(let ticket):
            guard let id = tickets.removeValue(forKey: ticket) else { return }
            core.cancel(id, now: now)
        }
    }
}
