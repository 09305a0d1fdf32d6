/** Columns for people: padded to the widest cell, two spaces between, nothing after the last. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => header.map((_, index) => printable(row[index] ?? '')));
  const widths = header.map((_, index) => Math.max(...lines.map((line) => width(line[index] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - width(cell))))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** What is known: pairs without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | undefined])[]): string {
  return keyed(pairs.filter((pair): pair is readonly [string, string] => (pair[1] ?? '') !== ''));
}

/** `key: value` lines with the values under one another. */
export function keyed(pairs: readonly (readonly [string, string])[]): string {
  const lines = pairs.map(([key, value]) => [printable(key), printable(value)] as const);
  const longest = Math.max(0, ...lines.map(([key]) => key.length));
  return lines.map(([key, value]) => `${`${`${key}:`.padEnd(longest + 2)}${value}`.trimEnd()}\n`).join('');
}

/**
 * Without control characters: names, labels and plugins' words come from others, and a terminal obeys what they
 * contain. Line ends become spaces.
 */
export function printable(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\u{FFFD}');
}

/** The same for text of several lines, which it stays. */
export function printableLines(text: string): string[] {
  return text.replace(/\n+$/, '').split('\n').map(printable);
}

function width(cell: string): number {
  return Array.from(cell).length;
}

/** Indents each line of a text. */
export function indent(text: string, by = '  '): string {
  return text.replaceAll(/^(?=.)/gm, by);
}

/** The beginning of an id, as crictl shows it. */
export function shortId(id: string): string {
  return id.slice(0, 13);
}

/** How long ago: `12 s`, `5 min`, `3 h`, `2 d`. */
export function age(since: Date, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - since.getTime()) / 1000));
  const units = [
    { name: 'd', seconds: 86_400 },
    { name: 'h', seconds: 3_600 },
    { name: 'min', seconds: 60 },
  ];
  const unit = units.find((candidate) => seconds >= candidate.seconds);
  return unit === undefined ? `${seconds} s` : `${Math.floor(seconds / unit.seconds)} ${unit.name}`;
}

/** The CRI's int64 nanoseconds since the epoch. */
export function dateOfNanoseconds(nanoseconds: string): Date {
  return new Date(Number(BigInt(nanoseconds) / 1_000_000n));
}

/** JSON for programs, indented. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
