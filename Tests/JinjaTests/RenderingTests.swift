import Jinja
import Testing

/// Small templates against what Jinja2 3.1.6 makes of them, with Hugging Face's options.
@Suite struct RenderingTests {
    static let now = JinjaMoment(year: 2026, month: 2, day: 3, hour: 14, minute: 5, second: 6)
    static let data: [JinjaData.Entry] = [
        .init("n", .integer(7)), .init("x", .number(2.5)), .init("s", .text("Hello, World")),
        .init("none_value", .none),
        .init("nums", .list([.integer(3), .integer(1), .integer(2)])),
        .init("d", .object(["b": .integer(1), "a": .integer(2), "C": .integer(3)])),
        .init(
            "people",
            .list([
                .object(["name": .text("Zoe"), "age": .integer(3)]),
                .object(["name": .text("adam"), "age": .integer(5)]),
                .object(["name": .text("Bob"), "age": .integer(3)]),
            ])),
        .init("lines", .text("one\ntwo\r\n\nthree")), .init("u", .text("straße ΑΣ é 𝄞")),
    ]

    static func render(_ template: String) throws -> String {
        String(decoding: try JinjaTemplate(Array(template.utf8)).render(data, now: now), as: UTF8.self)
    }

    @Test(arguments: [
        // white space
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc"), ("a {{- 1 -}} b", "a1b"), ("a\n  {# c #}\nb", "a\nb"),
        ("x\n   {%+ if true %}y{% endif +%}\nz", "x\n   y\nz"), ("{{ 1 }}\n{{ 2 }}\n", "1\n2"),
        ("a\r\nb\rc\n", "a\nb\nc"),
        ("  {%- if true -%}  x  {%- endif -%}  y", "xy"), ("{% raw %}\n  {% if %}\n{% endraw %}\nq", "\n  {% if %}\nq"),
        ("{{ 'a\\nb\\x41\\u00e9\\q' 'c' }}", "a\nbAé\\qc"), ("\u{A0}{%- if true %}\u{2003}{%- endif %}", ""),
        // values
        (
            "{{ none }}|{{ true }}|{{ [1, 2.0, 'a\\'b', none] }}|{{ {'a': (1,)} }}",
            "None|True|[1, 2.0, \"a'b\", None]|{'a': (1,)}"
        ),
        (
            "{{ 1e15 }} {{ 1e16 }} {{ 0.0001 }} {{ 0.00001 }} {{ 0.1 + 0.2 }}",
            "1000000000000000.0 1e+16 0.0001 1e-05 0.30000000000000004"
        ),
        ("{{ missing }}|{{ d.missing }}|{{ nums[9] }}|{{ d['a'] }}{{ d.a }}", "|||22"),
        ("{{ nums[1:] }}{{ nums[::-1] }}{{ s[-3:] }}{{ u[3] }}{{ u | length }}", "[1, 2][2, 1, 3]rlda13"),
        // operators
        (
            "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 'a' * 3 }} {{ 'a' ~ 1 ~ none }}",
            "3 -4 2 3.5 1024 aaa a1None"
        ),
        (
            "{{ 1 == true }}{{ 1 < 2 < 3 }}{{ 'ell' in s }}{{ 4 not in nums }}{{ 0 or 3 }}{{ 1 and 2 }}{{ not '' }}",
            "TrueTrueTrueTrue32True"
        ),
        ("{{ 'a' if n > 3 else 'b' }}{{ 'a' if n > 9 }}|{{ '%s-%d%%' % ('x', 3) }}", "a|x-3%"),
        // statements
        ("{% for k, v in d.items() %}{{ k }}={{ v }}{{ '' if loop.last else ',' }}{% endfor %}", "b=1,a=2,C=3"),
        ("{% for x in nums if x > 1 %}{{ loop.index }}:{{ x }} {% else %}no{% endfor %}", "1:3 2:2 "),
        (
            "{% for x in range(9) %}{% if x == 3 %}{% continue %}{% endif %}{% if x == 6 %}{% break %}{% endif %}{{ x }}{% endfor %}",
            "01245"
        ),
        ("{% for x in nums %}{% break %}{% else %}else{% endfor %}", "else"),
        ("{% set a = 1 %}{% for x in nums %}{% set a = a + x %}{{ a }},{% endfor %}{{ a }}", "4,2,3,1"),
        ("{% set ns = namespace(a=1) %}{% for x in nums %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}", "7"),
        (
            "{% set a | upper %}x{{ n }}y{% endset %}[{{ a }}]{% set b, (c, e) = 1, (2, 3) %}{{ b }}{{ c }}{{ e }}",
            "[X7Y]123"
        ),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(b=4, a=1) }}", "12|13|14"),
        ("{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "54321"),
        (
            "{% macro m() %}[{{ caller(1) }}{{ varargs }}]{% endmacro %}{% call(a) m(5) %}x{{ a }}{% endcall %}",
            "[x1(5,)]"
        ),
        ("{% macro f() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ f() }}", "3"),
        (
            "{% for x in [[1, [[9, []]]], [3, []]] recursive %}{{ x[0] }}{{ loop.depth }}{% if x[1] %}({{ loop(x[1]) }}){% endif %}{% endfor %}",
            "11(92)31"
        ),
        (
            "{% with a = 1 %}{{ a }}{% endwith %}{{ a }}{% filter upper %}q{% endfilter %}{% generation %}g{% endgeneration %}",
            "1Qg"
        ),
        // tests
        (
            "{{ n is number }}{{ n is string }}{{ d is mapping }}{{ nums is sequence }}{{ missing is defined }}{{ none_value is not none }}",
            "TrueFalseTrueTrueFalseFalse"
        ),
        (
            "{{ n is odd }}{{ n is divisibleby 7 }}{{ n is in nums }}{{ true is true }}{{ 1 is true }}",
            "TrueTrueFalseTrueFalse"
        ),
        // filters
        ("{{ u | upper }} {{ u | lower }} {{ 'it\\'s a-b' | title }}", "STRASSE ΑΣ É 𝄞 straße ας é 𝄞 It's A-B"),
        (
            "[{{ '  a ' | trim }}]{{ s | replace('l', 'L', 1) }}{{ missing | default('x') }}{{ '' | default('y', true) }}",
            "[a]HeLlo, Worldxy"
        ),
        (
            "{{ nums | sort | join(',') }} {{ people | map(attribute='name') | join('|') }} {{ people | selectattr('age', 'equalto', 3) | list | length }}",
            "1,2,3 Zoe|adam|Bob 2"
        ),
        (
            "{{ people | sort(attribute='name') | map(attribute='name') | list }}{{ d | dictsort }}",
            "['adam', 'Bob', 'Zoe'][('a', 2), ('b', 1), ('C', 3)]"
        ),
        (
            "{{ d | tojson }}{{ '<\\u00e9\"\\n' | tojson }}{{ 'é' | tojson(ensure_ascii=true) }}",
            "{\"b\": 1, \"a\": 2, \"C\": 3}\"<é\\\"\\n\"\"\\u00e9\""
        ),
        ("{{ {'a': [1, {}]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"),
        ("{{ lines | indent(2, true) }}", "  one\n  two\n\n  three"),
        ("{{ '<' | safe + '>' }}{{ ('a' | safe) ~ '<' }}", "<&gt;a<"),
        (
            "{{ '42' | int }}{{ 'x' | int(5) }}{{ 4.7 | int }}{{ '1.5' | float }}{{ nums | sum }}{{ nums | max }}",
            "42541.563"
        ),
        // methods
        (
            "{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.rsplit(',', 1) }}",
            "['a', 'b', '', 'c']['a', 'b']['a,b', 'c']"
        ),
        (
            "[{{ ' a '.strip() }}{{ 'xyax'.strip('xy') }}]{{ s.startswith(('x', 'H')) }}{{ 'a{}b{0}'.format(1) if false }}{{ '{}-{}'.format(1, 'x') }}",
            "[aa]True1-x"
        ),
        (
            "{{ d.get('zz') }}{{ d.get('a', 5) }}{{ d.keys() | list }}{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ l.pop(0) }}",
            "None2['b', 'a', 'C'][1, 2]1"
        ),
        ("{{ strftime_now('%d %b %Y, %A %H:%M %j %I %p') }}", "03 Feb 2026, Tuesday 14:05 034 02 PM"),
    ])
    func asJinja2(template: String, expected: String) throws {
        #expect(try Self.render(template) == expected)
    }

