// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The kernels are reached through a symbolic link, so that measuring them builds nothing else.
internal import PackageDescription

let package = Package(
    name: "kernels-benchmark",
    targets: [
        .target(name: "CMartletKernels", linkerSettings: [.linkedLibrary("m")]),
        .target(name: "CPeak"),
        .executableTarget(
            name: "KernelsBenchmark", dependencies: ["CMartletKernels", "CPeak"]),
    ],
    cLanguageStandard: .gnu11)
