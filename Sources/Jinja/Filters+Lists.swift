extension Evaluator {
    func listFilter(_ name: String, _ value: Value, _ call: inout Call) throws -> Value {
        switch name {
        case "list": return try list(try items(of: value))
        case "first", "last": return try end(name, value)
        case "join": return try join(value, &call)
        case "items":
            if case .undefined = value { return try list([], .generator) }
            guard case .mapping(let box) = value else {
                throw JinjaError.failure("items expects a mapping, not a \(value.typeName).")
            }
            return try list(try pairs(box), .generator)
        case "dictsort": return try sortedPairs(value, &call)
        case "map": return try map(value, &call)
        case "select", "reject", "selectattr", "rejectattr": return try select(name, value, &call)
        case "sort":
            let reverse = call.take("reverse")?.isTrue ?? false
            let key = try sortKey(&call)
            let sorted = try self.sorted(try items(of: value), by: key)
            return try list(reverse ? try stablyReversed(sorted, by: key) : sorted)
        case "unique": return try unique(value, &call)
        case "min", "max":
            let key = try sortKey(&call)
            let items = try items(of: value)
            guard var best = items.first else { return .undefined("No aggregated item, sequence was empty") }
            for item in items.dropFirst() {
                let order = try self.order(try key(item), try key(best))
                if name == "min" ? order < 0 : order > 0 { best = item }
            }
            return best
        case "sum":
            let path = call.take("attribute")
            var sum = call.take("start") ?? .int(0)
            for item in try items(of: value) { sum = try arithmetic(.add, sum, try lookUp(path, in: item)) }
            return sum
        default: return try reversed(value)
        }
    }

    private func end(_ name: String, _ value: Value) throws -> Value {
        let items = try items(of: value)
        if name == "last", case .list(let box) = value, box.kind == .generator {
            throw JinjaError.failure("a generator has no last item; the filter list makes a list of it.")
        }
        return (name == "first" ? items.first : items.last) ?? .undefined("No \(name) item, sequence was empty.")
    }

    private func reversed(_ value: Value) throws -> Value {
        if case .text(let text) = value {
            let characters = Characters(text)
            return try self.text((0..<characters.count).reversed().flatMap { characters[$0].bytes })
        }
        return try list(try items(of: value).reversed(), .generator)
    }

    private func join(_ value: Value, _ call: inout Call) throws -> Value {
        let separator = try call.take("d").map(printed) ?? []
        let path = call.take("attribute")
        var result: [UInt8] = []
        for (index, item) in try items(of: value).enumerated() {
            if index > 0 { result += separator }
            result += try printed(try lookUp(path, in: item))
            try charge(separator.count)
        }
        return try text(result)
    }

    func pairs(_ box: MappingBox) throws -> [Value] {
        try zip(box.keys, box.values).map { try list([$0, $1], .tuple) }
    }

    // MARK: attributes by path

    /// `a.b.0` of an item; the item itself without a path.
    private func lookUp(_ path: Value?, in item: Value) throws -> Value {
        switch path {
        case nil, .some(.none): return item
        case .text(let path)?:
            return try path.string.split(separator: ".", omittingEmptySubsequences: false).reduce(item) { value, part in
                try self.item(Int(part).map(Value.int) ?? .string(String(part)), of: value)
            }
        case let index?: return try self.item(index, of: item)
        }
    }

    // MARK: order

    /// What to order by: an attribute, letters without case unless asked otherwise.
    private func sortKey(_ call: inout Call) throws -> (Value) throws -> Value {
        let isCaseSensitive = call.take("case_sensitive")?.isTrue ?? false
        let path = call.take("attribute")
        if case .text(let text)? = path, text.bytes.contains(UInt8(ascii: ",")) {
            throw JinjaError.unsupported("several attributes to order by")
        }
        return { item in
            let value = try self.lookUp(path, in: item)
            if !isCaseSensitive, case .text(let text) = value { return .text(Case.lower(text)) }
            return value
        }
    }

    /// In order, equal ones as they came.
    func sorted<Item>(_ items: [Item], by key: (Item) throws -> Value) throws -> [Item] {
        try charge(32 * items.count)
        let keyed = try items.map { (key: try key($0), item: $0) }
        return try keyed.sorted { try order($0.key, $1.key) < 0 }.map(\.item)
    }

    /// Python sorts in reverse without turning equal ones round.
    private func stablyReversed(_ sorted: [Value], by key: (Value) throws -> Value) throws -> [Value] {
        var groups: [[Value]] = []
        for item in sorted {
            if let last = groups.last?.first, try equal(try key(last), try key(item)) {
                groups[groups.count - 1].append(item)
            } else {
                groups.append([item])
            }
        }
        return groups.reversed().flatMap { $0 }
    }

    private func sortedPairs(_ value: Value, _ call: inout Call) throws -> Value {
        guard case .mapping(let box) = value else {
            throw JinjaError.failure("dictsort expects a mapping, not a \(value.typeName).")
        }
        let isCaseSensitive = call.take("case_sensitive")?.isTrue ?? false
        var position = 0
        if let by = call.take("by") {
            guard case .text(let text) = by, ["key", "value"].contains(text.string) else {
                throw JinjaError.failure("dictsort orders by 'key' or 'value'.")
            }
            position = text.string == "key" ? 0 : 1
        }
        let reverse = call.take("reverse")?.isTrue ?? false
        func key(_ pair: Value) throws -> Value {
            guard case .list(let box) = pair else { return pair }
            if !isCaseSensitive, case .text(let text) = box.items[position] { return .text(Case.lower(text)) }
            return box.items[position]
        }
        let sorted = try self.sorted(try pairs(box), by: key)
        return try list(reverse ? try stablyReversed(sorted, by: key) : sorted)
    }

    private func unique(_ value: Value, _ call: inout Call) throws -> Value {
        let key = try sortKey(&call)
        var seen: [Value] = []
        var keys: Set<MappingBox.Key> = []
        var result: [Value] = []
        for item in try items(of: value) {
            let itemKey = try key(item)
            if case .list = itemKey {
                if try seen.contains(where: { try equal($0, itemKey) }) { continue }
                seen.append(itemKey)
            } else if !keys.insert(try MappingBox.key(itemKey)).inserted {
                continue
            }
            result.append(item)
        }
        return try list(result, .generator)
    }

    // MARK: each item

    private func map(_ value: Value, _ call: inout Call) throws -> Value {
        // Jinja2 looks into nothing that is false: of `none` and 0, too, there are no items.
        let items = value.isTrue ? try items(of: value) : []
        if call.positional.isEmpty {
            guard let path = call.take("attribute") else {
                throw JinjaError.failure("map expects a filter or an attribute.")
            }
            let fallback = call.take("default")
            return try list(
                items.map { item in
                    let found = try lookUp(path, in: item)
                    return found.isUndefined ? fallback ?? found : found
                }, .generator)
        }
        let (name, arguments) = try named("filter", &call)
        return try list(items.map { item in try deeper { try filtered(name, item, arguments) } }, .generator)
    }

    /// The filter or test that the first argument names, and its own arguments.
    private func named(_ what: String, _ call: inout Call) throws -> (String, Call) {
        guard case .text(let name) = call.positional.removeFirst() else {
            throw JinjaError.failure("found no name of a \(what).")
        }
        defer { call = Call(positional: [], named: []) }
        return (name.string, call)
    }

    private func select(_ name: String, _ value: Value, _ call: inout Call) throws -> Value {
        let isRejecting = name.hasPrefix("reject")
        var path: Value?
        if name.hasSuffix("attr") {
            guard !call.positional.isEmpty else { throw JinjaError.failure("\(name) expects an attribute.") }
            path = call.positional.removeFirst()
        }
        let test = call.positional.isEmpty ? nil : try named("test", &call)
        let kept = try (value.isTrue ? items(of: value) : []).filter { item in
            let found = try lookUp(path, in: item)
            return try test.map { try self.test($0, found, $1) } ?? found.isTrue != isRejecting
        }
        return try list(kept, .generator)
    }
}