    /// What Jinja2 stops at, too: the kind, and the line.
    @Test(arguments: [
        ("a\n{{ missing.x }}", 2, "'missing' is undefined"), ("{{ 'a' + 1 }}", 1, "cannot use + on a str and a int"),
        ("{{ 1 / 0 }}", 1, "division by zero"), ("\n\n{{ 1 < 'a' }}", 3, "cannot order"),
        ("{% for x in 5 %}{% endfor %}", 1, "cannot be walked through"), ("{% if true %}", 1, "{% endif %}"),
        ("a\n{% bogus %}", 2, "{% bogus %}"), ("{{ (1 }}", 1, "\"}\""), ("{{ 'abc }}", 1, "no end"),
        ("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", 1, "not more than 1"),
        ("{{ missing() }}", 1, "cannot be called"),
        ("{% set d.x = 1 %}", 1, "no namespace"),
        ("x\n{{ raise_exception('no system') }}", 2, "refuses this conversation: no system"),
        ("{# a", 1, "no end"), ("{% raw %}", 1, "{% endraw %}"), ("{{ 9223372036854775807 + 1 }}", 1, "64 bits"),
    ])
    func stopsInALine(template: String, line: Int, part: String) throws {
        let error = #expect(throws: JinjaError.self) { try Self.render(template) }
        #expect(error?.line == line && error?.description.contains(part) == true, "\(error as Any)")
    }

