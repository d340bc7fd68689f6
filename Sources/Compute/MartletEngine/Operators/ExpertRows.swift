// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Each row through its best experts, expert after expert, so that an expert's weights are read
    /// once for all its rows.
    static let expertRows = NativeOperator(.expertRows) { node in
        let form = try ExpertForm(node)
        let input = try node.input(0)
        let scores = try node.input(1)
        let residual = node.optional(3)
        let (shared, gate) = (node.optional(4), node.optional(5))
        let output = try node.output()
        let rows = input.shape[0]
        for operand in [input, scores, residual, shared, gate] {
            if let operand { try node.expectFloat32(operand) }
        }
        guard input.shape == [rows, form.inputs] as Shape,
            scores.shape == [rows, form.experts] as Shape,
            residual.map({ $0.shape == input.shape }) ?? true,
            shared.map({ $0.shape == input.shape }) ?? true, (shared == nil) == (gate == nil),
            gate.map({ $0.shape == [rows, 1] as Shape }) ?? true
        else {
            throw node.failure("rows \(input.shape), scores \(scores.shape)", .invalidModel)
        }
        let count = try RowCount(node, input: 2, capacity: rows)
        let room = ExpertRoom(form, rows: rows)
        try unsafe node.emit(
            expertRowsStep,
            ExpertRowsArguments(
                input: input.slot, scores: scores.slot, residual: residual?.slot ?? .none,
                shared: shared?.slot ?? .none, sharedGate: gate?.slot ?? .none,
                output: output.slot, gateUp: form.packGateUp(node), down: form.packDown(node),
                scratch: node.scratch(byteCount: room.byteCount), count: count, room: room,
                shape: form.shape))
    }
}

/// What the numbers of an ExpertRows node say.
struct ExpertShape: BitwiseCopyable {
    var rows: martlet_rows
    var panels: martlet_weights
    var source: martlet_rows_source
    var experts: Int
    var chosen: Int
    var inputs: Int
    var inner: Int
    /// Whether the chosen experts' shares are made to sum to 1.
    var normalizes: Bool
    /// Bytes of one expert's panels.
    var gateUpBytes: Int
    var downBytes: Int
}

private struct ExpertForm {
    let shape: ExpertShape
    private let gateUp: [StoredWeights]
    private let down: [StoredWeights]

    var experts: Int { shape.experts }
    var inputs: Int { shape.inputs }

    init(_ node: Lowering) throws {
        let (experts, chosen) = (node.int("experts"), node.int("chosen"))
        let (inputs, inner) = (node.int("inputs"), node.int("inner"))
        guard experts > 0, experts <= 1024, chosen > 0, chosen <= Swift.min(experts, 64),
            node.inputs.count == 6 + 3 * experts, inner % 16 == 0, inputs % 16 == 0, inner > 0,
            inputs > 0, let panels = StoredWeights.types[node.string("panels")]
        else {
            throw node.failure(
                "\(chosen) of \(experts) experts, \(inputs) inputs, \(inner) inner values")
        }
        let rows: martlet_rows = try NativeOperator.rowsType(node)
        guard martlet_rows_fit(rows, panels) != 0 else {
            throw node.failure("rows '\(node.string("kind"))' do not fit the panels")
        }
        var gateUp: [StoredWeights] = []
        var down: [StoredWeights] = []
        for expert in 0..<experts {
            for part in 0..<3 {
                let weights = try StoredWeights(
                    node, input: 6 + 3 * expert + part, columns: part == 2 ? inner : inputs)
                guard weights.rows == (part == 2 ? inputs : inner) else {
                    throw node.failure("expert \(expert) has \(weights.rows) outputs")
                }
                if part == 2 { down.append(weights) } else { gateUp.append(weights) }
            }
        }
        self.gateUp = gateUp
        self.down = down
        shape = ExpertShape(
            rows: rows, panels: panels, source: try NativeOperator.rowsSource(node),
            experts: experts, chosen: chosen, inputs: inputs, inner: inner,
            normalizes: node.int("normalizes") != 0,
            gateUpBytes: 2 * martlet_weights_panel_bytes(panels, Int64(inner), Int64(inputs)),
            downBytes: martlet_weights_panel_bytes(panels, Int64(inputs), Int64(inner)))
    }

