// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A model's configuration: the subset of Triton's `ModelConfig` that Martlet honours, with
/// Martlet's defaults filled in. Written by config.pbtxt, martlet.yaml or derived from the model.
public struct ModelConfiguration: Sendable {
    public var name: String
    public var platform: String = ""
    public var backend: String = ""
    public var maxBatchSize: Int = 0

    public init(name: String) {
        self.name = name
    }
}
