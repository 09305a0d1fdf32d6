import { isMet } from './budgets.ts';
import type { Budget } from './budgets.ts';
import { operations } from './measure.ts';
import type { Name, Results } from './suite.ts';

/** How the contestants are called in tables. */
export const titles: Readonly<Record<Name, string>> = {
  berth: 'berth',
  executables: 'berth, executables',
  containerd: 'containerd',
  bare: 'bare kernel',
};

/** Medians: a row for each operation, a column for each contestant. */
export function resultTable(results: Results): string {
  const head = ['p50 in ms', ...[...results.keys()].map((name) => titles[name])];
  const rows = Object.values(operations).map((operation) => [
    operation,
    ...[...results.values()].map((samples) => number(samples.p50(operation))),
  ]);
  return columns([head, ...rows]);
}

/** The budgets, and which are met. */
export function budgetTable(rows: readonly Budget[]): string {
  const cells = rows.map((row) => [
    row.what,
    `${number(row.measured)} ${row.unit}`,
    `≤ ${limit(row)}`,
    isMet(row) ? 'met' : 'NOT MET',
  ]);
  return columns([['budget', 'measured', 'limit', ''], ...cells]);
}

/** A limit below 1 is said as the fraction that it was written as. */
function limit({ limit: value, unit }: Budget): string {
  return value < 1 ? `1/${Math.round(1 / value)} ×` : `${value} ${unit}`;
}

/** A figure with as many digits as it deserves; a dash for what was not measured. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value.toFixed(value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Cells in columns, the first left-aligned and the others right-aligned. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? '').length)));
  const pad = (cell: string, index: number): string =>
    index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
