/** Looks into root file systems, on a thread with a mount namespace of its own: what is mounted there nobody else sees. */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount } from '../../containerd/types.ts';
import { CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC, mount, unshare } from '../../kernel/libc.ts';
import { unmountAll } from '../../kernel/mounts.ts';
import { type Accounts, readAccounts } from '../../oci/accounts.ts';

/** mount(2) takes one page of options. */
const OPTIONS_MAX = 4_095;

let isPrivate = false;

function readAccountsOf(arg: unknown): Accounts {
  enterPrivateMountNamespace();
  const target = mkdtempSync(join(tmpdir(), 'berth-rootfs-'));
  try {
    for (const one of arg as readonly Mount[]) mountReadOnly(one, target);
    return readAccounts(target);
  } finally {
    unmountAll(target);
    rmdirSync(target);
  }
}

/** Once for the thread: mounts of others still arrive, ours leave no trace outside. */
function enterPrivateMountNamespace(): void {
  if (isPrivate) return;
  unshare(CLONE_NEWNS);
  mount('none', '/', 'none', MS_PRIVATE | MS_REC, null);
  isPrivate = true;
}

function mountReadOnly({ type, source, options }: Mount, target: string): void {
  if (type === 'bind') {
    mount(source, target, 'none', MS_BIND | MS_REC, null);
    return;
  }
  const data = options.filter((option) => !['ro', 'rw'].includes(option)).join(',');
  if (data.length > OPTIONS_MAX)
    throw new Error(`the options of ${type} are ${data.length} bytes, over ${OPTIONS_MAX}`);
  mount(source, target, type, MS_RDONLY, data);
}

export const jobs = { 'rootfs.accounts': readAccountsOf };
