import { codeOf } from '../../lib/errors.ts';

/** What is not there any more is as good as ended: undefined in place of NOT_FOUND. */
export async function gone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}
