// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A discrete Fourier transform of one length, in double precision.
///
/// Powers of two by Cooley and Tukey's algorithm; other lengths as a convolution with a chirp
/// (Bluestein), which three transforms of the next power of two make: O(n log n) for any length.
struct FourierTransform: Sendable {
    static let lengthMax = 1 << 24

    let length: Int
    /// The power of two that is transformed.
    private let size: Int
    private let cosines: [Double]
    private let sines: [Double]
    private var chirp: Chirp?

    private struct Chirp: Sendable {
        var real: [Double]
        var imaginary: [Double]
        /// The transformed filter.
        var filterReal: [Double]
        var filterImaginary: [Double]
    }

    /// - Parameter length: 1 to `lengthMax`.
    init(length: Int) {
        self.length = length
        let isPower = length & (length - 1) == 0
        var size = 1
        while size < (isPower ? length : 2 * length) { size *= 2 }
        self.size = size
        cosines = (0..<(size / 2)).map { cos(2 * Double.pi * Double($0) / Double(size)) }
        sines = (0..<(size / 2)).map { -sin(2 * Double.pi * Double($0) / Double(size)) }
        if !isPower { chirp = makeChirp() }
    }

    private func makeChirp() -> Chirp {
        // k² modulo 2n keeps the angle small and exact.
        let angles = (0..<length).map {
            Double.pi * Double($0 * $0 % (2 * length)) / Double(length)
        }
        var real = [Double](repeating: 0, count: size)
        var imaginary = real
        for index in 0..<length {
            real[index] = cos(angles[index])
            imaginary[index] = sin(angles[index])
            if index > 0 {
                real[size - index] = real[index]
                imaginary[size - index] = imaginary[index]
            }
        }
        transform(&real, &imaginary)
        return Chirp(
            real: angles.map { cos($0) }, imaginary: angles.map { -sin($0) }, filterReal: real,
            filterImaginary: imaginary)
    }

    /// Transforms `length` values in place; the inverse divides by the length.
    func run(_ real: inout [Double], _ imaginary: inout [Double], inverse: Bool) {
        if inverse {
            forward(&imaginary, &real)
            let share = 1 / Double(length)
            for index in 0..<length {
                real[index] *= share
                imaginary[index] *= share
            }
        } else {
            forward(&real, &imaginary)
        }
    }

    private func forward(_ real: inout [Double], _ imaginary: inout [Double]) {
        guard let chirp else { return transform(&real, &imaginary) }
        var a = [Double](repeating: 0, count: size)
        var b = a
        for index in 0..<length {
            a[index] =
                real[index] * chirp.real[index] - imaginary[index] * chirp.imaginary[index]
            b[index] =
                real[index] * chirp.imaginary[index] + imaginary[index] * chirp.real[index]
        }
        transform(&a, &b)
        for index in 0..<size {
            let (x, y) = (a[index], b[index])
            a[index] = x * chirp.filterReal[index] - y * chirp.filterImaginary[index]
            b[index] = x * chirp.filterImaginary[index] + y * chirp.filterReal[index]
        }
        // The inverse transform, by exchanging the parts.
        transform(&b, &a)
        for index in 0..<length {
            let (x, y) = (a[index] / Double(size), b[index] / Double(size))
            real[index] = x * chirp.real[index] - y * chirp.imaginary[index]
            imaginary[index] = x * chirp.imaginary[index] + y * chirp.real[index]
        }
    }

    /// The power of two, decimated in time.
    private func transform(_ real: inout [Double], _ imaginary: inout [Double]) {
        var target = 0
        for index in 0..<size {
            if index < target {
                real.swapAt(index, target)
                imaginary.swapAt(index, target)
            }
            var bit = size >> 1
            while bit > 0, target & bit != 0 {
                target ^= bit
                bit >>= 1
            }
            target |= bit
        }
        var half = 1
        while half < size {
            let step = size / (2 * half)
            for start in stride(from: 0, to: size, by: 2 * half) {
                for offset in 0..<half {
                    let (c, s) = (cosines[offset * step], sines[offset * step])
                    let (low, high) = (start + offset, start + offset + half)
                    let x = real[high] * c - imaginary[high] * s
                    let y = real[high] * s + imaginary[high] * c
                    real[high] = real[low] - x
                    imaginary[high] = imaginary[low] - y
                    real[low] += x
                    imaginary[low] += y
                }
            }
            half *= 2
        }
    }
}
