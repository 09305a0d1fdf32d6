import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SELINUXFS = '/sys/fs/selinux';
const CATEGORIES = 1_024;

/** Those that the kernel begins with, in its order. */
const INITIAL = [
  ...['kernel', 'security', 'unlabeled', 'fs', 'file', 'file_labels', 'init', 'any_socket', 'port', 'netif'],
  ...['netmsg', 'node', 'igmp_packet', 'icmp_socket', 'tcp_socket', 'sysctl_modprobe', 'sysctl', 'sysctl_fs'],
  ...['sysctl_kernel', 'sysctl_net', 'sysctl_net_unix', 'sysctl_vm', 'sysctl_dev', 'kmod', 'policy'],
  ...['scmp_packet', 'devnull'],
];
const USERS = ['system_u', 'staff_u'];
const ROLES = ['system_r', 'staff_r'];
const TYPES = [
  ...['kernel_t', 'container_t', 'container_kvm_t', 'spc_t'],
  ...['container_file_t', 'node_t', 'unlabeled_t'],
];
/** The kernel gives no label to files of a class that the policy lacks. */
const OTHER_FILES = ['lnk_file', 'chr_file', 'blk_file', 'sock_file', 'fifo_file'];
const ALL_LEVELS = `((s0) (s0 (range c0 c${CATEGORIES - 1})))`;
const LOWEST = '((s0) (s0))';

/** SELinux of a kernel that has it and no policy yet, seen as a node sees it until disposal. */
export class SelinuxKernel implements Disposable {
  constructor() {
    execFileSync('mount', ['-t', 'selinuxfs', 'selinuxfs', SELINUXFS]);
  }

  /** Loads a policy and has it enforced. It cannot be taken away again, but it allows everything that is not a container. */
  enforce(): void {
    const directory = mkdtempSync(join(tmpdir(), 'berth-policy-'));
    try {
      const [source, binary] = [join(directory, 'policy.cil'), join(directory, 'policy')];
      writeFileSync(source, policy());
      execFileSync('secilc', ['--output', binary, '--filecontext', '/dev/null', source]);
      // The kernel wants it in one piece.
      writeFileSync(join(SELINUXFS, 'load'), readFileSync(binary));
      writeFileSync(join(SELINUXFS, 'enforce'), '1');
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  [Symbol.dispose](): void {
    writeFileSync(join(SELINUXFS, 'enforce'), '0');
    execFileSync('umount', [SELINUXFS]);
  }
}

/** /etc of a node whose policy knows containers, in the place of the machine's until disposal. */
export class SelinuxEtc implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'berth-etc-'));

  constructor() {
    const contexts = join(this.#directory, 'selinux/test/contexts');
    execFileSync('cp', ['--archive', '/etc/.', this.#directory]);
    mkdirSync(contexts, { recursive: true });
    writeFileSync(
      join(this.#directory, 'selinux/config'),
      '# of the test\nSELINUX=enforcing\nSELINUXTYPE=test\n',
    );
    writeFileSync(
      join(contexts, 'lxc_contexts'),
      [
        'process = "system_u:system_r:container_t:s0"',
        'file = "system_u:object_r:container_file_t:s0"',
        'kvm_process = "system_u:system_r:container_kvm_t:s0"',
      ].join('\n'),
    );
    execFileSync('mount', ['--bind', this.#directory, '/etc']);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', '/etc']);
    rmSync(this.#directory, { recursive: true });
  }
}

/** The /dev/shm of a node until disposal. The kernel of the tests may have booted without. */
export class NodeShm implements Disposable {
  readonly path = '/dev/shm';
  readonly #isNew = !existsSync(this.path);

  constructor() {
    if (this.#isNew) mkdirSync(this.path);
    execFileSync('mount', ['-t', 'tmpfs', 'shm', this.path]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', this.path]);
    if (this.#isNew) rmdirSync(this.path);
  }
}

/**
 * In the Common Intermediate Language: all is allowed, but who has not the categories of a file can neither read nor write it. What
 * is not spoken of the kernel allows.
 */
function policy(): string {
  const categories = [...Array(CATEGORIES).keys()].map((n) => `c${n}`);
  const kernel = `(system_u system_r kernel_t ${ALL_LEVELS})`;
  const file = (type: string): string => `(system_u object_r ${type} ${LOWEST})`;
  const initialOf = (sid: string): string =>
    sid === 'kernel' ? kernel : file(sid === 'unlabeled' ? 'unlabeled_t' : 'node_t');
  return [
    '(mls true)',
    '(handleunknown allow)',
    // Otherwise a process without new privileges could not become a container.
    '(policycap nnp_nosuid_transition)',
    '(class process (transition dyntransition))',
    '(class file (read write))',
    '(class dir (read write search))',
    ...OTHER_FILES.map((each) => `(class ${each} (read write))`),
    `(classorder (process file dir ${OTHER_FILES.join(' ')}))`,
    ...INITIAL.map((sid) => `(sid ${sid})`),
    `(sidorder (${INITIAL.join(' ')}))`,
    ...INITIAL.map((sid) => `(sidcontext ${sid} ${initialOf(sid)})`),
    '(sensitivity s0)',
    '(sensitivityorder (s0))',
    ...categories.map((category) => `(category ${category})`),
    `(categoryorder (${categories.join(' ')}))`,
    `(sensitivitycategory s0 (range c0 c${CATEGORIES - 1}))`,
    ...['object_r', ...ROLES].map((role) => `(role ${role})`),
    ...TYPES.map((type) => `(type ${type})`),
    '(typeattribute any)',
    `(typeattributeset any (${TYPES.join(' ')}))`,
    ...['object_r', ...ROLES].map((role) => `(roletype ${role} any)`),
    '(roleallow system_r staff_r)',
    ...USERS.flatMap((user) => [
      `(user ${user})`,
      ...['object_r', ...ROLES].map((role) => `(userrole ${user} ${role})`),
      `(userlevel ${user} (s0))`,
      `(userrange ${user} ${ALL_LEVELS})`,
    ]),
    ...['process', 'file', 'dir', ...OTHER_FILES].map((each) => `(allow any any (${each} (all)))`),
    '(mlsconstrain (file (read write)) (dom h1 h2))',
    '(mlsconstrain (dir (read write search)) (dom h1 h2))',
    ...['tmpfs', 'devpts', 'mqueue'].map((each) => `(fsuse trans ${each} ${file('node_t')})`),
    `(fsuse xattr overlay ${file('node_t')})`,
    ...['pipefs', 'sockfs'].map((each) => `(fsuse task ${each} ${file('node_t')})`),
    ...['hostfs', 'proc', 'sysfs', 'cgroup2', 'selinuxfs', 'devtmpfs', 'nsfs'].map(
      (each) => `(genfscon ${each} "/" ${file('node_t')})`,
    ),
  ].join('\n');
}
