interface KnownError {
  readonly line: RegExp;
  readonly reason: string;
}

/** What kubelet 1.36 logs as an error on these tests with any runtime, and why. */
const KNOWN: readonly KnownError[] = [
  {
    line: /"Failed to set rlimit on max file handles"/,
    reason: 'root without CAP_SYS_RESOURCE',
  },
  {
    line: /"Failed to ensure process in container with oom score".*pid namespace of init process/,
    reason: 'process 1 of the machine is not ours to look into',
  },
  {
    line: /"Skipping pod synchronization".*(status check may not have completed yet|pleg has yet to be successful)/,
    reason: 'its first second',
  },
  {
    line: /"Failed to read data from checkpoint" err="checkpoint is not found"/,
    reason: 'its first start on this directory',
  },
  {
    line: /failed to check if we have separate container filesystem.*no imagefs label for configured runtime/,
    reason: 'it asks cAdvisor, which has labels of cri-o only; the file system comes through the CRI',
  },
  {
    line: /"Image garbage collection failed once. Stats initialization may not have completed yet"/,
    reason: 'it asked cAdvisor before its first round',
  },
  {
    line: /"failed to check if node is newer; using informer node" err="strconv.ParseInt/,
    reason: 'without an API server its node has no version',
  },
  {
    line: /from runtime service failed" err="rpc error: code = Canceled desc = context canceled"/,
    reason: 'it gave the call up itself: the pod that it made it for goes',
  },
  {
    line: /"Error proxying data from client to backend" .*websocket: close 1005 \(no status\)/,
    reason: 'the client of the test closed its WebSocket without saying why',
  },
  {
    line: /"Error on socket receive" err="read tcp \S+:10250->\S+: use of closed network connection"/,
    reason: 'it reads on from a WebSocket that it has closed itself',
  },
  {
    line: /oomparser.go:\d+\] exiting analyzeLines/,
    reason: "it reads the machine's kernel log, which went too fast for it",
  },
  {
    line: /"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for .* with CrashLoopBackOff/,
    reason: 'that is how it says that it waits before it starts a container again',
  },
];

/** What it logs while Berth's socket is not there. */
const AWAY: readonly KnownError[] = [
  {
    line: /code = Unavailable desc = connection error: .*dial unix .*berth\.sock: connect: (no such file or directory|connection refused)/,
    reason: 'nobody listens',
  },
  {
    line: /code = Unavailable desc = error reading from server|"container events stream is closed" err="EOF"/,
    reason: 'a call or stream under way ended with Berth',
  },
];

/** Whose removal kubelet asked for: it often asks twice, from several places, and asks for the status first. */
const REMOVAL = /"RemoveContainer" containerID="([0-9a-f]+)"/g;
const NOT_FOUND = /code = NotFound desc = container \\+"([0-9a-f]+)\\+" not found/;

/** Lines at level E in kubelet's log (klog) that are not known to be harmless. */
export function unknownErrors(log: string, restarted: boolean): string[] {
  const known = restarted ? [...KNOWN, ...AWAY] : KNOWN;
  const removed = new Set([...log.matchAll(REMOVAL)].map(([, id]) => id));
  return log
    .split('\n')
    .filter((line) => /^E\d{4} /.test(line))
    .filter((text) => !known.some(({ line }) => line.test(text)))
    .filter((text) => !removed.has(NOT_FOUND.exec(text)?.[1]));
}
