// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Places buffers with known lifetimes in one arena.
///
/// Greedy by size: the largest first, each at the lowest offset where it overlaps nothing that
/// lives at the same time (Pisarchyk, Lee: Efficient Memory Management for Deep Neural Net
/// Inference, 2020). Quadratic in the number of buffers in the worst case.
package struct ArenaPlanner {
    /// A buffer: its size and the first and last step that touch it.
    package struct Buffer {
        package var byteCount: Int
        package var firstStep: Int
        package var lastStep: Int

        package init(byteCount: Int, firstStep: Int, lastStep: Int) {
            self.byteCount = byteCount
            self.firstStep = firstStep
            self.lastStep = lastStep
        }
    }

    /// Offsets by buffer, and the arena's size.
    package struct Layout {
        package var offsets: [Int]
        package var byteCount: Int
    }

    static let alignment = 64

    /// - Returns: nil when the sizes overflow.
    package static func place(_ buffers: [Buffer]) -> Layout? {
        var layout = Layout(offsets: Array(repeating: 0, count: buffers.count), byteCount: 0)
        var sizes: [Int] = []
        sizes.reserveCapacity(buffers.count)
        for buffer in buffers {
            guard let size = aligned(buffer.byteCount) else { return nil }
            sizes.append(size)
        }
        let order = buffers.indices.filter { sizes[$0] > 0 }.sorted {
            sizes[$0] != sizes[$1] ? sizes[$0] > sizes[$1] : $0 < $1
        }
        // Placed buffers by rising offset, so that one walk finds the lowest gap.
        var placed: [Int] = []
        for index in order {
            let buffer = buffers[index]
            var offset = 0
            for other in placed {
                let otherBuffer = buffers[other]
                if otherBuffer.lastStep < buffer.firstStep
                    || otherBuffer.firstStep > buffer.lastStep
                {
                    continue
                }
                if layout.offsets[other] - offset >= sizes[index] { break }
                offset = max(offset, layout.offsets[other] + sizes[other])
            }
            let (end, overflow) = offset.addingReportingOverflow(sizes[index])
            if overflow { return nil }
            layout.offsets[index] = offset
            layout.byteCount = max(layout.byteCount, end)
            let position = placed.firstIndex { layout.offsets[$0] > offset } ?? placed.count
            placed.insert(index, at: position)
        }
        return layout
    }

    /// The size rounded up to the arena's alignment; nil on overflow.
    static func aligned(_ byteCount: Int) -> Int? {
        let (padded, overflow) = byteCount.addingReportingOverflow(alignment - 1)
        return overflow ? nil : padded & ~(alignment - 1)
    }
}
