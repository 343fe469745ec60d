import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localPathOf } from "../../src/hub/local-path.js";
import { parseHubReference } from "../../src/hub/hub-reference.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { failure, useFolder } from "../support/data-files.js";
import { adapter, gguf } from "../support/gguf-files.js";
import { sha256, useHubServer } from "../support/hub-server.js";

const root = useFolder();
const hub = useHubServer();
const VARIABLES = [
  "LORA_BOUNDARY_CACHE",
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HF_HOME",
  "HF_HUB_OFFLINE",
] as const;
const saved = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
let cache = "";
let round = 0;

beforeEach(() => {
  cache = join(root.path, `cache-${round++}`);
  for (const name of VARIABLES) Reflect.deleteProperty(process.env, name);
  process.env["LORA_BOUNDARY_CACHE"] = cache;
  process.env["HF_ENDPOINT"] = hub.url;
  process.env["HF_HOME"] = join(root.path, "nobody");
});
afterEach(() => {
  for (const name of VARIABLES) {
    if (saved[name] === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = saved[name];
  }
});

/** Larger than what a socket takes at once; no two of its blocks are alike. */
const LARGE = Buffer.from(Uint32Array.from({ length: 400_000 }, (_, at) => Math.imul(at, 2654435761)).buffer);
const publish = (files: Readonly<Record<string, Buffer>>, repository = "owner/name") => {
  hub.repositories.set(repository, new Map(Object.entries(files)));
};
const IMPATIENT = { firstPauseMs: 5 };
/** Requests for a file's bytes, without the one that asks for its size. */
const downloads = () => hub.log.filter(({ path, range }) => path.includes("/resolve/") && range !== "bytes=0-0");
const partsLeft = async (path: string) => (await readdir(dirname(path))).filter((name) => name.includes(".part"));

describe("a reference", () => {
  it.each([
    ["hf:owner/name", { repository: "owner/name", revision: "main", file: null }],
    ["hf:owner/na.me-1/sub/a b.gguf", { repository: "owner/na.me-1", revision: "main", file: "sub/a b.gguf" }],
    ["hf:owner/name@v1/a.gguf", { repository: "owner/name", revision: "v1", file: "a.gguf" }],
    ["hf:owner/name@0123abc", { repository: "owner/name", revision: "0123abc", file: null }],
  ])("%s", (text, parts) => {
    expect(parseHubReference(text)).toEqual({ text, ...parts });
  });

  it.each([
    "hf:",
    "hf:owner",
    "hf:/name",
    "hf:owner/",
    "hf:owner/name/../../x",
    "hf:owner/name//x",
    "hf:../x",
    "hf:owner/name/..\\x",
    "hf:o wner/name",
  ])("refuses %s", async (text) => {
    expect(await failure(localPathOf(text))).toMatchObject({ code: "HUB_REFERENCE", exitCode: 2 });
    expect(hub.log).toEqual([]);
  });

  it("is nothing but a path without `hf:`", async () => {
    expect(await localPathOf("models/a.gguf")).toBe("models/a.gguf");
  });
});

describe("a download", () => {
  it("is whole, cached, and asked for again only to see whether it has changed", async () => {
    const bytes = gguf(adapter());
    publish({ "README.md": Buffer.from("x"), "a.gguf": bytes });
    const path = await localPathOf("hf:owner/name/a.gguf");
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect((await readAdapter(path)).layers).toEqual([0, 1, 2]);
    expect(await partsLeft(path)).toEqual([]);
    expect(await localPathOf("hf:owner/name/a.gguf")).toBe(path);
    expect(downloads()).toHaveLength(1);
    const other = gguf(adapter([0]));
    publish({ "a.gguf": other });
    expect(await localPathOf("hf:owner/name/a.gguf")).toBe(path);
    expect((await readFile(path)).equals(other)).toBe(true);
  });

  it("reports how far it is", async () => {
    publish({ "a.gguf": LARGE });
    const seen: number[][] = [];
    await localPathOf("hf:owner/name/a.gguf", { onProgress: (...progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.map(([done]) => done)).toEqual([...seen.map(([done]) => done!)].sort((a, b) => a - b));
    expect(seen.at(-1)).toEqual([LARGE.length, LARGE.length]);
  });

  it("goes on where the connection was cut, twice", async () => {
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", { cutAfter: [500_000, 300_000] });
    const path = await localPathOf("hf:owner/name/a.gguf");
    expect((await readFile(path)).equals(LARGE)).toBe(true);
    expect(downloads().map(({ range }) => range)).toEqual([undefined, "bytes=500000-", "bytes=800000-"]);
  });

  it("starts over where the server ignores ranges", async () => {
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", { cutAfter: [500_000], noRanges: true });
    expect((await readFile(await localPathOf("hf:owner/name/a.gguf"))).equals(LARGE)).toBe(true);
  });

  it("that is given up keeps its part, and the next one goes on from it; another content starts over", async () => {
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", { cutAfter: [700_000, 0, 0, 0, 0, 0] });
    const error = await failure(localPathOf("hf:owner/name/a.gguf", IMPATIENT));
    expect(error).toMatchObject({ code: "HUB_OFFLINE", exitCode: 3 });
    expect(error.message).toContain("goes on where it stopped");
    hub.quirks.clear();
    hub.log.length = 0;
    const path = await localPathOf("hf:owner/name/a.gguf");
    expect(downloads().map(({ range }) => range)).toEqual(["bytes=700000-"]);
    expect((await readFile(path)).equals(LARGE)).toBe(true);

    publish({ "b.gguf": LARGE });
    hub.quirks.set("b.gguf", { cutAfter: [700_000, 0, 0, 0, 0, 0] });
    await failure(localPathOf("hf:owner/name/b.gguf", IMPATIENT));
    const changed = Buffer.from(LARGE).reverse();
    publish({ "b.gguf": changed });
    hub.quirks.clear();
    hub.log.length = 0;
    expect((await readFile(await localPathOf("hf:owner/name/b.gguf"))).equals(changed)).toBe(true);
    expect(downloads().map(({ range }) => range)).toEqual([undefined]);
  });

  it("follows the hub to another host, which never sees the token", async () => {
    process.env["HF_TOKEN"] = "hf_secret";
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", { redirects: true, cutAfter: [400_000] });
    expect((await readFile(await localPathOf("hf:owner/name/a.gguf"))).equals(LARGE)).toBe(true);
    const seen = downloads().map(({ authorization }) => authorization);
    expect(seen).toEqual(["Bearer hf_secret", undefined, "Bearer hf_secret", undefined]);
  });

  it.each([
    ["longer than it is", { size: LARGE.length + 1000 }, /HUB_(LENGTH|STATUS)/],
    ["shorter than it is", { size: LARGE.length - 1000 }, /HUB_LENGTH/],
    ["of another SHA-256", { etag: sha256(Buffer.from("x")) }, /HUB_HASH/],
  ])("that the hub says is %s is an error, and nothing stays", async (_, quirks, code) => {
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", quirks);
    const error = await failure(localPathOf("hf:owner/name/a.gguf"));
    expect(error.code).toMatch(code);
    const folder = join(cache, "hub", "owner--name@main");
    const left = await Promise.all(
      (await readdir(folder)).map(async (name) => [name, (await stat(join(folder, name))).size] as const),
    );
    expect(left.filter(([name, size]) => !name.endsWith(".etag") && size > 0)).toEqual([]);
    hub.quirks.clear();
    expect((await readFile(await localPathOf("hf:owner/name/a.gguf"))).equals(LARGE)).toBe(true);
  });

  it("is cancelled", async () => {
    publish({ "a.gguf": LARGE });
    const controller = new AbortController();
    const options = {
      signal: controller.signal,
      onProgress: () => {
        controller.abort();
      },
    };
    expect(await failure(localPathOf("hf:owner/name/a.gguf", options))).toMatchObject({
      code: "CANCELLED",
      exitCode: 130,
    });
  });
});

describe("what a repository has", () => {
  it("one GGUF file is taken, a vision part aside", async () => {
    publish({ "mmproj-x.gguf": Buffer.from("no"), "sub/a.gguf": LARGE });
    expect((await readFile(await localPathOf("hf:owner/name"))).equals(LARGE)).toBe(true);
  });

  it("what would lie outside the cache is not there", async () => {
    publish({ "../../../evil.gguf": LARGE, "/evil.gguf": LARGE, "a/..\\..\\evil.gguf": LARGE });
    expect(await failure(localPathOf("hf:owner/name"))).toMatchObject({ code: "HUB_CHOICE" });
    expect(downloads()).toEqual([]);
  });

  it("all parts of a split model come with the first", async () => {
    const parts = Object.fromEntries(
      [1, 2, 3].map((part) => [`m-0000${part}-of-00003.gguf`, Buffer.from(`part ${part}`)]),
    );
    publish(parts);
    const path = await localPathOf("hf:owner/name");
    expect(path.endsWith("m-00001-of-00003.gguf")).toBe(true);
    for (const [name, bytes] of Object.entries(parts))
      expect((await readFile(join(dirname(path), name))).equals(bytes)).toBe(true);
  });

  it("a PEFT adapter becomes its folder", async () => {
    publish({ "adapter_config.json": Buffer.from("{}"), "adapter_model.safetensors": Buffer.from("w") });
    for (const reference of ["hf:owner/name", "hf:owner/name/adapter_model.safetensors"]) {
      const path = await localPathOf(reference);
      expect(await readFile(join(path, "adapter_config.json"), "utf8")).toBe("{}");
      expect(await readFile(join(path, "adapter_model.safetensors"), "utf8")).toBe("w");
    }
  });

  it.each([
    [
      "several",
      { "a-Q4.gguf": LARGE, "a-Q8.gguf": LARGE },
      /2 GGUF files; name one, as in `hf:owner\/name\/a-Q4\.gguf`: a-Q4\.gguf, a-Q8\.gguf/,
    ],
    ["none", { "README.md": LARGE }, /no GGUF file and no PEFT adapter/],
  ])("%s: a choice for the user", async (_, files, message) => {
    publish(files);
    const error = await failure(localPathOf("hf:owner/name"));
    expect(error).toMatchObject({ code: "HUB_CHOICE", exitCode: 3 });
    expect(error.message).toMatch(message);
  });
});

describe("what can go wrong with the hub", () => {
  const at = async (reference: string) => {
    const error = await failure(localPathOf(reference));
    expect(error.message.startsWith(`${reference}: `)).toBe(true);
    expect(error.exitCode).toBe(3);
    return error;
  };

  it("a repository or file that is missing, private or gated", async () => {
    publish({ "a.gguf": LARGE });
    expect(await at("hf:owner/nothing")).toMatchObject({ code: "HUB_NOT_FOUND" });
    expect((await at("hf:owner/name/b.gguf")).message).toContain("There is no file `b.gguf`");
    for (const [status, code, message] of [
      [401, "HUB_NOT_FOUND", "does not exist, or it is private; check the name, or set HF_TOKEN"],
      [403, "HUB_GATED", `is gated: accept its terms at ${hub.url}/owner/name`],
      [500, "HUB_STATUS", "status 500"],
    ] as const) {
      hub.statuses.set("owner/name", status);
      for (const reference of ["hf:owner/name", "hf:owner/name/a.gguf"]) {
        const error = await at(reference);
        expect(error.code).toBe(code);
        expect(error.message).toContain(message);
      }
    }
  });

  it("a proxy that answers HTML, to every request or to the download alone", async () => {
    publish({ "a.gguf": LARGE });
    hub.quirks.set("a.gguf", { html: true });
    expect(await at("hf:owner/name/a.gguf")).toMatchObject({ code: "HUB_NOT_A_HUB" });
    hub.htmlProxy = true;
    for (const reference of ["hf:owner/name", "hf:owner/name/a.gguf"]) {
      expect((await at(reference)).message).toContain("as a proxy's page would be");
    }
  });

  it("no network: what is cached serves, all else is an error that says so", async () => {
    publish({ "a.gguf": LARGE });
    const path = await localPathOf("hf:owner/name");
    process.env["HF_ENDPOINT"] = "http://127.0.0.1:9";
    expect(await localPathOf("hf:owner/name")).toBe(path);
    expect(await localPathOf("hf:owner/name/a.gguf")).toBe(path);
    expect((await at("hf:owner/other")).message).toMatch(/cannot be reached.*\((ECONNREFUSED|bad port)\)/);
    process.env["HF_ENDPOINT"] = hub.url;
    process.env["HF_HUB_OFFLINE"] = "1";
    hub.log.length = 0;
    expect(await localPathOf("hf:owner/name")).toBe(path);
    expect((await at("hf:owner/name/b.gguf")).message).toContain("HF_HUB_OFFLINE forbids");
    expect((await at("hf:owner/other")).code).toBe("HUB_OFFLINE");
    expect(hub.log).toEqual([]);
  });
});

describe("the token", () => {
  it("comes from HF_TOKEN, else a file; one that is none is refused without showing it", async () => {
    publish({ "a.gguf": LARGE });
    await mkdir(join(root.path, "home"), { recursive: true });
    await writeFile(join(root.path, "home", "token"), "hf_file\n");
    process.env["HF_HOME"] = join(root.path, "home");
    await localPathOf("hf:owner/name/a.gguf");
    expect(new Set(hub.log.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_file"]));
    hub.log.length = 0;
    process.env["HF_TOKEN"] = "hf_given";
    await rm(cache, { recursive: true });
    await localPathOf("hf:owner/name/a.gguf");
    expect(new Set(hub.log.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_given"]));
    process.env["HF_TOKEN"] = "secret";
    const error = await failure(localPathOf("hf:owner/name"));
    expect(error).toMatchObject({ code: "HUB_TOKEN", exitCode: 2 });
    expect(error.message).not.toContain("secret");
  });
});
