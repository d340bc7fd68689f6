// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Synchronization

/// The system shared-memory regions that clients registered, by name.
///
/// A client owns its region: it may change the bytes, or cut the file short, at any moment. Reading
/// through a mapping would then end in SIGBUS, and validated BYTES could change under the reader.
/// So nothing is ever mapped: the registry keeps an open descriptor, copies a tensor's bytes in by
/// `pread` and out by `pwrite`, where a file cut short is a short read and an error. A request
/// holds its own copy, so unregistering never takes memory from under it. Cost: one system call and
/// one copy per tensor (about 0.1 ms for 600 kB); allocates one storage per input.
public final class SharedMemoryRegistry: Sendable {
    /// A registered region, as the status routes show it.
    public struct Region: Sendable, Hashable {
        public var name: String
        public var key: String
        public var offset: Int
        public var byteSize: Int
    }

    private final class OpenRegion: Sendable {
        let region: Region
        let descriptor: Int32

        init(region: Region, descriptor: Int32) {
            self.region = region
            self.descriptor = descriptor
        }

        deinit { close(descriptor) }

        func start(offset: Int, byteSize: Int) throws(SharedMemoryError) -> Int {
            let (end, overflow) = offset.addingReportingOverflow(byteSize)
            guard offset >= 0, byteSize >= 0, !overflow, end <= region.byteSize else {
                throw SharedMemoryError(
                    .invalidArgument,
                    "\(byteSize) bytes at offset \(offset) reach outside the shared memory region "
                        + "'\(region.name)' of \(region.byteSize) bytes")
            }
            return region.offset + offset
        }

        func shortened() -> SharedMemoryError {
            SharedMemoryError(
                .invalidArgument,
                "shared memory region '\(region.name)': the file '\(region.key)' was cut short")
        }
    }

    /// Whether clients may use shared memory at all; off unless the operator allows it.
    public let isAllowed: Bool
    private let regionCountMax: Int
    private let directory: String
    private let regions = Mutex<[String: OpenRegion]>([:])

    public init(
        isAllowed: Bool = false, regionCountMax: Int = 1024, directory: String = "/dev/shm"
    ) {
        self.isAllowed = isAllowed
        self.regionCountMax = regionCountMax
        self.directory = directory
    }

