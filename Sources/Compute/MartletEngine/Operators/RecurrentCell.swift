// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletTensor

/// One direction of a recurrent node: walks the tokens, keeping a hidden and a cell state.
struct RecurrentCell: Sendable {
    private let form: RecurrentForm
    private let direction: Int
    /// X · Wᵀ + biases, [length · batch, rows].
    private let gates: Operand
    private let matrices: [RecurrentMatrix]
    private let lengths: Operand?
    private let first: Operand?
    private let firstCell: Operand?
    private let peepholes: Operand?
    /// R's bias of a GRU's candidate where the reset acts on the product.
    private let candidateBias: Operand?
    private let outputs: [Operand?]
    // Scratch: the hidden and cell states [batch, hidden], the products [batch, rows], and what a
    // GRU's candidate multiplies [batch, hidden].
    private let state: Operand
    private let cell: Operand
    private let products: Operand
    private let scaled: Operand

    init(
        _ node: Lowering, _ form: RecurrentForm, _ direction: Int, gates: Operand, bias: Operand
    ) throws {
        self.form = form
        self.direction = direction
        self.gates = gates
        let hidden = form.hidden
        let recurrent = try node.input(2)
        let parts = form.kind == .gru ? [2 * hidden, hidden] : [form.rows]
        var row = 0
        matrices = try parts.map { rows in
            defer { row += rows }
            return try RecurrentMatrix(
                node, recurrent, offset: (direction * form.rows + row) * hidden, rows: rows,
                columns: hidden, batch: form.batch, format: "recurrent-\(direction)-\(row)")
        }
        lengths = try node.optionalIntegers(4)
        first = node.optional(5)
        firstCell = form.kind == .lstm ? node.optional(6) : nil
        peepholes = form.kind == .lstm ? node.optional(7) : nil
        candidateBias =
            form.kind == .gru && form.resetsProduct
            ? node.optional(3).map {
                node.part(
                    $0, offset: (2 * direction + 1) * form.rows + 2 * hidden, shape: [hidden])
            } : nil
        outputs = (0..<3).map { node.optionalOutput($0) }
        let shape: Shape = [form.batch, hidden]
        state = try node.temporary(.float32, shape)
        cell = try node.temporary(.float32, shape)
        products = try node.temporary(.float32, [form.batch, form.rows])
        scaled = try node.temporary(.float32, shape)
    }

    func run(_ run: ComputationRun) throws(StepFault) {
        let (h, c) = (run.floats(state), run.floats(cell))
        for matrix in matrices { matrix.pack(run) }
        load(run, first, into: h)
        load(run, firstCell, into: c)
        let lengths = lengths.map { run.values($0, as: Int64.self) }
        if let lengths {
            for entry in 0..<form.batch {
                guard lengths[entry] >= 0, lengths[entry] <= form.length else {
                    throw .indexOutOfRange
                }
            }
        }
        let y = outputs[0].map { run.floats($0) }
        for step in 0..<form.length {
            multiply(run, step)
            for entry in 0..<form.batch {
                let length = lengths.map { Int($0[entry]) } ?? form.length
                let isActive = step < length
                let token = isActive && form.goesBack(direction) ? length - 1 - step : step
                if isActive { advance(run, entry: entry, token: token) }
                guard let y else { continue }
                let place =
                    form.isBatchFirst
                    ? (entry * form.length + token) * form.directions + direction
                    : (token * form.directions + direction) * form.batch + entry
                if isActive {
                    y.copy(
                        h, from: entry * form.hidden, to: place * form.hidden, length: form.hidden)
                } else {
                    for index in 0..<form.hidden { y[place * form.hidden + index] = 0 }
                }
            }
        }
        store(run, h, outputs[1])
        if form.kind == .lstm { store(run, c, outputs[2]) }
    }

    // MARK: States

    private func place(_ entry: Int) -> Int {
        form.isBatchFirst ? entry * form.directions + direction : direction * form.batch + entry
    }

    private func load(_ run: ComputationRun, _ source: Operand?, into target: Values<Float>) {
        guard let source else { return target.fill(0) }
        let x = run.floats(source)
        for entry in 0..<form.batch {
            target.copy(
                x, from: place(entry) * form.hidden, to: entry * form.hidden, length: form.hidden)
        }
    }

