import ComputeGraph

/// Every kind of operation that a graph may hold: one line a file.
public enum OperationCatalog {
    public static let all: [any Operation.Type] = [
        GetRows.self,
        RMSNorm.self,
        LayerNorm.self,
        Mul.self,
        Scale.self,
        MatMul.self,
        Add.self,
        Reshape.self,
        RoPE.self,
        View.self,
        SetRows.self,
        Permute.self,
        SoftMax.self,
        Cont.self,
        SwiGLU.self,
        GEGLU.self,
        GELU.self,
        Tanh.self,
        SwiGLUOAI.self,
        AddID.self,
        ArgSort.self,
        MatMulID.self,
        SumRows.self,
        Clamp.self,
        Div.self,
        Silu.self,
        Sigmoid.self,
        Fill.self,
        Concat.self,
        Repeat.self,
        Transpose.self,
    ]

    /// The operation that ggml calls `kind`, if there is one here.
    public static func operation(kind: String) -> (any Operation.Type)? { all.first { $0.kind == kind } }
}
