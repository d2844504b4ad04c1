import Foundation
import Lessons
import TestSupport
import Testing

@Suite struct QueryTests {
    private func value(_ text: String, _ names: [String: String] = [:]) async throws -> Value {
        let definitions = try names.mapValues { try Query($0) }
        return try Evaluator(try await Samples.stories.value.subject, definitions: definitions).value(try Query(text))
    }

    @Test(arguments: [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-2 ^ 2", -4), ("2 ^ -1", 0.5), ("7 % 4", 3), ("-1 % 4", 3),
        ("10 - 4 - 3", 3), ("8 / 4 / 2", 1), ("0x1f", 31), ("1.5e1", 15), ("[1, 2, 3][-1]", 3),
        ("sum([1, 2, 3][1:])", 5),
        ("rms([3, 4])", 12.5.squareRoot()), ("argmax([1, 5, 2])", 1), ("count([1, 2])", 2), ("max(1, [4, 2])", 4),
        ("sum([1, 2] * [3, 4])", 11), ("choose(1 < 2, 10, 20)", 10), ("sum([1, 5, 3] > 2)", 2), ("round(-2.5)", -3),
        ("trunc(-2.5)", -2), ("log2(8)", 3), ("columns([1, 2, 5, 4], 2)[1]", 3), ("softmax([0, 0])[0]", 0.5),
        ("distinct([1, 1, 2])", 2), ("log10(1000)", 3), ("ln(exp(2))", 2), ("2 ** 3 ** 2", 512), ("-2 ** 2", -4),
        ("repeated([1, 2], 2)[2]", 2), ("round(1000 * turned([1, 0], 2, 3, 100, 1 == 1)[1])", 141),
        ("turned([1, 2, 3, 4], 4, 0, 100, 1 == 2)[3]", 4),
    ])
    func arithmetic(text: String, expected: Double) async throws {
        #expect(try await value(text) == .number(expected))
    }

    @Test func truthsAndTexts() async throws {
        #expect(try await value("1 < 2 and not 2 < 1") == .truth(true))
        #expect(try await value("1 == 2 or 'a' == \"a\"") == .truth(true))
        #expect(try await value("'kq-{layer}[{2 * 2},0]'", ["layer": "3"]) == .text("kq-3[4,0]"))
    }

    @Test(arguments: [
        ("1 +", "expected a value"), ("(1", "expected )"), ("[1, 2", "expected , or ]"),
        ("1 2", "an operator or the end"),
        ("'a", "the closing '"), ("x[", "expected a value"), ("made.x", "expected ("),
    ])
    func syntaxIsNamed(text: String, message: String) {
        #expect { try Query(text) } throws: { "\($0)".contains(message) }
    }

    @Test(arguments: [
        ("x", "nothing is called `x`"), ("sine(1)", "no function `sine`"), ("[1, 2] + [1, 2, 3]", "2 and 3 numbers"),
        ("[1][3]", "element 3 is asked of 1"), ("1 and 2", "`and` is not for a number"),
        ("trace('embd[0,99]')", "outside"),
        ("trace('embt')", "embd"), ("sql('SELECT 1 WHERE 0')", "no rows"),
        ("sql('SELECT * FROM nowhere')", "no such table"),
        ("row('blk.0.attn_z.weight', 0)", "near are"), ("encode('Q4_0', [1, 2])", "a multiple of 32"),
        ("encode('Q9', [1])", "nothing is called `Q9`"), ("made.sql('SELECT 1')", "of kind change"),
        ("sqrt()", "one value"), ("columns([1, 2, 3], 2)", "found 3 numbers"),
        ("encode('Q4_0', range(32), [1])", "as many importances"), ("mix('Q9_K')", "there are F32"),
        ("stored('blk.99')", "no tensor's name"),
        ("block('blk.0.attn_q.weight', 0, 99)", "block 99 is outside"), ("encode('F32', 1).scale", "no field"),
    ])
    func problemsAreNamed(text: String, message: String) async {
        await #expect { try await value(text) } throws: { "\($0)".contains(message) }
    }

    /// stories260K has rows of 64 and 172: no K-quant fits, and 172 fits no block at all.
    @Test func typesOfTensors() async throws {
        #expect(try await value("stored('blk.0.attn_q').types") == .texts(["F32"]))
        #expect(try await value("stored('blk.0.attn_q').size") == .number(64 * 64 * 4))
        #expect(try await value("mix('Q4_K_M', 'blk.0.attn_q').types") == .texts(["Q5_0"]))
        #expect(try await value("mix('Q4_K_M', 'blk.0.attn_q').wanted_bits") == .numbers([4.5]))
        #expect(try await value("mix('Q4_K_M', 'blk.0.ffn_down').types") == .texts(["F16"]))
        #expect(try await value("mix('Q4_K_M', 'blk.0').fallbacks") == .number(7))
        #expect(try await value("8 * stored().size / sum(stored().weights) == stored().bpw") == .truth(true))
    }

    @Test func circlesAreNoticed() async {
        await #expect(throws: QueryProblem.circular(name: "a")) { try await value("a", ["a": "b + 1", "b": "a"]) }
    }

