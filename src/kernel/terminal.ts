import { rawSettings, setTerminal, terminalSettings } from './libc.ts';

/**
 * Has a terminal pass every byte on as it is, and returns what undoes that. Node's own raw mode goes on making a carriage return of every
 * line's end, which the terminal at the other end does already, or does not for a reason: full-screen programs move down by it. Throws a
 * SyscallError for what is no terminal.
 */
export function makeRaw(fd: number): () => void {
  const before = terminalSettings(fd);
  setTerminal(fd, rawSettings(before));
  return () => setTerminal(fd, before);
}
