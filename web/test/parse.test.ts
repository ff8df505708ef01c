// The Markdown of models, block by block. Where this reader and CommonMark agree, the examples are CommonMark's; where
// they differ on purpose, a test says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type Inline, parse } from "../src/parse.ts";

/** The tree in HTML's letters, without any blanks that are not the text's. */
function spelled(text: string): string {
  return parse(text).map(block).join("");
}

function block(b: Block): string {
  switch (b.type) {
    case "paragraph":
      return `<p>${inline(b.inner)}</p>`;
    case "heading":
      return `<h>${inline(b.inner)}</h>`;
    case "code":
      return `<pre>${b.text}</pre>`;
    case "quote":
      return `<q>${b.inner.map(block).join("")}</q>`;
    case "rule":
      return "<hr>";
    case "list":
      return `<${b.ordered ? `ol ${b.start}` : "ul"}>${b.items.map((item) => `<li>${item.map(block).join("")}</li>`).join("")}</>`;
    case "table":
      return `<table>${b.rows.map((row) => row.map(inline).join("|")).join("/")}</table>`;
  }
}

function inline(pieces: Inline[]): string {
  return pieces.map((p) => (typeof p === "string" ? p : piece(p))).join("");
}

function piece(p: Exclude<Inline, string>): string {
  if (p.type === "break") return "<br>";
  if (p.type === "code") return `<c>${p.text}</c>`;
  if (p.type === "image") return `<img ${p.href} ${p.text}>`;
  if (p.type === "link") return `<a ${p.href}>${inline(p.inner)}</a>`;
  return `<${p.type}>${inline(p.inner)}</${p.type}>`;
}

/** Each text is read as it stands beside it. */
function reads(...examples: [text: string, as: string][]): void {
  for (const [text, as] of examples) assert.equal(spelled(text), as, JSON.stringify(text));
}

const p = (inner: string) => `<p>${inner}</p>`;

test("a paragraph ends with an empty line, and a line of it is a line", () => {
  reads(["a\nb", p("a<br>b")], ["a\n\nb", p("a") + p("b")], ["a\n \t \n\n\nb", p("a") + p("b")], ["  a\n    b", p("a<br>b")], ["a\r\nb\rc", p("a<br>b<br>c")], ["", ""], [" \n ", ""]);
});

test("headings begin with up to six signs and a blank", () => {
  reads(["# a", "<h>a</h>"], ["###### a", "<h>a</h>"], ["####### a", p("####### a")], ["#a", p("#a")], ["## a ##", "<h>a</h>"], ["# a#", "<h>a#</h>"], ["#", "<h></h>"], ["   # a", "<h>a</h>"], ["a\n# b", `${p("a")}<h>b</h>`], ["\\# a", p("# a")]);
});

test("a line under a text makes no heading of it: models draw rules so", () => {
  reads(["a\n===", p("a<br>===")], ["a\n---", `${p("a")}<hr>`]);
});

test("rules are three signs of one kind", () => {
  reads(["---", "<hr>"], ["* * *", "<hr>"], ["___", "<hr>"], [" - - -  ", "<hr>"], ["--", p("--")], ["**", p("**")], ["-*-", p("-*-")], ["- a\n---\n- b", "<ul><li><p>a</p></li></><hr><ul><li><p>b</p></li></>"]);
});

test("points and numbers are lists", () => {
  const ul = (...items: string[]) => `<ul>${items.map((i) => `<li>${i}</li>`).join("")}</>`;
  reads(["- a\n- b", ul(p("a"), p("b"))], ["* a\n+ b", ul(p("a"), p("b"))], ["-a", p("-a")], ["- ", ul("")], ["1. a\n2. b", `<ol 1><li>${p("a")}</li><li>${p("b")}</li></>`]);
  reads(["7) a", `<ol 7><li>${p("a")}</li></>`], ["1.a", p("1.a")], ["1234567890. a", p("1234567890. a")], ["- a\n\n- b", ul(p("a"), p("b"))]);
  reads(["- a\n1. b", `${ul(p("a"))}<ol 1><li>${p("b")}</li></>`]);
});

test("lists within lists are pushed in by two blanks or by four, by tabs or by what their numbers take", () => {
  const nested = `<ul><li>${p("a")}<ul><li>${p("b")}</li></></li><li>${p("c")}</li></>`;
  for (const indent of ["  ", "   ", "    "]) reads([`- a\n${indent}- b\n- c`, nested]);
  reads(["1. a\n   - b\n2. c", `<ol 1><li>${p("a")}<ul><li>${p("b")}</li></></li><li>${p("c")}</li></>`]);
  reads(["1. a\n    - b\n2. c", `<ol 1><li>${p("a")}<ul><li>${p("b")}</li></></li><li>${p("c")}</li></>`]);
  reads(["- a\n  - b\n    - c", `<ul><li>${p("a")}<ul><li>${p("b")}<ul><li>${p("c")}</li></></li></></li></>`]);
  reads(["- a\n    - b\n        - c", `<ul><li>${p("a")}<ul><li>${p("b")}<ul><li>${p("c")}</li></></li></></li></>`]);
});

