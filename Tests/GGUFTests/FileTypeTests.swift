import GGUF
import Testing

@Suite struct FileTypeTests {
    @Test(arguments: [
        (0, "F32", "all F32"), (1, "F16", "F16"), (3, "Q4_1", "Q4_1"), (7, "Q8_0", "Q8_0"),
        (15, "Q4_K_M", "Q4_K - Medium"), (13, "Q3_K_L", "Q3_K - Large"), (18, "Q6_K", "Q6_K"),
        (27, "IQ3_M", "IQ3_S mix - 3.66 bpw"), (38, "MXFP4_MOE", "MXFP4 MoE"), (1024 + 17, "Q5_K_M", "Q5_K - Medium"),
    ])
    func names(id: Int, name: String, longName: String) throws {
        let type = try #require(GGUFFileType(id: id))
        #expect(type.name == name && type.longName == longName)
    }

    /// Numbers never used, removed (Q4_2, Q4_3, the repacked Q4_0), too large.
    @Test(arguments: [-1, 4, 5, 6, 33, 34, 35, 42, 1023, 1024 + 33, 1 << 40])
    func otherNumbers(id: Int) {
        #expect(GGUFFileType(id: id) == nil)
    }
}
