export function linkedLibraries(folder: string): string[];
