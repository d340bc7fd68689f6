// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletONNXRuntime
internal import Glibc
public import MartletEngine
internal import Synchronization

/// ONNX Runtime's shared library, opened at run time.
///
/// A library once opened stays for as long as the process lives: its threads cannot be ended.
// Sendable: the table is constant, and the library's functions may be called from any thread.
@safe public final class ONNXRuntimeLibrary: @unchecked Sendable {
    public let path: String
    /// "1.31.1".
    public let version: String
    /// The version of the function table in use.
    public let interface: Int

    private let table: martlet_ort
    /// The address of the environment; 0 before it is made.
    private let environmentAddress = Mutex<UInt>(0)

    /// The oldest and newest function tables that Martlet knows.
    public static let interfaces =
        Int(MARTLET_ORT_INTERFACE_MIN)...Int(MARTLET_ORT_INTERFACE_MAX)

    private static let opened = Mutex<[String: ONNXRuntimeLibrary]>([:])

    /// The library at a path; opened once a process.
    /// - Throws: `EngineError.Code.unsupported` when it is not there, is something else, or is of a
    ///   version that Martlet does not know; both versions are named.
    public static func open(path: String) throws(EngineError) -> ONNXRuntimeLibrary {
        let result = opened.withLock { opened -> Result<ONNXRuntimeLibrary, EngineError> in
            if let known = opened[path] { return .success(known) }
            var table = unsafe martlet_ort()
            var text = [CChar](repeating: 0, count: 512)
            let fault = unsafe martlet_ort_open(path, &table, &text, text.count)
            do throws(EngineError) {
                let library = try unsafe ONNXRuntimeLibrary(
                    path: path, table: table, fault: fault, reason: String(terminated: text))
                opened[path] = library
                return .success(library)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// A library by its first entry; for tests.
    package convenience init(base: UnsafeRawPointer, path: String) throws(EngineError) {
        var table = unsafe martlet_ort()
        let fault = unsafe martlet_ort_check(
            base.assumingMemoryBound(to: martlet_ort_base.self), &table)
        try unsafe self.init(path: path, table: table, fault: fault, reason: "")
    }

    private init(
        path: String, table: martlet_ort, fault: martlet_ort_fault, reason: String
    ) throws(EngineError) {
        let version = unsafe table.version.map { unsafe String(cString: $0) } ?? ""
        let known = ONNXRuntimeLibrary.interfaces
        let needed = "Martlet knows ONNX Runtime 1.\(known.lowerBound) to 1.\(known.upperBound)"
        switch fault {
        case MARTLET_ORT_OK: break
        case MARTLET_ORT_NOT_LOADED:
            throw EngineError(.unsupported, "open ONNX Runtime '\(path)': \(reason)")
        case MARTLET_ORT_NO_VERSION:
            throw EngineError(
                .unsupported,
                "'\(path)': the library's version '\(version)' cannot be read; \(needed)")
        case MARTLET_ORT_NO_INTERFACE:
            throw EngineError(
                .unsupported,
                "'\(path)' is ONNX Runtime \(version) and offers no function table that Martlet "
                    + "has; \(needed)")
        case MARTLET_ORT_BAD_TABLE:
            throw EngineError(
                .unsupported,
                "'\(path)' says that it is ONNX Runtime \(version), but its function table does "
                    + "not behave as interface \(unsafe table.interface) does; \(needed)")
        default:
            throw EngineError(.unsupported, "'\(path)' is not ONNX Runtime: no OrtGetApiBase")
        }
        self.path = path
        self.version = version
        interface = Int(unsafe table.interface)
        unsafe self.table = table
    }

    // MARK: Calls

    /// Calls a function of the library and turns its status into an error.
    func call(
        _ operation: @autoclosure () -> String,
        _ body: (UnsafePointer<martlet_ort>) -> UnsafeMutableRawPointer?
    ) throws(EngineError) {
        guard let status = unsafe withTable(body) else { return }
        let (code, message) = unsafe withTable { table in
            unsafe (
                martlet_ort_status_code(table, status),
                martlet_ort_status_message(table, status).map { unsafe String(cString: $0) } ?? ""
            )
        }
        unsafe withTable { unsafe martlet_ort_status_release($0, status) }
        throw EngineError(
            ONNXRuntimeLibrary.code(code), "\(operation()): ONNX Runtime \(version): \(message)")
    }

    func withTable<Result>(_ body: (UnsafePointer<martlet_ort>) -> Result) -> Result {
        unsafe withUnsafePointer(to: table, body)
    }

    /// The engine's code for the library's.
    private static func code(_ number: Int32) -> EngineError.Code {
        switch number {
        case 2: .invalidInput
        case 3, 4, 7, 10: .invalidModel
        case 9: .unsupported
        default: .internal
        }
    }

    // MARK: The environment

    /// What all sessions of the process share: threads and an arena.
    /// - Parameter threads: of the pool, the caller included; only the first call counts.
    func environment(threads: Int32) throws(EngineError) -> UnsafeMutableRawPointer {
        let made = environmentAddress.withLock { known -> Result<UInt, EngineError> in
            if known != 0 { return .success(known) }
            var environment: UnsafeMutableRawPointer?
            do throws(EngineError) {
                try unsafe call("start ONNX Runtime") {
                    unsafe martlet_ort_environment($0, threads, &environment)
                }
            } catch {
                return .failure(error)
            }
            known = UInt(bitPattern: environment)
            return .success(known)
        }
        guard let address = unsafe UnsafeMutableRawPointer(bitPattern: try made.get()) else {
            throw EngineError(.internal, "ONNX Runtime gave no environment")
        }
        return unsafe address
    }
}

extension String {
    /// The text of a buffer that a C function filled.
    init(terminated buffer: [CChar]) {
        self.init(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
