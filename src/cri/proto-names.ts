/** Messages hold maps whose keys are data, not field names. */
const MAPS = new Set(['labels', 'annotations', 'sysctls', 'unified']);

/** A message with the field names of the proto file, as Go prints it: `log_directory`, not `logDirectory`. */
export function protoNames(message: unknown): unknown {
  if (Array.isArray(message)) return message.map(protoNames);
  if (typeof message !== 'object' || message === null) return message;
  return Object.fromEntries(
    Object.entries(message).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      MAPS.has(key) ? (value as unknown) : protoNames(value),
    ]),
  );
}
