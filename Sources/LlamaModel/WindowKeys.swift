extension LlamaConfiguration.Windows {
    /// As libllama reads them.
    ///
    /// - Parameters:
    ///   - every: of so many layers one sees the whole context, where the file does not say.
    ///   - wholeFirst: whether it is the first of each group, not the last.
    ///   - fallback: the positions where the file does not say; without, there are no windows then.
    /// - Returns: `nil` if there are none.
    init?(
        _ keys: MetadataReader, every: Int, wholeFirst: Bool = false, fallback: Int? = nil
    ) throws(LlamaError) {
        let key = "attention.sliding_window"
        guard let positions = try keys.count(key) ?? fallback, positions > 0 || fallback != nil else { return nil }
        guard positions > 0 else { throw keys.invalid(key, "0", "the positions that a layer with a window sees") }
        let layers = try keys.count("block_count", in: 1...512)
        self.positions = positions
        for size in ["attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa"] {
            let whole = size.replacing("_swa", with: "")
            if let own = try keys.count(size), try keys.count(whole) != own {
                throw keys.unsupported(size, "\(own)", "heads of one size in all layers (\(whole))")
            }
        }
        if let flags = try keys.flags(key + "_pattern", layers: layers) {
            self.layers = flags
        } else {
            let every = try keys.count(key + "_pattern") ?? every
            self.layers = (0..<layers).map { layer in
                every == 0 || (wholeFirst ? layer % every != 0 : layer % every < every - 1)
            }
        }
    }
}

extension MetadataReader {
    /// The base of the rotation in layers with a window.
    func windowBase(_ fallback: Float) throws(LlamaError) -> Float {
        let base = try float("rope.freq_base_swa") ?? fallback
        guard base > 0 else { throw invalid("rope.freq_base_swa", "\(base)", "a positive number") }
        return base
    }

    /// What numbers stay below.
    func cap(_ key: String, _ fallback: Float?) throws(LlamaError) -> Float? {
        guard let cap = try float(key) ?? fallback else { return nil }
        guard cap >= 0 else { throw invalid(key, "\(cap)", "a positive number") }
        return cap
    }
}
