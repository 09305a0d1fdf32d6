import { constants } from 'node:os';
import { Signal, type Signal__Output } from '../../gen/runtime/v1/Signal.ts';
import { invalid } from '../../lib/errors.ts';

const RTMIN = 34;
const RTMAX = 64;
const NUMBERS: Readonly<Record<string, number | undefined>> = {
  ...constants.signals,
  SIGCLD: constants.signals.SIGCHLD,
};

/**
 * A signal by name in any case, with or without SIG, or by number; those from SIGRTMIN (34) to SIGRTMAX as images write them
 * (`SIGRTMIN+3`) or the CRI (`SIGRTMINPLUS3`). undefined when it is none.
 */
export function signalNumber(name: string): number | undefined {
  if (/^\d+$/.test(name)) return inRange(Number(name));
  const full = `SIG${name.toUpperCase().replace(/^SIG/, '')}`;
  const [, end, sign = '+', offset = '0'] = /^SIGRTM(IN|AX)(?:(\+|-|PLUS|MINUS)(\d{1,2}))?$/.exec(full) ?? [];
  if (end === undefined) return NUMBERS[full];
  const distance = Number(offset) * (sign === '+' || sign === 'PLUS' ? 1 : -1);
  return inRange((end === 'IN' ? RTMIN : RTMAX) + distance);
}

function inRange(number: number): number | undefined {
  return number >= 1 && number <= RTMAX ? number : undefined;
}

/** Checks what a request asks for. Throws INVALID_ARGUMENT for a number that the CRI has no signal for. */
export function checkStopSignal(asked: Signal__Output): void {
  if (!(asked in Signal)) throw invalid('config.stop_signal', `unknown signal ${asked}`);
}

/** The CRI's names by number; of two for the same the first: SIGCHLD, not SIGCLD. */
const NAMES = new Map(
  Object.values(Signal)
    .reverse()
    .map((name) => [signalNumber(name), name]),
);

/** The signal that ends a container, as its status has it: RUNTIME_DEFAULT for what an image says that is none. */
export function effectiveStopSignal(asked: Signal__Output, recorded: string): Signal__Output {
  if (asked !== 'RUNTIME_DEFAULT') return asked;
  return NAMES.get(signalNumber(recorded)) ?? 'RUNTIME_DEFAULT';
}
