// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// swift run -c release KernelsBenchmark [threads]
internal import CMartletKernels
internal import CPeak

let threads = CommandLine.arguments.count > 1 ? Int32(CommandLine.arguments[1]) ?? 1 : 1
let clock = Clock(threads: threads)

/// Multiply-adds of one core per second; with several threads the cores are assumed alike.
func measuredPeak() -> Double {
    let one = Clock(threads: 1)
    let widths: [Int32] = [1, 0]
    let rates = widths.map { wide -> Double in
        let operations = martlet_peak_run(wide, 1000) * 100
        return operations / one.median { _ = martlet_peak_run(wide, 100_000) }
    }
    return (rates.max() ?? 0) * Double(martlet_pool_threads(threads))
}

func fixed(_ value: Double, _ digits: Int, width: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    let text = digits == 0 ? String(Int(rounded)) : String(rounded)
    return String(repeating: " ", count: max(0, width - text.count)) + text
}

let peak = measuredPeak()
let levels = ["reference", "avx2", "avx512"]
let level = levels[Int(martlet_kernels_level().rawValue)]
print("level \(level), threads \(threads), peak \(fixed(peak * 1e-9, 0, width: 1)) GFLOP/s")

let transformer: [(Int64, Int64, Int64)] = [
    (128, 384, 1152), (128, 384, 1536), (128, 1536, 384), (16, 384, 1536), (4096, 384, 1536),
    (512, 768, 3072), (3136, 64, 256), (196, 1024, 256), (1, 768, 3072),
]
var cases = transformer.map { gemm($0.0, $0.1, $0.2, threads) }
cases += [
    convolution(56, 64, 64, kernel: 1, stride: 1, threads),
    convolution(56, 64, 64, kernel: 3, stride: 1, threads),
    convolution(28, 128, 128, kernel: 3, stride: 1, threads),
    convolution(14, 256, 256, kernel: 3, stride: 1, threads),
    convolution(7, 512, 512, kernel: 3, stride: 1, threads),
    convolution(28, 256, 256, kernel: 3, stride: 2, threads),
    convolution(224, 3, 64, kernel: 7, stride: 2, threads),
    convolution(56, 256, 512, kernel: 1, stride: 2, threads),
    convolution(56, 128, 128, kernel: 3, stride: 1, groups: 128, threads),
    attention(16, 12, 32, threads), attention(128, 12, 32, threads),
    attention(512, 12, 64, threads),
]
for test in cases {
    let seconds = clock.median(test.call)
    let rate = test.operations / seconds
    let share = peak > 0 ? fixed(rate / peak * 100, 0, width: 4) + " % of peak" : ""
    let name = test.name + String(repeating: " ", count: max(0, 40 - test.name.count))
    print(
        name, fixed(seconds * 1e6, 1, width: 10), "us", fixed(rate * 1e-9, 1, width: 7), "GFLOP/s",
        share)
}
