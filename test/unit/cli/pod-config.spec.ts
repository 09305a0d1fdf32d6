import assert from 'node:assert/strict';
import { parsePodConfig, readPodConfig } from '../../../src/cli/pod/config-file.ts';
import { parsePort } from '../../../src/cli/pod/port.ts';
import { podConfig, type PodFlags } from '../../../src/cli/pod/run.ts';

const noFlags: PodFlags = {
  name: undefined,
  namespace: undefined,
  uid: undefined,
  attempt: undefined,
  'host-network': false,
  port: [],
  label: [],
  annotation: [],
  hostname: undefined,
  dns: [],
  'dns-search': [],
  'dns-option': [],
  sysctl: [],
  'cgroup-parent': undefined,
  'log-directory': undefined,
};

describe('a pod configuration file', () => {
  it("has crictl's names or protobuf's, and enums by name or number", () => {
    const config = parsePodConfig(`{
      "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "attempt": 2},
      "log_directory": "/var/log/pods",
      "dnsConfig": {"servers": ["10.0.0.10"]},
      "port_mappings": [{"container_port": 80, "host_port": 8080, "protocol": 1, "host_ip": null}],
      "labels": {"log_directory": "kept_as_it_is"},
      "linux": {
        "security_context": {"namespace_options": {"network": "NODE", "pid": 1}, "run_as_user": {"value": "1000"}},
        "resources": {"memory_limit_in_bytes": 1048576}
      }
    }`);
    assert.deepEqual(config, {
      metadata: { name: 'web', namespace: 'shop', uid: 'u1', attempt: 2 },
      logDirectory: '/var/log/pods',
      dnsConfig: { servers: ['10.0.0.10'] },
      portMappings: [{ containerPort: 80, hostPort: 8080, protocol: 1 }],
      labels: { log_directory: 'kept_as_it_is' },
      linux: {
        securityContext: { namespaceOptions: { network: 'NODE', pid: 1 }, runAsUser: { value: '1000' } },
        resources: { memoryLimitInBytes: 1048576 },
      },
    });
  });

  const refused: [text: string, message: RegExp][] = [
    ['{', /JSON/],
    ['[]', /invalid configuration: must be an object/],
    ['{"metadta": {}}', /invalid metadta: no such field \(did you mean metadata\?\)/],
    ['{"metadata": {"name": 3}}', /invalid metadata\.name: must be a string/],
    ['{"metadata": {"attempt": 1.5}}', /invalid metadata\.attempt: must be a whole number/],
    ['{"metadata": {"attempt": -1}}', /invalid metadata\.attempt: must fit into uint32/],
    ['{"metadata": "web"}', /invalid metadata: must be an object/],
    ['{"labels": ["a"]}', /invalid labels: must be an object/],
    ['{"labels": {"a": 1}}', /invalid labels\.a: must be a string/],
    ['{"port_mappings": {}}', /invalid port_mappings: must be a list/],
    [
      '{"port_mappings": [{"host_port": 4294967296}]}',
      /invalid port_mappings\.0\.host_port: must fit into int32/,
    ],
    [
      '{"port_mappings": [{"protocol": "ICMP"}]}',
      /invalid port_mappings\.0\.protocol: must be one of TCP, UDP, SCTP/,
    ],
    ['{"port_mappings": [{"protocol": 9}]}', /invalid port_mappings\.0\.protocol/],
    [
      '{"linux": {"security_context": {"namespace_options": {"network": "HOST"}}}}',
      /invalid linux\.security_context\.namespace_options\.network: must be one of POD, CONTAINER, NODE, TARGET/,
    ],
    ['{"linux": {"security_context": {"privileged": 1}}}', /privileged: must be true or false/],
  ];

  for (const [text, message] of refused) {
    it(`is refused: ${text}`, () => assert.throws(() => parsePodConfig(text), message));
  }

  it('that does not exist is named', () => {
    assert.throws(() => readPodConfig('/nonexistent/pod.json'), {
      code: 'NOT_FOUND',
      message: /nonexistent\/pod\.json/,
    });
  });
});

describe('the flags of pod run', () => {
  it('are enough without a file', () => {
    const config = podConfig({}, { ...noFlags, name: 'web' });
    assert.match(config.metadata?.uid ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      { ...config, metadata: { ...config.metadata, uid: '' } },
      {
        metadata: { name: 'web', namespace: 'default', uid: '', attempt: 0 },
        hostname: 'web',
        logDirectory: '',
        dnsConfig: null,
        portMappings: [],
        labels: {},
        annotations: {},
        linux: { cgroupParent: '', sysctls: {}, securityContext: { namespaceOptions: { pid: 'CONTAINER' } } },
      },
    );
  });

  it('win over the file and add to it', () => {
    const file = parsePodConfig(`{
      "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "attempt": 2},
      "labels": {"a": "1", "b": "2"},
      "dns_config": {"servers": ["10.0.0.10"], "searches": ["svc"]},
      "linux": {"security_context": {"privileged": true, "namespace_options": {"ipc": "NODE"}}}
    }`);
    const config = podConfig(file, {
      ...noFlags,
      name: 'api',
      attempt: '3',
      'host-network': true,
      label: ['b=3', 'c=x=y'],
      dns: ['1.1.1.1'],
      sysctl: ['net.ipv4.ip_forward=1'],
    });
    assert.deepEqual(config.metadata, { name: 'api', namespace: 'shop', uid: 'u1', attempt: 3 });
    assert.deepEqual(config.labels, { a: '1', b: '3', c: 'x=y' });
    assert.deepEqual(config.dnsConfig, { servers: ['10.0.0.10', '1.1.1.1'], searches: ['svc'], options: [] });
    assert.equal(config.hostname, '');
    assert.deepEqual(config.linux?.securityContext, {
      privileged: true,
      namespaceOptions: { pid: 'CONTAINER', ipc: 'NODE', network: 'NODE' },
    });
    assert.deepEqual(config.linux.sysctls, { 'net.ipv4.ip_forward': '1' });
  });
});

describe('--port', () => {
  it('is host port and container port, with an address before and a protocol after', () => {
    assert.deepEqual(parsePort('8080:80'), {
      hostIp: '',
      hostPort: 8080,
      containerPort: 80,
      protocol: 'TCP',
    });
    assert.deepEqual(parsePort('127.0.0.1:53:53/UDP'), {
      hostIp: '127.0.0.1',
      hostPort: 53,
      containerPort: 53,
      protocol: 'UDP',
    });
    assert.deepEqual(parsePort('[::1]:1:65535/sctp'), {
      hostIp: '::1',
      hostPort: 1,
      containerPort: 65535,
      protocol: 'SCTP',
    });
  });

  for (const text of [
    '',
    '80',
    '0:80',
    '80:0',
    '80:65536',
    '8080:80/icmp',
    'localhost:1:2',
    '[1.2.3.4]:1:2',
    '::1:1:2',
    '-1:80',
    '8080:80:',
  ]) {
    it(`refuses "${text}"`, () => assert.throws(() => parsePort(text), { name: 'UsageError' }));
  }
});
