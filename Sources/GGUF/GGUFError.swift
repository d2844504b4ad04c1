import Tensors

/// A GGUF file that cannot be read or written: which file, at which byte, what is there, what should be.
///
/// The facts are in `problem`, for code to compare; the sentences are derived from them.
public struct GGUFError: InputProblem, Hashable, Sendable {
    /// The path as it was given; of a split model, the part at fault.
    public let file: String
    /// Bytes from the start of the file to the field at fault; `nil` if the file as a whole is.
    public let offset: Int?
    /// What is wrong, for code to compare.
    public let problem: Problem

    /// - Parameters:
    ///   - file: the path as it was given.
    ///   - offset: bytes from the start of the file; `nil` if the file as a whole is at fault.
    ///   - problem: what is wrong.
    public init(file: String, offset: Int? = nil, _ problem: Problem) {
        self.file = file
        self.offset = offset
        self.problem = problem
    }

    /// What is wrong, by the part of the file that it is in.
    public enum Problem: Hashable, Sendable {
        case file(FileProblem)
        case header(HeaderProblem)
        case metadata(MetadataProblem)
        case tensor(TensorProblem)
        case split(SplitProblem)
        case legacy(LegacyProblem)
    }

    /// The file cannot be opened or written at all.
    public enum FileProblem: Hashable, Sendable {
        case missing
        case directory
        /// A device, pipe or socket.
        case notRegular
        case empty
        case noPermission
        /// It was written to while it was read: its size now, and when it was opened.
        case changed(byteCount: Int, before: Int)
        /// Writing was asked for, but not overwriting.
        case exists
        /// A call of the operating system failed: its name and `errno`.
        case system(call: String, code: Int32)
    }

    /// The layout is broken, or this is another kind of file.
    public enum HeaderProblem: Hashable, Sendable {
        case magic([UInt8])
        case otherEndianness(version: UInt32)
        case version(UInt32)
        /// The file ends inside a field.
        case truncated(Field, needed: Int, left: Int)
        /// More entries or tensors than the rest of the file can hold, or a negative number.
        case count(Field, found: Int64, limit: Int)
        case stringTooLong(Field, found: UInt64)
        case arrayTooLong(key: String, found: UInt64)
    }

    /// A key-value pair breaks GGUF's rules.
    public enum MetadataProblem: Hashable, Sendable {
        case emptyKey(index: Int)
        case duplicateKey(String)
        case unknownType(key: String, id: Int32)
        case nestedArray(key: String)
        case alignmentType(GGUFValueType)
        case alignment(UInt32)
    }

    /// A tensor's record breaks GGUF's or ggml's rules, or its data is not there.
    public enum TensorProblem: Hashable, Sendable {
        case nameTooLong(index: Int, byteCount: UInt64)
        /// `file` is the part that has the first tensor of the name.
        case duplicateName(String, file: String)
        case dimensionCount(tensor: String, found: UInt32)
        case dimension(tensor: String, dimension: Int, found: Int64)
        case tooManyElements(tensor: String, dimensions: [Int])
        case unknownType(tensor: String, id: Int32)
        case removedType(tensor: String, id: Int32, name: String)
        case partialBlock(tensor: String, type: TensorType, ne0: Int)
        case tooManyBytes(tensor: String, type: TensorType, dimensions: [Int])
        case offset(tensor: String, found: UInt64, expected: Int, alignment: Int)
        /// The file ends before the tensor's data does; `end` is where the data would end.
        case dataTruncated(tensor: String, end: Int, fileByteCount: Int)
        /// A writer's tensor is not what its entry announced.
        case values(tensor: String, found: Layout, expected: Layout)
    }

    /// The parts of a split model do not belong together, or one is missing.
    public enum SplitProblem: Hashable, Sendable {
        /// A `split.*` key is missing (`found` is nil) or has another type.
        case key(String, found: GGUFValueType?, expected: GGUFValueType)
        case notFirst(number: Int, first: String?)
        case fileName(expectedEnding: String)
        /// The next part begins where this one ends.
        case joined(count: Int)
        /// Parts count from 1 here, as in file names.
        case missingPart(number: Int, count: Int)
        case number(found: Int, expected: Int)
        case tensorCount(found: Int, expected: Int)
    }
}

extension GGUFError {
    /// The part of a file that was being read.
    public enum Field: Hashable, Sendable {
        case magic
        case version
        case tensorCount
        case entryCount
        case key(Int)
        case valueType(key: String)
        case elementType(key: String)
        case elementCount(key: String)
        case value(key: String)
        case element(key: String, Int)
        case tensorName(Int)
        case dimensionCount(tensor: String)
        case dimension(tensor: String, Int)
        case tensorType(tensor: String)
        case tensorOffset(tensor: String)
        case padding(alignment: Int)
        /// A field of a file from before GGUF, by its name in ggml.
        case named(String)
        case token(Int)
    }
}
