// Builds the widget into dist/, with hashes in names and a manifest that the server reads; `--tests` bundles the tests
// into dist-test/ or the folder that is named. Files of the builds before stay for a while: pages that were opened then will
// ask for what they load late.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** Every component in src/deliverables/, and the kinds that they show, so that a new one is a new file and nothing else. */
const deliverables = {
  name: "deliverables",
  setup(build) {
    build.onResolve({ filter: /^parley:deliverables$/ }, () => ({ path: "all", namespace: "deliverables" }));
    build.onLoad({ filter: /.*/, namespace: "deliverables" }, async () => {
      const names = (await readdir(here("src/deliverables"))).filter((name) => name.endsWith(".ts")).sort();
      const texts = await Promise.all(names.map((name) => readFile(here(`src/deliverables/${name}`), "utf8")));
      const tags = texts.flatMap((text) => [...text.matchAll(/@customElement\("parley-(display[a-z-]+)"\)/g)].map((match) => match[1]));
      const kinds = tags.map((tag) => tag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase()));
      const imports = names.map((name) => `import "./${name}";`).join("\n");
      return { contents: `${imports}\nexport const kinds = ${JSON.stringify(kinds)};`, resolveDir: here("src/deliverables") };
    });
  },
};
/**
 * Style sheets in templates, without the blanks that only their authors need. And elements defined after their classes: a
 * decorated class has its private names replaced by WeakMaps, which are slower and larger.
 */
const smaller = {
  name: "smaller",
  setup(build) {
    build.onLoad({ filter: /web\/src\/.*\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const sheets = text.replace(/\bcss`[^`]*`/g, (sheet) =>
        sheet.replace(/\/\*.*?\*\//gs, "").replace(/\s+/g, " ").replace(/ ?([{};]) ?|([:,]) /g, "$1$2"),
      );
      const contents = sheets.replace(/\s*\n\s*(?=<|\/?>|\$\{|[?@.]?[a-zA-Z-]+=[$"])/g, " ");
      const defined = [];
      const plain = contents.replace(/@customElement\(("[a-z-]+")\)\n(export class (\w+))/g, (_, tag, start, name) => {
        defined.push(`customElements.define(${tag}, ${name});`);
        return start;
      });
      return { contents: [plain, ...defined].join("\n"), loader: "ts" };
    });
  },
};
const common = { plugins: [deliverables, smaller], bundle: true, minify: true, target: ["es2022"], legalComments: "none", logLevel: "warning" };

async function bundled(entry, format) {
  const { outputFiles } = await build({ ...common, entryPoints: [here(entry)], format, write: false });
  return outputFiles[0].contents;
}

/** How many builds before this one are kept. */
const EARLIER = 4;

/** The hashed files of the builds before that are still there, and not of this one; the newest build first. */
async function earlier(files) {
  const there = new Set(await readdir(here("dist")));
  const read = async (name) => JSON.parse(await readFile(here(`dist/${name}`), "utf8").catch(() => "[]"));
  const last = Object.values(await read("manifest.json")).filter((name) => /-\w{6,}\./.test(name));
  return [[...new Set(last)], ...(await read("earlier.json"))]
    .map((names) => names.filter((name) => there.has(name) && !files.has(name)))
    .filter((names) => names.length)
    .slice(0, EARLIER);
}

const hash = (content) => createHash("sha256").update(content).digest("hex").slice(0, 10);

async function site() {
  const loader = await bundled("src/loader.ts", "iife");
  const style = await bundled("src/widget.css", undefined);
  const { outputFiles } = await build({
    ...common,
    entryPoints: [here("src/widget.ts")],
    format: "esm",
    splitting: true,
    outdir: here("dist"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    write: false,
  });
  const files = new Map([
    ["loader.js", loader],
    [`widget-${hash(style)}.css`, style],
    ...outputFiles.map(({ path, contents }) => [basename(path), contents]),
  ]);
  await mkdir(here("dist"), { recursive: true });
  const before = await earlier(files);
  for (const [name, content] of files) {
    await put(name, content);
    console.log(`${name}: ${(gzipSync(content, { level: 9 }).length / 1024).toFixed(1)} KB gzip`);
  }
  const entry = (start, end) => [...files.keys()].find((name) => name.startsWith(start) && name.endsWith(end));
  const manifest = { "widget.js": entry("widget-", ".js"), "widget.css": entry("widget-", ".css") };
  await put("earlier.json", JSON.stringify(before));
  await put("manifest.json", JSON.stringify({ ...Object.fromEntries([...files.keys()].map((name) => [name, name])), ...manifest }));
  const kept = new Set([...files.keys(), ...before.flat(), "earlier.json", "manifest.json"]);
  for (const name of await readdir(here("dist"))) if (!kept.has(name)) await rm(here(`dist/${name}`), { recursive: true });
}

/** Whole or not at all: a server may be reading. */
async function put(name, text) {
  await writeFile(here(`dist/.${name}`), text);
  await rename(here(`dist/.${name}`), here(`dist/${name}`));
}

async function tests(folder = here("dist-test")) {
  const names = (await readdir(here("test"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...common,
    minify: false,
    entryPoints: names.map((name) => here(`test/${name}`)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    conditions: ["node"],
    external: ["node:*"],
  });
  console.log(names.map((name) => basename(name)).join(" "));
}

await (process.argv[2] === "--tests" ? tests(process.argv[3]) : site());
