// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Runs blocking work on a thread of its own, because kernels must never hold a thread of Swift's
/// cooperative pool.
enum OwnThread {
    /// Runs `body` and returns or throws what it does.
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try NativeThread.start(name: "martlet-command") {
                    continuation.resume(with: Result(catching: body))
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
