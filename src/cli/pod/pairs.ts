import { UsageError } from '../exit.ts';

/** `KEY=VALUE` arguments as an object; a key given twice has its last value. Throws UsageError naming the flag. */
export function pairs(flag: string, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`${flag} must be KEY=VALUE, not "${text}"`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
