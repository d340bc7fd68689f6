// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// A model's configuration: the subset of Triton's `ModelConfig` that Martlet honours, with
/// Martlet's defaults filled in. Written by config.pbtxt, martlet.yaml or derived from the model.
///
/// Field numbers for the gRPC form stand beside each property's name in the protocol's own
/// message; both doors encode this value and never look at a file.
public struct ModelConfiguration: Sendable, Hashable {
    public var name: String
    /// As written ("onnxruntime_onnx", "ensemble"); "martlet" when nothing was written.
    public var platform: String = ""
    /// As written ("onnxruntime"); "martlet" when nothing was written.
    public var backend: String = ""
    public var versionPolicy: VersionPolicy = .latest(1)
    /// Most rows of one execution; 0 when the model has no batch dimension.
    public var maxBatchSize: Int = 0
    public var inputs: [Input] = []
    public var outputs: [Output] = []
    public var instanceGroups: [InstanceGroup] = []
    /// Empty means "model.onnx".
    public var defaultModelFilename: String = ""
    /// Nil: requests run one by one, each as it came.
    public var dynamicBatching: DynamicBatching?
    public var parameters: [String: String] = [:]
    /// Set for an ensemble, which has no file of its own.
    public var ensemble: Ensemble?
    public var warmups: [Warmup] = []
    /// Stages before and after the model; from `parameters` or from martlet.yaml.
    public var pipeline = PipelineConfiguration()

    /// Whether `maxBatchSize` was written down, a written 0 included.
    package var statesMaxBatchSize = false

    public init(name: String) {
        self.name = name
    }

    /// How many instances run this model, over all groups; at least one.
    public var instanceCount: Int {
        max(1, instanceGroups.reduce(0) { $0 + $1.count })
    }
}

extension ModelConfiguration {
    /// Which of the versions in the folder are served.
    public enum VersionPolicy: Sendable, Hashable {
        case latest(Int)
        case all
        case specific([Int64])
    }

    /// One input. Dimensions exclude the batch when `maxBatchSize` is above 0; -1 varies.
    public struct Input: Sendable, Hashable {
        public enum Format: Int, Sendable, Hashable {
            case none = 0
            case nhwc = 1
            case nchw = 2
        }

        public var name: String
        public var elementType: ElementType
        public var dimensions: [Int]
        public var format = Format.none
        /// The shape the model itself expects for `dimensions`; nil when they are the same.
        public var reshape: [Int]?
        public var isOptional = false

        public init(name: String, elementType: ElementType, dimensions: [Int]) {
            self.name = name
            self.elementType = elementType
            self.dimensions = dimensions
        }
    }

    /// One output. Dimensions exclude the batch when `maxBatchSize` is above 0; -1 varies.
    public struct Output: Sendable, Hashable {
        public var name: String
        public var elementType: ElementType
        public var dimensions: [Int]
        /// The shape the model itself answers for `dimensions`; nil when they are the same.
        public var reshape: [Int]?
        /// A file beside config.pbtxt with one label a line; empty for none.
        public var labelFilename = ""

        public init(name: String, elementType: ElementType, dimensions: [Int]) {
            self.name = name
            self.elementType = elementType
            self.dimensions = dimensions
        }
    }

    /// Copies of the model that run side by side.
    public struct InstanceGroup: Sendable, Hashable {
        public enum Kind: Int, Sendable, Hashable {
            case auto = 0
            case gpu = 1
            case cpu = 2
            case model = 3
        }

        public var name: String
        public var count: Int
        public var kind: Kind

        public init(name: String = "", count: Int = 1, kind: Kind = .cpu) {
            self.name = name
            self.count = count
            self.kind = kind
        }
    }

    /// When waiting requests are put together, and in what order they are taken.
    public struct DynamicBatching: Sendable, Hashable {
        public var preferredBatchSizes: [Int] = []
        public var maxQueueDelayMicroseconds: UInt64 = 0
        public var preservesOrdering = false
        /// 0: no priorities.
        public var priorityLevels: UInt64 = 0
        public var defaultPriorityLevel: UInt64 = 0
        public var defaultQueuePolicy = QueuePolicy()
        public var priorityQueuePolicies: [UInt64: QueuePolicy] = [:]

