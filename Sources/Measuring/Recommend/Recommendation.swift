import Quantizing

/// Types for a model's tensors, and the plans to hold them against.
public struct Recommendation {
    public let candidates: [TypeCandidates]
    /// `nil` if nothing was measured: the choice is by error.
    public let sensitivity: TypeSensitivity?
    public let allocation: TypeAllocation
    public let plan: TypePlan
    /// The choice by weighted error, where that is another.
    public let byError: TypePlan?
    public let control: TypePlan
    /// For all tensors.
    public let budgetBytes: Int

    public init(
        candidates: [TypeCandidates], sensitivity: TypeSensitivity?, allocation: TypeAllocation, plan: TypePlan,
        byError: TypePlan?, control: TypePlan, budgetBytes: Int
    ) {
        (self.candidates, self.sensitivity, self.allocation) = (candidates, sensitivity, allocation)
        (self.plan, self.byError, self.control, self.budgetBytes) = (plan, byError, control, budgetBytes)
    }
}