    private func store(_ run: ComputationRun, _ source: Values<Float>, _ target: Operand?) {
        guard let target else { return }
        let y = run.floats(target)
        for entry in 0..<form.batch {
            y.copy(
                source, from: entry * form.hidden, to: place(entry) * form.hidden,
                length: form.hidden)
        }
    }

    // MARK: One step

    /// The states' products with R; a GRU's candidate may have to wait for its reset gate.
    private func multiply(_ run: ComputationRun, _ step: Int) {
        matrices[0].multiply(run, state, into: products, column: 0, rowStride: form.rows)
        if form.kind == .gru, form.resetsProduct {
            matrices[1].multiply(
                run, state, into: products, column: 2 * form.hidden, rowStride: form.rows)
        }
    }

    private func advance(_ run: ComputationRun, entry: Int, token: Int) {
        let hidden = form.hidden
        let gate = run.floats(gates)
        let product = run.floats(products)
        let base = entry * form.rows
        let from = (token * form.batch + entry) * form.rows
        let summed = form.kind == .gru ? 2 * hidden : form.rows
        // The sums take the products' place.
        add(gate, from, to: product, base, count: summed)
        switch form.kind {
        case .rnn:
            activate(run, base, 0, hidden)
            run.floats(state).copy(product, from: base, to: entry * hidden, length: hidden)
        case .lstm: advanceMemory(run, entry, base)
        case .gru: advanceGated(run, entry, base, from)
        }
    }

    /// target[start...] += source[from...], checked once.
    private func add(
        _ source: Values<Float>, _ from: Int, to target: Values<Float>, _ start: Int, count: Int
    ) {
        precondition(count <= source.count - from && count <= target.count - start)
        unsafe source.withPointer(from: from) { x in
            unsafe target.withPointer(from: start) { y in
                for index in 0..<count { unsafe y[index] += x[index] }
            }
        }
    }

    /// The usual memory cell: its three gates lie side by side and are activated at once.
    private func advancePlainMemory(_ run: ComputationRun, _ entry: Int, _ base: Int) {
        let hidden = form.hidden
        let (h, c, sum) = (run.floats(state), run.floats(cell), run.floats(products))
        let first = entry * hidden
        activate(run, base, 0, 3 * hidden)
        activate(run, base + 3 * hidden, 1, hidden)
        precondition(4 * hidden <= sum.count - base)
        precondition(hidden <= c.count - first && hidden <= h.count - first)
        unsafe sum.withPointer(from: base) { gates in
            unsafe c.withPointer(from: first) { cell in
                unsafe h.withPointer(from: first) { state in
                    for index in 0..<hidden {
                        let kept = unsafe gates[2 &* hidden &+ index] * cell[index]
                        let value = unsafe kept + gates[index] * gates[3 &* hidden &+ index]
                        unsafe cell[index] = value
                        unsafe state[index] = value
                    }
                    unsafe apply(run, self.state, first, 2, hidden)
                    for index in 0..<hidden {
                        unsafe state[index] *= gates[hidden &+ index]
                    }
                }
            }
        }
    }

    private func advanceMemory(_ run: ComputationRun, _ entry: Int, _ base: Int) {
        if peepholes == nil && !form.couplesForget {
            return advancePlainMemory(run, entry, base)
        }
        let hidden = form.hidden
        let (h, c, sum) = (run.floats(state), run.floats(cell), run.floats(products))
        let peep = peepholes.map { run.floats($0) }
        let first = entry * hidden
        let eyes = direction * 3 * hidden
        if let peep {
            for index in 0..<hidden {
                sum[base + index] += peep[eyes + index] * c[first + index]
                sum[base + 2 * hidden + index] += peep[eyes + 2 * hidden + index] * c[first + index]
            }
        }
        activate(run, base, 0, hidden)
        activate(run, base + 2 * hidden, 0, hidden)
        activate(run, base + 3 * hidden, 1, hidden)
        for index in 0..<hidden {
            let input = sum[base + index]
            let forget = form.couplesForget ? 1 - input : sum[base + 2 * hidden + index]
            c[first + index] =
                forget * c[first + index] + input * sum[base + 3 * hidden + index]
            if let peep {
                sum[base + hidden + index] += peep[eyes + hidden + index] * c[first + index]
            }
            h[first + index] = c[first + index]
        }
        activate(run, base + hidden, 0, hidden)
        unsafe apply(run, state, first, 2, hidden)
        for index in 0..<hidden { h[first + index] *= sum[base + hidden + index] }
    }

