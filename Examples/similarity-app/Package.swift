// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "similarity-app",
    dependencies: [
        .package(name: "martlet", path: "../.."),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    ],
    targets: [
        .executableTarget(
            name: "App",
            dependencies: [
                .product(name: "MartletServing", package: "martlet"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ]),
        .executableTarget(
            name: "Chat",
            dependencies: [.product(name: "MartletLanguage", package: "martlet")]),
    ])
