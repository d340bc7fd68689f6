// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

// ONNX's own operators of language models, besides attention.
extension NativeOperator {
    static let rotaryEmbedding = float32(.rotaryEmbedding) { node in
        let input = try node.input()
        let output = try node.output()
        try node.expectFloat32(input)
        let isFlat = input.shape.rank == 3
        guard input.shape.rank == 3 || input.shape.rank == 4 else {
            throw node.failure("needs three or four dimensions")
        }
        let heads = isFlat ? node.int("num_heads") : input.shape[1]
        guard heads > 0, !isFlat || input.shape[2] % heads == 0 else {
            throw node.failure("\(heads) heads", .invalidModel)
        }
        let size = isFlat ? input.shape[2] / heads : input.shape[3]
        let given = node.int("rotary_embedding_dim")
        let turned = given == 0 ? size : given
        let (cosines, sines) = (try node.input(1), try node.input(2))
        let half = turned / 2
        let positions = try node.optionalIntegers(3)
        let batch = input.shape[0]
        let length = input.shape[isFlat ? 1 : 2]
        guard turned >= 0, turned <= size, turned % 2 == 0, cosines.shape == sines.shape,
            cosines.shape.last == half, cosines.elementType == .float32,
            sines.elementType == .float32,
            positions == nil
                ? cosines.shape == [batch, length, half] as Shape
                    || cosines.shape == [1, length, half] as Shape
                : cosines.shape.rank == 2 && positions?.shape == [batch, length] as Shape
        else { throw node.failure("cosines of shape \(cosines.shape)", .invalidModel) }
        // Without positions, a batch may share its angles.
        let rows = positions == nil ? cosines.shape[0] * length : cosines.shape[0]
        let isInterleaved = node.int("interleaved") != 0
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.floats(input), run.floats(output))
            let (cosines, sines) = (run.floats(cosines), run.floats(sines))
            let positions = positions.map { run.values($0, as: Int64.self) }
            let tokens = batch * length
            for token in 0..<(positions == nil ? 0 : tokens) {
                let angle = positions.map { Int($0[token]) } ?? 0
                guard angle >= 0, angle < rows else { throw .indexOutOfRange }
            }
            // Some 16 000 numbers a part: enough to hide the cost of sharing.
            let share = Swift.max(16_384 / Swift.max(heads * size, 1), 1)
            let parts = (tokens + share - 1) / share
            KernelPool.parallel(parts: parts, maximumThreads: Int(run.threads)) { part in
                for token in (part * share)..<Swift.min((part + 1) * share, tokens) {
                    let angle = positions.map { Int($0[token]) } ?? token % rows
                    for head in 0..<heads {
                        let lead =
                            isFlat
                            ? token * heads + head
                            : (token / length * heads + head) * length + token % length
                        let base = lead * size
                        rotate(
                            x, y, base, cosines, sines, angle * half, half,
                            isInterleaved: isInterleaved)
                        y.copy(x, from: base + turned, to: base + turned, length: size - turned)
                    }
                }
            }
        }
    }

    static let linearAttention = NativeOperator(.linearAttention) { node in
        let form = try LinearAttentionForm(node)
        try node.produce { output in
            let state = try node.temporary(.float32, form.stateShape)
            try node.compute { run throws(StepFault) in form.run(run, output, state) }
            if let present = node.optionalOutput(1) { try emitConverted(node, state, present) }
        }
    }

    /// Depthwise, over this step's and the last steps' values.
    static let causalConvWithState = float32(.causalConvWithState) { node in
        let (input, weights) = (try node.input(0), try node.input(1))
        let (bias, past) = (node.optional(2), node.optional(3))
        let (batch, channels, length) = (input.shape[0], input.shape[1], input.shape[2])
        let taps = weights.shape[2]
        guard taps >= 1, weights.shape == [channels, 1, taps] as Shape,
            (bias?.count ?? channels) == channels,
            (past?.shape ?? [batch, channels, taps - 1]) == [batch, channels, taps - 1] as Shape
        else { throw node.failure("weights, bias or state do not fit", .invalidModel) }
        let activation = node.string("activation", default: "none")
        guard ["none", "silu", "swish"].contains(activation) else {
            throw node.failure("activation '\(activation)'")
        }
        let output = try node.output()
        let present = node.optionalOutput(1)
        try node.compute { run throws(StepFault) in
            let (x, w, y) = (run.floats(input), run.floats(weights), run.floats(output))
            let bias = bias.map { run.floats($0) }
            let past = past.map { run.floats($0) }
            let present = present.map { run.floats($0) }
            for row in 0..<(batch * channels) {
                let channel = row % channels
                // Place `taps - 1` is the first of this step's values.
                func value(_ place: Int) -> Float {
                    let own = place - (taps - 1)
                    return own >= 0 ? x[row * length + own] : past?[row * (taps - 1) + place] ?? 0
                }
                for place in 0..<length {
                    var sum = bias?[channel] ?? 0
                    for tap in 0..<taps { sum += w[channel * taps + tap] * value(place + tap) }
                    if activation != "none" { sum /= 1 + expf(-sum) }
                    y[row * length + place] = sum
                }
                guard let present else { continue }
                for place in 0..<(taps - 1) {
                    present[row * (taps - 1) + place] = value(length + place)
                }
            }
        }
    }

    static let swiGLU = float32(.swiGLU) { node in
        let input = try node.input(0)
        let output = try node.output()
        let gate = try node.temporary(.float32, input.shape)
        let alpha = node.float("alpha", default: 1)
        if alpha == 1 {
            try emitUnary(node, MARTLET_SILU, input, gate)
        } else {
            let factor = try node.filled(Double(alpha), elementType: .float32)
            try emitBinary(node, MARTLET_MUL, input, factor, gate)
            try emitUnary(node, MARTLET_SIGMOID, gate, gate)
            try emitBinary(node, MARTLET_MUL, gate, input, gate)
        }
        try emitBinary(node, MARTLET_MUL, gate, node.input(1), output)
    }

    /// Writes an update into a cache, from each batch entry's own place on.
    static let tensorScatter = NativeOperator(.tensorScatter) { node in
        let (cache, update) = (try node.input(0), try node.input(1))
        let output = try node.output()
        let places = try node.optionalIntegers(2)
        let shape = cache.shape
        let axis = try node.axis(node.int("axis", default: -2), rank: shape.rank)
        let mode = node.string("mode", default: "linear")
        guard mode == "linear" || mode == "circular" else { throw node.failure("mode '\(mode)'") }
        guard places.map({ $0.shape == [shape[0]] as Shape }) ?? true else {
            throw node.failure("one place for each batch entry is needed", .invalidInput)
        }
        let bytes = try Int(node.elementBytes(cache)) * shape.product((axis + 1)..<shape.rank)
        let (room, length) = (shape[axis], update.shape[axis])
        let middle = shape.product(1..<axis)
        try emitExpand(node, cache, output)
        try node.compute { run throws(StepFault) in
            let (from, to) = (run.bytes(update), run.bytes(output))
            let places = places.map { run.values($0, as: Int64.self) }
            for row in 0..<(shape[0] * middle) {
                let first = places.map { Int($0[row / middle]) } ?? 0
                guard first >= 0, mode == "circular" || first <= room - length else {
                    throw .indexOutOfRange
                }
                for step in 0..<length {
                    let place = (first % Swift.max(room, 1) + step) % Swift.max(room, 1)
                    to.copy(
                        from, from: (row * length + step) * bytes,
                        to: (row * room + place) * bytes, length: bytes)
                }
            }
        }
    }
}

