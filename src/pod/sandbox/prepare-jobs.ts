/**
 * The steps of a sandbox that touch kernel and disk, as jobs: what is many small waits on the main thread is one here.
 *
 * prepare: the intent is named before anything else is made, so that a Berth that is killed finds it. Then the namespaces.
 * settle: the intent is synced, and the files that containers mount are written, while the network is attached. A power loss before
 * that is over may lose the intent, but only together with the effects, which nothing has synced either; RunPodSandbox
 * does not answer before it is durable.
 * finish: what needs the network's interfaces, once they are there.
 */
import { mkdirSync } from 'node:fs';
import type { DNSConfig__Output } from '../../gen/runtime/v1/DNSConfig.ts';
import {
  closeSpare,
  createPodNamespaces,
  type PodNamespacesSpec,
  writeNetworkSysctls,
} from '../../kernel/pod-namespaces.ts';
import type { Job } from '../../kernel/threads/job.ts';
import { syncFileSync, writeFileAtomicSync } from '../../lib/atomic-file.ts';
import { wrap } from '../../lib/errors.ts';
import { writePodFiles } from './pod-files.ts';

export interface Preparation {
  readonly id: string;
  readonly intent: { readonly path: string; readonly text: string };
  readonly stateDirectory: string;
  readonly namespaces: PodNamespacesSpec;
}

export interface Settlement {
  readonly id: string;
  readonly intentPath: string;
  readonly stateDirectory: string;
  readonly hostname: string;
  readonly dns: DNSConfig__Output | null;
}

export interface Finish {
  readonly netns: string;
  readonly sysctls: Readonly<Record<string, string>>;
}

function prepare(arg: unknown): void {
  const preparation = arg as Preparation;
  const { spare } = preparation.namespaces;
  try {
    record(preparation);
    createPodNamespaces(preparation.namespaces);
  } finally {
    if (spare !== undefined) closeSpare(spare);
  }
}

function record({ id, intent, stateDirectory }: Preparation): void {
  try {
    writeFileAtomicSync(intent.path, intent.text);
    mkdirSync(stateDirectory, { mode: 0o700 });
  } catch (error) {
    throw wrap(`failed to record sandbox "${id}"`, error, 'UNAVAILABLE');
  }
}

function settle(arg: unknown): void {
  const { id, intentPath, stateDirectory, hostname, dns } = arg as Settlement;
  try {
    syncFileSync(intentPath);
    writePodFiles(stateDirectory, hostname, dns);
  } catch (error) {
    throw wrap(`failed to record sandbox "${id}"`, error, 'UNAVAILABLE');
  }
}

function finish(arg: unknown): void {
  const { netns, sysctls } = arg as Finish;
  writeNetworkSysctls(netns, sysctls);
}

export const jobs: Readonly<Record<string, Job>> = {
  'sandbox.prepare': prepare,
  'sandbox.settle': settle,
  'sandbox.finish': finish,
};
