// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let package = Package(
    name: "json-bench",
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "json-bench", dependencies: [.product(name: "MartletJSON", package: "martlet")],
            swiftSettings: [.strictMemorySafety(), .treatAllWarnings(as: .error)])
    ])
