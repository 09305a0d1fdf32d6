import assert from 'node:assert/strict';
import type { NamespaceOption__Output } from '../../../src/gen/runtime/v1/NamespaceOption.ts';
import type { UserNamespace__Output } from '../../../src/gen/runtime/v1/UserNamespace.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import type { SpecInput } from '../../../src/oci/input.ts';
import { pidMode, withNamespaces } from '../../../src/oci/namespaces.ts';
import { withSysfsOfNode } from '../../../src/oci/root.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import { askedUserNamespace } from '../../../src/oci/user-namespace.ts';
import {
  containerConfig,
  features,
  hostFacts,
  namespaceOptions,
  sandboxFacts,
  secured,
  securedSandbox,
  specInput,
} from './spec-input.ts';

const FIELD = 'config.linux.security_context.namespace_options';
const withOptions = (part: Partial<NamespaceOption__Output>, input: Partial<SpecInput> = {}): RuntimeSpec =>
  withNamespaces(
    BASE_SPEC,
    specInput({ config: secured({ namespaceOptions: namespaceOptions(part) }), ...input }),
  );
const kinds = (spec: RuntimeSpec): string[] =>
  spec.linux.namespaces.map(({ type, path }) => `${type} ${path ?? 'new'}`);

describe('namespaces', () => {
  it("are the pod's, with a mount namespace of the container's own", () => {
    const pods = ['mount new', 'network /pins/net', 'ipc /pins/ipc', 'uts /pins/uts', 'pid /pins/pid'];
    assert.deepEqual(kinds(withNamespaces(BASE_SPEC, specInput())), pods);
    assert.deepEqual(kinds(withOptions({})), pods);
  });

  it("are the node's where the pod has none", () => {
    assert.deepEqual(kinds(withOptions({ pid: 'NODE' }, { sandbox: sandboxFacts({ namespaces: {} }) })), [
      'mount new',
    ]);
  });

  it('of pids follow the mode', () => {
    const pid = (
      part: Partial<NamespaceOption__Output>,
      input: Partial<SpecInput> = {},
    ): string | undefined => kinds(withOptions(part, input)).find((kind) => kind.startsWith('pid'));
    assert.equal(pid({ pid: 'CONTAINER' }), 'pid new');
    assert.equal(pid({ pid: 'NODE' }), undefined);
    assert.equal(
      pid({ pid: 'TARGET', targetId: 'x' }, { pidNamespace: '/proc/7/ns/pid' }),
      'pid /proc/7/ns/pid',
    );
    const without: { pidNamespace?: string } & SpecInput = { ...specInput() };
    delete without.pidNamespace;
    assert.throws(() => withNamespaces(BASE_SPEC, without), { code: 'INTERNAL' });
  });

  it('of pids are POD when nothing is said, and TARGET only with a target', () => {
    assert.equal(pidMode(containerConfig()), 'POD');
    assert.equal(pidMode(secured({})), 'POD');
    assert.throws(() => pidMode(secured({ namespaceOptions: namespaceOptions({ pid: 'TARGET' }) })), {
      code: 'INVALID_ARGUMENT',
      meta: { field: `${FIELD}.target_id` },
    });
    const unknown = namespaceOptions({ pid: 9 as unknown as 'POD' });
    assert.throws(() => pidMode(secured({ namespaceOptions: unknown })), { meta: { field: `${FIELD}.pid` } });
  });

  it('hide the cgroups of others on v2, except from a privileged container', () => {
    const host = hostFacts({ cgroups: 'v2' });
    assert.ok(kinds(withOptions({}, { host })).includes('cgroup new'));
    assert.ok(!kinds(withOptions({}, { host: hostFacts({ cgroups: 'hybrid' }) })).includes('cgroup new'));
    const config = secured({ privileged: true });
    assert.ok(!kinds(withNamespaces(BASE_SPEC, specInput({ config, host }))).includes('cgroup new'));
  });
});

