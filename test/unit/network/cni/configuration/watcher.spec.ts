import assert from 'node:assert/strict';
import {
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
  chmod,
  copyFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { Snapshot } from '../../../../../src/network/cni/configuration/selection.ts';
import {
  ConfigurationWatcher,
  type WatcherOptions,
} from '../../../../../src/network/cni/configuration/watcher.ts';
import { eventually } from '../../../../helpers/fixture.ts';

function conflist(name: string, mtu = 1500): string {
  return JSON.stringify({ name, cniVersion: '1.0.0', plugins: [{ type: 'bridge', mtu }] });
}

describe('the configuration watcher', () => {
  let root: string;
  let dir: string;
  let watcher: ConfigurationWatcher;
  let seen: Snapshot[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'brt-conf-'));
    dir = join(root, 'net.d');
    await mkdir(dir);
    seen = [];
  });
  afterEach(async () => {
    watcher.stop();
    await rm(root, { recursive: true });
  });

  /** Without a poll unless told: what is seen then is seen by events. */
  async function start(options: Partial<WatcherOptions> = {}): Promise<void> {
    watcher = new ConfigurationWatcher({
      dir,
      debounceMs: 5,
      pollMs: 60_000,
      ...options,
      onChange: (snapshot) => seen.push(snapshot),
    });
    await watcher.start();
  }
  const put = (file: string, text: string) => writeFile(join(dir, file), text);
  const active = () => watcher.snapshot.networks.map(({ network }) => network.name).join();
  const mtu = () => watcher.snapshot.networks[0]?.network.plugins[0]?.['mtu'];
  const verdicts = () =>
    Object.fromEntries(watcher.snapshot.verdicts.map(({ file, verdict }) => [file, verdict]));
  const until = (isSo: () => boolean): Promise<true> =>
    eventually(String(isSo), () => isSo() || undefined).catch((error: unknown) => {
      throw new Error(JSON.stringify(watcher.snapshot), { cause: error });
    });

  it('takes the first file over all extensions and says what became of each', async () => {
    await put('20-b.conflist', conflist('b'));
    await put('10-a.conf', '{"name":"a","type":"bridge"}');
    await put('30-c.json', '{"name":"c","type":"bridge"}');
    await put('05-bad.conflist', '{');
    await put('00-readme.txt', 'x');
    await mkdir(join(dir, '01-dir.conflist'));
    await start();
    assert.equal(active(), 'a');
    assert.deepEqual(verdicts(), {
      '05-bad.conflist': 'rejected',
      '10-a.conf': 'active',
      '20-b.conflist': 'unused',
      '30-c.json': 'unused',
    });
    const { ready, message } = watcher.readiness();
    assert.equal(ready, true);
    assert.match(
      message,
      /05-bad\.conflist: rejected \(invalid JSON.*\); 10-a\.conf: active, generation 1; 20-b\.conflist: unused \(10-a\.conf comes first\)/,
    );
  });

  it('takes as many as max_conf_num says, 0 for all, and each network name once', async () => {
    await put('1.conflist', conflist('a'));
    await put('2.conflist', conflist('a'));
    await put('3.conflist', conflist('b'));
    await put('4.conflist', conflist('c'));
    await start({ maxConfNum: 2 });
    assert.equal(active(), 'a,b');
    assert.equal(verdicts()['2.conflist'], 'rejected');
    assert.equal(verdicts()['4.conflist'], 'unused');
    watcher.stop();
    await start({ maxConfNum: 0 });
    assert.equal(active(), 'a,b,c');
  });

  it('is not ready without a network, in words that people look for', async () => {
    await start();
    assert.deepEqual(watcher.readiness(), {
      ready: false,
      reason: 'NetworkPluginNotReady',
      message: `cni plugin not initialized: no network is in use, ${dir} has no .conflist, .conf or .json file`,
    });
    assert.equal(seen.length, 1);
  });

  it('sees a file written in place, created, renamed into place, copied and deleted', async () => {
    await start();
    await put('10.conflist', conflist('a'));
    await until(() => active() === 'a');
    await put('10.conflist', conflist('a', 1400));
    await until(() => mtu() === 1400);
    await writeFile(join(root, 'tmp'), conflist('b'));
    await rename(join(root, 'tmp'), join(dir, '05.conflist'));
    await until(() => active() === 'b');
    await writeFile(join(root, 'tmp'), conflist('c'));
    await copyFile(join(root, 'tmp'), join(dir, '01.conflist'));
    await chmod(join(dir, '01.conflist'), 0o600);
    await until(() => active() === 'c');
    await rm(join(dir, '01.conflist'));
    await until(() => active() === 'b');
    assert.equal(watcher.snapshot.generation, seen.at(-1)?.generation);
    assert.ok(
      seen.every(
        (snapshot, index) => index === 0 || snapshot.generation >= (seen[index - 1]?.generation ?? 0),
      ),
    );
  });

  it('keeps the last good version of a file in use, and never goes over to another file for it', async () => {
    await put('10.conflist', conflist('a'));
    await put('20.conflist', conflist('b'));
    await start();
    await truncate(join(dir, '10.conflist'), 20);
    await until(() => verdicts()['10.conflist'] === 'rejected');
    assert.equal(active(), 'a');
    assert.equal(watcher.snapshot.generation, 1);
    const { ready, message } = watcher.readiness();
    assert.equal(ready, true);
    assert.match(
      message,
      /10\.conflist: rejected \(invalid JSON: .*truncated; its last good version is in use, stale since 2\d{3}-/,
    );
    await put('10.conflist', conflist('a', 1300));
    await until(() => mtu() === 1300);
    assert.equal(verdicts()['10.conflist'], 'active');
    assert.equal(watcher.snapshot.generation, 2);
  });

  it('keeps what pods of an earlier run are on, when the file is bad from the start', async () => {
    await put('10.conflist', conflist('a'));
    await start();
    const remembered = watcher.snapshot.networks.map(({ network }) => network);
    watcher.stop();
    await truncate(join(dir, '10.conflist'), 20);
    await put('20.conflist', conflist('b'));
    await start({ remembered: () => [...remembered, ...remembered] });
    assert.equal(active(), 'a');
    assert.equal(watcher.snapshot.generation, 1);
    assert.match(watcher.readiness().message, /10\.conflist: rejected .*its last good version is in use/);
    await rm(join(dir, '10.conflist'));
    await until(() => active() === 'b');
    await put('10.conflist', '{');
    await until(() => verdicts()['10.conflist'] === 'rejected');
    assert.equal(active(), 'b');
  });

  it('goes to the next file when the one in use is deleted, and is not ready after the last', async () => {
    await put('10.conflist', conflist('a'));
    await put('20.conflist', conflist('b'));
    await start();
    await rm(join(dir, '10.conflist'));
    await until(() => active() === 'b');
    await rm(join(dir, '20.conflist'));
    await until(() => !watcher.readiness().ready);
  });

  it('survives that the directory is deleted and made again', async () => {
    await put('10.conflist', conflist('a'));
    await start();
    for (const name of ['b', 'c']) {
      await rm(dir, { recursive: true });
      await until(() => watcher.readiness().message.includes('does not exist'));
      await mkdir(dir);
      await put('10.conflist', conflist(name));
      await until(() => active() === name);
      await put('10.conflist', conflist(name, 1300));
      await until(() => mtu() === 1300);
    }
  });

  it('sees a directory that appears after the start', async () => {
    await rm(dir, { recursive: true });
    await start();
    assert.match(watcher.readiness().message, /net\.d does not exist/);
    await mkdir(dir);
    await put('10.conflist', conflist('a'));
    await until(() => active() === 'a');
  });

  it('follows a symbolic link that is swapped, and files that are links', async () => {
    for (const name of ['one', 'two']) {
      await mkdir(join(root, name));
      await writeFile(join(root, name, '10.conflist'), conflist(name));
    }
    const link = join(root, 'link');
    await symlink('one', link);
    await start({ dir: link });
    assert.equal(active(), 'one');
    await symlink('two', join(root, 'next'));
    await rename(join(root, 'next'), link);
    await until(() => active() === 'two');
    await writeFile(join(root, 'two', '10.conflist'), conflist('two', 1200));
    await until(() => mtu() === 1200);
    await symlink(join(root, 'one', '10.conflist'), join(root, 'two', '05.conflist'));
    await until(() => active() === 'one');
  });

  it('finds by its poll what no event tells: plugin files, and the target of a link', async () => {
    await mkdir(join(dir, 'a'));
    await put('10.conflist', conflist('a'));
    await start({ pollMs: 10 });
    await writeFile(join(dir, 'a', '1.conf'), '{"type":"tuning"}');
    await until(() => watcher.snapshot.networks[0]?.network.plugins.length === 2);
    await writeFile(join(dir, 'a', '1.conf'), '{"type":"tuner"}');
    await until(() => watcher.snapshot.networks[0]?.network.plugins[1]?.type === 'tuner');
  });

  it('settles on the last content of a file that is written again and again', async () => {
    await put('10.conflist', conflist('a'));
    await start();
    for (let round = 0; round < 50; round += 1) {
      await put('10.conflist', conflist('a', 1000 + round));
      if (round % 10 === 0) await after(3);
    }
    await until(() => mtu() === 1049);
    assert.equal(active(), 'a');
    assert.ok(seen.every(({ networks }) => networks.length === 1));
  });

  it('settles on the right file when two swap their names', async () => {
    await put('10.conflist', conflist('a'));
    await put('20.conflist', conflist('b'));
    await start();
    await rename(join(dir, '10.conflist'), join(root, 'x'));
    await rename(join(dir, '20.conflist'), join(dir, '10.conflist'));
    await rename(join(root, 'x'), join(dir, '20.conflist'));
    await until(() => active() === 'b');
    assert.equal(verdicts()['20.conflist'], 'unused');
  });

  it('refuses a file that is far too large without reading it', async () => {
    await put('10.conflist', conflist('a'));
    await truncate(join(dir, '10.conflist'), 2 ** 30);
    await start();
    assert.match(watcher.readiness().message, /10\.conflist: rejected \(larger than 1048576 bytes\)/);
  });

  it('tells of a changed verdict, and not of a touched file', async () => {
    await put('10.conflist', conflist('a'));
    await start();
    await utimes(join(dir, '10.conflist'), 1, 1);
    await after(50);
    assert.equal(seen.length, 1);
    await put('20.conflist', conflist('b'));
    // It may have been seen before it was written.
    await until(() => verdicts()['20.conflist'] === 'unused');
    assert.equal(seen.at(-1), watcher.snapshot);
    assert.equal(watcher.snapshot.generation, 1);
  });

  it('sees nothing more after it was stopped', async () => {
    await start({ pollMs: 5 });
    watcher.stop();
    await put('10.conflist', conflist('a'));
    await after(40);
    assert.equal(active(), '');
  });

  it('says in NetworkReady what STATUS found', async () => {
    await put('10.conflist', conflist('a'));
    await start();
    const verdict = {
      ok: false,
      network: 'a',
      error: 'subnet.env is missing',
      code: 50,
      isTimeout: false,
      isExhausted: false,
      at: '',
    };
    const readiness = watcher.readiness(verdict);
    assert.equal(readiness.ready, false);
    assert.match(
      readiness.message,
      /network "a" is not ready: STATUS: subnet\.env is missing \(code 50\); .*10\.conflist: active/,
    );
    assert.equal(watcher.readiness({ ...verdict, isTimeout: true }).reason, 'CNIStatusTimeout');
    assert.equal(watcher.readiness({ ...verdict, ok: true }).ready, true);
    const full = watcher.readiness({ ...verdict, error: 'no address is left', isExhausted: true });
    assert.equal(full.ready, true);
    assert.equal(full.reason, 'IPAddressesExhausted');
    assert.match(full.message, /^network "a" is full: no address is left; .*10\.conflist: active/);
  });
});
