import { CniCode, CniError } from '../cni/types.ts';

/**
 * CNI_ARGS (`K=V;K=V`) as a plugin reads them that knows these names. A name that it does not know is an error unless
 * IgnoreUnknown is true, as in the reference library.
 */
export function cniArgs(text: string, known: readonly string[]): Record<string, string> {
  if (text === '') return {};
  const pairs = text.split(';').map(splitPair);
  const values = Object.fromEntries(pairs);
  const unknown = pairs.filter(([name]) => name !== 'IgnoreUnknown' && !known.includes(name));
  if (unknown.length > 0 && !isTrue(values['IgnoreUnknown'] ?? 'false')) {
    const shown = unknown.map(([name, value]) => JSON.stringify(`${name}=${value}`)).join(' ');
    throw new CniError(CniCode.Internal, `ARGS: unknown args [${shown}]`);
  }
  return values;
}

function splitPair(pair: string): [string, string] {
  const [name, value, ...more] = pair.split('=');
  if (name === undefined || value === undefined || more.length > 0) {
    throw new CniError(CniCode.Internal, `ARGS: invalid pair ${JSON.stringify(pair)}`);
  }
  return [name, value];
}

function isTrue(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower === '1' || lower === 'true') return true;
  if (lower === '0' || lower === 'false') return false;
  const problem = `boolean unmarshal error: invalid input ${lower}`;
  throw new CniError(
    CniCode.Internal,
    `ARGS: error parsing value of pair "IgnoreUnknown=${text}": ${problem}`,
  );
}
