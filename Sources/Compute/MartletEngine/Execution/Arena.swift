// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// One context's working memory, as large as its largest plan so far.
@safe struct Arena: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var byteCount: Int

    init() {
        unsafe base = .allocate(byteCount: 64, alignment: 64)
        byteCount = 64
    }

    deinit { unsafe base.deallocate() }

    /// Makes room for `needed` bytes; what was there is lost.
    mutating func grow(to needed: Int) throws {
        guard needed > byteCount else { return }
        let huge = 2 << 20
        let alignment = needed >= huge ? huge : 64
        var address: UnsafeMutableRawPointer?
        guard unsafe posix_memalign(&address, alignment, needed) == 0, let address = unsafe address
        else {
            throw EngineError(.limitExceeded, "cannot allocate an arena of \(needed) bytes")
        }
        // Large pages save address translations; a kernel without them ignores the advice.
        if needed >= huge { unsafe madvise(address, needed, MADV_HUGEPAGE) }
        unsafe base.deallocate()
        unsafe base = address
        byteCount = needed
    }
}
