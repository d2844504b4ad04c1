import Tensors

/// A tensor of the model's file as a reader of the trace sees it.
public struct RecordedWeight: Sendable {
    public let name: String
    public let type: String
    public let shape: Shape
    /// Bytes.
    public let size: Int
    /// Bytes from the start of the file.
    public let fileOffset: Int
}

extension TraceStore {
    /// The weight with this id; `nil` if there is none.
    public func weight(id: Int) throws -> RecordedWeight? {
        try fetch("weight", by: ["id"], "SELECT * FROM weight WHERE id = ?", [id]) { row in
            RecordedWeight(
                name: try row.text("name"), type: try row.text("type"), shape: try row.shape(),
                size: try row.int("n_bytes"), fileOffset: try row.int("file_offset"))
        }.first
    }

    /// A tensor that the model's file has and the trace's list of them does not.
    func missingWeight(_ name: String) -> TraceError {
        damaged("weight", "name \(name)", "name", found: "no such row", expected: "a row for each tensor of the model")
    }
}
