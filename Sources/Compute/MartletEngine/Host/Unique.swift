// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Distinct elements, or slices along `axis`, sorted unless `sorted` is 0, when they come as
    /// first met.
    static let unique = NativeOperator(.unique) { call in
        var tensor = try call.tensor(0)
        var axis = 0
        if let stated = call.attributes["axis"]?.int {
            axis = try call.axis(stated, rank: tensor.shape.rank)
        } else {
            tensor = try tensor.reshaped(to: [tensor.elementCount])
        }
        let groups = try call.groups(
            tensor, axis: axis, isSorted: call.int("sorted", default: 1) != 0)
        call.set(0, try call.slices(tensor, axis: axis, groups.first))
        let outputs = [groups.first, groups.groupOf, groups.counts]
        for (index, numbers) in outputs.enumerated() where call.wants(index + 1) {
            call.set(index + 1, try Tensor(numbers.map { Int64($0) }))
        }
    }
}

/// Equal slices, group by group.
private struct SliceGroups {
    /// For each group, its first slice.
    var first: [Int] = []
    /// For each slice, its group.
    var groupOf: [Int] = []
    var counts: [Int] = []
}

extension HostCall {
    fileprivate func groups(
        _ tensor: Tensor, axis: Int, isSorted: Bool
    ) throws -> SliceGroups {
        let size = tensor.shape[axis]
        let inner = tensor.shape.dropFirst(axis + 1).reduce(1, &*)
        let outer = tensor.shape.prefix(axis).reduce(1, &*)
        try reserve(bytes: tensor.elementCount * 8)
        try reserve(size, each: 4 * MemoryLayout<Int>.stride)
        let keys = try orderKeys(tensor)
        /// The order of two slices: -1, 0, 1.
        func order(_ left: Int, _ right: Int) -> Int {
            for block in 0..<outer {
                let first = (block * size + left) * inner
                let second = (block * size + right) * inner
                for offset in 0..<inner where keys[first + offset] != keys[second + offset] {
                    return keys[first + offset] < keys[second + offset] ? -1 : 1
                }
            }
            return 0
        }
        let sorted = (0..<size).sorted {
            let order = order($0, $1)
            return order != 0 ? order < 0 : $0 < $1
        }
        var groups = SliceGroups()
        groups.groupOf = Array(repeating: 0, count: size)
        for slice in sorted {
            if let last = groups.first.last, order(last, slice) == 0 {
                groups.counts[groups.counts.count - 1] += 1
            } else {
                groups.first.append(slice)
                groups.counts.append(1)
            }
            groups.groupOf[slice] = groups.first.count - 1
        }
        return isSorted ? groups : groups.asMet()
    }

    /// Numbers that are ordered and equal as the elements are.
    private func orderKeys(_ tensor: Tensor) throws -> [UInt64] {
        func ordered(_ value: Double) -> UInt64 {
            let bits = (value == 0 ? 0 : value).bitPattern
            return bits >> 63 == 0 ? bits | 1 << 63 : ~bits
        }
        func ordered(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) ^ 1 << 63 }
        switch tensor.elementType {
        case .float32: return try tensor.elements(as: Float.self).map { ordered(Double($0)) }
        case .float64: return try tensor.elements(as: Double.self).map { ordered($0) }
        case .int8: return try tensor.elements(as: Int8.self).map { ordered(Int64($0)) }
        case .int16: return try tensor.elements(as: Int16.self).map { ordered(Int64($0)) }
        case .int32: return try tensor.elements(as: Int32.self).map { ordered(Int64($0)) }
        case .int64: return try tensor.elements(as: Int64.self).map { ordered($0) }
        case .uint8, .bool: return try tensor.elements(as: UInt8.self).map { UInt64($0) }
        case .uint16: return try tensor.elements(as: UInt16.self).map { UInt64($0) }
        case .uint32: return try tensor.elements(as: UInt32.self).map { UInt64($0) }
        case .uint64: return try tensor.elements(as: UInt64.self)
        case .float16:
            return tensor.halfPatterns.map { ordered(Double(Float16(bitPattern: $0))) }
        case .bfloat16:
            return tensor.halfPatterns.map {
                ordered(Double(Float(bitPattern: UInt32($0) << 16)))
            }
        default: throw failure("elements of type \(tensor.elementType.displayName)")
        }
    }
}

extension SliceGroups {
    /// The same groups in the order of their first slices.
    fileprivate func asMet() -> SliceGroups {
        let order = first.indices.sorted { first[$0] < first[$1] }
        var place = [Int](repeating: 0, count: order.count)
        for (new, old) in order.enumerated() { place[old] = new }
        return SliceGroups(
            first: order.map { first[$0] }, groupOf: groupOf.map { place[$0] },
            counts: order.map { counts[$0] })
    }
}
