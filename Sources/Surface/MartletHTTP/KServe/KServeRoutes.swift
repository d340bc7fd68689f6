// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
public import MartletServing
internal import MartletWire

/// The Open Inference Protocol v2 over REST, with Triton's extensions, on a `ModelHost`.
public struct KServeRoutes: Sendable {
    let host: any ModelHost
    let settings: ProtocolSettings

    public init(_ host: any ModelHost, settings: ProtocolSettings) {
        self.host = host
        self.settings = settings
    }

    public func add(to router: inout Router) {
        addHealth(to: &router)
        addModels(to: &router)
        addInference(to: &router)
        addRepository(to: &router)
        addSharedMemory(to: &router)
        addSettings(to: &router)
    }

    /// A handler that answers at once; what it throws becomes the protocol's error.
    static func immediate(
        _ answer: @escaping @Sendable (HTTPRequest) throws -> HTTPResponse
    ) -> HTTPHandler {
        { request, responder in
            do {
                responder.complete(try answer(request))
            } catch {
                responder.complete(.kserve(error))
            }
        }
    }

    /// A handler for work that takes its time, off the event loop.
    static func deferred(
        _ answer: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) -> HTTPHandler {
        { request, responder in
            Task {
                do {
                    responder.complete(try await answer(request))
                } catch {
                    responder.complete(.kserve(error))
                }
            }
        }
    }
}

/// The model and version that a path names.
struct ModelReference {
    var name: String
    var version: String?

    init(name: String, version: String? = nil) {
        self.name = name
        self.version = version
    }

    init(_ request: HTTPRequest) throws(ServingError) {
        guard let name = request.parameter("model"), !name.isEmpty else {
            throw ServingError(.invalidArgument, "the path names no model")
        }
        self.name = name
        version = try request.parameter("version").flatMap { (text) throws(ServingError) in
            try ProtocolRequest.version(text)
        }
    }
}

extension HTTPRequest {
    /// The body as a JSON object; an empty body is an empty one.
    func jsonObject() throws(ServingError) -> JSONObject {
        if body.count == 0 { return JSONObject() }
        do throws(JSONError) {
            let value = try unsafe JSONValue(parsing: body.bytes)
            guard let object = value.objectValue else {
                throw JSONError(.typeMismatch, "expected an object", offset: 0)
            }
            return object
        } catch {
            throw ServingError(
                .invalidArgument, "failed to parse the request JSON buffer: \(error.message)",
                cause: error)
        }
    }
}
