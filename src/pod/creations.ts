interface Creation<Plan> {
  readonly plan: Plan;
  readonly id: Promise<string>;
}

/**
 * The creations under way, by reserved name. A retry that asks for the same joins the first call, also when that call's own
 * deadline has passed: kubelet never meets "name is reserved".
 */
export class Creations<Plan extends { readonly reservedName: string }> {
  readonly #byName = new Map<string, Creation<Plan>>();
  readonly #same: (a: Plan, b: Plan) => boolean;
  readonly #onQuiet: () => void;

  /** @param same whether two requests of one name ask for the same thing. @param onQuiet told when the last one under way has ended. */
  constructor(same: (a: Plan, b: Plan) => boolean, onQuiet: () => void = () => undefined) {
    this.#same = same;
    this.#onQuiet = onQuiet;
  }

  /** Joins the creation of that name, or begins it. One that asks for something else is waited for first. */
  async join(plan: Plan, create: () => Promise<string>): Promise<string> {
    for (;;) {
      const running = this.#byName.get(plan.reservedName);
      if (running === undefined) return this.#begin(plan, create);
      if (this.#same(running.plan, plan)) return running.id;
      await running.id.catch(() => undefined);
    }
  }

  /** Resolves when no creation is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#byName.values()].map((creation) => creation.id));
  }

  #begin(plan: Plan, create: () => Promise<string>): Promise<string> {
    const id = create().finally(() => {
      this.#byName.delete(plan.reservedName);
      if (this.#byName.size === 0) this.#onQuiet();
    });
    this.#byName.set(plan.reservedName, { plan, id });
    return id;
  }
}
