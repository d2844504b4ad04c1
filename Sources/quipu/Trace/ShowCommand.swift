import ArgumentParser
import EmbeddedModel
import Foundation
import GGUF
import Presentation
import ProgramFiles
import Quantization
import Recording
import Tensors

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a recorded tensor, or weights of a model: numbers, statistics.",
        usage: """
            quipu show [TRACE] TENSOR [options]
                   quipu show MODEL TENSOR [options]
            """,
        discussion: """
            TENSOR is a name as `quipu ops` lists it and, in brackets, indices from 0, fastest dimension (ne0) first: \
            kq-0[:,2], ffn_out-5[0:64], Qcur-3[-1]. Where several operations have one name, #k picks one by order, as in \
            Qcur-0#1; without it, the last.

            Weights are read from a model's file, as their format decodes: \
            `quipu show model.gguf 'blk.0.attn_norm.weight'`. A name that ends in .weight or .bias does so by itself.

            Example:
              quipu show trace.db 'kq_soft_max-3[:,:,0]'
            """)

    @Argument(
        help: ArgumentHelp("The trace (default: the last one written) and the tensor.", valueName: "trace> <tensor"),
        completion: .trace)
    var arguments: [String]
    @OptionGroup var at: PassOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        _ = try LeadingFile(arguments, file: "trace", rest: "a tensor, such as 'kq_soft_max-0[:,:,0]'")
    }

    func run() throws {
        let parsed = try LeadingFile(arguments, file: "trace", rest: "a tensor")
        let address = try TensorAddress(parsed.rest)
        if let weights = try weights(parsed.file, address) { return try printing.print(weights) }
        let store = try LastTrace.open(parsed.file)
        let run = try store.run(id: at.run)
        let operation = try store.operation(address, run: run, step: at.step)
        let ranges = try address.ranges(in: operation.shape)
        let values = try store.values(of: operation, in: run)
        try printing.print(
            ShowReport(
                trace: store.path, operation: operation, inputs: try store.inputs(of: operation), values: values,
                ranges: ranges))
    }

    /// Of a model's file, if one is named or the tensor is one of weights.
    private func weights(_ path: String?, _ address: TensorAddress) throws -> WeightsReport? {
        let isModel = path.map {
            PathKind.start(of: $0, bytes: 4) == Data("GGUF".utf8) || EmbeddedModel.names[$0] != nil
        }
        let isWeight = address.name.hasSuffix(".weight") || address.name.hasSuffix(".bias")
        guard isModel == true || (isWeight && path == nil) else { return nil }
        let file = try ModelArgument.open(path)
        guard let tensor = file.tensor(named: address.name) else {
            let near = nearest(to: address.name, in: file.tensors.map(\.name))
            throw InputError(
                "\(file.path): there is no tensor `\(address.name)`"
                    + (near.isEmpty ? "" : "; near are \(near.joined(separator: ", "))"))
        }
        guard BlockFormats.format(for: tensor.type) != nil else {
            throw InputError("\(file.path): weights of type \(tensor.type) cannot be decoded")
        }
        return WeightsReport(tensor, of: file, ranges: try address.ranges(in: tensor.shape))
    }
}
