// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Synchronization

/// Where log lines go: standard error or a file, one whole line per write.
public final class LogOutput: Sendable {
    private let descriptor: Int32
    private let ownsDescriptor: Bool

    /// Standard error.
    public init() {
        descriptor = STDERR_FILENO
        ownsDescriptor = false
    }

    /// A file, appended to; made when it is not there.
    /// - Throws: `TelemetryError` naming the path and the reason.
    public init(path: String) throws(TelemetryError) {
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        ownsDescriptor = true
        guard descriptor >= 0 else {
            throw TelemetryError(.fileNotOpened, "log file '\(path)': \(errnoText())")
        }
    }

    deinit {
        if ownsDescriptor, descriptor >= 0 { close(descriptor) }
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Writes a line; a line that cannot be written (disk full, reader gone) is dropped, because
    /// logging must never stop the server.
    func write(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let written = unsafe Glibc.write(
                    descriptor, bytes.baseAddress.map { unsafe $0 + start }, bytes.count - start)
                if written < 0 {
                    if errno == EINTR { continue }
                    return
                }
                start += written
            }
        }
    }
}

/// What the C library calls the last error of this thread.
func errnoText() -> String {
    unsafe String(cString: strerror(errno))
}

/// Why telemetry could not be set up.
public struct TelemetryError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case fileNotOpened }
        private let value: Value
        public static let fileNotOpened = Code(value: .fileNotOpened)
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
