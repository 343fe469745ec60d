import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

interface BuiltBackendsModule {
  readonly SERVER: string;
  builtBackends(): { readonly folder: string; readonly backends: readonly string[] } | null;
}

const module = (await import(new URL("../../native/built-backends.mjs", import.meta.url).href)) as BuiltBackendsModule;
const built = module.builtBackends();

/** Whether `lora-boundary-build --rpc` has been run here. */
export const hasRpc = built?.backends.includes("rpc") === true;

/** A server of our own build, on the processor of this machine; it ends with the scope. */
export interface RpcServerProcess extends AsyncDisposable {
  readonly address: string;
  /** As a machine that loses its power: nothing is said any more. */
  kill(): Promise<void>;
}

export async function startRpcServer(port?: number): Promise<RpcServerProcess> {
  const used = port ?? (await freePort());
  const program = join(built?.folder ?? "", module.SERVER);
  const child = spawn(program, ["-H", "127.0.0.1", "-p", String(used), "-t", "1"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await announced(child);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { address: `127.0.0.1:${used}`, kill, [Symbol.asyncDispose]: kill };
}

/** The server prints its devices once it listens; its output is a pipe, so it comes in blocks. */
async function announced(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit").then(() => Promise.reject(new Error("The RPC server ended at once.")));
  ended.catch(() => undefined);
  await Promise.race([new Promise((resolve) => setTimeout(resolve, 700)), ended]);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
