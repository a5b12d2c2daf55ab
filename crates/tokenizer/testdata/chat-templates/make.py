"""Writes cases.json: chat templates with the texts that transformers renders from them.

Run it with transformers 5.24.0 and Jinja2 3.1.6:
    pip install transformers==5.24.0 Jinja2==3.1.6
    python make.py
Every case has a name, a template, and the text, or `null` if transformers fails. The clock is at 2026-07-26.
"""

import json
from datetime import datetime
from pathlib import Path

import transformers.utils.chat_template_utils as chat

MESSAGES = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "What is 1 + 1?\n"},
    {"role": "assistant", "content": "<think>\none and one\n</think>\n\n2"},
    {"role": "user", "content": "Éa 'q' \"d\"\t<b>?"},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 7, 26)


# One expression per line: each becomes the template `{{ EXPRESSION }}`.
EXPRESSIONS = r"""
'%s' % 'x'
'%s and %s' % ('a', 'b')
'%d items' % 3
'%5d|%-5d|%05d|%+d' % (1, 2, 3, 4)
'%.2f' % 3.14159
'%5.1f|' % 2.25
'%x %X %o' % (255, 255, 8)
'%r' % 'x'
'%r' % ["it's"]
'%%' % ()
'%s%%' % 5
'%(a)s-%(b)d' % {'a': 'x', 'b': 7}
'%s' % none
'%s' % true
'%s' % [1, 'a']
'%s' % ('only',)
'%s'
'%s' % 1 + 'x'
'%s' % (1 + 2) ~ 'x'
'%s' % messages[1].role | upper
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%d' % 'a'
'%c%c' % (65, 'b')
'%e' % 12345.678
'%g %g' % (0.0001, 1e20)
'%10s|%-10s|' % ('ab', 'cd')
'%.3s' % 'abcdef'
'%*d' % (5, 3)
7 % 3
-7 % 3
7 % -3
7.5 % 2
2 * 7 % 4
7 % 4 * 2
7 % 4 % 2
1 + 7 % 4
'%s' % 7 % ()
loop_index % 2 == 0 if loop_index is defined else 'no'
7 // 2
-7 // 2
7 / 2
6 / 2
7.0 // 2
2 ** 10
2 ** -1
-2 ** 2
1 / 3
0.1 + 0.2
1e16
1e15
1e100
123456789012345678.0
0.00001
0.0001
1.0
-0.0
3.0 * 2
2.5e-8
10 / 0
1 + 1.5
5 - 8
'a' ~ 1 ~ none ~ true ~ 1.0
'a' + 'b'
'a' + 1
[1] + [2]
(1, 2) + (3,)
'ab' * 3
[0] * 3
'a' * 0
'a' * -1
3 * 'ab'
none
true
false
True and None
None
1 and 2
0 or 'x'
'' or 'y'
not ''
not none
none or false
undefined_name
undefined_name.x
undefined_name | length
undefined_name | default('d')
undefined_name or 'e'
undefined_name ~ 'e'
undefined_name + 'e'
undefined_name == none
undefined_name is none
undefined_name is defined
undefined_name is not none
undefined_name()
messages[0].nothing
messages[0].nothing.more
messages[0]['nothing']
messages[0].nothing is defined
messages[99]
messages[99] is defined
messages[99].role
messages[-1].role
messages[-1]['content']
messages[0].get('role')
messages[0].get('x')
messages[0].get('x', 'y')
messages[0]['role'] == 'system'
messages[0]
messages | length
messages | map(attribute='role') | join(', ')
messages | map(attribute='nope') | join(', ')
messages | map(attribute='nope', default='-') | join(', ')
messages | map('length') | list
messages | selectattr('role', 'equalto', 'user') | list | length
messages | selectattr('role', '==', 'user') | map(attribute='content') | first
messages | selectattr('role', 'in', ['user', 'system']) | map(attribute='role') | list
messages | selectattr('content') | list | length
messages | rejectattr('role', 'equalto', 'user') | map(attribute='role') | list
messages | map(attribute='role') | unique | list
messages | map(attribute='role') | list | sort
messages | groupby('role') | map('first') | list
messages | map(attribute='role') | reverse | list
messages | last
messages | first
messages | list | length
messages[1:] | length
messages[:-1] | length
messages[::-1] | map(attribute='role') | list
messages[1:3] | map(attribute='role') | join('|')
messages[-2:] | map(attribute='role') | join('|')
messages[::2] | map(attribute='role') | join('|')
messages[3:1:-1] | map(attribute='role') | join('|')
'abcdef'[::-1]
'abcdef'[1:4]
'abcdef'[-3:]
'abcdef'[::2]
'abcdef'[4:1:-1]
'abcdef'[5::-2]
'abcdef'[:-2]
'abcdef'[10:]
'abcdef'[0]
'abcdef'[-1]
'Éaß'[1]
'Éaß'[::-1]
''[::-1]
[][::-1]
[1,2,3][::-1]
[1,2,3,4][1:-1]
[1,2,3,4][:100]
(1,2,3)[::-1]
(1,2,3)[1:]
'abc'[1:2:0]
messages is sequence
messages is iterable
messages is mapping
messages[0] is mapping
messages[0] is sequence
messages[0] is iterable
'abc' is string
'abc' is sequence
'abc' is iterable
'abc' is mapping
1 is string
1 is number
1 is integer
1.0 is integer
1.0 is float
true is integer
true is number
true is boolean
1 is boolean
true is true
1 is true
false is false
0 is false
none is none
none is defined
none is sequence
none is iterable
1 is iterable
3 is odd
4 is even
4 is divisibleby 2
4 is divisibleby(3)
'a' is in ['a']
'a' is in 'abc'
1 is eq 1
1 is equalto 1
1 is sameas 1
2 is gt 1
'ABC' is upper
'abc' is lower
'abc' is callable
raise_exception is callable
range is callable
'upper' is filter
'nope' is filter
'odd' is test
'x' is undefined
1 is lt(2)
1 is ge 1
1 is ne 2
not 1 is none
1 is not none and true
3 is not odd
'a' in 'abc'
'a' not in 'abc'
'role' in messages[0]
'x' in messages[0]
2 in [1, 2]
1 < 2 < 3
1 < 3 < 2
'a' < 'b'
'a' < 1
1 == 1.0
1 == true
'1' == 1
[1] == [1]
{'a': 1} == {'a': 1}
(1, 2) == (1, 2)
(1, 2) == [1, 2]
[1, 2] < [1, 3]
[1, 'a', none, true, 1.5, "it's", 'q"q']
['a\nb', 'tab\t', 'back\\slash', 'é']
{'a': 1, 'b': [1, 2], 'c': {'d': none}}
(1,)
(1, 2)
()
[]
{}
{1: 2}
{'a': 1}.a
{'a': 1}['a']
{'items': 1}['items']
{'a': 1, 'b': 2} | length
{'a': 1, 'b': 2} | list
{'b': 1, 'a': 2} | dictsort
{'a': 1, 'b': 2} | items | list
{'a': 1, 'b': 2}.items() | list
{'a': 1, 'b': 2}.keys() | list
{'a': 1, 'b': 2}.values() | list
{'a': 1, 'b': 2}.keys()
{'a': 1, 'b': 2}.values()
{'a': 1}.items()
{'a': 1}.update({'b': 2})
{'a': 1}.pop('a')
{'a': 1}.copy()
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict.fromkeys(['a', 'b'], 0)
[3, 1, 2] | sort
[3, 1, 2] | sort(reverse=true)
['b', 'A', 'c'] | sort
['b', 'A', 'c'] | sort(case_sensitive=true)
[1, 2, 3] | sum
[1, 2, 3] | max
[1, 2, 3] | min
[1, 2, 3] | join
[1, none, 'a'] | join('-')
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3, 4, 5] | batch(2, 0) | list
[1, 2, 3, 4, 5] | slice(2) | list
[1, 1, 2] | unique | list
[0, 1, '', 'a', none] | select | list
[1, 2, 3, 4] | select('odd') | list
[1, 2, 3, 4] | reject('odd') | list
['a', 'b'] | map('upper') | list
['a', 'b'] | map('upper') | join
[1, 2] | first
[] | first
[] | last
[].append(1)
[1, 2].index(2)
[1, 2, 1].count(1)
(1, 2, 1).count(1)
'hello world' | title
"they're bill's" | title
'hello-world x' | title
"they're bill's".title()
'hello WORLD' | capitalize
'hello WORLD'.capitalize()
'abc' | upper
'ABC' | lower
'  x ' | trim
'xxaxx' | trim('x')
'abc' | length
'Éa' | length
'abc' | reverse
'abc' | list
'a b c' | wordcount
'a' | center(5) ~ '|'
'abc' | replace('b', 'x')
'aaa' | replace('a', 'b', 2)
'a,b' | replace(',', '')
'abc' | first
'abc' | last
'x' | indent
'a\nb' | indent(2)
'a\nb' | indent(2, true)
'a\n\nb' | indent(2)
'a\n\nb' | indent(2, blank=true)
'a\nb' | indent(width='> ')
'3' | int
'x' | int
'x' | int(7)
3.9 | int
'0x1f' | int(0, 16)
'3.5' | float
'x' | float
3 | float
3.14159 | round(2)
2.5 | round
3.5 | round
2.7 | round(0, 'floor')
2.1 | round(0, 'ceil')
3 | round
-3 | abs
3 | string
1.0 | string
none | string
true | string
[1, 'a'] | string
3 | string | length
'<a>&' | escape
'<a>&' | e
'<a>' | safe
'<a>' | e | length
'a' | default('b')
'' | default('b')
'' | default('b', true)
none | default('b')
none | d('b', true)
'%s-%s' | format('a', 1)
'%05.2f' | format(3.14159)
'a b' | urlencode
'abcdefghij klm' | truncate(8)
'abcdefghij klm' | truncate(8, true)
'aa bb cc' | wordwrap(5)
'<b>x</b> y' | striptags
'x' | pprint
['x', 1] | pprint
3 | filesizeformat
{'a': 1} | xmlattr
messages[0] | attr('role')
1 | nofilter
1 is notest
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
'a  b c'.split()
'a  b c'.split(none, 1)
' a b '.split(' ')
'abc'.split('')
'a,b,c'.split(',')[-1]
'a,b'.split(sep=',')
'a,b,c'.split(',', maxsplit=1)
'a</think>b'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
'xxabxx'.strip('x')
'xyabyx'.strip('xy')
'  a '.strip() ~ '|'
'  a '.lstrip() ~ '|'
'  a '.rstrip() ~ '|'
'xxa'.lstrip('x')
'axx'.rstrip('x')
'a '.strip(none) ~ '|'
'abcabc'.replace('b', 'x')
'abcabc'.replace('b', 'x', 1)
'aXb'.lower()
'aXb'.upper()
'aXb'.swapcase()
'Straße'.casefold()
'hello'.startswith('he')
'hello'.startswith(('x', 'he'))
'hello'.endswith('lo')
'hello'.startswith('el', 1)
'hello'.endswith(('x', 'lo'))
'hello'.find('l')
'hello'.find('z')
'hello'.find('l', 3)
'hello'.rfind('l')
'hello'.index('l')
'hello'.index('z')
'hello'.count('l')
'hello'.removeprefix('he')
'hello'.removesuffix('lo')
'hello'.removeprefix('x')
'-'.join(['a', 'b'])
'-'.join([1, 2])
'-'.join('abc')
''.join(messages | map(attribute='role'))
'a\nb\r\nc'.splitlines()
'a\nb\n'.splitlines(true)
'abc'.center(7, '*')
'abc'.ljust(5, '.')
'abc'.rjust(5, '.')
'7'.zfill(3)
'-7'.zfill(4)
'abc'.isalpha()
'ab1'.isalnum()
'12'.isdigit()
'1.2'.isdigit()
'12'.isnumeric()
'12'.isdecimal()
'abc'.islower()
'ABC'.isupper()
'  '.isspace()
'Abc Def'.istitle()
'abc'.isidentifier()
'{} {}'.format('a', 1)
'{0} {1} {0}'.format('a', 'b')
'{x}'.format(x=5)
'{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c')
'{:.2f}'.format(3.14159)
'{:05d}'.format(42)
'{!r}'.format('a')
'{a[0]}'.format(a=[1])
'a\tb'.expandtabs(4)
'abc'.encode()
'abc'.nomethod()
'a'.__class__
'a\\nb'
'a\nb'
'a\tb'
'é\u00e9\x41'
'\U0001F600'
'it\'s'
"q\"q"
'\q'
'a' 'b'
'\'
'multi
line'
messages | tojson
messages[3].content | tojson
messages[3].content | tojson(ensure_ascii=true)
messages[3].content | tojson(ensure_ascii=false)
'😀' | tojson(ensure_ascii=True)
{'a': [1, 2], 'b': {}} | tojson
{'a': [1, 2], 'b': {}, 'c': []} | tojson(indent=2)
{'a': [1, {'x': none}], 'b': true} | tojson(indent=4)
{'a': [1, 2]} | tojson(indent=0)
{'b': 1, 'a': 2} | tojson(sort_keys=true)
{'b': 1, 'a': 2} | tojson(separators=(',', ':'))
{'b': 1, 'a': [1, 2]} | tojson(indent=2, separators=(',', ': '))
{'b': 1, 'a': 2} | tojson(separators=[',', '='])
{'a': 1} | tojson(true)
{'a': 1} | tojson(indent='\t')
[1.0, 1e16, 0.1, 1e-7, 100000000000000000000] | tojson
none | tojson
true | tojson
'a/b\u0001\u007f' | tojson
'a\u2028b' | tojson
{1: 'a'} | tojson
{none: 'a', true: 'b'} | tojson
(1, 2) | tojson
undefined_name | tojson
messages | tojson(nope=1)
range(3) | list
range(1, 7, 2) | list
range(3, 0, -1) | list
range(3)
range(100001) | length
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d')
strftime_now('%A, %B %d, %Y')
strftime_now('%H:%M:%S')
strftime_now('%y %j %a %%')
strftime_now('%e %I %p')
strftime_now('%d %B %Y') | upper
strftime_now(format='%Y')
strftime_now()
raise_exception('no')
namespace(a=1).a
cycler('a', 'b').next()
bos_token
eos_token
unk_token
unk_token is defined
bos_token + messages[0].content
tools is defined
tools
tools is none
documents is none
tools is not none and tools | length
add_generation_prompt
enable_thinking is defined
messages[0].content if messages[0].role == 'system' else 'x'
'x' if false
('x' if false) is defined
'a' if true else 'b' if true else 'c'
[x for x in messages]
(messages | length) is gt 3
messages|length-1
messages[messages | length - 1].role
loop
1_000
0x1F
0b101
1.5e3
.5
1.
'a' == "a"
{'a': 1,}
[1, 2,]
not not 1
- - 3
+3
-messages | length
1 if 2 > 1
[1, 2] is sequence and 'x'
(1)
(1) | string ~ 'a'
1 ~ 2 + 3
1 + 2 ~ 3
'a' ~ 'b' * 2
2 * 3 ~ 4
messages.0.role
messages[0].role[0]
messages[0]['ro' ~ 'le']
messages[0].role.upper()[::-1]
'a' | upper | lower | upper
('a' | upper) ~ ('b' | upper)
none.x
none | length
1 | length
none + 1
true + 1
true ~ ''
[true, false] | sum
true | int
'a' > none
'true' == true
"%s" % "a" if true else 7
[1,2,3] | tojson | length
messages | map('string') | map('length') | sum > 0
messages | map(attribute='content') | map('trim') | join('|')
messages | sum(attribute='x')
[{'a': 1}, {'a': 2}] | sum(attribute='a')
[{'a': {'b': 1}}] | map(attribute='a.b') | list
[[1, 2], [3]] | map('first') | list
[[1, 2], [3]] | map(attribute=0) | list
[{'a': 2}, {'a': 1}] | sort(attribute='a')
[{'a': 2}, {'a': 1}] | max(attribute='a')
[[1, 2], [3]] | sum(start=[])
['a', 'b'] | join(', ', attribute='x')
'abc' | batch(2) | list
lambda
'abc' | map('upper') | list
[1,2] | map('nofilter') | list
"a" if "a" is string and "b" is not number else "c"
messages is not string and messages is iterable
1 if undefined_name else 2
messages | tojson(indent=4) | length
true|string + 'x'
1|string+'x'
'x' * messages|length
'a b'.split(' ') | map('upper') | join(' ')
('a', 'b') | join
((1, 2), (3, 4))
{'a': (1, 2)}
[none, true]
{'k': none}
'nul\0'
'\a\b\f\v'
1e400
99999999999999999999
2 ** 63
2 ** 200
9223372036854775807 + 1
"{{ x }}"
'{% x %}'
'a}}b'
'a%}b' % ()
'%s' % '%}'
'%s' %'x'
'%s'% 'x'
'%s'%'x'
(messages | length)%2
messages|length % 2
10 % 3 ** 2
-10 % 3
'%s' % -1
'%s' % 'a'.upper()
'%s' % {'a': 1}['a']
'%s' % [1, 2][0]
'%s' % ('a' if true else 'b')
['%s' % 1, '%s' % 2]
{'k': '%s' % 1}
messages[5 % 3].role
('%s' % 'a').upper()
'%s' % 'a' == 'a'
'%s' % 'a' in 'abc'
'%s' % 'a' is string
not '%s' % ''
'a' ~ '%s' % 'b' ~ 'c'
'%i' % 3.7
'%s|%s' % (messages[0].role, messages[1].role)
'%5s|%-5s|' % ('é', 'ü')
undefined_name % 2
'%s' % undefined_name
'%a' % 'é'
messages[1:][::-1] | map(attribute='role') | list
messages[0].role[::-1].upper()
-[3, 1][::-1][0]
'x' if messages[::-1][0].role == 'user'
[[1, 2][::-1], 3][0]
(messages | map(attribute='role') | list)[::-2]
'abc'.split('b')[::-1] | join
'abcdef'[1 + 1:5 % 3 + 2:1]
'\101\x22\x5c\v'
messages[1:][0].role
messages[1:] is sequence
(messages[1:] + [messages[0]])[-1].role
([1] + [2])[1]
([1] + [2] + [3])[::-1]
[1] + [2] is sequence
([1] + [2]) | tojson
messages[1:] | tojson
messages[0].role[1:][:2]
not messages[1:]
{'a': [1, 2][1:]}.a[0]
undefined_name[1:]
1 + 2 - 3
1 - 2 + 3
[1 + 2, 'a' + 'b']
{'a': 'b' + 'c'}['a']
messages[0]['content'] + '\n' if true else ''
('a' if false else 'b') + 'c'
'a' + 'b' in 'xabx'
'a' + ('b' + 'c') | upper
'a' + 'b' == 'ab' and 'c' + 'd' == 'cd'
not 'a' + 'b'
'%u' % 3
'%#x' % 255
'% d' % 5
"""

# Whole templates, separated by lines of ====. The first line of each is its name.
TEMPLATES = Path(__file__).with_name("templates.txt").read_text()

chat.datetime = Clock


def case(name, template):
    text = error = None
    try:
        arguments = dict(chat_template=template, add_generation_prompt=True, **TOKENS)
        rendered = chat.render_jinja_template([MESSAGES], **arguments)
        text = rendered[0][0] if isinstance(rendered, tuple) else rendered[0]
    except Exception as e:  # Every failure is a fact that is recorded.
        error = f"{type(e).__name__}: {e}"
    return {"name": name, "template": template, "text": text, "error": error}


def main():
    cases = []
    for line in EXPRESSIONS.strip("\n").split("\n"):
        cases.append(case(line, "{{ " + line + " }}"))
    for part in TEMPLATES.split("\n====\n"):
        name, template = part.split("\n", 1)
        cases.append(case(name, template))
    document = {"date": "2026-07-26", "messages": MESSAGES, "tokens": TOKENS, "cases": cases}
    path = Path(__file__).with_name("cases.json")
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


main()
