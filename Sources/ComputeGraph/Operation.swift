import Tensors

/// A kind of graph node: one value with four duties, from which stepping, provenance, lessons and roofline all derive.
///
/// 1. its **shape rule** (`output(for:)`), 2. its **evaluation**, 3. its **explanation** (an output element in terms of
/// source elements), 4. its **cost**. Parameters are stored properties (`RMSNorm(epsilon:)`).
public protocol Operation: Sendable {
    /// The name ggml's `ggml_op_desc` gives it: `MUL_MAT`, `SWIGLU`, …
    static var kind: String { get }

    /// What it computes, with the field's symbols and ggml's order of indices: `y[i] = x[i] / sqrt(mean(x²) + ε)`.
    static var formula: String { get }

    /// The same in plain words: one or two sentences.
    static var summary: String { get }

    /// Which parameters stand in the formula, by name, and as which letters.
    static var symbols: [String: String] { get }

    /// Whether it only names values of its first input: nothing is computed, moved or counted.
    static var isView: Bool { get }

    /// Whether it changes the memory of its last input instead of making a tensor of its own.
    static var isWrite: Bool { get }

    /// Whether layouts alone do not tell what an evaluation costs.
    static var costDependsOnValues: Bool { get }

    /// What distinguishes this node from another of its kind, by name and with ggml's names where it has them.
    var parameters: [(name: String, value: ParameterValue)] { get }

    /// Shape rule: what the operation makes of inputs with these layouts.
    ///
    /// - Throws: `GraphError.shape` if the inputs do not fit together.
    func output(for inputs: [Layout]) throws(GraphError) -> Output

    /// The output's dimension that counts the tokens of the pass.
    var tokenDimension: Int { get }

    /// Computes all of `output`. Not called for pure views.
    func evaluate(_ inputs: [Tensor], into output: Tensor, on workers: Workers)

    /// Whether nodes that read the same last input, and as first input weights of one type, can be computed as one.
    static var isJoinable: Bool { get }

    /// Computes the outputs of such nodes, whose operations are equal to this one: to the bit what each makes alone, but
    /// threads wait for each other once.
    func evaluate(joined inputs: [[Tensor]], into outputs: [Tensor], on workers: Workers)

    /// Which part of an input a part of the output is computed from, so that the same operation on such parts makes
    /// the part, to the bit; `nil` if it cannot be evaluated in parts.
    func source(of part: OutputPart, slot: Int, _ input: Layout, output: Layout) -> (layout: Layout, byteOffset: Int)?

    /// How it is evaluated as one with the operations that make what it reads, each reading the one before; `nil` if it
    /// is not.
    func fusion(after operations: [any Operation]) -> (any Fusion)?

    /// Where one output element comes from. Inputs and output are as recorded; the value is computed anew.
    func explain(_ element: ElementIndex, inputs: [Tensor], output: Tensor) -> Explanation

    /// What one evaluation costs, as far as layouts tell.
    func cost(inputs: [Layout], output: Layout) -> Cost

    /// What one evaluation cost: that of a product with chosen experts depends on which they were.
    func cost(inputs: [Tensor], output: Tensor) -> Cost
}

extension Operation {
    public static var symbols: [String: String] { [:] }
    public static var isView: Bool { false }
    public static var isWrite: Bool { false }
    public static var costDependsOnValues: Bool { false }
    public static var isJoinable: Bool { false }
    public func evaluate(joined inputs: [[Tensor]], into outputs: [Tensor], on workers: Workers) {
        for (inputs, output) in zip(inputs, outputs) { evaluate(inputs, into: output, on: workers) }
    }
    public func source(
        of part: OutputPart, slot: Int, _ input: Layout, output: Layout
    ) -> (layout: Layout, byteOffset: Int)? { nil }
    public func fusion(after operations: [any Operation]) -> (any Fusion)? { nil }
    public var kind: String { Self.kind }
    public var isView: Bool { Self.isView }
    public var isWrite: Bool { Self.isWrite }
    public var parameters: [(name: String, value: ParameterValue)] { [] }
    public var tokenDimension: Int { 1 }

    public func cost(inputs: [Tensor], output: Tensor) -> Cost {
        cost(inputs: inputs.map(\.layout), output: output.layout)
    }
}

/// A parameter as it is recorded and printed.
public enum ParameterValue: Sendable, Hashable {
    case int(Int)
    case ints([Int])
    case float(Float)
    case text(String)
}

/// What a shape rule promises.
public struct Output: Sendable, Hashable {
    public enum Memory: Sendable, Hashable {
        /// Values of its own.
        case fresh
        /// The bytes of input `slot`, from `byteOffset` on, in another layout; nothing is computed or moved.
        case view(slot: Int, byteOffset: Int)
        /// The bytes of input `slot`, which evaluation changes: ggml's `SET_ROWS` returns its destination.
        case inPlace(slot: Int)
    }

    public var layout: Layout
    public var memory: Memory

    public init(_ layout: Layout, _ memory: Memory = .fresh) {
        self.layout = layout
        self.memory = memory
    }

    /// Whether the operation only names existing values.
    public var isPureView: Bool {
        if case .view = memory { true } else { false }
    }
}

/// Operations and bytes of one evaluation. Views cost nothing, so that no byte is counted twice.
public struct Cost: Sendable, Hashable {
    /// Arithmetic operations; a multiply-add counts as two.
    public var operations: Int
    /// Bytes of all inputs as stored (quantised weights count their quantised bytes), each once.
    public var bytesRead: Int
    public var bytesWritten: Int

    public init(operations: Int, bytesRead: Int, bytesWritten: Int) {
        self.operations = operations
        self.bytesRead = bytesRead
        self.bytesWritten = bytesWritten
    }

    public static let none = Cost(operations: 0, bytesRead: 0, bytesWritten: 0)
}

/// One output element in terms of source elements.
public struct Explanation: Sendable {
    /// How the terms make the value.
    public enum Rule: Sendable, Hashable {
        /// `value = Σ contribution`.
        case sum
        /// `value` is one source element, moved or rounded.
        case copy
        /// `value` is a function of all terms, as the formula says; each contribution is that term's own share where
        /// the operation has one (its exponential in a softmax), else 0.
        case function
    }

    public struct Term: Sendable, Hashable {
        /// Which input.
        public var slot: Int
        public var index: ElementIndex
        /// The source element as the operation sees it, before any rounding of its own.
        public var value: Float
        /// What the source element is multiplied by.
        public var coefficient: Float
        /// What the term adds: `coefficient * value` up to the operation's own rounding of its inputs.
        public var contribution: Float

        public init(slot: Int, index: ElementIndex, value: Float, coefficient: Float, contribution: Float) {
            self.slot = slot
            self.index = index
            self.value = value
            self.coefficient = coefficient
            self.contribution = contribution
        }
    }

    /// With the field's symbols: `y[i] = x[i] / sqrt(mean(x²) + ε)`.
    public var formula: String
    public var rule: Rule
    public var value: Float
    public var terms: [Term]
    /// Named intermediate numbers, such as a softmax's maximum and sum.
    public var quantities: [(name: String, value: Double)]
    /// The formula with the numbers filled in, a step a line; empty for products, whose terms are too many.
    public var steps: [String]

    public init(
        formula: String, rule: Rule, value: Float, terms: [Term], quantities: [(name: String, value: Double)] = [],
        steps: [String] = []
    ) {
        self.formula = formula
        self.rule = rule
        self.value = value
        self.terms = terms
        self.quantities = quantities
        self.steps = steps
    }
}
