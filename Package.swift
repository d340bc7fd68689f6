// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Martlet: modules as data; loading fails when an arrow points up (Documentation/Architecture.md).
import PackageDescription

/// The five layers, lowest first. A module may use its own layer and those below.
enum Layer: Int {
    case base, compute, models, platform, surface
    var folder: String {
        switch self {
        case .base: "Base"
        case .compute: "Compute"
        case .models: "Models"
        case .platform: "Platform"
        case .surface: "Surface"
        }
    }
}

enum Kind { case swift, c, system(pkgConfig: String, apt: String), executable }

struct Module {
    var name: String
    var layer: Layer
    var kind: Kind = .swift
    var uses: [String] = []
    var packages: [Target.Dependency] = []
    var isProduct = false
    var hasTests = true
    var testUses: [String] = []
}

// MARK: Packages

let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let context = Target.Dependency.product(
    name: "ServiceContextModule", package: "swift-service-context")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let collections = Target.Dependency.product(name: "Collections", package: "swift-collections")

// MARK: Modules

let modules: [Module] = [
    // Base
    Module(name: "CMartletKernels", layer: .base, kind: .c, hasTests: false),
    Module(name: "CMartletPlatform", layer: .base, kind: .c, hasTests: false),
    Module(name: "CMartletImages", layer: .base, kind: .c, hasTests: false),
    Module(name: "CMartletNumbers", layer: .base, kind: .c, hasTests: false),
    Module(
        name: "CMartletZlib", layer: .base,
        kind: .system(pkgConfig: "zlib", apt: "zlib1g-dev"), hasTests: false),
    Module(
        name: "CMartletYAML", layer: .base,
        kind: .system(pkgConfig: "yaml-0.1", apt: "libyaml-dev"), hasTests: false),
    Module(
        name: "CMartletCrypto", layer: .base,
        kind: .system(pkgConfig: "libcrypto", apt: "libssl-dev"), hasTests: false),
    Module(
        name: "CMartletSignatures", layer: .base,
        kind: .system(pkgConfig: "libcrypto", apt: "libssl-dev"), hasTests: false),
    Module(name: "MartletSignatures", layer: .base, uses: ["CMartletSignatures"]),
    Module(
        name: "MartletBase", layer: .base,
        uses: ["CMartletKernels", "CMartletPlatform", "CMartletCrypto"],
        isProduct: true),
    Module(
        name: "MartletFormats", layer: .base,
        uses: ["MartletBase", "MartletJSON", "MartletStorage"],
        isProduct: true),
    Module(
        name: "MartletImages", layer: .base, uses: ["MartletBase", "CMartletImages"]),
    Module(
        name: "MartletStorage", layer: .base, uses: ["MartletBase", "CMartletPlatform"]),
    Module(
        name: "MartletJSON", layer: .base, uses: ["MartletBase", "CMartletNumbers"],
        isProduct: true),
    Module(name: "MartletWire", layer: .base, uses: ["MartletBase", "CMartletZlib"]),
    Module(name: "MartletYAML", layer: .base, uses: ["CMartletYAML"]),
    Module(name: "MartletResilience", layer: .base, uses: ["MartletBase"], isProduct: true),
    // Compute
    Module(
        name: "MartletTensor", layer: .compute,
        uses: ["MartletBase", "CMartletKernels", "CMartletPlatform"], isProduct: true),
    Module(
        name: "MartletGraph", layer: .compute,
        uses: ["MartletBase", "MartletFormats", "MartletStorage", "MartletTensor"],
        isProduct: true),
    Module(
        name: "MartletEngine", layer: .compute,
        uses: [
            "MartletBase", "MartletFormats", "MartletStorage", "MartletTensor", "MartletGraph",
            "CMartletKernels",
        ],
        isProduct: true),
    Module(name: "CMartletONNXRuntime", layer: .compute, kind: .c, hasTests: false),
    Module(
        name: "MartletONNXRuntime", layer: .compute,
        uses: [
            "MartletBase", "MartletJSON", "MartletStorage", "MartletTensor", "MartletEngine",
            "CMartletONNXRuntime",
        ],
        isProduct: true, testUses: ["MartletFormats", "MartletGraph"]),
    // Models
    Module(
        name: "MartletTokenizers", layer: .models,
        uses: ["MartletBase", "MartletFormats", "MartletJSON", "MartletStorage"],
        isProduct: true),
    Module(
        name: "MartletLanguage", layer: .models,
        uses: [
            "MartletBase", "MartletFormats", "MartletJSON", "MartletStorage", "MartletTensor",
            "MartletGraph", "MartletEngine", "MartletTokenizers",
        ],
        isProduct: true),
    // Platform
    Module(
        name: "MartletServing", layer: .platform,
        uses: [
            "MartletBase", "MartletFormats", "MartletImages", "MartletJSON", "MartletStorage",
            "MartletTensor", "MartletGraph", "MartletEngine", "MartletTokenizers",
            "MartletLanguage",
        ],
        packages: [collections, logging, metrics, tracing, context, lifecycle],
        isProduct: true),
    Module(
        name: "MartletGateway", layer: .platform,
        uses: [
            "MartletBase", "MartletJSON", "MartletYAML", "MartletResilience", "MartletSignatures",
        ],
        isProduct: true, testUses: ["MartletStorage"]),
    // Surface
    Module(
        name: "MartletTelemetry", layer: .surface, uses: ["MartletBase"],
        packages: [logging, coreMetrics, metrics, tracing, context], isProduct: true),
    Module(
        name: "MartletConfiguration", layer: .surface, uses: ["MartletBase", "MartletYAML"]),
    Module(
        name: "MartletHTTP", layer: .surface,
        uses: [
            "MartletBase", "MartletJSON", "MartletWire", "MartletTensor", "MartletEngine",
            "MartletTokenizers", "MartletLanguage", "MartletServing",
        ],
        packages: [nio, nioPosix, nioSSL, logging, metrics, tracing, context, lifecycle],
        isProduct: true),
    Module(
        name: "MartletProxy", layer: .surface,
        uses: [
            "MartletBase", "MartletJSON", "MartletStorage", "MartletWire", "MartletResilience",
            "MartletGateway", "MartletSignatures", "MartletYAML",
        ],
        packages: [nio, nioPosix, nioSSL, logging, lifecycle],
        isProduct: true),
    Module(
        name: "MartletGRPC", layer: .surface,
        uses: [
            "MartletBase", "MartletFormats", "MartletWire", "MartletTensor", "MartletServing",
        ],
        packages: [
            nio, nioPosix, nioSSL, logging, metrics, tracing, context, lifecycle,
        ],
        isProduct: true),
    Module(
        name: "martlet", layer: .surface, kind: .executable,
        uses: [
            "MartletBase", "MartletFormats", "MartletJSON", "MartletStorage", "MartletTensor",
            "MartletGraph", "MartletEngine", "MartletONNXRuntime", "MartletTokenizers",
            "MartletLanguage", "MartletServing", "MartletTelemetry", "MartletHTTP", "MartletGRPC",
            "MartletWire",
            "MartletConfiguration", "MartletYAML", "MartletResilience", "MartletGateway",
            "MartletProxy", "CMartletPlatform",
        ],
        packages: [arguments, logging, metrics, tracing, lifecycle, signals, nio], hasTests: false),
]

