import type { ServiceDefinition } from '@grpc/grpc-js';

type Method = ServiceDefinition[string];

/**
 * A list method that encodes each item once, and a list that is the same as the last one not at all. Between two lists hardly
 * anything changes, and a dense node is asked for hundreds of items every second. Items are known by identity, so whoever makes
 * them gives the same object for as long as it is true.
 *
 * A response with one item is exactly that item's field on the wire, and such responses one after the other are the response with
 * all of them (protobuf: repeated fields concatenate): nothing of the wire format has to be known here.
 */
export function encodingOnce(method: Method, field: string): Method {
  const known = new WeakMap<object, Buffer>();
  const encode = (item: object): Buffer => {
    const encoded = known.get(item) ?? method.responseSerialize({ [field]: [item] });
    known.set(item, encoded);
    return encoded;
  };
  let last: { readonly items: readonly object[]; readonly bytes: Buffer } = {
    items: [],
    bytes: Buffer.alloc(0),
  };
  return {
    ...method,
    responseSerialize: (response: object) => {
      const items = (response as Record<string, object[]>)[field] ?? [];
      if (!sameItems(items, last.items)) last = { items, bytes: Buffer.concat(items.map(encode)) };
      return last.bytes;
    },
  };
}

function sameItems(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at]);
}