        public init() {}
    }

    /// What a queue admits and for how long a request may wait in it.
    public struct QueuePolicy: Sendable, Hashable {
        public enum TimeoutAction: Int, Sendable, Hashable {
            case reject = 0
            case delay = 1
        }

        /// Triton's default is no bound; ours is this.
        public static let defaultQueueSizeMax = 1024

        public var timeoutAction = TimeoutAction.reject
        /// 0: none.
        public var defaultTimeoutMicroseconds: UInt64 = 0
        public var allowsTimeoutOverride = false
        /// Requests that may wait. A written 0 becomes `defaultQueueSizeMax`: no queue is endless.
        public var queueSizeMax = QueuePolicy.defaultQueueSizeMax

        public init() {}
    }

    /// Requests that run before a version counts as ready.
    public struct Warmup: Sendable, Hashable {
        public enum Data: Sendable, Hashable {
            case zero
            case random
            /// A file in the model's `warmup` folder with the tensor's raw bytes.
            case file(String)
        }

        public struct Input: Sendable, Hashable {
            public var elementType: ElementType
            public var dimensions: [Int]
            public var data: Data

            public init(elementType: ElementType, dimensions: [Int], data: Data) {
                self.elementType = elementType
                self.dimensions = dimensions
                self.data = data
            }
        }

        public var name: String
        public var batchSize: Int
        public var count: Int
        public var inputs: [String: Input]

        public init(name: String, batchSize: Int, count: Int = 1, inputs: [String: Input]) {
            self.name = name
            self.batchSize = batchSize
            self.count = count
            self.inputs = inputs
        }
    }

    /// Models joined by named tensors.
    public struct Ensemble: Sendable, Hashable {
        public struct Step: Sendable, Hashable {
            public var modelName: String
            /// -1 takes the version that the model's policy gives.
            public var modelVersion: Int64
            /// The model's input name → the ensemble's tensor name.
            public var inputMap: [String: String]
            /// The model's output name → the ensemble's tensor name.
            public var outputMap: [String: String]

            public init(
                modelName: String, modelVersion: Int64 = -1, inputMap: [String: String],
                outputMap: [String: String]
            ) {
                self.modelName = modelName
                self.modelVersion = modelVersion
                self.inputMap = inputMap
                self.outputMap = outputMap
            }
        }

        public var steps: [Step]
        /// Requests of one step that may run at a time; 0 takes Martlet's default bound.
        public var inflightRequestsMax: Int

        public init(steps: [Step], inflightRequestsMax: Int = 0) {
            self.steps = steps
            self.inflightRequestsMax = inflightRequestsMax
        }
    }
}

extension ElementType {
    /// The name in config.pbtxt and in the configuration's JSON form ("TYPE_FP32").
    public var configurationName: String {
        switch self {
        case .bytes: "TYPE_STRING"
        default: protocolName.map { "TYPE_\($0)" } ?? "TYPE_INVALID"
        }
    }

    /// The number in the protocol's `DataType`; 0 where it has none.
    public var configurationNumber: Int {
        switch self {
        case .bool: 1
        case .uint8: 2
        case .uint16: 3
        case .uint32: 4
        case .uint64: 5
        case .int8: 6
        case .int16: 7
        case .int32: 8
        case .int64: 9
        case .float16: 10
        case .float32: 11
        case .float64: 12
        case .bytes: 13
        case .bfloat16: 14
        default: 0
        }
    }

    /// The type that config.pbtxt calls `name`, or that has this number; nil for none.
    public init?(configurationName name: String) {
        if name == "TYPE_STRING" {
            self = .bytes
            return
        }
        guard name.hasPrefix("TYPE_"), name != "TYPE_BYTES" else { return nil }
        self.init(protocolName: String(name.dropFirst("TYPE_".count)))
    }
}
