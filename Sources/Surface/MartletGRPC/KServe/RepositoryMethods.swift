// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing
internal import MartletWire
internal import NIOCore

/// RepositoryIndex, RepositoryModelLoad and RepositoryModelUnload.
struct RepositoryMethods {
    private let host: any ModelHost

    init(_ host: any ModelHost) {
        self.host = host
    }

    var all: [GRPCMethod] {
        [index, change("RepositoryModelLoad", load), change("RepositoryModelUnload", unload)]
    }

    private var index: GRPCMethod {
        let host = host
        return .immediate("RepositoryIndex") { request, response in
            var repository = ""
            var readyOnly = false
            while let field = try request.next() {
                switch field {
                case 1: repository = try request.string()
                case 2: readyOnly = try request.bool()
                default: break
                }
            }
            try RepositoryMethods.refuse(repository: repository)
            for entry in host.index(readyOnly: readyOnly) {
                let mark = response.beginMessage(1)
                response.text(1, entry.name)
                response.text(2, entry.version)
                response.text(3, entry.state.rawValue)
                response.text(4, entry.reason)
                response.endMessage(mark)
            }
        }
    }

    private static func refuse(repository: String) throws(ServingError) {
        guard repository.isEmpty else {
            throw ServingError(.unsupported, "'repository_name' specification is not supported")
        }
    }

    /// A method that changes the repository: it takes its time, off the event loop.
    private func change(
        _ name: String,
        _ work: @escaping @Sendable (RepositoryChange) async throws -> Void
    ) -> GRPCMethod {
        GRPCMethod(
            name: "inference.GRPCInferenceService/" + name,
            body: .unary { call, message in
                let change: RepositoryChange
                do {
                    change = try RepositoryChange(message)
                } catch {
                    return call.finish(GRPCStatus(error))
                }
                Task {
                    let status: GRPCStatus
                    do {
                        try await work(change)
                        status = .ok
                    } catch {
                        status = GRPCStatus(error)
                    }
                    call.onLoop {
                        guard status.code == .ok else { return call.finish(status) }
                        call.reply(ByteBuffer(bytes: GRPCCall.messagePrefix))
                    }
                }
            })
    }

    private func load(_ change: RepositoryChange) async throws {
        var configuration: String?
        var files: [String: [UInt8]] = [:]
        for (name, value) in change.parameters {
            switch value {
            case .string(let text) where name == "config": configuration = text
            case .bytes(let bytes) where name.hasPrefix("file:"):
                files[String(name.dropFirst("file:".count))] = bytes
            default:
                throw ServingError(
                    .invalidArgument, "unrecognized load parameter '\(name)' or its type")
            }
        }
        guard files.isEmpty || configuration != nil else {
            throw ServingError(
                .invalidArgument,
                "load parameter 'config' must be given where files are, for model "
                    + "'\(change.model)'")
        }
        try await host.load(model: change.model, configuration: configuration, files: files)
    }

    private func unload(_ change: RepositoryChange) async throws {
        var includesDependents = false
        for (name, value) in change.parameters {
            guard name == "unload_dependents", case .bool(let flag) = value else {
                throw ServingError(
                    .invalidArgument, "unrecognized unload parameter '\(name)' or its type")
            }
            includesDependents = flag
        }
        try await host.unload(model: change.model, includingDependents: includesDependents)
    }
}

/// What a load or unload request says.
struct RepositoryChange: Sendable {
    enum Value: Sendable {
        case bool(Bool)
        case int(Int64)
        case string(String)
        case bytes([UInt8])
        case none
    }

    var model = ""
    var parameters: [String: Value] = [:]

    private static let parameterCountMax = 1_024

    init(_ message: ByteBuffer) throws {
        var repository = ""
        try unsafe message.withUnsafeReadableBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field {
                case 1: repository = try reader.string()
                case 2: model = try reader.string()
                case 3:
                    var value = Value.none
                    let key = try reader.mapEntry { value = try RepositoryChange.value(&$0) }
                    guard parameters.count < RepositoryChange.parameterCountMax else {
                        throw ServingError(.invalidArgument, "too many parameters")
                    }
                    parameters[key] = value
                default: break
                }
            }
        }
        guard repository.isEmpty else {
            throw ServingError(.unsupported, "'repository_name' specification is not supported")
        }
    }

    private static func value(_ entry: inout ProtobufReader) throws -> Value {
        var value = Value.none
        var reader = try entry.message()
        while let field = try reader.next() {
            switch field {
            case 1: value = .bool(try reader.bool())
            case 2: value = .int(try reader.int64())
            case 3: value = .string(try reader.string())
            case 4: value = .bytes(unsafe Array(try reader.bytes()))
            default: break
            }
        }
        return value
    }
}
