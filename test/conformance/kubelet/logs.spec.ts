import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { IDLE, type Pod, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';

describe("logs through kubelet's own endpoint", function () {
  this.timeout(SPEC_MS);
  let rig: KubeletRig;

  before(async () => {
    rig = await KubeletRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  function path({ metadata }: Pod, container: string, query = ''): string {
    return `/containerLogs/${metadata.namespace}/${metadata.name}/${container}?${query}`;
  }

  it('are those of the container: all, the last lines, with times, and those of the restart before', async () => {
    // Nobody promises an order between two streams: the other one speaks only when this one is through.
    const first = 'seq 1 5; touch /kept/again; exit 1';
    const second = 'echo again; echo to stderr >&2';
    const kept = { volumeMounts: [{ name: 'kept', mountPath: '/kept' }] };
    await rig.apply({
      name: 'talking',
      spec: {
        volumes: [{ name: 'kept', emptyDir: {} }],
        containers: [shell('one', `[ -f /kept/again ] || { ${first}; }; ${second}; ${IDLE}`, kept)],
      },
    });
    const pod = await rig.until(
      'it runs again',
      'talking',
      ({ status }) => status.containerStatuses?.[0]?.restartCount === 1,
    );
    await rig.logged(pod, 'one', /again\n[^]*stderr|stderr\n[^]*again/, 1);
    assert.deepEqual((await rig.kubelet.get(path(pod, 'one'))).split('\n').sort(), [
      '',
      'again',
      'to stderr',
    ]);
    assert.equal(await rig.kubelet.get(path(pod, 'one', 'previous=true')), '1\n2\n3\n4\n5\n');
    assert.equal(await rig.kubelet.get(path(pod, 'one', 'previous=true&tailLines=2')), '4\n5\n');
    const timed = await rig.kubelet.get(path(pod, 'one', 'previous=true&timestamps=true&tailLines=1'));
    assert.match(timed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z 5\n$/);
    await assert.rejects(rig.kubelet.get(path(pod, 'other')), /404|container other not found/);
  });

  it('can be followed to the end of the container', async () => {
    const directory = await rig.hostDirectory('followed');
    await rig.apply({
      name: 'followed',
      spec: {
        restartPolicy: 'Never',
        volumes: [{ name: 'control', hostPath: { path: directory } }],
        containers: [
          shell(
            'one',
            'echo begun; until [ -f /control/go ]; do sleep 0.1; done; echo went; until [ -f /control/end ]; do sleep 0.1; done; echo ended',
            { volumeMounts: [{ name: 'control', mountPath: '/control' }] },
          ),
        ],
      },
    });
    const pod = await rig.until('it runs', 'followed', ({ status }) => status.phase === 'Running');
    const stream = await rig.kubelet.open(path(pod, 'one', 'follow=true'));
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const ended = new Promise((resolve) => stream.once('end', resolve));
    await rig.eventually('the first line', () => (text === 'begun\n' ? true : undefined));
    await writeFile(join(directory, 'go'), '');
    await rig.eventually('the next line', () => (text === 'begun\nwent\n' ? true : undefined));
    await writeFile(join(directory, 'end'), '');
    await ended;
    assert.equal(text, 'begun\nwent\nended\n');
  });

  it('are rotated by kubelet without losing a line', async () => {
    const directory = await rig.hostDirectory('rotated');
    // 1,000 lines at a time, of some 80 bytes with what the CRI puts before them.
    const lines = 'seq $((n + 1)) $((n + 1000)) | sed "s/$/ ................................../"';
    const writing = `n=0; until [ -f /control/end ]; do ${lines}; n=$((n + 1000)); sleep 0.5; done`;
    const pod = await rig.run({
      name: 'rotated',
      spec: {
        volumes: [{ name: 'control', hostPath: { path: directory } }],
        containers: [
          shell('one', `${writing}; echo $n > /control/last; ${IDLE}`, {
            volumeMounts: [{ name: 'control', mountPath: '/control' }],
          }),
        ],
      },
    });
    const logs = rig.logDirectory(pod, 'one');
    const seen = new Set<string>();
    await rig.eventually('the log was rotated three times', () => {
      for (const name of readdirSync(logs)) {
        const time = /^0\.log\.(\d+-\d+)/.exec(name)?.[1];
        if (time !== undefined) seen.add(time);
      }
      return seen.size >= 3 ? true : undefined;
    });
    await writeFile(join(directory, 'end'), '');
    const last = await rig.eventually('the last line was written', () =>
      existsSync(join(directory, 'last')) ? Number(readFileSync(join(directory, 'last'), 'utf8')) : undefined,
    );
    // One after the other, to the last.
    const [oldest = NaN] = await rig.eventually(
      'every line from the oldest file to the last one is there',
      () => {
        const numbers = linesIn(logs);
        const isWhole = numbers.every((number, index) => number === (numbers[0] ?? NaN) + index);
        return isWhole && numbers.at(-1) === last ? numbers : undefined;
      },
    );
    assert.ok(oldest > 1, 'kubelet has removed the oldest file');
  });

  it('nothing that kubelet called an error was of our making', () => {
    assert.deepEqual(rig.errors(), []);
  });
});

/** The numbers in all files of a log, the oldest first; none when kubelet is renaming or packing one at that moment. */
function linesIn(directory: string): number[] {
  const names = readdirSync(directory).sort();
  const rotated = names.filter((name) => name !== '0.log');
  if (names.length > 3 || rotated.some((name) => name.endsWith('.tmp'))) return [];
  try {
    return [...rotated, '0.log'].flatMap((name) => {
      const bytes = readFileSync(join(directory, name));
      const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line.split(' ')[3]));
    });
  } catch {
    return [];
  }
}
