// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import Synchronization

/// Collects the rows of a request's groups as they come, and answers when the last is there or the
/// first fails.
final class TextRowsGathering: Sendable {
    private struct State {
        var values: [Float]
        var groupsLeft: Int
        var completion: (@Sendable (Result<TextRows, ServingError>) -> Void)?
    }

    private let state: Mutex<State>
    private let count: Int
    private let width: Int
    private let tokenCount: Int

    init(
        count: Int, width: Int, tokenCount: Int, groups: Int,
        completion: @escaping @Sendable (Result<TextRows, ServingError>) -> Void
    ) {
        self.count = count
        self.width = width
        self.tokenCount = tokenCount
        state = Mutex(
            State(
                values: Array(repeating: 0, count: count * width), groupsLeft: groups,
                completion: completion))
    }

    /// - Parameter group: the texts' indices, one for each row of the tensor.
    func take(_ result: Result<Tensor, ServingError>, for group: [Int]) {
        let finished = state.withLock { state -> (@Sendable () -> Void)? in
            guard let completion = state.completion else { return nil }
            switch result {
            case .failure(let error):
                state.completion = nil
                return { completion(.failure(error)) }
            case .success(let tensor):
                guard tensor.byteCount == group.count * width * 4 else {
                    state.completion = nil
                    let error = ServingError(
                        .internal, "expected \(group.count) rows of \(width), got \(tensor.shape)")
                    return { completion(.failure(error)) }
                }
                let source = unsafe tensor.bytes.assumingMemoryBound(to: Float.self)
                for (row, index) in group.enumerated() {
                    for column in 0..<width {
                        state.values[index * width + column] = unsafe source[row * width + column]
                    }
                }
                state.groupsLeft -= 1
                guard state.groupsLeft == 0 else { return nil }
                state.completion = nil
                let rows = TextRows(
                    values: state.values, width: width, count: count, tokenCount: tokenCount)
                return { completion(.success(rows)) }
            }
        }
        finished?()
    }
}