// MARK: Checks

let layerOf = Dictionary(uniqueKeysWithValues: modules.map { ($0.name, $0.layer) })
for module in modules {
    for used in module.uses + module.testUses {
        guard let layer = layerOf[used] else {
            fatalError("Package.swift: \(module.name) uses the unknown module \(used)")
        }
        guard layer.rawValue <= module.layer.rawValue else {
            fatalError(
                "Package.swift: \(module.name) (\(module.layer.folder)) may not use \(used) "
                    + "(\(layer.folder)): arrows point down")
        }
    }
}

// MARK: Part of the house

/// `MARTLET_ONLY="A B" swift build --build-tests` builds the named modules with their tests and
/// what those use, for whoever works in one room.
let wanted: Set<String>? = Context.environment["MARTLET_ONLY"].map { names in
    let byName = Dictionary(uniqueKeysWithValues: modules.map { ($0.name, $0) })
    var found: Set<String> = []
    // What MartletTesting uses, and with it every test.
    var open = names.split(separator: " ").map(String.init) + ["MartletServing"]
    while let name = open.popLast() {
        guard found.insert(name).inserted, let module = byName[name] else { continue }
        open += module.uses + module.testUses
    }
    return found
}
let named = Set((Context.environment["MARTLET_ONLY"] ?? "").split(separator: " ").map(String.init))
let built = modules.filter { wanted?.contains($0.name) ?? true }
let tested = built.filter { $0.hasTests && (wanted == nil || named.contains($0.name)) }

