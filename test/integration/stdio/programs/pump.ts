/** A daemon that pumps one FIFO to a log until it is killed. */
import { Pumps } from '../../../../src/stdio/pumps.ts';

const [stdout = '', logPath = ''] = process.argv.slice(2);
const pumps = new Pumps({ onReport: console.error, onThreadDied: console.error });
await pumps.start({ id: 'c1', stdout, terminal: true, logPath, running: true });
setInterval(() => undefined, 1_000);
