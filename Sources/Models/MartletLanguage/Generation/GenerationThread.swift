// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

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
        /// A mask has come.
        var isWoken = false
    }

    /// Hands the core to the thread.
    // Sendable: made by one thread and taken by another, never used by both.
    private final class Handover: @unchecked Sendable {
        private var core: GenerationCore?
        init(_ core: GenerationCore) { self.core = core }

        func take() -> GenerationCore? {
            defer { core = nil }
            return core
        }
    }

    private let monitor = Monitor()
    private let inbox = Inbox()
    private let waitingMax: Int

    /// Starts the thread; the core is its own from now on.
    /// - Parameters:
    ///   - observer: hears the counts after each step.
    ///   - onEnd: called when the thread has ended and the core's memory is free.
    init(
        core: sending GenerationCore, time: any TimeSource, waitingMax: Int,
        observer: @escaping @Sendable (GenerationLoad) -> Void,
        onEnd: @escaping @Sendable () -> Void
    ) throws(LanguageError) {
        self.waitingMax = max(1, waitingMax)
        core.masks = MaskQueue { [monitor, inbox] in
            monitor.withLock {
                inbox.isWoken = true
                monitor.signal()
            }
        }
        let handover = Handover(core)
        do throws(ThreadFailure) {
            try NativeThread.start(name: "martlet-generate") { [monitor, inbox] in
                if let core = handover.take() {
                    GenerationThread.run(core, monitor, inbox, time, observer)
                }
                onEnd()
            }
        } catch {
            throw LanguageError(.overloaded, "\(error)", cause: error)
        }
    }

    deinit { stop() }

    var counts: SchedulerCounts { monitor.withLock { inbox.counts } }

    /// It ends when what it has is done.
    var isStopped: Bool { monitor.withLock { inbox.isStopped } }

    /// Requests that the next step takes in.
    var waitingCount: Int { monitor.withLock { inbox.waiting } }

    /// Puts a request in line.
    /// - Throws: `.overloaded` when too many wait to be taken in, `.closed` after `stop`.
    func submit(_ request: PreparedGeneration) throws(LanguageError) -> Ticket {
        let result = monitor.withLock { () -> Result<Ticket, LanguageError> in
            if inbox.isStopped {
                return .failure(LanguageError(.closed, "the language model was closed"))
            }
            guard inbox.waiting < waitingMax else {
                return .failure(LanguageError(.overloaded, "too many requests wait"))
            }
            let ticket = inbox.nextTicket
            inbox.nextTicket += 1
            inbox.waiting += 1
            inbox.commands.append(.submit(request, ticket))
            monitor.signal()
            return .success(ticket)
        }
        return try result.get()
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
        _ observer: @Sendable (GenerationLoad) -> Void
    ) {
        var tickets: [Ticket: GenerationCore.RequestID] = [:]
        while true {
            monitor.lock()
            while inbox.commands.isEmpty, core.isIdle, !inbox.isStopped { monitor.wait() }
            if core.isHeld, inbox.commands.isEmpty, !inbox.isWoken {
                // Deadlines pass meanwhile.
                monitor.wait(until: time.now().advanced(by: .milliseconds(20)))
            }
            inbox.isWoken = false
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
            let load = core.load
            monitor.withLock { inbox.counts = load.counts }
            observer(load)
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
