import type { RuntimeSpec, SpecMount } from './types.ts';

/** What runc of Debian 12 and everything later understand. */
const OCI_VERSION = '1.0.2';

/** The root file system's place in containerd's bundle. */
const ROOT = 'rootfs';

/** Capabilities of a container that asks for no others: containerd's, which are Docker's. */
const DEFAULT_CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

const kernelMount = (destination: string, type: string, ...options: string[]): SpecMount => ({
  destination,
  type,
  source: type,
  options,
});

/** /dev/shm is not among them: it is the pod's. */
const DEFAULT_MOUNTS: readonly SpecMount[] = [
  kernelMount('/proc', 'proc', 'nosuid', 'noexec', 'nodev'),
  kernelMount('/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
  kernelMount('/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'),
  kernelMount('/dev/mqueue', 'mqueue', 'nosuid', 'noexec', 'nodev'),
  kernelMount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'),
  kernelMount('/sys/fs/cgroup', 'cgroup', 'nosuid', 'noexec', 'nodev', 'relatime', 'ro'),
];

/** The draft that every container starts from: containerd's defaults for containers of the CRI. */
export const BASE_SPEC: RuntimeSpec = {
  ociVersion: OCI_VERSION,
  process: {
    user: { uid: 0, gid: 0, additionalGids: [0] },
    args: [],
    env: [],
    cwd: '/',
    capabilities: {
      bounding: DEFAULT_CAPABILITIES,
      effective: DEFAULT_CAPABILITIES,
      permitted: DEFAULT_CAPABILITIES,
    },
  },
  root: { path: ROOT },
  mounts: DEFAULT_MOUNTS,
  annotations: {},
  linux: {
    // The runtime allows /dev/null and its like by itself.
    resources: { devices: [{ allow: false, access: 'rwm' }] },
    cgroupsPath: '',
    namespaces: [],
  },
};
