import type { Budget } from './budgets.ts';

/** How much is measured. */
export interface Scale {
  /** Fewer runs, for a first look. */
  readonly quick: boolean;
  /** How many pods are present where a row is about a full node. */
  readonly pods: number;
}

/** A part of the benchmark that can be run alone: starts its own contestants, says what it measures, returns its rows. */
export type Section = (scale: Scale) => Promise<Budget[]>;

export function say(text: string): void {
  console.log(text);
}