    /// Opens `key` (the name given to `shm_open`) and remembers `byteSize` bytes at `offset` of it.
    public func register(
        name: String, key: String, offset: Int, byteSize: Int
    ) throws(SharedMemoryError) {
        try requireAllowed()
        guard !name.isEmpty, name.utf8.count <= 255 else {
            throw SharedMemoryError(
                .invalidArgument, "shared memory region name must have 1 to 255 bytes")
        }
        let file = try SharedMemoryRegistry.fileName(key: key)
        let (end, overflow) = offset.addingReportingOverflow(byteSize)
        guard offset >= 0, byteSize > 0, !overflow else {
            throw SharedMemoryError(
                .invalidArgument,
                "shared memory region '\(name)': \(byteSize) bytes at offset \(offset) is no range")
        }
        let descriptor = unsafe open(
            directory + "/" + file, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw SharedMemoryError(
                .invalidArgument,
                "unable to open shared memory region: '\(key)' (error \(errno))")
        }
        let opened = OpenRegion(
            region: Region(name: name, key: key, offset: offset, byteSize: byteSize),
            descriptor: descriptor)
        guard let fileSize = SharedMemoryRegistry.size(of: descriptor), end <= fileSize else {
            throw SharedMemoryError(
                .invalidArgument,
                "shared memory region '\(name)': \(byteSize) bytes at offset \(offset) reach "
                    + "outside the file '\(key)'")
        }
        let refusal = regions.withLock { regions -> SharedMemoryError? in
            if regions[name] != nil {
                return SharedMemoryError(
                    .alreadyExists, "shared memory region '\(name)' already in manager")
            }
            if regions.count >= regionCountMax {
                return SharedMemoryError(
                    .limitExceeded, "\(regions.count) shared memory regions are registered already")
            }
            regions[name] = opened
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Forgets a region; not an error when there is none, as in Triton. Running requests keep
    /// theirs.
    public func unregister(name: String) throws(SharedMemoryError) {
        try requireAllowed()
        _ = regions.withLock { $0.removeValue(forKey: name) }
    }

    public func unregisterAll() throws(SharedMemoryError) {
        try requireAllowed()
        let dropped = regions.withLock { regions -> [String: OpenRegion] in
            let dropped = regions
            regions = [:]
            return dropped
        }
        _ = dropped
    }

    /// The regions, sorted by name, or the one named.
    /// - Throws: `.notFound` for a name that is not registered.
    public func status(name: String? = nil) throws(SharedMemoryError) -> [Region] {
        try requireAllowed()
        if let name, !name.isEmpty { return [try find(name).region] }
        return regions.withLock { $0.values.map(\.region) }.sorted { $0.name < $1.name }
    }

    /// A tensor with a copy of `byteSize` bytes at `offset` of the region.
    public func tensor(
        region name: String, offset: Int, byteSize: Int, elementType: ElementType, shape: Shape
    ) throws -> Tensor {
        let opened = try find(name)
        let start = try opened.start(offset: offset, byteSize: byteSize)
        let storage = TensorStorage(byteCount: byteSize)
        var done = 0
        while done < byteSize {
            let count = unsafe pread(
                opened.descriptor, storage.base + done, byteSize - done, off_t(start + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw opened.shortened() }
            done += count
        }
        return try Tensor(
            elementType: elementType, shape: shape, storage: storage,
            byteCount: elementType == .bytes ? byteSize : nil)
    }

    /// Whether `byteSize` bytes at `offset` lie inside the region: for outputs, before running.
    public func check(
        region name: String, offset: Int, byteSize: Int
    ) throws(SharedMemoryError) {
        _ = try find(name).start(offset: offset, byteSize: byteSize)
    }

    /// Writes a tensor's bytes at `offset` of the region.
    public func write(
        _ tensor: Tensor, region name: String, offset: Int
    ) throws(SharedMemoryError) {
        let opened = try find(name)
        let bytes = unsafe tensor.bytes
        let start = try opened.start(offset: offset, byteSize: bytes.count)
        guard let fileSize = SharedMemoryRegistry.size(of: opened.descriptor),
            start + bytes.count <= fileSize
        else { throw opened.shortened() }
        var done = 0
        while done < bytes.count {
            guard let base = bytes.baseAddress else { return }
            let count = unsafe pwrite(
                opened.descriptor, base + done, bytes.count - done, off_t(start + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw opened.shortened() }
            done += count
        }
    }

    // MARK: Checks

    private func requireAllowed() throws(SharedMemoryError) {
        guard isAllowed else {
            throw SharedMemoryError(
                .notAllowed, "shared memory is off: start the server with --allow-shared-memory")
        }
    }

    private func find(_ name: String) throws(SharedMemoryError) -> OpenRegion {
        try requireAllowed()
        guard let opened = regions.withLock({ $0[name] }) else {
            throw SharedMemoryError(
                .notFound, "Unable to find shared memory region: '\(name)'")
        }
        return opened
    }

    /// The file's name in the shared-memory folder: one leading slash is dropped, no other allowed.
    private static func fileName(key: String) throws(SharedMemoryError) -> String {
        let name = key.hasPrefix("/") ? String(key.dropFirst()) : key
        let isPlain =
            !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
        guard isPlain else {
            throw SharedMemoryError(
                .invalidArgument, "shared memory key '\(key)' is not the name of a region")
        }
        return name
    }

    /// The size of a regular file; nil for anything else.
    private static func size(of descriptor: Int32) -> Int? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return Int(status.st_size)
    }
}

/// Why a shared-memory region could not be registered, read or written.
public struct SharedMemoryError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value {
            case notAllowed, notFound, alreadyExists, invalidArgument, limitExceeded
        }
        private let value: Value
        public static let notAllowed = Code(value: .notAllowed)
        public static let notFound = Code(value: .notFound)
        public static let alreadyExists = Code(value: .alreadyExists)
        public static let invalidArgument = Code(value: .invalidArgument)
        public static let limitExceeded = Code(value: .limitExceeded)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
