import { wildcards } from '../config/glob.ts';
import type { SpecInput } from './input.ts';
import type { RuntimeSpec } from './types.ts';

type Annotations = Readonly<Record<string, string>>;

/** containerd's CRI annotations: gVisor, Kata and monitoring read them. Beside them what the handler's patterns let through. */
export function withAnnotations(spec: RuntimeSpec, input: SpecInput): RuntimeSpec {
  const { config, sandbox, imageName, handler } = input;
  const pod = sandbox.config.metadata;
  const annotations = {
    ...passedOn(sandbox.config.annotations, handler.podAnnotations),
    ...passedOn(config.annotations, handler.containerAnnotations),
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.sandbox-id': sandbox.id,
    'io.kubernetes.cri.sandbox-name': pod?.name ?? '',
    'io.kubernetes.cri.sandbox-namespace': pod?.namespace ?? '',
    'io.kubernetes.cri.sandbox-uid': pod?.uid ?? '',
    'io.kubernetes.cri.container-name': config.metadata?.name ?? '',
    'io.kubernetes.cri.image-name': imageName,
  };
  return { ...spec, annotations: { ...spec.annotations, ...annotations } };
}

/** Those annotations whose names one of the patterns matches. */
export function passedOn(annotations: Annotations, patterns: readonly string[]): Annotations {
  if (patterns.length === 0) return {};
  const wanted = patterns.map(wildcards);
  return Object.fromEntries(
    Object.entries(annotations).filter(([name]) => wanted.some((pattern) => pattern.test(name))),
  );
}
