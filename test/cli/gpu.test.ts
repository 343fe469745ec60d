import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DoctorFindings } from "../../src/report/doctor.js";
import { copiedProgram, DEMO, ended, ROOT, run, start } from "../support/cli-process.js";
import { temporaryFolder } from "../support/engine-files.js";
import { buildFakeGpu, hasFakeGpu, withFakeGpu } from "../support/fake-gpu.js";

describe.skipIf(!hasFakeGpu)(withFakeGpu("a GPU backend that is there"), () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let main = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    main = await programWithFakeGpu(join(folder.path, "program"));
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const withGpu = (gpu: string, ...args: string[]) => run(args, { main, env: { FAKE_GPU: gpu } });
  const plan = ["calibrate", DEMO.base, DEMO.adapter, DEMO.samples, "--threads", "1", "--dry-run"];
  const REASON = "a trial on CUDA0 (Fake GPU) was ended by SIGABRT: CUDA error: the provided PTX was compiled with";
  const doctor = async (gpu: string) => {
    const { code, stdout, stderr } = await withGpu(gpu, "doctor", "--json", "-");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { engine } = JSON.parse(stdout) as DoctorFindings;
    return { device: engine?.devices.find(({ name }) => name === "CUDA0"), refused: engine?.refused ?? [] };
  };

  it("and computes is taken by its name or its device's, and doctor says that it computes", async () => {
    for (const device of [[], ["--device", "CUDA0"]]) {
      const { code, stderr } = await withGpu("works", ...plan, "--gpu", "cuda", ...device);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    }
    const auto = await withGpu("works", ...plan, "--gpu", "auto");
    expect(auto.stderr).toContain("Computing on CUDA0 (Fake GPU), the first GPU that llama.cpp found to compute.");
    const { device, refused } = await doctor("works");
    expect(device).toMatchObject({ description: "Fake GPU", trial: { computes: true, failure: null } });
    expect(refused.map(({ backend }) => backend)).not.toContain("CUDA");
  });

  it("and whose code the driver cannot run: an explicit choice ends with 5 and what was tried", async () => {
    for (const choice of [
      ["--gpu", "cuda"],
      ["--gpu", "cuda", "--gpu-layers", "0"],
      ["--gpu", "auto", "--device", "CUDA0"],
    ]) {
      const { code, signal, stdout, stderr } = await withGpu("aborts", ...plan, ...choice);
      expect({ code, signal, stdout }).toEqual({ code: 5, signal: null, stdout: "" });
      expect(stderr).toContain(`none that computes: CUDA: ${REASON}`);
      expect(stderr).toContain("lora-boundary-build --cuda");
      expect(stderr).toContain("--gpu none");
    }
  });

  it("and whose code the driver cannot run: auto says so once and takes the CPU", async () => {
    const { code, stdout, stderr } = await withGpu("aborts", ...plan, "--gpu", "auto");
    expect(code).toBe(0);
    expect(stderr).toContain(`Computing on the CPU: CUDA: ${REASON}`);
    expect(stderr.split(REASON)).toHaveLength(2);
    // All but the measured time is that of a run on the CPU.
    const untimed = (text: string) => text.replace(/^Time: .*$/m, "");
    expect(untimed(stdout)).toBe(untimed((await withGpu("aborts", ...plan)).stdout));
  });

  it("and aborts, at the first graph or when it is loaded: doctor shows it and goes on", async () => {
    const atFirstGraph = await doctor("aborts");
    expect(atFirstGraph.device?.trial).toEqual({ computes: false, failure: expect.stringContaining(REASON) as string });
    expect(atFirstGraph.refused).toContainEqual({
      backend: "CUDA",
      reason: expect.stringContaining("lora-boundary-build --cuda") as string,
    });
    const whenLoaded = await doctor("unloadable");
    expect(whenLoaded.device).toBeUndefined();
    expect(whenLoaded.refused).toContainEqual({
      backend: "CUDA",
      reason: expect.stringContaining("no kernel image") as string,
    });
    const { stdout } = await withGpu("aborts", "doctor");
    expect(stdout).toMatch(/CUDA0 +Fake GPU \(gpu\), [^]* free of [^]*, does not\s+compute/);
    expect(stdout).toContain("Ready.");
  });

  it("and hangs: Ctrl-C ends the command", async () => {
    const child = start([...plan, "--gpu", "cuda"], { main, env: { FAKE_GPU: "hangs" } });
    setTimeout(() => child.kill("SIGINT"), 2_500);
    expect(await ended(child)).toMatchObject({ code: 130, stdout: "" });
  });
});

/** A copy of the program, its addon, and a backend that `lora-boundary-build --cuda` might have built. */
async function programWithFakeGpu(folder: string): Promise<string> {
  const main = await copiedProgram(folder);
  const build = join(folder, "native", "build");
  await mkdir(build);
  await symlink(join(ROOT, "models"), join(folder, "models"));
  await symlink(join(ROOT, "native", "build", "addon"), join(build, "addon"));
  const facts = JSON.parse(await readFile(join(ROOT, "native", "build", "llama-cpp.json"), "utf8")) as {
    readonly libraries: string;
  };
  const libraries = relative(build, join(ROOT, "native", "build", facts.libraries));
  await writeFile(join(build, "llama-cpp.json"), JSON.stringify({ ...facts, libraries }));
  await buildFakeGpu(join(build, "backends"));
  return main;
}
