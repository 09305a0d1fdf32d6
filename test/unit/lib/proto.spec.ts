import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../../../src/lib/package-root.ts';
import { loadCri, loaderOptions } from '../../../src/lib/proto.ts';

async function generatorFlags(): Promise<string[]> {
  const url = pathToFileURL(join(packageRoot(), '.ci/gen-proto.mjs')).href;
  const script = (await import(url)) as { shape: string[] };
  return script.shape;
}

/** The loader's options as the generator's command line writes them. */
function asFlags(options: Record<string, unknown>): string[] {
  return Object.entries(options).map(([name, value]) => {
    if (value === true) return `--${name}`;
    assert.equal(value, String, `${name} has no form as a flag`);
    return `--${name}=String`;
  });
}

describe('the wire contract', () => {
  it('is decoded with the options that the types were generated with', async () => {
    assert.deepEqual(asFlags(loaderOptions).sort(), (await generatorFlags()).sort());
  });

  it('decodes int64 as strings, enums as names and absent fields as defaults', () => {
    const { responseDeserialize, responseSerialize } = loadCri().RuntimeService.service.PodSandboxStatus;
    const wire = responseSerialize({
      status: { id: 'a', createdAt: '1753000000000000001', state: 'SANDBOX_NOTREADY' },
    });
    const { status, info, containersStatuses, timestamp } = responseDeserialize(wire);
    assert.equal(status?.createdAt, '1753000000000000001');
    assert.equal(status.state, 'SANDBOX_NOTREADY');
    assert.equal(status.network, null);
    assert.deepEqual(status.labels, {});
    assert.deepEqual(info, {});
    assert.deepEqual(containersStatuses, []);
    assert.equal(timestamp, '0');
  });

  it('is read once, however often it is asked for', () => {
    assert.equal(loadCri(), loadCri());
  });

  it('has both services on their paths', () => {
    const cri = loadCri();
    assert.equal(cri.RuntimeService.service.RunPodSandbox.path, '/runtime.v1.RuntimeService/RunPodSandbox');
    assert.equal(cri.RuntimeService.service.StreamPodSandboxes.responseStream, true);
    assert.equal(cri.ImageService.service.ImageFsInfo.path, '/runtime.v1.ImageService/ImageFsInfo');
  });
});
