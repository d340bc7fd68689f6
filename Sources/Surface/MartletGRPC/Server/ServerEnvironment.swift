// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase

/// What all connections of a server share.
struct ServerEnvironment: Sendable {
    let service: any GRPCService
    let limits: GRPCServer.Limits
    let time: any TimeSource
    let logger: Logger
    let budget: ByteBudget
    let tracing: StreamTracing
}
