import assert from 'node:assert/strict';
import type { CriDeps } from '../../../src/cri/deps.ts';
import { sandboxInfo } from '../../../src/cri/runtime/sandbox-info.ts';
import { directFiles } from '../../../src/lib/atomic-file.ts';
import type { Result } from '../../../src/network/cni/types.ts';
import { newState, sandboxFiles, type SandboxRecord } from '../../../src/pod/sandbox/record.ts';
import { Sandbox } from '../../../src/pod/sandbox/sandbox.ts';

const deps = { pods: { namespaces: { isNamespace: () => true } } } as unknown as CriDeps;

function cniResult(result: Partial<Result>): unknown {
  const network = { name: 'net', source: '', plugins: [] };
  const record = {
    namespaces: { network: '/run/netns/x' },
    config: {},
    attachments: [{ network, ifName: 'eth0', capabilityArgs: {} }],
  } as unknown as SandboxRecord;
  const whole: Result = { interfaces: [], ips: [], routes: [], dns: {}, ...result } as Result;
  const state = { ...newState, phase: 'ready', results: [whole] } as const;
  const { Interfaces } = sandboxInfo(deps, new Sandbox(record, sandboxFiles('/nowhere', directFiles), state))[
    'cniResult'
  ] as {
    Interfaces: unknown;
  };
  return Interfaces;
}

describe('the verbose info of a sandbox', () => {
  it('shows each interface of the CNI result with its addresses', () => {
    const shown = cniResult({
      interfaces: [
        { name: 'cni0', mac: 'aa:bb' },
        { name: 'eth0', sandbox: '/run/netns/x' },
      ],
      ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 }],
    });
    assert.deepEqual(shown, {
      cni0: { IPConfigs: [], Mac: 'aa:bb', Sandbox: '' },
      eth0: { IPConfigs: [{ IP: '10.1.0.2', Gateway: '10.1.0.1' }], Mac: '', Sandbox: '/run/netns/x' },
    });
  });

  it('shows addresses that are tied to no interface on the one that was asked for', () => {
    const IPConfigs = [{ IP: '10.1.0.2', Gateway: '' }];
    const ips = [{ address: '10.1.0.2/24' }];
    assert.deepEqual(cniResult({ ips }), { eth0: { IPConfigs, Mac: '', Sandbox: '' } });
    assert.deepEqual(cniResult({ ips, interfaces: [{ name: 'eth0', mac: 'aa:bb', sandbox: '/s' }] }), {
      eth0: { IPConfigs, Mac: 'aa:bb', Sandbox: '/s' },
    });
  });
});
