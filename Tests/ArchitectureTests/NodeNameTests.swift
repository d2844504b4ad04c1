import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import TestSupport
import Testing

/// Only the builders know nodes by name: everybody else asks for roles.
@Suite struct NodeNameTests {
    /// llama.cpp's names of all architectures' nodes, without layers and what views add.
    static let stems: [String] = {
        let paths = ArchitectureFixture.all.map(\.path) + TinyModel.allCases.map(\.path)
        let names = paths.flatMap { path in
            let model = try! Llama(file: GGUFFile(path: path))
            let pass = try! Session(model, positions: 4, threads: 1).pass(over: [0, 1])
            return pass.interpreter.graph.nodes.map(\.name)
        }
        let stems = names.map { $0.replacing(#/ \(.*/#, with: "").replacing(/(-|_l)\d+$/, with: "") }
        // `norm` is a word like any other, `node_12` a number, and `q` and `kv` are too short to be told from anything.
        return Set(stems).filter { $0 != "norm" && $0.count > 2 && !$0.hasPrefix("node_") }.sorted()
    }()

    /// Where names stand all the same, and why.
    private static let exceptions: [(path: String, names: Set<String>, reason: String)] = [
        ("Sources/LlamaModel/", Set(stems), "the builders"),
        ("Sources/Recording/Schema", Set(stems), "migrations, which are never edited"),
        ("Sources/Quantizing/Quantize/", ["ffn_gate", "ffn_up", "ffn_down"], "names of weights"),
        ("Sources/ReportPage/Page/quantisation.js", ["ffn_gate", "ffn_up", "ffn_down"], "names of weights"),
        ("Sources/Presentation/Lens/LensReport.swift", ["embd"], "a label"),
        ("Sources/Tracing/WhatIf/ControlVector.swift", ["l_out"], "what llama.cpp adds them to"),
    ]

    /// Names that code knows: `"l_out"`, `"l_out-\(layer)"`, `` `l_out-${layer}` ``, `/^(l_out|ffn_inp)-/`. Examples that a
    /// person would type, such as `kq-3`, are none.
    static func names(in text: String) -> [String] {
        text.components(separatedBy: "\n").flatMap { line -> [String] in
            let code = line.drop { $0 == " " }
            guard !code.hasPrefix("//"), !code.hasPrefix("*"), !code.hasPrefix("/*") else { return [] }
            let whole = NSRange(line.startIndex..., in: line)
            return known.matches(in: line, range: whole).map { String(line[Range($0.range(at: 1), in: line)!]) }
        }
    }

    /// Foundation's: Swift's took twenty seconds for all files.
    private static let known: NSRegularExpression = {
        let pattern = #"["'`^(|](#names)(?=-?["'`)|$]|-?\\\(|-\\d|-?\$\{| \()"#
        return try! NSRegularExpression(
            pattern: pattern.replacing("#names", with: stems.joined(separator: "|")))
    }()

    private static let scripts: [(path: String, text: String)] = {
        let folder = Places.package.appending(path: "Sources/ReportPage/Page")
        return try! FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".js") }.map {
            ("Sources/ReportPage/Page/\($0)", try! String(contentsOf: folder.appending(path: $0), encoding: .utf8))
        }
    }()

    @Test func nobodyElseKnowsNodesByName() {
        let files = SourceTree.files.map { ($0.path, $0.text) } + Self.scripts
        #expect(files.count > 300 && Self.stems.count > 20)
        for (path, text) in files {
            let allowed = Self.exceptions.filter { path.hasPrefix($0.path) }.reduce(into: Set()) {
                $0.formUnion($1.names)
            }
            let found = Set(Self.names(in: text)).subtracting(allowed)
            #expect(found.isEmpty, "\(path) asks for \(found.sorted()); ask for roles (docs/trace.md)")
        }
    }

    @Test(arguments: [
        (#"case "kqv_out": 1"#, ["kqv_out"]), (#"name == "l_out-\(layer)""#, ["l_out"]),
        (#"$0.name.hasPrefix("l_out-")"#, ["l_out"]), ("graph.name.indexOf(`kq_soft_max-${layer}`)", ["kq_soft_max"]),
        ("/^(l_out|ffn_inp)-/.test(name)", ["l_out", "ffn_inp"]), (#"for "attn_out (view)""#, ["attn_out"]),
        (#"such as "kq-3" or 'ffn_out-*'"#, []), (#"// was "l_out""#, []), (#"case "query": 1"#, []),
    ])
    func theCheckerFindsNames(line: String, names: [String]) {
        #expect(Self.names(in: line) == names)
    }
}
