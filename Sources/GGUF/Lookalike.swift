/// What a file is that does not start with "GGUF", as far as its first bytes tell.
enum Lookalike {
    private static let kinds: [(start: [UInt8], what: String, advice: String)] = [
        (Array("lmgg".utf8), "an unversioned GGML file, of a llama or of whisper.cpp", legacy),
        (Array("fmgg".utf8), "a GGMF file", legacy),
        (Array("tjgg".utf8), "a GGJT file", legacy),
        (
            Array("algg".utf8), "an old GGML LoRA adapter",
            "The format was replaced by GGUF in 2023: convert the original adapter with a current llama.cpp."
        ),
        (Array("FUGG".utf8), "a byte-swapped GGUF magic", "Convert it with gguf-py's gguf-convert-endian."),
        (Array("version https://git-lfs".utf8), "a Git LFS pointer", "Fetch the file it points to: git lfs pull."),
        (Array("<".utf8), "an HTML or XML page", "The download was answered by a web page: download the file itself."),
        (Array("PK\u{3}\u{4}".utf8), "a zip archive or PyTorch checkpoint", convert),
        ([0x1f, 0x8b], "a gzip archive", "Unpack it first: gunzip."),
        (
            Array("SQLite format 3".utf8), "an SQLite database",
            "If it is a trace of Quipu, use the commands that take a TRACE."
        ),
    ]

    private static let legacy =
        "The format was replaced by GGUF in 2023: `quipu inspect` lists it, `quipu convert OLD NEW.gguf` makes GGUF of it."

    /// Of files from before GGUF, as little-endian numbers.
    static let legacyMagics: Set<UInt32> = [0x6767_6D6C, 0x6767_6D66, 0x6767_6A74]
    private static let convert = "Convert the model to GGUF with llama.cpp's convert_hf_to_gguf.py."

    /// The most bytes that `describe` looks at.
    static let byteCount = 24

    static func describe(_ bytes: [UInt8]) -> String {
        let four = bytes.prefix(4)
        let hex = four.map { ($0 < 16 ? "0x0" : "0x") + String($0, radix: 16) }.joined(separator: " ")
        let printable = four.allSatisfy { (0x20..<0x7f).contains($0) }
        let shown = printable ? "\"\(String(decoding: four, as: UTF8.self))\"" : hex
        return kind(bytes).map { "\(shown), the start of \($0.what)" } ?? shown
    }

    static func advice(_ bytes: [UInt8]) -> String {
        kind(bytes)?.advice ?? "This is no GGUF file. \(convert)"
    }

    private static func kind(_ bytes: [UInt8]) -> (start: [UInt8], what: String, advice: String)? {
        if LegacyImportance.isLegacy(bytes) {
            return (
                [], "an importance matrix from before GGUF (imatrix.dat)",
                "Give it to `quipu quantize --imatrix`; `quipu inspect` lists it. It is no model."
            )
        }
        if bytes.count > 8, bytes[8] == UInt8(ascii: "{"), bytes[4..<8].allSatisfy({ $0 == 0 }) {
            return ([], "a safetensors file", convert)
        }
        if let known = kinds.first(where: { bytes.starts(with: $0.start) }) { return known }
        let isText = bytes.allSatisfy { (0x20..<0x7f).contains($0) || (9...13).contains($0) }
        return isText ? ([], "a text file", "This is no GGUF file. \(convert)") : nil
    }
}
