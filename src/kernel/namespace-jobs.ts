/** Jobs of the worker threads that make and remove pods' namespaces. */
import {
  createPodNamespaces,
  makeSpare,
  type PodNamespacesRemains,
  type PodNamespacesSpec,
  removePodNamespaces,
} from './pod-namespaces.ts';
import type { Job } from './threads/job.ts';

export const jobs: Readonly<Record<string, Job>> = {
  'namespaces.create': (arg) => createPodNamespaces(arg as PodNamespacesSpec),
  'namespaces.spare': (arg) => makeSpare(arg as Readonly<Record<string, string>>),
  'namespaces.remove': (arg) => removePodNamespaces(arg as PodNamespacesRemains),
};
