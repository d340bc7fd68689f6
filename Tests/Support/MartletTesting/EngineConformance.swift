// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
public import MartletEngine
internal import MartletGraph
public import MartletTensor
internal import Synchronization

/// What every engine must keep, checked with a model that answers its input.
///
/// Each check returns what went wrong, in sentences; none means that the engine passed.
public struct EngineConformance: Sendable {
    /// A loaded model with one input "INPUT" and one output "OUTPUT", both [-1, 4] of the type,
    /// that answers its input.
    public typealias MakeEcho = @Sendable (ElementType) throws -> any EngineSession

    private let makeEcho: MakeEcho

    public init(makeEcho: @escaping MakeEcho) {
        self.makeEcho = makeEcho
    }

    /// The types that the Open Inference Protocol carries.
    public static let types = ElementType.allCases.filter { $0.protocolName != nil }

    public func run() -> [String] {
        var failures: [String] = []
        func check(_ name: String, _ body: () throws -> String?) {
            do {
                if let failure = try body() { failures.append("\(name): \(failure)") }
            } catch {
                failures.append("\(name): \(error)")
            }
        }
        for type in EngineConformance.types {
            check("echo of \(type)") { try echoes(type) }
        }
        check("outputs outlive later runs") { try keepsOutputs() }
        check("a wrong type") {
            try refuses([tensor(.int32, rows: 1)], naming: ["INPUT", "INT32", "FP32"])
        }
        check("a wrong rank") {
            try refuses(
                [
                    try Tensor(
                        elementType: .float32, shape: [4], storage: TensorStorage(byteCount: 16))
                ],
                naming: ["INPUT", "[4]"])
        }
        check("a wrong dimension") {
            try refuses(
                [
                    try Tensor(
                        elementType: .float32, shape: [1, 5], storage: TensorStorage(byteCount: 20))
                ], naming: ["INPUT", "[1, 5]"])
        }
        check("no input") { try refuses([], naming: ["1", "0"]) }
        check("a cancelled run") { try cancels() }
        check("an empty batch") { try echoesNothing() }
        check("elements at odd addresses") { try echoesUnaligned() }
        check("contexts at the same time") { try runsSideBySide() }
        return failures
    }

    private func tensor(_ type: ElementType, rows: Int) throws -> Tensor {
        if type == .bytes {
            var bytes: [UInt8] = []
            for index in 0..<(rows * 4) {
                let length = index % 3
                bytes +=
                    [UInt8(length), 0, 0, 0] + Array(repeating: UInt8(index % 251), count: length)
            }
            let storage = TensorStorage(byteCount: bytes.count)
            unsafe storage.mutableBytes.copyBytes(from: bytes)
            return try Tensor(
                elementType: .bytes, shape: [rows, 4], storage: storage, byteCount: bytes.count)
        }
        let count = type.byteCount(elements: rows * 4) ?? 0
        let storage = TensorStorage(byteCount: count)
        for index in 0..<count {
            unsafe storage.mutableBytes[index] =
                type == .bool ? UInt8(index % 2) : UInt8(index % 120)
        }
        return try Tensor(elementType: type, shape: [rows, 4], storage: storage)
    }

    private func echoes(_ type: ElementType) throws -> String? {
        let session = try makeEcho(type)
        let context = try session.makeContext()
        var outputs: [Tensor] = []
        for rows in [1, 3, 8, 1] {
            let input = try tensor(type, rows: rows)
            try context.run([input], outputs: &outputs, cancellation: nil)
            guard outputs.count == 1 else { return "\(outputs.count) outputs" }
            guard outputs[0].shape == input.shape, outputs[0].elementType == type else {
                return "answered \(outputs[0].elementType) \(outputs[0].shape)"
            }
            guard unsafe outputs[0].bytes.elementsEqual(input.bytes) else {
                return "answered other elements at \(rows) rows"
            }
        }
        return nil
    }

    private func keepsOutputs() throws -> String? {
        let context = try makeEcho(.float32).makeContext()
        var kept: [(Tensor, Float)] = []
        for round in 0..<40 {
            let value = Float(round)
            let input = try Tensor([value, value, value, value], shape: [1, 4])
            var outputs: [Tensor] = []
            try context.run([input], outputs: &outputs, cancellation: nil)
            kept.append((outputs[0], value))
        }
        for (tensor, value) in kept
        where try tensor.elements(as: Float.self) != [value, value, value, value] {
            return "the output of run \(value) changed"
        }
        return nil
    }

    private func refuses(_ inputs: [Tensor], naming words: [String]) throws -> String? {
        let context = try makeEcho(.float32).makeContext()
        var outputs: [Tensor] = []
        do {
            try context.run(inputs, outputs: &outputs, cancellation: nil)
            return "it was accepted"
        } catch let error as EngineError {
            guard error.code == .invalidInput else { return "code \(error.code)" }
            let missing = words.filter { !error.message.contains($0) }
            return missing.isEmpty ? nil : "'\(error.message)' does not name \(missing)"
        }
    }

    private func cancels() throws -> String? {
        let context = try makeEcho(.float32).makeContext()
        let cancellation = Cancellation()
        cancellation.cancel()
        var outputs: [Tensor] = []
        do {
            try context.run(
                [tensor(.float32, rows: 1)], outputs: &outputs, cancellation: cancellation)
            return "it ran"
        } catch let error as EngineError {
            return error.code == .cancelled ? nil : "code \(error.code)"
        }
    }

    private func echoesNothing() throws -> String? {
        let context = try makeEcho(.float32).makeContext()
        var outputs: [Tensor] = []
        try context.run([tensor(.float32, rows: 0)], outputs: &outputs, cancellation: nil)
        return outputs.first?.shape == [0, 4] ? nil : "answered \(outputs.map(\.shape))"
    }

    /// Requests carry tensors at any offset.
    private func echoesUnaligned() throws -> String? {
        let context = try makeEcho(.int64).makeContext()
        let storage = TensorStorage(byteCount: 33)
        for index in 0..<33 { unsafe storage.mutableBytes[index] = UInt8(index) }
        let input = try Tensor(
            elementType: .int64, shape: [1, 4], storage: storage, byteOffset: 1)
        var outputs: [Tensor] = []
        try context.run([input], outputs: &outputs, cancellation: nil)
        guard let output = outputs.first else { return "no output" }
        return unsafe output.bytes.elementsEqual(input.bytes) ? nil : "answered other elements"
    }

    private func runsSideBySide() throws -> String? {
        let session = try makeEcho(.float32)
        let failures = Mutex<[String]>([])
        let threads = (0..<3).map { thread in
            TestThread {
                do {
                    let context = try session.makeContext()
                    var outputs: [Tensor] = []
                    for round in 0..<50 {
                        let value = Float(thread * 1000 + round)
                        let input = try Tensor([value, value, value, value], shape: [1, 4])
                        try context.run([input], outputs: &outputs, cancellation: nil)
                        let answer = try outputs[0].elements(as: Float.self)
                        if answer != [value, value, value, value] {
                            failures.withLock { $0.append("\(value) became \(answer)") }
                        }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        return failures.withLock { $0.first }
    }
}
