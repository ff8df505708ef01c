import assert from "node:assert/strict";
import { test } from "node:test";
import { markdown, plain, target } from "../src/markdown.ts";
import { elements, links, rendered, visible } from "./templates.ts";

const WORDS = { copy: "Copy", image: "Image", opensOutside: "opens in a new window" };
const draw = (text: string) => markdown(text, WORDS as never);
const ALLOWED = new Set(
  "a blockquote br button code del div em h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul svg path rect bdi".split(" "),
);

/** Nothing but what is allowed, and links that go where links may. */
function harmlessly(text: string): void {
  const drawn = draw(text);
  for (const name of elements(drawn)) assert.ok(ALLOWED.has(name), `<${name}> from ${JSON.stringify(text.slice(0, 80))}`);
  for (const href of links(drawn)) assert.match(href, /^(?:https?:\/\/|mailto:|tel:)/, JSON.stringify(text.slice(0, 80)));
  assert.doesNotMatch(rendered(drawn), /<[^>]*\s(?:on\w+|style|src|srcset)=/);
}

test("the Markdown that answers are made of is drawn", () => {
  const text = [
    "# Plans", "", "Two **good** ones, *really*, ~~three~~, with `code`.", "",
    "- one", "- two", "  - inside", "", "3. three", "4. four", "", "> said", "", "---", "",
    "| Plan | Price |", "|---|--:|", "| S | 9 |", "", "```js", "let a = 1;", "```",
  ].join("\n");
  const names = elements(draw(text));
  for (const name of ["blockquote", "code", "del", "em", "hr", "li", "ol", "pre", "strong", "table", "ul"]) assert.ok(names.includes(name), name);
  assert.match(visible(draw(text)), /Two good ones, really, three, with code\./);
  assert.match(rendered(draw(text)), /<ol[^>]*start=3/);
});

test("columns stand as the answer has them", () => {
  const drawn = rendered(draw("| Plan | Data | Calls | Price |\n|---|:-:|:--|--:|\n| S | 5 | free | 9 |"));
  for (const name of ["th", "td"]) {
    const sides = [...drawn.matchAll(new RegExp(`<${name}( [^>]*)>`, "g"))].map(([, attributes]) => /align=\W*(center|right)/.exec(attributes!)?.[1]);
    assert.deepEqual(sides, [undefined, "center", undefined, "right"], drawn);
  }
});

test("what is to be done has a box, and what was done a tick", () => {
  const drawn = draw("- [ ] Unplug the router\n- [x] Restart it\n- [X] Call\n- [y] stays\n- [x](https://a.example) too\n\n1. [ ] Wait");
  assert.match(visible(drawn), /☐ Unplug the router.*☑\ufe0e Restart it.*☑\ufe0e Call.*\[y\] stays.*x.*too.*☐ Wait/s);
  assert.equal([...rendered(drawn).matchAll(/<li[^>]*task/g)].length, 4);
});

test("one line is one line", () => {
  assert.ok(elements(draw("one\ntwo")).includes("br"));
});

test("HTML is text", () => {
  for (const text of [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a <b onclick=x>b</b>", "<!-- hidden -->", "<svg/onload=alert(1)>",
    "<iframe src=//evil.example>", "</div></template><style>*{display:none}</style>", "<a href='javascript:alert(1)'>x</a>",
  ]) {
    harmlessly(text);
    assert.ok(visible(draw(text)).includes(text.replace(/&\w+;/g, "").slice(0, 12)), visible(draw(text)));
  }
});

test("a link says which host it leads to, and opens elsewhere", () => {
  const drawn = rendered(draw("[Your bill](https://evil.example/login?next=shop.example)"));
  assert.match(drawn, /rel="noopener noreferrer nofollow"/);
  assert.match(drawn, /target="_blank"/);
  assert.match(visible(draw("[Your bill](https://evil.example/login)")), /Your bill.*evil\.example/);
  assert.match(visible(draw("[https://bank.example](https://evil.example)")), /evil\.example/);
  assert.match(visible(draw("[bank.example](https://bank.example.evil.example)")), /bank\.example\.evil\.example/);
  assert.match(visible(draw("[evil.example is fine](https://evil.example.net)")), /evil\.example\.net/);
});

test("a bare address is a link, without the full stop of its sentence", () => {
  assert.deepEqual(links(draw("See https://shop.example/plans.")), ["https://shop.example/plans"]);
  assert.deepEqual(links(draw("(https://shop.example/a_(b))")), ["https://shop.example/a_(b)"]);
});

test("links that run or hide something are text", () => {
  for (const href of [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "javascript&colon;alert(1)", "&#106;avascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "blob:https://a.example/1", "file:///etc/passwd", "//evil.example", "/local",
    "ftp://a.example", "https://shop.example@evil.example/", "\u0001javascript:alert(1)", "parley:x", "about:blank", "ws://a.example",
  ]) {
    harmlessly(`[click](${href})`);
    harmlessly(`<${href}>`);
    harmlessly(`![x](${href})`);
    assert.deepEqual(links(draw(`[click](${href})`)), [], href);
  }
});

