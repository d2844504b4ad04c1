// swift-tools-version: 6.2
import PackageDescription

/// For modules in which nobody waits for a loop: words, options, pages. Optimising these took a third of a build.
let unoptimised: [SwiftSetting] = [
    .unsafeFlags(
        ["-Onone", "-no-whole-module-optimization", "-enable-batch-mode"],
        .when(configuration: .release))
]

/// One target per module of the architecture, in row order: a module imports only from rows above its own.
/// `Tests/ArchitectureTests` holds every file's imports against the same table.
let package = Package(
    name: "quipu",
    // `InlineArray` came with macOS 26.
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "quipu", targets: ["quipu"]),
        // For other people's code: docs/libraries.md.
        .library(name: "GGUF", targets: ["GGUF", "Tensors"]),
        .library(name: "Quantization", targets: ["Quantization", "Tensors"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.0")),
        .package(url: "https://github.com/groue/GRDB.swift", .upToNextMinor(from: "7.10.0")),
        .package(url: "https://github.com/apple/swift-numerics", .upToNextMinor(from: "1.1.0")),
        .package(url: "https://github.com/onevcat/Rainbow", .upToNextMinor(from: "4.2.0")),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", .upToNextMinor(from: "2.1.0")),
        .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.0")),
    ],
    targets: [
        // row 0
        .target(name: "Tensors"),
        // row 1
        .target(name: "GGUF", dependencies: ["Tensors"]),
        .target(name: "SIMDKernels"),
        .target(name: "Jinja", dependencies: ["Tensors"], swiftSettings: unoptimised),
        .target(name: "ComputeGraph", dependencies: ["Tensors"]),
        // row 2
        .target(name: "Quantization", dependencies: ["Tensors", "SIMDKernels"]),
        .target(name: "Tokenization", dependencies: ["Tensors", "GGUF", "Jinja"]),
        // row 3
        .target(
            name: "Operations",
            dependencies: [
                "Tensors", "SIMDKernels", "Quantization", "ComputeGraph",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        .target(
            name: "Quantizing",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        // row 4
        .target(
            name: "LlamaModel",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        // row 5
        .target(name: "ProgramFiles", dependencies: ["Tensors", "GGUF"], swiftSettings: unoptimised),
        // row 6
        .target(
            name: "EmbeddedModel", dependencies: ["Tensors", "ProgramFiles"], path: "models",
            exclude: [
                "README.md", "micro-world-qat-q4_0.gguf",
                // the recipe
                "batches.py", "before_gguf.py", "check_file.py", "curve.py", "deepseek2.py", "evaluate.py",
                "experts.py",
                "export.py", "fake_quant.py", "gguf_file.py", "heads.py", "micro_world.py", "model.py", "outliers.py",
                "requirements.txt", "train.sh", "train_micro_world.py",
                // what was measured
                "curve.csv", "curve.svg", "evaluation.json", "experts-curve.csv", "experts-curve.svg",
                "experts-evaluation.json", "experts.json", "heads.json", "quantised-f16.json", "quantised-q2_k.json",
                "quantised-q4_0.json",
            ],
            resources: [
                .copy("before-gguf.bin"), .copy("before-gguf.gguf"), .copy("micro-world-experts-q8_0.gguf"),
                .copy("micro-world-f16.gguf"), .copy("micro-world-held-out.txt"), .copy("micro-world-qat-q2_k.gguf"),
            ]),
        .target(
            name: "Recording",
            dependencies: [
                "Tensors", "GGUF", "SIMDKernels", "ComputeGraph", "Quantization", "Operations", "LlamaModel",
                "ProgramFiles",
                .target(name: "Libcrypto", condition: .when(platforms: [.linux])),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        // SHA-256 where CryptoKit is not.
        .systemLibrary(name: "Libcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "Measuring",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations", "Quantizing",
                "LlamaModel",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        // row 7
        .target(
            name: "Tracing",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations", "Quantizing",
                "LlamaModel", "ProgramFiles", "Recording", "Measuring",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        // row 8
        .target(
            name: "Stepping",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Operations", "LlamaModel", "Recording", "Measuring", "Tracing",
            ], swiftSettings: unoptimised),
        .target(
            name: "Lessons",
            dependencies: [
                "Tensors", "GGUF", "Quantization", "Quantizing", "Tokenization", "ProgramFiles", "Recording",
                "Measuring",
                "Tracing", "Yams",
            ],
            resources: [.copy("../../lessons")]),
        // row 9
        .target(
            name: "Presentation",
            dependencies: [
                "Tensors", "GGUF", "Jinja", "ComputeGraph", "Quantization", "Tokenization", "Operations", "LlamaModel",
                "Recording", "Quantizing", "Measuring", "Tracing", "Stepping", "Lessons",
                "Rainbow",
            ], swiftSettings: unoptimised),
        .target(
            name: "ReportPage",
            dependencies: [
                "Tensors", "GGUF", "ComputeGraph", "Quantization", "Operations", "LlamaModel", "ProgramFiles",
                "Recording", "Quantizing", "Measuring", "Tracing",
                .product(name: "Mustache", package: "swift-mustache"),
            ],
            resources: [.copy("Page")], swiftSettings: unoptimised),
        // row 10
        .executableTarget(
            name: "quipu",
            dependencies: [
                "Tensors", "GGUF", "Jinja", "ComputeGraph", "Quantization", "Tokenization", "Operations", "LlamaModel",
                "ProgramFiles", "EmbeddedModel", "Recording", "Quantizing", "Measuring", "Tracing", "Stepping",
                "Lessons",
                "Presentation", "ReportPage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: unoptimised),

        .testTarget(name: "TensorsTests", dependencies: ["Tensors"]),
        .testTarget(name: "TokenizationTests", dependencies: ["Tokenization", "GGUF"]),
        .testTarget(name: "ProgramFilesTests", dependencies: ["ProgramFiles", "TestSupport"]),
        .testTarget(name: "JinjaTests", dependencies: ["Jinja"]),
        .testTarget(name: "GGUFTests", dependencies: ["GGUF", "Tensors"]),
        .testTarget(
            name: "QuantizationTests", dependencies: ["Quantization", "Tensors", "TestSupport"],
            exclude: ["make_encodings.py", "make_vectors.py"],
            resources: [.copy("Fixtures")]),
        // what Tests/Conformance/format_conformance.py asks
        .executableTarget(
            name: "FormatDriver", dependencies: ["Quantization", "Tensors"], path: "Tests/Conformance/FormatDriver"),
        // what Tests/Conformance/template_conformance.py asks
        .executableTarget(
            name: "TemplateDriver", dependencies: ["Jinja"], path: "Tests/Conformance/TemplateDriver"),
        .target(
            name: "TestSupport",
            dependencies: [
                "Tensors", "ComputeGraph", "GGUF", "LlamaModel", "Recording",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/TestSupport"),
        // what `make fuzz` tries, and the tests replay
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Tensors", "GGUF", "Jinja", "Quantization", "Tokenization", "LlamaModel", "Recording", "Stepping",
                "Lessons", "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/Fuzz/Targets"),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets", "TestSupport"], path: "Tests/Fuzz/Replay"),
        .testTarget(
            name: "PresentationTests",
            dependencies: [
                "Presentation", "ReportPage", "Operations", "Quantizing", "Measuring", "Tracing", "Stepping",
                "LlamaModel", "Quantization", "Recording", "Tensors", "TestSupport",
            ],
            exclude: ["Screens"]),
        .testTarget(
            // They run the program, which is built with the tests; as a dependency it would have to be built before them.
            name: "CommandTests",
            dependencies: ["GGUF", "LlamaModel", "Recording", "Tensors", "TestSupport"],
            exclude: ["step_on_a_terminal.py"]),
        .testTarget(
            name: "LessonsTests",
            dependencies: ["GGUF", "Lessons", "Quantization", "Recording", "TestSupport", "Tensors"]),
        .testTarget(
            name: "ArchitectureTests",
            dependencies: ["ComputeGraph", "GGUF", "LlamaModel", "Operations", "TestSupport"]),
        .testTarget(name: "ComputeGraphTests", dependencies: ["ComputeGraph", "Tensors", "TestSupport"]),
        .testTarget(
            name: "OperationsTests",
            dependencies: ["ComputeGraph", "LlamaModel", "Operations", "Quantization", "Tensors", "TestSupport"]),
        .testTarget(
            name: "LlamaModelTests",
            dependencies: ["ComputeGraph", "GGUF", "LlamaModel", "Operations", "Tensors", "TestSupport"]),
        .testTarget(
            name: "RecordingTests",
            dependencies: [
                "ComputeGraph", "GGUF", "LlamaModel", "Recording", "Tensors", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .testTarget(
            name: "QuantizingTests",
            dependencies: [
                "ComputeGraph", "GGUF", "Quantization", "Quantizing", "Tensors", "TestSupport", "Tokenization",
            ]),
        .testTarget(
            name: "MeasuringTests",
            dependencies: [
                "ComputeGraph", "GGUF", "LlamaModel", "Measuring", "Operations", "Quantization", "Quantizing",
                "Tensors",
                "TestSupport", .product(name: "RealModule", package: "swift-numerics"),
            ]),
        .testTarget(
            name: "TracingTests",
            dependencies: [
                "ComputeGraph", "GGUF", "LlamaModel", "Measuring", "Operations", "Quantization", "Quantizing",
                "Recording", "Tensors", "TestSupport", "Tracing",
                .product(name: "RealModule", package: "swift-numerics"),
            ]),
        .testTarget(
            name: "SteppingTests",
            dependencies: ["LlamaModel", "Recording", "Stepping", "TestSupport", "Tracing"]),
    ],
    swiftLanguageModes: [.v6]
)

// It needs libFuzzer, and everything compiled for it: scripts/fuzz.sh.
if Context.environment["QUIPU_FUZZ"] == "1" {
    package.targets.append(
        .executableTarget(name: "FuzzDriver", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Driver"))
}

// Compiled as a whole, a module of tests takes less than file by file; but the largest, the last to be compiled, would have
// one core wait.
for target in package.targets where target.type == .test || ["TestSupport", "FuzzTargets"].contains(target.name) {
    target.swiftSettings =
        target.name == "CommandTests" ? unoptimised : [.unsafeFlags(["-Onone"], .when(configuration: .release))]
}

// `make` builds with `-Xswiftc -Onone`, so that nobody waits for the optimisation of libraries in which no loop is hot.
// SwiftPM puts it after a target's flags. What the front end is told comes last: our loops are optimised all the same.
if Context.environment["QUIPU_PLAIN_LIBRARIES"] == "1" {
    for target in package.targets where target.type != .system && target.swiftSettings == nil {
        target.swiftSettings = [
            .unsafeFlags(["-Xfrontend", "-O", "-Xfrontend", "-enable-default-cmo"], .when(configuration: .release))
        ]
    }
}

// Warnings are errors where CI asks for it, and nowhere else: another compiler may warn of other things.
if Context.environment["QUIPU_STRICT"] == "1" {
    for target in package.targets where target.type != .system {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
    // In C only: of a Swift target's flags for C, SwiftPM drops these in a dependency but leaves their `-Xcc`.
    for target in package.targets where target.name == "SIMDKernels" {
        target.cSettings = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]
    }
}
