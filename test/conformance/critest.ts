/** Runs critest and reads its report. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { DIGEST_IN_CRITEST } from './images/catalog.ts';

export interface Outcome {
  readonly name: string;
  readonly state: string;
  /** Why it failed, or skipped itself; '' for a spec that the command line left out. */
  readonly message: string;
}

export interface CritestOptions {
  readonly program: string;
  /** Where the report and a copy of the program go. */
  readonly directory: string;
  readonly socket: string;
  /** Only specs whose name matches; all when absent. */
  readonly focus?: RegExp;
  /** How critest streams: SPDY when absent. */
  readonly webSocket?: boolean;
  /** Digest of our image in place of the one that critest asks for by its digest. */
  readonly imageDigest: string;
}

interface Report {
  readonly SpecReports: readonly Spec[] | null;
}

interface Spec {
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly State: string;
  readonly Failure?: { readonly Message: string };
}

/** What became of every spec that was to run, and all that critest wrote. */
export async function runCritest(options: CritestOptions): Promise<{ outcomes: Outcome[]; output: string }> {
  const { directory, socket, focus, webSocket = false } = options;
  const program = await withDigest(options);
  const report = join(directory, 'report.json');
  const segments = await sharedMemory();
  const { all } = await execa(
    program,
    [
      `--runtime-endpoint=unix://${socket}`,
      `--image-endpoint=unix://${socket}`,
      '--ginkgo.no-color',
      '--ginkgo.timeout=9m',
      '--ginkgo.poll-progress-after=30s',
      `--ginkgo.json-report=${report}`,
      ...(focus === undefined ? [] : [`--ginkgo.focus=${focus.source}`]),
      ...(webSocket ? ['exec', 'attach', 'portforward'].map((kind) => `--websocket-${kind}`) : []),
    ],
    { all: true, reject: false },
  );
  await removeSegments(segments);
  const suites = JSON.parse(await readFile(report, 'utf8').catch(() => '[]')) as Report[];
  return { outcomes: outcomesOf(suites), output: all };
}

function outcomesOf(suites: readonly Report[]): Outcome[] {
  return suites
    .flatMap((suite) => suite.SpecReports ?? [])
    .filter((spec) => spec.LeafNodeType === 'It')
    .map((spec) => ({
      name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ').replace('[k8s.io] ', ''),
      state: spec.State,
      message: spec.Failure?.Message ?? '',
    }))
    .filter(({ state, message }) => state !== 'skipped' || message !== '');
}

/** critest asks for one image by a digest, and nobody can build that image again: a copy asks for ours, which is as long. */
async function withDigest({ program, directory, imageDigest }: CritestOptions): Promise<string> {
  const bytes = await readFile(program);
  const ours = Buffer.from(imageDigest.replace('sha256:', ''));
  let replaced = 0;
  for (let at = bytes.indexOf(DIGEST_IN_CRITEST); at !== -1; at = bytes.indexOf(DIGEST_IN_CRITEST, at)) {
    ours.copy(bytes, at);
    replaced += 1;
  }
  if (replaced === 0) throw new Error('critest asks for another digest than the one that is known here');
  const copy = join(directory, 'critest');
  await writeFile(copy, bytes);
  await chmod(copy, 0o755);
  return copy;
}

/** Ids of the System V segments that nobody is attached to: the HostIpc specs each leave one. */
async function sharedMemory(): Promise<string[]> {
  const [, ...lines] = (await readFile('/proc/sysvipc/shm', 'utf8')).trimEnd().split('\n');
  return lines.flatMap((line) => {
    const [, id = '', , , , , attached] = line.trim().split(/\s+/);
    return attached === '0' ? [id] : [];
  });
}

async function removeSegments(before: readonly string[]): Promise<void> {
  const left = (await sharedMemory()).filter((id) => !before.includes(id));
  for (const id of left) await execa('ipcrm', ['--shmem-id', id], { reject: false });
}
