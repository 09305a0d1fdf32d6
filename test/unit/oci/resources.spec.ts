import assert from 'node:assert/strict';
import type { LinuxContainerResources__Output } from '../../../src/gen/runtime/v1/LinuxContainerResources.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { decodeJson, encodeJson } from '../../../src/lib/exact-json.ts';
import type { HostFacts } from '../../../src/oci/host-facts.ts';
import { criResources, updateResources, withResources } from '../../../src/oci/resources.ts';
import { withCgroup } from '../../../src/oci/root.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import {
  containerConfig,
  hostFacts,
  resources,
  sandboxFacts,
  securedSandbox,
  specInput,
} from './spec-input.ts';

const limited = (
  part: Partial<LinuxContainerResources__Output>,
  host: Partial<HostFacts> = {},
): RuntimeSpec => {
  const config = containerConfig({ linux: { resources: resources(part), securityContext: null } });
  return withResources(BASE_SPEC, specInput({ config, host: hostFacts(host) }));
};
const FIELD = 'config.linux.resources';

describe('resources', () => {
  it('are absent without a request, also the score', () => {
    assert.equal(withResources(BASE_SPEC, specInput()), BASE_SPEC);
  });

  it('are what the request says; 0 and empty say nothing', () => {
    const spec = limited({
      cpuPeriod: '100000',
      cpuQuota: '-1',
      cpuShares: '512',
      cpusetCpus: '0-1,3',
      cpusetMems: '0',
    });
    assert.deepEqual(spec.linux.resources.cpu, {
      period: 100000,
      quota: -1,
      shares: 512,
      cpus: '0-1,3',
      mems: '0',
    });
    assert.deepEqual(limited({}).linux.resources, {
      devices: BASE_SPEC.linux.resources.devices,
      cpu: {},
      memory: {},
    });
  });

  it('let memory and swap together be no more than memory, unless swap has a limit of its own', () => {
    const memory = (part: Partial<LinuxContainerResources__Output>, swapLimit = true): unknown =>
      limited(part, { swapLimit }).linux.resources.memory;
    assert.deepEqual(memory({ memoryLimitInBytes: '1000' }), { limit: 1000, swap: 1000 });
    assert.deepEqual(memory({ memoryLimitInBytes: '1000', memorySwapLimitInBytes: '3000' }), {
      limit: 1000,
      swap: 3000,
    });
    assert.deepEqual(memory({ memoryLimitInBytes: '1000', memorySwapLimitInBytes: '-1' }), {
      limit: 1000,
      swap: -1,
    });
    assert.deepEqual(memory({ memoryLimitInBytes: '1000', memorySwapLimitInBytes: '3000' }, false), {
      limit: 1000,
    });
  });

  it('keep all 64 bits, also as JSON', () => {
    const spec = limited({ memoryLimitInBytes: '9223372036854775807' });
    assert.equal(spec.linux.resources.memory?.limit, 9223372036854775807n);
    assert.match(encodeJson(spec), /"limit":9223372036854775807,/);
    assert.deepEqual(decodeJson(encodeJson(spec)), spec);
  });

  it('limit huge pages where cgroups can', () => {
    const hugepageLimits = [{ pageSize: '2MB', limit: '18446744073709551615' }];
    assert.deepEqual(limited({ hugepageLimits }).linux.resources.hugepageLimits, [
      { pageSize: '2MB', limit: 18446744073709551615n },
    ]);
    assert.equal(
      limited({ hugepageLimits }, { hugepageLimit: false }).linux.resources.hugepageLimits,
      undefined,
    );
  });

  it('pass the unified map on with cgroup v2, and refuse it without', () => {
    const part = { unified: { 'memory.high': '1000', 'hugetlb.2MB.max': '0' } };
    assert.deepEqual(limited(part, { cgroups: 'v2' }).linux.resources.unified, part.unified);
    assert.throws(() => limited(part, { cgroups: 'hybrid' }), { code: 'FAILED_PRECONDITION' });
    for (const name of ['../x', 'memory/high', 'memory', 'a..b'])
      assert.throws(
        () => limited({ unified: { [name]: '1' } }, { cgroups: 'v2' }),
        { code: 'INVALID_ARGUMENT' },
        name,
      );
  });

  it('never ask for a score below what we may set', () => {
    const score = (oomScoreAdj: string, leastOomScoreAdj?: number): number | undefined =>
      limited({ oomScoreAdj }, { leastOomScoreAdj }).process.oomScoreAdj;
    assert.deepEqual([score('-997'), score('0'), score('1000')], [-997, 0, 1000]);
    assert.deepEqual([score('-997', -5), score('-3', -5), score('7', -5)], [-5, -3, 7]);
  });

  it('out of range are refused by name', () => {
    const bad: [Partial<LinuxContainerResources__Output>, string][] = [
      [{ cpuPeriod: '-1' }, 'cpu_period'],
      [{ cpuQuota: '-2' }, 'cpu_quota'],
      [{ cpuShares: '-1' }, 'cpu_shares'],
      [{ memoryLimitInBytes: '-2' }, 'memory_limit_in_bytes'],
      [{ memorySwapLimitInBytes: '-2' }, 'memory_swap_limit_in_bytes'],
      [{ oomScoreAdj: '1001' }, 'oom_score_adj'],
      [{ cpusetCpus: '0-' }, 'cpuset_cpus'],
      [{ cpusetMems: 'a' }, 'cpuset_mems'],
      [{ hugepageLimits: [{ pageSize: '2M', limit: '1' }] }, 'hugepage_limits[0].page_size'],
    ];
    for (const [part, field] of bad)
      assert.throws(
        () => limited(part),
        { code: 'INVALID_ARGUMENT', meta: { field: `${FIELD}.${field}` } },
        field,
      );
  });

  it('of a running container change only where the update says so', () => {
    const before = limited({
      cpuShares: '512',
      memoryLimitInBytes: '1000',
      oomScoreAdj: '5',
      hugepageLimits: [{ pageSize: '2MB', limit: '1' }],
    });
    const request = resources({
      memoryLimitInBytes: '2000',
      oomScoreAdj: '9',
      hugepageLimits: [{ pageSize: '2MB', limit: '4' }],
    });
    const after = updateResources(before, request, hostFacts());
    assert.deepEqual(after.linux.resources, {
      devices: before.linux.resources.devices,
      cpu: { shares: 512 },
      memory: { limit: 2000, swap: 2000 },
      hugepageLimits: [{ pageSize: '2MB', limit: 4 }],
    });
    assert.equal(after.process.oomScoreAdj, 5);
    assert.equal(before.linux.resources.memory?.limit, 1000);
    assert.throws(() => updateResources(before, resources({ cpuQuota: '-2' }), hostFacts()), {
      meta: { field: 'linux.cpu_quota' },
    });
  });

  it('are reported as they were asked for', () => {
    const part = {
      cpuPeriod: '7',
      cpuQuota: '8',
      memoryLimitInBytes: '9223372036854775807',
      memorySwapLimitInBytes: '-1',
      oomScoreAdj: '3',
    };
    assert.deepEqual(criResources(limited(part)), resources(part));
    assert.deepEqual(criResources(BASE_SPEC), resources());
  });
});

