// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Of boxes that overlap too much, only the one with the best score stays.
    ///
    /// Quadratic in the boxes kept; looks for cancellation with every box kept.
    static let nonMaxSuppression = NativeOperator(.nonMaxSuppression) { call in
        let boxes = try call.tensor(0)
        let scores = try call.tensor(1)
        guard boxes.shape.rank == 3, boxes.shape[2] == 4, scores.shape.rank == 3,
            scores.shape[0] == boxes.shape[0], scores.shape[2] == boxes.shape[1]
        else {
            throw call.failure(
                "expected boxes [b, n, 4] and scores [b, c, n], got \(boxes.shape) and "
                    + "\(scores.shape)", .invalidInput)
        }
        let corners = try call.corners(boxes)
        let values = try scores.elements(as: Float.self)
        let countMax = call.optional(2) == nil ? 0 : Swift.max(0, try call.integer(2))
        let overlapMax = try call.number(3) ?? 0
        let scoreMin = try call.number(4)
        let count = boxes.shape[1]
        var chosen: [Int64] = []
        for image in 0..<(count == 0 ? 0 : boxes.shape[0]) {
            for kind in 0..<scores.shape[1] {
                let first = (image * scores.shape[1] + kind) * count
                var candidates: [(box: Int, score: Float)] = []
                for box in 0..<count {
                    let score = values[first + box]
                    if scoreMin.map({ score > $0 }) ?? true { candidates.append((box, score)) }
                }
                candidates.sort { $0.score != $1.score ? $0.score > $1.score : $0.box < $1.box }
                var kept: [Int] = []
                for candidate in candidates where kept.count < countMax {
                    let corner = corners[image * count + candidate.box]
                    let overlaps = kept.contains {
                        corner.overlap(corners[image * count + $0]) > overlapMax
                    }
                    if overlaps { continue }
                    try call.state.checkCancellation()
                    kept.append(candidate.box)
                    chosen += [Int64(image), Int64(kind), Int64(candidate.box)]
                }
                try call.reserve(bytes: kept.count * 24)
            }
        }
        call.set(0, try Tensor(chosen, shape: [chosen.count / 3, 3]))
    }
}

/// A box from its lowest to its highest corner.
private struct Corners {
    var top: Float
    var left: Float
    var bottom: Float
    var right: Float

    /// The common area's share of the area of both.
    func overlap(_ other: Corners) -> Float {
        let height = min(bottom, other.bottom) - max(top, other.top)
        let width = min(right, other.right) - max(left, other.left)
        guard height > 0, width > 0 else { return 0 }
        let common = height * width
        let both = area + other.area - common
        return both > 0 ? common / both : 0
    }

    var area: Float { (bottom - top) * (right - left) }
}

extension HostCall {
    fileprivate func corners(_ boxes: Tensor) throws -> [Corners] {
        let numbers = try boxes.elements(as: Float.self)
        let isCentred = int("center_point_box") != 0
        return stride(from: 0, to: numbers.count, by: 4).map { start in
            let first = numbers[start]
            let second = numbers[start + 1]
            let third = numbers[start + 2]
            let fourth = numbers[start + 3]
            if isCentred {
                return Corners(
                    top: second - fourth / 2, left: first - third / 2, bottom: second + fourth / 2,
                    right: first + third / 2)
            }
            return Corners(
                top: min(first, third), left: min(second, fourth), bottom: max(first, third),
                right: max(second, fourth))
        }
    }

    fileprivate func number(_ index: Int) throws -> Float? {
        guard let tensor = try optionalTensor(index) else { return nil }
        guard let number = try tensor.elements(as: Float.self).first else { return nil }
        return number
    }
}
