import Tensors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

extension GGUFError: CustomStringConvertible {
    /// `model.gguf, byte 4: found version 1, expected version 2 or 3. Convert …`
    public var description: String {
        let location = offset.map { "\(file), byte \($0)" } ?? file
        return "\(location): found \(found), expected \(expected). \(advice)"
    }

    /// What is there.
    public var found: String { wording.found }
    /// What should be there.
    public var expected: String { wording.expected }
    /// What to do about it.
    public var advice: String { wording.advice }

    struct Wording {
        let found: String
        let expected: String
        let advice: String

        init(_ found: String, _ expected: String, _ advice: String) {
            (self.found, self.expected, self.advice) = (found, expected, advice)
        }
    }

    private var wording: Wording {
        switch problem {
        case .file(let problem): problem.wording
        case .header(let problem): problem.wording
        case .metadata(let problem): problem.wording
        case .tensor(let problem): problem.wording
        case .split(let problem): problem.wording
        case .legacy(let problem): problem.wording
        }
    }

    /// A name out of a file, fit for a terminal: what would act on one escaped, cut when absurdly long.
    static func quoted(_ name: String) -> String {
        let name = name.showingBytes()
        let shown = name.unicodeScalars.prefix(80)
        let escaped = shown.map { $0.changesTerminal ? $0.escaped(asASCII: true) : String($0) }
        return "\"" + escaped.joined() + (shown.endIndex < name.unicodeScalars.endIndex ? "…\"" : "\"")
    }

    static let damaged = "The file is damaged or was cut short: download or convert it again."
    static let reported = "The file was written wrongly: convert it again, or report it to whoever made it."
}

extension GGUFError.FileProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .missing: .init("no such file", "a GGUF file", "Check the path.")
        case .directory:
            .init("a directory", "a GGUF file", "Name the .gguf file inside it.")
        case .notRegular:
            .init(
                "a device, pipe or socket", "a regular file",
                "Copy its contents to a file; models are mapped, not read.")
        case .empty:
            .init("an empty file", "a GGUF file", "The download probably failed before it began: download it again.")
        case .noPermission:
            .init("no permission to open it", "an accessible file", "Change its mode (chmod), or run as its owner.")
        case .changed(let now, let before):
            .init(
                now == before ? "bytes that were written while it was read" : "\(now) bytes, where it had \(before)",
                "the file as it was when it was opened", "What was made of it is not to be trusted: run again.")
        case .exists:
            .init("an existing file", "a path not in use", "Choose another path, or ask for overwriting.")
        case .system(let call, let code):
            .init(
                "\(call) failing with \"\(String(cString: strerror(code)))\" (errno \(code))", "it to succeed",
                "Check the path, the disk and the free space.")
        }
    }
}

extension GGUFError.HeaderProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .magic(let bytes):
            .init(Lookalike.describe(bytes), "the magic \"GGUF\"", Lookalike.advice(bytes))
        case .otherEndianness(let version):
            .init(
                "version \(version), which is \(version.byteSwapped) with its bytes swapped",
                "little-endian version 2 or 3",
                "The file was made for the other byte order: convert it with gguf-py's gguf-convert-endian.")
        case .version(1):
            .init(
                "GGUF version 1", "version 2 or 3",
                "Version 1 was replaced in 2023: convert the original model again with a current llama.cpp.")
        case .version(let version):
            .init(
                "GGUF version \(version)", "version 2 or 3",
                version == 0 ? GGUFError.damaged : "The file is newer than this program: update Quipu.")
        case .truncated(let field, let needed, let left):
            .init("the end of the file after \(left) bytes for \(field)", "\(needed) bytes", GGUFError.damaged)
        case .count(let field, let count, let limit):
            .init(
                "\(count) as \(field)", "0 to \(limit), which is what the rest of the file can hold", GGUFError.damaged)
        case .stringTooLong(let field, let length):
            .init("a string of \(length) bytes for \(field)", "at most \(GGUFLimits.stringBytes)", GGUFError.damaged)
        case .arrayTooLong(let key, let count):
            .init(
                "an array of \(count) elements for \(GGUFError.quoted(key))", "at most \(GGUFLimits.arrayElements)",
                GGUFError.damaged)
        }
    }
}

extension GGUFError.MetadataProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .emptyKey(let index):
            .init("an empty key for metadata entry \(index)", "a name", GGUFError.reported)
        case .duplicateKey(let key):
            .init("the key \(GGUFError.quoted(key)) a second time", "each key once", GGUFError.reported)
        case .unknownType(let key, let id):
            .init(
                "value type \(id) for \(GGUFError.quoted(key))", "0 to \(GGUFValueType.allCases.count - 1)",
                GGUFError.damaged)
        case .nestedArray(let key):
            .init(
                "an array of arrays for \(GGUFError.quoted(key))", "an array of numbers, booleans or strings",
                GGUFError.reported)
        case .alignmentType(let type):
            .init("type \(type.name) for \"general.alignment\"", "type u32", GGUFError.reported)
        case .alignment(let value):
            .init("\(value) for \"general.alignment\"", "a power of two", GGUFError.reported)
        }
    }
}

