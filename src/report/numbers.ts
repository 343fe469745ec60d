/** Nats with a sign, four decimals: the last one is below any noise that samples have. */
export function signedNats(nats: number): string {
  return `${nats < 0 ? "-" : "+"}${Math.abs(nats).toFixed(4)}`;
}

/** A share as a percentage with one decimal, without the unit. */
export function percent(share: number): string {
  return unsignedZero((share * 100).toFixed(1));
}

/** A negative number too small for its digits is 0, without a sign. */
export function unsignedZero(digits: string): string {
  return Number(digits) === 0 ? digits.replace("-", "") : digits;
}

/** `0.8 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (count: number) => String(count).padStart(2, "0");
  return hours > 0 ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(rest)} s`;
}

/** Binary units, as memory and files are counted: `9.8 MiB`. */
export function byteSize(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1023.95 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit] ?? ""}`;
}

/** `1,234,567`, the same on every machine. */
export function count(whole: number): string {
  return Math.round(whole).toLocaleString("en-US");
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
