// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage
internal import MartletTensor

/// The folder that stored plans and packed weights share, and how files get there and leave it.
struct StoreFolder {
    private static let suffixes = [".plan", ".weights"]
    /// Files of writers that died are removed after this long.
    private static let abandonedNanoseconds: Int64 = 3_600_000_000_000

    let cache: PlanCacheOptions

    /// Where the file of a choice lies.
    func path(for choice: [String], suffix: String) -> String {
        let digest = Digest.sha256(Array(choice.joined(separator: "\n").utf8)).hexadecimal
        return PathName.join(cache.folder, digest.prefix(32) + suffix)
    }

    /// Writes a file of the sections of `StoredPlanFile`, whole or not at all, then makes room.
    func write(
        key: [UInt8], graph: [UInt8], spares: StoredGraphWriter.Pieces,
        data: StoredGraphWriter.Pieces, to name: String
    ) throws {
        let size = spares.byteCount + data.byteCount + graph.count
        guard size <= cache.byteCountMax else {
            throw StoredPlanError("\(size) bytes, the cache holds \(cache.byteCountMax)")
        }
        try FileSystem.makeFolder(cache.folder)
        var file = try FileReplacement(path: name)
        let blank = [UInt8](repeating: 0, count: StoredPlanFile.headerByteCount)
        var ranges: [Range<Int>] = []
        try unsafe blank.withUnsafeBytes { try unsafe file.append($0) }
        for bytes in [key, graph] {
            try file.pad(to: StoredPlanFile.alignment)
            let start = file.byteCount
            try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
            ranges.append(start..<file.byteCount)
        }
        for pieces in [spares, data] {
            let isLarge = pieces.byteCount >= StoredPlanFile.largeAlignment
            try file.pad(
                to: isLarge ? StoredPlanFile.largeAlignment : StoredPlanFile.alignment)
            let start = file.byteCount
            for (item, offset) in zip(pieces.items, pieces.offsets) {
                try file.pad(to: TensorStorage.alignment)
                precondition(file.byteCount == start + offset, "pieces are laid out in order")
                try unsafe file.append(item.tensor?.bytes ?? item.storage.bytes)
            }
            ranges.append(start..<file.byteCount)
        }
        try file.flush()
        let written = try MappedFile(path: file.temporaryPath, largePages: true)
        let header = unsafe StoredPlanFile.header(written.bytes, sections: ranges) {
            written.advise(.dontNeed, in: $0)
        }
        try unsafe header.withUnsafeBytes { try unsafe file.overwrite($0, at: 0) }
        // Whoever reads it checks every byte: a disk that is behind does no harm.
        try file.commit(durably: false)
        evict(except: name)
    }

    /// Removes the least recently used files until the rest fits.
    private func evict(except kept: String) {
        var found: [(path: String, stamp: FileStamp)] = []
        for name in (try? FileSystem.list(cache.folder)) ?? [] {
            let path = PathName.join(cache.folder, name)
            guard let stamp = try? FileStamp(path: path) else { continue }
            if StoreFolder.suffixes.contains(where: { name.hasSuffix($0) }) {
                found.append((path, stamp))
            } else if StoreFolder.suffixes.contains(where: { name.contains($0 + ".") }),
                FileStamp.now() - stamp.modified > StoreFolder.abandonedNanoseconds
            {
                try? FileSystem.removeFile(path)
            }
        }
        var total = found.reduce(0) { $0 + $1.stamp.byteCount }
        for file in found.sorted(by: { $0.stamp.modified < $1.stamp.modified })
        where total > cache.byteCountMax && file.path != kept {
            try? FileSystem.removeFile(file.path)
            total -= file.stamp.byteCount
        }
    }
}
