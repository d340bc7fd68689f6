// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// What the protocol's logging extension shows and changes.
public struct LogSettings: Sendable, Hashable {
    /// How a log line's time stamp is written.
    public enum Format: String, Sendable {
        case standard = "default"
        case iso8601 = "ISO8601"
    }

    /// Where the log goes; set at start, not while running. Empty is standard error.
    public var file: String
    public var info: Bool
    public var warning: Bool
    public var error: Bool
    /// 0 is quiet, 1 adds debug lines, 2 and more add traces.
    public var verboseLevel: UInt32
    public var format: Format

    public init(
        file: String = "", info: Bool = true, warning: Bool = true, error: Bool = true,
        verboseLevel: UInt32 = 0, format: Format = .standard
    ) {
        self.file = file
        self.info = info
        self.warning = warning
        self.error = error
        self.verboseLevel = verboseLevel
        self.format = format
    }
}

/// The settings that the protocol's `trace` and `logging` extensions read and write while the
/// server runs. One object serves every door.
public final class ProtocolSettings: Sendable {
    /// A trace setting: its name and one or several values, as the protocol has them.
    public typealias TraceSettings = [String: [String]]

    private struct State {
        var log: LogSettings
        var trace: TraceSettings
        var modelTrace: [String: TraceSettings] = [:]
    }

    /// Models that may hold trace settings of their own; more are refused.
    private static let modelTraceCountMax = 1_024

    private static let traceDefaults: TraceSettings = [
        "trace_level": ["OFF"], "trace_rate": ["1000"], "trace_count": ["-1"],
        "log_frequency": ["0"], "trace_file": [""], "trace_mode": ["opentelemetry"],
    ]

    private let state: Mutex<State>
    private let onLogChange: @Sendable (LogSettings) -> Void

    /// - Parameter onLogChange: applies new log settings to the logging back end.
    public init(
        log: LogSettings = LogSettings(),
        onLogChange: @escaping @Sendable (LogSettings) -> Void = { _ in }
    ) {
        state = Mutex(State(log: log, trace: ProtocolSettings.traceDefaults))
        self.onLogChange = onLogChange
    }

    public var log: LogSettings { state.withLock { $0.log } }

    /// Changes log settings by name (`log_info`, `log_warning`, `log_error`, `log_verbose_level`,
    /// `log_format`); all of them or, on an error, none.
    /// - Throws: `ServingError` naming the setting that is unknown, read-only or of a wrong type.
    @discardableResult
    public func updateLog(_ changes: Parameters) throws(ServingError) -> LogSettings {
        var settings = log
        for (name, value) in changes.sorted(by: { $0.key < $1.key }) {
            try ProtocolSettings.apply(name, value, to: &settings)
        }
        state.withLock { $0.log = settings }
        onLogChange(settings)
        return settings
    }

    private static func apply(
        _ name: String, _ value: ParameterValue, to settings: inout LogSettings
    ) throws(ServingError) {
        switch (name, value) {
        case ("log_info", .bool(let flag)): settings.info = flag
        case ("log_warning", .bool(let flag)): settings.warning = flag
        case ("log_error", .bool(let flag)): settings.error = flag
        case ("log_verbose_level", .int(let level)) where level >= 0 && level <= 1_000:
            settings.verboseLevel = UInt32(level)
        case ("log_verbose_level", .uint(let level)) where level <= 1_000:
            settings.verboseLevel = UInt32(level)
        case ("log_format", .string(let text)):
            guard let format = LogSettings.Format(rawValue: text) else {
                throw ServingError(
                    .invalidArgument, "log_format must be 'default' or 'ISO8601', got '\(text)'")
            }
            settings.format = format
        case ("log_file", _):
            throw ServingError(.unsupported, "log_file cannot be changed while the server runs")
        case ("log_info", _), ("log_warning", _), ("log_error", _):
            throw ServingError(.invalidArgument, "\(name) must be true or false")
        case ("log_verbose_level", _):
            throw ServingError(.invalidArgument, "log_verbose_level must be between 0 and 1000")
        default:
            throw ServingError(.invalidArgument, "unknown log setting '\(name)'")
        }
    }

    /// The trace settings in force for a model, or the global ones (nil).
    public func trace(model: String?) -> TraceSettings {
        state.withLock { state in
            guard let model, let own = state.modelTrace[model] else { return state.trace }
            return state.trace.merging(own) { _, own in own }
        }
    }

    /// Changes trace settings; nil or an empty list clears a setting back to the next outer one.
    /// - Throws: `ServingError` naming the setting that is unknown or has an impossible value.
    @discardableResult
    public func updateTrace(
        model: String?, _ changes: [String: [String]?]
    ) throws(ServingError) -> TraceSettings {
        for (name, values) in changes.sorted(by: { $0.key < $1.key }) {
            try ProtocolSettings.checkTrace(name, values ?? [])
        }
        let isFull = state.withLock { state -> Bool in
            if let model, state.modelTrace[model] == nil,
                state.modelTrace.count >= ProtocolSettings.modelTraceCountMax
            {
                return true
            }
            for (name, values) in changes {
                let isCleared = values?.isEmpty ?? true
                if let model {
                    state.modelTrace[model, default: [:]][name] = isCleared ? nil : values
                } else {
                    state.trace[name] =
                        isCleared ? ProtocolSettings.traceDefaults[name] : values
                }
            }
            return false
        }
        if isFull {
            throw ServingError(
                .unavailable,
                "more than \(ProtocolSettings.modelTraceCountMax) models have trace settings")
        }
        return trace(model: model)
    }

    private static func checkTrace(_ name: String, _ values: [String]) throws(ServingError) {
        switch name {
        case "trace_level":
            for value in values where !["OFF", "TIMESTAMPS", "TENSORS"].contains(value) {
                throw ServingError(
                    .invalidArgument,
                    "trace_level must be OFF, TIMESTAMPS or TENSORS, got '\(value)'")
            }
        case "trace_rate", "trace_count", "log_frequency":
            let lowest: Int64 = name == "trace_count" ? -1 : 0
            for value in values {
                guard let number = Int64(value), number >= lowest else {
                    throw ServingError(
                        .invalidArgument,
                        "\(name) must be a number of at least \(lowest), got '\(value)'")
                }
            }
        case "trace_file", "trace_mode":
            throw ServingError(.unsupported, "\(name) cannot be changed while the server runs")
        default:
            throw ServingError(.invalidArgument, "unknown trace setting '\(name)'")
        }
    }
}
