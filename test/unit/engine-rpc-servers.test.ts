import { describe, expect, it } from "vitest";
import { parseServers } from "../../src/engine/rpc-servers.js";

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