test("a point goes on with what is pushed in, and with lines that begin nothing", () => {
  reads(["- a\nb", `<ul><li>${p("a<br>b")}</li></>`], ["- a\n\n  b", `<ul><li>${p("a")}${p("b")}</li></>`], ["- a\n\nb", `<ul><li>${p("a")}</li></>${p("b")}`]);
  reads(["- a\n  ```\n  x\n  ```", `<ul><li>${p("a")}<pre>x</pre></li></>`], ["- > a", `<ul><li><q>${p("a")}</q></li></>`], ["- a\n# b", `<ul><li>${p("a")}</li></><h>b</h>`]);
});

test("quotes hold whatever stands alone", () => {
  reads(["> a\n> b", `<q>${p("a<br>b")}</q>`], ["> a\nb", `<q>${p("a<br>b")}</q>`], ["> a\n\nb", `<q>${p("a")}</q>${p("b")}`], [">a", `<q>${p("a")}</q>`], ["> > a", `<q><q>${p("a")}</q></q>`]);
  reads(["> - a\n> - b", `<q><ul><li>${p("a")}</li><li>${p("b")}</li></></q>`], ["> ```\n> x\n> ```", "<q><pre>x</pre></q>"], ["> a\n- b", `<q>${p("a")}</q><ul><li>${p("b")}</li></>`]);
});

test("code stands between fences as it is, and one that is not closed yet is code to its end", () => {
  reads(["```\n<b> *x*\n```", "<pre><b> *x*</pre>"], ["```js\na\n\n  b\n```\nc", `<pre>a\n\n  b</pre>${p("c")}`], ["~~~\na\n~~~", "<pre>a</pre>"], ["```\na", "<pre>a</pre>"], ["```", "<pre></pre>"], ["```\na\n``", "<pre>a\n``</pre>"]);
  reads(["````\n```\n````", "<pre>```</pre>"], ["```\n~~~\n```", "<pre>~~~</pre>"], ["```\na\n````", "<pre>a</pre>"], ["```\na\n``` x\n```", "<pre>a\n``` x</pre>"], ["a\n```\nb\n```", `${p("a")}<pre>b</pre>`]);
});

test("lines pushed in by four blanks are text: models push in what is no code", () => {
  reads(["    a", p("a")]);
});

test("tables have a line below their head, and rows as wide as it", () => {
  reads(["| a | b |\n|---|---|\n| 1 | 2 |", "<table>a|b/1|2</table>"], ["a|b\n-|-\n1|2", "<table>a|b/1|2</table>"], ["| a |\n|:-:|\n| 1 | 2 |", "<table>a/1</table>"], ["| a | b |\n|---|---|\n| 1 |", "<table>a|b/1|</table>"]);
  reads(["| a |\n|---|\n| x \\| y |", "<table>a/x | y</table>"], ["| a |\n|---|\n| **b** |\n\nc", `<table>a/<strong>b</strong></table>${p("c")}`], ["a | b", p("a | b")], ["| a |\n| b |", p("| a |<br>| b |")], ["| a |\n|---|", "<table>a</table>"]);
});

test("words are weighed with stars, lines and waves", () => {
  reads(["*a*", p("<em>a</em>")], ["**a**", p("<strong>a</strong>")], ["***a***", p("<strong><em>a</em></strong>")], ["_a_", p("<em>a</em>")], ["__a__", p("<strong>a</strong>")], ["~~a~~", p("<del>a</del>")], ["~a~", p("~a~")]);
  reads(["*a **b** c*", p("<em>a <strong>b</strong> c</em>")], ["**a *b* c**", p("<strong>a <em>b</em> c</strong>")], ["a*b*c", p("a<em>b</em>c")], ["**a**b", p("<strong>a</strong>b")], ["*a*.", p("<em>a</em>.")], ["**a:** b", p("<strong>a:</strong> b")]);
  reads(["**Gras** et **gros**", p("<strong>Gras</strong> et <strong>gros</strong>")], ["*a*b*", p("<em>a</em>b*")]);
});

test("signs that weigh nothing are signs", () => {
  for (const text of ["a * b * c", "2*3", "a_b_c", "_a", "**a", "a**", "** a**", "snake_case_", "5 * 3 = 15", "~~", "__", "a ** b", "*a *"]) reads([text, p(text)]);
  reads(["\\*a\\*", p("*a*")], ["*a\\*", p("*a*")], ["**a\n\nb**", p("**a") + p("b**")]);
});

test("code between words is what stands there", () => {
  reads(["`a*b*`", p("<c>a*b*</c>")], ["`` ` ``", p("<c>`</c>")], ["`a", p("`a")], ["``a`", p("``a`")], ["` a `", p("<c>a</c>")], ["`<b>`", p("<c><b></c>")], ["`\\`", p("<c>\\</c>")], ["*a `b*`", p("*a <c>b*</c>")], ["`a\nb`", p("<c>a b</c>")]);
  reads(["**`a`**", p("<strong><c>a</c></strong>")], ["`a**`", p("<c>a**</c>")], ["**`a**`", p("**<c>a**</c>")], ["[a `]` b](c)", p("<a c>a <c>]</c> b</a>")], ["\\`a`", p("`a`")]);
  reads(["`a` `b`", p("<c>a</c> <c>b</c>")], ["`` a `b` c ``", p("<c>a `b` c</c>")], ["`a``b`", p("<c>a``b</c>")], ["*a* `*` *b*", p("<em>a</em> <c>*</c> <em>b</em>")]);
});

