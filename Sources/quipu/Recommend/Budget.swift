import ArgumentParser
import GGUF
import LlamaModel
import Quantizing

/// How large a quantised model may be: `4.5bpw`, `90MB`, or as a file type of llama.cpp's, `Q4_K_M`.
struct Budget: ExpressibleByArgument {
    enum Amount {
        /// Of all weights, those included that stay as they are.
        case bitsPerWeight(Double)
        /// Of the file.
        case bytes(Double)
        case mix(QuantizationMix)
    }

    let amount: Amount
    let text: String

    private static let units: [(name: String, bytes: Double)] = [
        ("KIB", 1024), ("MIB", 1_048_576), ("GIB", 1_073_741_824), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("B", 1),
    ]

    init?(argument: String) {
        text = argument
        let upper = argument.uppercased()
        func number(_ text: Substring) -> Double? {
            Double(text).flatMap { $0.isFinite && $0 > 0 && $0 < 1e15 ? $0 : nil }
        }
        if upper.hasSuffix("BPW") {
            guard let bits = number(upper.dropLast(3)), bits <= 64 else { return nil }
            amount = .bitsPerWeight(bits)
        } else if let mix = QuantizationMix.named(argument), !argument.allSatisfy(\.isNumber) {
            amount = .mix(mix)
        } else if let unit = Self.units.first(where: { upper.hasSuffix($0.name) }),
            let count = number(upper.dropLast(unit.name.count))
        {
            amount = .bytes(count * unit.bytes)
        } else {
            return nil
        }
    }

    /// Bytes of the tensors. The rest of a file is as long as in the model's own.
    func tensorBytes(_ file: GGUFFile, hasImportance: Bool) throws -> Int {
        switch amount {
        case .bitsPerWeight(let bits): Int(bits * Double(file.parameterCount) / 8)
        case .bytes(let bytes): Int(bytes) - file.dataOffsets.reduce(0, +)
        case .mix(let mix): try QuantizationPlan(file, as: mix, hasImportance: hasImportance).byteCount
        }
    }
}

/// A time as users write it: `10m`, `90s`, `1h`.
struct TimeLimit: ExpressibleByArgument {
    let duration: Duration
    let text: String

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        guard let unit = argument.last.flatMap({ units[$0] }), let count = Double(argument.dropLast()), count >= 0,
            count * unit < 1e8
        else { return nil }
        duration = .seconds(count * unit)
        text = argument
    }

    var defaultValueDescription: String { text }
}
