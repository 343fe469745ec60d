import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel, readModel, writePeft } from "../../src/index.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { allBoundaries } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";

const before = process.env["LORA_BOUNDARY_CACHE"];
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  process.env["LORA_BOUNDARY_CACHE"] = join(folder.path, "cache");
});
afterAll(async () => {
  if (before === undefined) delete process.env["LORA_BOUNDARY_CACHE"];
  else process.env["LORA_BOUNDARY_CACHE"] = before;
  await folder[Symbol.asyncDispose]();
});

test("a PEFT folder loads like the GGUF adapter that it was written from: not one bit of a score differs", async () => {
  const peft = join(folder.path, "peft");
  await writePeft(DEMO.adapter, peft, { model: await readModel(DEMO.base) });
  await using it = await loadTrio(2);
  const same = await it.model.loadAdapter(peft);
  const session = { threads: 1, batchTokens: 256 };
  const candidates = [allBoundaries(12)[12]!, allBoundaries(12)[5]!];
  expect(await same.score(it.set.samples, candidates, session)).toEqual(
    await it.adapter.score(it.set.samples, candidates, session),
  );
});

test("a folder that holds no adapter is refused", async () => {
  await using model = await loadModel(DEMO.base);
  await expect(model.loadAdapter(folder.path)).rejects.toMatchObject({ code: "FILE_IS_FOLDER" });
});