describe('the cgroup of a container', () => {
  const path = (cgroupParent: string): string =>
    withCgroup(BASE_SPEC, specInput({ sandbox: sandboxFacts({ config: securedSandbox({ cgroupParent }) }) }))
      .linux.cgroupsPath;

  it('is below the parent, in the form that its driver wants', () => {
    assert.equal(path('/kubepods/pod1'), '/kubepods/pod1/container1');
    assert.equal(path('/kubepods.slice/kubepods-pod1.slice'), 'kubepods-pod1.slice:berth:container1');
    assert.equal(path(''), '/k8s.io/container1');
    assert.throws(() => path('/a/../../b'), { code: 'INVALID_ARGUMENT' });
  });
});

describe('exact JSON', () => {
  it('leaves strings and fractions alone', () => {
    const text =
      '{"a":"12345678901234567890","b":0.1234567890123456789,"c":"\\"-9999999999999999999","d":1e30,"e":[-9007199254740993]}';
    const value = decodeJson(text);
    assert.deepEqual(value, {
      a: '12345678901234567890',
      b: 0.1234567890123456789,
      c: '"-9999999999999999999',
      d: 1e30,
      e: [-9007199254740993n],
    });
    assert.deepEqual(decodeJson(encodeJson(value)), value);
    assert.throws(() => decodeJson('{"a":}'), SyntaxError);
  });
});
