// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Runs a decoder-only language model over rows of many sequences at once, against a cache of keys
/// and values in blocks. The loop above it knows no model, what is below it no scheduling.
///
/// One step at a time, by one thread at a time, never the cooperative pool. What a row yields does
/// not depend on the other rows of its step.
package protocol DecoderRunner: AnyObject {
    var shape: DecoderShape { get }

    /// Computes one step: writes the rows' keys and values into their sequences' blocks and leaves
    /// the wanted rows' logits in `logits`, f32 [step.logitRows.count, shape.vocabularySize], rows
    /// in the order of `logitRows`. The array is reused: no allocation in steady state.
    /// - Throws: `EngineError`; the blocks' contents of this step's rows are then undefined.
    func run(_ step: DecoderStep, logits: inout [Float]) throws

    /// Copies the keys and values of whole blocks, for sequences that part ways.
    func copyBlocks(_ pairs: [(from: Int32, to: Int32)])

    /// Makes a low-rank adapter ready for slices that name its number.
    /// - Throws: `LanguageError` where there is no room, or none are supported.
    func load(_ adapter: AdapterFile) throws(LanguageError) -> Int32

    /// Frees an adapter's number and memory.
    func unload(adapter: Int32)
}

extension DecoderRunner {
    package func load(_ adapter: AdapterFile) throws(LanguageError) -> Int32 {
        throw LanguageError(.unsupported, "this model was not opened for adapters")
    }

    package func unload(adapter: Int32) {}
}

/// What a generation loop must know of a model.
package struct DecoderShape: Sendable, Hashable {
    package var vocabularySize: Int
    /// The most positions that a sequence may have.
    package var contextLength: Int
    /// Tokens a block of the cache.
    package var blockLength: Int
    /// Blocks that the cache holds; ids are 0 ..< blockCount.
    package var blockCount: Int
    /// The cache's size is what keeps the context from being longer.
    package var isCacheSmall = false

    package init(vocabularySize: Int, contextLength: Int, blockLength: Int, blockCount: Int) {
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.blockLength = blockLength
        self.blockCount = blockCount
    }
}

/// Rows to run in one pass: chunks of prompts and single tokens of running sequences alike.
package struct DecoderStep: Sendable {
    /// One sequence's rows in this step.
    package struct Slice: Sendable {
        /// Its rows: `firstRow ..< firstRow + rowCount` of `tokens`.
        package var firstRow: Int32
        package var rowCount: Int32
        /// The first row's position; positions below it are in the cache already.
        package var firstPosition: Int32
        /// Its block table: `blocks[firstBlock...]`, one id for each `blockLength` positions,
        /// enough for `firstPosition + rowCount`.
        package var firstBlock: Int32
        /// The adapter that its rows go through; -1 for none.
        package var adapter: Int32

        package init(
            firstRow: Int32, rowCount: Int32, firstPosition: Int32, firstBlock: Int32,
            adapter: Int32 = -1
        ) {
            self.adapter = adapter
            self.firstRow = firstRow
            self.rowCount = rowCount
            self.firstPosition = firstPosition
            self.firstBlock = firstBlock
        }
    }

    /// All rows' tokens, slice after slice.
    package var tokens: [Int32]
    package var slices: [Slice]
    /// All slices' block tables, one after the other.
    package var blocks: [Int32]
    /// Rows whose logits are wanted, ascending.
    package var logitRows: [Int32]

    package init(
        tokens: [Int32] = [], slices: [Slice] = [], blocks: [Int32] = [], logitRows: [Int32] = []
    ) {
        self.tokens = tokens
        self.slices = slices
        self.blocks = blocks
        self.logitRows = logitRows
    }
}