    /// What Jinja2 knows and this interpreter does not is refused by name.
    @Test(arguments: [
        ("{% include 'a' %}", "the statement {% include %}"), ("{{ s | urlize }}", "the filter urlize"),
        ("{{ s is escaped }}", "the test escaped"), ("{{ s.zfill(20) }}", "the method zfill of a str"),
        ("{{ d.update({}) }}", "the method update of a dict"), ("{{ cycler('a') }}", "the function cycler"),
        ("{{ 0x10 }}", "numbers written like"), ("{{ strftime_now('%c') }}", "the time format"),
        ("{{ '{:>5}'.format(1) }}", "the format {:>5}"), ("{{ nums | map('upper') }}", "printing a generator"),
        ("{% set l = [] %}{{ l.append(l) }}", "append of a list"),
    ])
    func refusesByName(template: String, part: String) throws {
        let error = #expect(throws: JinjaError.self) { try Self.render(template) }
        guard case .unsupported(let words)? = error?.problem else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(words.contains(part), "\(words)")
    }

    /// A filter that is not known stops a template only where it comes to it.
    @Test func whatIsNotReachedStopsNothing() throws {
        #expect(try Self.render("{% if false %}{{ s | urlize }}{% endif %}ok") == "ok")
        let needs = try JinjaTemplate(
            Array("{% if tools %}{{ s | urlize is bogus }}{% set y = 1 %}{{ y }}{% endif %}".utf8)
        ).needs
        #expect(needs.unknown == ["filter urlize", "test bogus"])
        #expect(needs.names == ["tools", "s"])
    }

