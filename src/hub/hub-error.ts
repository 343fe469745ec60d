import { HubApiError, InvalidApiResponseFormatError } from "@huggingface/hub";
import { CancelledError, InputError, LoraBoundaryError } from "../errors.js";
import type { HubReference } from "./hub-reference.js";
import type { HubSettings } from "./hub-settings.js";

export function hubError(
  code: string,
  { text }: Pick<HubReference, "text">,
  message: string,
  cause?: unknown,
  details: Readonly<Record<string, unknown>> = {},
): InputError {
  return new InputError(`HUB_${code}`, `${text}: ${message}`, { cause, details: { reference: text, ...details } });
}

/** What the hub's library or the network throws, as an error that says what to do. */
export function asHubError(error: unknown, reference: HubReference, { endpoint, token }: HubSettings): Error {
  if (error instanceof LoraBoundaryError) return error;
  if (error instanceof Error && error.name === "AbortError") return new CancelledError(undefined, { cause: error });
  if (error instanceof HubApiError) return statusError(error, reference, endpoint, token);
  if (error instanceof InvalidApiResponseFormatError || error instanceof SyntaxError)
    return notTheHub(reference, endpoint, error);
  if (error instanceof TypeError || isNetworkError(error)) {
    return hubError(
      "OFFLINE",
      reference,
      `${endpoint} cannot be reached, or the connection breaks (${reasonOf(error)}); check the network and run again, which goes on where it stopped, or download the file elsewhere and give its path.`,
      error,
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** Something answers, but no model hub: a proxy's login page, mostly. */
export function notTheHub(reference: HubReference, endpoint: string, cause?: unknown): InputError {
  return hubError(
    "NOT_A_HUB",
    reference,
    `${endpoint} answered with something else than a model hub does, as a proxy's page would be; log in there, set HTTPS_PROXY or HF_ENDPOINT, or download the file elsewhere and give its path.`,
    cause,
  );
}

function statusError(error: HubApiError, reference: HubReference, endpoint: string, token: string | null): InputError {
  const { repository, revision } = reference;
  const page = `${endpoint}/${repository}`;
  const login = token === null ? "set HF_TOKEN to a token that may read it" : "the token that is set may not read it";
  switch (error.statusCode) {
    case 401:
      return hubError(
        "NOT_FOUND",
        reference,
        `The repository ${repository} does not exist, or it is private; check the name, or ${login}.`,
        error,
      );
    case 403:
      return hubError(
        "GATED",
        reference,
        `The repository ${repository} is gated: accept its terms at ${page}, then ${login}.`,
        error,
      );
    case 404:
      return hubError(
        "NOT_FOUND",
        reference,
        `There is no such repository, revision (${revision}) or file; see ${page}.`,
        error,
      );
    default:
      return hubError(
        "STATUS",
        reference,
        `${endpoint} answered with status ${error.statusCode}; try again later.`,
        error,
        {
          status: error.statusCode,
        },
      );
  }
}

function isNetworkError(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).code === "string";
}

/** Node's fetch hides the system's reason in the cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  const { code } = (cause ?? error) as NodeJS.ErrnoException;
  return code ?? (cause instanceof Error ? cause.message : message);
}
