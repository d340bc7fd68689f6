// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import Testing

@Suite("NPY header")
struct NPYHeaderTests {
    private func parse(_ bytes: [UInt8]) -> Result<NPYHeader, FormatError> {
        Result { () throws(FormatError) in try NPYHeader(parsing: ByteRegion(copying: bytes)) }
    }

    @Test("what is written is read back", arguments: [[], [3], [2, 3, 4], [0, 7]])
    func roundTrip(shape: [Int]) throws {
        let bytes = NPYHeader(typeCode: "f4", shape: shape).serialized()
        #expect(bytes.count % 64 == 0)
        let header = try parse(bytes).get()
        #expect(header == NPYHeader(typeCode: "f4", shape: shape, dataOffset: bytes.count))
    }

    @Test("NumPy's own header is read")
    func numpy() throws {
        let text = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }          \n"
        let prefix: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(text.count), 0]
        let header = try parse(prefix + Array(text.utf8)).get()
        #expect(header.typeCode == "i8")
        #expect(header.shape == [2, 3])
    }

    @Test(
        "what cannot be read is named",
        arguments: [
            ("'descr': '>f4', 'fortran_order': False, 'shape': (1,)", "little-endian"),
            ("'descr': '<f4', 'fortran_order': True, 'shape': (1,)", "Fortran"),
            ("'descr': '<f4', 'shape': (1,)", "fortran_order"),
            ("'descr': '<f4', 'fortran_order': False, 'shape': (-1,)", "shape"),
            ("'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)", "shape"),
            ("'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)", "descr"),
        ])
    func refused(header: String, reason: String) throws {
        let prefix: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(header.count), 0]
        guard case .failure(let error) = parse(prefix + Array(header.utf8)) else {
            Issue.record("it was accepted")
            return
        }
        #expect(error.message.contains(reason))
    }

    @Test("every cut of a header is an error, not a crash")
    func truncated() {
        let bytes = NPYHeader(typeCode: "f4", shape: [2, 3]).serialized()
        for count in 0..<bytes.count {
            guard case .failure = parse(Array(bytes[..<count])) else {
                Issue.record("\(count) bytes were accepted")
                continue
            }
        }
    }
}
