import Tensors

/// The containers that LLaMA models had before GGUF, of March to August 2023.
public enum LegacyFormat: Hashable, Sendable {
    /// Magic "ggml", no version: tokens have no scores.
    case ggml
    /// Magic "ggmf", version 1: tokens with scores.
    case ggmf
    /// Magic "ggjt", versions 1 to 3: tensor data at multiples of 32 bytes, so that it can be mapped.
    case ggjt(version: Int)

    /// The name and version, such as `ggjt v3`.
    public var name: String {
        switch self {
        case .ggml: "ggml"
        case .ggmf: "ggmf v1"
        case .ggjt(let version): "ggjt v\(version)"
        }
    }

    /// Whether each token has a score.
    public var hasScores: Bool { self != .ggml }

    /// Bytes that tensor data begins at a multiple of.
    public var alignment: Int { if case .ggjt = self { 32 } else { 1 } }

    /// Which block layouts the file has. They changed twice: on 12 May 2023 the order of the nibbles (ggjt v2), on
    /// 19 May 2023 scales from F32 to F16 (ggjt v3).
    var layouts: LegacyLayout.Epoch {
        switch self {
        case .ggml, .ggmf, .ggjt(version: 1): .pairedNibbles
        case .ggjt(version: 2): .wideScales
        case .ggjt: .current
        }
    }
}

/// How the values of a tensor lie in a file from before GGUF.
public struct LegacyLayout: Hashable, Sendable {
    enum Epoch { case pairedNibbles, wideScales, current }

    /// What a block has to become, to be one of today's.
    enum Change: Hashable {
        /// Nothing: the bytes are today's.
        case none
        /// `scales` F32 numbers at the start become F16. `nibbles`: codes of neighbours shared a byte; today those 16 apart do.
        case blocks(scales: Int, nibbles: Bool)
        /// It cannot be one; why.
        case impossible(String)
    }

    /// The name of the type, such as `Q4_0`.
    public let name: String
    /// Elements of a block.
    public let blockElements: Int
    /// Bytes of a block in the file.
    public let blockBytes: Int
    /// Today's type; `nil` if there is none.
    public let type: TensorType?
    let change: Change

    /// What is done to the blocks to make today's of them; `nil` if nothing is.
    public var conversion: String? {
        switch change {
        case .none: return nil
        case .impossible(let why): return why
        case .blocks(let scales, let nibbles):
            let parts = [
                nibbles ? "codes of neighbours shared a byte: put 16 apart" : nil,
                scales > 0 ? "\(scales == 1 ? "the scale" : "scale and minimum") rounded from F32 to F16" : nil,
            ]
            return parts.compactMap(\.self).joined(separator: "; ")
        }
    }

    /// Whether `LegacyFile.values(of:)` can make today's values of it.
    public var isConvertible: Bool { if case .impossible = change { false } else { true } }

    /// The layout of a type's number; `nil` if files of the format have no such type.
    ///
    /// Source: ggml.c at the ends of April, 18 May and August 2023 (`block_q4_0` and the like).
    static func of(id: UInt32, in format: LegacyFormat) -> LegacyLayout? {
        let epoch = format.layouts
        let (isPaired, isWide) = (epoch == .pairedNibbles, epoch != .current)
        func plain(_ type: TensorType) -> LegacyLayout {
            LegacyLayout(
                name: type.name, blockElements: type.blockElements, blockBytes: type.blockBytes, type: type,
                change: .none)
        }
        func blocks(_ type: TensorType, wideScales: Int, nibbles: Bool) -> LegacyLayout {
            let scales = isWide ? wideScales : 0
            let change = scales > 0 || nibbles ? Change.blocks(scales: scales, nibbles: nibbles) : .none
            let isUnsure = format == .ggml && nibbles
            return LegacyLayout(
                name: type.name, blockElements: 32, blockBytes: type.blockBytes + 2 * scales, type: type,
                change: isUnsure ? .impossible(Self.unsure) : change)
        }
        switch id {
        case 0: return plain(.f32)
        case 1: return plain(.f16)
        case 2: return blocks(.q4_0, wideScales: 1, nibbles: isPaired)
        case 3: return blocks(.q4_1, wideScales: 2, nibbles: isPaired)
        case 4 where isPaired: return removed("Q4_2", bytes: 10)
        case 5 where isPaired: return removed("Q4_3", bytes: 12)
        case 6: return blocks(.q5_0, wideScales: 0, nibbles: isPaired)
        case 7: return blocks(.q5_1, wideScales: 0, nibbles: isPaired)
        case 8: return blocks(.q8_0, wideScales: 1, nibbles: false)
        case 10...14 where epoch == .current: return TensorType(rawValue: id).map(plain)
        default: return nil
        }
    }

    private static func removed(_ name: String, bytes: Int) -> LegacyLayout {
        LegacyLayout(
            name: name, blockElements: 16, blockBytes: bytes, type: nil,
            change: .impossible("\(name) was a format of some weeks in 2023, which ggml has removed"))
    }

    private static let unsure =
        "files without a version had two layouts of this format, scales in front of each block or of each row, and do not "
        + "say which"
}
