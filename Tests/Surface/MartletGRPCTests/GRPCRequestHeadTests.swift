// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGRPC
internal import MartletWire
internal import Testing

@Suite("gRPC request heads")
struct GRPCRequestHeadTests {
    private func headers(_ more: [(String, String)] = []) -> HTTP2Fields {
        HTTP2Fields(
            [
                (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"),
                ("content-type", "application/grpc"), ("te", "trailers"),
            ] + more)
    }

    private func refusal(_ headers: HTTP2Fields) -> GRPCRequestHead.Refusal? {
        do throws(GRPCRequestHead.Refusal) {
            _ = try GRPCRequestHead(headers)
            return nil
        } catch {
            return error
        }
    }

    @Test("everything that gRPC gives a meaning is read")
    func fields() throws {
        let head = try GRPCRequestHead(
            headers([
                ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity, deflate, gzip"),
                ("grpc-timeout", "250m"), ("x-request-id", "r1"), ("triton_grpc_error", "true"),
            ]))
        #expect(head.path == "/a.B/C")
        #expect(head.coding == .gzip)
        #expect(head.acceptsOwnCoding)
        #expect(head.timeout == .milliseconds(250))
        #expect(head.requestID == "r1")
        #expect(head.wantsStreamStatus)
    }

    @Test("without compression nothing is sent compressed")
    func plain() throws {
        let head = try GRPCRequestHead(headers([("grpc-accept-encoding", "gzip")]))
        #expect(head.coding == .identity)
        #expect(!head.acceptsOwnCoding)
    }

    @Test(
        "content types of gRPC are taken, others refused",
        arguments: [
            ("application/grpc", true), ("application/grpc+proto", true),
            ("application/grpc;x=y", true), ("application/grpc-web", false),
            ("application/grpc+json", false), ("application/json", false), ("", false),
        ])
    func contentTypes(type: String, isTaken: Bool) {
        let refused = refusal(
            HTTP2Fields([(":method", "POST"), (":path", "/a.B/C"), ("content-type", type)]))
        #expect(refused == (isTaken ? nil : .http(status: "415")))
    }

    @Test("another method than POST is refused before gRPC is spoken")
    func method() {
        #expect(
            refusal(
                HTTP2Fields([
                    (":method", "GET"), (":path", "/"), ("content-type", "application/grpc"),
                ]))
                == .http(status: "405"))
    }

    @Test("an unknown encoding is UNIMPLEMENTED, a malformed timeout INTERNAL")
    func malformed() {
        guard case .status(let coding) = refusal(headers([("grpc-encoding", "br")])),
            case .status(let timeout) = refusal(headers([("grpc-timeout", "soon")]))
        else {
            Issue.record("expected two statuses")
            return
        }
        #expect(coding.code == .unimplemented)
        #expect(timeout.code == .internal)
    }
}
