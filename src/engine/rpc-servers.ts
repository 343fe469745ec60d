import { BackendError, UsageError } from "../errors.js";
import { backendLibrary } from "../native/binding.js";
import type { NativeAddon } from "../native/types.js";
import { fromNative } from "./native-job.js";

/** One server of llama.cpp's RPC backend. */
export interface RpcServer {
  /** Name or address. */
  readonly host: string;
  readonly port: number;
}

/** A server is in the same building; one that takes longer to say hello is not there. */
const CONNECT_MS = 3_000;

/**
 * @param servers each `host:port`; of IPv6 addresses `[address]:port`
 * @throws UsageError RPC_SERVER
 */
export function parseServers(servers: readonly string[]): RpcServer[] {
  return servers.map((text) => {
    const [, address, name, digits = ""] = /^(?:\[([\da-f:.%\w]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
    const host = address ?? name;
    const port = Number(digits);
    if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
    throw new UsageError(
      "RPC_SERVER",
      `Expected host:port, port from 1 to 65535, for \`rpc\` but received ${text === "" ? "nothing" : text}; write for example 192.168.0.5:50052, several with commas between.`,
      { details: { option: "rpc", received: text } },
    );
  });
}

/**
 * Makes the devices of servers known to llama.cpp, in the servers' order.
 *
 * @returns names of the devices, as `doctor --rpc` lists them: `RPC0`
 * @throws UsageError RPC_SERVER; BackendError RPC_MISSING without an RPC backend, SERVER_UNREACHABLE with what was tried
 */
export async function connectServers(addon: NativeAddon, servers: readonly string[]): Promise<readonly string[]> {
  const parsed = parseServers(servers);
  requireBackend(addon);
  const devices: string[] = [];
  const tried: string[] = [];
  for (const { host, port } of parsed) {
    try {
      devices.push(...(await addon.addServer({ host, port, milliseconds: CONNECT_MS })));
    } catch (cause) {
      const error = fromNative(cause);
      if (!(error instanceof BackendError) || error.code !== "SERVER_UNREACHABLE") throw error;
      tried.push(`${host}:${port}: ${error.message.replace(/\.$/, "")}`);
    }
  }
  if (tried.length === 0) return [...new Set(devices)];
  throw new BackendError(
    "SERVER_UNREACHABLE",
    `Expected an RPC server of llama.cpp at every address of \`rpc\` but could not use ${tried.length} of ${parsed.length}: ${tried.join("; ")}. Start it there, where \`lora-boundary-build --rpc\` has built it: ggml-rpc-server -H <its address> -p <port>.`,
    { details: { tried } },
  );
}

function requireBackend(addon: NativeAddon): void {
  const library = backendLibrary("rpc");
  if (library === null) {
    throw new BackendError(
      "RPC_MISSING",
      "`rpc` needs llama.cpp's RPC backend, which node-llama-cpp does not bring. Build it, once, in about a minute: lora-boundary-build --rpc",
    );
  }
  try {
    addon.loadBackend(library);
  } catch (error) {
    throw fromNative(error);
  }
}