/// Emits `output = input`, converted where the types differ.
func emitConverted(_ node: Lowering, _ input: Operand, _ output: Operand) throws {
    if input.elementType == output.elementType {
        try emitExpand(node, input, output)
    } else {
        try emitCast(node, input, output)
    }
}

/// Turns `half` pairs of a head by their angles.
private func rotate(
    _ x: Values<Float>, _ y: Values<Float>, _ base: Int, _ cosines: Values<Float>,
    _ sines: Values<Float>, _ angle: Int, _ half: Int, isInterleaved: Bool
) {
    precondition(
        base + 2 * half <= x.count && base + 2 * half <= y.count && angle + half <= cosines.count
            && angle + half <= sines.count, "element out of range")
    unsafe x.withPointer(from: base) { x in
        unsafe y.withPointer(from: base) { y in
            unsafe cosines.withPointer(from: angle) { cosines in
                unsafe sines.withPointer(from: angle) { sines in
                    if !isInterleaved {
                        for index in 0..<half {
                            let (cosine, sine) = unsafe (cosines[index], sines[index])
                            let (real, imaginary) = unsafe (x[index], x[index &+ half])
                            unsafe y[index] = cosine * real - sine * imaginary
                            unsafe y[index &+ half] = sine * real + cosine * imaginary
                        }
                        return
                    }
                    for index in 0..<half {
                        let (cosine, sine) = unsafe (cosines[index], sines[index])
                        let (real, imaginary) = unsafe (x[2 &* index], x[2 &* index &+ 1])
                        unsafe y[2 &* index] = cosine * real - sine * imaginary
                        unsafe y[2 &* index &+ 1] = sine * real + cosine * imaginary
                    }
                }
            }
        }
    }
}

