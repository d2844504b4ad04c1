import Testing

/// Wrong usage: status 64, what is wrong, and how it is used.
@Suite struct UsageTests {
    @Test(arguments: [
        (["bogus"], "bogus"),
        (["compar", "a"], "Did you mean 'compare'"),
        (["quant", "tabel"], "Did you mean 'table'"),
        (["inspect", "--bogus"], "--bogus"),
        (["inspect", "model.gguf", "--bytes"], "--bytes"),
        (["inspect", "model.gguf", "--count", "0"], "--count"),
        (["inspect", "model.gguf", "--offset=-1"], "--offset"),
        (["tokenize"], "a text"),
        (["tokenize", "model.gguf"], "a text"),
        (["tokenize", "model.gguf", "two", "words"], "quote"),
        (["tokenize", "model.gguf", "text", "--file", "x"], "--file"),
        (["graph", "model.gguf", "--tokens", "0"], "--tokens"),
        (["graph", "model.gguf", "--json", "--format", "dot"], "--format dot"),
        (["graph", "model.gguf", "--format", "svg"], "svg"),
        (["trace", "model.gguf"], "--prompt"),
        (["trace", "model.gguf", "--prompt"], "--prompt"),
        (["trace", "model.gguf", "-p", "x", "--generate=-1"], "--generate"),
        (["trace", "model.gguf", "-p", "x", "--generate", "9223372036854775807"], "--generate"),
        (["trace", "model.gguf", "-p", "x", "--capture", "some"], "some"),
        (["trace", "model.gguf", "-p", "x", "--threads", "0"], "--threads"),
        (["trace", "model.gguf", "-p", "x", "--max-size", "2Q"], "--max-size"),
        (["trace", "model.gguf", "-p", "x", "--max-size", "1e300"], "--max-size"),
        (["trace", "model.gguf", "-p", "x", "--force", "--append"], "--append"),
        (["trace", "model.gguf", "-p", "x", "--temperature", "nan"], "--temperature"),
        (["trace", "model.gguf", "-p", "x", "--top-p", "0"], "--top-p"),
        (["trace", "model.gguf", "-p", "x", "--min-p", "2"], "--min-p"),
        (["trace", "model.gguf", "-p", "x", "--seed=-1"], "--seed"),
        (["ops", "trace.db", "--layer", "x"], "--layer"),
        (["show"], "Missing"),
        (["show", "trace.db"], "a tensor"),
        (["show", "trace.db", "kq-0", "kq-1"], "a tensor"),
        (["sql", "trace.db"], "a statement"),
        (["explain", "element", "trace.db"], "an element"),
        (["explain", "element", "trace.db", "kq-0[0,0,0]", "--depth=-1"], "--depth"),
        (["explain", "element", "trace.db", "kq-0[0,0,0]", "--depth", "20"], "--breadth 1"),
        (["explain", "element", "trace.db", "kq-0[0,0,0]", "--largest", "0"], "--largest"),
        (["explain", "element", "trace.db", "kq-0[0,0,0]", "--breadth", "0"], "--breadth"),
        (["explain", "logit", "trace.db", "--token", "a", "--token-id", "3"], "--token-id"),
        (["bench", "model.gguf", "-p", "0"], "--prompt-tokens"),
        (["bench", "model.gguf", "-n", "0"], "--decode-tokens"),
        (["bench", "model.gguf", "-r", "0"], "--repetitions"),
        (["bench", "model.gguf", "-p", "1000001"], "--prompt-tokens"),
        (["bench", "model.gguf", "--threads", "0"], "--threads"),
        (["perplexity", "model.gguf", "text.txt"], "text.txt"),
        (["perplexity", "model.gguf", "--chunk", "7"], "--chunk"),
        (["perplexity", "model.gguf", "--chunks", "0"], "--chunks"),
        (["compare"], "Missing"),
        (["tarce", "--prompt", "x"], "Unknown command 'tarce'. Did you mean 'trace'?"),
        (["explain", "elemnt", "trace.db", "kq-0"], "Unknown command 'elemnt'. Did you mean 'element'?"),
        (["trace", "model.gguf", "--promt", "x"], "Unknown option '--promt'. Did you mean '--prompt'?"),
        (["attention", "trace.db", "1.3", "--lyer", "3"], "Unknown option '--lyer'. Did you mean '--layer'?"),
        (["gqa", "what-if", "--dorp", "0:1"], "Unknown option '--dorp'. Did you mean '--drop'?"),
        (["gqa", "--contxt=9", "model.gguf", "none.gguf"], "Unknown option '--contxt'. Did you mean '--context'?"),
        (["explain", "weight", "model.gguf", "blk.0.attn_q.weight", "0", "-1"], "Unknown option '-1'."),
        (["explain", "weight", "model.gguf", "blk.0.attn_q.weight", "0", "--", "-1"], "numbers from 0, not '0 -1'"),
        (["compare", "a.gguf", "b.gguf", "c.gguf"], "two models"),
        (["compare", "a.gguf", "b.gguf", "--max-kld=-1"], "--max-kld"),
        (["compare", "a.gguf", "b.gguf", "--max-kld", "nan"], "--max-kld"),
    ])
    func isExplained(arguments: [String], part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        let outcome = try bench.quipu(arguments)
        expectComplaint(outcome, part, "Usage: quipu", status: 64)
        #expect(!bench.exists("trace-2.db"))
    }
}
