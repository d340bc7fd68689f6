// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Decodes every file named on the command line (an array of numbers) into FP32 and encodes it
// again; prints "NAME decode|encode NANOSECONDS_PER_BYTE", the median of several rounds.

import Glibc
import MartletJSON

func processorSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

func contents(of path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe fread(&piece, 1, piece.count, file)
        if count == 0 { return bytes }
        bytes += piece[..<count]
    }
}

func median(_ rounds: Int, _ body: () throws -> Void) rethrows -> Double {
    var times: [Double] = []
    for _ in 0..<rounds {
        let start = processorSeconds()
        try body()
        times.append(processorSeconds() - start)
    }
    return times.sorted()[rounds / 2]
}

for path in CommandLine.arguments.dropFirst() {
    let name = path.split(separator: "/").last ?? ""
    let text = contents(of: path)
    var memory = [UInt8](repeating: 0, count: 150_528 * 4)
    let decoding = try median(25) {
        try unsafe text.withUnsafeBytes { text in
            var scanner = unsafe JSONScanner(text)
            _ = try unsafe memory.withUnsafeMutableBytes {
                try unsafe scanner.readNumbers(into: $0, as: .float32)
            }
        }
    }
    print(name, "decode", decoding * 1e9 / Double(text.count))
    var written = 0
    let encoding = unsafe memory.withUnsafeBytes { memory in
        median(25) {
            var writer = JSONWriter()
            unsafe writer.numbers(memory, as: .float32)
            written = writer.bytes.count
        }
    }
    print(name, "encode", encoding * 1e9 / Double(written))
}
