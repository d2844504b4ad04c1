extension PreTokenizer {
    /// The names in `tokenizer.ggml.pre`, and what they stand for. A new name goes here.
    static let families: [(names: [String], preTokenizer: PreTokenizer)] = [
        (
            [defaultName],
            PreTokenizer(splits: [.punctuation, .words, .numbers, .threeDigits], cleansSpaces: true)
        ),

        // GPT-2.
        (
            [
                "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
                "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "exaone4",
            ], PreTokenizer(splits: [.words], cleansSpaces: true)
        ),
        (["trillion", "granite-docling"], PreTokenizer(splits: [.words])),
        (
            ["starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
            PreTokenizer(splits: [.eachNumber, .words], cleansSpaces: true)
        ),
        (["smollm", "command-r"], PreTokenizer(splits: [.eachNumber, .words])),
        (["falcon"], PreTokenizer(splits: [.falconPunctuation, .words, .threeDigits], cleansSpaces: true)),
        (
            ["chameleon"],
            PreTokenizer(
                splits: [.sentinels, .images, .blanks, .eachNumber, .eachPunctuation, .words], addsBOS: true)
        ),

        // Llama 3.
        (
            [
                "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                "jina-v5-nano",
            ], PreTokenizer(splits: [.wordsAndLines], ignoresMerges: true, addsBOS: true, cleansSpaces: true)
        ),
        (["dbrx", "smaug-bpe"], PreTokenizer(splits: [.wordsAndLines], cleansSpaces: true)),
        (["chatglm-bpe"], PreTokenizer(splits: [.wordsAndLines], cleansSpaces: true, hasNoDefaultBOS: true)),
        (
            ["glm4", "glm5"],
            PreTokenizer(splits: [.wordsAndLines], ignoresMerges: true, cleansSpaces: true, hasNoDefaultBOS: true)
        ),
        (
            ["minicpm5"],
            PreTokenizer(splits: [.upToThreeNumbers, .wordsAndLines], ignoresMerges: true, cleansSpaces: true)
        ),
        (["jais-2"], PreTokenizer(splits: [.wordsAndPowersOfSpace], cleansSpaces: true)),

        // Qwen 2.
        (
            [
                "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2", "bailingmoe",
                "bailingmoe2", "llada-moe",
            ], PreTokenizer(splits: [.qwen2])
        ),
        (["stablelm2", "megrez"], PreTokenizer(splits: [.qwen2], cleansSpaces: true)),
        (["laguna"], PreTokenizer(splits: [.lines, .qwen2])),
        (["qwen35"], PreTokenizer(splits: [.qwen35])),
        (["seed-coder"], PreTokenizer(splits: [.seedCoder])),
        (["ufakzeka"], PreTokenizer(splits: [.ufakzeka])),
        (["exaone-moe"], PreTokenizer(splits: [.exaoneMoE], cleansSpaces: true)),

        // GPT-4o and Mistral Nemo.
        (["tekken"], PreTokenizer(splits: [.tekken], ignoresMerges: true, addsBOS: true)),
        (["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], PreTokenizer(splits: [.gpt4o])),
        (["granite-embed-multi-97m"], PreTokenizer(splits: [.graniteEmbedding], ignoresMerges: true)),
        (["tiny_aya", "cohere2moe"], PreTokenizer(splits: [.afterThreesOfNumbers, .tinyAya])),
        (["youtu"], PreTokenizer(splits: [.youtuScripts, .youtu], ignoresMerges: true)),
        (["kimi-k2"], PreTokenizer(splits: [.kimiK2], needsNoMerges: true)),

        // DeepSeek.
        (
            ["deepseek-llm"],
            PreTokenizer(splits: [
                .lineEnds, .deepSeekLetters, .deepSeekPunctuation, .lastSpaces, .ideographs, .numbers,
            ])
        ),
        (
            ["deepseek-coder"],
            PreTokenizer(splits: [.lineEnds, .spacedLetters, .spacedPunctuation, .ideographs, .eachNumber])
        ),
        (
            ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
            PreTokenizer(splits: [.upToThreeNumbers, .ideographsAndKana, .deepSeekV3])
        ),
        (["spark2_5"], PreTokenizer(splits: [.upToThreeNumbers, .ideographsAndKana, .spark, .eachNumber])),
        (["afmoe"], PreTokenizer(splits: [.afterThreesOfNumbers, .asianScripts, .deepSeekV3])),

        // Bloom.
        (["bloom", "gpt3-finnish"], PreTokenizer(splits: [.bloom], cleansSpaces: true)),
        (["poro-chat"], PreTokenizer(splits: [.bloom])),
        (["viking"], PreTokenizer(splits: [.bloom, .eachNumber])),

        // Words may have spaces in them.
        (["superbpe"], PreTokenizer(splits: [.numbers, .beforeThreesOfDigits])),

        // Merges of characters.
        (
            ["gemma4", "granite-embed-multi-311m"],
            PreTokenizer(
                splits: [.lines], spelling: .charactersWithoutSpaces, ignoresMergesOfLineFeeds: true,
                alwaysAddsBOS: true, cleansSpaces: true)
        ),
        (["sarvam-moe"], PreTokenizer(splits: [.lines], spelling: .charactersWithoutSpaces)),
        (["whitespace"], PreTokenizer(splits: [.notSpaces], spelling: .characters, cleansSpaces: true)),
    ]
}
