import type { SpecInput } from './input.ts';
import type { RuntimeSpec } from './types.ts';

/** containerd's CRI annotations: gVisor, Kata and monitoring read them. */
export function withAnnotations(spec: RuntimeSpec, { config, sandbox, imageName }: SpecInput): RuntimeSpec {
  const pod = sandbox.config.metadata;
  const annotations = {
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
