// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
package import MartletServing
internal import MartletWire
internal import NIOCore

/// The Open Inference Protocol's `inference.GRPCInferenceService` with Triton's extensions, and
/// `grpc.health.v1.Health`, over a `ModelHost`.
package final class KServeService: GRPCService {
    /// Reads a request message and writes the response's fields.
    typealias Answer =
        @Sendable (_ request: inout ProtobufReader, _ response: inout ProtobufWriter) throws -> Void

    let host: any ModelHost
    let settings: ProtocolSettings
    let limits: GRPCServer.Limits
    private let methods: [String: GRPCMethod]

    package init(_ host: any ModelHost, settings: ProtocolSettings, limits: GRPCServer.Limits) {
        self.host = host
        self.settings = settings
        self.limits = limits
        let inference = InferenceMethods(host, requestsPerStream: limits.requestsPerStream)
        let all =
            ServerMethods(host).all + ModelMethods(host).all + RepositoryMethods(host).all
            + SharedMemoryMethods(host.sharedMemory).all
            + SettingsMethods(host, settings).all + inference.all + HealthMethods(host).all
        methods = Dictionary(all.map { ("/" + $0.name, $0) }) { first, _ in first }
    }

    package func method(at path: String) -> GRPCMethod? {
        methods[path]
    }
}

extension GRPCMethod {
    /// A method of the inference service that answers at once, from what the host knows.
    static func immediate(
        _ name: String, _ answer: @escaping KServeService.Answer
    ) -> GRPCMethod {
        GRPCMethod(name: "inference.GRPCInferenceService/" + name, body: .immediate(answer))
    }
}

extension GRPCMethod.Body {
    static func immediate(_ answer: @escaping KServeService.Answer) -> GRPCMethod.Body {
        .unary { call, message in
            do {
                call.reply(try message.answered(by: answer))
            } catch {
                call.finish(GRPCStatus(error))
            }
        }
    }
}

extension ByteBuffer {
    /// The framed response that `answer` writes for this request message.
    func answered(by answer: KServeService.Answer) throws -> ByteBuffer {
        try unsafe withUnsafeReadableBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            var writer = ProtobufWriter()
            writer.bytes = GRPCCall.messagePrefix
            try answer(&reader, &writer)
            return ByteBuffer(bytes: writer.bytes)
        }
    }
}
