import ComputeGraph
import Foundation

extension ComputeGraph.Operation {
    /// The parameters as a JSON object, for the `op` table.
    var parametersJSON: String {
        "{" + parameters.map { "\"\($0.name)\":\($0.value.json)" }.joined(separator: ",") + "}"
    }
}

extension ParameterValue {
    fileprivate var json: String {
        switch self {
        case .int(let value): "\(value)"
        case .ints(let values): "[" + values.map(String.init).joined(separator: ",") + "]"
        // The shortest text that reads back as the same Float. JSON has no infinity.
        case .float(let value): value.isFinite ? "\(value)" : "null"
        case .text(let value): String(decoding: (try? JSONEncoder().encode(value)) ?? Data("null".utf8), as: UTF8.self)
        }
    }
}
