import LlamaModel

/// One token as users name it: its text, or `#` and its id.
enum TokenName {
    /// - Throws: `InputError` with what the text is made of if it is not one token.
    static func id(_ name: String, of model: Llama, option: String = "--token") throws -> Int {
        let vocabulary = model.vocabulary
        if name.first == "#", let id = Int(name.dropFirst()) {
            guard (0..<vocabulary.count).contains(id) else {
                throw InputError("\(option) \(name): ids are 0 to \(vocabulary.count - 1)")
            }
            return id
        }
        // A text that is a token of its own is that token, whatever words the text would be cut into.
        if let id = (0..<vocabulary.count).first(where: { vocabulary.piece($0) == Array(name.utf8) }) {
            return id
        }
        let ids = try model.tokenizer.encode(name, addSpecial: false)
        guard ids.count == 1 else {
            let pieces = ids.map { "'\(vocabulary.displayPiece($0))' (#\($0))" }.joined(separator: ", ")
            throw InputError(
                "\(option) '\(name)' is not one token" + (ids.isEmpty ? "" : " but \(ids.count): \(pieces)")
                    + ". Name one of them, or an id as #\(ids.first ?? 0).")
        }
        return ids[0]
    }
}
