// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletONNXRuntime
internal import MartletBase
public import MartletEngine
internal import MartletStorage
internal import MartletTensor
internal import Synchronization

/// A model that ONNX Runtime has loaded.
public final class ONNXRuntimeSession: EngineSession, ProfilingSession {
    public let signature: ModelSignature
    /// The file's size: what the library holds beside it is not told.
    public let memoryBytes: Int

    let library: ONNXRuntimeLibrary
    let memoryBytesMax: Int
    let names: PortNames
    /// What runs use when nobody profiles.
    let plain: LibrarySession
    private let path: String
    private let ownThreads: Int32
    private let profiled = Mutex<(session: LibrarySession, folder: String)?>(nil)

    init(
        library: ONNXRuntimeLibrary, path: String, byteCount: Int, options: EngineOptions
    ) throws(EngineError) {
        self.library = library
        self.path = path
        memoryBytes = byteCount
        memoryBytesMax = options.memoryBytesMax
        // A model that asks for another number of threads than the process has gets its own.
        let poolSize = Int32(clamping: KernelPool.size)
        let wanted = Int32(clamping: options.threads ?? 0)
        ownThreads = wanted > 0 && wanted != poolSize ? wanted : 0
        plain = try LibrarySession(library, path: path, ownThreads: ownThreads, profile: nil)
        let reader = SignatureReader(library: library, session: plain, path: path)
        signature = try reader.read()
        names = PortNames(signature)
    }

    public func makeContext() throws -> any ExecutionContext {
        try ONNXRuntimeContext(session: self)
    }

    /// The session that a run uses now.
    func current() -> LibrarySession { profiled.withLock { $0?.session } ?? plain }

    // MARK: Profiling

    /// Loads the model a second time, with the library's profiler on, and runs that one.
    public func startProfile() throws {
        let folder = try ProfileFolder.make()
        let prefix = PathName.join(folder, "profile")
        do throws(EngineError) {
            let session = try LibrarySession(
                library, path: path, ownThreads: ownThreads, profile: prefix)
            let old = profiled.withLock { profiled in
                defer { profiled = (session, folder) }
                return profiled?.folder
            }
            if let old { ProfileFolder.remove(old) }
        } catch {
            ProfileFolder.remove(folder)
            throw error
        }
    }

    public func stopProfile() throws -> EngineProfile? {
        let taken = profiled.withLock { profiled in
            defer { profiled = nil }
            return profiled
        }
        guard let (session, folder) = taken else { return nil }
        defer { ProfileFolder.remove(folder) }
        let file = try session.endProfile()
        return try RuntimeProfileReader.read(path: file)
    }
}

/// A session of the library, given back with the last reference.
// Sendable: the library's sessions may be run from several threads at once.
@safe final class LibrarySession: @unchecked Sendable {
    let library: ONNXRuntimeLibrary
    let address: UnsafeMutableRawPointer

    init(
        _ library: ONNXRuntimeLibrary, path: String, ownThreads: Int32, profile: String?
    ) throws(EngineError) {
        let environment = try unsafe library.environment(
            threads: Int32(clamping: KernelPool.size))
        var made: UnsafeMutableRawPointer?
        let prefix = Array((profile ?? "").utf8CString)
        try unsafe library.call("load '\(path)'") { table in
            unsafe prefix.withUnsafeBufferPointer { prefix in
                unsafe martlet_ort_session(
                    table, environment, path,
                    martlet_ort_options(
                        own_threads: ownThreads, profile_prefix: prefix.baseAddress), &made)
            }
        }
        guard let made = unsafe made else {
            throw EngineError(.internal, "load '\(path)': ONNX Runtime gave no session")
        }
        self.library = library
        unsafe address = made
    }

    deinit { unsafe library.withTable { unsafe martlet_ort_session_release($0, address) } }

    /// Ends the profile.
    /// - Returns: the file's path.
    func endProfile() throws(EngineError) -> String {
        var text = [CChar](repeating: 0, count: 4096)
        try unsafe library.call("end the profile") {
            unsafe martlet_ort_profile_end($0, address, &text, text.count)
        }
        return String(terminated: text)
    }
}

/// The names of a model's inputs and outputs as C strings.
// Sendable: made once, then only read.
@safe final class PortNames: @unchecked Sendable {
    typealias Names = UnsafeMutablePointer<UnsafePointer<CChar>?>

    let inputs: Names
    let outputs: Names
    private let inputCount: Int
    private let outputCount: Int

    init(_ signature: ModelSignature) {
        inputCount = signature.inputs.count
        outputCount = signature.outputs.count
        unsafe inputs = PortNames.copies(signature.inputs)
        unsafe outputs = PortNames.copies(signature.outputs)
    }

    deinit {
        for index in 0..<inputCount { unsafe inputs[index]?.deallocate() }
        for index in 0..<outputCount { unsafe outputs[index]?.deallocate() }
        unsafe inputs.deallocate()
        unsafe outputs.deallocate()
    }

    private static func copies(_ specs: [TensorSpec]) -> Names {
        let names = Names.allocate(capacity: specs.count)
        for (index, spec) in specs.enumerated() {
            let text = spec.name.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
            for place in text.indices { unsafe copy[place] = text[place] }
            unsafe (names + index).initialize(to: UnsafePointer(copy))
        }
        return unsafe names
    }
}
