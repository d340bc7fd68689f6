// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletServing
internal import MartletWire
internal import NIOCore

/// `grpc.health.v1.Health`: the server as a whole (an empty name, or the inference service's), or
/// one model by its name.
struct HealthMethods {
    enum Status: UInt64, Sendable {
        case serving = 1
        case notServing = 2
        case serviceUnknown = 3
    }

    private let host: any ModelHost

    init(_ host: any ModelHost) {
        self.host = host
    }

    var all: [GRPCMethod] { [check, watch] }

    private var check: GRPCMethod {
        let host = host
        return GRPCMethod(
            name: "grpc.health.v1.Health/Check",
            body: .immediate { request, response in
                let service = try HealthMethods.service(&request)
                let status = HealthMethods.status(of: service, host)
                guard status != .serviceUnknown else {
                    throw ServingError(.notFound, "unknown service '\(service)'")
                }
                response.uint64(1, status.rawValue)
            })
    }

    private var watch: GRPCMethod {
        let host = host
        return GRPCMethod(
            name: "grpc.health.v1.Health/Watch",
            body: .streaming { HealthWatch(call: $0, host: host) })
    }

    static func service(_ request: inout ProtobufReader) throws -> String {
        var service = ""
        while let field = try request.next() {
            if field == 1 { service = try request.string() }
        }
        return service
    }

    static func status(of service: String, _ host: any ModelHost) -> Status {
        if service.isEmpty || service == "inference.GRPCInferenceService" {
            return host.isReady ? .serving : .notServing
        }
        if (try? host.isReady(model: service, version: nil)) == true { return .serving }
        let isKnown = host.index(readyOnly: false).contains { $0.name == service }
        return isKnown ? .notServing : .serviceUnknown
    }
}

/// One Watch call: the status at once, and again whenever it has changed.
private final class HealthWatch: GRPCMessageSink {
    private static let interval = TimeAmount.seconds(1)

    private let call: GRPCCall
    private let host: any ModelHost
    private var service: String?
    private var last: HealthMethods.Status?
    private var ticks: RepeatedTask?

    init(call: GRPCCall, host: any ModelHost) {
        self.call = call
        self.host = host
    }

    func receive(_ message: ByteBuffer) {
        guard service == nil else {
            return call.finish(
                GRPCStatus(.unimplemented, "the method takes one message, got several"))
        }
        do {
            service = try unsafe message.withUnsafeReadableBytes { bytes in
                var reader = unsafe ProtobufReader(bytes)
                return try HealthMethods.service(&reader)
            }
        } catch {
            return call.finish(GRPCStatus(error))
        }
        look()
        let watch = NIOLoopBound(self, eventLoop: call.eventLoop)
        ticks = call.eventLoop.scheduleRepeatedTask(
            initialDelay: HealthWatch.interval, delay: HealthWatch.interval
        ) { _ in watch.value.look() }
    }

    func receiveEnd() {
        if service == nil {
            call.finish(GRPCStatus(.unimplemented, "the method takes one message, got none"))
        }
    }

    func becameWritable() {}

    func stop() {
        look()
        call.finish(GRPCStatus(.unavailable, "the server is stopping"))
        ticks?.cancel()
    }

    private func look() {
        guard !call.isFinished, let service else {
            ticks?.cancel()
            return
        }
        let status = HealthMethods.status(of: service, host)
        guard status != last, call.isWritable else { return }
        last = status
        var writer = ProtobufWriter()
        writer.bytes = GRPCCall.messagePrefix
        writer.uint64(1, status.rawValue)
        call.send(ByteBuffer(bytes: writer.bytes))
    }
}
