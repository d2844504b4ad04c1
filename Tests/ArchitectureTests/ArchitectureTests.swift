import Foundation
import TestSupport
import Testing

@Suite struct ArchitectureTests {
    @Test(arguments: SourceTree.files)
    func importsPointUp(file: SourceTree.File) {
        #expect(ImportRules.violations(in: file.text, of: file.module) == [])
    }

    @Test func theFilesAreThere() {
        let modules = Set(SourceTree.files.map(\.module))
        #expect(
            modules.isSuperset(of: ["Tensors", "GGUF", "ComputeGraph", "Quantization", "Tokenization", "Operations"]))
        #expect(modules.isSuperset(of: ["LlamaModel", "Recording", "Tracing", "Lessons", "Presentation", "quipu"]))
        #expect(SourceTree.files.reduce(0) { $0 + ImportRules.imports(in: $1.text).count } > 200)
    }

    @Test(arguments: SourceTree.files)
    func filesAreShort(file: SourceTree.File) {
        #expect(Self.lineCount(file.text) <= 400)
    }

    @Test func aLongFileIsNoticed() {
        #expect(Self.lineCount(String(repeating: "// line\n", count: 401)) == 401)
    }

    private static func lineCount(_ text: String) -> Int {
        text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
    }

    /// Files that break one rule each, and what the checker must say.
    @Test(arguments: [
        ("Tensors", "import GGUF", "Tensors (row 0) imports GGUF (row 1)"),
        ("GGUF", "import ComputeGraph", "GGUF (row 1) imports ComputeGraph (row 1)"),
        ("ComputeGraph", "import SIMDKernels", "ComputeGraph (row 1) imports SIMDKernels (row 1)"),
        ("Operations", "import LlamaModel", "Operations (row 3) imports LlamaModel (row 4)"),
        ("LlamaModel", "import Recording", "LlamaModel (row 4) imports Recording (row 6)"),
        ("Recording", "import Presentation", "Recording (row 6) imports Presentation (row 9)"),
        ("LlamaModel", "import Foundation", "LlamaModel (row 4) imports Foundation, allowed from row 5"),
        ("GGUF", "import struct Foundation.Data", "GGUF (row 1) imports Foundation, allowed from row 5"),
        ("GGUF", "@preconcurrency public import Foundation", "GGUF (row 1) imports Foundation, allowed from row 5"),
        ("Quantization", "import RealModule", "Quantization (row 2) imports RealModule, allowed from row 3"),
        ("Tracing", "import GRDB", "Tracing imports GRDB, which only [\"Recording\"] may"),
        ("Tracing", "import Libcrypto", "Tracing imports Libcrypto, which only [\"Recording\"] may"),
        ("quipu", "import Rainbow", "quipu imports Rainbow, which only [\"Presentation\"] may"),
        ("Presentation", "import ArgumentParser", "Presentation imports ArgumentParser, which only [\"quipu\"] may"),
        ("Recording", "import SQLite3", "Recording imports SQLite3, which no rule allows"),
        ("Plumbing", "", "module Plumbing has no row"),
    ])
    func theCheckerFindsViolations(module: String, line: String, violation: String) {
        let text = "import Swift\n/// import GGUF\n#if os(Linux)\n    \(line)\n#endif\nlet important = 1"
        let allowed = text.replacing("import Swift\n", with: "")
        #expect(ImportRules.violations(in: allowed, of: module) == [violation])
    }

    @Test(.enabled(if: SourceTree.tracked != nil, "needs a git checkout"))
    func noFileNamesSomebodysMachine() throws {
        for path in try #require(SourceTree.tracked) {
            // A deleted file is tracked until the deletion is committed.
            guard let bytes = try? Data(contentsOf: Places.package.appending(path: path)) else { continue }
            #expect(MachinePaths.found(in: bytes) == [], "\(path)")
        }
    }

    @Test(arguments: ["home", "Users", "root", "work"])
    func machinePathsAreFound(folder: String) {
        let path = "/\(folder)/someone/model.gguf"
        #expect(MachinePaths.found(in: Data("\u{0}\u{ff}open(\"\(path)\")".utf8)) == [path + "\")"])
        #expect(MachinePaths.found(in: Data("see https://example.org\(path)".utf8)) == [])
    }
}
