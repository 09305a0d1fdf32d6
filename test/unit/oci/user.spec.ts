import assert from 'node:assert/strict';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { type Accounts, parseGroup, parsePasswd } from '../../../src/oci/accounts.ts';
import type { User } from '../../../src/oci/types.ts';
import { containerUser } from '../../../src/oci/user.ts';
import { security } from './spec-input.ts';

const accounts: Accounts = {
  users: parsePasswd('root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\nbob:x:2000:2000\n'),
  groups: parseGroup('root:x:0:\nann:x:1001:ann\nwheel:x:10:ann,bob\nops:x:50000:ann\nstaff:x:50:\n'),
};

const user = (part: Partial<LinuxContainerSecurityContext__Output>, imageUser = '', of = accounts): User =>
  containerUser(security(part), imageUser, of);
const ids = ({ uid, gid, additionalGids }: User): unknown[] => [uid, gid, ...additionalGids];
const refuses = (
  part: Partial<LinuxContainerSecurityContext__Output>,
  field: string,
  imageUser = '',
): void => {
  assert.throws(() => user(part, imageUser), { code: 'INVALID_ARGUMENT', meta: { field } });
};
const SC = 'config.linux.security_context';

describe('the user of a container', () => {
  it('is root when nobody says', () => {
    assert.deepEqual(ids(user({})), [0, 0, 0]);
  });

  it('is by id, with the group that the image gives that id', () => {
    assert.deepEqual(ids(user({ runAsUser: { value: '1000' } })), [1000, 1001, 10, 1001, 50000]);
    assert.deepEqual(ids(user({ runAsUser: { value: '4711' } })), [4711, 0, 0]);
    assert.deepEqual(
      ids(user({ runAsUser: { value: '1000' }, runAsGroup: { value: '7' } })),
      [1000, 7, 7, 10, 50000],
    );
  });

  it('is by name, over an id', () => {
    assert.deepEqual(ids(user({ runAsUsername: 'bob', runAsUser: { value: '1' } })), [2000, 2000, 10, 2000]);
    assert.deepEqual(ids(user({ runAsUsername: 'bob', runAsGroup: { value: '0' } })), [2000, 0, 0, 10]);
    refuses({ runAsUsername: 'carl' }, `${SC}.run_as_username`);
  });

  it("is the image's in all its forms when the request has none", () => {
    assert.deepEqual(ids(user({}, 'ann')), [1000, 1001, 10, 1001, 50000]);
    assert.deepEqual(ids(user({}, '1000')), [1000, 1001, 10, 1001, 50000]);
    assert.deepEqual(ids(user({}, 'ann:staff')), [1000, 50, 10, 50, 50000]);
    assert.deepEqual(ids(user({}, '5:6')), [5, 6, 6]);
    assert.deepEqual(ids(user({}, '5:staff')), [5, 50, 50]);
    assert.deepEqual(ids(user({ runAsUser: { value: '0' } }, 'ann')), [0, 0, 0]);
    for (const bad of ['carl', 'ann:nogroup', 'a:b:c', ':staff', 'ann:', '4294967295']) {
      refuses({}, "the image's user", bad);
    }
  });

  it('has only the groups that are asked for under the policy Strict', () => {
    const asked = { runAsUser: { value: '1000' }, supplementalGroups: ['1234', '10'] };
    assert.deepEqual(
      ids(user({ ...asked, supplementalGroupsPolicy: 'Strict' })),
      [1000, 1001, 10, 1001, 1234],
    );
    assert.deepEqual(ids(user(asked)), [1000, 1001, 10, 1001, 1234, 50000]);
  });

  it('is refused a group without a user, and ids out of range', () => {
    refuses({ runAsGroup: { value: '5' } }, `${SC}.run_as_group`);
    refuses({ runAsGroup: { value: '5' } }, `${SC}.run_as_group`, 'ann');
    refuses({ runAsUser: { value: '-1' } }, `${SC}.run_as_user`);
    refuses({ runAsUser: { value: '2147483648' } }, `${SC}.run_as_user`);
    refuses({ runAsUser: { value: '1' }, runAsGroup: { value: '-5' } }, `${SC}.run_as_group`);
    refuses({ supplementalGroups: ['1', '-7'] }, `${SC}.supplemental_groups[1]`);
  });

  it('needs no passwd file for ids', () => {
    const none = { users: [], groups: [] };
    assert.deepEqual(ids(user({ runAsUser: { value: '9' } }, '', none)), [9, 0, 0]);
    assert.throws(() => user({}, 'ann', none), /the image has no user "ann"/);
  });
});

describe('passwd and group files', () => {
  it('lose lines whose ids are no ids, so that none stands for root', () => {
    assert.deepEqual(
      parsePasswd('eve:x:zero:0\nada:x:5:many\nmal:x:-1:0\nbig:x:4294967296:0\n:x:5:5\nok:x:5:6:more:fields'),
      [{ name: 'ok', uid: 5, gid: 6 }],
    );
    assert.deepEqual(parseGroup('\n# comment\na:x::b\nb:x:7:\nc:x:8:u,,v'), [
      { name: 'b', gid: 7, members: [] },
      { name: 'c', gid: 8, members: ['u', 'v'] },
    ]);
  });
});