test("links have words and an address", () => {
  reads(["[a](https://b.c)", p("<a https://b.c>a</a>")], ["[a](https://b.c/d_(e))", p("<a https://b.c/d_(e)>a</a>")], ["[a](<https://b.c/d e>)", p("<a https://b.c/d e>a</a>")], ['[a](https://b.c "t")', p("<a https://b.c>a</a>")], ["[**a**](x)", p("<a x><strong>a</strong></a>")]);
  reads(["[a] (b)", p("[a] (b)")], ["[a](b", p("[a](b")], ["[a]", p("[a]")], ["[a][b]", p("[a][b]")], ["[a\\](b)", p("[a](b)")], ["[a](b\nc)", p("[a](b<br>c)")], ["[[a]](b)", p("<a b>[a]</a>")], ["[a]()", p("<a >a</a>")]);
  reads(["![a](b)", p("<img b a>")], ["!a", p("!a")], ["a!", p("a!")], ["[![a](b)](c)", p("<a c><img b a></a>")], ["*[a](b)*", p("<em><a b>a</a></em>")]);
  reads(["*a [b](c*d) e*", p("<em>a <a c*d>b</a> e</em>")], ["_a [b](c_d_) e_", p("<em>a <a c_d_>b</a> e</em>")], ["[a](b`c`d)", p("<a b`c`d>a</a>")], ["**[a](b)**: c", p("<strong><a b>a</a></strong>: c")]);
});

test("addresses are links without being told", () => {
  const a = (text: string) => `<a ${text}>${text}</a>`;
  reads(["https://a.bc", p(a("https://a.bc"))], ["see https://a.bc.", p(`see ${a("https://a.bc")}.`)], ["(https://a.bc)", p(`(${a("https://a.bc")})`)], ["https://a.bc/d?e=f&g=h#i", p(a("https://a.bc/d?e=f&g=h#i"))], ["**https://a.bc**", p(`<strong>${a("https://a.bc")}</strong>`)]);
  reads(["www.a.bc", p("<a https://www.a.bc>www.a.bc</a>")], ["www.a", p("www.a")], ["xhttps://a.bc", p("xhttps://a.bc")], ["https://", p("https://")], ["http:/a", p("http:/a")], ["<https://a.bc>", p(a("https://a.bc"))], ["<mailto:a@b.c>", p(a("mailto:a@b.c"))], ["<b>", p("<b>")], ["a < b > c", p("a < b > c")]);
});

test("entities are the characters they name, and what names none is text", () => {
  reads(["&lt;b&gt; &amp;", p("<b> &")], ["&#65;&#x42;", p("AB")], ["&nbsp;", p("\u00a0")], ["&nothing;", p("&nothing;")], ["&amp", p("&amp")], ["&#0; &#xD800; &#x110000;", p("&#0; &#xD800; &#x110000;")], ["&lt;script&gt;", p("<script>")], ["&ast;a&ast;", p("&ast;a&ast;")], ["&#42;a&#42;", p("*a*")]);
});

test("nesting ends, and what is deeper is left as it is written", () => {
  assert.equal(spelled("> ".repeat(50) + "a").match(/<q>/g)!.length, 8);
  assert.ok(spelled("- ".repeat(50) + "a").match(/<ul>/g)!.length <= 8);
  assert.ok(spelled(`${"[".repeat(50)}a${"](b)".repeat(50)}`).match(/<a /g)!.length <= 9);
  assert.ok(spelled(`${"*a **b ".repeat(50)}${"** *".repeat(50)}`).length > 0);
});

const LONG = `# Offer & terms

Your **plan** *really* has ~~10~~ \`20 GB\`: see [the page](https://shop.example/a_(b) "t") or https://shop.example/x?y=z.

1. First **bold [link](https://a.example)**
   - inside _one_
     > quoted \`\`code\`\`
2. Second

| Plan | Price |
|:-----|------:|
| S \\| M | €9 &amp; up |

\`\`\`python
print("<b>*x*</b>")
\`\`\`

---
![image](https://a.example/b.png) <https://c.example> &#65; \\* 👋🏽 مرحبا
- [ ] task
- **half`;

test("an answer can be read at every point of its being written, and its words only grow", () => {
  const letters = (text: string) => text.replace(/[^\p{L}\p{N}]/gu, "");
  for (let end = 0; end <= LONG.length; end++) {
    const text = LONG.slice(0, end);
    const read = spelled(text);
    for (const word of ["Offer", "really", "quoted", "Second", "print", "task"]) {
      if (text.includes(word)) assert.ok(letters(read).includes(word), `${word} is lost at ${end}: ${read.slice(-200)}`);
    }
  }
});
