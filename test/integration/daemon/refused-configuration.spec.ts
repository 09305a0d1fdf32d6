import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';

type Conf = Record<string, unknown>;

/** Six addresses, of which the bridge takes one. */
const SUBNET = '10.97.0.0/29';
const ATTEMPTS = 6;

describe('a network whose configuration a plugin refuses', () => {
  let rig: Rig;
  let scratch: Scratch;
  beforeEach(async () => {
    scratch = await Scratch.create();
    rig = await Rig.start();
  });
  afterEach(async () => {
    await rig[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  const ipam = (): Conf => ({
    type: 'host-local',
    ranges: [[{ subnet: SUBNET }]],
    dataDir: join(scratch.path, 'ipam'),
  });
  const bridge = (more: Conf = {}): Conf => ({
    type: 'bridge',
    bridge: 'brt0',
    isGateway: true,
    ipam: ipam(),
    ...more,
  });
  const ptp = (more: Conf = {}): Conf => ({ type: 'ptp', ipam: ipam(), ...more });
  const firewall = (more: Conf = {}): Conf => ({ type: 'firewall', backend: 'iptables', ...more });

  async function configure(plugins: Conf[]): Promise<void> {
    const list = { cniVersion: '1.0.0', name: 'refused', plugins };
    await writeFile(join(rig.daemon.confDir, '00-refused.conflist'), JSON.stringify(list));
  }

  const cases: [string, () => Conf[], () => Conf[], RegExp][] = [
    [
      'firewall behind bridge',
      () => [bridge(), firewall({ ingressPolicy: 'same_bridge' })],
      () => [bridge(), firewall({ ingressPolicy: 'same-bridge' })],
      /unknown ingress policy/,
    ],
    [
      'bridge, by ipMasqBackend',
      () => [bridge({ ipMasq: true, ipMasqBackend: 'nft' })],
      () => [bridge({ ipMasq: true })],
      /unknown ipmasq backend/,
    ],
    [
      'ptp, by ipMasqBackend',
      () => [ptp({ ipMasq: true, ipMasqBackend: 'nft' })],
      () => [ptp({ ipMasq: true })],
      /unknown ipmasq backend/,
    ],
    [
      'bridge with an IPAM that does not exist',
      () => [bridge({ ipam: { ...ipam(), type: 'hostlocal' } })],
      () => [bridge()],
      /failed to find plugin "hostlocal"/,
    ],
    [
      'vrf behind ptp',
      () => [ptp(), { type: 'vrf' }],
      // Not every kernel has VRFs.
      () => [ptp()],
      /expected to have a valid vrf name/,
    ],
  ];
  for (const [what, wrong, right, message] of cases) {
    it(`(${what}) owes nothing for pods that failed, and gives addresses once it is corrected`, async () => {
      const { client, directory } = rig.daemon;
      const run = (name: string): Promise<string> => client.run(podConfig(name));
      await configure(wrong());
      await eventually('the network is the one that refuses', async () => {
        const id = await run('early').catch((error: unknown) => message.test(String(error)) || undefined);
        if (typeof id === 'string') await client.remove(id);
        return id === true ? true : undefined;
      });
      for (let i = 1; i < ATTEMPTS; i++) await assert.rejects(run(`refused-${i}`), message);
      const debts = join(directory, 'root/debts');
      assert.deepEqual(existsSync(debts) ? readdirSync(debts) : [], []);
      await configure(right());
      const id = await eventually('a pod has an address', () => run('corrected').catch(() => undefined));
      assert.match((await client.podStatus(id)).status?.network?.ip ?? '', /^10\.97\.0\./);
      await client.remove(id);
    });
  }
});
