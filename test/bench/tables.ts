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
    figure(row.measured, row.unit),
    `≤ ${figure(row.limit, row.unit)}`,
    isMet(row) ? 'met' : 'NOT MET',
  ]);
  return columns([['budget', 'measured', 'limit', ''], ...cells]);
}

/** With its unit; a ratio below 1 as the fraction that budgets are written in. */
function figure(value: number, unit: Budget['unit']): string {
  return unit === '×' && value < 1 ? `1/${number(1 / value)} ×` : `${number(value)} ${unit}`;
}

/** A figure with as many digits as it deserves; a dash for what was not measured. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value.toPrecision(value < 100 ? 3 : 4);
}

/** Cells in columns, the first left-aligned and the others right-aligned. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? '').length)));
  const pad = (cell: string, index: number): string =>
    index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
