// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which folder each inotify watch stands for. Paths are relative to the root, "" being the root.
struct WatchTable {
    private var paths: [Int32: String] = [:]
    private var watches: [String: Int32] = [:]

    var count: Int { paths.count }

    func path(of watch: Int32) -> String? { paths[watch] }

    mutating func add(_ watch: Int32, path: String) {
        // The kernel answers the same watch for a folder reached in two ways: the last one counts.
        if let old = paths[watch] { watches[old] = nil }
        paths[watch] = path
        watches[path] = watch
    }

    mutating func remove(_ watch: Int32) {
        guard let path = paths.removeValue(forKey: watch) else { return }
        if watches[path] == watch { watches[path] = nil }
    }

    /// Forgets a folder and all below it; answers the watches that stood for them.
    mutating func removeTree(_ root: String) -> [Int32] {
        let below = root.isEmpty ? "" : root + "/"
        let gone = watches.filter { $0.key == root || $0.key.hasPrefix(below) }.map(\.value)
        for watch in gone { remove(watch) }
        return gone
    }
}

/// One event of the kernel's.
struct WatchEvent {
    var watch: Int32
    var mask: UInt32
    /// The entry's name inside the watched folder; "" when the folder itself is meant.
    var name: String

    /// The events in what `read` delivered from an inotify descriptor.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> [WatchEvent] {
        var events: [WatchEvent] = []
        var offset = 0
        // A header of four 4-byte fields (watch, mask, cookie, length), then the padded name.
        while bytes.count - offset >= 16 {
            let watch = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
            let mask = unsafe bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
            let length = Int(
                unsafe bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
            guard length <= bytes.count - offset - 16 else { break }
            let padded = unsafe bytes[offset + 16..<offset + 16 + length]
            let name = unsafe String(decoding: padded.prefix { $0 != 0 }, as: UTF8.self)
            events.append(WatchEvent(watch: watch, mask: mask, name: name))
            offset += 16 + length
        }
        return events
    }
}
