// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which folders each inotify watch stands for: several, when links lead to one folder. Paths are
/// relative to the root, "" being the root.
struct WatchTable {
    private var paths: [Int32: [String]] = [:]
    private var watches: [String: Int32] = [:]

    var count: Int { watches.count }

    func paths(of watch: Int32) -> [String] { paths[watch] ?? [] }

    /// Notes a folder's watch; false when the folder was reached through itself, by a link that
    /// leads back, and must not be entered again.
    mutating func add(_ watch: Int32, path: String) -> Bool {
        let known = paths(of: watch)
        if known.contains(path) { return true }
        let isLoop = known.contains { $0.isEmpty || path.hasPrefix($0 + "/") }
        if isLoop { return false }
        _ = remove(path: path)
        paths[watch, default: []].append(path)
        watches[path] = watch
        return true
    }

    /// Forgets a watch that the kernel has dropped.
    mutating func remove(_ watch: Int32) {
        for path in paths.removeValue(forKey: watch) ?? [] { watches[path] = nil }
    }

    /// Forgets a folder and all below it; answers the watches that now stand for nothing.
    mutating func removeTree(_ root: String) -> [Int32] {
        let below = root + "/"
        let gone = watches.keys.filter { root.isEmpty || $0 == root || $0.hasPrefix(below) }
        return gone.compactMap { remove(path: $0) }
    }

    /// Forgets one folder; answers its watch when that stands for nothing any more.
    private mutating func remove(path: String) -> Int32? {
        guard let watch = watches.removeValue(forKey: path) else { return nil }
        paths[watch]?.removeAll { $0 == path }
        guard paths[watch]?.isEmpty == true else { return nil }
        paths[watch] = nil
        return watch
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
