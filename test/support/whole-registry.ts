import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const SCOPE = "@node-llama-cpp/";
const SYSTEMS: Readonly<Record<string, string>> = { linux: "linux", mac: "darwin", win: "win32" };

/**
 * The registry as it is, but for packages of node-llama-cpp for other platforms: where it lacks one, as mirrors may, its name is
 * answered with an entry that no machine installs. Yarn wants to know every optional dependency before it skips those of other
 * platforms; npm and pnpm do not.
 *
 * @param version that node-llama-cpp asks for
 * @returns address of a local server, and what closes it
 */
export async function wholeRegistry(upstream: string, version: string) {
  const answer = async ({ url = "/", headers }: IncomingMessage, response: ServerResponse): Promise<void> => {
    const found = await fetch(new URL(url.slice(1), upstream), { headers: { accept: headers.accept ?? "*/*" } });
    const name = decodeURIComponent(url.slice(1));
    const text = await found.text();
    const isMissing = name.startsWith(SCOPE) && !(found.ok && text.includes(`"${version}"`));
    response.writeHead(isMissing ? 200 : found.status, { "content-type": "application/json" });
    response.end(isMissing ? JSON.stringify(nobodys(name, version)) : text);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

function nobodys(name: string, version: string) {
  const [system = "", processor = ""] = name.slice(SCOPE.length).split("-");
  const platform = { os: [SYSTEMS[system] ?? system], cpu: [processor] };
  if (platform.os[0] === process.platform && processor === process.arch) {
    throw new Error(`${name}@${version}: this machine needs it, and the registry lacks it`);
  }
  const dist = { tarball: `http://127.0.0.1/${name}.tgz`, shasum: "0".repeat(40) };
  return { name, "dist-tags": { latest: version }, versions: { [version]: { name, version, ...platform, dist } } };
}
