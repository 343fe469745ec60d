import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { boundaryCandidates, calibrate, loadModel, readSamples, type CalibrationResult } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { firstRows } from "../support/engine-trio.js";
import { freePort, hasRpc, startRpcServer } from "../support/rpc-server.js";

const title = (text: string) =>
  hasRpc ? text : `${text} (SKIPPED: no RPC backend; build it with: node native/build-program.mjs --rpc)`;

/** Scores of every boundary, resumed and plain; ranks as in the file, so that every placement computes alike. */
async function boundaryScores(options: Parameters<typeof loadModel>[1]) {
  await using model = await loadModel(DEMO.base, options);
  const adapter = await model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
  const { samples } = await readSamples(await firstRows(DEMO.samples, 2), model);
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  await using session = adapter.openSession(samples, { threads: 1 });
  const resumed = await session.score(candidates);
  return { resumed, plain: await session.score(candidates, { plain: true }), replay: session.facts.replay };
}

describe.skipIf(!hasRpc)(title("a model spread over an RPC server"), () => {
  test("with all, some and no layers there: every boundary has the bits of a run without it", async () => {
    await using server = await startRpcServer();
    const local = await boundaryScores({});
    expect(local.replay).toBe("exact");
    for (const gpuLayers of [-1, 5, 0]) {
      const { resumed, plain, replay } = await boundaryScores({ rpc: [server.address], gpuLayers });
      expect(replay).toBe("exact");
      expect(resumed).toEqual(plain);
      expect(resumed).toEqual(local.resumed);
    }
  });

  test("over two servers in given shares, or on one chosen of them", async () => {
    await using first = await startRpcServer();
    await using second = await startRpcServer();
    const rpc = [first.address, second.address];
    await using model = await loadModel(DEMO.base, { rpc, tensorSplit: [3, 1] });
    expect(model.placement).toMatchObject({ backend: "RPC", splitMode: "layer", tensorSplit: [3, 1] });
    const [, other = ""] = model.placement.devices;
    await model.dispose();
    const chosen = await boundaryScores({ rpc, devices: [other], splitMode: "none" });
    const both = await boundaryScores({ rpc, tensorSplit: [3, 1] });
    expect(both.resumed).toEqual(both.plain);
    expect(both.resumed).toEqual(chosen.resumed);
    await expect(loadModel(DEMO.base, { rpc, devices: ["RPC99"] })).rejects.toMatchObject({ code: "DEVICE_UNKNOWN" });
    const tensorSplit = [1, 1, 1];
    await expect(loadModel(DEMO.base, { rpc, tensorSplit })).rejects.toMatchObject({ code: "TENSOR_SPLIT_RANGE" });
  });

  test("a server that is killed ends the search with what is known, and this process goes on", async () => {
    await using server = await startRpcServer();
    const port = Number(server.address.split(":")[1]);
    const model = await loadModel(DEMO.base, { rpc: [server.address] });
    const adapter = await model.loadAdapter(DEMO.adapter);
    const samples = await readSamples(await firstRows(DEMO.samples, 12), model);
    let killed: Promise<void> | null = null;
    const search = calibrate(adapter, samples, {
      threads: 1,
      batchTokens: 64,
      onProgress: ({ stage, done, total }) => {
        if (stage === "boundary" && done > total / 2) killed ??= server.kill();
      },
    });
    const error = await search.then(
      () => null,
      (reason: unknown) => reason as { readonly details: { readonly partial: CalibrationResult | null } },
    );
    expect(error).toMatchObject({ code: "SERVER_GONE", exitCode: 5, details: { servers: [server.address] } });
    const partial = error?.details.partial;
    expect(partial?.partial).toEqual({ ofSamples: 12 });
    expect(partial?.data.samples).toBeGreaterThanOrEqual(2);
    // Everything of the lost server can be freed, and a new one at the same place is used.
    await model.dispose();
    await using again = await startRpcServer(port);
    const { resumed } = await boundaryScores({ rpc: [again.address] });
    expect(resumed).toEqual((await boundaryScores({})).resumed);
  });

  test("servers that are not there are named, all of them, within seconds", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const dumb = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const absent = `127.0.0.1:${await freePort()}`;
    const start = performance.now();
    await expect(loadModel(DEMO.base, { rpc: [absent, dumb, "no-such-host.invalid:50052"] })).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      exitCode: 5,
      details: {
        tried: [
          expect.stringMatching(`^${absent}: .*refused`),
          expect.stringMatching(`^${dumb}: .*does not answer`),
          expect.stringContaining("no-such-host.invalid is not known"),
        ],
      },
    });
    expect(performance.now() - start).toBeLessThan(15_000);
    silent.close();
  });
});

const absence = "without an RPC backend the error names the command that builds it";
test.skipIf(hasRpc)(hasRpc ? `${absence} (SKIPPED: there is one)` : absence, async () => {
  await expect(loadModel(DEMO.base, { rpc: ["127.0.0.1:50052"] })).rejects.toMatchObject({
    code: "RPC_MISSING",
    exitCode: 5,
    message: expect.stringContaining("lora-boundary-build --rpc") as string,
  });
});
