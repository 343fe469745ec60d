export function importLibraries(folder: string, target: string): string[];
export function exportsOf(
  bytes: Buffer,
  name: string,
): { readonly machine: "x64" | "arm64"; readonly names: readonly string[] };
