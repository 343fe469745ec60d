import { fileDownloadInfo, listFiles } from "@huggingface/hub";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { download, type DownloadOptions } from "./download.js";
import { asHubError, hubError } from "./hub-error.js";
import { parseHubReference, staysInside, type HubReference } from "./hub-reference.js";
import { hubSettings, type HubSettings } from "./hub-settings.js";

/** Names in one message. */
const NAMED = 20;
const SHARD = /^(.*-)00001(-of-(\d{5})\.gguf)$/;
const PEFT_FILES = ["adapter_config.json", "adapter_model.safetensors"];

/** `localPathOf` of a `hf:` reference. */
export async function hubPathOf(path: string, options: DownloadOptions): Promise<string> {
  const reference = parseHubReference(path);
  const settings = await hubSettings();
  const { repository, revision } = reference;
  const folder = join(cacheFolder(), "hub", `${repository.replace("/", "--")}@${revision.replaceAll("/", "--")}`);
  const files = await filesOf(reference, folder, settings, options);
  for (const file of files) await bring(file, join(folder, file), reference, settings, options);
  const [first = ""] = files;
  return PEFT_FILES.some((name) => first.endsWith(name)) ? dirname(join(folder, first)) : join(folder, first);
}

async function filesOf(
  reference: HubReference,
  folder: string,
  settings: HubSettings,
  options: DownloadOptions,
): Promise<readonly string[]> {
  if (reference.file !== null) return withParts(reference.file);
  const choice = join(folder, ".choice.json");
  const known = async () => JSON.parse(await readFile(choice, "utf8").catch(() => "null")) as string[] | null;
  if (settings.offline) return (await known()) ?? offlineError(reference);
  try {
    const files = choose(await listAll(reference, settings, options), reference);
    await mkdir(folder, { recursive: true });
    await writeFile(choice, JSON.stringify(files));
    return files;
  } catch (error) {
    const failure = asHubError(error, reference, settings);
    const files = isOffline(failure) ? await known() : null;
    if (files === null) throw failure;
    return files;
  }
}

async function listAll(reference: HubReference, settings: HubSettings, options: DownloadOptions): Promise<string[]> {
  const { repository: repo, revision } = reference;
  const paths: string[] = [];
  for await (const { type, path } of listFiles({ repo, revision, recursive: true, ...request(settings, options) })) {
    if (type === "file" && staysInside(path)) paths.push(path);
  }
  return paths;
}

/** One GGUF file, or a PEFT adapter: anything else is for the user to decide. */
function choose(paths: readonly string[], reference: HubReference): readonly string[] {
  const ggufs = paths.filter((path) => /\.gguf$/i.test(path) && !/mmproj/i.test(path));
  const firsts = ggufs.filter((path) => !/-\d{5}-of-\d{5}\.gguf$/.test(path) || SHARD.test(path));
  const [only] = firsts;
  if (only !== undefined && firsts.length === 1) return withParts(only);
  if (firsts.length === 0 && PEFT_FILES.every((name) => paths.includes(name))) return PEFT_FILES;
  if (firsts.length === 0) {
    throw hubError(
      "CHOICE",
      reference,
      "The repository has no GGUF file and no PEFT adapter; give a file of it, or another repository.",
    );
  }
  const more = firsts.length > NAMED ? ` and ${firsts.length - NAMED} more` : "";
  throw hubError(
    "CHOICE",
    reference,
    `The repository has ${firsts.length} GGUF files; name one, as in \`hf:${reference.repository}/${only ?? ""}\`: ${firsts.slice(0, NAMED).join(", ")}${more}.`,
    undefined,
    { files: firsts },
  );
}

/** The first part of a split model brings the others with it, and one file of a PEFT adapter the other. */
function withParts(file: string): readonly string[] {
  const [, start, end, count] = SHARD.exec(file) ?? [];
  if (start !== undefined && end !== undefined) {
    return Array.from({ length: Number(count) }, (_, part) => `${start}${String(part + 1).padStart(5, "0")}${end}`);
  }
  const name = PEFT_FILES.find((it) => file === it || file.endsWith(`/${it}`));
  return name === undefined ? [file] : PEFT_FILES.map((it) => file.slice(0, -name.length) + it);
}

async function bring(
  file: string,
  target: string,
  reference: HubReference,
  settings: HubSettings,
  options: DownloadOptions,
): Promise<void> {
  const etagFile = `${target}.etag`;
  const cached = await cachedEtag(target, etagFile);
  if (settings.offline) {
    if (cached === null) offlineError(reference);
    return;
  }
  try {
    const { repository: repo, revision } = reference;
    const info = await fileDownloadInfo({ repo, revision, path: file, ...request(settings, options) });
    if (info === null) {
      throw hubError(
        "NOT_FOUND",
        reference,
        `There is no file \`${file}\` in ${repo}; see ${settings.endpoint}/${repo}.`,
      );
    }
    const etag = info.etag.replace(/^W\//, "").replaceAll('"', "");
    if (cached === etag) return;
    await mkdir(dirname(target), { recursive: true });
    await download({ url: info.url, bytes: info.size, etag }, target, reference, settings, options);
    await writeFile(etagFile, etag);
  } catch (error) {
    const failure = asHubError(error, reference, settings);
    // What is there whole is as good as it was the last time.
    if (cached === null || !isOffline(failure)) throw failure;
  }
}

/** Null where the file is not there whole: its etag is written when it is. */
async function cachedEtag(target: string, etagFile: string): Promise<string | null> {
  if ((await stat(target).catch(() => null))?.isFile() !== true) return null;
  return readFile(etagFile, "utf8").catch(() => null);
}

function request({ endpoint, token }: HubSettings, { signal }: DownloadOptions) {
  return {
    hubUrl: endpoint,
    ...(token !== null && { accessToken: token }),
    fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, ...(signal && { signal }) }),
  };
}

function isOffline(error: Error): boolean {
  return "code" in error && error.code === "HUB_OFFLINE";
}

function offlineError(reference: HubReference): never {
  throw hubError(
    "OFFLINE",
    reference,
    "It is not in the cache, and HF_HUB_OFFLINE forbids asking the network; unset it once to download.",
  );
}
