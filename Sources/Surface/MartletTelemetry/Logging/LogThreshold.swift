// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import Logging
internal import Synchronization

/// Which log levels are written; changed while the server runs, read without a lock.
public final class LogThreshold: Sendable {
    // One bit per level, in `Logger.Level.allCases` order.
    private let bits: Atomic<UInt8>

    /// Everything from `level` on.
    public init(from level: Logger.Level) {
        bits = Atomic(LogThreshold.mask { $0 >= level })
    }

    /// Chooses levels one by one, as the protocol's logging extension does.
    public func set(info: Bool, warning: Bool, error: Bool, verboseLevel: UInt32) {
        let mask = LogThreshold.mask { level in
            switch level {
            case .trace: verboseLevel >= 2
            case .debug: verboseLevel >= 1
            case .info, .notice: info
            case .warning: warning
            case .error, .critical: error
            }
        }
        bits.store(mask, ordering: .relaxed)
    }

    func allows(_ level: Logger.Level) -> Bool {
        bits.load(ordering: .relaxed) & LogThreshold.bit(of: level) != 0
    }

    /// The lowest level that is on: what swift-log compares with before it calls the handler.
    var lowest: Logger.Level {
        Logger.Level.allCases.first(where: allows) ?? .critical
    }

    private static func bit(of level: Logger.Level) -> UInt8 {
        1 << UInt8(Logger.Level.allCases.firstIndex(of: level) ?? 0)
    }

    private static func mask(_ isOn: (Logger.Level) -> Bool) -> UInt8 {
        Logger.Level.allCases.filter(isOn).reduce(0) { $0 | bit(of: $1) }
    }
}
