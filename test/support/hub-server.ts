import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach } from "vitest";

/** How the server treats one file; all else it does as the hub does. */
export interface Quirks {
  /** Bytes after which the connection is destroyed, one entry per download that is cut. */
  cutAfter?: number[];
  /** The file lies on another host, to which the hub redirects. */
  redirects?: boolean;
  /** Ranges are ignored, but for the one byte that asks for the size. */
  noRanges?: boolean;
  /** Said in place of the true size. */
  size?: number;
  /** Said in place of the content's SHA-256. */
  etag?: string;
  /** Answers to the download (not to the question before it) with a page. */
  html?: boolean;
}

export interface HubServer {
  url: string;
  /** `owner/name` -> path -> content. */
  readonly repositories: Map<string, Map<string, Buffer>>;
  readonly quirks: Map<string, Quirks>;
  /** Repository -> status that all its requests get. */
  readonly statuses: Map<string, number>;
  /** Every request answers with a page. */
  htmlProxy: boolean;
  /** `GET path range authorization`, as they came. */
  readonly log: {
    readonly path: string;
    readonly range: string | undefined;
    readonly authorization: string | undefined;
  }[];
}

export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A model hub on this machine, and a second host for what it redirects to. */
export function useHubServer(): HubServer {
  const state: HubServer = {
    url: "",
    repositories: new Map(),
    quirks: new Map(),
    statuses: new Map(),
    htmlProxy: false,
    log: [],
  };
  let elsewhere = "";
  const servers = [
    createServer((request, response) => {
      respond(state, request, response, elsewhere);
    }),
    createServer((request, response) => {
      respond(state, request, response, null);
    }),
  ] as const;
  const addressOf = (index: 0 | 1) => `http://127.0.0.1:${(servers[index].address() as AddressInfo).port}`;
  beforeAll(async () => {
    for (const server of servers) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    state.url = addressOf(0);
    elsewhere = addressOf(1);
  });
  beforeEach(() => {
    for (const map of [state.repositories, state.quirks, state.statuses]) map.clear();
    state.htmlProxy = false;
    state.log.length = 0;
  });
  afterAll(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  return state;
}

/** `elsewhere` is null on the second host itself. */
function respond(state: HubServer, request: IncomingMessage, response: ServerResponse, elsewhere: string | null): void {
  const { pathname } = new URL(request.url ?? "/", "http://hub");
  const { range, authorization } = request.headers;
  state.log.push({ path: pathname, range, authorization });
  if (state.htmlProxy) {
    response.writeHead(200, { "content-type": "text/html" }).end("<html>Please log in</html>");
    return;
  }
  const [, listed, fileRepository, path] =
    /^\/(?:api\/models\/([^/]+\/[^/]+)\/tree\/.*|([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+))$/.exec(pathname) ?? [];
  const repository = listed ?? fileRepository ?? "";
  const files = state.repositories.get(repository);
  const status = state.statuses.get(repository) ?? (files === undefined ? 404 : 200);
  if (status !== 200) {
    response.writeHead(status, { "content-type": "application/json" }).end('{"error":"no"}');
    return;
  }
  if (listed !== undefined) {
    const entries = [...files!].map(([name, bytes]) => ({
      type: "file",
      path: name,
      size: bytes.length,
      oid: sha256(bytes),
    }));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(entries));
    return;
  }
  const bytes = files!.get(decodeURIComponent(path ?? ""));
  if (bytes === undefined) {
    response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
    return;
  }
  sendFile(bytes, state.quirks.get(path ?? "") ?? {}, request, response, elsewhere);
}

function sendFile(
  bytes: Buffer,
  quirks: Quirks,
  request: IncomingMessage,
  response: ServerResponse,
  elsewhere: string | null,
): void {
  const asks = request.headers.range === "bytes=0-0";
  if (quirks.redirects === true && elsewhere !== null && !asks) {
    response.writeHead(302, { location: elsewhere + (request.url ?? "") }).end();
    return;
  }
  if (quirks.html === true && !asks) {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Please log in</html>");
    return;
  }
  const headers = { etag: `"${quirks.etag ?? sha256(bytes)}"`, "content-type": "application/octet-stream" };
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const from = start === undefined || (quirks.noRanges === true && !asks) ? null : Number(start);
  if (from !== null && from >= bytes.length) {
    response.writeHead(416, headers).end();
    return;
  }
  const part = bytes.subarray(from ?? 0, end === undefined || end === "" ? bytes.length : Number(end) + 1);
  const total = quirks.size ?? bytes.length;
  response.writeHead(from === null ? 200 : 206, {
    ...headers,
    "content-length": part.length,
    ...(from !== null && { "content-range": `bytes ${from}-${from + part.length - 1}/${total}` }),
  });
  const cut = asks ? undefined : quirks.cutAfter?.shift();
  if (cut === undefined) {
    response.end(part);
    return;
  }
  // Sent first, or nothing of it would arrive.
  response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 30));
}
