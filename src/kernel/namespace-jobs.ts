/** Jobs of the worker threads that make and remove pods' namespaces. */
import {
  createPodNamespaces,
  type PodNamespacesRemains,
  type PodNamespacesSpec,
  removePodNamespaces,
} from './pod-namespaces.ts';
import type { Job } from './threads/job.ts';

export const jobs: Readonly<Record<string, Job>> = {
  'namespaces.create': (arg) => createPodNamespaces(arg as PodNamespacesSpec),
  'namespaces.remove': (arg) => removePodNamespaces(arg as PodNamespacesRemains),
};
