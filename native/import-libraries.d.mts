export function moduleDefinitions(dlls: readonly string[], target: string): string[];
export function exportsOf(
  bytes: Buffer,
  name: string,
): { readonly machine: "x64" | "arm64"; readonly names: readonly string[] };
