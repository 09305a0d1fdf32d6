import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts';

const MASK = '***';
const SECRET_KEY =
  /pass(word|wd|phrase|code)?$|token|secret|credential|kubeconfig|auth|key|last-applied-configuration/i;
const PATH_KEY = /kubeconfig$|(file|path|dir)$/i;
const MAX_TEXT = 1024;
const USER_INFO = /(\/\/)[^/@\s]*:[^/@\s]*@/g;

/**
 * A copy of a configuration with its secrets replaced by `***`: values of keys such as password, token or kubeconfig,
 * the value beside a `name` that is such a key, and user:password in URLs. Paths of files that hold secrets stay:
 * they are no secret, and one wants to see them. Long texts are cut: the copy is for reading.
 */
export function maskSecrets(config: JsonObject): JsonObject {
  const namesSecret = typeof config['name'] === 'string' && SECRET_KEY.test(config['name']);
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const isSecret = SECRET_KEY.test(key) || (namesSecret && key === 'value');
      return [key, isSecret && !isHarmless(key, value) ? MASK : maskValue(value)];
    }),
  );
}

function maskValue(value: Json): Json {
  if (typeof value === 'string') {
    const shown = value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
    return shown.replace(USER_INFO, `$1${MASK}@`);
  }
  if (Array.isArray(value)) return value.map(maskValue);
  return isJsonObject(value) ? maskSecrets(value) : value;
}

function isHarmless(key: string, value: Json): boolean {
  if (value === null || typeof value === 'boolean' || value === '') return true;
  return PATH_KEY.test(key) && typeof value === 'string' && /^\/[^\n]*$/.test(value);
}
