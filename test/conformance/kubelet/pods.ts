/** The parts of core/v1 that the tests write and read. */

export interface Manifest {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** PodSpec, as far as a test cares. */
export interface PodSpec {
  readonly containers: readonly ContainerSpec[];
  readonly initContainers?: readonly ContainerSpec[];
  readonly [field: string]: unknown;
}

export interface ContainerSpec {
  readonly name: string;
  readonly [field: string]: unknown;
}

export interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly status: PodStatus;
}

export interface PodStatus {
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: 'True' | 'False' }[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly started?: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason: string; readonly message?: string };
  readonly running?: { readonly startedAt: string };
  readonly terminated?: Terminated;
}

export interface Terminated {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** A busybox with a shell, of the images that critest runs, too. */
export const IMAGE = 'registry.k8s.io/e2e-test-images/busybox:1.29-2';

/** A script that does nothing until SIGTERM comes. A shell that is process 1 gets no signal that it has no trap for. */
export const IDLE = 'trap "exit 0" TERM; sleep 3600 & wait';

/** A container of the busybox image that runs a script. */
export function shell(name: string, script: string, more: object = {}): ContainerSpec {
  return { name, image: IMAGE, command: ['sh', '-c', script], ...more };
}

/** The status of a container by its name, init containers included. */
export function containerOf(pod: Pod | undefined, name: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod?.status ?? {};
  return [...containerStatuses, ...initContainerStatuses].find((status) => status.name === name);
}

export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** The id that the CRI knows a container by. */
export function criId(status: ContainerStatus | undefined): string {
  return status?.containerID?.replace(/^.*:\/\//, '') ?? '';
}