    private func advanceGated(_ run: ComputationRun, _ entry: Int, _ base: Int, _ from: Int) {
        let hidden = form.hidden
        let (h, sum, gate) = (run.floats(state), run.floats(products), run.floats(gates))
        let first = entry * hidden
        let candidate = base + 2 * hidden
        activate(run, base, 0, 2 * hidden)
        if form.resetsProduct {
            let bias = candidateBias.map { run.floats($0) }
            for index in 0..<hidden {
                let product = sum[candidate + index] + (bias?[index] ?? 0)
                sum[candidate + index] =
                    gate[from + 2 * hidden + index] + sum[base + hidden + index] * product
            }
        } else {
            let scaled = run.floats(scaled)
            for index in 0..<hidden {
                scaled[first + index] = sum[base + hidden + index] * h[first + index]
            }
            matrices[1].multiply(
                run, self.scaled, into: products, column: 2 * hidden, rowStride: form.rows,
                row: entry)
            for index in 0..<hidden {
                sum[candidate + index] += gate[from + 2 * hidden + index]
            }
        }
        activate(run, candidate, 1, hidden)
        for index in 0..<hidden {
            let keep = sum[base + index]
            h[first + index] = (1 - keep) * sum[candidate + index] + keep * h[first + index]
        }
    }

    /// Clips and activates sums in place.
    private func activate(_ run: ComputationRun, _ start: Int, _ function: Int, _ count: Int) {
        if let clip = form.clip {
            let sum = run.floats(products)
            for index in start..<(start + count) {
                sum[index] = Swift.min(Swift.max(sum[index], -clip), clip)
            }
        }
        unsafe apply(run, products, start, function, count)
    }

    @unsafe private func apply(
        _ run: ComputationRun, _ operand: Operand, _ start: Int, _ function: Int, _ count: Int
    ) {
        guard let base = unsafe run.frame.floats(operand.slot) else { return }
        unsafe form.activation(direction, function).apply(base + start, count: count)
    }
}

/// Rows of R as a packed right side: packed when the plan is made where R is a constant.
private struct RecurrentMatrix: Sendable {
    private let source: Operand
    private let packed: Slot
    private let isConstant: Bool
    private let scratch: Slot
    private let rows: Int64
    private let columns: Int64
    private let batch: Int64

    init(
        _ node: Lowering, _ recurrent: Operand, offset: Int, rows: Int, columns: Int, batch: Int,
        format: String
    ) throws {
        self.rows = Int64(rows)
        self.columns = Int64(columns)
        self.batch = Int64(batch)
        source = node.part(recurrent, offset: offset, shape: [rows, columns])
        isConstant = recurrent.constant != nil
        let bytes = martlet_gemm_f32_pack_b_bytes(Int64(columns), Int64(rows))
        if isConstant {
            packed = try unsafe node.packed(recurrent, format: format, byteCount: bytes) {
                tensor, target in
                guard let from = unsafe tensor.floatPointer else { return }
                unsafe martlet_gemm_f32_pack_b(
                    from + offset, 1, Int64(columns), Int64(columns), Int64(rows), target)
            }
        } else {
            packed = node.scratch(byteCount: bytes)
        }
        scratch = node.scratch(
            byteCount: martlet_gemm_f32_scratch_bytes(
                Int64(batch), Int64(rows), Int64(columns), node.threads))
    }

    func pack(_ run: ComputationRun) {
        guard !isConstant else { return }
        unsafe martlet_gemm_f32_pack_b(
            run.frame.floats(source.slot), 1, columns, columns, rows, run.frame[packed])
    }

    /// products[…, column...] = left · matrixᵀ, for all rows of the batch or for one.
    func multiply(
        _ run: ComputationRun, _ left: Operand, into products: Operand, column: Int,
        rowStride: Int, row: Int? = nil
    ) {
        guard let a = unsafe run.frame.floats(left.slot),
            let c = unsafe run.frame.floats(products.slot)
        else { return }
        var gemm = unsafe martlet_gemm_f32_args(
            m: row == nil ? batch : 1, n: rows, k: columns, a: a + (row ?? 0) * Int(columns),
            a_row_stride: columns, packed_b: run.frame[packed],
            c: c + (row ?? 0) * rowStride + column, c_row_stride: Int64(rowStride), alpha: 1,
            epilogue: martlet_epilogue_f32())
        unsafe martlet_gemm_f32(&gemm, run.frame[scratch], run.threads)
    }
}
