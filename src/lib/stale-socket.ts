import { unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { BerthError, isErrno } from './errors.ts';

/** A socket file that nobody answers on is left over from a daemon that was killed. Throws when somebody does. */
export async function removeStaleSocket(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (isErrno(error, 'ENOENT', 'ECONNREFUSED', 'ENOTSOCK')) resolve(false);
      else reject(error);
    });
  });
  if (answered) throw new BerthError('ALREADY_EXISTS', `another process listens on "${path}"`);
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
