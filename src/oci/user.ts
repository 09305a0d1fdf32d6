import type { LinuxContainerSecurityContext__Output } from '../gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { invalid } from '../lib/errors.ts';
import type { Accounts } from './accounts.ts';
import { asUserId, text, userId } from './fields.ts';
import { SECURITY, type SpecInput, securityOf, withProcessPart } from './input.ts';
import type { RuntimeSpec, User } from './types.ts';

/** Who the process is; see containerUser. */
export function withUser(spec: RuntimeSpec, { config, image, accounts }: SpecInput): RuntimeSpec {
  return withProcessPart(spec, { user: containerUser(securityOf(config), image.user, accounts) });
}

/**
 * The user of a container: run_as_username over run_as_user over the image's, root when none says. A name must be known to the
 * image; an id need not be, and then has gid 0 unless a group is given. Groups that the image puts the user into are added
 * under the policy Merge only. Throws INVALID_ARGUMENT.
 */
export function containerUser(
  security: LinuxContainerSecurityContext__Output,
  imageUser: string,
  accounts: Accounts,
): User {
  const wanted = wantedUser(security, imageUser);
  const { uid, gid } = resolve(wanted, accounts);
  const asked = security.supplementalGroups.map((group, i) =>
    userId(`${SECURITY}.supplemental_groups[${i}]`, group),
  );
  const ofImage = mergesGroups(security) ? groupsOf(wanted.user, accounts) : [];
  const additionalGids = [...new Set([gid, ...ofImage, ...asked])].sort((a, b) => a - b);
  return { uid, gid, additionalGids };
}

/** Name or id of user and group, the latter undefined when not given, and the field that they came from. */
interface Wanted {
  readonly user: string;
  readonly group: string | undefined;
  readonly field: string;
}

function wantedUser(security: LinuxContainerSecurityContext__Output, imageUser: string): Wanted {
  const { runAsUser, runAsUsername, runAsGroup } = security;
  const group =
    runAsGroup === null ? undefined : String(userId(`${SECURITY}.run_as_group`, runAsGroup.value));
  if (runAsUsername !== '')
    return split(`${SECURITY}.run_as_username`, text(`${SECURITY}.run_as_username`, runAsUsername), group);
  const field = `${SECURITY}.run_as_user`;
  if (runAsUser !== null) return { user: String(userId(field, runAsUser.value)), group, field };
  if (group !== undefined)
    throw invalid(`${SECURITY}.run_as_group`, `user group "${group}" is specified without user`);
  return split("the image's user", imageUser === '' ? '0' : imageUser, undefined);
}

/** `user`, or `user:group` when no group is given otherwise. */
function split(field: string, value: string, group: string | undefined): Wanted {
  const [user = '', ownGroup, ...more] = group === undefined ? value.split(':') : [value];
  if (user === '' || ownGroup === '' || more.length > 0)
    throw invalid(field, `${JSON.stringify(value)} is neither a user nor user:group`);
  return { user, group: group ?? ownGroup, field };
}

function resolve({ user, group, field }: Wanted, { users, groups }: Accounts): { uid: number; gid: number } {
  const id = asUserId(user);
  const account = users.find(({ uid, name }) => (id === undefined ? name === user : uid === id));
  const uid = id ?? account?.uid;
  if (uid === undefined) throw invalid(field, `the image has no user ${JSON.stringify(user)}`);
  if (group === undefined) return { uid, gid: account?.gid ?? 0 };
  const gid = asUserId(group) ?? groups.find(({ name }) => name === group)?.gid;
  if (gid === undefined) throw invalid(field, `the image has no group ${JSON.stringify(group)}`);
  return { uid, gid };
}

function mergesGroups({ supplementalGroupsPolicy }: LinuxContainerSecurityContext__Output): boolean {
  switch (supplementalGroupsPolicy) {
    case 'Merge':
      return true;
    case 'Strict':
      return false;
    default:
      throw invalid(
        `${SECURITY}.supplemental_groups_policy`,
        `unknown policy ${String(supplementalGroupsPolicy)}`,
      );
  }
}

/** The groups that list the user as a member; the group of the same name is the primary one. */
function groupsOf(user: string, { users, groups }: Accounts): number[] {
  const id = asUserId(user);
  const name = id === undefined ? user : users.find(({ uid }) => uid === id)?.name;
  if (name === undefined) return [];
  return groups.filter((group) => group.name !== name && group.members.includes(name)).map(({ gid }) => gid);
}