// MARK: Targets

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

func target(_ module: Module) -> Target {
    let path = "Sources/\(module.layer.folder)/\(module.name)"
    let dependencies = module.uses.map { Target.Dependency.byName(name: $0) } + module.packages
    switch module.kind {
    case .swift:
        return .target(
            name: module.name, dependencies: dependencies, path: path,
            swiftSettings: swiftSettings)
    case .executable:
        return .executableTarget(
            name: module.name, dependencies: dependencies, path: path,
            swiftSettings: swiftSettings)
    case .c:
        let libraries: [LinkerSetting] =
            module.name == "CMartletImages"
            ? [.linkedLibrary("jpeg"), .linkedLibrary("png")]
            : [.linkedLibrary("m"), .linkedLibrary("dl")]
        return .target(
            name: module.name, dependencies: dependencies, path: path,
            linkerSettings: libraries)
    case .system(let pkgConfig, let apt):
        return .systemLibrary(
            name: module.name, path: path, pkgConfig: pkgConfig, providers: [.apt([apt])])
    }
}

let allocationCounter = Target.target(
    name: "CMartletAllocations", path: "Tests/Support/CMartletAllocations")

let testSupport = Target.target(
    name: "MartletTesting",
    dependencies: [
        "CMartletAllocations",
        "MartletBase", "MartletFormats", "MartletStorage", "MartletTensor", "MartletGraph",
        "MartletEngine", "MartletJSON", "MartletTokenizers", "MartletLanguage",
        "MartletServing", tracing, context, logging,
    ],
    path: "Tests/Support/MartletTesting", swiftSettings: swiftSettings)

func testTarget(_ module: Module) -> Target {
    .testTarget(
        name: module.name + "Tests",
        dependencies: [.byName(name: module.name), "MartletTesting"]
            + (module.uses + module.testUses).map { .byName(name: $0) } + module.packages
            + (module.layer == .surface ? [nioEmbedded] : []),
        path: "Tests/\(module.layer.folder)/\(module.name)Tests",
        exclude: [], resources: [], swiftSettings: swiftSettings)
}

let allExtraTests: [Target] = [
    .testTarget(
        name: "TidyTests", dependencies: [], path: "Tests/TidyTests",
        swiftSettings: swiftSettings),
    .testTarget(
        name: "SimulationTests",
        dependencies: [
            "MartletBase", "MartletTensor", "MartletEngine", "MartletServing", "MartletTesting",
            "MartletResilience", "MartletGateway", "MartletTokenizers", "MartletLanguage",
        ],
        path: "Tests/SimulationTests", swiftSettings: swiftSettings),
]

let extraTests = allExtraTests.filter { wanted == nil || named.contains($0.name) }

/// Measured, not shipped: Benchmarks/<name>, built by name for release.
let benchmarks: [Target] = [
    .executableTarget(
        name: "BatcherBenchmark", dependencies: ["MartletBase", "MartletServing"],
        path: "Benchmarks/batcher/Sources", swiftSettings: swiftSettings),
    .executableTarget(
        name: "GatewayBenchmark",
        dependencies: ["MartletStorage", "MartletGateway", "MartletProxy", logging],
        path: "Benchmarks/gateway/Sources", swiftSettings: swiftSettings),
]

let package = Package(
    name: "martlet",
    products: built.filter(\.isProduct).map { .library(name: $0.name, targets: [$0.name]) }
        + built.filter { $0.name == "martlet" }
        .map { .executable(name: $0.name, targets: [$0.name]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-service-context", from: "1.5.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: built.map(target) + [allocationCounter, testSupport] + tested.map(testTarget)
        + extraTests + benchmarks.filter { wanted == nil || named.contains($0.name) },
    cLanguageStandard: .gnu11)
