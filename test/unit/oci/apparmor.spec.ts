import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import type { Logger } from '../../../src/lib/log.ts';
import { withApparmor } from '../../../src/oci/apparmor.ts';
import { loadDefaultApparmor } from '../../../src/oci/apparmor-profile.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { type ApparmorFacts, detectHostFacts, type HostFacts } from '../../../src/oci/host-facts.ts';
import { hostFacts, secured, specInput } from './spec-input.ts';

const SC = 'config.linux.security_context';
type Security = Partial<LinuxContainerSecurityContext__Output>;

describe('AppArmor', () => {
  const loads: string[] = [];
  const loaded = {
    apparmor: {
      isLoaded: (name: string): boolean => name === 'mine' || loads.length > 0,
      ownProfile: 'unconfined',
      defaultProfile: { name: 'berth-default', load: () => Promise.resolve(void loads.push('load')) },
    },
  };
  beforeEach(() => loads.splice(0, loads.length));
  const profileOf = async (
    part: Security,
    host: Partial<HostFacts> = loaded,
  ): Promise<string | undefined> => {
    const input = specInput({ config: secured(part), host: hostFacts(host) });
    return (await withApparmor(BASE_SPEC, input)).process.apparmorProfile;
  };
  const message = (
    profileType: 'RuntimeDefault' | 'Unconfined' | 'Localhost',
    localhostRef = '',
  ): Security => ({
    apparmor: { profileType, localhostRef },
  });

  it('confines by the default profile unless told otherwise', async () => {
    assert.equal(await profileOf({}), 'berth-default');
    assert.equal(await profileOf(message('RuntimeDefault')), 'berth-default');
    assert.equal(await profileOf(message('Unconfined')), undefined);
    assert.equal(await profileOf({ privileged: true }), undefined);
    assert.equal(await profileOf({ ...message('RuntimeDefault'), privileged: true }), undefined);
    assert.equal(await profileOf({ apparmorProfile: 'unconfined' }), undefined);
  });

  it('loads the default profile again when somebody has unloaded it', async () => {
    await profileOf({});
    await profileOf({});
    assert.deepEqual(loads, ['load']);
  });

  it('takes a loaded profile, and refuses one that is not', async () => {
    assert.equal(await profileOf(message('Localhost', 'mine')), 'mine');
    assert.equal(await profileOf({ ...message('Localhost', 'localhost/mine'), privileged: true }), 'mine');
    const refused = (field: string) => ({ message: /apparmor profile not found other$/, meta: { field } });
    await assert.rejects(profileOf(message('Localhost', 'other')), refused(`${SC}.apparmor.localhost_ref`));
    await assert.rejects(
      profileOf({ apparmorProfile: 'localhost/other' }),
      refused(`${SC}.apparmor_profile`),
    );
    assert.deepEqual(loads, []);
  });

  it('is refused where the kernel has none, unless nothing is asked for', async () => {
    const none = { apparmor: undefined };
    assert.equal(await profileOf({}, none), undefined);
    assert.equal(await profileOf(message('Unconfined'), none), undefined);
    await assert.rejects(profileOf(message('RuntimeDefault'), none), /apparmor is not supported/);
    const bare = {
      apparmor: { isLoaded: (): boolean => false, ownProfile: 'unconfined', defaultProfile: undefined },
    };
    assert.equal(await profileOf({}, bare), undefined);
    await assert.rejects(profileOf(message('RuntimeDefault'), bare), { code: 'FAILED_PRECONDITION' });
  });

  describe('with a kernel and a parser that do what the real ones do, as far as we see it', () => {
    let directory: string;
    let profiles: string;
    let parser: string;
    let apparmor: ApparmorFacts;
    const warnings: string[] = [];
    const ignore = (): void => undefined;
    const log: Logger = {
      ...{ debug: ignore, info: ignore, error: ignore },
      warn: (message, fields = {}) => void warnings.push(`${message}: ${String(fields['error'])}`),
      child: () => log,
    };

    beforeEach(() => {
      warnings.splice(0, warnings.length);
      directory = mkdtempSync(join(tmpdir(), 'berth-apparmor-'));
      mkdirSync(join(directory, 'apparmor'));
      profiles = join(directory, 'apparmor/profiles');
      writeFileSync(profiles, 'docker-default (enforce)\nby hand (old) (complain)\n');
      parser = join(directory, 'parser.mjs');
      const script = [
        "import { appendFileSync, readFileSync } from 'node:fs';",
        "if (process.argv[2] !== '--replace') process.exit(1);",
        "const input = readFileSync(0, 'utf8');",
        'const [, name] = /^profile (\\S+)/m.exec(input);',
        `appendFileSync('${profiles}', name + ' (enforce)\\n');`,
        `appendFileSync('${join(directory, 'loaded')}', input);`,
      ];
      writeFileSync(parser, `#!${process.execPath}\n${script.join('\n')}\n`, { mode: 0o755 });
      const facts = detectHostFacts({ securityfs: directory }).apparmor;
      assert.ok(facts !== undefined);
      apparmor = facts;
    });

    afterEach(() => {
      rmSync(directory, { recursive: true });
    });

    it('knows which profiles are loaded', () => {
      assert.ok(apparmor.isLoaded('docker-default') && apparmor.isLoaded('by hand (old)'));
      assert.ok(!apparmor.isLoaded('docker') && !apparmor.isLoaded('by hand'));
    });

    it('loads the default profile at once, and again when it is gone', async () => {
      const host = { apparmor: await loadDefaultApparmor(apparmor, log, parser) };
      assert.ok(apparmor.isLoaded('berth-default'));
      writeFileSync(profiles, '');
      assert.equal(await profileOf({}, host), 'berth-default');
      assert.ok(apparmor.isLoaded('berth-default'));
      assert.deepEqual(warnings, []);
    });

    it('denies what 32-bit programs reach past the seccomp profile', async () => {
      await loadDefaultApparmor(apparmor, log, parser);
      const loaded = readFileSync(join(directory, 'loaded'), 'utf8');
      for (const family of ['alg', 'vsock'])
        assert.match(loaded, new RegExp(`^ *deny network ${family},$`, 'm'));
    });

    it('says why it has no default profile', async () => {
      const none = await loadDefaultApparmor(apparmor, log, 'false');
      assert.equal(await profileOf({}, { apparmor: none }), undefined);
      await loadDefaultApparmor(apparmor, log, join(directory, 'absent'));
      assert.match(warnings[0] ?? '', /^containers run without an apparmor profile .*exit code 1/);
      assert.match(warnings[1] ?? '', /^containers run without an apparmor profile .*ENOENT/);
    });

    it('takes the default profile that is loaded when it cannot be loaded anew', async () => {
      writeFileSync(profiles, 'berth-default (enforce)\n');
      const host = { apparmor: await loadDefaultApparmor(apparmor, log, 'false') };
      assert.equal(await profileOf({}, host), 'berth-default');
      assert.match(
        warnings.join(),
        /^the default apparmor profile stays as it was loaded before: .*exit code 1/,
      );
    });

    it('lets the runtime signal containers that has a profile of our own, whatever its name', async () => {
      await loadDefaultApparmor({ ...apparmor, ownProfile: '/{usr,opt}/bin/our*' }, log, parser);
      assert.match(
        readFileSync(join(directory, 'loaded'), 'utf8'),
        /^ *signal \(receive\) peer="\/\\{usr,opt\\}\/bin\/our\\\*",$/m,
      );
    });
  });

  it('is nothing where the kernel shows none', () => {
    assert.equal(detectHostFacts({ securityfs: '/absent' }).apparmor, undefined);
  });
});
