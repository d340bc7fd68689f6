// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletEngine
internal import MartletTensor

/// Runs a decoder's graph on the engine, with a cache of its own.
///
/// Plans are made for capacities of rows (1, 12, 24, 48, …), so that a few serve every step; how
/// many rows there are is an input. In steady state a step allocates nothing.
package final class EngineDecoderRunner: DecoderRunner {
    package let shape: DecoderShape
    package let configuration: DecoderConfiguration
    package let session: any EngineSession
    private let context: any ExecutionContext
    private let options: DecoderOptions
    private let cache: Tensor
    private let adapters: AdapterSlab?
    private var buffers: [StepCapacity: StepBuffers] = [:]
    private var outputs: [Tensor] = []

    /// The most rows of one step, and of logits; larger ones are refused.
    package static let rowsMax = 12 << 12

    package init(_ model: DecoderModel, _ options: DecoderOptions) throws {
        configuration = model.configuration
        self.options = options
        let graph = try model.makeGraph(options)
        shape = try EngineDecoderRunner.shape(model, options)
        var engineOptions = EngineOptions(
            memoryBytesMax: options.memoryByteCountMax, threads: options.threads,
            planCache: options.planCache, note: options.note)
        engineOptions.weightForm = "decoder, \(options.precision.rawValue)"
        session = try NativeEngine().load(graph, from: model.files, options: engineOptions)
        context = try session.makeContext()
        cache = try EngineDecoderRunner.makeCache(configuration, shape, options)
        adapters =
            options.adaptersMax > 0
            ? try AdapterSlab(
                slotCount: options.adaptersMax, moduleCount: AdapterModule.count(configuration),
                byteCount: options.adapterByteCountMax) : nil
    }

    package func load(_ adapter: AdapterFile) throws(LanguageError) -> Int32 {
        guard let adapters else {
            throw LanguageError(.unsupported, "this model was not opened for adapters")
        }
        return try adapters.load(adapter)
    }

    package func unload(adapter: Int32) { adapters?.unload(adapter) }

    private static func shape(
        _ model: DecoderModel, _ options: DecoderOptions
    ) throws(LanguageError) -> DecoderShape {
        let configuration = model.configuration
        let length = DecoderOptions.blockLength
        let context = options.served(of: configuration.contextLength)
        guard context > 0, options.sequencesMax > 0 else {
            throw LanguageError(
                .invalidInput,
                "\(model.path): a context of \(context) positions, \(options.sequencesMax) sequences"
            )
        }
        let blockBytes = 2 * configuration.layerCount * options.blockByteCount(configuration)
        let (wanted, overflow) = ((context + length - 1) / length)
            .multipliedReportingOverflow(by: options.sequencesMax)
        let count = min(
            overflow ? Int.max : wanted, options.cacheByteCountMax / blockBytes,
            Int(Int32.max) / length)
        guard count > 0 else {
            throw LanguageError(
                .limitExceeded,
                "\(model.path): a block of the cache takes \(blockBytes) bytes, the limit is "
                    + "\(options.cacheByteCountMax)")
        }
        var shape = DecoderShape(
            vocabularySize: configuration.vocabularySize,
            contextLength: min(context, count * length), blockLength: length, blockCount: count)
        shape.isCacheSmall = count * length < context
        return shape
    }

    private static func makeCache(
        _ configuration: DecoderConfiguration, _ shape: DecoderShape, _ options: DecoderOptions
    ) throws -> Tensor {
        let blockBytes = options.blockByteCount(configuration)
        let byteCount = 2 * configuration.layerCount * shape.blockCount * blockBytes
        return try Tensor(
            elementType: .uint8,
            shape: [configuration.layerCount, 2, shape.blockCount, blockBytes],
            storage: TensorStorage(byteCount: byteCount))
    }

    // MARK: Running

    package func run(_ step: DecoderStep, logits: inout [Float]) throws {
        try check(step)
        let capacity = StepCapacity(step)
        let buffers = try buffers(capacity)
        try buffers.fill(step, shape)
        try context.run(buffers.inputs, outputs: &outputs, cancellation: nil)
        let count = step.logitRows.count * shape.vocabularySize
        if logits.count != count { logits = Array(repeating: 0, count: count) }
        guard count > 0, let result = outputs.first else { return }
        unsafe logits.withUnsafeMutableBytes { target in
            unsafe target.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: result.bytes[..<target.count]))
        }
        outputs.removeAll(keepingCapacity: true)
    }

    package func copyBlocks(_ pairs: [(from: Int32, to: Int32)]) {
        let blockBytes = cache.shape[3]
        let base = unsafe cache.storage.base
        for (from, to) in pairs {
            let blocks = 0..<Int32(shape.blockCount)
            guard blocks.contains(from), blocks.contains(to), from != to else { continue }
            for plane in 0..<(2 * configuration.layerCount) {
                let start = plane * shape.blockCount
                unsafe memcpy(
                    base + (start + Int(to)) * blockBytes, base + (start + Int(from)) * blockBytes,
                    blockBytes)
            }
        }
    }

    private func buffers(_ capacity: StepCapacity) throws -> StepBuffers {
        if let known = buffers[capacity] { return known }
        if buffers.count >= 64 { buffers.removeAll() }
        let made = try StepBuffers(capacity, cache: cache, slab: adapters?.tensor)
        buffers[capacity] = made
        return made
    }

    /// A step comes from our own scheduler, but its numbers from requests: refuse, never trap.
    private func check(_ step: DecoderStep) throws(EngineError) {
        func fail(_ message: String) -> EngineError {
            EngineError(.invalidInput, "step: " + message)
        }
        let rows = step.tokens.count
        guard rows > 0, rows <= EngineDecoderRunner.rowsMax, step.slices.count <= rows,
            step.logitRows.count <= rows
        else {
            throw fail(
                "\(rows) rows, \(step.slices.count) slices, \(step.logitRows.count) wanted rows")
        }
        var next = 0
        for slice in step.slices {
            let end = Int(slice.firstPosition) + Int(slice.rowCount)
            let blocks = (end + shape.blockLength - 1) / shape.blockLength
            guard slice.firstRow == next, slice.rowCount > 0, slice.firstPosition >= 0,
                slice.firstBlock >= 0, end <= shape.contextLength,
                Int(slice.firstBlock) + blocks <= step.blocks.count,
                slice.adapter < 0 || adapters?.isLoaded(slice.adapter) == true
            else {
                throw fail(
                    "a slice of \(slice.rowCount) rows from row \(slice.firstRow) and position "
                        + "\(slice.firstPosition), blocks from \(slice.firstBlock) of "
                        + "\(step.blocks.count); the context is \(shape.contextLength)")
            }
            next += Int(slice.rowCount)
        }
        guard next == rows else { throw fail("slices cover \(next) of \(rows) rows") }
        for row in step.logitRows where row < 0 || row >= rows {
            throw fail("row \(row) of \(rows) is wanted")
        }
        for block in step.blocks where block < 0 || block >= shape.blockCount {
            throw fail("block \(block) of \(shape.blockCount)")
        }
        for token in step.tokens where token < 0 || token >= shape.vocabularySize {
            throw fail("token \(token) of a vocabulary of \(shape.vocabularySize)")
        }
    }
}
