# ruff: noqa: E501
"""Small templates, each for a construct, and random expressions."""

DATA = {
    "n": 7, "z": 0, "x": 2.5, "big": 1e16, "small": 1.5e-7, "t": True, "f": False, "none_value": None,
    "s": "Hello, World", "e": "", "u": "straße ΑΣ ǆ é 𝄞", "sp": "  a b\t c \n", "words": ["b", "A", "c", "a"],
    "nums": [3, 1, 2], "mixed": [1, 2.0, True, None, "q'\"\n"], "nested": {"a": {"b": [1, {"c": 2}]}, "items": "own"},
    "people": [{"name": "Zoe", "age": 3, "tags": ["x"]}, {"name": "adam", "age": 5}, {"name": "Bob", "age": 3}],
    "empty": [], "d": {"b": 1, "a": 2, "C": 3}, "lines": "one\ntwo\r\n\nthree\x85four\u2028five",
}

ALL = [
    # white space
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "  {% if true %}  x  {% endif %}  \n y", "{%- if true -%}  x  {%- endif -%}  y",
    "a {{- 1 -}} b", "a  {#- c -#}  b", "a\n  {# c #}\nb", "a\n  {#- c #}\nb", "x\n   {%+ if true %}y{% endif +%}\nz",
    "{{ 1 }}\n{{ 2 }}\n", "\n\n{{ 1 }}\n\n", "a\r\nb\rc\n", "{% set a = 1 %}\n\n{{ a }}", "{{- '  x' }} {{ 'y  ' -}} ",
    "{% raw %}{{ x }}{% endraw %}", "a {%- raw -%} {{ {%- endraw -%} b", "{% raw %}\n  {% if %}\n{% endraw %}\nq",
    "\u00a0{%- if true %}\u2003{%- endif %}", "{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}\nend", "{{ '\n' }}", "{{ 'a\\nb\\t\\x41\\u00e9\\q\\'' }}",
    "{{ 'a' 'b' \"c\" }}", "{{ \"it's\" }}{{ 'say \"x\"' }}", "{# a #}{# b #}\n", "{%if true%}x{%endif%}", "{{1}}{{ 2}}{{3 }}",
    "  {{ 1 }}", "x {# c #} y\n", "{% if true %}\n\n a{% endif %}", "  {%- if true %}\n  b\n  {%- endif %}",
    # values and printing
    "{{ none }}|{{ true }}|{{ None }}|{{ False }}", "{{ mixed }}", "{{ nested }}", "{{ (1,) }}{{ (1, 2) }}{{ () }}", "{{ [] }}{{ {} }}",
    "{{ big }} {{ small }} {{ x }} {{ 1.0 }} {{ 100000000000000000.0 }} {{ 0.1 + 0.2 }} {{ 1e300 * 1e10 }}",
    "{{ 123456789012345.0 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ -0.0 }} {{ 5e-324 }}", "{{ u }} {{ [u] }}", "{{ ['\\x7f\\u200b\\u00a0\\\\'] }}",
    "{{ missing }}|{{ d.missing }}|{{ nums[9] }}", "{{ missing.x }}", "{{ missing + 1 }}", "{{ d['a'] }}{{ d.a }}{{ d['items'] }}", "{{ nested.items }}",
    "{{ nested['items'] }}", "{{ nested.a.b[1].c }}", "{{ nums[-1] }}{{ nums[0] }}{{ s[1] }}{{ s[-1] }}{{ u[3] }}", "{{ nums.0 }}",
    "{{ nums[1:] }}{{ nums[:-1] }}{{ nums[::-1] }}{{ nums[::2] }}{{ s[1:4] }}{{ s[::-1] }}{{ s[-3:] }}{{ nums[5:] }}{{ nums[-9:9] }}", "{{ s[2:1] }}|{{ s[:0] }}",
    # operators
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 6 / 3 }}",
    "{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 2 * 3 % 4 }} {{ 'a' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ [1] + [2] }} {{ 'a' ~ 1 ~ none ~ 2.0 }}",
    "{{ -2 ** 2 }} {{ - n }} {{ + n }} {{ -x }} {{ true + true }} {{ -true }}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ [1] + (1,) }}", "{{ none + 1 }}",
    "{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ [1, 2] == [1, 2.0] }} {{ {'a': 1} == {'a': 1} }} {{ 1 == '1' }} {{ none == false }} {{ (1,) == [1] }}",
    "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ 1 <= 1.0 }} {{ 2 >= 3 }} {{ 1 != 2 }}", "{{ 1 < 'a' }}", "{{ none < 1 }}",
    "{{ 'ell' in s }} {{ 'x' not in s }} {{ 1 in nums }} {{ 'a' in d }} {{ 'q' in {} }} {{ '' in s }} {{ 3 in [] }} {{ none in mixed }}", "{{ 1 in s }}", "{{ 1 in 5 }}", "{{ 'a' in missing }}",
    "{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 3 }} {{ '' or 'x' }} {{ not 1 }} {{ not '' }} {{ not not 3 }} {{ none or false }} {{ 1 or missing.x }}",
    "{{ 'a' if t else 'b' }}{{ 'a' if f else 'b' }}{{ 'a' if f }}|{{ 1 if f else 2 if f else 3 }}", "{{ (1 if f) is defined }}", "{{ ('a' if f) + 'b' }}",
    "{{ 'a %s b %d %%' % ('x', 3) }} {{ '%s' % 1 }} {{ '%s' % none }}", "{{ '%s %s' % ('a',) }}", "{{ '%d' % 'x' }}", "{{ 1, 2 }}", "{{ nums | length + 1 }}", "{{ -n | abs }} {{ -3 | abs }}",
    "{{ not n is defined }} {{ n is defined and n > 3 }}", "{{ s ~ '-' ~ n | string }}", "{{ 10 - 2 - 3 }} {{ 100 / 10 / 2 }} {{ 2 ** 3 ** 2 }}",
    # statements
    "{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}", "{% for x in nums %}{{ x }},{% endfor %}", "{% for x in empty %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'aé𝄞' %}{{ c }}.{% endfor %}", "{% for x in missing %}x{% else %}e{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for x in none_value %}{% endfor %}",
    "{% for x in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }} {% endfor %}",
    "{% for x in nums %}{{ loop.previtem }}-{{ loop.nextitem }} {{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}", "{% for x in nums if x > 1 %}{{ loop.index }}:{{ x }}{% else %}no{% endfor %}", "{% for x in nums if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for a in nums %}{% for b in words %}{{ a }}{{ b }}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}", "{% for x in range(10) %}{% if x == 3 %}{% continue %}{% endif %}{% if x == 6 %}{% break %}{% endif %}{{ x }}{% else %}e{% endfor %}",
    "{% for x in nums %}{% break %}{% else %}else{% endfor %}", "{% set a = 1 %}{% for x in nums %}{% set a = a + x %}{{ a }},{% endfor %}{{ a }}", "{% set ns = namespace(a=1) %}{% for x in nums %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}{{ ns.b }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{{ a, b }}", "{% set a, (b, c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}", "{% set a, b = nums %}", "{% set a %}x{{ n }}y{% endset %}[{{ a }}]", "{% set a | upper | trim %} x{{ n }}y {% endset %}[{{ a }}]", "{% set d.x = 1 %}", "{% set missing.x = 1 %}",
    "{% if true %}{% set q = 1 %}{% endif %}{{ q }}", "{% for x in nums %}{% set q = x %}{% endfor %}{{ q }}|", "{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}", "{% with %}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}", "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aaa{% endfilter %}", "{% generation %}a{{ n }}{% endgeneration %}b",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(c=4, a=1) }}|{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{{ n }}{% endcall %}", "{% macro m() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m(a) %}{{ a }}{% endmacro %}{% call m(1) %}x{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro f() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ f() }}", "{% macro f() %}{% set n = 99 %}{{ n }}{% endmacro %}{{ f() }}{{ n }}", "{% for x in nums %}{% macro g() %}{{ x }}{% endmacro %}{{ g() }}{% endfor %}", "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(1) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% for x in nums %}{{ f() }}{% endfor %}", "{% macro f() -%}\n  a\n{%- endmacro %}\n[{{ f() }}]", "{{ f() }}{% macro f() %}{% endmacro %}", "{% macro f() %}x{% endmacro %}{{ f() | length }}{{ f().strip() }}{{ f.name }}", "{% macro m(args) %}{{ args }}{% endmacro %}{{ m([1]) }}{{ m(*[5]) }}{{ m(**{'args': 6}) }}",
    "{% for x in [[1, [2]], [3, []]] recursive %}{{ x[0] }}{{ loop.depth }}{% if x[1] %}({{ loop([[9, []]]) }}){% endif %}{% endfor %}", "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% if missing %}a{% else %}b{% endif %}", "{% if '' or [] or {} or 0 or none %}a{% else %}b{% endif %}", "{% for x in d.values() %}{{ x }}{% endfor %}{{ d.keys() | list }}", "{% for x in [1,2,3][1:] %}{{ x }}{% endfor %}", "{% for x in nums %}{% if loop.first %}{% set y = x %}{% endif %}{{ y }}{% endfor %}", "{% break %}", "{% if true %}", "{% endif %}", "{% bogus %}", "{{ }}", "{{ 1 +}}", "{{ (1 }}", "{% for x %}{% endfor %}", "{{ 'abc }}", "{% set = 1 %}", "{{ a b }}", "{% if x = 1 %}{% endif %}", "{{ loop.index }}", "{{ raise_exception('no') }}", "{{ 1.foo }}", "{{ 'a'.foo }}", "{{ n.foo }}",
    # tests
    "{{ n is number }}{{ x is number }}{{ t is number }}{{ s is number }}{{ n is integer }}{{ t is integer }}{{ x is float }}{{ t is boolean }}", "{{ s is string }}{{ n is string }}{{ d is mapping }}{{ nums is mapping }}{{ nums is sequence }}{{ s is sequence }}{{ d is sequence }}{{ n is sequence }}{{ none is iterable }}{{ d is iterable }}{{ nums is iterable }}{{ s is iterable }}",
    "{{ missing is defined }}{{ missing is undefined }}{{ n is defined }}{{ none_value is none }}{{ missing is none }}{{ missing is iterable }}{{ missing is sequence }}{{ missing is mapping }}{{ missing is string }}", "{{ n is odd }}{{ n is even }}{{ n is divisibleby 7 }}{{ n is divisibleby(2) }}{{ 2.0 is even }}", "{{ n is eq 7 }}{{ n is ne(7) }}{{ n is gt 3 }}{{ n is le 3 }}{{ n is in nums }}{{ 3 is in nums }}{{ s is equalto 'x' }}{{ n is sameas 7 }}{{ none is sameas none }}", "{{ t is true }}{{ t is false }}{{ 1 is true }}{{ f is false }}{{ range is callable }}{{ s is callable }}", "{{ 'abc' is lower }}{{ 'aBc' is lower }}{{ 'ABC' is upper }}{{ '1' is upper }}{{ n is not none }}", "{{ 'a' is odd }}", "{{ n is bogus }}", "{{ d.items() is sequence }}{{ d.items() is iterable }}{{ (nums | map('string')) is sequence }}",
    "{{ range(3) is sequence }}{{ namespace() is mapping }}{{ (1, 2) is sequence }}",
    # filters
    "{{ s | upper }}{{ s | lower }}{{ 'hello wORLD' | capitalize }}{{ 'hello wORLD it\\'s a-b (c' | title }}{{ u | upper }}{{ u | lower }}", "[{{ sp | trim }}][{{ 'xxaxx' | trim('x') }}][{{ n | trim }}]", "{{ s | length }}{{ nums | count }}{{ d | length }}{{ u | length }}{{ missing | length }}", "{{ n | length }}", "{{ s | replace('l', 'L') }}{{ s | replace('l', 'L', 1) }}{{ n | replace('7', '8') }}{{ 'ab' | replace('', '-') }}", "{{ missing | default('x') }}{{ none_value | default('x') }}{{ none_value | default('x', true) }}{{ e | default('x', boolean=true) }}{{ missing | d }}{{ missing.a | default(1) }}",
    "{{ nums | join }}{{ nums | join(', ') }}{{ people | join('|', attribute='name') }}{{ 'abc' | join('.') }}{{ missing | join }}{{ mixed | join(',') }}", "{{ nums | first }}{{ nums | last }}{{ empty | first }}{{ s | first }}{{ s | last }}{{ d | first }}", "{{ nums | sort }}{{ words | sort }}{{ words | sort(case_sensitive=true) }}{{ nums | sort(reverse=true) }}{{ people | sort(attribute='age') | map(attribute='name') | list }}{{ people | sort(attribute='name', reverse=true) | map(attribute='name') | join(',') }}", "{{ mixed | sort }}", "{{ words | unique | list }}{{ ['a', 'A', 'b'] | unique | list }}{{ ['a', 'A'] | unique(case_sensitive=true) | list }}{{ [1, 1.0, true, 2] | unique | list }}",
    "{{ people | map(attribute='name') | list }}{{ words | map('upper') | list }}{{ people | map(attribute='tags.0') | list }}{{ people | map(attribute='x', default='-') | list }}{{ words | map('replace', 'a', 'z') | join }}", "{{ people | selectattr('age', 'equalto', 3) | list | length }}{{ people | selectattr('tags') | map(attribute='name') | list }}{{ people | rejectattr('tags') | map(attribute='name') | list }}{{ nums | select('odd') | list }}{{ nums | reject('odd') | list }}{{ [0, 1, '', 'a'] | select | list }}{{ people | selectattr('tags', 'defined') | list | length }}{{ people | selectattr('name', 'in', ['Bob']) | list }}",
    "{{ d | dictsort }}{{ d | dictsort(true) }}{{ d | dictsort(by='value') }}{{ d | dictsort(reverse=true) }}{{ d | dictsort(false, 'value', true) }}", "{{ d | items | list }}{{ missing | items | list }}", "{{ nums | items | list }}", "{{ nums | min }}{{ nums | max }}{{ words | min }}{{ people | max(attribute='age') }}{{ empty | min }}|{{ nums | sum }}{{ people | sum(attribute='age') }}{{ [0.5, 1] | sum }}", "{{ nums | reverse | list }}{{ s | reverse }}{{ nums | list }}{{ d | list }}{{ 'ab' | list }}{{ nums | map('string') | list }}", "{{ '42' | int }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ '4.7' | int }}{{ 4.7 | int }}{{ -4.7 | int }}{{ ' 7 ' | int }}{{ none | int }}{{ true | int }}{{ '1.5' | float }}{{ 'x' | float }}{{ 3 | float }}{{ '1e3' | float }}{{ '1.' | float }}{{ '.5' | float }}", "{{ -3 | abs }}{{ -2.5 | abs }}{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.4 | round }}{{ 3 | round }}", "{{ n | string ~ 'a' }}{{ none | string }}{{ nums | string }}{{ x | string }}", "{{ lines | indent }}", "{{ lines | indent(2, true) }}|{{ lines | indent(2, blank=true) }}|{{ 'a\\n' | indent(1) }}|{{ '' | indent(3, first=true) }}|{{ 'a\\nb' | indent('>> ') }}",
    "{{ d | tojson }}{{ mixed | tojson }}{{ nested | tojson(indent=2) }}{{ d | tojson(sort_keys=true) }}{{ u | tojson }}{{ u | tojson(ensure_ascii=true) }}{{ [] | tojson(indent=2) }}{{ d | tojson(separators=(',', ':')) }}{{ x | tojson }}{{ big | tojson }}{{ (1, 2) | tojson }}{{ {1: 2, none: 3, true: 4, 1.5: 6} | tojson }}{{ ('\\x7f/<>&' ~ s) | tojson }}{{ nums | tojson(indent=0) }}{{ nested | tojson(indent='--') }}", "{{ missing | tojson }}", "{{ d.items() | tojson }}", "{{ '<a>' | safe }}{{ '<' | safe + '>' }}{{ '<' + ('>' | safe) }}{{ ('<' | safe) ~ '>' }}{{ '<a>' | escape }}{{ '<a>' | safe | escape }}{{ ('a' | safe) | upper }}", "{{ s | bogus }}", "{% if false %}{{ s | bogus }}{% endif %}ok", "{{ [1, 2] | map('bogus') | list }}", "{{ nums | map(attribute='x') | list }}", "{{ nums | map('string') }}x", "{{ (nums | select) | length }}", "{% set g = nums | select %}{{ g | list }}{{ g | list }}", "{{ (empty | select) and 1 }}",
    # methods
    "{{ s.upper() }}{{ s.lower() }}{{ s.title() }}{{ s.capitalize() }}{{ 'a-b c\\'d 1e' .title() }}", "[{{ sp.strip() }}][{{ sp.lstrip() }}][{{ sp.rstrip() }}][{{ 'xyaxy'.strip('xy') }}][{{ 'xa'.rstrip('x') }}][{{ 'éaé'.strip('é') }}][{{ 'a\\n'.strip('\\n') }}]", "{{ s.split() }}{{ s.split(',') }}{{ 'a,b,,c'.split(',') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a b  c '.split(none, 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a<x>b<x>c'.split('<x>')[-1] }}{{ 'aaa'.split('aa') }}{{ 'aaa'.rsplit('aa') }}{{ '\\u2003a\\u00a0b'.split() }}", "{{ s.split('') }}", "{{ s.startswith('He') }}{{ s.endswith('ld') }}{{ s.startswith('') }}{{ s.startswith(('x', 'H')) }}{{ s.endswith(('x', 'y')) }}", "{{ s.replace('l', '') }}{{ s.replace('l', 'LL', 2) }}{{ s.replace('zz', 'y') }}{{ 'aaa'.replace('aa', 'b') }}", "{{ s.find('l') }}{{ s.find('z') }}{{ s.rfind('l') }}{{ u.find('é') }}{{ s.count('l') }}{{ s.index('W') }}", "{{ s.index('zz') }}", "{{ ', '.join(words) }}{{ ''.join([]) }}{{ '-'.join('abc') }}", "{{ ','.join(nums) }}", "{{ 'a{}b{}'.format(1, 'x') }}{{ '{0}{1}{0}'.format(1, 2) }}{{ '{a}-{b}'.format(a=1, b=none) }}{{ '{{}}'.format() }}", "{{ '{}'.format() }}", "{{ lines.splitlines() }}{{ lines.splitlines(true) }}{{ ''.splitlines() }}{{ 'a\\n'.splitlines() }}", "{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('=') }}{{ 'abc'.rpartition('=') }}", "{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('bc') }}{{ 'abc'.removeprefix('x') }}", "{{ '12'.isdigit() }}{{ ''.isdigit() }}{{ 'ab'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a1'.islower() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}", "{{ d.get('a') }}{{ d.get('zz') }}{{ d.get('zz', 5) }}{{ d.items() | list }}{{ d.keys() | list }}{{ d.values() | list }}{{ d.copy() }}", "{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ l.pop() }}{{ l.pop(0) }}{{ l }}", "{{ empty.pop() }}", "{{ nums.index(1) }}{{ nums.count(3) }}", "{{ d.get() }}", "{{ s.upper(1) }}", "{{ s.bogus() }}", "{{ missing() }}", "{{ n() }}", "{{ 'abc'.zfill(5) }}", "{{ d.update({'x': 1}) }}",
    # functions
    "{{ range(3) | list }}{{ range(1, 4) | list }}{{ range(5, 0, -2) | list }}{{ range(0) | list }}{{ range(3)[1] }}{{ range(3) | length }}{{ range(10)[2:4] | list }}", "{{ range('a') }}", "{{ range() }}", "{{ range(1, 2, 0) }}", "{{ range(1000000) | length }}", "{{ dict(a=1, b=2) }}{{ dict({'x': 1}, y=2) }}{{ dict([['a', 1]]) }}", "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['b'] }}{{ ns.c is defined }}", "{{ strftime_now('%Y-%m-%d %H:%M:%S %B %b %A %a %j %y %I %p %% %e') }}", "{{ {'a': 1}['a'] }}{{ {'a': 1}.a }}{{ {1: 'x'}[1] }}{{ {true: 'x'}[1] }}{{ {'a': 1, 'a': 2} }}", "{{ {[1]: 2} }}", "{{ [1, [2, [3]]][1][1][0] }}", "{{ 'a' if namespace is defined }}",
    "{{ s is string and s | length > 3 }}", "{{ (n + 1) | string | length }}", "{{ people[0].name ~ people[-1]['name'] }}", "{{ people | length - 1 }}", "{{ loop is defined }}", "{% for m in people %}{% if not loop.last and people[loop.index0 + 1].age == 3 %}{{ m.name }}{% endif %}{% endfor %}",
    "{% set x = {'k': [1, {'z': 'é\"'}]} %}{{ x | tojson }}{{ x }}", "{{ 'x' in d and d['x'] }}", "{% set v = none %}{% if v is not none and v.x %}a{% else %}b{% endif %}", "{{ [1, 2, 3] | last == 3 }}", "{{ 5 if not none_value else 6 }}", "{{ ((1)) }}{{ (1, ) }}", "{{ [1, 2,] }}{{ {'a': 1,} }}{{ dict(a=1,) }}", "{{ 1_000 }}", "{{ 0x10 }}", "{{ 1e3 }}{{ 1.5e2 }}{{ 2E-1 }}", "{{ 007 }}", "{{ 9223372036854775807 }}", "{{ é }}{% set é = 1 %}{{ é }}",
]  # fmt: skip


