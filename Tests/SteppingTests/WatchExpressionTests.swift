import Stepping
import Testing

/// Conditions: what is understood, and where a mistake is.
@Suite struct WatchExpressionTests {
    @Test(arguments: [
        "resid[1415] > 50", "resid[-1, 3] <= -1.5e-3", "max(abs) > 100", "rms > 3", "rms(resid) > 3 and layer >= 2",
        "max(abs(resid)) > 1", "top1", "not top1", "top1 == ' Paris'", "l_out-3[12,0] - ffn_out[12] * 2 > 1",
        "(rms > 3 or (max - min) / 2 > 4) and not kind == \"MUL_MAT\"", "abs(min) > max", "-rms < -(1 + 2)",
    ])
    func understood(text: String) throws {
        #expect(try WatchExpression(text).text == text)
    }

    @Test(arguments: [
        ("resid[1415 > 50", 12, "expected ]"), ("rmss > 3", 1, "did you mean rms?"), ("rms > ", 7, "expected a number"),
        ("rms", 4, "expected a comparison"), ("rms = 3", 5, "equality is =="), ("top1 > 3", 6, "cannot be compared"),
        ("kind < 'a'", 6, "== and != only"), ("resid > 3", 7, "after resid comes"),
        ("rms > 3 3", 9, "expected the end"),
        ("kind == 'x", 9, "closing ' is missing"), ("ns(resid) > 1", 1, "not about values"), ("", 1, "expected"),
        ("resid[1.5] > 0", 7, "expected an index"), ("resid[1,2,3,4,5] > 0", 15, "four dimensions"),
        ("rms > 1..2", 7, "is no number"),
    ])
    func mistakesHaveAPosition(text: String, position: Int, reason: String) {
        do {
            _ = try WatchExpression(text)
            Issue.record("\(text) was understood")
        } catch {
            guard case .expression(text, let found, let words) = error else { Issue.record("\(error)"); return }
            #expect(found == position && words.contains(reason), "\(error)")
        }
    }

    /// What would be read, or asked of each operation, by functions that call themselves thousands of times.
    @Test(arguments: [
        String(repeating: "(", count: 30_000) + "1" + String(repeating: ")", count: 30_000),
        String(repeating: "not ", count: 30_000) + "top1", String(repeating: "-", count: 30_000) + "1 > 0",
        String(repeating: "1 > 0 and ", count: 10_000) + "1 > 0", String(repeating: "1+", count: 30_000) + "1 > 0",
        String(repeating: "abs(", count: 30_000) + "1",
    ])
    func depthIsBounded(text: String) {
        do {
            _ = try WatchExpression(text)
            Issue.record("understood")
        } catch {
            guard case .expression(let shown, _, let words) = error else { Issue.record("\(error)"); return }
            #expect(shown.count < 100 && words.contains("at most"))
        }
    }

    @Test func someDepthIsUnderstood() throws {
        let nested = String(repeating: "(", count: 40) + "rms > 3" + String(repeating: ")", count: 40)
        #expect(try WatchExpression(nested).text == nested)
    }

    @Test func whatNeedsTheModelSaysSo() throws {
        #expect(try WatchExpression("rms > 3 or top1").needsModel && WatchExpression("top1 != 'a'").needsModel)
        #expect(try !WatchExpression("resid[3] > 1").needsModel)
        #expect(try WatchExpression("not top1").isEvent && !WatchExpression("top1 == 'a'").isEvent)
    }
}