    /// Recorded values, against those that SQL reads from the same blobs.
    @Test func recordedValues() async throws {
        let sql =
            "SELECT f32(data, 3 + 64 * 2) FROM tensor JOIN op ON op.id = op_id WHERE name = 'embd' AND pass_id = 1"
        #expect(try await value("trace('embd[3,2]')") == value("sql(\"\(sql)\")"))
        #expect(try await value("count(trace('embd[:,0]'))") == .number(64))
        #expect(
            try await value("row('token_embd.weight', sql('SELECT token_id FROM token WHERE position = 2'))")
                == value("trace('embd[:,2]')"))
        #expect(try await value("weights('token_embd.weight', 60, 8)[4]") == value("row('token_embd.weight', 1)[0]"))
    }

    /// 32 numbers of which the largest is exact in Q8_0 and Q4_0.
    @Test func encodedNumbers() async throws {
        let names = ["x": "range(32) - 16", "q": "encode('Q4_0', x)"]
        #expect(try await value("q.size", names) == .number(18))
        #expect(try await value("q.bits", names) == .number(4.5))
        #expect(try await value("q.d", names) == .number(2))
        #expect(try await value("q.codes[0]", names) == .number(0))
        #expect(try await value("q.values[0]", names) == .number(-16))
        #expect(try await value("count(encode('Q4_K', range(256)).scale_codes)") == .number(8))
        #expect(try await value("encode('int8-absmax', [127, -3]).values[1]") == .number(-3))
    }

    /// A number whose error matters a thousand times as much is kept at the cost of others.
    @Test func importancesMoveTheError() async throws {
        let names = [
            "x": "sin(range(32))", "alike": "0 * x + 1", "one": "alike + 999 * (1 - (range(32) > 0)) * (range(32) + 1)",
            "error": "abs(encode('Q4_0', x + 0.3, alike).values - x - 0.3)",
            "moved": "abs(encode('Q4_0', x + 0.3, one).values - x - 0.3)",
        ]
        #expect(try await value("moved[0] < error[0]", names) == .truth(true))
        #expect(try await value("rms(moved) > rms(error)", names) == .truth(true))
    }

    /// A command's JSON: objects as records, lists of objects by column, what JSON cannot write as what it stands for.
    @Test func printedByACommand() async throws {
        var subject = try await Samples.stories.value.subject
        subject.program = { words in
            #expect(words == ["quant", "table", "MODEL", "--file", "two words", "--json"])
            return Data(
                """
                {"base": {"kld": 0.5, "is_exact": true, "none": null}, "empty": [], "codes": [3, 4],
                 "rows": [{"type": "Q8_0", "kld": 0.25, "at": {"db": 20}}, {"kld": "inf"}, {"type": "Q2_K", "kld": null}]}
                """.utf8)
        }
        func value(_ text: String) throws -> Value {
            let table = try Query("output('quant table MODEL --file', 'two words')")
            return try Evaluator(subject, definitions: ["table": table]).value(try Query(text))
        }
        #expect(try value("table.base.kld") == .number(0.5))
        #expect(try value("table.base.is_exact") == .truth(true))
        #expect(try value("table.codes[1]") == .number(4))
        #expect(try value("table.rows.type") == .texts(["Q8_0", "", "Q2_K"]))
        #expect(try value("table.rows.kld[index(table.rows.type, 'Q8_0')]") == .number(0.25))
        #expect(try value("table.rows.kld[place(table.rows.type, 'Q8_0')]") == .number(0.25), "its earlier name")
        #expect(try value("table.rows.kld[1]") == .number(.infinity))
        #expect(try value("table.rows.at.db[0] + table.codes[0]") == .number(23))
        guard case .number(let missing) = try value("table.rows.kld[2]") else { return #expect(Bool(false)) }
        #expect(missing.isNaN)
        #expect { try value("table.base.none") } throws: { "\($0)".contains("no field `none`") }
        #expect { try value("table.empty") } throws: { "\($0)".contains("no field `empty`") }
        #expect { try value("index(table.rows.type, 'Q9')") } throws: { "\($0)".contains("there are Q8_0") }
    }

    @Test func aCommandThatFails() async throws {
        var subject = try await Samples.stories.value.subject
        let query = try Query("output('bench MODEL')")
        #expect { try Evaluator(subject).value(query) } throws: { "\($0)".contains("no command can be run") }
        subject.program = { _ in Data("not JSON".utf8) }
        #expect { try Evaluator(subject).value(query) } throws: { "\($0)".contains("output") }
    }

    @Test func templates() async throws {
        let subject = try await Samples.stories.value.subject
        func filled(_ text: String) throws -> String { try Template(text).filled(Evaluator(subject)) }
        #expect(try filled("a {{1 / 3}} b") == "a 0.3333 b")
        let forms = "{{1 / 3 | 2}} {{0.125 | percent}} {{255 | hex}} {{1234567 | grouped}} {{2048 | bytes}}"
        #expect(try filled(forms) == "0.33 12.5 % 0xff 1,234,567 2 KiB")
        #expect(try filled("{{[1, 2.5]}}") == "1, 2.5")
        #expect { try Template("{{1 | upside}}") } throws: { "\($0)".contains("a number of digits") }
        #expect { try Template("{{1") } throws: { "\($0)".contains("}}") }
    }
}
