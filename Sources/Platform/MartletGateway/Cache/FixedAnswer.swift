// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a model answers when nobody can.
package struct FixedAnswer: Sendable, Hashable {
    package var status = 200
    package var contentType = "application/json"
    package var body: [UInt8] = []

    package init() {}
}
