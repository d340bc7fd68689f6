// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Types of eight bits and fewer.
@Suite struct SmallTypeTests {
    private static func cast(
        _ tensor: Tensor, to type: ElementType, saturate: Int = 1
    ) throws -> Tensor {
        try OperatorTests.run(
            .cast, tensor, [],
            ["to": .int(Int64(type.rawValue)), "saturate": .int(Int64(saturate))])[0]
    }

    @Test(
        "Every code of an eight-bit float survives the way to 32 bits and back",
        arguments: [
            .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float8E8M0,
        ] as [ElementType])
    func codes(type: ElementType) throws {
        let bytes = (0...255).map { UInt8($0) }
        let storage = try Tensor(bytes).storage
        let codes = try Tensor(elementType: type, shape: [256], storage: storage)
        let wide = try Self.cast(codes, to: .float32)
        let numbers = try wide.elements(as: Float.self)
        let back = try Self.cast(wide, to: type, saturate: 0)
        let found = unsafe back.bytes.map { $0 }
        for code in 0..<256 where !numbers[code].isNaN {
            #expect(found[code] == bytes[code], "code \(code), \(numbers[code])")
        }
    }

    @Test("Halves round to even, what is too large saturates or becomes infinite")
    func rounding() throws {
        let numbers = try Tensor([1.0625, 1.1875, 1e6, -1e6] as [Float])
        let narrow = try Self.cast(numbers, to: .float8E4M3FN)
        #expect(
            try Self.cast(narrow, to: .float32).elements(as: Float.self) == [1, 1.25, 448, -448])
        let open = try Self.cast(numbers, to: .float8E5M2, saturate: 0)
        #expect(
            try Self.cast(open, to: .float32).elements(as: Float.self)
                == [1, 1.25, .infinity, -.infinity])
    }

    @Test("Packed numbers keep their order and their low bits")
    func packing() throws {
        let numbers = try Tensor([1, -2, 7, 9, -8] as [Int8])
        let packed = try Self.cast(numbers, to: .int4)
        #expect(unsafe packed.bytes.map { $0 } == [0xE1, 0x97, 0x08])
        #expect(try Self.cast(packed, to: .int32).elements(as: Int32.self) == [1, -2, 7, -7, -8])
        let tiny = try Self.cast(numbers, to: .uint2)
        #expect(try Self.cast(tiny, to: .uint8).elements(as: UInt8.self) == [1, 2, 3, 1, 0])
    }
}
