import Foundation
import GGUF
import Jinja
import Lessons
import LlamaModel
import Quantization
import Tensors
import TestSupport
import Tokenization

extension FuzzTarget {
    /// Opened, its values read, made a model, asked for the ids of a text.
    static let model = FuzzTarget("model", "a GGUF file") { bytes in
        let file = try GGUFFile(path: try Scratch.write(bytes, to: "model.gguf"))
        for tensor in file.tensors {
            let values = file.values(of: tensor)
            guard let format = BlockFormats.format(for: tensor.type), tensor.shape.count > 0 else { continue }
            values.withBytes { bytes in
                let first = min(bytes.byteCount, 4 * format.type.blockBytes)
                _ = format.values(of: bytes.extracting(0..<first / format.type.blockBytes * format.type.blockBytes))
            }
        }
        let model = try Llama(file: file)
        _ = try model.tokenizer.encode("Mia has the red ball. 😀")
    }

    private static let tokenizers: [Tokenizer] = ["stories260K", "tiny-llama", "tiny-gemma3", "tiny-qwen2"].map {
        try! Tokenizer(metadata: GGUFFile(path: Places.fixture("\($0).gguf")).metadata)
    }

    static let tokenizer = FuzzTarget("tokenizer", "which vocabulary and which options, then a text") { bytes in
        var input = Cursor(bytes)
        let tokenizer = input.choose(tokenizers)
        let options = input.byte()
        let (special, parses) = (options & 1 != 0, options & 2 != 0)
        let text = input.rest()
        let ids = tokenizer.encode(bytes: text, addSpecial: special, parseSpecial: parses)
        let steps = tokenizer.encodeWithSteps(bytes: text, addSpecial: special, parseSpecial: parses)
        precondition(ids == steps.ids, "the ids depend on whether the steps are asked for")
        precondition(ids.allSatisfy { 0..<tokenizer.vocabulary.count ~= $0 }, "an id out of the vocabulary")
        for id in ids { _ = tokenizer.vocabulary.piece(id) }
    }

    static let blocks = FuzzTarget("blocks", "which format, then blocks") { bytes in
        var input = Cursor(bytes)
        let format = input.choose(BlockFormats.all)
        let blocks = input.rest()
        let whole = blocks.count / format.type.blockBytes * format.type.blockBytes
        guard whole > 0 else { return }
        let values = Array(blocks[..<whole]).withUnsafeBytes { format.values(of: RawSpan(_unsafeBytes: $0)) }
        precondition(values.count == whole / format.type.blockBytes * format.type.blockElements, "\(format.type)")
        guard values.allSatisfy(\.isFinite), values.count % 256 == 0 else { return }
        for case let other as any EncodableFormat in BlockFormats.all { _ = other.blocks(of: values) }
    }

    static let lesson = FuzzTarget("lesson", "a lesson's file", echoes: true) { bytes in
        let folder = Scratch.folder.appending(path: "course")
        if !FileManager.default.fileExists(atPath: folder.path) {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let head = Places.package.appending(path: "lessons/course.yml")
            try FileManager.default.copyItem(at: head, to: folder.appending(path: "course.yml"))
        }
        try Data(bytes).write(to: folder.appending(path: "01-lesson.md"))
        _ = try Course(folder: folder.path)
    }

    static let template = FuzzTarget("template", "a chat template") { bytes in
        let message = JinjaData.object(["role": .text("user"), "content": .text("Hi\u{1b}")])
        _ = try JinjaTemplate(bytes).render(
            [
                "messages": .list([message, message]), "tools": .none, "documents": .none,
                "add_generation_prompt": .bool(true), "bos_token": .text("<s>"), "eos_token": .text("</s>"),
            ], now: JinjaMoment(year: 2026, month: 1, day: 31))
    }
}
