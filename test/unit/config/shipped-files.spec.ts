import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultConfig } from '../../../src/config/load.ts';
import { snakeCase } from '../../../src/config/keys.ts';
import { runtimeHandlerSchema, sections } from '../../../src/config/schema.ts';
import { packageRoot } from '../../../src/lib/package-root.ts';

function shipped(name: string): string {
  return readFileSync(join(packageRoot(), 'config', name), 'utf8');
}

describe('the files in config/', () => {
  it('config.toml names every key and has a line of comment for each', () => {
    const lines = shipped('config.toml').split('\n');
    const handler = Object.keys(runtimeHandlerSchema.shape);
    const keys = Object.values(sections).flatMap(({ shape }) => Object.keys(shape));
    for (const key of [...keys.filter((key) => key !== 'runtimes'), ...handler].map(snakeCase)) {
      const at = lines.findIndex((line) => line.startsWith(`${key} = `));
      assert.notEqual(at, -1, `${key} is missing`);
      const above = lines[at - 1] ?? '';
      assert.ok(above.startsWith('# ') || /^\w+ = /.test(above), `${key} has no comment`);
    }
  });

  it('crictl.yaml points at the default socket', () => {
    const endpoints = [...shipped('crictl.yaml').matchAll(/^(\w+)-endpoint: unix:\/\/(.*)$/gm)];
    assert.deepEqual(
      endpoints.map((match) => match.slice(1)),
      [
        ['runtime', defaultConfig().grpc.address],
        ['image', defaultConfig().grpc.address],
      ],
    );
  });

  it('kubelet.yaml points at the default socket, and is what the README shows', () => {
    const text = shipped('kubelet.yaml');
    const [, endpoint] = /^containerRuntimeEndpoint: unix:\/\/(.*)$/m.exec(text) ?? [];
    assert.equal(endpoint, defaultConfig().grpc.address);
    assert.ok(shipped('../README.md').includes(`\`\`\`yaml\n${text}\`\`\`\n`));
  });

  it('berth.service leaves the pods alone when the daemon stops', () => {
    const settings = new Map(
      [...shipped('berth.service').matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [
        key,
        value,
      ]),
    );
    assert.equal(settings.get('KillMode'), 'process');
    assert.equal(settings.get('Delegate'), 'yes');
    assert.equal(settings.get('OOMScoreAdjust'), '-999');
    assert.equal(settings.get('Restart'), 'always');
    assert.match(settings.get('ExecStart') ?? '', /\/env berth serve$/);
  });

  it('10-berth.conflist is the bridge with a default route and host ports', () => {
    const list = JSON.parse(shipped('cni/10-berth.conflist')) as {
      cniVersion: string;
      name: string;
      plugins: Record<string, unknown>[];
    };
    assert.deepEqual([list.cniVersion, list.name], ['1.0.0', 'berth']);
    assert.deepEqual(
      list.plugins.map((plugin) => plugin['type']),
      ['bridge', 'portmap'],
    );
    assert.deepEqual(list.plugins[0]?.['ipam'], {
      type: 'host-local',
      ranges: [[{ subnet: '10.88.0.0/16' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    });
    assert.deepEqual(list.plugins[1]?.['capabilities'], { portMappings: true });
  });
});