test("where a link leads is only what may be led to", () => {
  assert.equal(target("javascript:alert(1)"), undefined);
  assert.equal(target("relative/page"), undefined);
  assert.equal(target("https://user:secret@a.example/"), undefined);
  assert.equal(target("https://a.example/b")?.shown, "a.example");
  assert.ok(target("mailto:a@b.example"));
  assert.ok(target("tel:+49123"));
});

test("a host in another script is shown as machines write it", () => {
  assert.match(visible(draw("[pay](https://p\u0430ypal.com/)")), /xn--/);
});

test("an image never loads: it is words, and where it would come from", () => {
  const drawn = draw("![logo](https://track.example/p.png?secret=1)");
  assert.ok(!elements(drawn).includes("img"));
  assert.match(visible(drawn), /Image.*logo.*track\.example/);
});

test("characters that turn the direction do not reach the page", () => {
  assert.doesNotMatch(rendered(draw("pay \u202E001\u2066 [x\u202E](https://a.example) `\u202Ecode` \u{E0041}")), /[\u202A-\u202E\u2066-\u2069\u{E0000}-\u{E007F}]/u);
  assert.doesNotMatch(rendered(draw("&#x202E;abc &#8238; &#xE0041;")), /[\u202A-\u202E\u{E0000}-\u{E007F}]/u);
});

test("an answer that is being written is drawn at every point of it", () => {
  const text = "# Hi\n\n**bold [link](https://a.example/x) `code` | a |\n|---|\n| b |\n\n```\nlet a\n```\n> q\n- *x\n![i](https://b.example";
  for (let end = 0; end <= text.length; end++) harmlessly(text.slice(0, end));
});

test("no words are lost", () => {
  for (const text of ["**open", "*a **b* c**", "`tick", "[a](b", "![x", "~~", "a_b_c", "***x", "1) one", "&amp", "\\*a\\*", "a * b * c", "__init__", "2 * 3 * 4 = 24"]) {
    const letters = (t: string) => t.replace(/[^a-z0-9]/gi, "");
    assert.equal(letters(visible(draw(text))), letters(text === "1) one" ? "one" : text), `${text} became ${visible(draw(text))}`);
  }
});

test("emphasis inside words and sums is left alone", () => {
  assert.equal(visible(draw("snake_case_name")), "snake_case_name");
  assert.equal(visible(draw("2 * 3 * 4")), "2 * 3 * 4");
});

test("what is read out is the words alone", () => {
  assert.equal(plain("**Hi** [there](https://a.example), `x`"), "Hi there, x");
  assert.doesNotMatch(plain("# A\n\n- b\n- c\n\n| d | e |\n|---|---|\n| f | g |"), /[#|*]/);
});

const ATTACKS: Record<string, string> = {
  brackets: "[", closing: "]", stars: "*", "stars and letters": "*a", "letters and stars": "a*", "double stars": "**a ", underscores: "_a", ticks: "`",
  "ticks of all lengths": "", quotes: ">", "quotes and blanks": "> ", "nested lists": "", "images": "![", "links": "[a](", "half links": "[a](b", "links in links": "[[a](b)",
  parentheses: "(", entities: "&", "half entities": "&#", angles: "<", "half tags": "<a", addresses: "https://a", "ws": "www.", hs: "h", tildes: "~~a", backslashes: "\\",
  pipes: "|", "pipe lines": "|a\n|-\n", dashes: "- ", numbers: "1. ", blanks: " ", tabs: "\t", lines: "\n", "stars, three": "***a", "mixed marks": "*_~`[", "closing marks": "a**_~~`]",
  "comments": "<!--", "carets": "^", "emphasis, open": "*a_b ", "blank stars": " * ", "fences": "```\n", "quotes in lists": "- > ", "backslash ends": "\\\n", "dashes and pipes": "-|",
};

test("no text of 16 KB takes long to draw", () => {
  const size = 16_384;
  for (const [name, unit] of Object.entries(ATTACKS)) {
    let text = unit.repeat(Math.ceil(size / Math.max(unit.length, 1))).slice(0, size);
    if (name === "ticks of all lengths") text = Array.from({ length: 180 }, (_, n) => "`".repeat(n)).join(" ");
    if (name === "nested lists") text = Array.from({ length: 180 }, (_, n) => `${" ".repeat(n)}- a`).join("\n");
    const began = process.cpuUsage();
    harmlessly(text);
    plain(text);
    assert.ok(process.cpuUsage(began).user < 1_000_000, name);
  }
});

test("no text made by chance does harm or takes long", () => {
  const parts = ["[", "]", "(", ")", "*", "**", "_", "`", "```", "~~", "<", ">", "!", "|", "\n", "\n\n", "- ", "1. ", "> ", "#", "\\", "&", "javascript:", "https://a.example", "<img src=x onerror=y>", "word", " ", "\u202E", "\u200B", "data:", "|---|", "\"", "'"];
  let seed = 7;
  const chance = (most: number) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8) % most;
  for (let round = 0; round < 400; round++) {
    const text = Array.from({ length: 10 + chance(400) }, () => parts[chance(parts.length)]).join("");
    const began = process.cpuUsage();
    harmlessly(text);
    assert.ok(process.cpuUsage(began).user < 1_000_000, JSON.stringify(text));
  }
});
