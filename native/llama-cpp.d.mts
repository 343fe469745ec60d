export function nodeLlamaCpp(): { readonly folder: string; readonly version: string };
export function librariesFolder(): string;
export function linkedLibraries(folder: string): string[];
export function headers(target: string, git: string, more?: readonly string[]): string[];
