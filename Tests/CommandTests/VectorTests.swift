import Foundation
import TestSupport
import Testing

/// Vectors that are added to a run, and `vector make`.
@Suite struct VectorTests {
    typealias Object = [String: Any]

    /// A `.npy` file of F32.
    private static func write(_ values: [Float], to name: String, in bench: Workbench) throws {
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(values.count),), }"
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0])
        data.append(Data(header.utf8))
        for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) } }
        try data.write(to: URL(filePath: bench.folder.path(name)))
    }

    /// The whole output of an operation in the prompt's pass, row by row.
    private static func rows(_ bench: Workbench, _ trace: String, _ name: String, step: Int = 0) throws -> [[Float]] {
        let shape = try bench.row(
            "SELECT ne0, ne1 FROM op JOIN pass ON pass.id = pass_id WHERE name = '\(name)' AND step = \(step)",
            of: trace)
        return try (0..<(shape["ne1"] as! Int)).map { row in
            let found = try bench.row(
                """
                SELECT row(data, \(row), ne0) AS r FROM op JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id
                WHERE op.name = '\(name)' AND step = \(step)
                """, of: trace)
            let text = try #require(found["r"] as? String)
            // What is written are the shortest digits of a Float.
            return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Double]).map { Float($0) }
        }
    }

    private static func values(_ bench: Workbench, _ trace: String) throws -> String {
        try bench.quipu("sql", trace, "SELECT op_id, chunk, hex(data) AS d FROM tensor ORDER BY 1, 2", "--json").output
    }

    /// What the parent recorded has the parent's changes already.
    @Test(arguments: [
        ["--scale", "l_out-2=1.5"], ["--add", "l_out-2=0.5"], ["--set", "l_out-2*=3"], ["--set", "l_out-2=0"],
    ])
    func aRunOfAChangedRunIsTheSame(change: [String]) throws {
        let bench = try Workbench()
        try bench.addTrace()
        #expect(try bench.quipu(["trace", "--from", "trace.db", "-o", "child.db"] + change).status == 0)
        #expect(try bench.quipu("trace", "--from", "child.db", "-o", "again.db").status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "again.db"))
        #expect(try Self.values(bench, "child.db") != Self.values(bench, "trace.db"))
        // And with one more, as if both had been made at once.
        let more = ["--scale", "ffn_out-3=2"]
        #expect(try bench.quipu(["trace", "--from", "child.db", "-o", "more.db"] + more).status == 0)
        #expect(try bench.quipu(["trace", "--from", "trace.db", "-o", "both.db"] + change + more).status == 0)
        #expect(try Self.values(bench, "more.db") == Self.values(bench, "both.db"))
    }

    @Test func aVectorIsAddedToEachRow() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let before = try Self.rows(bench, "trace.db", "l_out-2")
        let vector = before[0].indices.map { Float($0 % 7) * 0.25 - 0.6 }
        try Self.write(vector, to: "v.npy", in: bench)
        let child = try bench.quipu(
            "trace", "--from", "trace.db", "--add", "l_out-2=v.npy*1.5", "-o", "child.db", "--json")
        #expect(child.status == 0, "\(child.errors)")
        for step in 0..<4 {
            let (old, new) = (
                try Self.rows(bench, "trace.db", "l_out-2", step: step),
                try Self.rows(bench, "child.db", "l_out-2", step: step)
            )
            // Of later passes the tokens may be others; that the values go on from there is checked by `verify`.
            guard step == 0 else {
                #expect(old.count == new.count)
                continue
            }
            for (x, y) in zip(old, new) { #expect(zip(x, vector).map { $0 + $1 * 1.5 } == y) }
        }
        #expect(try Self.rows(bench, "child.db", "l_out-1") == Self.rows(bench, "trace.db", "l_out-1"))
        // Without its parent, and without the file: the trace holds the vector.
        let alone = [
            "trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "--add", "l_out-2=v.npy*1.5", "-o", "alone.db",
        ]
        #expect(try bench.quipu(alone).status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "alone.db"))
        try FileManager.default.removeItem(atPath: bench.folder.path("v.npy"))
        #expect(try bench.quipu("verify", "child.db").status == 0)
        #expect(try bench.quipu("trace", "--from", "child.db", "-o", "again.db").status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "again.db"))
        let row = try bench.row("SELECT kind, target, spec FROM intervention", of: "child.db")
        #expect(row as? [String: String] == ["kind": "add", "target": "l_out-2", "spec": "v.npy*1.5"])
        let told = try bench.quipu("explain", "element", "child.db", "l_out-2[3,1]")
        #expect(told.status == 0 && told.output.contains("--add l_out-2=v.npy*1.5"), "\(told.output)")
    }

    @Test func numbersAndElements() throws {
        let bench = try Workbench()
        try bench.addTrace()
        for (number, options) in [
            ["--add", "ffn_out-1[3:6,2]=0.5"], ["--set", "ffn_out-1[3:6,2]+=0.5"],
        ].enumerated() {
            let outcome = try bench.quipu(["trace", "--from", "trace.db", "-o", "\(number).db"] + options)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let (old, new) = (
                try Self.rows(bench, "trace.db", "ffn_out-1"), try Self.rows(bench, "\(number).db", "ffn_out-1")
            )
            var expected = old
            for column in 3..<6 { expected[2][column] += 0.5 }
            #expect(new == expected)
        }
        #expect(try Self.values(bench, "0.db") == Self.values(bench, "1.db"))
        // Factors likewise, and nothing at all.
        try bench.quipu("trace", "--from", "trace.db", "--set", "ffn_out-1*=2", "-o", "2.db")
        try bench.quipu("trace", "--from", "trace.db", "--scale", "ffn_out-1=2", "-o", "3.db")
        #expect(try Self.values(bench, "2.db") == Self.values(bench, "3.db"))
        try bench.quipu("trace", "--from", "trace.db", "--add", "ffn_out-1=0", "-o", "4.db")
        #expect(try bench.quipu("diff", "4.db").status == 0)
    }

    private func addPrompts(_ bench: Workbench) throws {
        try bench.folder.write(
            """
            "Once upon a time there was a happy dog"
            {"prompt": "Lily was very happy and she smiled"}
            "They were happy"

            """, to: "pos.jsonl")
        try bench.folder.write(
            """
            "Once upon a time there was a sad cat who cried"
            {"prompt": "Lily was very sad and she cried"}
            "They were so sad"
            """, to: "neg.jsonl")
    }

    /// The differences of the streams after a layer, from traces of the prompts, filled up with spaces.
    private func differences(_ bench: Workbench, layer: Int) throws -> [[Float]] {
        let lines = [
            ("Once upon a time there was a happy dog", "Once upon a time there was a sad cat who cried"),
            ("Lily was very happy and she smiled", "Lily was very sad and she cried"),
            ("They were happy", "They were so sad"),
        ]
        func ids(_ text: String, special: Bool = true) throws -> [Int] {
            try #require(
                try bench.quipu(["tokenize", "model.gguf", text, "--json"] + (special ? [] : ["--no-add-special"]))
                    .object()["ids"]
                    as? [Int])
        }
        // The token of a space.
        let space = try ids(" ", special: false).last!
        return try lines.flatMap { a, b -> [[Float]] in
            var pair = [try ids(a), try ids(b)]
            let length = max(pair[0].count, pair[1].count)
            for side in 0..<2 { while pair[side].count < length { pair[side].append(space) } }
            let streams = try pair.map { ids -> [[Float]] in
                let text = ids.map(String.init).joined(separator: ",")
                try bench.quipu("trace", "model.gguf", "--ids", text, "-o", "p.db", "--force")
                return try Self.rows(bench, "p.db", "l_out-\(layer)")
            }
            return zip(streams[0], streams[1]).map { zip($0, $1).map { $0 - $1 } }.filter { $0.contains { $0 > 1e-6 } }
        }
    }

    @Test func directionsAreMeansAndEigenvectors() throws {
        let bench = try Workbench()
        try addPrompts(bench)
        let layer = 2
        let rows = try differences(bench, layer: layer).map { $0.map(Double.init) }
        let width = rows[0].count
        func made(_ options: String...) throws -> [Double] {
            let outcome = try bench.quipu(
                [
                    "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "v.gguf", "--force",
                    "--json",
                ]
                    + options)
            let layers = try #require(try outcome.object()["layers"] as? [Object], "\(outcome.errors)")
            #expect(layers.map { $0["direction"] as? Int } == [1, 2, 3, 4])
            #expect(layers[layer]["rows"] as? Int == rows.count)
            let shown = try bench.quipu("show", "v.gguf", "direction.\(layer + 1)", "--json").object()
            return try #require(shown["values"] as? [Double])
        }
        let mean = (0..<width).map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
        func size(_ vector: [Double]) -> Double { sqrt(vector.reduce(0) { $0 + $1 * $1 }) }
        let kept = try made("--keep-size")
        #expect(zip(kept, mean).allSatisfy { abs($0 - $1) < 1e-5 * size(mean) })
        let unit = try made()
        #expect(abs(size(unit) - 1) < 1e-6 && zip(unit, mean).allSatisfy { abs($0 - $1 / size(mean)) < 1e-5 })
        // An eigenvector, of the largest eigenvalue: what is left of the rows' squares in any other direction is less.
        let principal = try made("--method", "pca")
        func applied(_ v: [Double]) -> [Double] {
            var sum = [Double](repeating: 0, count: width)
            for row in rows {
                let along = zip(row, v).reduce(0) { $0 + $1.0 * $1.1 }
                for column in 0..<width { sum[column] += along * row[column] }
            }
            return sum
        }
        let image = applied(principal)
        let eigenvalue = zip(image, principal).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(size(zip(image, principal).map { $0 - eigenvalue * $1 }) < 1e-4 * eigenvalue)
        #expect(zip(principal, mean).reduce(0) { $0 + $1.0 * $1.1 } > 0)
        for row in rows {
            #expect(
                zip(applied(row), row).reduce(0) { $0 + $1.0 * $1.1 } <= eigenvalue * size(row) * size(row) * 1.0001)
        }
        let report = try bench.quipu(
            "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "p.gguf", "--method", "pca",
            "--json"
        ).object()
        let share = (report["layers"] as! [Object])[layer]["share"] as! Double
        #expect(abs(share - eigenvalue / rows.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } }) < 1e-6)
        // What it is says `inspect`.
        #expect(try bench.quipu("inspect", "v.gguf").output.contains("control vector"))
        let last = try bench.quipu(
            "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "--tokens", "last", "-o", "l.gguf",
            "--json")
        #expect((try last.object()["layers"] as? [Object])?.allSatisfy { $0["rows"] as? Int == 3 } ?? false)
        let page = try bench.quipu(
            "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "page.gguf")
        #expect(page.status == 0 && page.output.contains("Wrote page.gguf: 4 directions by mean of 3 pairs."))
        for line in page.lines where !line.contains("gguf") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func aControlVectorSteers() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try addPrompts(bench)
        for (name, method) in [("a", "mean"), ("b", "pca")] {
            #expect(
                try bench.quipu(
                    "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "--method", method, "-o",
                    "\(name).gguf"
                ).status == 0)
        }
        func direction(_ file: String, _ layer: Int) throws -> [Float] {
            let shown = try bench.quipu("show", file, "direction.\(layer)", "--json").object()
            return try #require(shown["values"] as? [Double]).map { Float($0) }
        }
        let both = ["--control-vector", "a.gguf*1.5", "--control-vector", "b.gguf*-0.25"]
        let child = try bench.quipu(["trace", "--from", "trace.db", "-o", "child.db"] + both)
        #expect(child.status == 0 && child.output.contains("Changed: add l_out-1 = a.gguf:direction.1*1.5 + b.gguf:"))
        #expect(try Self.rows(bench, "child.db", "l_out-0") == Self.rows(bench, "trace.db", "l_out-0"))
        let (old, new) = (try Self.rows(bench, "trace.db", "l_out-1"), try Self.rows(bench, "child.db", "l_out-1"))
        let sum = zip(try direction("a.gguf", 1), try direction("b.gguf", 1)).map { $0 * 1.5 + $1 * -0.25 }
        for (x, y) in zip(old, new) { #expect(zip(x, sum).map(+) == y) }
        let alone = try bench.quipu(
            ["trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "-o", "alone.db"] + both)
        #expect(alone.status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "alone.db"))
        #expect(try bench.quipu("verify", "alone.db").status == 0)
        // Some layers; one of them by its tensor.
        try bench.quipu(
            "trace", "--from", "trace.db", "--control-vector", "a.gguf", "--control-vector-layers", "3:4", "-o", "c.db")
        try bench.quipu("trace", "--from", "trace.db", "--add", "l_out-3=a.gguf:direction.3", "-o", "d.db")
        #expect(try Self.values(bench, "c.db") == Self.values(bench, "d.db"))
        #expect(try bench.row("SELECT count(*) AS n FROM intervention", of: "c.db")["n"] as? Int == 1)
        // For all prompts of a file.
        let many = try bench.quipu(
            "trace", "model.gguf", "--prompts", "pos.jsonl", "--control-vector", "a.gguf", "-o", "m.db")
        #expect(many.status == 0, "\(many.errors)")
    }

    @Test func vectorsThatCannotBeAdded() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try addPrompts(bench)
        try Self.write([1, 2, 3], to: "short.npy", in: bench)
        try Self.write([Float](repeating: .infinity, count: 64), to: "inf.npy", in: bench)
        try bench.quipu("vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "v.gguf")
        try FileManager.default.copyItem(atPath: TinyModel.gqa.path, toPath: bench.folder.path("gqa.gguf"))
        for (options, part) in [
            (["--add", "l_out-1"], "expected ADDRESS=NUMBER, ADDRESS=FILE.npy"),
            (["--add", "l_out-1=x"], "expected ADDRESS="),
            (["--add", "l_out-1=inf"], "expected ADDRESS="), (["--add", "l_out-1=short.npy"], "is a vector of 3"),
            (["--add", "l_out-1=none.npy"], "none.npy: found no file"),
            (["--add", "l_out-1=inf.npy"], "found a vector with inf"),
            (["--add", "l_out-1=v.gguf"], "the option --control-vector v.gguf"),
            (["--add", "l_out-1=v.gguf:direction.9"], "there is no tensor 'direction.9'. Did you mean"),
            (["--add", "l_out-1=model.gguf:token_embd.weight"], "expected a vector in F32"),
            (["--add", "l_oot-1=1"], "Did you mean l_out-1"), (["--set", "l_out-1+=x"], "expected"),
            (["--control-vector", "none.gguf"], "none.gguf"), (["--control-vector", "pos.jsonl"], "pos.jsonl"),
            (["--control-vector", "model.gguf"], "found a tensor '"),
            (["--control-vector", "v.gguf", "--control-vector-layers", "7:9"], "found no direction for layers 7 to 8"),
        ] {
            expectComplaint(try bench.quipu(["trace", "model.gguf", "-p", "A", "-o", "new.db"] + options), part)
            expectComplaint(try bench.quipu(["trace", "--from", "trace.db", "-o", "new.db"] + options), part)
            #expect(!bench.exists("new.db"))
        }
        // Of a model with other layers.
        expectComplaint(
            try bench.quipu("trace", "gqa.gguf", "-p", "A", "--control-vector", "v.gguf", "-o", "new.db"), "v.gguf")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "A", "--control-vector-layers", "1:2"),
            "goes with --control-vector",
            status: 64)
        expectComplaint(
            try bench.quipu(
                "trace", "model.gguf", "-p", "A", "--control-vector", "v.gguf", "--control-vector-layers", "2:1"),
            "Usage: ", status: 64)
    }

    @Test func promptsThatMakeNone() throws {
        let bench = try Workbench()
        try addPrompts(bench)
        try bench.folder.write("\"a\"\n", to: "one.jsonl")
        try bench.folder.write("\"a\"\n{\"prompt\": \"b\", \"group\": \"c\"}\n\"c\"\n", to: "groups.jsonl")
        func make(_ a: String, _ b: String, _ more: String...) throws -> Outcome {
            try bench.quipu(["vector", "make", a, b, "--model", "model.gguf", "-o", "v.gguf"] + more)
        }
        expectComplaint(try make("pos.jsonl", "one.jsonl"), "found 3 positive and 1 negative prompts")
        expectComplaint(
            try make("pos.jsonl", "pos.jsonl"), "pos.jsonl: line 1, pos.jsonl: line 1: found no difference")
        expectComplaint(try make("groups.jsonl", "pos.jsonl"), "groups.jsonl: line 2: found the key \"group\"")
        expectComplaint(try make("none.jsonl", "pos.jsonl"), "none.jsonl")
        expectComplaint(
            try make("pos.jsonl", "neg.jsonl", "--method", "pca", "--keep-size"), "goes with --method mean", status: 64)
        #expect(!bench.exists("v.gguf"))
        #expect(try make("pos.jsonl", "neg.jsonl").status == 0)
        expectComplaint(try make("pos.jsonl", "neg.jsonl"), "v.gguf is there already", "--force")
        let bytes = try bench.bytes("v.gguf")
        #expect(try make("pos.jsonl", "neg.jsonl", "--force", "--threads", "1").status == 0)
        #expect(try bench.bytes("v.gguf") == bytes)
        expectComplaint(
            try bench.quipu(
                "vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "pos.jsonl", "--force"),
            "pos.jsonl")
    }

    /// Experts, windows, latent attention, sinks.
    @Test(arguments: ["tiny-mixtral", "tiny-gemma3", "tiny-deepseek2", "tiny-gpt-oss"])
    func otherArchitectures(name: String) throws {
        let bench = try Workbench(Places.fixture("\(name).gguf"))
        try bench.folder.write("{\"ids\": [3, 4, 5]}\n{\"ids\": [8, 4, 5, 9]}\n", to: "pos.jsonl")
        try bench.folder.write("{\"ids\": [6, 4, 7]}\n{\"ids\": [8, 4, 3, 2]}\n", to: "neg.jsonl")
        let made = try bench.quipu("vector", "make", "pos.jsonl", "neg.jsonl", "--model", "model.gguf", "-o", "v.gguf")
        #expect(made.status == 0, "\(made.errors)")
        let ran = try bench.quipu(
            "trace", "model.gguf", "--ids", "3,4,5", "-g", "3", "--control-vector", "v.gguf*2", "-o", "a.db", "--json")
        #expect(ran.status == 0, "\(ran.errors)")
        #expect(try bench.quipu("verify", "a.db").status == 0)
    }
}
