// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletONNXRuntime
package import MartletBase
internal import MartletEngine
package import MartletTensor

/// Runs a session: the library reads inputs where they lie, and writes outputs into this context's
/// memory wherever their sizes follow from the inputs' before the run.
@safe package final class ONNXRuntimeContext: ExecutionContext {
    private let session: ONNXRuntimeSession
    private let library: ONNXRuntimeLibrary
    private var options: RunOptions
    private var inputs: [RuntimeValue] = []
    private var outputs: [BoundOutput] = []
    private var pool = OutputPool()
    private let sizes: OutputSizes
    /// Whether outputs' sizes have been what the model states so far.
    private var believesSizes = true

    init(session: ONNXRuntimeSession) throws(EngineError) {
        self.session = session
        library = session.library
        options = try RunOptions(session.library)
        sizes = OutputSizes(session.signature)
    }

    /// Where the library reads an input of the last run.
    package func inputAddress(_ index: Int) -> UnsafeRawPointer? {
        guard index < inputs.count else { return nil }
        return unsafe UnsafeRawPointer(try? inputs[index].data())
    }

    package func run(
        _ tensors: [Tensor], outputs results: inout [Tensor], cancellation: Cancellation?
    ) throws {
        try session.signature.check(tensors)
        if cancellation?.isCancelled == true { throw ONNXRuntimeContext.cancelled() }
        try bindInputs(tensors)
        let known = believesSizes ? sizes.shapes(tensors) : []
        try bindOutputs(known)
        do throws(EngineError) {
            try call(cancellation)
        } catch {
            guard outputs.contains(where: { $0.storage != nil }) else { throw error }
            if cancellation?.isCancelled == true { throw error }
            // A model may state sizes that are not so. Ask it once what it makes.
            try bindOutputs([])
            try call(cancellation)
            believesSizes = false
        }
        try deliver(into: &results)
    }

    // MARK: Binding

    private func bindInputs(_ tensors: [Tensor]) throws(EngineError) {
        inputs.removeAll(keepingCapacity: true)
        for (spec, tensor) in zip(session.signature.inputs, tensors) {
            inputs.append(
                tensor.elementType == .bytes
                    ? try RuntimeValue(library, texts: tensor, name: spec.name)
                    : try RuntimeValue(library, viewing: tensor.alignedForKernels()))
        }
    }

    private func bindOutputs(_ known: [Shape?]) throws(EngineError) {
        outputs.removeAll(keepingCapacity: true)
        for (index, spec) in session.signature.outputs.enumerated() {
            guard index < known.count, let shape = known[index],
                let count = shape.elementCountChecked,
                let byteCount = spec.elementType.byteCount(elements: count),
                byteCount <= session.memoryBytesMax
            else {
                outputs.append(BoundOutput())
                continue
            }
            let tensor: Tensor
            do throws(TensorError) {
                tensor = try Tensor(
                    elementType: spec.elementType, shape: shape,
                    storage: try pool.take(byteCount: byteCount))
            } catch {
                throw EngineError(
                    error.code == .noMemory ? .limitExceeded : .internal, error.message,
                    cause: error)
            }
            outputs.append(
                BoundOutput(
                    storage: tensor, value: try RuntimeValue(library, viewing: tensor)))
        }
    }

    // MARK: Running

    private func call(_ cancellation: Cancellation?) throws(EngineError) {
        let running = session.current()
        let options = options
        let registration = cancellation.map { cancellation in
            cancellation.register { options.terminate() }
        }
        // Cancelled between the check above and here: nothing would end the run.
        if let registration, registration == nil { throw ONNXRuntimeContext.cancelled() }
        defer {
            if let cancellation, case let registration?? = registration {
                cancellation.forget(registration)
            }
        }
        let given: [UnsafeRawPointer?] = unsafe inputs.map { unsafe UnsafeRawPointer($0.address) }
        var made = unsafe [UnsafeMutableRawPointer?](repeating: nil, count: outputs.count)
        for index in outputs.indices {
            if let value = outputs[index].value { unsafe made[index] = value.address }
        }
        let names = session.names
        let count = outputs.count
        defer {
            for index in outputs.indices where outputs[index].value == nil {
                if let address = unsafe made[index] {
                    outputs[index].value = unsafe RuntimeValue(library, owning: address)
                }
            }
        }
        do throws(EngineError) {
            try unsafe library.call("run") { table in
                unsafe given.withUnsafeBufferPointer { given in
                    unsafe made.withUnsafeMutableBufferPointer { made in
                        unsafe martlet_ort_run(
                            table, running.address, options.address, names.inputs,
                            given.baseAddress, given.count, names.outputs, count,
                            made.baseAddress)
                    }
                }
            }
        } catch {
            guard let cancellation, cancellation.isCancelled else { throw error }
            // These options end every run from now on, perhaps a moment from now.
            self.options = try RunOptions(library)
            throw ONNXRuntimeContext.cancelled()
        }
        if let cancellation, cancellation.isCancelled { self.options = try RunOptions(library) }
    }

    private func deliver(into results: inout [Tensor]) throws(EngineError) {
        results.removeAll(keepingCapacity: true)
        for (spec, output) in zip(session.signature.outputs, outputs) {
            if let tensor = output.storage {
                results.append(tensor)
            } else if let value = output.value {
                results.append(try value.tensor(name: spec.name))
            } else {
                throw EngineError(.internal, "output '\(spec.name)' was not made")
            }
        }
        outputs.removeAll(keepingCapacity: true)
    }

    private static func cancelled() -> EngineError {
        EngineError(.cancelled, "the run was cancelled")
    }
}

/// An output of the run that is being prepared.
private struct BoundOutput {
    /// The caller's tensor; nil where the library makes the value.
    var storage: Tensor?
    var value: RuntimeValue?
}

/// A run's options, shared with whoever may end it.
// Sendable: the library allows to end a run from any thread.
@safe private final class RunOptions: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    private let library: ONNXRuntimeLibrary

    init(_ library: ONNXRuntimeLibrary) throws(EngineError) {
        var made: UnsafeMutableRawPointer?
        try unsafe library.call("prepare a run") { unsafe martlet_ort_run_options($0, &made) }
        guard let made = unsafe made else {
            throw EngineError(.internal, "ONNX Runtime gave no run options")
        }
        unsafe address = made
        self.library = library
    }

    deinit { unsafe library.withTable { unsafe martlet_ort_run_options_release($0, address) } }

    func terminate() {
        // Nothing can be done about a refusal: the run then ends by itself.
        try? unsafe library.call("end a run") { unsafe martlet_ort_run_terminate($0, address) }
    }
}

extension Tensor {
    /// The tensor itself, or a copy where its elements do not begin at a multiple of their size.
    fileprivate func alignedForKernels() -> Tensor {
        let alignment = UInt(max(1, (elementType.bitWidth ?? 8) / 8))
        let address = unsafe UInt(bitPattern: storage.base) &+ UInt(byteOffset)
        if address % alignment == 0 { return self }
        let copy = TensorStorage(byteCount: byteCount)
        unsafe copy.mutableBytes.copyMemory(from: bytes)
        return (try? Tensor(elementType: elementType, shape: shape, storage: copy)) ?? self
    }
}
