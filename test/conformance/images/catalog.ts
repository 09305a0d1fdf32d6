import { type Image, type Layer, makeImage, makeLayer, type RunConfig } from './image.ts';
import type { Programs } from './programs.ts';
import type { Entry } from './tar.ts';

const E2E = 'registry.k8s.io/e2e-test-images';
const TOOLS = 'gcr.io/k8s-staging-cri-tools';
const SHELL: RunConfig = { Cmd: ['sh'] };

/** The one image that critest asks for by a digest; see withDigest(). */
export const DIGEST_IMAGE = `${TOOLS}/test-image-digest:latest`;
/** Its digest in critest 1.36, of an image that nobody can build again. */
export const DIGEST_IN_CRITEST = '9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf';

const ACCOUNTS = {
  passwd: [
    'root:x:0:0::/root:/bin/sh',
    'www-data:x:33:33::/var/www:/bin/false',
    'nobody:x:65534:65534::/:/bin/false',
  ],
  group: ['root:x:0:', 'www-data:x:33:', 'nogroup:x:65534:'],
};

/** Every image that critest 1.36 asks for, by reference: what they must hold is known from its specs. */
export function catalog(programs: Programs): Map<string, Image> {
  const base = makeLayer(userland(programs));
  const images = new Map<string, Image>();
  const add = (reference: string, config: RunConfig, ...more: Layer[]): void => {
    images.set(reference, makeImage(config, [base, ...more]));
  };
  const server = makeLayer(new Map([['usr/sbin/nginx', program(programs.nginx)]]));
  add(`${E2E}/busybox:1.29-2`, SHELL);
  add(`${E2E}/nginx:1.14-2`, { Cmd: ['nginx', '80'] }, server);
  add(`${TOOLS}/hostnet-nginx-${goArchitecture()}:latest`, { Cmd: ['nginx', '12003'] }, server);
  add(
    `${E2E}/httpd:2.4.39-4`,
    { Cmd: ['sh', '-c', 'echo httpd; exec httpd -f -p 80 -h /srv'] },
    makeLayer(new Map([['srv/index.html', file('berth\n')]])),
  );
  add(
    `${E2E}/nonewprivs:1.3`,
    { Entrypoint: ['/nnp'] },
    makeLayer(new Map([['nnp', program(programs.nnp, 0o4755)]])),
  );
  add(
    `${TOOLS}/test-image-predefined-group:latest`,
    { ...SHELL, User: '1000' },
    makeLayer(predefinedGroup()),
  );
  for (const [name, User] of [
    ['uid', '1002'],
    ['username', 'www-data'],
    ['uid-group', '1003:1004'],
    ['username-group', 'www-data:1004'],
  ] as const) {
    add(`${TOOLS}/test-image-user-${name}:latest`, { ...SHELL, User });
  }
  // Images to be pulled and removed: each has to be another, but for those that have to be the same.
  for (const name of [
    'test-image-1',
    'test-image-2',
    'test-image-3',
    'test-image-latest',
    'test-image-digest',
  ])
    add(`${TOOLS}/${name}:latest`, SHELL, marker(name));
  for (const tag of ['test', 'all']) add(`${TOOLS}/test-image-tag:${tag}`, SHELL, marker(`tag-${tag}`));
  for (const tag of ['1', '2', '3']) add(`${TOOLS}/test-image-tags:${tag}`, SHELL, marker('tags'));
  for (const registry of ['registry.k8s.io', 'k8s.gcr.io'])
    add(`${registry}/pause:3.9`, { ...SHELL, User: '65535:65535' }, marker('pause'));
  return images;
}

/** busybox under all of its names. They are hard links: to mask one must not mask the others. */
function userland({ busybox, applets }: Programs): Map<string, Entry> {
  const directories = [
    'etc',
    'root',
    'home',
    'proc',
    'sys',
    'dev',
    'run',
    'mnt',
    'srv',
    'var',
    'usr',
    'usr/sbin',
  ];
  return new Map<string, Entry>([
    ...['bin', ...directories].map((name): [string, Entry] => [name, { directory: true }]),
    ['tmp', { directory: true, mode: 0o1777 }],
    ['var/run', { symlink: '../run' }],
    ['etc/passwd', lines(ACCOUNTS.passwd)],
    ['etc/group', lines(ACCOUNTS.group)],
    ['bin/busybox', program(busybox)],
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name): [string, Entry] => [`bin/${name}`, { hardLink: 'bin/busybox' }]),
  ]);
}

function predefinedGroup(): Map<string, Entry> {
  return new Map([
    ['etc/passwd', lines([...ACCOUNTS.passwd, 'default-user:x:1000:1000::/home:/bin/sh'])],
    ['etc/group', lines([...ACCOUNTS.group, 'default-user:x:1000:', 'group-of-image:x:50000:default-user'])],
  ]);
}

function marker(name: string): Layer {
  return makeLayer(new Map([['marker', file(`${name}\n`)]]));
}

function file(text: string): Entry {
  return { content: Buffer.from(text) };
}

function lines(list: readonly string[]): Entry {
  return file(`${list.join('\n')}\n`);
}

function program(content: Buffer, mode = 0o755): Entry {
  return { content, mode };
}

function goArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
