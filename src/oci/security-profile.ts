import type { SecurityProfile__Output } from '../gen/runtime/v1/SecurityProfile.ts';
import { invalid } from '../lib/errors.ts';

/** A seccomp or AppArmor profile as asked for. */
export type Profile = { readonly type: 'RuntimeDefault' | 'Unconfined' } | LocalhostProfile;

export interface LocalhostProfile {
  readonly type: 'Localhost';
  readonly ref: string;
  /** Where it was asked for. */
  readonly field: string;
}

/** The two ways to ask: the message, and the deprecated string, which is read only without the former. */
export interface ProfileFields {
  readonly profile: SecurityProfile__Output | null;
  readonly profileField: string;
  readonly path: string;
  readonly pathField: string;
}

const LOCALHOST = 'localhost/';

/** Reads either way; undefined when nothing is asked for. Throws INVALID_ARGUMENT. */
export function askedProfile(fields: ProfileFields): Profile | undefined {
  const { profile, profileField, path, pathField } = fields;
  return profile === null ? profileOfPath(pathField, path) : fromMessage(profileField, profile);
}

function fromMessage(field: string, { profileType, localhostRef }: SecurityProfile__Output): Profile {
  switch (profileType) {
    case 'RuntimeDefault':
    case 'Unconfined':
      if (localhostRef !== '')
        throw invalid(`${field}.localhost_ref`, 'must only be set when profile_type is Localhost');
      return { type: profileType };
    case 'Localhost':
      return localhost(`${field}.localhost_ref`, localhostRef);
    default:
      throw invalid(`${field}.profile_type`, `unknown type ${String(profileType)}`);
  }
}

/** Reads the deprecated string. Throws INVALID_ARGUMENT. */
export function profileOfPath(field: string, path: string): Profile | undefined {
  switch (path) {
    case '':
      return undefined;
    case 'runtime/default':
    case 'docker/default':
      return { type: 'RuntimeDefault' };
    case 'unconfined':
      return { type: 'Unconfined' };
    default:
      if (!path.startsWith(LOCALHOST)) throw invalid(field, `${JSON.stringify(path)} is not a profile`);
      return localhost(field, path);
  }
}

function localhost(field: string, ref: string): Profile {
  const name = ref.startsWith(LOCALHOST) ? ref.slice(LOCALHOST.length) : ref;
  if (name === '') throw invalid(field, 'must not be empty');
  return { type: 'Localhost', ref: name, field };
}
