/** Kubernetes' resource quantities (`10M`, `1.5Gi`, `2e6`), as far as whole numbers are wanted of them. */

const QUANTITY = /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE][+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]))?$/;
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** Kubernetes clamps quantities near 2^63; more digits than this cannot matter and cost time. */
const MAX_DIGITS = 64;
const MAX_EXPONENT = 64;

/** The value rounded up to a whole number, as Quantity.Value() does; undefined when the text is no quantity. */
export function parseQuantity(text: string): bigint | undefined {
  const [matched, sign, whole = '', fraction = '', exponent, suffix = ''] = QUANTITY.exec(text) ?? [];
  const digits = whole + fraction;
  if (matched === undefined || digits === '' || digits.length > MAX_DIGITS) return undefined;
  const power = exponent === undefined ? (DECIMAL[suffix] ?? 0) : Number(exponent.slice(1));
  if (Math.abs(power) > MAX_EXPONENT) return undefined;
  const factor = 1024n ** BigInt(BINARY.indexOf(suffix) + 1);
  const scale = power - fraction.length;
  const magnitude = BigInt(digits) * factor;
  if (sign === '-')
    return scale >= 0 ? -(magnitude * 10n ** BigInt(scale)) : -(magnitude / 10n ** BigInt(-scale));
  if (scale >= 0) return magnitude * 10n ** BigInt(scale);
  const divisor = 10n ** BigInt(-scale);
  return (magnitude + divisor - 1n) / divisor;
}
