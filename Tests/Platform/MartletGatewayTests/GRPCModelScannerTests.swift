// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletTesting
internal import Testing

@Suite("GRPCModelScanner")
struct GRPCModelScannerTests {
    /// A message with its gRPC header.
    private func framed(_ message: [UInt8], flag: UInt8 = 0) -> [UInt8] {
        [flag, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }

    private func text(_ field: UInt8, _ value: String) -> [UInt8] {
        [field << 3 | 2, UInt8(value.utf8.count)] + Array(value.utf8)
    }

    /// Feeds in pieces of a size.
    private func scan(_ bytes: [UInt8], field: Int = 1, pieces: Int = .max) -> GRPCModelScanner {
        var scanner = GRPCModelScanner(field: field)
        var place = 0
        while place < bytes.count {
            let end = min(bytes.count, pieces == .max ? .max : place + pieces)
            unsafe Array(bytes[place..<end]).withUnsafeBytes { unsafe scanner.read($0) }
            place = end
        }
        return scanner
    }

    @Test("finds the name wherever it stands and however the bytes are cut up")
    func finds() {
        let others: [UInt8] = [0x18, 0x96, 1, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x2D, 1, 2, 3, 4]
        let messages = [
            framed(text(1, "m")), framed(text(1, "model") + others),
            framed(others + text(9, "x") + text(1, "model") + text(2, "")),
            framed(text(1, "a")) + framed(others + text(1, "a")),
        ]
        for (number, message) in messages.enumerated() {
            for pieces in [1, 2, 3, 7, Int.max] {
                let scanner = scan(message, pieces: pieces)
                #expect(scanner.problem == nil)
                #expect(scanner.model == ["m", "model", "model", "a"][number])
                #expect(scanner.messages == (number == 3 ? 2 : 1))
            }
        }
    }

    @Test("knows the name before the message has ended")
    func early() {
        var bytes = framed(text(1, "m") + text(2, "rest"))
        bytes.removeLast(4)
        #expect(scan(bytes).model == "m")
        #expect(scan(bytes).isSettled)
        #expect(scan(bytes).messages == 0)
        #expect(!scan(Array(bytes.prefix(7))).isSettled)
    }

    @Test("two names are refused, in one message or in two")
    func twice() {
        #expect(scan(framed(text(1, "a") + text(1, "a"))).problem == .anotherModel)
        #expect(scan(framed(text(1, "a")) + framed(text(1, "b"))).problem == .anotherModel)
        #expect(scan(framed(text(1, "a")) + framed(text(2, "b"))).problem == .anotherModel)
        #expect(scan(framed([]) + framed(text(1, "b"))).problem == .anotherModel)
        #expect(scan(framed([])).model == nil)
        #expect(scan(framed([])).isSettled)
    }

    @Test("what is no protobuf is refused")
    func malformed() {
        let messages: [[UInt8]] = [
            [0x0A], [0x0A, 5, 1], [0x08, 1], [0x00, 1], [0x0B], [0x10, 0xFF], [0x11, 1],
            [0x15, 1, 2, 3], [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            [UInt8](repeating: 0xFF, count: 12), [0x0A, 0xFF, 0x7F],
        ]
        for message in messages { #expect(scan(framed(message)).problem == .malformed) }
        #expect(scan(framed(text(1, "a"), flag: 1)).problem == .compressed)
    }

    @Test("random bytes never hold it up, and cuts change nothing")
    func random() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<2_000 {
            let count = Int.random(in: 0..<40, using: &random)
            let bytes = framed((0..<count).map { _ in UInt8.random(in: 0...30, using: &random) })
            let whole = scan(bytes)
            let cut = scan(bytes, pieces: Int.random(in: 1...5, using: &random))
            #expect(whole.problem == cut.problem)
            #expect(whole.model == cut.model)
        }
    }

    @Test("a renamed message ends with the new name, which is what protobuf reads")
    func renames() {
        let long = String(repeating: "n", count: 200)
        for name in ["real", long] {
            for pieces in [1, 3, Int.max] {
                var renamer = GRPCModelRenamer(field: 1, name: name)
                let source = framed(text(1, "m") + text(2, "v")) + framed([])
                var output: [UInt8] = []
                var place = 0
                while place < source.count {
                    let end = min(source.count, pieces == .max ? .max : place + pieces)
                    unsafe Array(source[place..<end]).withUnsafeBytes {
                        unsafe renamer.append($0, to: &output)
                    }
                    place = end
                }
                let length = name.utf8.count < 128 ? [4] : [0xC8, 1] as [UInt8]
                let suffix = [0x0A] + length + Array(name.utf8)
                #expect(output == framed(text(1, "m") + text(2, "v") + suffix) + framed(suffix))
            }
        }
    }

    @Test("methods are known by their paths")
    func methods() {
        let service = "/inference.GRPCInferenceService/"
        #expect(GRPCMethodKind(path: service + "ModelInfer").modelField == 1)
        #expect(!GRPCMethodKind(path: service + "ModelInfer").isStreaming)
        #expect(GRPCMethodKind(path: service + "ModelStreamInfer").isStreaming)
        #expect(GRPCMethodKind(path: service + "RepositoryModelLoad").modelField == 2)
        #expect(GRPCMethodKind(path: "/a.B/C").modelField == 0)
        #expect(GRPCMethodKind(path: service + "ServerLive").answer { false } == [8, 1])
        #expect(GRPCMethodKind(path: service + "ServerReady").answer { false } == [])
        #expect(GRPCMethodKind(path: service + "ModelInfer").answer { true } == nil)
    }
}
