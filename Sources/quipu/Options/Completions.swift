import ArgumentParser

/// What the shell offers where a command line names a file.
extension CompletionKind {
    static var model: CompletionKind { .file(extensions: ["gguf"]) }
    static var trace: CompletionKind { .file(extensions: ["db"]) }
    static var results: CompletionKind { .file(extensions: ["jsonl"]) }
}
