/**
 * A function of an object and of its state, which is replaced whenever it changes: computed again only then. For as long as the state
 * is the same, so is the value.
 */
export function memoOfState<Owner extends { readonly state: object }, Value>(
  compute: (owner: Owner) => Value,
): (owner: Owner) => Value {
  const known = new WeakMap<Owner, { readonly state: object; readonly value: Value }>();
  return (owner) => {
    const { state } = owner;
    const found = known.get(owner);
    if (found?.state === state) return found.value;
    const value = compute(owner);
    known.set(owner, { state, value });
    return value;
  };
}
