import { UsageError } from "../errors.js";

/** A file or a repository on a model hub: `hf:owner/name[@revision][/file]`. */
export interface HubReference {
  /** As given. */
  readonly text: string;
  readonly repository: string;
  readonly revision: string;
  /** Path inside the repository; null to choose what is there. */
  readonly file: string | null;
}

const REFERENCE = /^hf:([\w][\w.-]*\/[\w][\w.-]*)(?:@([\w][\w./-]*?))?(?:\/(.+))?$/;

export function isHubReference(path: string): boolean {
  return path.startsWith("hf:");
}

/** @throws UsageError HUB_REFERENCE */
export function parseHubReference(text: string): HubReference {
  const match = REFERENCE.exec(text);
  const [, repository, revision = "main", file] = match ?? [];
  if (repository !== undefined && (file === undefined || staysInside(file)))
    return { text, repository, revision, file: file ?? null };
  throw new UsageError(
    "HUB_REFERENCE",
    `Expected \`hf:owner/name\`, \`hf:owner/name/file.gguf\` or \`hf:owner/name@revision/file.gguf\` but received \`${text}\`.`,
    { details: { reference: text } },
  );
}

/** Whether a path of a repository, which may come from a hub that means ill, leads nowhere else once it is joined to a folder. */
export function staysInside(file: string): boolean {
  return !file.split(/[/\\]/).some((part) => part === "" || part === "." || part === "..") && !file.includes(":");
}
