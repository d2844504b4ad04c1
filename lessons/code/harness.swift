// Calls a function of a learner's Swift file on prepared cases. `quipu lesson check FILE.swift` compiles this file with the
// learner's and with one that says which function it is: `QuipuHarness.run("decode", calls: 6) { decode($0.next()) }`.
//
// It runs in the folder of the cases. call-K.f64 holds the arguments of call K, each as the number of its dimensions, their
// sizes, and its numbers; a number alone has no dimensions. Written there after each call: result.json, and what function F
// gave in call K, F-K.f64. All files hold numbers of eight bytes.
import Foundation

/// What arguments can be: numbers, and arrays of them.
protocol QuipuArgument {
    init(quipu shape: ArraySlice<Int>, _ numbers: inout ArraySlice<Double>)
}

/// What a function can give.
protocol QuipuAnswer {
    /// The sizes of an array; `nil` if its rows differ.
    var quipuShape: [Int]? { get }
    func quipuNumbers(into numbers: inout [Double])
}

extension QuipuAnswer where Self: BinaryInteger {
    var quipuShape: [Int]? { [] }
    func quipuNumbers(into numbers: inout [Double]) { numbers.append(Double(self)) }
}

extension QuipuAnswer where Self: BinaryFloatingPoint {
    var quipuShape: [Int]? { [] }
    func quipuNumbers(into numbers: inout [Double]) { numbers.append(Double(self)) }
}

extension QuipuArgument where Self: BinaryInteger {
    init(quipu shape: ArraySlice<Int>, _ numbers: inout ArraySlice<Double>) { self.init(numbers.removeFirst()) }
}

extension QuipuArgument where Self: BinaryFloatingPoint {
    init(quipu shape: ArraySlice<Int>, _ numbers: inout ArraySlice<Double>) { self.init(numbers.removeFirst()) }
}

extension Bool: QuipuArgument {
    init(quipu shape: ArraySlice<Int>, _ numbers: inout ArraySlice<Double>) { self = numbers.removeFirst() != 0 }
}

extension Int: QuipuArgument, QuipuAnswer {}
extension Int64: QuipuArgument, QuipuAnswer {}
extension Int32: QuipuArgument, QuipuAnswer {}
extension Int16: QuipuAnswer {}
extension Int8: QuipuAnswer {}
extension UInt8: QuipuArgument, QuipuAnswer {}
extension Float16: QuipuAnswer {}
extension Float: QuipuArgument, QuipuAnswer {}
extension Double: QuipuArgument, QuipuAnswer {}

extension Array: QuipuArgument where Element: QuipuArgument {
    init(quipu shape: ArraySlice<Int>, _ numbers: inout ArraySlice<Double>) {
        let rest = shape.dropFirst()
        self = (0..<(shape.first ?? 0)).map { _ in Element(quipu: rest, &numbers) }
    }
}

extension Array: QuipuAnswer where Element: QuipuAnswer {
    var quipuShape: [Int]? {
        guard let first else { return [0] }
        guard let inner = first.quipuShape, allSatisfy({ $0.quipuShape == inner }) else { return nil }
        return [count] + inner
    }

    func quipuNumbers(into numbers: inout [Double]) { for element in self { element.quipuNumbers(into: &numbers) } }
}

enum QuipuHarness {
    /// The arguments of one call.
    final class Arguments {
        private var numbers: ArraySlice<Double>

        init(call: Int) throws {
            let data = try Data(contentsOf: URL(filePath: "call-\(call).f64"))
            numbers = data.withUnsafeBytes { ArraySlice($0.bindMemory(to: Double.self)) }
        }

        func next<Argument: QuipuArgument>() -> Argument {
            let rank = Int(numbers.removeFirst())
            let shape = numbers.prefix(rank).map { Int($0) }
            numbers.removeFirst(rank)
            return Argument(quipu: shape[...], &numbers)
        }
    }

    static func run<Answer>(_ name: String, calls: Int, _ function: (Arguments) throws -> Answer) throws {
        var found: [[String: Any]] = []
        for call in 0..<calls {
            let arguments = try Arguments(call: call)
            do {
                found.append(try written(try function(arguments), to: "\(name)-\(call).f64"))
            } catch {
                found.append(["error": ["kind": "\(type(of: error))", "says": String("\(error)".prefix(300))]])
            }
            let result: [String: Any] = ["functions": [name: found], "defines": [name], "says": [String: String]()]
            try JSONSerialization.data(withJSONObject: result).write(to: URL(filePath: "result.json"))
        }
    }

    /// What is no array of numbers is described only.
    private static func written(_ answer: Any, to file: String) throws -> [String: Any] {
        guard let known = answer as? any QuipuAnswer else { return ["kind": "\(type(of: answer))"] }
        guard let shape = known.quipuShape else { return ["kind": "array whose rows differ in length"] }
        var numbers: [Double] = []
        known.quipuNumbers(into: &numbers)
        try numbers.withUnsafeBytes { try Data($0).write(to: URL(filePath: file)) }
        return ["kind": "numbers", "shape": shape]
    }
}