extension GGUFError.TensorProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .nameTooLong(let index, let byteCount):
            .init(
                "a name of \(byteCount) bytes for tensor \(index)", "at most \(GGUFLimits.tensorNameBytes)",
                GGUFError.reported)
        case .duplicateName(let name, let file):
            .init(
                "the tensor \(GGUFError.quoted(name)), which \(file) already has", "each tensor once",
                GGUFError.reported)
        case .dimensionCount(let name, let count):
            .init("\(count) dimensions for tensor \(GGUFError.quoted(name))", "at most 4", GGUFError.damaged)
        case .dimension(let name, let dimension, let extent):
            .init("\(extent) as ne\(dimension) of tensor \(GGUFError.quoted(name))", "0 or more", GGUFError.damaged)
        case .tooManyElements(let name, let dimensions):
            .init(
                "shape \(GGUFError.shape(dimensions)) for tensor \(GGUFError.quoted(name))",
                "at most \(Int.max) elements", GGUFError.damaged)
        case .unknownType(let name, let id):
            .init(
                "type \(id) for tensor \(GGUFError.quoted(name))", "a type of ggml, 0 to \(TensorType.highestID)",
                "Either the file is damaged, or the format is newer than this program: update Quipu.")
        case .removedType(let name, let id, let removed):
            .init(
                "type \(id) for tensor \(GGUFError.quoted(name)), the format \(removed) that ggml has removed",
                "a current format", "Quantise the original model again, to Q4_0 for example.")
        case .partialBlock(let name, let type, let ne0):
            .init(
                "rows of \(ne0) elements for tensor \(GGUFError.quoted(name)) of type \(type)",
                "a multiple of its block of \(type.blockElements)", GGUFError.damaged)
        case .tooManyBytes(let name, let type, let dimensions):
            .init(
                "shape \(GGUFError.shape(dimensions)) and type \(type) for tensor \(GGUFError.quoted(name))",
                "data sections of at most \(Int.max) bytes", GGUFError.damaged)
        case .offset(let name, let found, let expected, let alignment):
            .init(
                "data offset \(found) for tensor \(GGUFError.quoted(name)), which "
                    + GGUFError.meaning(of: found, expected: expected, alignment: alignment),
                "\(expected), right after the tensor before, padded to \(alignment)", GGUFError.reported)
        case .dataTruncated(let name, let end, let byteCount):
            .init(
                "the end of the file at byte \(byteCount)",
                "data of tensor \(GGUFError.quoted(name)) up to byte \(end)",
                "At least \(end - byteCount) bytes are missing: download the file again.")
        case .values(let name, let found, let expected):
            .init(
                "values \(found) for tensor \(GGUFError.quoted(name))", "contiguous \(expected)",
                "Nothing was written; this is a mistake of the calling code.")
        }
    }
}

extension GGUFError.SplitProblem {
    var wording: GGUFError.Wording {
        switch self {
        case .key(let key, nil, let expected):
            .init("no \"\(key)\"", "one of type \(expected.name)", "Split the model again with gguf-split.")
        case .key(let key, let found?, let expected):
            .init(
                "type \(found.name) for \"\(key)\"", "type \(expected.name)", "Split the model again with gguf-split.")
        case .notFirst(let number, let first):
            .init(
                "part \(number) of a split model", "part 1",
                "Open \(first ?? "the first part"); the others are found by name.")
        case .fileName(let ending):
            .init(
                "a name with another ending", "a first part ending in \"\(ending)\"",
                "Give the parts their original names back: they are how the parts find each other.")
        case .joined(let count):
            .init(
                "a second GGUF file behind the first part's end, as `cat` joins parts",
                "one file with the first part alone",
                "Parts are read as \(count) files beside each other, not joined: download them again under their names, "
                    + "or make one model of them with gguf-split --merge.")
        case .missingPart(let number, let count):
            .init(
                "no such file", "part \(number) of \(count)", "Download it into the same folder as the first part.")
        case .number(let found, let expected):
            .init(
                "part \(found + 1) by its \"split.no\" of \(found)", "part \(expected + 1), \"split.no\" \(expected)",
                "Two parts seem to have swapped names: rename or download them again.")
        case .tensorCount(let found, let expected):
            .init(
                "\(found) tensors in all parts", "\(expected), by \"split.tensors.count\"",
                "The parts do not belong together: download them again.")
        }
    }
}

extension GGUFError {
    fileprivate static func shape(_ dimensions: [Int]) -> String {
        dimensions.map(String.init).joined(separator: "x")
    }

    fileprivate static func meaning(of found: UInt64, expected: Int, alignment: Int) -> String {
        if found % UInt64(alignment) != 0 { return "is not aligned" }
        return found < UInt64(expected) ? "overlaps the tensor before" : "leaves a gap"
    }
}

extension GGUFError.Field: CustomStringConvertible {
    public var description: String {
        switch self {
        case .magic: "the magic"
        case .version: "the version"
        case .tensorCount: "the number of tensors"
        case .entryCount: "the number of metadata entries"
        case .key(let index): "the key of metadata entry \(index)"
        case .valueType(let key): "the value type of \(GGUFError.quoted(key))"
        case .elementType(let key): "the element type of \(GGUFError.quoted(key))"
        case .elementCount(let key): "the element count of \(GGUFError.quoted(key))"
        case .value(let key): "the value of \(GGUFError.quoted(key))"
        case .element(let key, let index): "element \(index) of \(GGUFError.quoted(key))"
        case .tensorName(let index): "the name of tensor \(index)"
        case .dimensionCount(let name): "the number of dimensions of tensor \(GGUFError.quoted(name))"
        case .dimension(let name, let dimension): "ne\(dimension) of tensor \(GGUFError.quoted(name))"
        case .tensorType(let name): "the type of tensor \(GGUFError.quoted(name))"
        case .tensorOffset(let name): "the data offset of tensor \(GGUFError.quoted(name))"
        case .padding(let alignment): "the padding to \(alignment) before the tensor data"
        case .named(let name): name
        case .token(let index): "token \(index)"
        }
    }
}
