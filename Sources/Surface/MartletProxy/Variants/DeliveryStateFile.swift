// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import MartletStorage
internal import Synchronization

/// The file that deliveries' states are kept in, replaced whole.
final class DeliveryStateFile: Sendable {
    private static let bytesMax = 16 << 20
    private let path: String
    private let writing = Mutex(())

    init(path: String) { self.path = path }

    /// States by experiment; none when there is no file yet.
    /// - Throws: `DeliveryStateError` when there is one that cannot be understood.
    func read() throws(DeliveryStateError) -> [String: JSONValue] {
        guard FileSystem.exists(path) else { return [:] }
        let value: JSONValue
        do {
            value = try JSONValue(
                parsing: FileSystem.readAll(path, limit: DeliveryStateFile.bytesMax))
        } catch {
            throw DeliveryStateError(message: "delivery state '\(path)': \(error)")
        }
        guard value["format"] == 1, let all = value["deliveries"]?.objectValue else {
            throw DeliveryStateError(
                message: "delivery state '\(path)' is no state of this version")
        }
        var states: [String: JSONValue] = [:]
        for (name, state) in all { states[name] = state }
        return states
    }

    /// Writes what `value` gives, if anything; one write at a time, so that the last is the newest.
    func write(_ value: () -> JSONValue?) throws {
        try writing.withLock { _ in
            guard let value = value() else { return }
            let bytes = value.serialized()
            var file = try FileReplacement(path: path)
            try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
            try file.commit()
        }
    }
}
