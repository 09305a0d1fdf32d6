import assert from 'node:assert/strict';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { parseImageConfig } from '../../../src/oci/image-config.ts';
import type { SpecInput } from '../../../src/oci/input.ts';
import { withProcess } from '../../../src/oci/process.ts';
import type { Process } from '../../../src/oci/types.ts';
import { containerConfig, hostFacts, sandboxConfig, sandboxFacts, secured, specInput } from './spec-input.ts';

const image = parseImageConfig({
  Entrypoint: ['/entry'],
  Cmd: ['a', 'b'],
  Env: ['A=image', 'B=image'],
  WorkingDir: 'srv',
});
const processOf = (part: Partial<SpecInput>): Process => withProcess(BASE_SPEC, specInput(part)).process;
const config = (part: Parameters<typeof containerConfig>[0]): Pick<SpecInput, 'config'> => ({
  config: containerConfig({ command: [], ...part }),
});
const refuses = (part: Partial<SpecInput>, field: string): void => {
  assert.throws(() => processOf(part), { code: 'INVALID_ARGUMENT', meta: { field } });
};

describe('the process of a container', () => {
  it('runs entrypoint and cmd of the image, which command and args replace', () => {
    const args = (command: string[], args: string[]): readonly string[] =>
      processOf({ image, ...config({ command, args }) }).args;
    assert.deepEqual(args([], []), ['/entry', 'a', 'b']);
    assert.deepEqual(args([], ['x']), ['/entry', 'x']);
    assert.deepEqual(args(['/own'], []), ['/own']);
    assert.deepEqual(args(['/own'], ['x']), ['/own', 'x']);
  });

  it('takes an entrypoint of one empty word for none', () => {
    const cleared = parseImageConfig({ Entrypoint: [''], Cmd: ['a'] });
    assert.deepEqual(processOf({ image: cleared, ...config({}) }).args, ['a']);
  });

  it('refuses a container that has nothing to run', () => {
    refuses(config({}), 'config.command');
  });

  it('refuses a program whose name is longer than a path may be, whoever names it', () => {
    const long = 'x'.repeat(4_096);
    refuses(config({ command: [long] }), 'config.command[0]');
    refuses(config({ args: [long] }), 'config.args[0]');
    refuses({ image: parseImageConfig({ Cmd: [long] }), ...config({}) }, 'command of the image');
    assert.deepEqual(processOf(config({ command: [long.slice(1), long] })).args, [long.slice(1), long]);
  });

  it('refuses a working directory that is longer than a path may be', () => {
    refuses(config({ command: ['x'], workingDir: `/${'d/'.repeat(2_048)}` }), 'config.working_dir');
  });

  it('has each variable once: config over image over the defaults', () => {
    const envs = [
      { key: 'B', value: 'config' },
      { key: 'PATH', value: '/bin' },
      { key: 'C', value: 'x=y' },
      { key: 'C', value: '' },
    ];
    assert.deepEqual(processOf({ image, ...config({ command: ['x'], envs, tty: true }) }).env, [
      'PATH=/bin',
      'TERM=xterm',
      'HOSTNAME=shop-host',
      'A=image',
      'B=config',
      'C=',
    ]);
  });

  it('names the node as HOSTNAME when the pod has no hostname, and lets the image take a default away', () => {
    const sandbox = sandboxFacts({ config: sandboxConfig({ hostname: '' }) });
    let name = 'node1';
    const host = hostFacts({ hostname: () => name });
    assert.ok(processOf({ sandbox, host }).env.includes('HOSTNAME=node1'));
    name = 'renamed';
    assert.ok(processOf({ sandbox, host }).env.includes('HOSTNAME=renamed'));
    const { env } = processOf({ image: parseImageConfig({ Env: ['HOSTNAME', 'PATH'] }) });
    assert.deepEqual(env, []);
  });

  it('refuses variables that cannot be set', () => {
    refuses(config({ command: ['x'], envs: [{ key: '', value: 'x' }] }), 'config.envs[0].key');
    refuses(config({ command: ['x'], envs: [{ key: 'A=B', value: 'x' }] }), 'config.envs[0].key');
    refuses(config({ command: ['x'], envs: [{ key: 'A', value: 'x\0y' }] }), 'config.envs[0].value');
    refuses(config({ command: ['x\0y'] }), 'config.command[0]');
    refuses(config({ command: ['x'], args: ['', '\0'] }), 'config.args[1]');
  });

  it("starts in the config's directory, else the image's, else at the root", () => {
    const cwd = (workingDir: string, of = image): string =>
      processOf({ image: of, ...config({ command: ['x'], workingDir }) }).cwd;
    assert.equal(cwd('/tmp//x/'), '/tmp/x');
    assert.equal(cwd(''), '/srv');
    assert.equal(cwd('', parseImageConfig({})), '/');
    refuses(config({ command: ['x'], workingDir: 'tmp' }), 'config.working_dir');
  });

  it('has a terminal, and no new privileges, only when asked', () => {
    const plain = processOf({});
    assert.deepEqual([plain.terminal, plain.noNewPrivileges], [undefined, undefined]);
    const full = processOf({ config: secured({ noNewPrivs: true }, { tty: true }) });
    assert.deepEqual([full.terminal, full.noNewPrivileges], [true, true]);
  });
});

describe('an image configuration', () => {
  it('may leave out everything, or have null', () => {
    const empty = parseImageConfig(undefined);
    assert.deepEqual(empty.entrypoint, []);
    assert.deepEqual(
      parseImageConfig({ Env: null, Entrypoint: null, Volumes: null, Labels: null, User: null }),
      empty,
    );
  });

  it('gives volumes by path', () => {
    const { volumes, labels, stopSignal } = parseImageConfig({
      Volumes: { '/data': {} },
      Labels: { a: 'b' },
      StopSignal: 'SIGQUIT',
    });
    assert.deepEqual(
      { volumes, labels, stopSignal },
      { volumes: ['/data'], labels: { a: 'b' }, stopSignal: 'SIGQUIT' },
    );
  });

  it('is refused by the key that has the wrong type', () => {
    for (const [bad, key] of [
      [[], 'config'],
      [{ Env: 'A=b' }, 'Env'],
      [{ Cmd: [1] }, 'Cmd'],
      [{ User: 0 }, 'User'],
      [{ Labels: { a: 1 } }, 'Labels["a"]'],
      [{ Volumes: ['/data'] }, 'Volumes'],
    ] as const) {
      assert.throws(() => parseImageConfig(bad), {
        code: 'FAILED_PRECONDITION',
        message: new RegExp(`${key.replaceAll(/[[\]]/g, '\\$&')} is not`),
      });
    }
  });
});
