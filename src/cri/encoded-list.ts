import type { ServiceDefinition } from '@grpc/grpc-js';

type Method = ServiceDefinition[string];

/**
 * A list method that encodes each item once. Between two lists hardly anything changes, and a dense node is asked for hundreds
 * of items every second. Items are known by identity, so whoever makes them gives the same object for as long as it is true.
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
  return {
    ...method,
    responseSerialize: (response: object) =>
      Buffer.concat((response as Record<string, object[]>)[field]?.map(encode) ?? []),
  };
}