    func packGateUp(_ node: Lowering) throws -> Slot {
        try NativeOperator.packPanels(node, gateUp, shape.panels)
    }

    func packDown(_ node: Lowering) throws -> Slot {
        try NativeOperator.packPanels(node, down, shape.panels)
    }
}

/// Where an ExpertRows step keeps what it works on, in bytes of its scratch.
struct ExpertRoom: BitwiseCopyable {
    var chosen: Int
    var shares: Int
    var list: Int
    var gathered: Int
    var prepared: Int
    var inner: Int
    var innerPrepared: Int
    var result: Int
    var byteCount: Int

    fileprivate init(_ form: ExpertForm, rows: Int) {
        let shape = form.shape
        var end = 0
        func take(_ bytes: Int) -> Int {
            let start = end
            end += (bytes + 63) / 64 * 64
            return start
        }
        let count = Int64(rows)
        chosen = take(rows * shape.chosen * 4)
        shares = take(rows * shape.chosen * 4)
        list = take(rows * 4)
        gathered = take(rows * shape.inputs * 4)
        prepared = take(martlet_rows_bytes(shape.rows, count, Int64(shape.inputs)))
        inner = take(rows * 2 * shape.inner * 4)
        innerPrepared = take(martlet_rows_bytes(shape.rows, count, Int64(shape.inner)))
        result = take(rows * shape.inputs * 4)
        byteCount = end
    }
}

struct ExpertRowsArguments: BitwiseCopyable {
    var input: Slot
    var scores: Slot
    var residual: Slot
    var shared: Slot
    var sharedGate: Slot
    var output: Slot
    var gateUp: Slot
    var down: Slot
    var scratch: Slot
    var count: RowCount
    var room: ExpertRoom
    var shape: ExpertShape
}

func expertRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ExpertRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame), let work = ExpertWork(arguments, frame)
    else { return StepStatus.invalidValue }
    work.run(Int(count))
    return StepStatus.done
}

/// One run of an ExpertRows step.
@safe private struct ExpertWork {
    let shape: ExpertShape
    let threads: Int32
    let input: UnsafeMutablePointer<Float>
    let scores: UnsafeMutablePointer<Float>
    let residual: UnsafeMutablePointer<Float>?
    let shared: UnsafeMutablePointer<Float>?
    let sharedGate: UnsafeMutablePointer<Float>?
    let output: UnsafeMutablePointer<Float>
    let gateUp: UnsafeMutableRawPointer
    let down: UnsafeMutableRawPointer
    let chosen: UnsafeMutablePointer<Int32>
    let shares: UnsafeMutablePointer<Float>
    let list: UnsafeMutablePointer<Int32>
    let gathered: UnsafeMutablePointer<Float>
    let prepared: UnsafeMutableRawPointer
    let inner: UnsafeMutablePointer<Float>
    let innerPrepared: UnsafeMutableRawPointer
    let result: UnsafeMutablePointer<Float>

    init?(_ arguments: ExpertRowsArguments, _ frame: StepFrame) {
        guard let input = unsafe frame.floats(arguments.input),
            let scores = unsafe frame.floats(arguments.scores),
            let output = unsafe frame.floats(arguments.output),
            let gateUp = unsafe frame[arguments.gateUp], let down = unsafe frame[arguments.down],
            let scratch = unsafe frame[arguments.scratch]
        else { return nil }
        let room = arguments.room
        func floats(_ offset: Int) -> UnsafeMutablePointer<Float> {
            unsafe (scratch + offset).assumingMemoryBound(to: Float.self)
        }
        func integers(_ offset: Int) -> UnsafeMutablePointer<Int32> {
            unsafe (scratch + offset).assumingMemoryBound(to: Int32.self)
        }
        shape = arguments.shape
        threads = frame.threads
        unsafe self.input = input
        unsafe self.scores = scores
        unsafe residual = frame.floats(arguments.residual)
        unsafe shared = frame.floats(arguments.shared)
        unsafe sharedGate = frame.floats(arguments.sharedGate)
        unsafe self.output = output
        unsafe self.gateUp = gateUp
        unsafe self.down = down
        unsafe chosen = integers(room.chosen)
        unsafe shares = floats(room.shares)
        unsafe list = integers(room.list)
        unsafe gathered = floats(room.gathered)
        unsafe prepared = scratch + room.prepared
        unsafe inner = floats(room.inner)
        unsafe innerPrepared = scratch + room.innerPrepared
        unsafe result = floats(room.result)
    }

