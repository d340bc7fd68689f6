// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage

/// What a stored plan was made from and for; it is used for nothing else.
struct StoredPlanKey {
    /// A file that the model consists of.
    struct Source {
        var path: String
        /// Nil where the file was so new that a later change might carry the same stamp.
        var stamp: FileStamp?
        var byteCount: Int
        /// Nil where nobody is to read the whole file for it.
        var digest: Digest?
    }

    /// A stamp is believed when nothing has touched the file for this long before it was taken:
    /// clocks that stamp files move in steps.
    private static let settledNanoseconds: Int64 = 2_000_000_000
    /// The most files that a model may consist of.
    private static let sourcesMax = 65_536

    /// Program, processor and options.
    var maker: String
    /// The model first, then its external data.
    var sources: [Source]

    // MARK: Making

    /// What every key of this process and these options begins with.
    static func maker(_ options: EngineOptions) -> String {
        // Another program may pack or optimise in another way.
        let program = try? FileStamp(path: "/proc/self/exe")
        return [
            "layout \(StoredPlanFile.version)",
            "program \(program?.byteCount ?? 0) \(program?.modified ?? 0)",
            "kernels \(KernelPool.levelName)",
            "precision \(options.precision.rawValue)",
            "without \(options.disabledPasses.sorted().joined(separator: ","))",
        ].joined(separator: "\n")
    }

    /// - Parameter always: whether the contents' digest is taken even where the stamp will do; it
    ///   costs a pass over the file, and saves making everything again for a copy of it.
    static func source(path: String, file: MappedFile, digests always: Bool = true) -> Source {
        let age = file.opened - max(file.stamp.modified, file.stamp.changed)
        let stamp = age > settledNanoseconds ? file.stamp : nil
        return Source(
            path: path, stamp: stamp, byteCount: file.count,
            digest: always || stamp == nil ? digest(of: file) : nil)
    }

    /// SHA-256 of a file, without keeping its pages.
    static func digest(of file: MappedFile) -> Digest {
        var hasher = SHA256Hasher()
        let step = 8 << 20
        var offset = 0
        while offset < file.count {
            let end = min(offset + step, file.count)
            unsafe hasher.update(UnsafeRawBufferPointer(rebasing: file.bytes[offset..<end]))
            file.advise(.dontNeed, in: offset..<end)
            offset = end
        }
        return hasher.finish()
    }

    // MARK: Comparing

    /// Whether the file is still the one that the plan was made from: by its stamp, or where that
    /// differs by its contents.
    static func isSame(_ source: Source, _ file: MappedFile) -> Bool {
        guard file.count == source.byteCount else { return false }
        if let stamp = source.stamp, file.stamp == stamp { return true }
        return source.digest.map { $0 == digest(of: file) } ?? false
    }

    // MARK: Writing and reading

    func write(to output: inout StoredBytes) {
        output.text(maker)
        output.list(sources) { output, source in
            output.text(source.path)
            output.int(source.byteCount)
            output.optional(source.digest) { $0.raw($1.bytes) }
            output.optional(source.stamp) { output, stamp in
                output.fixed(stamp.device)
                output.fixed(stamp.node)
                output.int(stamp.byteCount)
                output.fixed(stamp.modified)
                output.fixed(stamp.changed)
            }
        }
    }

    init(maker: String, sources: [Source]) {
        self.maker = maker
        self.sources = sources
    }

    init(_ region: ByteRegion) throws(StoredPlanError) {
        var input = StoredReader(region)
        maker = try input.text()
        sources = try input.list { input throws(StoredPlanError) in
            let path = try input.text()
            let byteCount = try input.int()
            let digest = try input.optional { input throws(StoredPlanError) in
                try StoredPlanKey.digest(&input)
            }
            let stamp = try input.optional { input throws(StoredPlanError) in
                FileStamp(
                    device: try input.fixed(), node: try input.fixed(), byteCount: try input.int(),
                    modified: try input.fixed(), changed: try input.fixed())
            }
            return Source(path: path, stamp: stamp, byteCount: byteCount, digest: digest)
        }
        guard !sources.isEmpty, sources.count <= StoredPlanKey.sourcesMax, input.isAtEnd else {
            throw StoredPlanError("its key cannot be read")
        }
    }

    private static func digest(_ input: inout StoredReader) throws(StoredPlanError) -> Digest {
        let digits = Array("0123456789abcdef")
        var hexadecimal = ""
        for _ in 0..<Digest.byteCount {
            let byte = try input.fixed(UInt8.self)
            hexadecimal.append(digits[Int(byte >> 4)])
            hexadecimal.append(digits[Int(byte & 15)])
        }
        guard let digest = Digest(hexadecimal: hexadecimal) else {
            throw StoredPlanError("a digest cannot be read")
        }
        return digest
    }
}
