import { execFileSync, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Builds the addon with address and undefined-behaviour sanitizers and runs the native tier on it; GCC on Linux. */

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const build = spawnSync(process.execPath, [join(here, "build.mjs"), "--sanitize"], { stdio: "inherit" });
if (build.status !== 0) process.exit(1);

// Node.js itself is built without sanitizers, so their runtime must be there before it starts.
const runtime = execFileSync("c++", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules", "vitest", "vitest.mjs"), "run", "--project", "native", ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      LD_PRELOAD: runtime,
      // Node.js frees little at its end, and V8 keeps pages that look like wild accesses to the stack checks.
      ASAN_OPTIONS: "detect_leaks=0:detect_stack_use_after_return=0",
      UBSAN_OPTIONS: "print_stacktrace=1",
      LORA_BOUNDARY_ADDON: "sanitized",
    },
  },
);
process.exitCode = status ?? 1;
