import ArgumentParser
import Foundation
import GGUF
import Presentation
import Recording
import Tracing

struct ExplainElementCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "element",
        abstract: "What one recorded number is made of: blocks, scales, terms, and what rounding did to it.",
        usage: "quipu explain element [TRACE] ELEMENT [options]",
        discussion: """
            ELEMENT is a name as `quipu ops` lists it and an index for each dimension, from 0, fastest (ne0) first: \
            ffn_out-3[12,4]. Dimensions of one element may be left out. Where several operations have one name, #k picks \
            one by order, as in Qcur-0#1[3,2,4]; without it, the last. The model is evaluated again; its file must be \
            the recorded one.

            Example:
              quipu explain element trace.db 'ffn_out-3[12,4]' --depth 2
            """)

    @Argument(
        help: ArgumentHelp("The trace (default: the last one written) and the element.", valueName: "trace> <element"),
        completion: .trace)
    var arguments: [String]
    @Option(help: "Show the N largest terms, largest first. (default: all blocks, in order)") var largest: Int?
    @Option(help: "Follow the largest terms back through N operations.") var depth = 0
    @Option(help: "Terms to follow at each operation.") var breadth = 3
    @Option(
        help: "A file of the same model in higher precision, to tell what rounding the weights did. (default: none)",
        completion: .model)
    var base: String?
    @OptionGroup var at: PassOptions
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        _ = try LeadingFile(arguments, file: "trace", rest: "an element, such as 'ffn_out-0[12,4]'")
        if let largest, largest < 1 { throw ValidationError("--largest takes 1 or more") }
        if depth < 0 || depth > 1000 { throw ValidationError("--depth takes 0 to 1000") }
        if breadth < 1 { throw ValidationError("--breadth takes 1 or more") }
        // The tree grows by the breadth with every operation followed.
        if breadth > 1, Double(depth) * log(Double(breadth)) > log(Self.largestTree) + 1e-9 {
            throw ValidationError(
                "--depth \(depth) is too large a tree with --breadth \(breadth); --breadth 1 goes all the way")
        }
    }

    /// Terms at the last level: a few screens, and a second or two.
    private static let largestTree = 4096.0

    func run() throws {
        let asked = try LeadingFile(arguments, file: "trace", rest: "an element")
        let address = try TensorAddress(asked.rest)
        let store = try LastTrace.open(asked.file)
        let run = try store.run(id: at.run)
        let other = try base.map { try GGUFFile(path: $0) }
        let replay = try replaying.open(run, in: store, memory: memory)
        let provenance = try Provenance(replay, step: at.step, threads: threads.count)
        let node = try provenance.node(address)
        let element = try address.element(in: node.layout.shape)
        let explained = try ElementProvenance(
            node, at: element, in: provenance, step: at.step,
            recorded: try store.captured(node, at: element, in: run, step: at.step), base: other)
        let tree = try depth > 0 ? provenance.tree(of: node, at: element, depth: depth, breadth: breadth) : nil
        try printing.print(
            ElementReport(
                explained, in: provenance, trace: Terminal.pathFromHere(store.path), largest: largest,
                base: other?.path, tree: tree))
        if !explained.isReproduced { throw ExitCode(2) }
    }
}
