import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../errors.js";

/** Where the hub is and who asks, from the environment variables that other tools for it use. */
export interface HubSettings {
  /** `HF_ENDPOINT`, without a slash at its end. */
  readonly endpoint: string;
  /** `HF_TOKEN`, else the file of `HF_TOKEN_PATH` or the one that logging in with the hub's own tool leaves; null without one. */
  readonly token: string | null;
  /** `HF_HUB_OFFLINE`: nothing is asked of the network. */
  readonly offline: boolean;
}

/** @throws UsageError HUB_TOKEN, HUB_ENDPOINT */
export async function hubSettings(environment: NodeJS.ProcessEnv = process.env): Promise<HubSettings> {
  const { HF_ENDPOINT: endpoint = "", HF_HUB_OFFLINE: offline = "" } = environment;
  if (endpoint !== "" && !/^https?:\/\//.test(endpoint)) {
    throw new UsageError(
      "HUB_ENDPOINT",
      `Expected an http or https address in HF_ENDPOINT but received \`${endpoint}\`.`,
    );
  }
  return {
    endpoint: (endpoint === "" ? "https://huggingface.co" : endpoint).replace(/\/+$/, ""),
    token: await tokenOf(environment),
    offline: /^(1|on|yes|true)$/i.test(offline),
  };
}

async function tokenOf(environment: NodeJS.ProcessEnv): Promise<string | null> {
  const { HF_TOKEN: given = "", HF_TOKEN_PATH: path = "", HF_HOME: home = "" } = environment;
  const file = path === "" ? join(home === "" ? join(homedir(), ".cache", "huggingface") : home, "token") : path;
  const token = (given === "" ? await readFile(file, "utf8").catch(() => "") : given).trim();
  if (token === "") return null;
  if (token.startsWith("hf_")) return token;
  const where = given === "" ? file : "HF_TOKEN";
  // The token itself is never shown.
  throw new UsageError(
    "HUB_TOKEN",
    `Expected a token that starts with \`hf_\` in ${where} but received something else.`,
  );
}
