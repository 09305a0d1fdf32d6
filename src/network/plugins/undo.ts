import { messageOf } from '../../lib/errors.ts';
import type { PluginContext } from './plugin.ts';

/** What a plugin has acquired, to be given back in reverse when a later step fails. */
export class UndoList {
  private readonly steps: (() => void)[] = [];

  push(step: () => void): void {
    this.steps.push(step);
  }

  /** Every step is tried; one that fails is told on stderr. */
  run(context: PluginContext): void {
    for (const step of this.steps.splice(0).reverse()) {
      try {
        step();
      } catch (error) {
        context.log(`failed to undo: ${messageOf(error)}`);
      }
    }
  }
}

/** Runs the work of an ADD; when it fails, what it acquired is undone and the failure thrown on. */
export function withUndo<T>(context: PluginContext, work: (undo: UndoList) => T): T {
  const undo = new UndoList();
  try {
    return work(undo);
  } catch (error) {
    undo.run(context);
    throw error;
  }
}

/** Tries every step of a DEL, whatever became of those before it; the first failure is thrown in the end. */
export function tryAll(...steps: readonly (() => void)[]): void {
  const failures: Error[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(messageOf(error)));
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first;
}
