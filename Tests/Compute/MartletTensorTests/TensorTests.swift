// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import Testing

@Suite("Tensor")
struct TensorTests {
    @Test("keeps the elements it was made of")
    func roundTrip() throws {
        let tensor = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        #expect(tensor.elementType == .float32)
        #expect(try tensor.elements(as: Float.self) == [1, 2, 3, 4, 5, 6])
        #expect(tensor.elementCount == 6)
    }

    @Test("refuses a shape that holds another number of elements")
    func wrongShape() {
        #expect(throws: TensorError.self) { try Tensor([1, 2, 3] as [Int64], shape: [2, 2]) }
        #expect(throws: TensorError.self) { try Tensor([1] as [Int64], shape: [-1]) }
        #expect(throws: TensorError.self) {
            try Tensor([1] as [Int64], shape: [1 << 40, 1 << 40])
        }
    }

    @Test("refuses to read another type, but reads booleans as bytes")
    func typeMismatch() throws {
        let flags = try Tensor(booleans: [true, false], shape: [2])
        #expect(try flags.elements(as: UInt8.self) == [1, 0])
        #expect(throws: TensorError.self) { try flags.elements(as: Float.self) }
    }

    @Test("views rows and other shapes without copying")
    func views() throws {
        let tensor = try Tensor(Array(0..<12).map { Int32($0) }, shape: [3, 4])
        let rows = try tensor.rows(1..<3)
        #expect(rows.shape == [2, 4])
        #expect(try rows.elements(as: Int32.self) == [4, 5, 6, 7, 8, 9, 10, 11])
        #expect(rows.storage === tensor.storage)
        #expect(try rows.reshaped(to: [8]).shape == [8])
        #expect(throws: TensorError.self) { try tensor.rows(2..<4) }
        #expect(throws: TensorError.self) { try tensor.reshaped(to: [5]) }
    }

    @Test("memory that is not to be had is an error")
    func noMemory() {
        let error = #expect(throws: TensorError.self) { try TensorStorage(allocating: 1 << 60) }
        #expect(error?.code == .noMemory)
    }
}
