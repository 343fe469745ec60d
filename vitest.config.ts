import { defineConfig } from "vitest/config";

/** Tiers by what they need: `unit` nothing built, `native` the addon, `cli` the compiled program, `package` npm, `model` real weights. */
const tier = (name: string, timeoutSeconds: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutSeconds * 1000,
    hookTimeout: timeoutSeconds * 1000,
  },
});

export default defineConfig({
  test: {
    // Two at a time: the native tiers compute on every core anyway.
    maxWorkers: 2,
    reporters: ["default", "./test/support/summary-reporter.ts"],
    projects: [tier("unit", 20), tier("native", 120), tier("cli", 120), tier("package", 300), tier("model", 300)],
  },
});
