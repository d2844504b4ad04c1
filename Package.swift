// swift-tools-version: 6.2
import PackageDescription

/// One target per module of the architecture, in row order: a module imports only from rows above its own.
/// `Tests/ArchitectureTests` holds every file's imports against the same table.
let package = Package(
    name: "quipu",
    products: [
        .executable(name: "quipu", targets: ["quipu"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.0"),
    ],
    targets: [
        // row 0
        .target(name: "Tensors"),
        // row 1
        .target(name: "GGUF", dependencies: ["Tensors"]),
        .target(name: "ComputeGraph", dependencies: ["Tensors"]),
        // row 2
        .target(name: "Quantization", dependencies: ["Tensors"]),
        .target(name: "Tokenization", dependencies: ["GGUF"]),
        // row 3
        .target(name: "Operations", dependencies: ["Tensors", "Quantization", "ComputeGraph"]),
        // row 4
        .target(
            name: "LlamaModel",
            dependencies: ["Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations"]),
        // row 5
        .target(
            name: "Recording",
            dependencies: [
                "Tensors", "ComputeGraph", "LlamaModel", .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        // row 7
        .target(
            name: "Presentation",
            dependencies: ["Tensors", "GGUF", "ComputeGraph", "LlamaModel", "Recording", "Rainbow"]),
        // row 8
        .executableTarget(
            name: "quipu",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations", "LlamaModel",
                "Recording", "Presentation",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        .testTarget(name: "TensorsTests", dependencies: ["Tensors"]),
        .testTarget(
            name: "QuantizationTests", dependencies: ["Quantization"], exclude: ["make_vectors.py"],
            resources: [.copy("Fixtures")]),
    ],
    swiftLanguageModes: [.v6]
)
