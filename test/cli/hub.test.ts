import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { adapter, gguf } from "../support/gguf-files.js";
import { useHubServer } from "../support/hub-server.js";

const folder = useFolder();
const hub = useHubServer();
const environment = () => ({
  HF_ENDPOINT: hub.url,
  LORA_BOUNDARY_CACHE: join(folder.path, "cache"),
  HF_HOME: folder.path,
});
const at = (...args: string[]) => run(args, { cwd: folder.path, env: environment() });

it("inspects, trims and compares what lies on a hub", async () => {
  hub.repositories.set("owner/name", new Map([["a.gguf", gguf(adapter())]]));
  const inspected = await at("inspect", "hf:owner/name", "--json");
  expect(inspected.code).toBe(0);
  expect(JSON.parse(inspected.stdout)).toMatchObject({ file: { kind: "adapter", pairs: 6 } });
  expect((await at("trim", "hf:owner/name/a.gguf", "--keep", "upto:2", "-o", "small.gguf")).code).toBe(0);
  const compared = await at("inspect", "hf:owner/name", "small.gguf");
  expect(compared.stdout).toContain("the second is the first at upto:2");
});

it("tells what is wrong, and ends with 2 or 3", async () => {
  const missing = await at("inspect", "hf:owner/nothing");
  expect({ code: missing.code, stdout: missing.stdout }).toEqual({ code: 3, stdout: "" });
  expect(missing.stderr).toContain("error: hf:owner/nothing: There is no such repository");
  expect((await at("inspect", "hf:nothing")).code).toBe(2);
});
