// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import Synchronization

/// Who was assigned to which version of an experiment, a JSON object a line.
///
/// The same assignment of the same user is written once for as long as it is remembered. Lines
/// wait in memory up to a bound, beyond which they are dropped and counted; the file is moved aside
/// when it is full.
final class ExposureLog: Sendable {
    private static let waitingBytesMax = 1 << 20
    private static let rememberedMax = 65_536

    private struct State {
        var waiting: [UInt8] = []
        /// Two generations of what was written lately.
        var recent: Set<UInt64> = []
        var older: Set<UInt64> = []
        var dropped = 0
    }

    private let path: String
    private let bytesMax: Int
    private let state = Mutex(State())
    private let writing = Mutex(())

    init(path: String, bytesMax: Int) {
        self.path = path
        self.bytesMax = bytesMax
    }

    var dropped: Int { state.withLock { $0.dropped } }

    /// - Parameters:
    ///   - mark: stands for experiment, version and user; nil: nobody to remember.
    ///   - line: made only when it is written.
    func record(mark: UInt64?, _ line: () -> JSONValue) {
        state.withLock { state in
            if let mark {
                guard !state.recent.contains(mark), !state.older.contains(mark) else { return }
                if state.recent.count >= ExposureLog.rememberedMax {
                    state.older = state.recent
                    state.recent.removeAll(keepingCapacity: true)
                }
                state.recent.insert(mark)
            }
            guard state.waiting.count < ExposureLog.waitingBytesMax else {
                state.dropped += 1
                return
            }
            state.waiting += line().serialized() + [0x0A]
        }
    }

    /// Writes what waits. Blocks on the file.
    func flush() {
        writing.withLock { _ in
            let bytes = state.withLock { state in
                let bytes = state.waiting
                state.waiting = []
                return bytes
            }
            guard !bytes.isEmpty, !append(bytes) else { return }
            state.withLock { $0.dropped += bytes.count { $0 == 0x0A } }
        }
    }

    private func append(_ bytes: [UInt8]) -> Bool {
        let number = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard number >= 0 else { return false }
        defer { close(number) }
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(number, $0.baseAddress.map { unsafe $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        if lseek(number, 0, SEEK_END) >= bytesMax { _ = unsafe rename(path, path + ".1") }
        return true
    }
}
