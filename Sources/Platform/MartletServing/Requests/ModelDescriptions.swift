// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletEngine

/// What the server says of itself.
public struct ServerMetadata: Sendable, Hashable {
    public var name: String
    public var version: String
    /// Names of the protocol's extensions that are served.
    public var extensions: [String]

    public init(name: String, version: String, extensions: [String]) {
        self.name = name
        self.version = version
        self.extensions = extensions
    }
}

/// A loaded model in a list.
public struct ModelSummary: Sendable, Hashable {
    /// What a model answers besides plain inference.
    public struct Capabilities: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let embedding = Capabilities(rawValue: 1)
        public static let reranking = Capabilities(rawValue: 2)
        public static let generation = Capabilities(rawValue: 4)
    }

    public var name: String
    public var versions: [String]
    public var capabilities: Capabilities
    /// When the version now served was loaded, in seconds since the epoch.
    public var createdSeconds: Int64
    /// The model that an adapter belongs to; nil for models.
    public var parent: String?
    /// The model that this is a further name of; nil for models.
    public var standsFor: String?

    public init(
        name: String, versions: [String], capabilities: Capabilities, createdSeconds: Int64
    ) {
        self.name = name
        self.versions = versions
        self.capabilities = capabilities
        self.createdSeconds = createdSeconds
    }
}

/// What the metadata routes say of a model. Shapes include the batch dimension, as -1.
public struct ModelMetadata: Sendable {
    public var name: String
    public var versions: [String]
    /// "onnxruntime_onnx" style platform of the configuration, or "martlet" for our own formats.
    public var platform: String
    public var inputs: [TensorSpec]
    public var outputs: [TensorSpec]

    public init(
        name: String, versions: [String], platform: String, inputs: [TensorSpec],
        outputs: [TensorSpec]
    ) {
        self.name = name
        self.versions = versions
        self.platform = platform
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// One line of the repository index.
public struct RepositoryEntry: Sendable, Hashable {
    public enum State: String, Sendable {
        case unknown = "UNKNOWN"
        case ready = "READY"
        case unavailable = "UNAVAILABLE"
        case loading = "LOADING"
        case unloading = "UNLOADING"
    }

    public var name: String
    public var version: String
    public var state: State
    public var reason: String

    public init(name: String, version: String, state: State, reason: String = "") {
        self.name = name
        self.version = version
        self.state = state
        self.reason = reason
    }
}

/// A count of events and the nanoseconds they took together.
public struct DurationTotal: Sendable, Hashable {
    public var count: UInt64 = 0
    public var nanoseconds: UInt64 = 0

    public init() {}

    public mutating func add(_ nanoseconds: Int64) {
        count &+= 1
        self.nanoseconds &+= UInt64(max(0, nanoseconds))
    }
}

/// A model version's counters, in the terms of the protocol's statistics extension.
public struct ModelStatistics: Sendable {
    public struct Batch: Sendable {
        public var batchSize: Int
        public var computeInput = DurationTotal()
        public var computeInfer = DurationTotal()
        public var computeOutput = DurationTotal()

        public init(batchSize: Int) {
            self.batchSize = batchSize
        }
    }

    public var name: String
    public var version: String
    /// Milliseconds since the epoch; 0 before the first.
    public var lastInferenceMilliseconds: UInt64 = 0
    public var inferenceCount: UInt64 = 0
    public var executionCount: UInt64 = 0
    public var success = DurationTotal()
    public var fail = DurationTotal()
    public var queue = DurationTotal()
    public var computeInput = DurationTotal()
    public var computeInfer = DurationTotal()
    public var computeOutput = DurationTotal()
    public var batches: [Batch] = []
    public var memoryBytes: UInt64 = 0

    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}
