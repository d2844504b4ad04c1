import Foundation
import TestSupport
import Testing

@Suite struct LessonTests {
    @Test func theCourseEndsWithARecap() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "capstone")
        for _ in 1...3 { #expect(try bench.quipu("lesson", "next").status == 0) }
        let end = try bench.quipu("lesson", "next")
        #expect(end.status == 1 && end.output.contains("That was the course.") && end.output.contains("RMSNorm"))
    }

    @Test func aLessonStepByStep() throws {
        let bench = try Workbench()
        let begin = try bench.quipu("lesson", "start", "1")
        #expect(begin.status == 0 && begin.output.contains("Lesson 1") && begin.errors.contains("recording a trace"))
        let question = try bench.quipu("lesson", "next")
        #expect(question.output.contains("Question.") && question.output.contains("quipu lesson check NUMBER"))
        #expect(question.lines.allSatisfy { $0.count <= 80 })

        #expect(try bench.quipu("lesson", "check", "words").output.contains("cannot be read"))
        let size = try bench.row("SELECT size_bytes AS size, n_params AS params FROM model", of: try trace(bench))
        let (bytes, weights) = (try #require(size["size"] as? Double), try #require(size["params"] as? Double))
        let mistaken = try bench.quipu("lesson", "check", "\(bytes / weights)", "--json").object()
        #expect(mistaken["outcome"] as? String == "wrong" && mistaken["is_known_mistake"] as? Bool == true)
        #expect((mistaken["says"] as? String)?.contains("counts bytes") == true)
        let right = try bench.quipu("lesson", "check", "\(bytes * 8 / weights)")
        #expect(right.output.hasPrefix("Right.") && right.output.contains("Why it matters."))
        #expect(right.output.contains("quipu inspect my.gguf --tensors"))
        let again = try bench.quipu("lesson", "start")
        #expect(again.output.contains("Solved.") && again.output.contains("The whole way."))

        let progress = try #require(
            try bench.quipu("lesson", "progress", "--json").object()["lessons"] as? [[String: Any]])
        #expect(progress[1]["solved"] as? Int == 1 && progress[1]["attempts"] as? Int == 2)
        #expect(try bench.quipu("lesson", "cheatsheet").output.contains("quipu inspect my.gguf --tensors"))
        #expect(try bench.quipu("lesson", "why").output.contains("The whole way."))
    }

    /// Not even a loopback, as in a sandbox: what waits for a command that a lesson shows must not need one.
    @Test func aLessonNeedsNoNetwork() throws {
        let bench = try Workbench()
        guard try bench.shell("unshare --map-root-user --net true").status == 0 else { return }
        let begin = try bench.shell("timeout 120 unshare --map-root-user --net quipu lesson start 1")
        #expect(begin.status == 0 && begin.output.contains("$ quipu inspect"), "\(begin.errors)")
    }

    /// Lessons print lines with these words; they are to be copied into a shell as well.
    @Test func modelAndTraceAreWords() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("ops", "TRACE"), "TRACE")
        try bench.quipu("lesson", "start", "1")
        #expect(try bench.quipu("show", "TRACE", "embd").output.hasPrefix("embd  GET_ROWS"))
        #expect(try bench.quipu("show", "MODEL", "output_norm.weight").output.hasPrefix("output_norm.weight"))
        // A file of that name is the file, whatever the other word stands for.
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("MODEL"), withDestinationPath: TinyModel.stories.path)
        expectComplaint(
            try bench.quipu("trace", "MODEL", "--from", "TRACE", "--set", "l_out-0=0", "-o", "x.db"),
            "its bytes are not those")
        // Never where a command writes.
        let trace = try trace(bench)
        let before = try Data(contentsOf: URL(filePath: trace))
        #expect(try bench.quipu("trace", "--prompt", "MODEL", "-o", "TRACE").output.contains("Written: TRACE"))
        #expect(try Data(contentsOf: URL(filePath: trace)) == before)
        #expect(try bench.row("SELECT prompt FROM run", of: "TRACE")["prompt"] as? String == "MODEL")
    }

    @Test func aTrackIsGoneThrough() throws {
        let bench = try Workbench()
        let begin = try bench.quipu("lesson", "start", "--track", "how")
        #expect(begin.output.contains("Lesson 0"))
        try bench.quipu("lesson", "start", "logits")
        for _ in 1...9 where try bench.quipu("lesson", "next").status == 0 {}
        let end = try bench.quipu("lesson", "next")
        #expect(end.status == 1 && end.output.contains("That was “how it thinks”.") && !end.output.contains("K-quants"))
        #expect(try bench.quipu("lesson", "list", "--json").object()["track"] as? String == "how it thinks")
        expectComplaint(try bench.quipu("lesson", "start", "--track", "no"), "'what the bits do', 'all'")
    }

    private func trace(_ bench: Workbench) throws -> String {
        try #require(try bench.quipu("lesson", "progress", "--json").object()["trace"] as? String)
    }

    @Test func hintsSkippingAndRedoing() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "1")
        try bench.quipu("lesson", "next")
        for rung in 1...3 { #expect(try bench.quipu("lesson", "hint").output.contains("Hint \(rung) of 3")) }
        #expect(try bench.quipu("lesson", "hint").output.contains("The whole way."))
        try bench.quipu("lesson", "next")
        #expect(try bench.quipu("lesson", "skip").output.contains("asked again"))
        let list = try bench.quipu("lesson", "list").output
        #expect(list.contains("skipped: 2") && list.contains("  how it thinks     0 2 3 4 12 13 14 15 16\n"), "\(list)")
        #expect(try bench.quipu("lesson", "redo").output.contains("How many bits is a weight?"))
        #expect(try bench.quipu("lesson", "back").output.contains("Three parts"))
        expectComplaint(try bench.quipu("lesson", "check", "1"), "asks nothing")
        try bench.quipu("lesson", "start", "0")
        expectComplaint(try bench.quipu("lesson", "back"), "first step")
        expectComplaint(try bench.quipu("lesson", "start", "77"), "there is no lesson '77'")
    }

    /// Through a pipe the stepper reads lines; it begins at what the step, or one near it, is about.
    @Test func playOpensTheExplorerWhereTheLessonStands() throws {
        let bench = try Workbench()
        for (lesson, operation) in [("rmsnorm", "embd"), ("attention", "kq_soft_max-0")] {
            try bench.quipu("lesson", "start", lesson)
            let outcome = try bench.quipu("lesson", "play", input: "n\nwhy\n")
            #expect(outcome.status == 0 && outcome.errors.contains("at \(operation)"), "\(outcome.errors)")
            let first = try #require(outcome.lines.first { $0.hasPrefix(operation) })
            #expect(first.contains("F32") && outcome.output.contains("equal to the bit"))
        }
        // Where it was left is not where the lesson stands.
        #expect(try bench.quipu("lesson", "play", input: "").errors.contains("at kq_soft_max-0"))
    }

    /// Files in hints and solutions are the learner's, so that lines can be copied.
    @Test func commandsInSolutionsCanBeTyped() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "swiglu")
        for _ in 1...4 { try bench.quipu("lesson", "next") }
        let way = try bench.quipu("lesson", "skip")
        #expect(way.output.contains("The whole way.") && !way.output.contains("TRACE"))
        #expect(unfolded(way.output).contains("--from \(try trace(bench)) --set"), "\(way.output)")
    }

    private func unfolded(_ page: String) -> String {
        page.replacing("\\\n    ", with: "").replacing("\\\n", with: "").replacing("\n", with: " ")
    }

    /// Long commands are folded as a shell takes them back, a text in quotes without a space more or less.
    @Test func noLineIsWiderThanAPage() throws {
        let bench = try Workbench()
        for lesson in ["tokens", "residual"] {
            try bench.quipu("lesson", "start", lesson)
            let pages = [try bench.quipu("lesson", "skip").output, try bench.quipu("lesson", "start").output]
            for page in pages {
                let lines = page.split(separator: "\n")
                #expect(lines.allSatisfy { $0.count <= 80 }, "\(page)")
            }
            guard lesson == "tokens" else { continue }
            let prompt = "Mia has the ball. Tom has the kite. Tom is at the lake. Who has the ball?"
            #expect(pages[0].contains("\\\n"))
            #expect(unfolded(pages[0]).contains("quipu tokenize \"\(prompt)\" "), "\(pages[0])")
        }
    }

    /// A model that was trained rounded comes with the program.
    @Test func whatTakesTrainingComesWithTheProgram() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "sensitivity")
        for _ in 1...3 { try bench.quipu("lesson", "next") }
        let way = try bench.quipu("lesson", "skip")
        #expect(way.output.contains("micro-world-qat-q2_k.gguf") && way.output.contains("KL divergence, mean"))
        #expect(!way.output.contains("TRAINED") && !way.output.contains("MICRO"))
    }

    /// So do two small files of the same weights, from before GGUF and after.
    @Test func filesFromBeforeGGUFComeWithTheProgram() throws {
        let bench = try Workbench()
        var pages = try bench.quipu("lesson", "start", "gguf").output
        for _ in 0..<6 where !pages.contains("A llama in ggjt v3") {
            pages += try bench.quipu("lesson", "skip").output + bench.quipu("lesson", "next").output
        }
        #expect(pages.contains("before-gguf.bin") && pages.contains("A llama in ggjt v3"))
        #expect(pages.contains("llama.attention.head_count_kv") && !pages.contains("inspect OLD"))
    }

    @Test func nothingStarted() throws {
        let bench = try Workbench()
        for command in ["next", "hint", "skip", "why", "play"] {
            let outcome = try bench.quipu("lesson", command)
            #expect(outcome.status == 1 && outcome.errors.contains("quipu lesson start"), "\(outcome.errors)")
        }
        #expect(try bench.quipu("lesson").output.contains("Begin: quipu lesson start"))
        #expect(try bench.quipu("lesson", "cheatsheet").output.contains("Nothing is solved"))
        #expect(try bench.quipu("lesson", "reset").status == 64)
    }

    /// Another model under the same name: what is asked follows it.
    @Test func aChangedModelIsNoticed() throws {
        let bench = try Workbench()
        try FileManager.default.copyItem(atPath: TinyModel.gqa.path, toPath: bench.folder.path("mine.gguf"))
        #expect(
            try bench.quipu("lesson", "start", "1", "--model", "mine.gguf", "--prompt", "Once upon a time").status == 0)
        let before = try trace(bench)
        try FileManager.default.removeItem(atPath: bench.folder.path("mine.gguf"))
        try FileManager.default.copyItem(atPath: TinyModel.stories.path, toPath: bench.folder.path("mine.gguf"))
        let outcome = try bench.quipu("lesson", "next")
        #expect(outcome.status == 0 && outcome.errors.contains("not the model it was"), "\(outcome.errors)")
        #expect(outcome.output.contains("292,800"))
        #expect(try trace(bench) != before)
        try FileManager.default.removeItem(atPath: bench.folder.path("mine.gguf"))
        expectComplaint(try bench.quipu("lesson", "next"), "mine.gguf", "no longer there", "--model")
    }

    @Test func progressTravels() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "2")
        #expect(try bench.quipu("lesson", "export", "kept.yml").status == 0)
        expectComplaint(try bench.quipu("lesson", "export", "kept.yml"), "kept.yml", "--force")
        try bench.quipu("lesson", "reset", "--all")
        #expect(try bench.quipu("lesson", "import", "kept.yml").status == 0)
        #expect(try bench.quipu("lesson", "list", "--json").object()["current"] as? String == "tokens")
        expectComplaint(try bench.quipu("lesson", "import", "none.yml"), "no such file")
        expectComplaint(try bench.quipu("lesson", "import", "model.gguf"), "no progress of lessons")
        expectComplaint(try bench.quipu("lesson", "start", "--model", "kept.yml"), "kept.yml")
        let shallow = try bench.quipu("lesson", "start", "--model", TinyModel.kQuants.path)
        expectComplaint(shallow, "found 1 layers", "two layers or more")
    }

    /// Killed at any moment, the progress is the one before or the one after.
    @Test func progressSurvivesBeingKilled() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start")
        for pause in stride(from: 2, to: 60, by: 6) {
            let run = try bench.start(["lesson", pause % 4 == 0 ? "back" : "next"])
            usleep(useconds_t(pause * 1000))
            kill(run.process.processIdentifier, SIGKILL)
            _ = try run.wait()
            #expect(try bench.quipu("lesson", "progress").status == 0)
        }
    }

    /// What a question asks of a command is measured once, and again when the model is another.
    @Test func commandsAreRunOnceForALesson() throws {
        let bench = try Workbench()
        let measuring = "measuring with `quipu propagate`"
        let first = try bench.quipu("lesson", "start", "error-travels")
        #expect(first.status == 0 && first.errors.contains(measuring), "\(first.errors)")
        for words in [["hint"], ["next"], ["start", "error-travels"]] {
            #expect(try bench.quipu(["lesson"] + words).errors.isEmpty)
        }
        let other = ["--model", Places.fixture("lesson-mha-q8_0.gguf")]
        #expect(try bench.quipu(["lesson", "start", "error-travels"] + other).errors.contains(measuring))
    }

    /// A lesson about what most models do not have brings one that has it; the learner's stays theirs.
    @Test func aLessonBringsAModel() throws {
        let bench = try Workbench()
        let brought = "micro-world-experts-q8_0.gguf"
        let own = try bench.quipu("lesson", "start", "1", "--json").object()
        let begun = try bench.quipu("lesson", "start", "experts", "--json").object()
        #expect((begun["model"] as? String)?.hasSuffix(brought) == true && begun["trace"] as? String != nil)
        #expect(begun["trace"] as? String != own["trace"] as? String)
        #expect(try trace(bench) == own["trace"] as? String)

        let sizes = try bench.row(
            "SELECT n_params AS stored, (SELECT sum(ne0 * ne1 * ne2) FROM weight WHERE name LIKE '%exps.weight') AS routed "
                + "FROM model", of: begun["trace"] as? String ?? "")
        let (stored, routed) = (try #require(sizes["stored"] as? Double), try #require(sizes["routed"] as? Double))
        #expect(try bench.quipu("lesson", "check", "\(stored - routed)").output.contains("leaves out all experts"))
        #expect(try bench.quipu("lesson", "check", "\(stored - routed / 2)").output.hasPrefix("Right."))
        #expect(try bench.quipu("lesson", "play", input: "").errors.contains("Lesson 21"))
        let again = try bench.quipu("lesson", "start", "1", "--json").object()
        #expect(again["trace"] as? String == own["trace"] as? String)
        #expect(try bench.quipu("lesson", "cheatsheet").output.contains("quipu inspect my.gguf --tensors"))

        let mine = bench.folder.path("mine.gguf")
        try FileManager.default.copyItem(
            atPath: Places.package.appending(path: "models/\(brought)").path, toPath: mine)
        let fitting = try bench.quipu("lesson", "start", "experts", "--model", "mine.gguf", "--json").object()
        #expect(fitting["model"] as? String == mine)
    }

    @Test func aLessonCannotBringWhatIsNotThere() throws {
        let bench = try Workbench()
        let lessons = bench.folder.path("lessons")
        try FileManager.default.copyItem(atPath: Places.package.appending(path: "lessons").path, toPath: lessons)
        let text = try String(contentsOfFile: lessons + "/21-experts.md", encoding: .utf8)
        try bench.folder.write(text.replacing("model: EXPERTS", with: "model: GIANT"), to: "lessons/21-experts.md")
        let outcome = try bench.quipu("lesson", "lint", "--lessons", "lessons", "--only", "experts")
        expectComplaint(outcome, "21-experts.md", "found model: GIANT", "EXPERTS, MICRO, NEW, OLD, TRAINED")
    }

    @Test func theLoopIsForTerminals() throws {
        let bench = try Workbench()
        let outcome = try bench.quipu("lesson", "start", "1", input: "next\nquit\n")
        #expect(outcome.status == 0 && outcome.output.contains("Three parts") && !outcome.output.contains("> "))
    }

    /// Grouped and multi-head; F16, F32, Q4_1 and Q8_0. `make course` takes a real model, for minutes.
    @Test func theCourseIsSound() throws {
        let bench = try Workbench()
        let embedded = Places.package.appending(path: "models/micro-world-f16.gguf").path
        let models =
            [embedded, TinyModel.stories.path, TinyModel.gqa.path, Places.fixture("lesson-mha-q8_0.gguf")]
        let outcome = try bench.quipu(["lesson", "lint", "--json"] + models.flatMap { ["--model", $0] })
        let report = try outcome.object()
        #expect((report["problems"] as? [Any])?.isEmpty == true, "\(outcome.output)")
        #expect(outcome.status == 0)
        // Not even on one of them by chance.
        #expect(report["questions_guessed"] as? Int == 0)
        #expect(try #require(report["questions"] as? Int) >= 30)
        let taken = try #require(report["models"] as? [[String: Any]])
        #expect(taken.compactMap { $0["path"] as? String }.prefix(4) == models[...])
        #expect(taken.allSatisfy { ($0["refuses"] as? [Any])?.isEmpty == true })
        #expect((taken[0]["takes"] as? [String])?.contains("scales") == true)
    }

    /// A lesson on what a model lacks is about one that comes with the program, and says so: LayerNorm, no gate, experts.
    @Test(arguments: [
        ("tiny-starcoder2.gguf", "rmsnorm"), ("tiny-qwen3moe.gguf", "floats"), ("tiny-phi3.gguf", "mixes"),
    ])
    func aLessonNeedsWhatItIsAbout(fixture: String, lesson: String) throws {
        let bench = try Workbench(Places.fixture(fixture))
        let report = try bench.quipu("lesson", "lint", "--only", lesson, "--model", "model.gguf", "--json").object()
        let models = try #require(report["models"] as? [[String: Any]])
        #expect(models.count == 1 && (models[0]["path"] as? String)?.hasSuffix("micro-world-f16.gguf") == true)
        #expect((report["problems"] as? [Any])?.isEmpty == true)
        let begun = try bench.quipu("lesson", "start", lesson, "--model", "model.gguf")
        #expect(begun.output.replacing("\n", with: " ").contains("model.gguf lacks what it needs."))
        let own = try bench.quipu("lesson", "start", "tokens", "--model", "model.gguf", "--json").object()
        #expect(own["instead_of"] is NSNull && (own["model"] as? String)?.hasSuffix("/model.gguf") == true)
    }

    /// By itself, on the model that comes with the program, it reports nothing that other models would clear up.
    @Test func lintOnOneModelSaysOnlyWhatHolds() throws {
        let bench = try Workbench()
        let outcome = try bench.quipu("lesson", "lint", "--only", "minimums", "--only", "k-quants", "--json")
        let report = try outcome.object()
        #expect(outcome.status == 0 && (report["problems"] as? [Any])?.isEmpty == true, "\(outcome.output)")
        #expect(try #require(report["mistakes_not_told"] as? Int) > 0)
        #expect(try #require(report["claims"] as? Int) >= 5)
    }

    /// A guess is asked for first, is not graded, and stands beside the truth afterwards.
    @Test func guessesStandBesideTheTruth() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "0")
        let asked = try bench.quipu("lesson", "next")
        #expect(asked.output.contains("Guess first.") && !asked.output.contains("Question."))
        let told = try bench.quipu("lesson", "guess", "60", "%")
        #expect(told.output.words.contains("You said 60 %; it is 87 %.") && told.output.contains("Question."))
        expectComplaint(try bench.quipu("lesson", "guess", "70"), "nothing is to be guessed")
        try bench.quipu("lesson", "start", "0")
        #expect(try bench.quipu("lesson", "check", "Tom").output.contains("is number 5 of 1024"))
    }

    @Test func solvedQuestionsAreReviewed() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "2")
        #expect(try bench.quipu("lesson", "review").output.contains("Nothing was solved yet"))
        try bench.quipu("lesson", "check", "22")
        #expect(try bench.quipu("lesson", "review").output.contains("Nothing is due before"))
        let again = try bench.quipu("lesson", "review", "--now")
        #expect(again.output.contains("Question.") && again.output.contains("Tom has the ball. Mia has the kite."))
    }

    @Test func aClassIsRead() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "1")
        try bench.quipu("lesson", "next")
        try bench.quipu("lesson", "check", "2")
        let size = try bench.row("SELECT size_bytes AS size, n_params AS params FROM model", of: try trace(bench))
        try bench.quipu("lesson", "check", "\(try #require(size["size"] as? Double) / (size["params"] as! Double))")
        try FileManager.default.createDirectory(
            atPath: bench.folder.path("class"), withIntermediateDirectories: false)
        try bench.quipu("lesson", "export", "class/ada.yml")
        try bench.quipu("lesson", "export", "class/ben.yml")
        try bench.folder.write("no: progress", to: "class/notes.yml")
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("class/gone.yml"), withDestinationPath: "nowhere.yml")
        // Solved: a question of another course, which counts nowhere, and a function.
        let ben = bench.folder.path("class/ben.yml")
        let note = "attempts: 1, due: false, hints: 0, solved: true"
        let more = "questions:\n  elsewhere/one: {\(note)}\n  code/q4_0: {\(note)}\n"
        try String(contentsOfFile: ben, encoding: .utf8).replacing("questions:\n", with: more)
            .write(toFile: ben, atomically: true, encoding: .utf8)
        let page = try bench.quipu("lesson", "class", "class", "--prompts")
        for part in [
            "ada", "ben", "That counts bytes.", "(2 learners)", "notes.yml: ", "gone.yml: this is a link",
            "Tom has the ball.",
        ] {
            #expect(page.output.words.contains(part), "\(page.output)")
        }
        // Another file of the same name but for its ending.
        try bench.quipu("lesson", "export", "class/ada.yaml")
        let object = try bench.quipu("lesson", "class", "class", "--prompts", "--json").object()
        let rows = try #require(object["learners"] as? [[String: Any]])
        #expect(rows.map { $0["name"] as? String } == ["ada", "ada", "ben"])
        #expect(rows.map { $0["solved"] as? Int } == [0, 0, 0])
        #expect(rows.map { $0["tasks_solved"] as? Int } == [0, 0, 1])
        #expect(Set(rows.map { $0["prompt"] as? String }).count == 3)
        expectComplaint(try bench.quipu("lesson", "class", "nowhere"), "no such folder")
    }

    @Test func aPageToKeep() throws {
        let bench = try Workbench()
        try bench.quipu("lesson", "start", "1")
        #expect(try bench.quipu("lesson", "certificate", "kept.html", "--name", "A <b> & C").status == 0)
        let page = try String(contentsOfFile: bench.folder.path("kept.html"), encoding: .utf8)
        #expect(page.contains("A &lt;b&gt; &amp; C") && page.contains("RMSNorm") && page.contains("0 of 4"))
        expectComplaint(try bench.quipu("lesson", "certificate", "kept.html"), "kept.html", "--force")
        // Nothing but a file is replaced.
        #expect(mkfifo(bench.folder.path("pipe"), 0o600) == 0)
        expectComplaint(try bench.quipu("lesson", "certificate", "pipe", "--force"), "pipe", "it is a pipe")
        expectComplaint(try bench.quipu("lesson", "export", "pipe", "--force"), "pipe", "it is a pipe")
    }

    /// Commands of other people's lessons run as soon as a step is shown, so they may only look.
    @Test func anotherCourseMayOnlyLook() throws {
        let bench = try Workbench()
        let lesson = """
            ---
            id: mine
            title: Mine
            idea: An idea.
            minutes: 5
            ---

            ## One

            ```run
            quipu tokenize MODEL "Mia has the ball."
            ```

            ## Two

            ```run
            quipu trace MODEL --prompt "Mia" --output stolen.db
            ```
            """
        try FileManager.default.createDirectory(atPath: bench.folder.path("own"), withIntermediateDirectories: false)
        try bench.folder.write("prompt: \"Mia has the ball.\"\ngenerate: 4\nlet: {}\n", to: "own/course.yml")
        try bench.folder.write(lesson, to: "own/01-mine.md")
        let begin = try bench.quipu("lesson", "start", "--course", "own")
        #expect(begin.status == 0 && begin.output.contains("Lesson 1  Mine"), "\(begin.errors)")
        expectComplaint(try bench.quipu("lesson", "next"), "may not run `quipu trace`")
        #expect(!FileManager.default.fileExists(atPath: bench.folder.path("stolen.db")))
        #expect(try bench.quipu("lesson", "start", "4", "--course", "quipu").output.contains("RMSNorm"))
        let kept = try String(contentsOfFile: bench.folder.path("state/quipu/lessons/progress.yml"), encoding: .utf8)
        #expect(!kept.contains("prompt: Mia has the ball.\n"), "the text of the other course is kept")
        expectComplaint(try bench.quipu("lesson", "start", "--course", "nowhere"), "no such folder")
    }

    /// StarCoder 2 has norms of another kind, so a lesson about RMSNorm that did not say what it needs would not hold there.
    @Test func lintSaysWhichLessonsAModelTakes() throws {
        let bench = try Workbench()
        let course = Places.package.appending(path: "lessons").path
        _ = try bench.shell("cp -r '\(course)' own; sed -i.old '/^needs:/d; /^model:/d' own/04-rmsnorm.md")
        let path = Places.fixture("tiny-starcoder2.gguf")
        let lint = ["lesson", "lint", "--lessons", "own", "--model", path, "--only", "rmsnorm"]
        let outcome = try bench.quipu(lint + ["--json"])
        #expect(outcome.status == 1)
        let models = try #require(try outcome.object()["models"] as? [[String: Any]])
        #expect(models.count == 1 && models[0]["path"] as? String == path && models[0]["takes"] as? [String] == [])
        let refused = try #require(models[0]["refuses"] as? [[String: String]])
        #expect(refused.count == 1 && refused[0]["lesson"] == "rmsnorm" && refused[0]["why"]?.isEmpty == false)
        #expect(try bench.quipu(lint).output.words.contains("takes 0 of 1 lesson, not: rmsnorm: "))
    }
}
