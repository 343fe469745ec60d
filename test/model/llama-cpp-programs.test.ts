import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, parseLayerScales } from "../../src/index.js";
import { DEMO, run } from "../support/cli-process.js";
import { useFolder } from "../support/data-files.js";
import { runExample } from "../support/example.js";

/** A folder with llama-cli and llama-server, built from the sources that node-llama-cpp carries. */
const BIN = process.env["LORA_BOUNDARY_LLAMA_BIN"] ?? "";
const present = BIN !== "" && existsSync(join(BIN, "llama-server"));

const folder = useFolder();
const CUT = parseLayerScales("upto:9", { layers: 12 });
const TOKENS = 24;
const ONE_THREAD = ["--threads", "1", "--threads-batch", "1"];
let prompt = "";
let own: readonly string[] = [];
/** The lines that `trim` prints, the base model put in, as words: they name files of a folder without spaces. */
let commands: readonly (readonly string[])[] = [];

async function prepare(): Promise<void> {
  const small = join(folder.path, "small.gguf");
  const { stdout } = await run(["trim", DEMO.adapter, "--keep", "upto:9", "-o", small]);
  const lines = stdout.replaceAll(" \\\n", " ").split("\n");
  commands = lines
    .map((line) => line.trim().split(/ +/))
    .filter(([program = ""]) => program.startsWith("llama-"))
    .map((words) => words.map((word) => (word === "BASE.gguf" ? DEMO.base : word)));
  const [first = ""] = (await readFile(DEMO.samples, "utf8")).split("\n");
  ({ prompt } = JSON.parse(first) as { prompt: string });
  await using model = await loadModel(DEMO.base);
  await using adapter = await model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  const candidates = [parseLayerScales("base", { layers: 12 }), CUT];
  const answers = await adapter.generate([prompt], { candidates, maxTokens: TOKENS, threads: 1 });
  own = answers.map(([answer]) => answer!.text.trim());
}

const argumentsOf = (program: string) => commands.find(([name]) => name === program)!.slice(1);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function untilHealthy(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const ok = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    await wait(200);
  }
  throw new Error(`llama-server did not answer at ${url}`);
}

describe.skipIf(!present)(
  present
    ? "llama.cpp's programs, by the lines that trim prints"
    : "llama.cpp's programs (SKIPPED: no LORA_BOUNDARY_LLAMA_BIN with llama-cli and llama-server)",
  () => {
    beforeAll(prepare);

    test("llama-cli writes what this package lets the cut write", async () => {
      expect(commands.map(([name]) => name)).toEqual(["llama-cli", "llama-server"]);
      // A template that adds nothing: the demo model is no chat model.
      const plain = ["--jinja", "--chat-template", "{% for m in messages %}{{ m.content }}{% endfor %}"];
      const options = ["-p", prompt, "-n", String(TOKENS), "--temp", "0", "--single-turn", "--simple-io", ...plain];
      const { stdout } = await promisify(execFile)(join(BIN, "llama-cli"), [
        ...argumentsOf("llama-cli"),
        ...options,
        ...ONE_THREAD,
      ]);
      expect(stdout).toContain(own[1]);
      expect(stdout).not.toContain(own[0]);
    });

    test("llama-server loads the file, and its adapter endpoint switches it off and on", async () => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const listen = ["--host", "127.0.0.1", "--port", String(port), "--parallel", "1"];
      const args = [...argumentsOf("llama-server"), ...listen, ...ONE_THREAD];
      const server = spawn(join(BIN, "llama-server"), args, { stdio: "ignore" });
      try {
        await untilHealthy(url);
        const answer = JSON.parse(await runExample("llama-server.mjs", [url, prompt, String(TOKENS)])) as {
          readonly adapters: readonly { readonly path: string; readonly scale: number }[];
          readonly off: string;
          readonly on: string;
        };
        expect(answer.adapters).toMatchObject([{ path: join(folder.path, "small.gguf"), scale: 1 }]);
        expect([answer.off.trim(), answer.on.trim()]).toEqual(own);
      } finally {
        const closed = once(server, "close");
        server.kill("SIGTERM");
        await closed;
      }
    });
  },
);
