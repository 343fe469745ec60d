import type { DownloadOptions } from "../hub/download.js";
import type { CommandContext } from "./context.js";

/** Options of a download for a command: Ctrl-C ends it, and its progress is shown with the time left by the speed so far. */
export function downloading({ signal, progress }: CommandContext) {
  let start: { readonly at: number; readonly done: number } | null = null;
  const onProgress: NonNullable<DownloadOptions["onProgress"]> = (done, total) => {
    start ??= { at: performance.now(), done };
    const seconds = (performance.now() - start.at) / 1000;
    const since = done - start.done;
    progress.update({
      label: "Downloading",
      done,
      total,
      secondsLeft: since > 0 ? (seconds * (total - done)) / since : null,
    });
  };
  return { signal, onProgress };
}
