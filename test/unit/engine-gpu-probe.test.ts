import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { runProbe, type ProbeOptions } from "../../src/engine/gpu-probe.js";
import { failure, useFolder } from "../support/data-files.js";

const folder = useFolder();
const task = { backend: "CUDA", library: null, devices: [], model: "unused" };
/** A child sends its process id where a device has its description. */
const DEVICE = `await new Promise((sent) => process.send([{ name: "CUDA0", description: String(process.pid) }], sent));`;
const LAST_WORDS = `process.stderr.write("first\\n\\nCUDA error: no kernel image.\\n  device 0\\n  stmt\\nggml-cuda.cu:109: CUDA error\\n");`;

let children = 0;
async function probeOf(source: string, options?: ProbeOptions) {
  children += 1;
  return runProbe(pathToFileURL(await folder.write(`child-${children}.mjs`, source)), task, options);
}

describe("a trial in a process of its own", () => {
  it("that ends with 0 found devices that compute, or none; it is told what to try", async () => {
    expect(await probeOf("")).toEqual({ devices: [], failure: null });
    const echo = "process.send([JSON.parse(process.argv[2])])";
    expect(await probeOf(echo)).toEqual({ devices: [task], failure: null });
  });

  it("that ends with another code is a failure, with its last four lines", async () => {
    const { failure: reason } = await probeOf(`${LAST_WORDS} process.exit(7);`);
    expect(reason).toBe(
      "a trial ended with exit code 7: CUDA error: no kernel image.; device 0; stmt; ggml-cuda.cu:109: CUDA error",
    );
  });

  it.skipIf(process.platform === "win32")(
    "that aborts is a failure, with the devices that it said it would try",
    async () => {
      // Node.js itself shows its stack there.
      const aborted = await probeOf("process.abort();");
      expect(aborted).toMatchObject({
        devices: [],
        failure: expect.stringMatching(/^a trial was ended by SIGABRT/) as string,
      });
      const { devices, failure: reason } = await probeOf(
        `${DEVICE} ${LAST_WORDS} process.kill(process.pid, "SIGABRT");`,
      );
      expect(devices).toMatchObject([{ name: "CUDA0" }]);
      expect(reason).toMatch(
        /^a trial on CUDA0 \(\d+\) was ended by SIGABRT: CUDA error: no kernel image\.; device 0; stmt; ggml-cuda\.cu:109: CUDA error$/,
      );
    },
  );

  it("that hangs is stopped at the limit", async () => {
    const { devices, failure: reason } = await probeOf(`${DEVICE} setInterval(() => {}, 1000);`, { limit: 1 });
    const pid = String(devices[0]?.description);
    expect(reason).toBe(`a trial on CUDA0 (${pid}) did not end within 1 s, so it was stopped`);
    await gone(Number(pid));
  });

  it("that is cancelled is stopped at once, or never started", async () => {
    const controller = new AbortController();
    setTimeout(() => {
      controller.abort();
    }, 500);
    const start = performance.now();
    const hanging = probeOf(`${DEVICE} setInterval(() => {}, 1000);`, { signal: controller.signal });
    expect(await failure(hanging)).toMatchObject({ code: "CANCELLED", exitCode: 130 });
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await failure(probeOf("", { signal: controller.signal }))).toMatchObject({ code: "CANCELLED" });
  });

  it("whose program is missing is a failure that names it", async () => {
    const { failure: reason } = await runProbe(pathToFileURL(`${folder.path}/nothing.mjs`), task);
    expect(reason).toMatch(/^a trial ended with exit code 1: /);
  });
});

async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      expect(error).toMatchObject({ code: "ESRCH" });
      return;
    }
    await sleep(100);
  }
  throw new Error(`Process ${pid} is still there.`);
}
