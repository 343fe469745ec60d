/** Ascending layers in the words of `--keep`: [0, 1, 2, 5] is "0-2,5"; none is "". */
export function formatLayers(layers: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const layer of layers) {
    const open = ranges.at(-1);
    if (open?.[1] === layer - 1) open[1] = layer;
    else ranges.push([layer, layer]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
