import Recording
import Tensors
import Testing

@Suite struct TensorAddressTests {
    @Test(
        arguments: [
            ("Qcur-3", "Qcur-3", nil, []),
            ("Qcur-3[12,4]", "Qcur-3", nil, [.index(12), .index(4)]),
            ("Qcur-0#1", "Qcur-0", 1, []),
            ("Qcur-0#0[ 1 , -2 ]", "Qcur-0", 0, [.index(1), .index(-2)]),
            ("kq_soft_max-3[:, :, 2]", "kq_soft_max-3", nil, [.range(nil, nil), .range(nil, nil), .index(2)]),
            ("x[2:5,:3,-4:,1:-1]", "x", nil, [.range(2, 5), .range(nil, 3), .range(-4, nil), .range(1, -1)]),
            ("cache_k_l0 (view) (permuted)#0[0]", "cache_k_l0 (view) (permuted)", 0, [.index(0)]),
            ("odd#name#2", "odd#name", 2, []),
        ] as [(String, String, Int?, [TensorAddress.Slice])])
    func addressesAreUnderstood(text: String, name: String, occurrence: Int?, slices: [TensorAddress.Slice]) throws {
        let address = try TensorAddress(text)
        #expect(address.name == name && address.occurrence == occurrence && address.slices == slices)
        #expect(try TensorAddress(address.description) == address)
    }

    @Test(arguments: [
        ("", "name is missing"), ("[1]", "name is missing"), ("#1", "name is missing"), ("x[1", "closing ]"),
        ("x[1]y", "closing ]"), ("x[1,2,3,4,5]", "four dimensions"), ("x[]", "no index"), ("x[a]", "'a' is no index"),
        ("x[1:2:3]", "'1:2:3'"), ("x[1,,2]", "no index"), ("x#", "number from 0"), ("x#-1", "number from 0"),
        ("x#a", "number from 0"), ("x[1.5]", "'1.5'"), ("x[99999999999999999999]", "no index"),
    ])
    func othersAreRefused(text: String, reason: String) throws {
        let error = try #require(throws: TraceError.self) { try TensorAddress(text) }
        guard case .badAddress(let found, let why) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(found == text && why.contains(reason), "\(why)")
        #expect(error.description.contains("'\(text)'") && error.description.contains("Qcur-3[0:8,4]"))
    }

    @Test(arguments: [
        ("x", [0..<8, 0..<5, 0..<3, 0..<1]), ("x[1]", [1..<2, 0..<5, 0..<3, 0..<1]),
        ("x[-1,-5]", [7..<8, 0..<1, 0..<3, 0..<1]), ("x[2:,:2,-2:]", [2..<8, 0..<2, 1..<3, 0..<1]),
        ("x[:,1:-1]", [0..<8, 1..<4, 0..<3, 0..<1]), ("x[0:8,0,0,0]", [0..<8, 0..<1, 0..<1, 0..<1]),
    ])
    func rangesLieInTheShape(text: String, ranges: [Range<Int>]) throws {
        #expect(try TensorAddress(text).ranges(in: Shape(8, 5, 3)) == ranges)
    }

    @Test(arguments: [
        ("x[8]", 0), ("x[-9]", 0), ("x[0,5]", 1), ("x[0,0,3:]", 2), ("x[3:3]", 0), ("x[4:2]", 0), ("x[0:9]", 0),
        ("x[0,0,0,1]", 3), ("x[:,-6:]", 1),
    ])
    func whatLiesOutsideIsRefused(text: String, dimension: Int) throws {
        let error = try #require(throws: TraceError.self) { try TensorAddress(text).ranges(in: Shape(8, 5, 3)) }
        #expect(error.description.contains("dimension \(dimension) has indices 0 to \(Shape(8, 5, 3)[dimension] - 1)"))
        #expect(error.description.contains("8x5x3"))
    }
}
