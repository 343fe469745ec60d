const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** A date without a time, as `YYYY-MM-DD`; null where it is not one (13th month, 30 February). */
export function parseDate(text: string): Date | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text ? null : date;
}

/**
 * Python's `strftime` in English and UTC, whatever the machine's language and time zone.
 * @throws Error for a directive it does not know: a guess would change what is scored
 */
export function strftime(date: Date, format: string): string {
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  const day = DAYS[date.getUTCDay()] ?? "";
  const month = MONTHS[date.getUTCMonth()] ?? "";
  const hour12 = date.getUTCHours() % 12 || 12;
  const numbers: Readonly<Record<string, string>> = {
    d: pad(date.getUTCDate()),
    H: pad(date.getUTCHours()),
    I: pad(hour12),
    m: pad(date.getUTCMonth() + 1),
    M: pad(date.getUTCMinutes()),
    S: pad(date.getUTCSeconds()),
    y: pad(date.getUTCFullYear() % 100),
    j: pad(Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1, 3),
  };
  const words: Readonly<Record<string, string>> = {
    a: day.slice(0, 3),
    A: day,
    b: month.slice(0, 3),
    B: month,
    p: date.getUTCHours() < 12 ? "AM" : "PM",
    Y: pad(date.getUTCFullYear(), 4),
    "%": "%",
  };
  return format.replace(/%(-?)([A-Za-z%]?)/g, (directive, minus: string, letter: string) => {
    const number = numbers[letter];
    if (number !== undefined) return minus === "" ? number : String(Number(number));
    const word = words[letter];
    if (word !== undefined && minus === "") return word;
    throw new Error(`strftime_now: the directive ${directive} is not supported`);
  });
}
