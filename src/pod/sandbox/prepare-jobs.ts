/**
 * The first steps of a sandbox as one job: what is many small waits on the main thread is one here. The order is the one that
 * recovery relies on: the intent is on disk before anything else is made.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DNSConfig__Output } from '../../gen/runtime/v1/DNSConfig.ts';
import { createPodNamespaces, type PodNamespacesSpec } from '../../kernel/pod-namespaces.ts';
import type { Job } from '../../kernel/threads/job.ts';
import { writeFileAtomicSync } from '../../lib/atomic-file.ts';
import { wrap } from '../../lib/errors.ts';
import { writePodFiles } from './pod-files.ts';

export interface Preparation {
  readonly id: string;
  readonly intent: { readonly path: string; readonly text: string };
  readonly stateDirectory: string;
  readonly hostname: string;
  readonly dns: DNSConfig__Output | null;
  readonly namespaces: PodNamespacesSpec;
}

function prepare(arg: unknown): void {
  const { id, intent, stateDirectory, hostname, dns, namespaces } = arg as Preparation;
  try {
    mkdirSync(dirname(intent.path), { mode: 0o700 });
    writeFileAtomicSync(intent.path, intent.text, { sync: true });
    mkdirSync(stateDirectory, { mode: 0o700 });
    writePodFiles(stateDirectory, hostname, dns);
  } catch (error) {
    throw wrap(`failed to record sandbox "${id}"`, error, 'UNAVAILABLE');
  }
  createPodNamespaces(namespaces);
}

export const jobs: Readonly<Record<string, Job>> = { 'sandbox.prepare': prepare };
