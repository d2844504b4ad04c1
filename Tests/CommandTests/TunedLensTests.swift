import Foundation
import TestSupport
import Testing

/// `lens --translator`.
@Suite struct TunedLensTests {
    typealias Object = [String: Any]

    /// A `.safetensors` file.
    private static func write(
        _ arrays: [(name: String, shape: [Int], values: [Float])], as type: String = "F32", to path: String,
        cut: Int = 0
    ) throws {
        var (header, data) = ([String: Any](), Data())
        for (name, shape, values) in arrays {
            let start = data.count
            for value in values {
                let bits = value.bitPattern
                let bytes = withUnsafeBytes(of: bits.littleEndian) { Array($0) }
                data.append(contentsOf: type == "BF16" ? Array(bytes[2...]) : bytes)
            }
            header[name] = ["dtype": type, "shape": shape, "data_offsets": [start, data.count]] as [String: Any]
        }
        header["__metadata__"] = ["format": "pt"]
        let text = try JSONSerialization.data(withJSONObject: header)
        var file = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
        file.append(text)
        file.append(data)
        try file.dropLast(cut).write(to: URL(filePath: path))
    }

    /// A translator of five layers of 64 values: `diagonal · x + bias`, the bias only in some.
    private static func arrays(
        diagonal: Float = 0, bias: [Int: [Float]] = [:], prefix: String = "", layers: Int = 5, width: Int = 64
    ) -> [(String, [Int], [Float])] {
        (0..<layers).flatMap { layer -> [(String, [Int], [Float])] in
            let matrix = (0..<width * width).map { $0 / width == $0 % width ? diagonal : 0 }
            return [
                ("\(prefix)\(layer).weight", [width, width], matrix),
                ("\(prefix)\(layer).bias", [width], bias[layer] ?? [Float](repeating: 0, count: width)),
            ]
        }
    }

    private func layers(_ outcome: Outcome) throws -> [Object] {
        let positions = try #require(try outcome.object()["positions"] as? [Object], "\(outcome.errors)")
        return try #require(positions[0]["layers"] as? [Object])
    }

    @Test(arguments: [("", "F32"), ("layer_translators.", "BF16")])
    func nothingAddedIsThePlainLens(prefix: String, type: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try Self.write(Self.arrays(prefix: prefix), as: type, to: bench.folder.path("t.safetensors"))
        let plain = try bench.quipu("lens", "trace.db", "--positions", "2:6", "--json").object()
        let tuned = try bench.quipu(
            "lens", "trace.db", "--positions", "2:6", "--translator", "t.safetensors", "--json"
        ).object()
        #expect(plain["positions"] as? NSArray == tuned["positions"] as? NSArray)
        #expect(plain["translator"] is NSNull && tuned["translator"] as? String == "t.safetensors")
        #expect(
            try bench.quipu("lens", "trace.db", "--translator", "t.safetensors").lines[0].hasPrefix("Tuned lens of"))
    }

    /// What the translator of layer 3 makes of the stream after layer 2 is what the lens sees of a run that has it there.
    @Test func theStreamIsWhatThePlainLensWouldSee() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let bias = (0..<64).map { Float($0 % 5) * 0.25 - 0.4 }
        try Self.write(Self.arrays(bias: [3: bias]), to: bench.folder.path("bias.safetensors"))
        try Self.write(Self.arrays(diagonal: 0.5), to: bench.folder.path("scale.safetensors"))
        let numbers = bias.enumerated().flatMap { ["--set", "l_out-2[\($0.offset)]+=\($0.element)"] }
        #expect(try bench.quipu(["trace", "--from", "trace.db", "-o", "bias.db"] + numbers).status == 0)
        #expect(try bench.quipu("trace", "--from", "trace.db", "-o", "scale.db", "--scale", "l_out-2=1.5").status == 0)
        let plain = try layers(bench.quipu("lens", "trace.db", "--positions", "4", "--json"))
        for name in ["bias", "scale"] {
            let tuned = try layers(
                bench.quipu("lens", "trace.db", "--positions", "4", "--translator", "\(name).safetensors", "--json"))
            let changed = try layers(bench.quipu("lens", "\(name).db", "--positions", "4", "--json"))
            // The embedding, and layers 0, 1, 2, …
            #expect(tuned[3]["top"] as? NSArray == changed[3]["top"] as? NSArray, "\(name)")
            // The last is the model itself.
            #expect(tuned[5] as NSDictionary == plain[5] as NSDictionary)
            if name == "bias" { #expect(tuned[2] as NSDictionary == plain[2] as NSDictionary) }
        }
    }

    @Test func filesThatAreNoLensOfTheModel() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let path = bench.folder.path("t.safetensors")
        func refused(_ part: String, _ location: SourceLocation = #_sourceLocation) throws {
            expectComplaint(
                try bench.quipu("lens", "trace.db", "--translator", "t.safetensors"), "t.safetensors", part,
                location: location)
        }
        try refused("found no file that can be read")
        try Data("hello, world, this is no such file".utf8).write(to: URL(filePath: path))
        try refused("found something else, or a part of the file")
        try Self.write(Self.arrays(), to: path, cut: 9)
        try refused("bytes inside the file")
        try Self.write(Array(Self.arrays().dropLast()), to: path)
        try refused("found no '4.bias', expected N.weight [64, 64]")
        try Self.write(Self.arrays(width: 32), to: path)
        try refused("'0.weight' is F32 [32, 32], expected F32, F16 or BF16 [64, 64]")
        try Self.write(Self.arrays(layers: 6), to: path)
        try refused("found '5.weight', and the model has layers 0 to 4")
        try Self.write(Self.arrays(bias: [1: [Float](repeating: .nan, count: 64)]), to: path)
        try refused("'1.bias' holds numbers that are not finite")
        expectComplaint(
            try bench.quipu("lens", "trace.db", "--translator", "t.safetensors", "--record"), "leave --translator out",
            status: 64)
    }
}
