import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { defaultConfig, loadConfig } from '../../../src/config/load.ts';

const V2 = 'plugins."io.containerd.grpc.v1.cri"';
const V3_RUNTIME = "plugins.'io.containerd.cri.v1.runtime'";
const V3_IMAGES = "plugins.'io.containerd.cri.v1.images'";

describe("containerd's configuration", () => {
  let dir = '';

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-config-'));
  });

  afterEach(() => rmSync(dir, { recursive: true }));

  function write(name: string, toml: string): string {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, toml);
    return path;
  }

  function load(containerd: string, own = '') {
    return loadConfig({
      path: write('berth.toml', own),
      explicit: true,
      containerdConfigPath: write('containerd.toml', containerd),
    });
  }

  it('of version 2 gives its cni and registry sections', () => {
    const { config, warnings } = load(`
      version = 2
      [${V2}.cni]
      bin_dir = "/c/bin"
      conf_dir = "/c/net.d"
      conf_template = "/c/template"
      ip_pref = "ipv6"
      max_conf_num = 2
      [${V2}.registry]
      config_path = "/c/certs.d"
    `);
    assert.deepEqual(config.cni, {
      ...defaultConfig().cni,
      binDirs: ['/c/bin'],
      confDir: '/c/net.d',
      confTemplate: '/c/template',
      ipPref: 'ipv6',
      maxConfNum: 2,
    });
    assert.equal(config.containerd.registryConfigPath, '/c/certs.d');
    assert.deepEqual(warnings, []);
  });

  it('is told by its keys what an embedded containerd is not given of its registries', () => {
    const registry = `
      version = 2
      [${V2}.registry]
      config_path = ""
      [${V2}.registry.auths]
      [${V2}.registry.mirrors."docker.io"]
      endpoint = ["https://mirror.example"]
      [${V2}.registry.configs."own.example".auth]
      username = "me"
      password = "hidden"
      [${V2}.registry.headers]
      User-Agent = ["x"]
    `;
    for (const own of ['', '[containerd]\naddress = "embedded"']) {
      const [warning = '', ...others] = load(registry, own).warnings;
      const keys =
        'registry.mirrors."docker.io", registry.configs."own.example", registry.headers."User-Agent"';
      assert.ok(warning.includes(`an embedded containerd is not given ${keys}: `), warning);
      assert.ok(!warning.includes('hidden'));
      assert.deepEqual(others, []);
    }
    assert.deepEqual(load(registry, '[containerd]\naddress = "/run/other.sock"').warnings, []);
  });

  it('of version 3 gives them from their own plugins, with a list of plugin directories', () => {
    const { config } = load(`
      version = 3
      [${V3_RUNTIME}.cni]
      bin_dir = ""
      bin_dirs = ["/c/one", "/c/two"]
      conf_dir = "/c/net.d"
      [${V3_IMAGES}.registry]
      config_path = "/c/certs.d"
    `);
    assert.deepEqual(config.cni.binDirs, ['/c/one', '/c/two']);
    assert.equal(config.cni.confDir, '/c/net.d');
    assert.equal(config.containerd.registryConfigPath, '/c/certs.d');
  });

  const RUNTIMES = `
    version = 2
    [${V2}.containerd]
    default_runtime_name = "nvidia"
    [${V2}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${V2}.containerd.runtimes.runc.options]
    BinaryName = "crun"
    SystemdCgroup = true
    [${V2}.containerd.runtimes.nvidia]
    runtime_type = "io.containerd.runc.v2"
    privileged_without_host_devices = true
    cgroup_writable = true
    base_runtime_spec = "/c/base.json"
    [${V2}.containerd.runtimes.nvidia.options]
    BinaryName = "/usr/bin/nvidia-container-runtime"
    [${V2}.containerd.runtimes.runsc]
    runtime_type = "io.containerd.runsc.v1"
    pod_annotations = ["dev.gvisor.*"]
    container_annotations = ["own"]
    cni_conf_dir = "/c/gvisor"
    snapshotter = "nydus"
    cni_max_conf_num = 2
    [${V2}.containerd.runtimes.runsc.options]
    TypeUrl = "io.containerd.runsc.v1.options"
    ConfigPath = "/c/runsc.toml"
  `;

  it('gives its runtimes, those of virtual machines and gVisor with a sandbox container', () => {
    const { defaultRuntime, runtimes } = load(RUNTIMES).config.containerd;
    const plain = defaultConfig().containerd.runtimes.get('runc');
    assert.equal(defaultRuntime, 'nvidia');
    assert.deepEqual(Object.fromEntries(runtimes), {
      runc: { ...plain, binary: 'crun' },
      nvidia: {
        ...plain,
        binary: '/usr/bin/nvidia-container-runtime',
        privilegedWithoutHostDevices: true,
        cgroupWritable: true,
        baseRuntimeSpec: '/c/base.json',
      },
      runsc: {
        ...plain,
        type: 'io.containerd.runsc.v1',
        sandbox: 'pause',
        podAnnotations: ['dev.gvisor.*'],
        containerAnnotations: ['own'],
        cniConfDir: '/c/gvisor',
        snapshotter: 'nydus',
        cniMaxConfNum: 2,
        configPath: '/c/runsc.toml',
      },
    });
    const third = RUNTIMES.replace('version = 2', 'version = 3').replaceAll(V2, V3_RUNTIME);
    assert.deepEqual(load(third).config.containerd.runtimes, runtimes);
  });

  const KATA = `
    version = 3
    [${V3_RUNTIME}.containerd.runtimes.kata-qemu]
    runtime_type = "io.containerd.kata-qemu.v2"
    runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
    privileged_without_host_devices = true
    snapshotter = ""
    sandboxer = "podsandbox"
    io_type = ""
    cgroup_writable = false
    container_annotations = []
    [${V3_RUNTIME}.containerd.runtimes.kata-qemu.options]
    ConfigPath = "/opt/kata/qemu.toml"
  `;

  it('gives the executable of a shim, as kata-deploy configures it', () => {
    const { config, warnings } = load(KATA);
    const { path, configPath, sandbox } = config.containerd.runtimes.get('kata-qemu') ?? {};
    assert.deepEqual(
      [path, configPath, sandbox],
      ['/opt/kata/bin/containerd-shim-kata-v2', '/opt/kata/qemu.toml', 'pause'],
    );
    assert.deepEqual(warnings, []);
  });

  it('warns of what is not taken over of a runtime, unless our own file has the handler', () => {
    const other = `
      version = 3
      [${V3_RUNTIME}.containerd.runtimes.vm]
      runtime_type = "io.containerd.vm.v2"
      sandboxer = "shim"
      io_type = "streaming"
      [${V3_RUNTIME}.containerd.runtimes.vm.options]
      NoNewKeyring = true
    `;
    const { warnings } = load(other);
    assert.deepEqual(
      warnings.map(
        (warning) => /containerd\.toml: (.*) of the runtime vm is not taken over$/.exec(warning)?.[1],
      ),
      ['sandboxer = "shim"', 'io_type = "streaming"', 'NoNewKeyring = true'],
    );
    const own = '[containerd.runtimes.vm]\ntype = "io.containerd.vm.v2"\n';
    assert.deepEqual(load(other, own).warnings, []);
  });

  it('may have a configuration file left for the shim of runc, which has none', () => {
    const runc = `${V2}.containerd.runtimes.runc`;
    const { config, warnings } = load(
      `version = 2\n[${runc}]\nruntime_type = "io.containerd.runc.v2"\n[${runc}.options]\nConfigPath = "/c/x.toml"\n`,
    );
    assert.equal(config.containerd.runtimes.get('runc')?.configPath, '');
    assert.match(
      warnings.join(),
      /^.*containerd\.toml: ConfigPath = "\/c\/x\.toml" of the runtime runc is not taken over$/,
    );
  });

  it('gives what says how containers are secured', () => {
    const keys = `
      device_ownership_from_security_context = true
      unset_seccomp_profile = "runtime/default"
      enable_unprivileged_ports = false
      enable_unprivileged_icmp = false
      cdi_spec_dirs = ["/c/cdi"]
      enable_cdi = true
    `;
    for (const section of [`version = 2\n[${V2}]`, `version = 3\n[${V3_RUNTIME}]`]) {
      const { config, warnings } = load(`${section}\n${keys}`);
      assert.deepEqual(config.runtime, {
        ...defaultConfig().runtime,
        deviceOwnershipFromSecurityContext: true,
        unsetSeccompProfile: 'runtime/default',
        cdiSpecDirs: ['/c/cdi'],
      });
      const { unprivilegedPorts, unprivilegedIcmp } = config.sandbox;
      assert.deepEqual([unprivilegedPorts, unprivilegedIcmp, warnings], [false, false, []]);
      const off = load(`${section}\n${keys.replace('enable_cdi = true', 'enable_cdi = false')}`);
      assert.deepEqual(off.config.runtime.cdiSpecDirs, []);
      const ours = '[runtime]\nunset_seccomp_profile = ""\n';
      assert.equal(load(`${section}\n${keys}`, ours).config.runtime.unsetSeccompProfile, '');
    }
  });

  it('is warned of by name for what says so and is not taken over, unless it means the same', () => {
    const all = ['disable_apparmor', 'disable_proc_mount', 'ignore_image_defined_volumes'];
    const toml = (value: boolean, range: number): string =>
      [...all.map((key) => `${key} = ${value}`), `selinux_category_range = ${range}`].join('\n');
    const streaming = (value: boolean): string => `[${V2}]\nenable_tls_streaming = ${value}\n`;
    const section = `version = 3\n[${V3_RUNTIME}]`;
    const classes = (value: boolean): string =>
      `[${V3_RUNTIME}.containerd]\nignore_rdt_not_enabled_errors = ${value}\n`;
    const { warnings } = load(`${section}\n${toml(true, 64)}\n${classes(true)}${streaming(true)}`);
    assert.deepEqual(
      warnings.map((warning) => /^\/.*\/containerd\.toml: (\S+) is not taken over: /.exec(warning)?.[1]),
      [...all, 'selinux_category_range', 'ignore_rdt_not_enabled_errors', 'enable_tls_streaming'],
    );
    assert.deepEqual(
      load(`${section}\n${toml(false, 1024)}\n${classes(false)}${streaming(false)}`).warnings,
      [],
    );
  });

  it('leaves the runtimes that our own file names to it, each as a whole', () => {
    const own = '[containerd]\ndefault_runtime = "runc"\n[containerd.runtimes.nvidia]\nbinary = "ours"\n';
    const { defaultRuntime, runtimes } = load(RUNTIMES, own).config.containerd;
    const plain = defaultConfig().containerd.runtimes.get('runc');
    assert.equal(defaultRuntime, 'runc');
    assert.deepEqual([...runtimes.keys()].sort(), ['nvidia', 'runc', 'runsc']);
    assert.deepEqual(runtimes.get('nvidia'), { ...plain, binary: 'ours' });
    assert.equal(runtimes.get('runc')?.binary, 'crun');
  });

  it('merges a runtime over its imports key by key', () => {
    write(
      'nvidia.toml',
      `version = 2\n[${V2}.containerd.runtimes.runc]\npod_annotations = ["a"]\n[${V2}.containerd.runtimes.runc.options]\nBinaryName = "x"\n`,
    );
    const { runtimes } = load(
      `version = 2\nimports = ["nvidia.toml"]\n[${V2}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\ncni_max_conf_num = 3\n`,
    ).config.containerd;
    const { binary, cniMaxConfNum, podAnnotations } = runtimes.get('runc') ?? {};
    assert.deepEqual([binary, cniMaxConfNum, podAnnotations], ['x', 3, ['a']]);
  });

  it("merges a runtime's options over its imports key by key, too", () => {
    const runc = `${V2}.containerd.runtimes.runc`;
    write('cgroups.toml', `version = 2\n[${runc}.options]\nSystemdCgroup = true\n`);
    const { runtimes } = load(
      `version = 2\nimports = ["cgroups.toml"]\n[${runc}]\nruntime_type = "io.containerd.runc.v2"\n[${runc}.options]\nBinaryName = "x"\n`,
    ).config.containerd;
    assert.equal(runtimes.get('runc')?.binary, 'x');
  });

  it('fills in only where our own file is silent', () => {
    const { config } = load(
      `version = 2\n[${V2}.cni]\nconf_dir = "/c/net.d"\nmax_conf_num = 5\n`,
      '[cni]\nconf_dir = "/ours"\n',
    );
    assert.deepEqual([config.cni.confDir, config.cni.maxConfNum], ['/ours', 5]);
  });

  it('that says nothing, or empty strings, leaves the defaults', () => {
    const silent = load(
      `version = 2\n[${V2}.cni]\nconf_dir = ""\nbin_dir = ""\nip_pref = ""\nconf_template = ""\n`,
    );
    assert.deepEqual(silent.config, defaultConfig());
    assert.deepEqual(load('version = 3\n').config, defaultConfig());
  });

  it('takes zero for all network files', () => {
    assert.equal(load(`version = 2\n[${V2}.cni]\nmax_conf_num = 0\n`).config.cni.maxConfNum, 0);
  });

  it('with an unknown ip_pref means ipv4, with a warning', () => {
    const { config, warnings } = load(`version = 2\n[${V2}.cni]\nip_pref = "v6"\n`, '');
    assert.equal(config.cni.ipPref, 'ipv4');
    assert.match(warnings.join(), /ip_pref "v6"/);
  });

  it('follows imports by pattern and by name, relative to the file, later ones winning key by key', () => {
    write('conf.d/20-b.toml', `version = 2\n[${V2}.cni]\nmax_conf_num = 7\nip_pref = "cni"\n`);
    write('conf.d/10-a.toml', `version = 2\n[${V2}.cni]\nmax_conf_num = 6\nbin_dir = "/a/bin"\n`);
    write('conf.d/ignored.json', '{');
    write('more/last.toml', `[${V2}.cni]\nip_pref = "ipv6"\n`);
    const { config } = load(
      `version = 2\nimports = ["conf.d/*.toml", "more/last.toml"]\n[${V2}.cni]\nconf_dir = "/c/net.d"\nmax_conf_num = 5\n`,
    );
    const { confDir, binDirs, maxConfNum, ipPref } = config.cni;
    assert.deepEqual([confDir, binDirs, maxConfNum, ipPref], ['/c/net.d', ['/a/bin'], 7, 'ipv6']);
  });

  it('may import in a circle', () => {
    write('other.toml', `version = 2\nimports = ["containerd.toml"]\n[${V2}.cni]\nmax_conf_num = 9\n`);
    assert.equal(load('version = 2\nimports = ["other.toml", "containerd.toml"]\n').config.cni.maxConfNum, 9);
  });

  it('matches patterns in directories, too, and nothing is no error', () => {
    write('a1/x.toml', `version = 2\n[${V2}.cni]\nmax_conf_num = 3\n`);
    assert.equal(
      load('version = 2\nimports = ["a?/*.toml", "none/*.toml", "no*/x.toml"]\n').config.cni.maxConfNum,
      3,
    );
  });

  it('must exist, and so must what it imports by name', () => {
    const path = write('berth.toml', '');
    assert.throws(
      () => loadConfig({ path, explicit: true, containerdConfigPath: join(dir, 'absent.toml') }),
      /failed to read configuration ".*absent\.toml": ENOENT/,
    );
    assert.throws(() => load('version = 2\nimports = ["gone.toml"]\n'), /gone\.toml": ENOENT/);
  });

  it('of version 4 has them where version 3 has them', () => {
    const { config, warnings } = load(
      `version = 4\n[${V3_RUNTIME}.cni]\nconf_dir = "/c/net.d"\n[${V3_IMAGES}.registry]\nconfig_path = "/c/certs.d"\n`,
    );
    assert.deepEqual([config.cni.confDir, config.containerd.registryConfigPath], ['/c/net.d', '/c/certs.d']);
    assert.deepEqual(warnings, []);
  });

  it('of a later version is read as the newest that we know, with a warning', () => {
    const { config, warnings } = load(`version = 5\n[${V3_RUNTIME}.cni]\nconf_dir = "/c/net.d"\n`);
    assert.equal(config.cni.confDir, '/c/net.d');
    assert.match(warnings.join(), /^.*containerd\.toml: version 5 of containerd's .* read as version 4$/);
  });

  it('is refused in the first version, and in what is none', () => {
    assert.throws(() => load('[plugins.cri.cni]\n'), /has version 1, versions 2 to 4/);
    for (const version of ['"2"', '"5"', '4.5', '0', '-1'])
      assert.throws(() => load(`version = ${version}\n`), /it has version .*, versions 2 to 4/);
  });

  it('is refused with imports that are no list of paths', () => {
    assert.throws(() => load('version = 2\nimports = "x"\n'), /imports must be a list of paths/);
    assert.throws(() => load('version = 2\nimports = [3]\n'), /imports must be a list of paths/);
  });

  it('is blamed by name for a bad value that comes from it', () => {
    assert.throws(
      () => load(`version = 2\n[${V2}.cni]\nconf_dir = "net.d"\n`),
      /invalid cni\.conf_dir: must be an absolute path \(taken from .*containerd\.toml\)/,
    );
    assert.throws(
      () => load(`version = 2\n[${V2}.cni]\nconf_dir = "/c"\n`, '[cni]\nconf_dir = "net.d"\n'),
      /invalid cni\.conf_dir: must be an absolute path$/,
    );
    const half = 'privileged_without_host_devices_all_devices_allowed = true\n';
    const theirs = `version = 2\n[${V2}.containerd.runtimes.k]\n${half}`;
    assert.throws(() => load(theirs), /devices_allowed: needs .* \(taken from .*containerd\.toml\)/);
    assert.throws(
      () => load(theirs, '[containerd.runtimes.other]\nbinary = "x"\n'),
      /k\.privileged_without_host_devices_all_devices_allowed: needs .* \(taken from .*containerd\.toml\)/,
    );
    assert.throws(
      () => load(theirs, `[containerd.runtimes.k]\n${half}`),
      /devices_allowed: needs privileged_without_host_devices$/,
    );
  });
});
