import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { snakeCase } from '../../../src/config/keys.ts';
import { defaultConfig, loadConfig } from '../../../src/config/load.ts';
import { sections } from '../../../src/config/schema.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import { packageRoot } from '../../../src/lib/package-root.ts';

describe('the configuration', () => {
  let dir = '';
  let file = '';

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-config-'));
    file = join(dir, 'config.toml');
  });

  afterEach(() => rmSync(dir, { recursive: true }));

  function load(toml: string) {
    writeFileSync(file, toml);
    return loadConfig({ path: file, explicit: true });
  }

  function problem(toml: string): string {
    try {
      load(toml);
    } catch (error) {
      assert.ok(error instanceof BerthError);
      assert.equal(error.code, 'INVALID_ARGUMENT');
      return error.message;
    }
    assert.fail(`accepted: ${toml}`);
  }

  it('has every key with its default in config/config.toml', () => {
    const shipped = loadConfig({ path: join(packageRoot(), 'config/config.toml'), explicit: true });
    assert.deepEqual(shipped, { config: defaultConfig(), warnings: [] });
  });

  it('is the defaults when the default file does not exist', () => {
    assert.deepEqual(loadConfig({ path: join(dir, 'absent.toml'), explicit: false }).config, defaultConfig());
  });

  it('must exist when a person named it', () => {
    assert.throws(
      () => loadConfig({ path: join(dir, 'absent.toml'), explicit: true }),
      (error: unknown) =>
        error instanceof BerthError && error.code === 'NOT_FOUND' && error.message.includes('absent.toml'),
    );
  });

  it('that cannot be read is an error even when nobody named it', () => {
    assert.throws(
      () => loadConfig({ path: dir, explicit: false }),
      /failed to read configuration ".*": EISDIR/,
    );
  });

  it('of an empty file is the defaults', () => {
    assert.deepEqual(load('').config, defaultConfig());
  });

  it('keeps the defaults of the keys that a section does not name', () => {
    const { cni } = load('[cni]\nmax_conf_num = 0\n').config;
    assert.deepEqual(cni, { ...defaultConfig().cni, maxConfNum: 0 });
  });

  it('is frozen all through', () => {
    const { config } = load('');
    assert.throws(() => Object.assign(config.cni, { confDir: '/x' }), TypeError);
    assert.throws(() => (config.cni.binDirs as string[]).push('/x'), TypeError);
    assert.throws(
      () => Object.assign(config.containerd.runtimes.get('runc') ?? {}, { type: 'x' }),
      TypeError,
    );
  });

  it('takes addresses with and without unix://', () => {
    const { grpc, containerd } = load(
      '[grpc]\naddress = "unix:///run/a.sock"\n[containerd]\naddress = "unix:///run/b.sock"\n',
    ).config;
    assert.deepEqual([grpc.address, containerd.address], ['/run/a.sock', '/run/b.sock']);
  });

  it('cleans paths', () => {
    assert.equal(load('[cni]\nconf_dir = "/etc//cni/./net.d/"\n').config.cni.confDir, '/etc/cni/net.d');
  });

  it('adds runtime handlers to runc and fills in their defaults', () => {
    const { runtimes } = load(
      '[containerd.runtimes.kataFC]\ntype = "io.containerd.kata.v2"\nsandbox = "pause"\n',
    ).config.containerd;
    assert.deepEqual([...runtimes.keys()], ['runc', 'kataFC']);
    assert.deepEqual(runtimes.get('kataFC'), {
      type: 'io.containerd.kata.v2',
      path: '',
      binary: '',
      sandbox: 'pause',
      cniConfDir: '',
      cniMaxConfNum: 0,
      snapshotter: '',
      configPath: '',
      podAnnotations: [],
      containerAnnotations: [],
      privilegedWithoutHostDevices: false,
      privilegedWithoutHostDevicesAllDevicesAllowed: false,
      cgroupWritable: false,
      baseRuntimeSpec: '',
    });
  });

  it('has no handler named like a method of every object', () => {
    assert.equal(load('').config.containerd.runtimes.get('constructor'), undefined);
  });

  it('warns that registry_config_path does not reach a containerd of its own', () => {
    const { warnings } = load(
      '[containerd]\naddress = "/run/c.sock"\nregistry_config_path = "/etc/certs.d"\n',
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /registry_config_path/);
    assert.deepEqual(
      load('[containerd]\naddress = "embedded"\nregistry_config_path = "/etc/certs.d"\n').warnings,
      [],
    );
  });

  it('names the place of a syntax error', () => {
    assert.match(problem('[cni]\nconf_dir = \n'), /config\.toml:2:\d+"/);
    assert.doesNotMatch(problem('[cni]\nconf_dir = \n'), /\n/);
  });

  it('names every problem at once', () => {
    const message = problem('[cni]\nconf_dirs = "/x"\nip_pref = "both"\n[log]\nlevel = "loud"\n');
    assert.match(message, /unknown key cni\.conf_dirs .*; invalid cni\.ip_pref: .*; invalid log\.level: /);
  });

  const refused: [what: string, toml: string, message: RegExp][] = [
    [
      'a configuration file for the shim of runc, which has none',
      '[containerd.runtimes.k]\nconfig_path = "/etc/k.toml"',
      /invalid containerd\.runtimes\.k\.config_path: the shim of runc has no configuration file/,
    ],
    [
      'half a permission',
      '[containerd.runtimes.k]\nprivileged_without_host_devices_all_devices_allowed = true',
      /invalid containerd\.runtimes\.k\.privileged_without_host_devices_all_devices_allowed: needs privileged_without_host_devices/,
    ],
    [
      'a snapshotter that is a path',
      '[containerd.runtimes.k]\nsnapshotter = "/var/lib/nydus"',
      /invalid containerd\.runtimes\.k\.snapshotter: must be the name of a snapshotter/,
    ],
    [
      'an empty pattern',
      '[containerd.runtimes.k]\npod_annotations = ["a", ""]',
      /invalid containerd\.runtimes\.k\.pod_annotations\.1: must not be empty/,
    ],
    [
      'an unknown key',
      '[cni]\nconf_dirs = "/x"',
      /unknown key cni\.conf_dirs \(did you mean cni\.conf_dir\?\)/,
    ],
    ['a key that is like no other', '[cni]\nfrobnicate = 1', /unknown key cni\.frobnicate$/],
    ['a key in our own spelling', '[cni]\nconfDir = "/x"', /unknown key cni\.confDir/],
    ['an unknown section', '[cnii]\n', /unknown section cnii \(did you mean cni\?\)/],
    [
      'a key outside its section',
      'conf_dir = "/x"',
      /unknown section conf_dir \(did you mean cni\.conf_dir\?\)/,
    ],
    ['a section named like a method of every object', '[constructor]\n', /unknown section constructor$/],
    ['a section that is no table', 'cni = 3', /invalid cni: must be a table/],
    [
      'an unknown key of a handler',
      '[containerd.runtimes.k]\nbinry = "x"',
      /unknown key containerd\.runtimes\.k\.binry/,
    ],
    [
      'a handler with an impossible name',
      '[containerd.runtimes."a/b"]\n',
      /invalid containerd\.runtimes\.a\/b: the name/,
    ],
    [
      'a handler named __proto__',
      '[containerd.runtimes.__proto__]\n',
      /invalid containerd\.runtimes\.__proto__: the name/,
    ],
    [
      'a handler that is no table',
      '[containerd.runtimes]\nk = 3',
      /invalid containerd\.runtimes\.k: must be a table/,
    ],
    [
      'handlers that are no table',
      '[containerd]\nruntimes = 3',
      /invalid containerd\.runtimes: must be a table/,
    ],
    [
      'a default handler that does not exist',
      '[containerd]\ndefault_runtime = "kata"',
      /containerd\.default_runtime: .* only runc/,
    ],
    [
      'a bad runtime type',
      '[containerd.runtimes.k]\ntype = "runc"',
      /invalid containerd\.runtimes\.k\.type: /,
    ],
    [
      'a bad sandbox kind',
      '[containerd.runtimes.kataFC]\nsandbox = "vm"',
      /invalid containerd\.runtimes\.kataFC\.sandbox: /,
    ],
    [
      'a relative binary',
      '[containerd.runtimes.k]\nbinary = "./runc"',
      /invalid containerd\.runtimes\.k\.binary: /,
    ],
    ['a shim by name', '[containerd.runtimes.k]\npath = "shim"', /invalid containerd\.runtimes\.k\.path: /],
    [
      'a seccomp profile by its path alone',
      '[runtime]\nunset_seccomp_profile = "/etc/profile.json"',
      /invalid runtime\.unset_seccomp_profile: must be "runtime\/default", "unconfined" or "localhost\/"/,
    ],
    [
      'a relative CDI directory',
      '[runtime]\ncdi_spec_dirs = ["cdi"]',
      /invalid runtime\.cdi_spec_dirs\.0: must be an abs/,
    ],
    ['a relative directory', '[cni]\nconf_dir = "net.d"', /invalid cni\.conf_dir: must be an absolute path/],
    ['an empty directory', '[storage]\nroot = ""', /invalid storage\.root: must be an absolute path/],
    ['a NUL in a path', '[storage]\nroot = "/a\\u0000b"', /invalid storage\.root: must not contain a NUL/],
    [
      'a plugin directory with a colon',
      '[cni]\nbin_dirs = ["/a:/b"]',
      /invalid cni\.bin_dirs\.0: must not contain a colon/,
    ],
    [
      'a plugin directory that is relative',
      '[cni]\nbin_dirs = ["/a", "b"]',
      /invalid cni\.bin_dirs\.1: must be an absolute/,
    ],
    ['one directory instead of a list', '[cni]\nbin_dirs = "/a"', /invalid cni\.bin_dirs: must be a list/],
    [
      'root and state in one place',
      '[storage]\nroot = "/x/"\nstate = "/x"',
      /invalid storage\.state: .*another directory/,
    ],
    ['a number for a path', '[storage]\nroot = 3', /invalid storage\.root: must be a string/],
    ['a date for a path', '[storage]\nroot = 1979-05-27', /invalid storage\.root: must be a string/],
    [
      'a relative socket',
      '[grpc]\naddress = "unix://run/x.sock"',
      /invalid grpc\.address: must be the absolute path/,
    ],
    ['a TCP address for the socket', '[grpc]\naddress = "tcp://127.0.0.1:1"', /invalid grpc\.address: /],
    [
      'a socket path that the kernel cannot take',
      `[grpc]\naddress = "/${'x'.repeat(107)}"`,
      /at most|longer than 107 bytes/,
    ],
    ['a word for the engine', '[containerd]\naddress = "docker"', /invalid containerd\.address: /],
    [
      'an unknown ip_pref',
      '[cni]\nip_pref = "both"',
      /invalid cni\.ip_pref: must be one of "ipv4", "ipv6", "cni", "auto"/,
    ],
    [
      'an unknown builtin mode',
      '[cni]\nbuiltin = "always"',
      /invalid cni\.builtin: must be one of "auto", "never"/,
    ],
    ['a negative max_conf_num', '[cni]\nmax_conf_num = -1', /invalid cni\.max_conf_num: must be at least 0/],
    [
      'a fractional max_conf_num',
      '[cni]\nmax_conf_num = 1.5',
      /invalid cni\.max_conf_num: must be a whole number/,
    ],
    [
      'no time for ADD',
      '[cni]\nadd_timeout_seconds = 0',
      /invalid cni\.add_timeout_seconds: must be more than 0/,
    ],
    ['endless time for DEL', '[cni]\ndel_timeout_seconds = inf', /invalid cni\.del_timeout_seconds: /],
    [
      'a timeout that is not a number',
      '[cni]\ndel_timeout_seconds = nan',
      /invalid cni\.del_timeout_seconds: /,
    ],
    [
      'a timeout as text',
      '[cni]\ndel_timeout_seconds = "30s"',
      /invalid cni\.del_timeout_seconds: must be a number/,
    ],
    ['a port out of range', '[streaming]\nport = 65536', /invalid streaming\.port: must be at most 65535/],
    [
      'a name for the streaming address',
      '[streaming]\naddress = "localhost"',
      /invalid streaming\.address: must be an IP/,
    ],
    [
      'a metrics address without port',
      '[metrics]\naddress = "127.0.0.1"',
      /invalid metrics\.address: must be ADDRESS:PORT/,
    ],
    ['a metrics port out of range', '[metrics]\naddress = "127.0.0.1:70000"', /invalid metrics\.address: /],
    ['a bare IPv6 metrics address', '[metrics]\naddress = "::1:9100"', /invalid metrics\.address: /],
    ['an unknown log level', '[log]\nlevel = "loud"', /invalid log\.level: must be one of/],
    ['an unknown log format', '[log]\nformat = "xml"', /invalid log\.format: /],
    ['an unknown cgroup driver', '[runtime]\ncgroup_driver = "none"', /invalid runtime\.cgroup_driver: /],
    [
      'text for a truth value',
      '[sandbox]\nunprivileged_ports = "yes"',
      /invalid sandbox\.unprivileged_ports: must be true or false/,
    ],
    [
      'a word for restrict_oom_score_adj',
      '[runtime]\nrestrict_oom_score_adj = "yes"',
      /must be "auto", true or false/,
    ],
    [
      'log lines of no bytes',
      '[runtime]\nmax_container_log_line_size = 0',
      /max_container_log_line_size: must be -1/,
    ],
  ];

  for (const [what, toml, message] of refused) {
    it(`refuses ${what}`, () => assert.match(problem(toml), message));
  }

  it('accepts what is at the edges', () => {
    const { config } = load(`
      [grpc]
      address = "/${'x'.repeat(106)}"
      [metrics]
      address = "[::1]:9100"
      [streaming]
      address = "::1"
      port = 65535
      [runtime]
      restrict_oom_score_adj = false
      max_container_log_line_size = -1
      [cni]
      bin_dirs = []
      conf_template = "/etc/cni/template"
      add_timeout_seconds = 0.5
    `);
    assert.equal(config.metrics.address, '[::1]:9100');
    assert.equal(config.runtime.restrictOomScoreAdj, false);
    assert.deepEqual(config.cni.binDirs, []);
  });

  it('of any value for any key is taken or refused by that key, and never crashes', () => {
    const keys = Object.entries(sections).flatMap(([section, { shape }]) =>
      Object.keys(shape).map((key) => [section, snakeCase(key)] as const),
    );
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') }),
      fc.array(fc.oneof(fc.string(), fc.integer())),
      fc.dictionary(
        fc.string({ minLength: 1 }),
        fc.oneof(fc.string(), fc.dictionary(fc.string(), fc.string())),
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...keys), value, ([section, key], given) => {
        try {
          load(stringify({ [section]: { [key]: given } }));
        } catch (error) {
          assert.ok(error instanceof BerthError, String(error));
          assert.ok(error.message.includes(`${section}.${key}`), error.message);
        }
      }),
      { numRuns: 500 },
    );
  });
});
