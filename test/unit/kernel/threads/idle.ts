/** A program for pool.spec.ts: it ends only when its pool lets it. */
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';

const pool = new ThreadPool({ name: 'idle', size: 2, modules: [new URL('./jobs.js', import.meta.url)] });
pool.start();
void pool.call('sleep', 50).then(() => console.log('done'));
