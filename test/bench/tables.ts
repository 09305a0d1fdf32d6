/** One row of the design's budget table: what was measured, what it may be at most, and what it is measured in. */
export interface Budget {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: '×' | 'ms' | 'MB';
}

export function isMet({ measured, limit }: Budget): boolean {
  // NaN, what was not measured, is not met.
  return measured <= limit;
}

/** The budgets as lines for people. */
export function budgetTable(budgets: readonly Budget[]): string[] {
  const rows = budgets.map((budget) => [
    budget.what,
    `${number(budget.measured)} ${budget.unit}`,
    `≤ ${number(budget.limit)} ${budget.unit}`,
    isMet(budget) ? 'met' : 'NOT MET',
  ]);
  return columns([['budget', 'measured', 'limit', ''], ...rows]);
}

/** Cells in columns, the first left-aligned and the others right-aligned. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, index) =>
        index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
      )
      .join('  '),
  );
}

/** A figure with as many digits as it deserves; a dash for what was not measured. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}
