import { describe, expect, it } from "vitest";
import { parseServers } from "../../src/engine/rpc-servers.js";
import { stateBytesOverRpc } from "../../src/engine/rpc-traffic.js";
import { planRuns } from "../../src/engine/scale-trie.js";

describe("addresses of RPC servers", () => {
  it("are host:port, by name or number", () => {
    expect(parseServers(["10.0.0.7:50052", "box-2.lan:1", "[fe80::1%eth0]:65535"])).toEqual([
      { host: "10.0.0.7", port: 50052 },
      { host: "box-2.lan", port: 1 },
      { host: "fe80::1%eth0", port: 65535 },
    ]);
  });

  it.each([
    "",
    "host",
    "host:",
    ":50052",
    "host:0",
    "host:65536",
    "host:5x",
    "http://host:50052",
    "fe80::1:50052",
    "a b:1",
  ])("%j is refused with what was expected", (text) => {
    expect(() => parseServers(["good:1", text])).toThrow(
      expect.objectContaining({
        code: "RPC_SERVER",
        exitCode: 2,
        message: expect.stringContaining("host:port") as string,
      }),
    );
  });
});

describe("kept states that travel to RPC servers", () => {
  // The boundaries of 4 layers: the full adapter keeps the states at 1, 2 and 3; 3, 2 and 1 layers resume there.
  const plan = planRuns(
    [0, 1, 2, 3, 4].map((kept) => Float32Array.of(1, ...[0, 1, 2, 3].map((l) => (l < kept ? 1 : 0)), 1)),
  );
  const bytes = (backend: string, gpuLayers: number) =>
    stateBytesOverRpc(plan, { backend, gpuLayers }, { layers: 4, embedding: 10 }, 100);
  const state = 100 * 10 * 4;

  it.each([
    ["RPC", -1, 6],
    ["RPC", 5, 6],
    // The output head and layer 3: nothing resumes above layer 3.
    ["RPC", 2, 0],
    // Layers 1 to 3: the states at 2 and 3 are what layers 1 and 2 put out.
    ["RPC", 4, 4],
    ["RPC+CUDA", -1, 6],
    ["RPC", 0, 0],
    ["CPU", 0, 0],
    ["CUDA", -1, 0],
  ])("%s with %i layers: %i states", (backend, gpuLayers, states) => {
    expect(bytes(backend, gpuLayers)).toBe(states * state);
  });
});
