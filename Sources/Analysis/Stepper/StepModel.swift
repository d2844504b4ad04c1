import ComputeGraph
import LlamaModel
import Operations
import Recording
import Tensors

/// What a walk over a trace needs its model for: the values that were not captured, explanations, the logit lens. Opened
/// when it is first asked.
public final class StepModel {
    private let open: () throws -> Replay
    private let threads: Int
    private var replay: Replay?
    private var pass: (step: Int, pass: Pass)?
    /// By operation.
    private var tops: [Int: String] = [:]

    /// - Parameter open: finds the model and checks that it is the one the trace was made from.
    public init(threads: Int, open: @escaping () throws -> Replay) {
        self.threads = threads
        self.open = open
    }

    /// The pass evaluated again, with all values.
    func pass(_ step: Int) throws -> Pass {
        if let pass, pass.step == step { return pass.pass }
        let evaluated = try opened().pass(step, threads: threads)
        pass = (step, evaluated)
        return evaluated
    }

    /// An element of an operation's output explained, with the inputs as they were.
    func explain(_ element: ElementIndex, of operation: RecordedOperation) throws -> Explanation {
        let interpreter = try pass(operation.step).interpreter
        let node = interpreter.graph.nodes[operation.seq]
        return node.operation.explain(
            element, inputs: node.inputs.map { interpreter.value(of: $0)! },
            output: interpreter.value(of: .node(operation.seq))!)
    }

    /// The last token's column of the residual stream.
    func residual(of operation: RecordedOperation) throws -> [Float] {
        let tensor = try pass(operation.step).interpreter.value(of: .node(operation.seq))!
        return tensor.withRow(of: Float.self, tensor.shape.ne1 - 1) { row in row.indices.map { row[$0] } }
    }

    /// The token that the residual stream would predict if the network ended here: its final norm and output matrix,
    /// applied by the operations of a real pass.
    ///
    /// - Parameter column: the stream at one position; read only if the answer is not known.
    func topToken(at operation: RecordedOperation, column: () throws -> [Float]) throws -> String {
        if let known = tops[operation.id] { return known }
        let model = try opened().model
        let values = try column()
        let x = Tensor.floats(values, Shape(values.count))
        let workers = Workers(threads: threads, instructions: .best)
        let normed = Tensor.zeros(.f32, x.shape)
        RMSNorm(epsilon: model.configuration.normEpsilon).evaluate([x], into: normed, on: workers)
        let scaled = Tensor.zeros(.f32, x.shape)
        Mul().evaluate([normed, model.weights.outputNorm.tensor], into: scaled, on: workers)
        let logits = Tensor.zeros(.f32, Shape(model.configuration.vocabulary))
        MatMul().evaluate([model.weights.output.tensor, scaled], into: logits, on: workers)
        let top = model.tokenizer.displayPiece(Sampler.argmax(logits.floats()))
        tops[operation.id] = top
        return top
    }

    private func opened() throws -> Replay {
        if let replay { return replay }
        let opened = try open()
        replay = opened
        return opened
    }
}