    /// Bytes that are no UTF-8 go through as they are.
    @Test func bytesThatAreNoText() throws {
        let template = try JinjaTemplate(Array("[{{ b }}{{ b | length }}{{ b[1:] }}]".utf8))
        let text = try template.render(["b": .bytes([0x61, 0xFF, 0xC3])], now: Self.now)
        #expect(text == [0x5B, 0x61, 0xFF, 0xC3, 0x33, 0xFF, 0xC3, 0x5D])
    }

    /// Programs that would run, grow or nest without end.
    @Test(arguments: [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{{ 'a' * 99999999999 }}", "{{ [1] * 99999999999 }}", "{{ range(100001) | length }}",
        "{{ 'a' | indent(999999999) }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "{% for i in range(99999) %}{{ 'abcdefghij' * 1000 }}{% endfor %}",
        "{{ [[1] | tojson(indent=1000)] | length }}{{ {'a': [[[[[[[[1]]]]]]]]} | tojson(indent=99999) }}",
        String(repeating: "(", count: 5000),
        "{{ " + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000) + " }}",
        "{{ " + String(repeating: "not ", count: 5000) + "1 }}",
        "{{ x" + String(repeating: ".a", count: 5000) + " }}", "{{ x" + String(repeating: "|list", count: 5000) + " }}",
        String(repeating: "{% if true %}", count: 5000),
        "{{ 1" + String(repeating: " if 1 else 2", count: 5000) + " }}",
        "{{ " + String(repeating: "-", count: 5000) + "1 }}",
    ])
    func isBounded(template: String) throws {
        guard template != String(repeating: "(", count: 5000) else {
            #expect(try Self.render(template) == template)
            return
        }
        let error = #expect(throws: JinjaError.self) { try Self.render(template) }
        guard case .limit? = error?.problem else {
            Issue.record("\(error as Any)")
            return
        }
    }

    /// Rings and long chains of namespaces and macros are taken apart without a deep walk.
    @Test(arguments: [
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns.a.a.a is defined }}",
        "{% set ns = namespace(p=none) %}{% for i in range(90000) %}{% set ns.p = namespace(p=ns.p) %}{% endfor %}True",
        "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}True",
        "{% set ns = namespace(f=none) %}{% for i in range(20000) %}{% set g = ns.f %}{% macro m() %}{{ g }}{% endmacro %}{% set ns.f = m %}{% endfor %}True",
    ])
    func chainsAndRingsEnd(template: String) throws {
        #expect(try Self.render(template) == "True")
    }

    /// Long sums are no deep nesting.
    @Test func longChainsOfOperators() throws {
        #expect(try Self.render("{{ 1" + String(repeating: " + 1", count: 20_000) + " }}") == "20001")
        #expect(try Self.render("{{ 'a'" + String(repeating: " ~ 'a'", count: 20_000) + " }}").utf8.count == 20_001)
        #expect(try Self.render("{{ true" + String(repeating: " and true", count: 20_000) + " }}") == "True")
    }

    /// Broken templates are errors, whatever is broken.
    @Test func everyPrefixEndsInTextOrAnError() throws {
        let template =
            "{%- macro m(a, b='x') -%}{{ a ~ b | upper }}{%- endmacro -%}{% for k, v in d.items() if v is odd %}"
            + "{{ loop.index }}{% set ns = namespace(x=[1, {'a': (2, 3)}]) %}{{ ns.x[1]['a'][0:1] }}{# c #}{% endfor %}"
            + "{% call m(1) %}y{% endcall %}{% raw %}{{{% endraw %}{{ 'a' if n else \"b\" }}"
        let bytes = Array(template.utf8)
        for count in 0...bytes.count {
            do { _ = try JinjaTemplate(Array(bytes[..<count])).render(Self.data, now: Self.now) } catch is JinjaError {}
            var changed = bytes
            if count < bytes.count {
                changed[count] = UInt8(ascii: "%")
                do { _ = try JinjaTemplate(changed).render(Self.data, now: Self.now) } catch is JinjaError {}
            }
        }
    }
}
