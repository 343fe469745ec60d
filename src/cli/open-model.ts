import type { DeviceOptions } from "../engine/devices.js";
import { loadModel, type Model } from "../engine/model.js";
import type { CommandContext } from "./context.js";
import { downloading } from "./downloading.js";

/** Loads the base model that a command names, with its progress, and tells where it is computed if that was chosen for it. */
export async function openModel(base: string, devices: DeviceOptions, context: CommandContext): Promise<Model> {
  const { signal, progress } = context;
  const model = await loadModel(base, {
    ...devices,
    signal,
    onDownload: downloading(context).onProgress,
    onProgress: (share) => {
      progress.update({ label: "Loading the model", done: share, total: 1, secondsLeft: null });
    },
  });
  if (model.placement.notice !== null) context.stderr(model.placement.notice);
  return model;
}
