import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const APPARMORFS = '/sys/kernel/security/apparmor';
const PARSER = '/usr/sbin/apparmor_parser';

/** Profiles of a test, and all of Berth's, which are unloaded at its end. */
export class ApparmorProfiles implements Disposable {
  /**
   * Loads a profile, in place of one of that name.
   * @param flags `complain`, say; none when absent.
   * @param program which runs with this profile whoever starts it.
   */
  load(name: string, rules: string, flags = '', program = ''): void {
    const options = flags === '' ? '' : `flags=(${flags})`;
    execFileSync(PARSER, ['--replace', '--skip-cache', '--quiet'], {
      input: `profile ${name} ${program} ${options} { ${rules} }\n`,
    });
  }

  /** What runs with it is unconfined from now on. */
  unload(name: string): void {
    writeFileSync(join(APPARMORFS, '.remove'), name);
  }

  [Symbol.dispose](): void {
    for (const [, name = ''] of readFileSync(join(APPARMORFS, 'profiles'), 'utf8').matchAll(
      /^(berth-\S+) /gm,
    ))
      this.unload(name);
  }
}

/** The profile of a process and its mode. */
export function apparmorLabel(pid: number): string {
  return readFileSync(`/proc/${pid}/attr/current`, 'utf8').trim();
}

/** Until disposal apparmor_parser does nothing but say why. */
export class FailingParser implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'berth-parser-'));

  constructor(reason: string) {
    const script = join(this.#directory, 'parser');
    writeFileSync(script, `#!/bin/sh\necho '${reason}' >&2\nexit 1\n`, { mode: 0o755 });
    execFileSync('mount', ['--bind', script, PARSER]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [PARSER]);
    rmSync(this.#directory, { recursive: true });
  }
}