describe('a user namespace', () => {
  const mapping = (
    hostId: number,
    containerId = 0,
    length = 65536,
  ): { hostId: number; containerId: number; length: number } => ({
    hostId,
    containerId,
    length,
  });
  const pod = (hostId = 100000): UserNamespace__Output => ({
    mode: 'POD',
    uids: [mapping(hostId)],
    gids: [mapping(hostId)],
  });
  const sandbox = (
    options: UserNamespace__Output,
    more: { user?: string } = { user: '/pins/user' },
  ): SpecInput['sandbox'] =>
    sandboxFacts({
      config: securedSandbox({ namespaceOptions: namespaceOptions({ usernsOptions: options }) }),
      namespaces: { network: '/pins/net', ...more },
    });

  it("is the sandbox's, with its mappings", () => {
    const { linux } = withOptions({ usernsOptions: pod() }, { sandbox: sandbox(pod()) });
    assert.deepEqual(linux.namespaces.at(-1), { type: 'user', path: '/pins/user' });
    assert.deepEqual(linux.uidMappings, [{ containerID: 0, hostID: 100000, size: 65536 }]);
    assert.deepEqual(linux.gidMappings, linux.uidMappings);
  });

  it("must be the sandbox's", () => {
    const field = `${FIELD}.userns_options`;
    for (const [own, pods] of [
      [pod(1), pod(2)],
      [null, pod()],
      [pod(), { mode: 'NODE', uids: [], gids: [] }],
    ] as [UserNamespace__Output | null, UserNamespace__Output][]) {
      assert.throws(() => withOptions({ usernsOptions: own }, { sandbox: sandbox(pods) }), {
        meta: { field },
      });
    }
    const node: UserNamespace__Output = { mode: 'NODE', uids: [], gids: [] };
    assert.equal(withOptions({ usernsOptions: node }).linux.uidMappings, undefined);
    assert.throws(() => withOptions({ usernsOptions: pod() }, { sandbox: sandbox(pod(), {}) }), {
      code: 'FAILED_PRECONDITION',
    });
  });

  it('needs exactly one mapping of each kind, and root in it', () => {
    const bad: [UserNamespace__Output, string][] = [
      [{ mode: 'POD', uids: [], gids: [mapping(1)] }, 'f.uids'],
      [{ mode: 'POD', uids: [mapping(1), mapping(2)], gids: [mapping(1)] }, 'f.uids'],
      [{ mode: 'POD', uids: [mapping(1)], gids: [mapping(1, 1)] }, 'f.gids'],
      [{ mode: 'POD', uids: [mapping(1, 0, 0)], gids: [mapping(1)] }, 'f.uids'],
      [{ mode: 'NODE', uids: [mapping(1)], gids: [] }, 'f'],
      [{ mode: 'CONTAINER', uids: [], gids: [] }, 'f.mode'],
      [{ mode: 'TARGET', uids: [], gids: [] }, 'f.mode'],
      [{ mode: 7 as unknown as 'POD', uids: [], gids: [] }, 'f.mode'],
    ];
    for (const [options, field] of bad) {
      assert.throws(() => askedUserNamespace(options, 'f'), { code: 'INVALID_ARGUMENT', meta: { field } });
    }
    assert.equal(askedUserNamespace(null, 'f'), undefined);
  });

  it("with the node's network sees the node's /sys, read-only", () => {
    const input = specInput({ sandbox: sandboxFacts({ namespaces: { user: '/pins/user' } }) });
    const sys = (runtime = features()): RuntimeSpec['mounts'][number] | undefined =>
      withSysfsOfNode(BASE_SPEC, { ...input, runtime }).mounts.find(
        ({ destination }) => destination === '/sys',
      );
    assert.deepEqual([sys()?.type, sys()?.source, sys()?.options.at(-1)], ['bind', '/sys', 'rro']);
    assert.equal(sys(features({ recursiveReadOnly: false }))?.options.at(-1), 'ro');
    assert.deepEqual(withSysfsOfNode(BASE_SPEC, specInput()), BASE_SPEC);
  });
});
