import Foundation
import TestSupport
import Testing

/// Functions that learners write in Python or Swift. More programs are in `Tests/Conformance/code_conformance.py`.
@Suite struct CodeTests {
    private static let needsNumPy = ConditionTrait.enabled("Python 3 with NumPy is not there.") {
        try Workbench().shell("python3 -c 'import numpy'").status == 0
    }

    private static let decode = """
        # quipu lesson code q4_0
        import numpy as np


        def decode(block):
            d = np.float32(block[:2].view(np.float16)[0])
            codes = np.concatenate([block[2:] & 15, block[2:] >> 4]).astype(int)
            return d * (codes - 8)

        """

    private func check(_ bench: Workbench, _ program: String, _ file: String = "mine.py") throws -> [String: Any] {
        try bench.folder.write(program, to: file)
        return try bench.quipu("lesson", "check", file, "--json").object()
    }

    @Test func aFileToBeginWith() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "code").output.contains("Begin: quipu lesson code q4_0"))
        #expect(try bench.quipu("lesson", "code", "q4_0").output.contains("quipu lesson check q4_0.py"))
        let text = try String(contentsOfFile: bench.folder.path("q4_0.py"), encoding: .utf8)
        #expect(text.hasPrefix("# quipu lesson code q4_0\n") && text.contains("def decode(block):"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 79 } && !text.contains("{{"))
        expectComplaint(try bench.quipu("lesson", "code", "q4_0"), "q4_0.py", "--force")
        #expect(try bench.quipu("lesson", "code", "q4_0", "--force").status == 0)
        expectComplaint(try bench.quipu("lesson", "code", "q9"), "no code task 'q9'", "perplexity")
        for task in ["q4_1", "q8_0", "q4_k", "rmsnorm", "softmax", "rope", "attention", "dot", "perplexity", "layer"] {
            #expect(try bench.quipu("lesson", "code", task).status == 0)
        }
    }

    @Test(needsNumPy) func aRightFunctionIsAccepted() throws {
        let bench = try Workbench()
        let right = try check(bench, Self.decode)
        #expect(right["is_right"] as? Bool == true && right["right"] as? Int == 6 && right["next"] as? String == "q4_1")
        let solved = try bench.quipu("lesson", "code", "--json").object()["tasks"] as? [[String: Any]]
        #expect(solved?.first?["is_solved"] as? Bool == true)
    }

    @Test(
        needsNumPy,
        arguments: [
            ("codes - 8", "codes", "8 was not taken off"),
            ("& 15, block[2:] >> 4", ">> 4, block[2:] & 15", "exchanged"),
            ("return d", "return -d", "sign"), ("return d", "return 3 * d", "is 3 times"),
            ("    return d * (codes - 8)", "    pass", "gives nothing back"),
            ("return d", "return nothing", "NameError in line 8"), ("(codes - 8)", "(codes - 8", "SyntaxError in line"),
            ("return d", "raise NotImplementedError\n    return d", "still as it was written"),
            ("(codes - 8)", "(codes - 8).reshape(2, 16)", "expected an array of shape (32)"),
            ("def decode", "def decoded", "no function `decode`"),
            ("(codes - 8)", "np.zeros((1 << 40,))", "more memory"),
            ("return d", "import sys; sys.exit()\n    return d", "ended the program"),
            ("return d * (codes - 8)", "return d * (codes - 8) * np.nan", "NaN"),
            ("return d * (codes - 8)", "return 'text'", "type str"),
            ("(codes - 8)", "(codes - 8) + 5j", "complex128"),
            ("d * (codes - 8)", "block[:2].view(np.float16)[0] * (codes - 8).astype(np.float16)", "in float16"),
            ("return d", "raise ValueError('\\ud800')\n    return d", "ValueError in line 8: ?"),
            ("return d", "raise ValueError\n    return d", "ValueError in line 8."),
            ("return d", "import os; os._exit(3)\n    return d", "ended the program"),
            ("return d", "import os, sys; os.mkdir(sys.argv[1] + '/result.json')\n    os._exit(0)", "no result"),
            ("d * (codes - 8)", "np.zeros(10 ** 8, np.uint8)", "gives an array of shape (100000000)"),
        ])
    func whatIsWrongIsSaid(part: String, fault: String, message: String) throws {
        let bench = try Workbench()
        let verdict = try check(bench, Self.decode.replacing(part, with: fault))
        #expect(verdict["is_right"] as? Bool == false)
        #expect((verdict["says"] as? String)?.contains(message) == true, "\(verdict)")
    }

    /// A right program passes whatever the architecture: on the learner's model where it has what the task needs, else on the
    /// one that comes with the program.
    @Test(
        needsNumPy,
        arguments: [
            ("tiny-qwen2", "rope", true), ("tiny-olmo2", "rmsnorm", true), ("tiny-mistral3", "attention", true),
            ("tiny-gemma3", "layer", false),
        ])
    func aRightFunctionIsAcceptedOnOtherArchitectures(model: String, task: String, isOwn: Bool) throws {
        let text = try String(contentsOfFile: Places.fixture("../Conformance/code_answers.py"), encoding: .utf8)
        let parts = text.components(separatedBy: "\n\(task.uppercased()) = '''")
        let program = try #require(parts.last?.components(separatedBy: "'''").first)
        let bench = try Workbench()
        let start = try bench.quipu("lesson", "start", "1", "--model", Places.fixture("\(model).gguf"))
        #expect(start.status == 0, "\(start.errors)")
        // With the mark and the ends of lines that Windows' editors write.
        let file = "\u{feff}# quipu lesson code \(task)\nimport numpy as np\n" + program
        let verdict = try check(bench, file.replacing("\n", with: "\r\n"))
        #expect(verdict["is_right"] as? Bool == true, "\(verdict)")
        let isBrought = (verdict["note"] as? String)?.contains("\(model).gguf lacks") ?? false
        #expect(isBrought == !isOwn, "\(verdict)")
    }

    /// In a model's own super-blocks the high bits of scales and minimums may well be the same.
    @Test(needsNumPy) func highBitsOfScalesAreNotThoseOfMinimums() throws {
        let program = """
            # quipu lesson code q4_k
            import numpy as np


            def decode(block):
                d, dmin = block[:4].view(np.float16).astype(np.float32)
                s, codes = block[4:16].astype(int), block[16:].reshape(4, 32)
                scales = [*(s[:4] & 63), *((s[8:] & 15) | (s[:4] >> 6 << 4))]
                minimums = [*(s[4:8] & 63), *((s[8:] >> 4) | (s[4:8] >> 6 << 4))]
                halves = np.stack([codes & 15, codes >> 4], axis=1).reshape(8, 32)
                return (d * np.array(scales)[:, None] * halves - dmin * np.array(minimums)[:, None]).reshape(256)

            """
        let bench = try Workbench()
        #expect(try check(bench, program)["is_right"] as? Bool == true)
        let verdict = try check(bench, program.replacing("& 15) | (s[:4] >> 6", with: "& 15) | (s[4:8] >> 6"))
        #expect(verdict["is_right"] as? Bool == false && verdict["is_known_mistake"] as? Bool == true, "\(verdict)")
    }

    /// A program without an end, and one that prints much and leaves another behind.
    @Test(
        needsNumPy,
        arguments: [
            "import time\n    time.sleep(600)",
            "import subprocess, time\n    subprocess.Popen(['sleep', '600'])\n    print('x' * 10000000)\n    time.sleep(600)",
        ])
    func codeComesToAnEnd(loop: String) throws {
        let bench = try Workbench()
        let verdict = try check(bench, Self.decode.replacing("return d", with: "\(loop)\n    return d"))
        #expect((verdict["says"] as? String)?.contains("was ended after") == true, "\(verdict)")
        #expect((verdict["printed"] as? String)?.count ?? 0 <= 2000)
    }

    /// A program of its own that goes on, out of its group and with its output open, does not keep the learner waiting.
    @Test(needsNumPy) func whatItLeftBehindIsNotWaitedFor() throws {
        let bench = try Workbench()
        let leaving = "import subprocess\n    subprocess.Popen(['sleep', '20'], start_new_session=True)\n    return d"
        let began = ContinuousClock.now
        #expect(try check(bench, Self.decode.replacing("return d", with: leaving))["is_right"] as? Bool == true)
        #expect(ContinuousClock.now - began < .seconds(15))
    }

    /// Code runs when `check` is said, of a file that says what it is for; never as an answer.
    @Test func codeRunsOnlyWhenAsked() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "start", "1").status == 0)
        try bench.folder.write("open('ran', 'w')\n", to: "other.py")
        expectComplaint(try bench.quipu("lesson", "check", "other.py"), "other.py", "# quipu lesson code NAME")
        #expect(!FileManager.default.fileExists(atPath: bench.folder.path("ran")))
        expectComplaint(try bench.quipu("lesson", "check", "none.py"), "none.py", "no such file")
        try FileManager.default.createDirectory(atPath: bench.folder.path("dir.py"), withIntermediateDirectories: false)
        expectComplaint(try bench.quipu("lesson", "check", "dir.py"), "dir.py", "expected a Python file")
    }

    @Test func aMissingPythonIsSaid() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "start", "1").status == 0)
        try bench.folder.write(Self.decode, to: "mine.py")
        let program = "$(command -v quipu)"
        try bench.folder.write("#!/bin/sh\nexit 3\n", to: "no-numpy")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bench.folder.path("no-numpy"))
        let missing = try bench.shell("q=\(program); PATH=/nowhere \"$q\" lesson check mine.py")
        expectComplaint(missing, "no `python3` on the PATH", "QUIPU_PYTHON")
        expectComplaint(try bench.shell("QUIPU_PYTHON=/nowhere/python quipu lesson check mine.py"), "/nowhere/python")
        expectComplaint(
            try bench.shell("QUIPU_PYTHON=$PWD/no-numpy quipu lesson check mine.py"), "no NumPy", "pip install numpy")
        try bench.folder.write("#!/bin/sh\necho broken >&2; exit 1\n", to: "broken")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bench.folder.path("broken"))
        expectComplaint(
            try bench.shell("QUIPU_PYTHON=$PWD/broken quipu lesson check mine.py"),
            "broken: it ended with status 1 before it ran your file and said: broken", "QUIPU_PYTHON")
    }

    // MARK: Swift

    private static let needsSwift = ConditionTrait.enabled("The Swift compiler is not there.") {
        try Workbench().shell("swiftc --version").status == 0
    }

    /// The programs of `code-answers.swift`, by task.
    private static func answers() throws -> [String: String] {
        let text = try String(contentsOfFile: Places.fixture("code-answers.swift"), encoding: .utf8)
        let mark = "// quipu lesson code "
        let programs = text.components(separatedBy: "\n" + mark).dropFirst().map { mark + $0 }
        return Dictionary(
            uniqueKeysWithValues: programs.map { (String($0.dropFirst(mark.count).prefix { $0 != "\n" }), $0) })
    }

    @Test(needsSwift) func aSwiftFileToBeginWith() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "code", "attention", "--language", "swift").status == 0)
        let text = try String(contentsOfFile: bench.folder.path("attention.swift"), encoding: .utf8)
        #expect(text.hasPrefix("// quipu lesson code attention\n"))
        #expect(
            text.contains(
                "func attend(_ q: [[[Float]]], _ k: [[[Float]]], _ v: [[[Float]]], _ head: Int) -> [[Float]] {"))
        #expect(try bench.quipu("lesson", "code", "rope", "-o", "mine.swift").status == 0)
        #expect(try String(contentsOfFile: bench.folder.path("mine.swift"), encoding: .utf8).contains("_ halves: Bool"))
        let unwritten = try bench.quipu("lesson", "check", "attention.swift", "--json").object()
        #expect((unwritten["says"] as? String)?.contains("still as it was written: fill it in, in line") == true)
        expectComplaint(
            try bench.quipu("lesson", "code", "rope", "-o", "rope.txt", "--language", "swift"), "rope.txt", ".swift")
    }

    /// The compiler takes two seconds a file; the other tasks' answers are handed in by `code_conformance.py`.
    @Test(needsSwift, arguments: ["q8_0", "rope", "attention", "layer"])
    func aRightSwiftFunctionIsAccepted(task: String) throws {
        let verdict = try check(try Workbench(), #require(try Self.answers()[task]), "mine.swift")
        #expect(verdict["is_right"] as? Bool == true, "\(verdict)")
    }

    @Test(
        needsSwift, needsNumPy,
        arguments: [
            (") - 8) }", ")) }", "8 was not taken off"), ("? 0 : 4", "? 4 : 0", "exchanged"),
            ("(block[2 +", "(bloc[2 +", "It does not compile in line 8: cannot find 'bloc'"),
            ("func decode", "func decoded", "Expected `func decode(_ block: [UInt8]) -> [Float]`"),
            ("[2 + i % 16]", "[2 + i]", "stopped in line 8"),
            (
                "Float(Int(block[2 + i % 16] >> (i < 16 ? 0 : 4) & 15) - 8)", "Float(block[2 + i % 16] - 200)",
                "in line 8: arithmetic overflow"
            ),
            ("    let d =", "    while true {}\n    let d =", "ended after"),
            ("    let d =", "    exit(0)\n    let d =", "ended the program"),

        ])
    func whatIsWrongInSwiftIsSaid(part: String, fault: String, message: String) throws {
        let right = try #require(try Self.answers()["q4_0"])
        let program = right.replacing(part, with: fault)
        #expect(program != right)
        let verdict = try check(try Workbench(), program, "mine.swift")
        #expect(verdict["is_right"] as? Bool == false)
        #expect((verdict["says"] as? String)?.lowercased().contains(message.lowercased()) == true, "\(verdict)")
    }

    @Test func aMissingCompilerIsSaid() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "start", "1").status == 0)
        try bench.folder.write(try #require(try Self.answers()["q4_0"]), to: "mine.swift")
        let missing = try bench.shell("q=$(command -v quipu); PATH=/nowhere \"$q\" lesson check mine.swift")
        expectComplaint(missing, "no `swiftc` on the PATH", "QUIPU_SWIFTC")
        expectComplaint(
            try bench.shell("QUIPU_SWIFTC=/nowhere/swiftc quipu lesson check mine.swift"), "/nowhere/swiftc")
    }
}
