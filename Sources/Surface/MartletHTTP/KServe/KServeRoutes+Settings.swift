// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletWire

extension KServeRoutes {
    /// The trace and logging extensions: what is set is kept and shown.
    func addSettings(to router: inout Router) {
        let host = host
        let settings = settings
        for path in ["/v2/trace/setting", "/v2/models/:model/trace/setting"] {
            router.on(
                .get, path,
                KServeRoutes.immediate { request in
                    let model = try KServeRoutes.tracedModel(request, host)
                    return .json(KServeRoutes.encode(settings.trace(model: model)))
                })
            router.on(
                .post, path,
                KServeRoutes.immediate { request in
                    let model = try KServeRoutes.tracedModel(request, host)
                    let changes = try KServeRoutes.traceChanges(request.jsonObject())
                    return .json(
                        KServeRoutes.encode(try settings.updateTrace(model: model, changes)))
                })
        }
        router.on(
            .get, "/v2/logging",
            KServeRoutes.immediate { _ in .json(KServeRoutes.encode(settings.log)) })
        router.on(
            .post, "/v2/logging",
            KServeRoutes.immediate { request in
                var changes: Parameters = [:]
                for (name, value) in try request.jsonObject() {
                    changes[name] = try ParameterDecoder.parameter(value, name)
                }
                return .json(KServeRoutes.encode(try settings.updateLog(changes)))
            })
    }

    /// The model that a path names, which must be there; nil for the global settings.
    private static func tracedModel(
        _ request: HTTPRequest, _ host: any ModelHost
    ) throws -> String? {
        guard let model = request.parameter("model") else { return nil }
        _ = try host.metadata(model: model, version: nil)
        return model
    }

    private static func traceChanges(
        _ body: JSONObject
    ) throws(ServingError) -> [String: [String]?] {
        var changes: [String: [String]?] = [:]
        for (name, value) in body {
            switch value {
            case .null: changes[name] = .some(nil)
            case .string(let text): changes[name] = [text]
            case .integer(let number): changes[name] = [String(number)]
            case .array(let elements):
                let texts = elements.compactMap(\.stringValue)
                guard texts.count == elements.count else { fallthrough }
                changes[name] = texts
            default:
                throw ServingError(
                    .invalidArgument, "trace setting '\(name)' must be a string or a list of them")
            }
        }
        return changes
    }

    private static func encode(_ settings: ProtocolSettings.TraceSettings) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, values) in settings.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            if name == "trace_level" {
                writer.strings(values)
            } else {
                writer.string(values.first ?? "")
            }
        }
        writer.endObject()
        return writer.bytes
    }

    private static func encode(_ log: LogSettings) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("log_file")
        writer.string(log.file)
        writer.key("log_info")
        writer.bool(log.info)
        writer.key("log_warning")
        writer.bool(log.warning)
        writer.key("log_error")
        writer.bool(log.error)
        writer.key("log_verbose_level")
        writer.integer(log.verboseLevel)
        writer.key("log_format")
        writer.string(log.format.rawValue)
        writer.endObject()
        return writer.bytes
    }
}
