// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletTensor

/// The memory that adapters' floats lie in, with the table that kernels read (its form:
/// MartletAdapters.h). Loading one costs a copy of its floats, however many there are.
final class AdapterSlab {
    let tensor: Tensor
    private let moduleCount: Int
    private let slotCount: Int
    private var slots: [Range<Int>?]
    /// Free stretches, ascending, never side by side.
    private var free: [Range<Int>]
    private static let fieldBytes = 4 * 8
    private static let alignment = 64

    init(slotCount: Int, moduleCount: Int, byteCount: Int) throws {
        self.slotCount = slotCount
        self.moduleCount = moduleCount
        let table = slotCount * moduleCount * AdapterSlab.fieldBytes
        let start =
            (table + AdapterSlab.alignment - 1) / AdapterSlab.alignment
            * AdapterSlab.alignment
        tensor = try Tensor(
            elementType: .uint8, shape: [start + byteCount],
            storage: TensorStorage(byteCount: start + byteCount))
        unsafe memset(tensor.storage.base, 0, start)
        slots = Array(repeating: nil, count: slotCount)
        free = [start..<start + byteCount]
    }

    /// - Returns: the adapter's number.
    func load(_ file: AdapterFile) throws(LanguageError) -> Int32 {
        guard let slot = slots.firstIndex(of: nil) else {
            throw LanguageError(.limitExceeded, "\(slotCount) adapters are loaded already")
        }
        let unit = AdapterSlab.alignment
        let needed = file.pairs.reduce(0) { sum, pair in
            sum + (pair.down.count * 4 + unit - 1) / unit * unit
                + (pair.up.count * 4 + unit - 1) / unit * unit
        }
        guard let place = free.firstIndex(where: { $0.count >= needed }) else {
            throw LanguageError(
                .limitExceeded,
                "the adapter takes \(needed) bytes, no stretch of that size is left for adapters")
        }
        let start = free[place].lowerBound
        free[place] = start + needed..<free[place].upperBound
        if free[place].isEmpty { free.remove(at: place) }
        slots[slot] = start..<start + needed
        var offset = start
        func write(_ values: [Float]) -> Int64 {
            defer { offset += (values.count * 4 + unit - 1) / unit * unit }
            unsafe values.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress {
                    unsafe memcpy(tensor.storage.base + offset, base, bytes.count)
                }
            }
            return Int64(offset)
        }
        for pair in file.pairs {
            let (down, up) = (write(pair.down), write(pair.up))
            setFields(slot, pair.module, [down, up, Int64(pair.rank), 0])
        }
        return Int32(slot)
    }

    /// Takes an adapter out; no step may use it any more.
    func unload(_ number: Int32) {
        let slot = Int(number)
        guard slots.indices.contains(slot), let range = slots[slot] else { return }
        slots[slot] = nil
        for module in 0..<moduleCount { setFields(slot, module, [0, 0, 0, 0]) }
        let place = free.firstIndex { $0.lowerBound > range.lowerBound } ?? free.endIndex
        free.insert(range, at: place)
        var joined: [Range<Int>] = []
        for stretch in free where !stretch.isEmpty {
            if let last = joined.last, last.upperBound == stretch.lowerBound {
                joined[joined.count - 1] = last.lowerBound..<stretch.upperBound
            } else {
                joined.append(stretch)
            }
        }
        free = joined
    }

    func isLoaded(_ number: Int32) -> Bool {
        slots.indices.contains(Int(number)) && slots[Int(number)] != nil
    }

    private func setFields(_ slot: Int, _ module: Int, _ fields: [Int64]) {
        let entry = (slot * moduleCount + module) * AdapterSlab.fieldBytes
        unsafe fields.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress {
                unsafe memcpy(tensor.storage.base + entry, base, bytes.count)
            }
        }
    }
}
