import Recording
import Tensors

/// Where the values of a patch are from: `other.db`, the same elements there, or `other.db[:,7]`, others of the operation.
struct PatchSource {
    let trace: String
    /// With their brackets; `nil`: the elements that are changed.
    let slices: String?

    init(_ spec: String) {
        guard spec.last == "]", let open = spec.lastIndex(of: "["), open != spec.startIndex else {
            (trace, slices) = (spec, nil)
            return
        }
        (trace, slices) = (String(spec[..<open]), String(spec[open...]))
    }

    /// The elements that values are taken from.
    ///
    /// - Parameter changed: those that get them.
    func address(of changed: TensorAddress) throws -> TensorAddress {
        guard let slices else { return changed }
        return try TensorAddress(changed.name + (changed.occurrence.map { "#\($0)" } ?? "") + slices)
    }

    /// Whether values of an operation of one shape can be put into a region of another: all extents are the same, and
    /// without slices of their own the shapes of the whole operation, too.
    func fits(
        _ source: Shape, into region: Shape, of whole: Shape, _ changed: TensorAddress
    ) throws -> Bool {
        guard slices != nil else { return source == whole }
        let ranges = try address(of: changed).ranges(in: source)
        return Shape(ranges.map(\.count)) == region
    }
}
