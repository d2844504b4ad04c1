import GRDB
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
        try fetch("SELECT * FROM weight WHERE id = ?", [id]) { row in
            RecordedWeight(
                name: row["name"], type: row["type"],
                shape: Shape(row["ne0"], row["ne1"], row["ne2"], row["ne3"]), size: row["n_bytes"],
                fileOffset: row["file_offset"])
        }.first
    }
}
