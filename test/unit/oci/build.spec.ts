import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { buildSpec } from '../../../src/oci/build.ts';
import { encodeJson } from '../../../src/lib/exact-json.ts';
import { detectHostFacts } from '../../../src/oci/host-facts.ts';
import { detectRuntimeFeatures, parseFeatures } from '../../../src/oci/runtime-features.ts';
import {
  containerConfig,
  handlerRules,
  mount,
  sandboxConfig,
  sandboxFacts,
  secured,
  securedSandbox,
  specInput,
} from './spec-input.ts';

describe('the runtime spec', () => {
  it('of the simplest container has what containerd would give it', async () => {
    const spec = await buildSpec(specInput());
    assert.equal(spec.root.path, 'rootfs');
    assert.deepEqual(spec.process.args, ['true']);
    assert.deepEqual(spec.mounts, BASE_SPEC.mounts);
    assert.equal(spec.linux.cgroupsPath, '/k8s.io/container1');
    assert.equal(spec.linux.seccomp, undefined);
    assert.equal(spec.process.oomScoreAdj, undefined);
  });

  it("carries containerd's annotations", async () => {
    assert.deepEqual((await buildSpec(specInput())).annotations, {
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.sandbox-id': 'sandbox1',
      'io.kubernetes.cri.sandbox-name': 'shop',
      'io.kubernetes.cri.sandbox-namespace': 'prod',
      'io.kubernetes.cri.sandbox-uid': 'u-1',
      'io.kubernetes.cri.container-name': 'web',
      'io.kubernetes.cri.image-name': 'registry.example/web:1',
    });
  });

  it('carries annotations of pod and container that the handler asks for; never in place of the others', async () => {
    const handler = handlerRules({ podAnnotations: ['a.*/x', 'io.*'], containerAnnotations: ['b?', '[c]'] });
    const forged = { 'io.kubernetes.cri.sandbox-id': 'forged' };
    const config = containerConfig({ annotations: { b1: '4', b22: '5', '[c]': '6', 'a.b/x': '7' } });
    const pod = sandboxConfig({ annotations: { 'a.b/x': '1', 'a.b/c/x': '2', 'aXb/x': '3', ...forged } });
    const input = specInput({ handler, config, sandbox: sandboxFacts({ config: pod }) });
    const { annotations } = await buildSpec(input);
    const passed = Object.entries(annotations).filter(([name]) => !name.startsWith('io.kubernetes.'));
    assert.deepEqual(Object.fromEntries(passed), { 'a.b/x': '1', b1: '4', '[c]': '6' });
    assert.equal(annotations['io.kubernetes.cri.sandbox-id'], 'sandbox1');
  });

  it('of a privileged container has no filter, all our capabilities and all devices', async () => {
    const spec = await buildSpec(
      specInput({
        config: secured({
          privileged: true,
          seccomp: { profileType: 'RuntimeDefault', localhostRef: '' },
          capabilities: { addCapabilities: [], dropCapabilities: ['ALL'], addAmbientCapabilities: [] },
        }),
        sandbox: sandboxFacts({ config: securedSandbox({ privileged: true }) }),
      }),
    );
    assert.equal(spec.linux.seccomp, undefined);
    assert.ok(spec.process.capabilities.bounding.includes('CAP_SYS_ADMIN'));
    assert.ok((spec.linux.devices?.length ?? 0) > 5);
  });

  it('filters by the capabilities that the container ends up with', async () => {
    const seccomp = { profileType: 'RuntimeDefault' as const, localhostRef: '' };
    const capabilities = {
      addCapabilities: ['SYS_ADMIN'],
      dropCapabilities: ['SYS_CHROOT'],
      addAmbientCapabilities: [],
    };
    const { linux } = await buildSpec(specInput({ config: secured({ seccomp, capabilities }) }));
    const free = linux.seccomp?.syscalls?.flatMap(({ names }) => names) ?? [];
    assert.ok(free.includes('mount') && !free.includes('chroot'));
  });

  it('makes no directory for a request that is refused', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-build-'));
    try {
      const hostPath = join(directory, 'new');
      const bad = containerConfig({
        mounts: [mount({ hostPath, containerPath: '/a' })],
        devices: [{ hostPath: '/dev/absent', containerPath: '', permissions: 'r' }],
      });
      await assert.rejects(buildSpec(specInput({ config: bad })), { code: 'INVALID_ARGUMENT' });
      assert.equal(existsSync(hostPath), false);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('does not change what it is made from, nor the defaults', async () => {
    const input = specInput();
    const before = [encodeJson(input), encodeJson(BASE_SPEC)];
    await buildSpec(input);
    assert.deepEqual([encodeJson(input), encodeJson(BASE_SPEC)], before);
  });
});

describe('what the node can do', () => {
  it('is found out without root', () => {
    const facts = detectHostFacts({ restrictOomScoreAdj: 'always' });
    assert.equal(facts.architecture, process.arch);
    assert.equal(facts.hostname, hostname);
    assert.equal(typeof facts.leastOomScoreAdj, 'number');
    assert.equal(detectHostFacts({ restrictOomScoreAdj: 'never' }).leastOomScoreAdj, undefined);
    const restricted = detectHostFacts().leastOomScoreAdj !== undefined;
    assert.equal(restricted, !facts.capabilities.includes('CAP_SYS_RESOURCE'));
  });

  it('depends on what the OCI runtime says of itself', () => {
    const runc = {
      mountOptions: ['ro', 'rro'],
      linux: { namespaces: ['user'], mountExtensions: { idmap: { enabled: true } } },
    };
    assert.deepEqual(parseFeatures('runc', JSON.stringify(runc)), {
      name: 'runc',
      recursiveReadOnly: true,
      idmap: true,
      userNamespaces: true,
    });
    const old = { name: 'old', recursiveReadOnly: false, idmap: false, userNamespaces: true };
    assert.deepEqual(parseFeatures('old', 'unknown command'), old);
    assert.equal(parseFeatures('x', '{"linux":{"namespaces":[]}}').userNamespaces, false);
  });

  it('depends on the kernel, too, where a runtime says what it was built for', () => {
    const runc = {
      mountOptions: ['rro'],
      linux: { namespaces: ['user'], mountExtensions: { idmap: { enabled: true } } },
    };
    const mounts = (kernel: string): readonly boolean[] => {
      const { recursiveReadOnly, idmap, userNamespaces } = parseFeatures('x', JSON.stringify(runc), kernel);
      return [recursiveReadOnly, idmap, userNamespaces];
    };
    for (const old of ['4.18.0-553.el8.x86_64', '5.4.0-200-generic', '5.11.22'])
      assert.deepEqual(mounts(old), [false, false, true]);
    for (const recent of ['5.12.0', '5.15.0-1', '6.1.0-25-amd64', '10.0'])
      assert.deepEqual(mounts(recent), [true, true, true]);
  });

  it('is the least for a runtime that does not know the question', async () => {
    const { features, isRefusal } = await detectRuntimeFeatures('false');
    assert.equal(isRefusal, true);
    assert.equal(features.recursiveReadOnly, false);
    await assert.rejects(detectRuntimeFeatures('/absent/runc'), { code: 'ENOENT' });
  });
});
