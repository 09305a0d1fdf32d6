import type { ContainerConfig__Output } from '../../gen/runtime/v1/ContainerConfig.ts';
import { invalid } from '../../lib/errors.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';

const FIELD = 'config.linux.security_context.namespace_options.target_id';

/** The container whose pid namespace pid mode TARGET joins. Throws INVALID_ARGUMENT unless it runs in the same sandbox. */
export function targetContainer(
  { containers }: Pick<PodDeps, 'containers'>,
  config: ContainerConfig__Output,
  sandboxId: string,
): Container {
  const given = config.linux?.securityContext?.namespaceOptions?.targetId ?? '';
  const target = containers.store.find(given);
  if (target?.record.sandboxId !== sandboxId)
    throw invalid(FIELD, `container "${given}" is not in this sandbox`);
  if (target.state.phase !== 'running') throw invalid(FIELD, `container "${given}" is not running`);
  return target;
}
