import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

/** The memory of this machine as this process may use it, bytes. */
export interface HostMemory {
  /** All there is: RAM, or less where a container limits it. */
  readonly capacity: number;
  /** Free now, or freed at once when asked for (caches of files). */
  readonly available: number;
  /** Free swap, where it is known and may be used. */
  readonly swap: number;
}

/** @returns on macOS everything that this process does not hold: the system tells only of pages that nobody ever used */
export function hostMemory(): HostMemory {
  const total = totalmem();
  if (process.platform === "darwin") return { capacity: total, available: total - process.memoryUsage.rss(), swap: 0 };
  const limit = process.constrainedMemory();
  const limited = limit > 0 && limit < total;
  return {
    capacity: limited ? limit : total,
    available: limited ? Math.min(freemem(), process.availableMemory() + cachedInGroup()) : freemem(),
    swap: limited ? 0 : sizeIn(read("/proc/meminfo"), /^SwapFree: +(\d+) kB$/m) * 1024,
  };
}

/** Of a control group, whose used memory counts files that were read, though they make room when it is needed. */
function cachedInGroup(): number {
  const groups = read("/proc/self/cgroup");
  const unified = /^0::(.*)$/m.exec(groups)?.[1];
  const memory = /^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/m.exec(groups)?.[1];
  const folder = memory === undefined ? `/sys/fs/cgroup${unified ?? ""}` : `/sys/fs/cgroup/memory${memory}`;
  const stat = read(`${folder}/memory.stat`);
  return sizeIn(stat, /^(?:total_)?inactive_file (\d+)$/m) + sizeIn(stat, /^(?:total_)?active_file (\d+)$/m);
}

function sizeIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

/** Empty where this system has no such file. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** For messages: `512 MiB`, `11.8 GiB`. */
export function sizeText(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1024 ? `${Math.ceil(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
