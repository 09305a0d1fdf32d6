import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSelinuxOn } from '../kernel/selinux.ts';
import { isErrno } from '../lib/errors.ts';

/** What the policy that the kernel enforces has for containers. */
export interface SelinuxPolicy {
  /** Of processes, and of the files that they may write. */
  readonly processLabel: string;
  readonly fileLabel: string;
  /** The type of a virtual machine that runs containers. */
  readonly machineType: string;
  /** Whether a label is one of the policy. */
  readonly knows: (label: string) => boolean;
}

const SELINUXFS = '/sys/fs/selinux';
const CONFIG = '/etc/selinux/config';
const CONTEXTS = '/usr/share/containers/selinux/contexts';

/**
 * The policy of this node; undefined when SELinux is off, has no policy yet, or one that does not know containers: then nothing is
 * labelled, as with every runtime that asks libselinux.
 */
export function selinuxPolicy(): SelinuxPolicy | undefined {
  if (!isSelinuxOn()) return undefined;
  const contexts = containerContexts();
  const processLabel = contexts.get('process');
  const fileLabel = contexts.get('file');
  if (processLabel === undefined || fileLabel === undefined) return undefined;
  const machine = contexts.get('kvm_process') ?? processLabel;
  return { processLabel, fileLabel, machineType: machine.split(':')[2] ?? '', knows };
}

/** selinux's lxc_contexts(5), which the policy's package brings, or container-selinux. */
function containerContexts(): ReadonlyMap<string, string> {
  const policy = /^\s*SELINUXTYPE\s*=\s*(\S+)/m.exec(textOf(CONFIG) ?? '')?.[1] ?? 'targeted';
  const lines = textOf(CONTEXTS) ?? textOf(join('/etc/selinux', policy, 'contexts/lxc_contexts')) ?? '';
  const entries = lines.matchAll(/^\s*(\w+)\s*=\s*"?([^"\s]+)"?\s*$/gm);
  return new Map([...entries].map(([, name = '', label = '']) => [name, label]));
}

function knows(label: string): boolean {
  try {
    writeFileSync(join(SELINUXFS, 'context'), label);
    return true;
  } catch (error) {
    if (isErrno(error, 'EINVAL')) return false;
    throw error;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
