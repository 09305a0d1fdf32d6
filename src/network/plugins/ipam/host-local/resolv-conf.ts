import { readFileSync } from 'node:fs';
import type { ResultDns } from '../../../cni/types.ts';

/** The dns of a result from the text of a resolv.conf(5). Of several `domain` lines the last one counts. */
export function parseResolvConf(text: string): ResultDns {
  const fields = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line))
    .map((line) => line.split(/\s+/));
  const values = (name: string): string[][] =>
    fields.filter(([first, second]) => first === name && second !== undefined).map(([, ...rest]) => rest);
  const nameservers = values('nameserver').flatMap(([address = '']) => [address]);
  const domain = values('domain').at(-1)?.[0];
  const search = values('search').flat();
  const options = values('options').flat();
  return {
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ...(domain === undefined ? {} : { domain }),
    ...(search.length === 0 ? {} : { search }),
    ...(options.length === 0 ? {} : { options }),
  };
}

export function readResolvConf(path: string): ResultDns {
  return path === '' ? {} : parseResolvConf(readFileSync(path, 'utf8'));
}
