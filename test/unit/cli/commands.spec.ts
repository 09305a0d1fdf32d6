import assert from 'node:assert/strict';
import { commands } from '../../../src/cli/commands.ts';
import { berth } from './run-cli.ts';

describe('the command line', () => {
  it('without a command, and help, list every command and the exit codes', async () => {
    for (const args of [[], ['help'], ['--help'], ['-h']]) {
      const { code, stdout, stderr } = await berth(args);
      assert.deepEqual([code, stderr], [0, '']);
      for (const name of [...Object.keys(commands), 'cni TYPE'])
        assert.ok(stdout.includes(`\n  ${name} `), name);
      assert.match(stdout, /Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n {2}4 /);
    }
  });

  for (const name of Object.keys(commands)) {
    it(`${name} --help shows its usage, and so does help ${name}`, async () => {
      const direct = await berth([...name.split(' '), '--help']);
      assert.equal(direct.code, 0);
      assert.ok(direct.stdout.startsWith(`Usage: berth ${name} [options]`), direct.stdout);
      assert.match(direct.stdout, /-h, --help/);
      assert.deepEqual(await berth(['help', ...name.split(' ')]), direct);
    });
  }

  it('shows the help of a command whose arguments are missing', async () => {
    assert.equal((await berth(['pod', 'inspect', '--help'])).code, 0);
  });

  it('prints the version of the package', async () => {
    const { code, stdout } = await berth(['version']);
    assert.equal(code, 0);
    assert.match(stdout, /^berth \d+\.\d+\.\d+\n$/);
    assert.deepEqual(await berth(['--version']), { code, stdout, stderr: '' });
    const json = JSON.parse((await berth(['version', '--json'])).stdout) as Record<string, unknown>;
    assert.equal(`berth ${String(json['version'])}\n`, stdout);
  });

  it('a group alone names its commands; with --help it succeeds', async () => {
    assert.deepEqual(await berth(['pod']), {
      code: 2,
      stdout: '',
      stderr: 'berth: pod needs a command: run, ps, inspect, stop, rm, exec, attach, logs, port-forward\n',
    });
    const help = await berth(['net', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /net explain .*\n.*net debts/);
  });

  const wrong: [args: string[], stderr: RegExp][] = [
    [['srve'], /^berth: unknown command "srve" \(did you mean serve\?\)\n$/],
    [['frobnicate'], /^berth: unknown command "frobnicate" \(see berth help\)\n$/],
    [['constructor'], /^berth: unknown command "constructor"/],
    [['pod', 'inspct'], /^berth: unknown command "pod inspct" \(did you mean inspect\?\)\n$/],
    [['cni'], /^berth: cni needs the TYPE of a plugin/],
    [['version', '--jsn'], /^berth: version has no option --jsn \(did you mean --json\?\)\n$/],
    [['version', '-x'], /^berth: version has no option -x \(see berth version --help\)\n$/],
    [['version', 'extra'], /^berth: version does not take "extra"/],
    [['version', '--json=yes'], /^berth: version: Option '--json' does not take an argument/],
    [['serve', '--config'], /^berth: serve: Option '-c, --config <value>' argument missing/],
    [['pod', 'inspect'], /^berth: pod inspect needs POD /],
    [['pod', 'inspect', 'a', 'b'], /^berth: pod inspect does not take "b"/],
    [['pod', 'stop'], /^berth: pod stop needs POD\.\.\./],
    [['pod', 'rm'], /^berth: pod rm needs either POD\.\.\. or --all\n$/],
    [['pod', 'rm', '--all', 'a'], /^berth: pod rm needs either POD\.\.\. or --all\n$/],
    [['pod', 'run'], /^berth: pod run needs FILE or --name\n$/],
    [['pod', 'run', '--name', 'a', '--port', '80'], /^berth: --port "80" must be /],
    [['pod', 'run', '--name', 'a', '--label', 'b'], /^berth: --label must be KEY=VALUE, not "b"\n$/],
    [['pod', 'run', '--name', 'a', '--attempt', '-1'], /--attempt/],
    [['pod', 'ps', '--state', 'up'], /^berth: --state must be ready or notready, not "up"\n$/],
    [['pod', 'ps', '--timeout', '0'], /^berth: --timeout must be more than 0 seconds, not "0"\n$/],
    [['pod', 'ps', '--timeout', ''], /^berth: --timeout must be a number of seconds, not ""\n$/],
    [
      ['pod', 'ps', '--address', 'run/x'],
      /^berth: --address must be the absolute path of a unix socket, not "run\/x"\n$/,
    ],
    [['net', 'debts', 'pay', 'x'], /^berth: net debts knows list, retry and forgive, not "pay"\n$/],
    [['net', 'debts', 'retry'], /^berth: net debts retry needs an ID\n$/],
    [['net', 'debts', 'list', 'x'], /^berth: net debts list takes no ID\n$/],
  ];

  for (const [args, stderr] of wrong) {
    it(`refuses "${args.join(' ')}" with one line and exit code 2`, async () => {
      const outcome = await berth(args);
      assert.equal(outcome.code, 2, outcome.stderr);
      assert.equal(outcome.stdout, '');
      assert.match(outcome.stderr, stderr);
      assert.equal(outcome.stderr.split('\n').length, 2, 'one line');
    });
  }
});