/// A LinearAttention node: a state per head that each token decays, corrects, adds to and reads.
private struct LinearAttentionForm {
    let (query, key, value): (Operand, Operand, Operand)
    let past: Operand?
    let decay: Operand?
    let beta: Operand?
    let batch: Int
    let length: Int
    let heads: Int
    let stateHeads: Int
    let keySize: Int
    let valueSize: Int
    let scale: Float
    let corrects: Bool

    var stateShape: Shape { [batch, stateHeads, keySize, valueSize] }

    init(_ node: Lowering) throws {
        (query, key, value) = (try node.floats(0), try node.floats(1), try node.floats(2))
        past = try node.optionalFloats(3)
        heads = node.int("q_num_heads")
        stateHeads = node.int("kv_num_heads")
        let rule = node.string("update_rule", default: "gated_delta")
        guard ["linear", "gated", "delta", "gated_delta"].contains(rule) else {
            throw node.failure("update_rule '\(rule)'")
        }
        let decays = rule == "gated" || rule == "gated_delta"
        corrects = rule == "delta" || rule == "gated_delta"
        decay = try decays ? node.floats(4) : nil
        beta = try corrects ? node.floats(5) : nil
        batch = query.shape[0]
        length = query.shape[1]
        keySize = query.shape[2] / heads
        valueSize = value.shape[2] / stateHeads
        let given = node.float("scale")
        scale = given == 0 ? 1 / Float(keySize).squareRoot() : given
        let widths = [stateHeads, stateHeads * keySize]
        guard key.shape == [batch, length, stateHeads * keySize] as Shape,
            value.shape == [batch, length, stateHeads * valueSize] as Shape,
            past.map({ $0.shape == stateShape }) ?? true,
            decay.map({ $0.count == batch * length * ($0.shape.last ?? 0) }) ?? true,
            decay.map({ widths.contains($0.shape.last ?? 0) }) ?? true,
            beta.map({ $0.count == batch * length * ($0.shape.last ?? 0) }) ?? true,
            beta.map({ [1, stateHeads].contains($0.shape.last ?? 0) }) ?? true
        else { throw node.failure("the inputs' shapes do not fit", .invalidInput) }
    }

    func run(_ run: ComputationRun, _ output: Operand, _ present: Operand) {
        let (q, k, v, y) = (
            run.floats(query), run.floats(key), run.floats(value), run.floats(output)
        )
        let state = run.floats(present)
        if let past { state.copy(run.floats(past), from: 0, to: 0, length: state.count) }
        if past == nil { state.fill(0) }
        let decays = decay.map { (run.floats($0), $0.shape.last ?? 0) }
        let betas = beta.map { (run.floats($0), $0.shape.last ?? 0) }
        let group = heads / stateHeads
        for batch in 0..<batch {
            for token in (batch * length)..<((batch + 1) * length) {
                for head in 0..<stateHeads {
                    let base = (batch * stateHeads + head) * keySize * valueSize
                    let keys = (token * stateHeads + head) * keySize
                    let values = (token * stateHeads + head) * valueSize
                    if let (decay, width) = decays {
                        for row in 0..<keySize {
                            let place = width == stateHeads ? head : head * keySize + row
                            let factor = expf(decay[token * width + place])
                            for column in 0..<valueSize {
                                state[base + row * valueSize + column] *= factor
                            }
                        }
                    }
                    for column in 0..<valueSize {
                        var added = v[values + column]
                        if let (beta, width) = betas {
                            var held: Float = 0
                            for row in 0..<keySize {
                                held += state[base + row * valueSize + column] * k[keys + row]
                            }
                            added = beta[token * width + (width == 1 ? 0 : head)] * (added - held)
                        }
                        for row in 0..<keySize {
                            state[base + row * valueSize + column] += k[keys + row] * added
                        }
                    }
                    for reader in (head * group)..<((head + 1) * group) {
                        for column in 0..<valueSize {
                            var sum: Float = 0
                            for row in 0..<keySize {
                                sum +=
                                    q[(token * heads + reader) * keySize + row]
                                    * state[base + row * valueSize + column]
                            }
                            y[(token * heads + reader) * valueSize + column] = scale * sum
                        }
                    }
                }
            }
        }
    }
}
