import assert from 'node:assert/strict';
import fc from 'fast-check';
import { capabilityArgs, formatArgs, podArgs } from '../../../../src/network/cni/args.ts';
import { parseQuantity } from '../../../../src/network/cni/quantity.ts';

const INGRESS = 'kubernetes.io/ingress-bandwidth';
const EGRESS = 'kubernetes.io/egress-bandwidth';

describe('CNI_ARGS', () => {
  it('name the pod in the order that plugins know', () => {
    const args = podArgs({ namespace: 'default', name: 'web', uid: 'u-1', sandboxId: 'abc' });
    assert.equal(
      formatArgs(args),
      'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u-1',
    );
  });

  it('refuse a value that would read back as something else', () => {
    assert.throws(() => formatArgs([['A', 'x;IP=10.0.0.1']]), /invalid CNI_ARGS A/);
    assert.throws(() => formatArgs([['A=B', 'x']]), /invalid CNI_ARGS A=B/);
  });
});

describe('capability arguments', () => {
  it('hold port mappings in lower camel case, without those that want no host port', () => {
    const portMappings = [
      { protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' },
      { protocol: 'UDP', containerPort: 53, hostPort: 53, hostIp: '127.0.0.1' },
      { protocol: 'TCP', containerPort: 90, hostPort: 0, hostIp: '' },
      { protocol: 'TCP', containerPort: 91, hostPort: -1, hostIp: '' },
    ];
    assert.deepEqual(capabilityArgs({ portMappings })['portMappings'], [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
    ]);
    assert.ok(!('portMappings' in capabilityArgs({ portMappings: portMappings.slice(2) })));
  });

  it('hold bandwidth in bits, with a burst that does not limit', () => {
    assert.deepEqual(capabilityArgs({ annotations: { [INGRESS]: '10M' } })['bandwidth'], {
      ingressRate: 10_000_000,
      ingressBurst: 4294967295,
    });
    assert.deepEqual(capabilityArgs({ annotations: { [INGRESS]: '1k', [EGRESS]: '1Gi' } })['bandwidth'], {
      ingressRate: 1000,
      ingressBurst: 4294967295,
      egressRate: 1073741824,
      egressBurst: 4294967295,
    });
    assert.ok(!('bandwidth' in capabilityArgs({ annotations: { other: '1' } })));
  });

  for (const [value, problem] of [
    ['fast', /is not a quantity/],
    ['', /is not a quantity/],
    ['999', /unreasonably small/],
    ['-5M', /unreasonably small/],
    ['2P', /unreasonably large/],
  ] as const) {
    it(`refuse the bandwidth "${value}" and name the annotation`, () => {
      const work = () => capabilityArgs({ annotations: { [EGRESS]: value } });
      assert.throws(work, (error: Error) => error.message.includes(EGRESS) && problem.test(error.message));
    });
  }

  it('hold dns, cgroup path, and annotations when they are given', () => {
    assert.deepEqual(
      capabilityArgs({
        dns: { servers: ['1.1.1.1'], searches: ['a'], options: [] },
        cgroupPath: '/kubepods/pod1',
        annotations: { a: 'b' },
      }),
      {
        dns: { servers: ['1.1.1.1'], searches: ['a'], options: [] },
        cgroupPath: '/kubepods/pod1',
        'io.kubernetes.cri.pod-annotations': { a: 'b' },
      },
    );
  });
});

describe('a resource quantity', () => {
  for (const [text, value] of [
    ['0', 0n],
    ['1', 1n],
    ['100m', 1n],
    ['1.5k', 1500n],
    ['1.5Ki', 1536n],
    ['2e3', 2000n],
    ['2E3', 2000n],
    ['3E', 3_000_000_000_000_000_000n],
    ['1.', 1n],
    ['.5', 1n],
    ['+5', 5n],
    ['-1.5', -1n],
    ['1n', 1n],
  ] as const) {
    it(`reads ${text} as ${value}`, () => assert.equal(parseQuantity(text), value));
  }

  for (const text of ['', 'k', '.', '1 k', '1kk', '1KI', '1e', 'e3', '0x10', '1'.repeat(65), '1e999', '∞']) {
    it(`refuses "${text.slice(0, 12)}"`, () => assert.equal(parseQuantity(text), undefined));
  }

  it('rounds decimals up like a whole number divided', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(999), (whole, thousandths) => {
        const text = `${whole}.${String(thousandths).padStart(3, '0')}`;
        assert.equal(parseQuantity(text), BigInt(whole) + (thousandths > 0 ? 1n : 0n));
      }),
    );
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseQuantity(text)));
  });
});
