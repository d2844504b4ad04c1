// swift-tools-version: 6.2
import PackageDescription

/// Programs of ten lines on Quipu's libraries. A package of your own names a version instead of the path:
/// `.package(url: "…/quipu", .upToNextMinor(from: "0.2.0"))`.
let package = Package(
    name: "examples",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "quipu", path: "..")],
    targets: [
        .executableTarget(name: "list-tensors", dependencies: [.product(name: "GGUF", package: "quipu")]),
        .executableTarget(
            name: "decode-blocks",
            dependencies: [
                .product(name: "GGUF", package: "quipu"), .product(name: "Quantization", package: "quipu"),
            ]),
    ]
)
