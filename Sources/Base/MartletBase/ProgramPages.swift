// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletPlatform

/// The program's own pages in memory.
package enum ProgramPages {
    /// Hands back the code and constants that only start-up has used: a server's resident memory
    /// is then what serving touches. What is used again is mapped again from the file cache, at
    /// the cost of a page fault each; from the first call on page by page, and not with the 64 KiB
    /// around each, where the kernel lets userfaultfd say so (Linux 6.7).
    /// - Returns: bytes of code and constants that the program and its libraries have.
    @discardableResult
    package static func releaseCode() -> Int { martlet_release_code() }
}