def generated(random, count):
    """Random expressions over DATA, most of which mean something."""
    names = [*DATA, "missing"]
    literals = ["0", "1", "-3", "2.5", "'a'", "'l'", "''", "none", "true", "[1, 'b']", "{'a': 1}", "(1, 2)", "' x '"]
    filters = [
        "upper", "lower", "trim", "length", "string", "list", "first", "last", "sort", "unique | list", "join(',')", "int",
        "float", "abs", "default('q')", "default('q', true)", "tojson", "title", "capitalize", "reverse | list",
        "replace('a', 'bb')", "map('string') | list", "select | list", "reject('none') | list", "min", "max", "indent(2)",
        "items | list", "dictsort", "map(attribute='name') | list", "selectattr('age') | list", "safe", "tojson(indent=1)",
    ]
    tests = [
        "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable",
        "sequence", "true", "false", "odd", "even", "eq 1", "in [1, 'a']", "lower", "upper", "divisibleby 2", "gt 1",
    ]
    methods = [
        "strip()", "split()", "split('a')", "upper()", "lower()", "title()", "startswith('a')", "endswith('d')",
        "replace('l', '1')", "get('a')", "items() | list", "keys() | list", "lstrip('H')", "rstrip()", "find('l')",
        "count('a')", "splitlines()", "isdigit()", "capitalize()", "rsplit('l', 1)", "partition(' ')", "x", "name", "items",
    ]
    operators = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]

    def expression(depth):
        if depth == 0:
            return random.choice([random.choice(names), random.choice(literals)])
        inner = expression(depth - 1)
        kind = random.randrange(9)
        if kind < 2:
            return f"({inner} {random.choice(operators)} {expression(depth - 1)})"
        if kind == 2:
            return f"({inner} | {random.choice(filters)})"
        if kind == 3:
            return f"({inner} is {random.choice(['', 'not '])}{random.choice(tests)})"
        if kind == 4:
            return f"({inner}).{random.choice(methods)}"
        if kind == 5:
            return f"({inner})[{random.choice(['0', '-1', '1:', ':-1', '::-1', chr(39) + 'a' + chr(39), '::2', '-2:'])}]"
        if kind == 6:
            return f"({inner} if {expression(depth - 1)} else {expression(depth - 1)})"
        if kind == 7:
            return f"[{inner}, {expression(depth - 1)}]"
        return f"{random.choice(['not ', '-'])}({inner})"

    for _ in range(count):
        yield "{{ " + expression(random.choice([1, 2, 2, 3])) + " }}"
