// Builds the widget into dist/, with hashes in names and a manifest that the server reads; `--tests` bundles the tests.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { basename } from "node:path";

const here = (path) => new URL(path, import.meta.url).pathname;
const common = { bundle: true, minify: true, target: ["es2022"], legalComments: "none", logLevel: "warning" };

async function bundled(entry, format) {
  const { outputFiles } = await build({ ...common, entryPoints: [here(entry)], format, write: false });
  return outputFiles[0].contents;
}

const hash = (content) => createHash("sha256").update(content).digest("hex").slice(0, 10);

async function site() {
  const files = {
    "loader.js": await bundled("src/loader.ts", "iife"),
    "widget.js": await bundled("src/widget.ts", "esm"),
    "widget.css": await bundled("src/widget.css", undefined),
  };
  const manifest = {};
  await mkdir(here("dist"), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const [stem, suffix] = name.split(".");
    manifest[name] = name === "loader.js" ? name : `${stem}-${hash(content)}.${suffix}`;
    await writeFile(here(`dist/${manifest[name]}`), content);
    console.log(`${manifest[name]}: ${(gzipSync(content, { level: 9 }).length / 1024).toFixed(1)} KB gzip`);
  }
  await put("manifest.json", JSON.stringify(manifest));
  const kept = new Set([...Object.values(manifest), "manifest.json"]);
  for (const name of await readdir(here("dist"))) if (!kept.has(name)) await rm(here(`dist/${name}`), { recursive: true });
}

/** Whole or not at all: a server may be reading. */
async function put(name, text) {
  await writeFile(here(`dist/.${name}`), text);
  await rename(here(`dist/.${name}`), here(`dist/${name}`));
}

async function tests() {
  const names = (await readdir(here("test"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...common,
    minify: false,
    entryPoints: names.map((name) => here(`test/${name}`)),
    outdir: here("dist-test"),
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    conditions: ["node"],
    external: ["node:*"],
  });
  console.log(names.map((name) => basename(name)).join(" "));
}

await (process.argv.includes("--tests") ? tests() : site());
