// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Feeds damaged copies of `seeds` to `parse` until the time is over; answers how many.
///
/// A run takes about a second, or `MARTLET_FUZZ_SECONDS`, of processor time: a busy machine tries
/// as many inputs as an idle one. Its seed is fixed, or `MARTLET_FUZZ_SEED`. What `parse` throws
/// is an answer like any other: only a crash, a hang or an expectation inside `parse` fails.
/// Inputs that are accepted become seeds in turn, and half of all inputs come from those given.
/// With `MARTLET_FUZZ_TRACE` set to a file, each input is written there before it is tried, so
/// that the file holds the one that crashed.
@discardableResult
public func fuzz(
    _ name: String, seeds: [[UInt8]], sizeMax: Int = 65_536, parse: ([UInt8]) throws -> Void
) -> Int {
    let seconds = environment("MARTLET_FUZZ_SECONDS").flatMap { Double($0) } ?? 1
    let seed = environment("MARTLET_FUZZ_SEED").flatMap { UInt64($0) } ?? 0x4D61_7274_6C65_7401
    let trace = environment("MARTLET_FUZZ_TRACE")
    var mutator = Mutator(seed: seed, sizeMax: sizeMax)
    var corpus = seeds
    let start = threadSeconds()
    var spent = 0.0
    var count = 0
    var accepted = 0
    while spent < seconds {
        for _ in 0..<64 {
            let known = Bool.random(using: &mutator.random) ? seeds.count : corpus.count
            let pick = Int.random(in: 0..<known, using: &mutator.random)
            let input = mutator.mutate(corpus[pick], with: corpus)
            if let trace { record(input, in: trace) }
            count += 1
            guard (try? parse(input)) != nil else { continue }
            accepted += 1
            keep(input, in: &corpus, first: seeds.count, &mutator)
        }
        spent = threadSeconds() - start
    }
    if environment("MARTLET_FUZZ_SECONDS") != nil {
        let line =
            "fuzz \(name): seed \(seed), \(Int(spent)) s, \(count) inputs, \(accepted) accepted\n"
        _ = unsafe write(STDERR_FILENO, line, line.utf8.count)
    }
    return count
}

/// The processor time of the thread that asks: a run stays on one, since nothing in it is async.
private func threadSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Keeps an accepted input among the seeds, which stay few.
private func keep(
    _ input: [UInt8], in corpus: inout [[UInt8]], first: Int, _ mutator: inout Mutator
) {
    if corpus.count < first + 64 {
        corpus.append(input)
    } else {
        corpus[Int.random(in: first..<corpus.count, using: &mutator.random)] = input
    }
}

private func record(_ bytes: [UInt8], in path: String) {
    guard let file = unsafe fopen(path, "wb") else { return }
    unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
}

/// An environment variable's value.
public func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
}
