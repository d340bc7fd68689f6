// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletGraph
public import MartletTensor

/// What loads models: native, ONNX Runtime, a test twin. Seam 1 of the house.
public protocol Engine: Sendable {
    /// "native", "onnxruntime", …
    var name: String { get }

    /// Checks, compiles and prepares a model. Blocks for as long as that takes: call it off the
    /// cooperative pool.
    /// - Throws: `EngineError`, naming everything that is unsupported at once.
    func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession
}

/// Where a model comes from.
public enum ModelSource: Sendable {
    /// A `.onnx` file; external data is looked for beside it.
    case onnxFile(path: String)
    /// A graph built in memory, as encoders and language models are.
    case graph(Graph)
}

/// How products with constant weights are computed; everything else is f32.
public enum EnginePrecision: String, Sendable, CaseIterable, BitwiseCopyable {
    case float32 = "f32"
    /// Weights and the values they meet rounded to bf16, sums in f32: half the memory, and on
    /// machines with bf16 instructions up to twice the speed. Relative error about 2^-8 a value.
    case bfloat16 = "bf16"
    /// Weights as int8 with a scale per output, the values they meet quantised row by row at run
    /// time: a quarter of the memory, up to four times the speed. Measure the model's accuracy.
    case int8
    /// For each product the narrowest that keeps the model's answers inside a bound, measured
    /// when the model is loaded (`EngineOptions.calibrate`).
    case automatic = "auto"
}

/// Which engine a model runs on.
public enum EngineChoice: String, Sendable, CaseIterable, BitwiseCopyable {
    case native
    case onnxRuntime = "onnxruntime"
    /// Native, or ONNX Runtime for a model that the native engine does not support.
    case automatic = "auto"
}

/// How to prepare a model.
public struct EngineOptions: Sendable {
    /// The most bytes that weights, arenas and packed copies may take; more is an error.
    public var memoryBytesMax: Int
    /// Threads that one run may use, the caller's included; nil is the process-wide pool's size.
    public var threads: Int?
    /// Passes to leave out, by name; for measuring and for debugging.
    public var disabledPasses: Set<String>
    /// The most times that one run may go through loops' bodies, all loops together.
    public var iterationsMax: Int
    public var precision: EnginePrecision
    /// Gives what an automatic choice of precisions is measured with; nil takes made-up inputs.
    public var calibrate: (@Sendable (ModelSource, ModelSignature) throws -> PrecisionCalibration)?
    /// The engine that the model asks for; nil leaves it to who loads.
    public var engine: EngineChoice?
    /// Where compiled models are kept between processes; nil keeps none.
    public var planCache: PlanCacheOptions?
    /// Tells apart what is packed of one model's files in different ways.
    package var weightForm = ""
    /// Is told what deserves a line in the log: a stored plan that was refused, with the reason.
    public var note: (@Sendable (String) -> Void)?

    public init(
        memoryBytesMax: Int = 16 << 30, threads: Int? = nil, disabledPasses: Set<String> = [],
        iterationsMax: Int = 10_000_000, precision: EnginePrecision = .float32,
        engine: EngineChoice? = nil, planCache: PlanCacheOptions? = nil,
        note: (@Sendable (String) -> Void)? = nil
    ) {
        self.note = note
        self.planCache = planCache
        self.engine = engine
        self.iterationsMax = iterationsMax
        self.memoryBytesMax = memoryBytesMax
        self.threads = threads
        self.disabledPasses = disabledPasses
        self.precision = precision
    }
}

/// One input or output of a model. Dimensions that vary are -1.
public struct TensorSpec: Sendable, Hashable {
    public var name: String
    public var elementType: ElementType
    public var dimensions: [Int]
    /// The names of varying dimensions ("batch", "sequence"), by axis; nil where unnamed or fixed.
    public var dimensionNames: [String?]
    /// Whether it is a tensor; otherwise type and dimensions are those of the tensors inside.
    public var container: ValueContainer
    /// Whether `dimensions` says how many there are; an output's number may follow from the data.
    public var isRankKnown: Bool

    public init(
        name: String, elementType: ElementType, dimensions: [Int],
        dimensionNames: [String?]? = nil, container: ValueContainer = .tensor,
        isRankKnown: Bool = true
    ) {
        self.container = container
        self.isRankKnown = isRankKnown
        self.name = name
        self.elementType = elementType
        self.dimensions = dimensions
        self.dimensionNames = dimensionNames ?? Array(repeating: nil, count: dimensions.count)
    }
}

/// A model's inputs and outputs, in order.
public struct ModelSignature: Sendable, Hashable {
    public var inputs: [TensorSpec]
    public var outputs: [TensorSpec]

    public init(inputs: [TensorSpec], outputs: [TensorSpec]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A loaded model: immutable, shared by every context that runs it.
public protocol EngineSession: AnyObject, Sendable {
    var signature: ModelSignature { get }
    /// Bytes held for weights (mapped ones included) and per context for arenas, as far as known.
    var memoryBytes: Int { get }

    /// Makes what one run at a time needs (arenas, plans): one per model instance.
    func makeContext() throws -> any ExecutionContext
}

/// Runs a model, one run at a time, from any one thread at a time; never the cooperative pool.
public protocol ExecutionContext: AnyObject {
    /// Computes the outputs for `inputs`, both in the signature's order.
    ///
    /// `outputs` is replaced by tensors that stay valid for as long as they are held; their
    /// storage comes from the session's pool and goes back when the last reference is dropped, so
    /// a caller that reuses its array and drops what it has sent causes no allocation.
    /// - Throws: `EngineError`: a wrong type or shape, a limit passed, or `.cancelled` when
    ///   `cancellation` was set (checked between steps).
    func run(_ inputs: [Tensor], outputs: inout [Tensor], cancellation: Cancellation?) throws

    /// Computes the outputs of a model that may take or give sequences and absent values.
    func run(
        values: [EngineValue], outputs: inout [EngineValue], cancellation: Cancellation?) throws
}

/// Why a model could not be loaded or run.
public struct EngineError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value {
            case invalidModel, unsupported, invalidInput, limitExceeded, cancelled, `internal`
        }
        private let value: Value
        public static let invalidModel = Code(value: .invalidModel)
        public static let unsupported = Code(value: .unsupported)
        public static let invalidInput = Code(value: .invalidInput)
        public static let limitExceeded = Code(value: .limitExceeded)
        public static let cancelled = Code(value: .cancelled)
        public static let `internal` = Code(value: .internal)
    }

    public let code: Code
    public let message: String
    public let cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }
}
