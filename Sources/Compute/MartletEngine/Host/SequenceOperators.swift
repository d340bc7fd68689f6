// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Identity of what is no tensor.
    static let passOn: HostOperator = { call in call.set(0, try call.value(0)) }
}
