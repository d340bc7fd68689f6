// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
public import MartletEngine
internal import MartletStorage

// Where the library is looked for.
extension ONNXRuntimeLibrary {
    /// The variable that names the library or a folder that holds it.
    public static let variable = "MARTLET_ONNXRUNTIME_LIB"

    /// Opens the library that the environment names, that lies beside this program, that a Python
    /// environment holds (`VIRTUAL_ENV`, or the one on `PATH`), or that the system's loader knows.
    ///
    /// What `MARTLET_ONNXRUNTIME_LIB` names must be there: nothing else is tried then.
    public static func find() throws(EngineError) -> ONNXRuntimeLibrary {
        if let named = variableValue(variable) {
            guard let path = library(at: named) else {
                throw EngineError(
                    .unsupported, "\(variable)='\(named)': there is no libonnxruntime.so")
            }
            return try open(path: path)
        }
        for folder in folders() {
            if let path = library(at: folder) { return try open(path: path) }
        }
        for name in ["libonnxruntime.so.1", "libonnxruntime.so"] {
            do throws(EngineError) { return try open(path: name) } catch { continue }
        }
        throw EngineError(
            .unsupported,
            "ONNX Runtime was not found: name its library in \(variable), put libonnxruntime.so "
                + "beside martlet, or install the onnxruntime package in the Python environment "
                + "that is active")
    }

    /// The library in a folder, of several the one whose name is last; or the path itself.
    package static func library(at path: String) -> String? {
        if FileSystem.isRegularFile(path) { return path }
        guard FileSystem.isDirectory(path), let names = try? FileSystem.list(path) else {
            return nil
        }
        let libraries = names.filter {
            $0 == "libonnxruntime.so" || $0.hasPrefix("libonnxruntime.so.")
        }
        return libraries.max().map { PathName.join(path, $0) }
    }

    private static func folders() -> [String] {
        var folders: [String] = []
        if let program = try? FileSystem.realPath("/proc/self/exe") {
            let folder = PathName.directory(program)
            folders += [folder, PathName.join(PathName.directory(folder), "lib")]
        }
        var environments: [String] = []
        if let active = variableValue("VIRTUAL_ENV") { environments.append(active) }
        for folder in (variableValue("PATH") ?? "").split(separator: ":") {
            let program = PathName.join(String(folder), "python3")
            if FileSystem.isRegularFile(program) {
                environments.append(PathName.directory(String(folder)))
            }
        }
        for environment in environments {
            let root = PathName.join(environment, "lib")
            for name in (try? FileSystem.list(root)) ?? [] where name.hasPrefix("python3") {
                for packages in ["site-packages", "dist-packages"] {
                    folders.append(
                        PathName.join(root, "\(name)/\(packages)/onnxruntime/capi"))
                }
            }
        }
        return folders
    }

    private static func variableValue(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
