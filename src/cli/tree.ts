import { printable } from './table.ts';

/** A line with what stands below it. */
export interface Branch {
  readonly text: string;
  readonly below?: readonly Branch[];
}

/** A tree for people, one line for each branch; lines that are wider than `width` columns end in an ellipsis. */
export function tree({ text, below = [] }: Branch, width: number): string {
  const lines = [printable(text), ...branches(below)];
  return lines.map((line) => `${clipped(line, width)}\n`).join('');
}

function branches(all: readonly Branch[]): string[] {
  return all.flatMap(({ text, below = [] }, index) => {
    const isLast = index === all.length - 1;
    const [head, rest] = isLast ? ['└─ ', '   '] : ['├─ ', '│  '];
    return [`${head}${printable(text)}`, ...branches(below).map((line) => `${rest}${line}`)];
  });
}

/** The first `most` branches and a line that says how many more there are. */
export function atMost(all: readonly Branch[], most: number): Branch[] {
  const shown = all.slice(0, most);
  return shown.length === all.length ? shown : [...shown, { text: `… ${all.length - shown.length} more` }];
}

function clipped(line: string, width: number): string {
  const letters = Array.from(line);
  return letters.length <= width ? line : `${letters.slice(0, width - 1).join('')}…`;
}
