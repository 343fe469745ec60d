import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { identify } from "../../src/calibration/file-identity.js";
import { readGguf } from "../../src/gguf/read-gguf.js";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf } from "../support/gguf-files.js";

const folder = useFolder();
const sha256 = (...parts: (Uint8Array | string)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

async function twoParts() {
  const paths = [
    await folder.write("one.gguf", gguf(adapter())),
    await folder.write("two.gguf", gguf({ metadata: [], tensors: [] })),
  ];
  return Promise.all(paths.map((path) => readGguf(path)));
}

describe("what a result records of a file", () => {
  it("is the fingerprint alone, whatever the size, unless the whole is asked for", async () => {
    const [first] = await twoParts();
    const short = await identify([first!]);
    expect(short.sha256).toBe("");
    expect(short.fingerprint).toMatch(/^[0-9a-f]{64}$/);

    const shares: number[] = [];
    const full = await identify([first!], { hash: "full", onProgress: (share) => shares.push(share) });
    expect(full).toEqual({ sha256: sha256(await readFile(first!.path)), fingerprint: short.fingerprint });
    expect(shares.at(-1)).toBe(1);
  });

  it("of a split model covers all parts: the fingerprint over theirs, the hash over their bytes in order", async () => {
    const parts = await twoParts();
    const prints = await Promise.all(parts.map(async (part) => (await identify([part])).fingerprint));
    const bytes = await Promise.all(parts.map(({ path }) => readFile(path)));
    expect(await identify(parts, { hash: "full" })).toEqual({
      sha256: sha256(...bytes),
      fingerprint: sha256(prints.join("\n")),
    });
  });
});
