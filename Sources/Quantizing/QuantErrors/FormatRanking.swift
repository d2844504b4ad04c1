import GGUF
import Quantization
import Tensors

/// Formats by what they would make of all matrices of a file, so that they can be compared.
///
/// Where a format's blocks do not divide a tensor's rows, the tensor counts in the type that llama.cpp would write in its
/// place, with that type's error and bits.
public struct FormatRanking: Sendable {
    /// One format on all matrices.
    public struct Row: Sendable {
        public let form: WeightForm
        public let statistics: ErrorStatistics
        /// Stored bits per weight, fallbacks included.
        public let bitsPerWeight: Double
        /// Weights in a type that stands in, by its name.
        public let fallbacks: [String: Int]

        public var fallbackWeights: Int { fallbacks.values.reduce(0, +) }
    }

    /// The most exact first.
    public let rows: [Row]
    /// Formats that some tensor can be written in neither itself nor by a fallback.
    public let unranked: [WeightForm]
    /// Matrices, and weights in them.
    public let tensors: Int
    public let weights: Int

    /// - Parameters:
    ///   - errors: of all formats and schemes, as `quant` found them.
    ///   - quant: measures fallbacks that are none of the formats.
    public init(
        _ errors: [TensorError], of file: GGUFFile, as formats: [any EncodableFormat], schemes: [any TeachingScheme],
        importance: ImportanceMatrix?, by quant: QuantErrors
    ) throws {
        struct Key: Hashable { let tensor: String, form: WeightForm }
        var known = Dictionary(errors.map { (Key(tensor: $0.name, form: $0.type), $0) }) { first, _ in first }
        let matrices = quant.matrices(of: file)
        func error(_ info: TensorInfo, _ form: WeightForm, _ format: (any EncodableFormat)?) throws -> TensorError? {
            let key = Key(tensor: info.name, form: form)
            if let error = known[key] { return error }
            let columns = try importance?.values(for: info)
            guard let format, info.shape.ne0 % format.type.blockElements == 0,
                format.importance != .required || columns != nil
            else { return nil }
            known[key] = try quant.errors(of: info, in: file, as: format, importance: columns)
            return known[key]
        }
        func row(_ form: WeightForm, _ type: TensorType?) throws -> Row? {
            var (all, bits, fallbacks) = (ErrorStatistics(), 0.0, [String: Int]())
            for info in matrices {
                var (own, ownForm) = (type, form)
                if let wanted = type {
                    guard let fitting = try? TypeChooser.fitting(wanted, info) else { return nil }
                    if fitting != wanted {
                        (own, ownForm) = (fitting, WeightForm(fitting))
                        fallbacks[fitting.name, default: 0] += info.shape.count
                    }
                }
                guard let found = try error(info, ownForm, own.flatMap { BlockFormats.encodableFormat(for: $0) }) else {
                    return nil
                }
                all.merge(found.statistics)
                bits += found.bitsPerWeight * Double(info.shape.count)
            }
            return Row(
                form: form, statistics: all, bitsPerWeight: bits / Double(max(1, all.count)), fallbacks: fallbacks)
        }
        var (rows, unranked) = ([Row](), [WeightForm]())
        let forms = formats.map { (WeightForm($0.type), Optional($0.type)) } + schemes.map { (WeightForm($0), nil) }
        for (form, type) in forms {
            if let row = try row(form, type) { rows.append(row) } else { unranked.append(form) }
        }
        self.rows = rows.sorted {
            ($0.statistics.relativeRMSE, $0.bitsPerWeight, $0.form.name)
                < ($1.statistics.relativeRMSE, $1.bitsPerWeight, $1.form.name)
        }
        self.unranked = unranked
        tensors = matrices.count
        weights = matrices.reduce(0) { $0 + $1.shape.count }
    }
}
