import Foundation
import Jinja

/// Renders on request what `template_conformance.py` compares with Jinja2.
///
/// A request is a line of JSON: `{"template": …, "data": {…}, "now": [year, month, day, hour, minute, second]}`, in which
/// data is `[kind, value]`, so that no order of keys and no kind of number is lost. The answer is a line too: `text`, or
/// `error`, `kind` and `line`.
@main struct TemplateDriver {
    struct Request: Decodable {
        let template: String
        let data: [[Tagged]]
        let now: [Int]
    }

    struct Answer: Encodable {
        var text: String?
        var error: String?
        var kind: String?
        var line: Int?
    }

    static func main() throws {
        while let line = readLine() {
            let answer = try JSONEncoder().encode(answer(try JSONDecoder().decode(Request.self, from: Data(line.utf8))))
            FileHandle.standardOutput.write(answer + Data("\n".utf8))
        }
    }

    private static func answer(_ request: Request) -> Answer {
        let now = JinjaMoment(
            year: request.now[0], month: request.now[1], day: request.now[2], hour: request.now[3],
            minute: request.now[4],
            second: request.now[5])
        do {
            let entries = request.data.map { JinjaData.Entry($0[0].name, $0[1].data) }
            let text = try JinjaTemplate(Array(request.template.utf8)).render(entries, now: now)
            return Answer(text: String(decoding: text, as: UTF8.self))
        } catch let error as JinjaError {
            let kind =
                switch error.problem {
                case .syntax: "syntax"
                case .unsupported: "unsupported"
                case .failure: "failure"
                case .refusal: "refusal"
                case .limit: "limit"
                }
            return Answer(error: error.description, kind: kind, line: error.line)
        } catch {
            return Answer(error: "\(error)", kind: "fault")
        }
    }
}

/// `["s", "text"]`, `["i", 1]`, `["f", 1.5]`, `["b", true]`, `["n", null]`, `["l", [items]]`, `["d", [[key, value], …]]`.
struct Tagged: Decodable {
    let data: JinjaData

    var name: String {
        if case .bytes(let bytes) = data { return String(decoding: bytes, as: UTF8.self) }
        return ""
    }

    init(from decoder: any Decoder) throws {
        var array = try decoder.unkeyedContainer()
        switch try array.decode(String.self) {
        case "s": data = .text(try array.decode(String.self))
        case "i": data = .integer(try array.decode(Int.self))
        case "f": data = .number(try array.decode(Double.self))
        case "b": data = .bool(try array.decode(Bool.self))
        case "l": data = .list(try array.decode([Tagged].self).map(\.data))
        case "d": data = .object(try array.decode([[Tagged]].self).map { JinjaData.Entry($0[0].name, $0[1].data) })
        default: data = .none
        }
    }
}
