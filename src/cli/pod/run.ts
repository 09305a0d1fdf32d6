import { randomUUID } from 'node:crypto';
import type { PodSandboxConfig } from '../../gen/runtime/v1/PodSandboxConfig.ts';
import { defineCommand, type OptionSpecs, type Values } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit, UsageError } from '../exit.ts';
import { json } from '../table.ts';
import { readPodConfig } from './config-file.ts';
import { pairs } from './pairs.ts';
import { parsePort } from './port.ts';

const podOptions = {
  name: { type: 'string', value: 'NAME', help: "the pod's name" },
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: 'its Kubernetes namespace, "default" by default',
  },
  uid: { type: 'string', value: 'UID', help: 'its uid, a random one by default' },
  attempt: { type: 'string', value: 'NUMBER', help: 'its attempt, 0 by default' },
  'host-network': { type: 'boolean', help: "share the node's network namespace" },
  port: {
    type: 'string',
    short: 'p',
    value: '[ADDRESS:]HOST:CONTAINER[/PROTOCOL]',
    multiple: true,
    help: 'map a port of the host to one of the pod',
  },
  label: { type: 'string', short: 'l', value: 'KEY=VALUE', multiple: true, help: 'a label' },
  annotation: { type: 'string', value: 'KEY=VALUE', multiple: true, help: 'an annotation' },
  hostname: { type: 'string', value: 'NAME', help: 'the hostname, the name by default' },
  dns: { type: 'string', value: 'ADDRESS', multiple: true, help: 'a name server' },
  'dns-search': { type: 'string', value: 'DOMAIN', multiple: true, help: 'a search domain' },
  'dns-option': { type: 'string', value: 'OPTION', multiple: true, help: 'a resolver option' },
  sysctl: { type: 'string', value: 'NAME=VALUE', multiple: true, help: "a sysctl of the pod's namespaces" },
  'cgroup-parent': { type: 'string', value: 'PATH', help: 'the cgroup for the containers' },
  'log-directory': { type: 'string', value: 'DIR', help: 'where container logs go' },
} as const satisfies OptionSpecs;

export type PodFlags = Values<typeof podOptions>;

export const command = defineCommand({
  name: 'pod run',
  summary: 'Run a pod sandbox and print its id',
  positionals: '[FILE]',
  arity: [0, 1],
  options: {
    ...clientOptions,
    ...podOptions,
    handler: { type: 'string', value: 'NAME', help: 'the runtime handler, the default one when not given' },
  },
  details: `FILE holds a PodSandboxConfig as JSON, as for crictl runp; - is stdin. Flags win over the file.
With --json: the answer of RunPodSandbox, {"podSandboxId": ...}.`,
  async run(values, [file], context) {
    if (file === undefined && values.name === undefined) throw new UsageError('pod run needs FILE or --name');
    const config = podConfig(file === undefined ? {} : readPodConfig(file), values);
    using client = await connect(values, context);
    const answer = await client.runPod(config, values.handler ?? '');
    context.stdout(values.json ? json(answer) : `${answer.podSandboxId}\n`);
    return Exit.ok;
  },
});

/** The flags laid over a file's configuration; what neither says has the defaults of the help. */
export function podConfig(file: PodSandboxConfig, flags: PodFlags): PodSandboxConfig {
  const name = flags.name ?? file.metadata?.name ?? '';
  return {
    ...file,
    metadata: {
      name,
      namespace: flags.namespace ?? (file.metadata?.namespace || 'default'),
      uid: flags.uid ?? (file.metadata?.uid || randomUUID()),
      attempt: flags.attempt === undefined ? (file.metadata?.attempt ?? 0) : attemptOf(flags.attempt),
    },
    hostname: flags['host-network'] ? '' : (flags.hostname ?? (file.hostname || name)),
    logDirectory: flags['log-directory'] ?? file.logDirectory ?? '',
    dnsConfig: dnsConfig(file, flags),
    portMappings: [...(file.portMappings ?? []), ...flags.port.map(parsePort)],
    labels: { ...file.labels, ...pairs('--label', flags.label) },
    annotations: { ...file.annotations, ...pairs('--annotation', flags.annotation) },
    linux: linux(file, flags),
  };
}

function dnsConfig(
  file: PodSandboxConfig,
  flags: PodFlags,
): NonNullable<PodSandboxConfig['dnsConfig']> | null {
  const given = flags.dns.length + flags['dns-search'].length + flags['dns-option'].length;
  if (given === 0) return file.dnsConfig ?? null;
  return {
    servers: [...(file.dnsConfig?.servers ?? []), ...flags.dns],
    searches: [...(file.dnsConfig?.searches ?? []), ...flags['dns-search']],
    options: [...(file.dnsConfig?.options ?? []), ...flags['dns-option']],
  };
}

/** As kubelet sends it: the containers' pid namespaces are their own unless the file says otherwise. */
function linux(file: PodSandboxConfig, flags: PodFlags): NonNullable<PodSandboxConfig['linux']> {
  const context = file.linux?.securityContext;
  return {
    ...file.linux,
    cgroupParent: flags['cgroup-parent'] ?? file.linux?.cgroupParent ?? '',
    sysctls: { ...file.linux?.sysctls, ...pairs('--sysctl', flags.sysctl) },
    securityContext: {
      ...context,
      namespaceOptions: {
        pid: 'CONTAINER',
        ...context?.namespaceOptions,
        ...(flags['host-network'] ? { network: 'NODE' } : {}),
      },
    },
  };
}

function attemptOf(text: string): number {
  const attempt = Number(text);
  if (/^\d+$/.test(text) && attempt <= 0xffff_ffff) return attempt;
  throw new UsageError(`--attempt must be a whole number, not "${text}"`);
}
