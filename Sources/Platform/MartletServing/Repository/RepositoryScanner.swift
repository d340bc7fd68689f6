// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletLanguage
internal import MartletStorage

/// Finds models under the paths that the server was given.
///
/// A path may be a `.onnx` file, a Hugging Face folder, one model's folder in Triton's layout, or a
/// repository: a folder of any of these.
package struct RepositoryScanner: Sendable {
    package static let configurationByteCountMax = 1 << 20
    /// Models under one path; more is an error.
    package static let modelCountMax = 10_000

    package let entries: [ServingOptions.Entry]

    package init(_ entries: [ServingOptions.Entry]) {
        self.entries = entries
    }

    /// Every model found, by name.
    /// - Throws: `ServingError` for a path that is missing or is nothing to serve, or a name used
    ///   twice.
    package func scan() throws -> [ModelCandidate] {
        var found: [String: ModelCandidate] = [:]
        for entry in entries {
            for candidate in try candidates(of: entry) {
                if let other = found[candidate.name] {
                    throw ServingError(
                        .invalidArgument,
                        "model '\(candidate.name)' is in two places: '\(other.path)' and "
                            + "'\(candidate.path)'")
                }
                found[candidate.name] = candidate
            }
        }
        return found.values.sorted { $0.name < $1.name }
    }

    /// One model by name, looked up without reading the rest; nil when there is none.
    package func find(_ name: String) throws -> ModelCandidate? {
        for entry in entries {
            let path = entry.path
            if let direct = try model(of: entry) {
                if direct.name == name { return direct }
                continue
            }
            guard name != ".", name != "..", !name.contains("/"), FileSystem.isDirectory(path)
            else { continue }
            for child in [name, name + ".onnx", name + ".gguf"] {
                let inner = PathName.join(path, child)
                if FileSystem.exists(inner), var candidate = try self.child(inner) {
                    candidate.engine = entry.engine
                    return candidate
                }
            }
        }
        return nil
    }

    /// The model that an entry's path is, under the entry's name and with its stages.
    private func model(of entry: ServingOptions.Entry) throws -> ModelCandidate? {
        var single = try model(at: entry.path)
        if let name = entry.name { single?.name = name }
        if !entry.pipeline.isEmpty { single?.pipeline = entry.pipeline }
        single?.engine = entry.engine
        return single
    }

    private func candidates(of entry: ServingOptions.Entry) throws -> [ModelCandidate] {
        let path = entry.path
        if let single = try model(of: entry) { return [single] }
        if entry.name != nil || !entry.pipeline.isEmpty {
            throw ServingError(
                .invalidArgument, "'\(path)' is to have a name or stages, but it is no single model"
            )
        }
        guard FileSystem.isDirectory(path) else {
            throw ServingError(
                .invalidArgument,
                FileSystem.exists(path)
                    ? "'\(path)' is neither a .onnx file nor a folder"
                    : "'\(path)' does not exist")
        }
        let names = try FileSystem.list(path, limit: RepositoryScanner.modelCountMax)
        return try names.filter { !$0.hasPrefix(".") }.compactMap {
            var found = try child(PathName.join(path, $0))
            found?.engine = entry.engine
            return found
        }
    }

    /// A repository's entry; one that cannot be read is its own failure, not the others'.
    private func child(_ path: String) throws -> ModelCandidate? {
        do {
            return try model(at: path)
        } catch let error as StorageError {
            if error.code == .notFound { return nil }
            var broken = ModelCandidate(
                name: PathName.baseName(path), folder: path, versions: [])
            broken.configuration = .unreadable(error.message)
            return broken
        }
    }

    /// The model that this very path is; nil when it is none, or a folder of some.
    package func model(at path: String) throws -> ModelCandidate? {
        let base = PathName.baseName(path)
        if path.hasSuffix(".onnx"), FileSystem.isRegularFile(path) {
            return ModelCandidate(
                name: String(base.dropLast(".onnx".count)), folder: PathName.directory(path),
                versions: [
                    ModelCandidate.Version(
                        number: 1, location: .onnxFile(path),
                        fingerprint: RepositoryScanner.fingerprint(path))
                ])
        }
        if path.hasSuffix(".gguf"), FileSystem.isRegularFile(path) {
            return ModelCandidate(
                name: String(base.dropLast(".gguf".count)), folder: PathName.directory(path),
                versions: [
                    ModelCandidate.Version(
                        number: 1, location: .decoderFile(path),
                        fingerprint: RepositoryScanner.fingerprint(path))
                ])
        }
        guard FileSystem.isDirectory(path) else { return nil }
        if RepositoryScanner.isEncoderFolder(path) {
            return ModelCandidate(
                name: base, folder: path,
                versions: [
                    ModelCandidate.Version(
                        number: 1, location: .encoderFolder(path),
                        fingerprint: RepositoryScanner.fingerprint(path))
                ])
        }
        return try modelFolder(path)
    }

    /// A folder in Triton's layout; nil when it has neither a configuration nor a version.
    private func modelFolder(_ path: String) throws -> ModelCandidate? {
        let configurationPath = PathName.join(path, "config.pbtxt")
        let names = try FileSystem.list(path)
        // Labels and tokenizers lie beside the versions and belong to each.
        var shared = Hasher()
        for name in names
        where name != "config.pbtxt" && !name.hasPrefix(".")
            && FileSystem.isRegularFile(PathName.join(path, name))
        {
            shared.combine(name)
            RepositoryScanner.combine(PathName.join(path, name), into: &shared)
        }
        let sharedFingerprint = UInt64(truncatingIfNeeded: shared.finalize())
        let versions = names.compactMap { name -> ModelCandidate.Version? in
            let folder = PathName.join(path, name)
            guard let number = Int64(name), number > 0, String(number) == name,
                FileSystem.isDirectory(folder)
            else { return nil }
            return ModelCandidate.Version(
                number: number, location: .folder(folder),
                fingerprint: RepositoryScanner.fingerprint(folder) ^ sharedFingerprint)
        }.sorted { $0.number < $1.number }
        let hasConfiguration = FileSystem.isRegularFile(configurationPath)
        guard hasConfiguration || !versions.isEmpty else { return nil }
        var candidate = ModelCandidate(
            name: PathName.baseName(path), folder: path, versions: versions)
        guard hasConfiguration else { return candidate }
        do throws(StorageError) {
            candidate.configuration = .text(
                try FileSystem.readAll(
                    configurationPath, limit: RepositoryScanner.configurationByteCountMax),
                path: configurationPath)
        } catch {
            candidate.configuration = .unreadable(error.message)
        }
        return candidate
    }

    package static func isEncoderFolder(_ path: String) -> Bool {
        ModelFolder.isModelFolder(path)
    }

    /// A number that changes when a file's size, time or identity does, or a folder's list.
    package static func fingerprint(_ path: String) -> UInt64 {
        var hasher = Hasher()
        combine(path, into: &hasher)
        if FileSystem.isDirectory(path) {
            for name in (try? FileSystem.list(path, limit: 10_000)) ?? [] {
                hasher.combine(name)
                combine(PathName.join(path, name), into: &hasher)
            }
        }
        return UInt64(truncatingIfNeeded: hasher.finalize())
    }

    private static func combine(_ path: String, into hasher: inout Hasher) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return }
        hasher.combine(status.st_ino)
        hasher.combine(status.st_size)
        hasher.combine(status.st_mtim.tv_sec)
        hasher.combine(status.st_mtim.tv_nsec)
    }
}
