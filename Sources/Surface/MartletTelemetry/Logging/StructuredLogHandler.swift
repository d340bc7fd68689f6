// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
public import Logging

/// Writes log events as one JSON object or one readable line each.
public struct StructuredLogHandler: LogHandler {
    /// How a line looks.
    public enum Style: String, Sendable, CaseIterable {
        case json, pretty
    }

    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let style: Style
    private let output: LogOutput
    private let threshold: LogThreshold

    public init(
        label: String, style: Style, output: LogOutput, threshold: LogThreshold,
        metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.label = label
        self.style = style
        self.output = output
        self.threshold = threshold
        self.metadataProvider = metadataProvider
    }

    /// Levels are chosen for the whole process by the threshold; a logger's own level is ignored.
    public var logLevel: Logger.Level {
        get { threshold.lowest }
        set { _ = newValue }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        guard threshold.allows(event.level) else { return }
        var merged = metadata
        if let provided = metadataProvider?.get() {
            merged.merge(provided) { _, new in new }
        }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        let fields = merged.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
        let time = timestamp()
        let line =
            switch style {
            case .json:
                LogLine.json(
                    time: time, level: event.level.rawValue, label: label,
                    message: event.message.description, fields: fields)
            case .pretty:
                LogLine.pretty(
                    time: time, level: event.level.rawValue, message: event.message.description,
                    fields: fields)
            }
        output.write(line)
    }

    private func timestamp() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return LogLine.timestamp(
            secondsSinceEpoch: Int(now.tv_sec), milliseconds: now.tv_nsec / 1_000_000)
    }
}