    func run(_ count: Int) {
        for row in 0..<count {
            choose(row)
            begin(row)
        }
        for expert in 0..<shape.experts {
            var rows = 0
            for place in 0..<(count * shape.chosen) where unsafe chosen[place] == Int32(expert) {
                unsafe list[rows] = Int32(place)
                rows += 1
            }
            if rows > 0 { compute(expert, rows) }
        }
    }

    /// The best experts of a row by the softmax of its scores, the first of equals.
    private func choose(_ row: Int) {
        let scores = unsafe scores + row * shape.experts
        var most = -Float.infinity
        for expert in 0..<shape.experts { most = unsafe max(most, scores[expert]) }
        var total: Float = 0
        for expert in 0..<shape.experts { total += unsafe expf(scores[expert] - most) }
        var sum: Float = 0
        for place in 0..<shape.chosen {
            var best = -1
            for expert in 0..<shape.experts {
                var isTaken = false
                for earlier in 0..<place
                where unsafe chosen[row * shape.chosen + earlier] == Int32(expert) {
                    isTaken = true
                }
                // Scores that are no numbers lose, and leave the first expert if all are such.
                if isTaken { continue }
                if unsafe best < 0 || scores[expert] > scores[best] { best = expert }
            }
            let share = unsafe expf(scores[best] - most) / total
            unsafe chosen[row * shape.chosen + place] = Int32(best)
            unsafe shares[row * shape.chosen + place] = share
            sum += share
        }
        guard shape.normalizes else { return }
        for place in 0..<shape.chosen { unsafe shares[row * shape.chosen + place] /= sum }
    }

    /// What a row's sum begins with: the residual and the expert that all rows share.
    private func begin(_ row: Int) {
        let start = row * shape.inputs
        let gate = unsafe sharedGate.map { unsafe 1 / (1 + expf(-$0[row])) } ?? 0
        for column in start..<(start + shape.inputs) {
            var value = unsafe residual?[column] ?? 0
            if let shared = unsafe shared { value += unsafe gate * shared[column] }
            unsafe output[column] = value
        }
    }

    private func compute(_ expert: Int, _ rows: Int) {
        let width = shape.inputs
        for index in 0..<rows {
            let row = unsafe Int(list[index]) / shape.chosen
            unsafe (gathered + index * width).update(from: input + row * width, count: width)
        }
        var preparing = unsafe martlet_rows_args(
            type: shape.rows, source: MARTLET_ROWS_PLAIN, n: Int64(rows), k: Int64(width),
            x: gathered, x_stride: Int64(width), weight: nil, epsilon: 0)
        unsafe martlet_rows_prepare(&preparing, prepared, threads)
        var product = unsafe martlet_rows_product(
            type: shape.rows, panels: shape.panels, n: Int64(rows), m: Int64(2 * shape.inner),
            k: Int64(width), rows: prepared, packed: gateUp + expert * shape.gateUpBytes,
            c: inner, c_stride: Int64(2 * shape.inner), bias: nil, residual: nil,
            residual_stride: 0, cap: 0)
        unsafe martlet_rows_multiply(&product, threads)
        unsafe preparing = unsafe martlet_rows_args(
            type: shape.rows, source: shape.source, n: Int64(rows), k: Int64(shape.inner),
            x: inner, x_stride: Int64(2 * shape.inner), weight: nil, epsilon: 0)
        unsafe martlet_rows_prepare(&preparing, innerPrepared, threads)
        unsafe product = unsafe martlet_rows_product(
            type: shape.rows, panels: shape.panels, n: Int64(rows), m: Int64(width),
            k: Int64(shape.inner), rows: innerPrepared, packed: down + expert * shape.downBytes,
            c: result, c_stride: Int64(width), bias: nil, residual: nil, residual_stride: 0,
            cap: 0)
        unsafe martlet_rows_multiply(&product, threads)
        for index in 0..<rows {
            let place = unsafe Int(list[index])
            let share = unsafe shares[place]
            let target = unsafe output + place / shape.chosen * width
            let source = unsafe result + index * width
            for column in 0..<width { unsafe target[column] += share * source[column] }
        }
    }
}
