// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Where called rules return to, as numbers: equal stacks have equal numbers, and one more return
/// is one more entry whatever is below it.
// Sendable: a format's walk and its answers' positions share one, and touch it under its lock only.
final class PlaceStacks: @unchecked Sendable {
    private struct Key: Hashable {
        var below: Int32
        var back: Int32
    }

    /// No returns.
    static let empty: Int32 = 0
    private var below: [Int32] = [0]
    private var back: [Int32] = [0]
    private var depths: [Int32] = [0]
    private var numbers: [Key: Int32] = [:]

    var count: Int { below.count }

    func depth(_ stack: Int32) -> Int { Int(depths[Int(stack)]) }

    /// The innermost return, and what is below it.
    func top(_ stack: Int32) -> (back: Int32, below: Int32) {
        (back[Int(stack)], below[Int(stack)])
    }

    func push(_ state: Int32, on stack: Int32) -> Int32 {
        let key = Key(below: stack, back: state)
        if let known = numbers[key] { return known }
        let number = Int32(below.count)
        below.append(stack)
        back.append(state)
        depths.append(depths[Int(stack)] + 1)
        numbers[key] = number
        return number
    }

    /// The number here of a stack that has another number elsewhere. Cost: its depth, once.
    func adopt(_ stack: Int32, from other: PlaceStacks, _ known: inout [Int32: Int32]) -> Int32 {
        var path: [Int32] = []
        var here = stack
        while here != PlaceStacks.empty, known[here] == nil {
            path.append(here)
            here = other.below[Int(here)]
        }
        var result = here == PlaceStacks.empty ? PlaceStacks.empty : known[here] ?? 0
        while let next = path.popLast() {
            result = push(other.back[Int(next)], on: result)
            known[next] = result
        }
        return result
    }
}
