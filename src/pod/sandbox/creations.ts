import { isDeepStrictEqual } from 'node:util';
import type { SandboxPlan } from './plan.ts';

interface Creation {
  readonly plan: SandboxPlan;
  readonly sandboxId: Promise<string>;
}

/** True when both ask for the same sandbox; the order of map entries does not matter. */
export function samePlan(
  a: Pick<SandboxPlan, 'config' | 'runtimeHandler'>,
  b: Pick<SandboxPlan, 'config' | 'runtimeHandler'>,
): boolean {
  return a.runtimeHandler === b.runtimeHandler && isDeepStrictEqual(a.config, b.config);
}

/**
 * The creations under way, by reserved name. A retry with the same configuration joins the first call, also when that
 * call's own deadline has passed: kubelet never meets "name is reserved".
 */
export class Creations {
  readonly #byName = new Map<string, Creation>();

  /** Joins the creation of that name, or begins it. One with another configuration is waited for first. */
  async join(plan: SandboxPlan, create: () => Promise<string>): Promise<string> {
    for (;;) {
      const running = this.#byName.get(plan.reservedName);
      if (running === undefined) return this.#begin(plan, create);
      if (samePlan(running.plan, plan)) return running.sandboxId;
      await running.sandboxId.catch(() => undefined);
    }
  }

  /** Resolves when no creation is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#byName.values()].map((creation) => creation.sandboxId));
  }

  #begin(plan: SandboxPlan, create: () => Promise<string>): Promise<string> {
    const sandboxId = create().finally(() => this.#byName.delete(plan.reservedName));
    this.#byName.set(plan.reservedName, { plan, sandboxId });
    return sandboxId;
  }
}
