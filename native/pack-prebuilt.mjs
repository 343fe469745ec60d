import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { librariesFolder, nodeLlamaCpp } from "./llama-cpp.mjs";
import { platformPackage, PREBUILT } from "./prebuilt.mjs";

/**
 * Builds the addon for a package of its own and lays that package out in `native/build/prebuilt/NAME`, ready for
 * `npm pack`. Prints the folder.
 */
const here = dirname(fileURLToPath(import.meta.url));
const built = spawnSync(process.execPath, [join(here, "build.mjs"), "--prebuilt"], { encoding: "utf8" });
if (built.status !== 0) {
  console.error(built.stderr);
  process.exit(1);
}
const { version, license } = JSON.parse(readFileSync(join(here, "..", "package.json"), "utf8"));
const libraries = platformPackage(librariesFolder());
const folder = join(here, "build", "prebuilt", PREBUILT);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
copyFileSync(
  join(here, "build", "prebuilt-addon", "Release", "lora_boundary.node"),
  join(folder, "lora_boundary.node"),
);
copyFileSync(join(here, "..", "LICENSE"), join(folder, "LICENSE"));
const manifest = {
  ...{ name: PREBUILT, version, license },
  description: `The addon of lora-boundary, built for ${process.platform} on ${process.arch}.`,
  ...{ os: [process.platform], cpu: [process.arch] },
  dependencies: { [libraries.name]: libraries.version },
  loraBoundary: { nodeLlamaCpp: nodeLlamaCpp().version },
};
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(folder);
