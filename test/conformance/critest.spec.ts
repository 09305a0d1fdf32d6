import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { EmptyImageService } from '../fakes/image-service.ts';
import { TestDaemon } from '../helpers/daemon.ts';
import { TestNode } from '../helpers/node.ts';

interface Spec {
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly State: string;
  readonly Failure?: { readonly Message: string };
}

interface Outcome {
  readonly name: string;
  readonly state: string;
  readonly message: string;
}

const basic = 'PodSandbox runtime should support basic operations on PodSandbox runtime should support';
const info = 'Runtime info runtime should support returning runtime info runtime should return';

/** The slice of critest that needs no container: a list that may only grow. */
const expected = [
  'Idempotence RemovePodSandbox should not return an error if not found',
  'Idempotence StopPodSandbox should not return an error if already stopped',
  'Idempotence StopPodSandbox should not return an error if not found',
  `${basic} preserving PodSandbox attributes [Conformance]`,
  `${basic} removing PodSandbox [Conformance]`,
  `${basic} running PodSandbox [Conformance]`,
  `${basic} stopping PodSandbox [Conformance]`,
  `${info} runtime conditions [Conformance]`,
  `${info} version info [Conformance]`,
];

function escape(text: string): string {
  return text.replace(/[[\]().]/g, '\\$&');
}

function outcomes(report: readonly { readonly SpecReports: readonly Spec[] | null }[]): Outcome[] {
  return report
    .flatMap((suite) => suite.SpecReports ?? [])
    .filter((spec) => spec.LeafNodeType === 'It')
    .map((spec) => ({
      name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ').replace('[k8s.io] ', ''),
      state: spec.State,
      message: spec.Failure?.Message ?? '',
    }));
}

describe('critest', () => {
  it(`passes all ${expected.length} specs for sandboxes and runtime info`, async function () {
    this.timeout(300_000);
    const program = process.env['CRITEST'];
    assert.ok(program, 'CRITEST is not set: run this through npm run conformance');
    await using node = await TestNode.create();
    await using daemon = await TestDaemon.start({ node });
    await using images = await EmptyImageService.start(join(daemon.directory, 'images.sock'));
    const report = join(daemon.directory, 'report.json');
    const focus = expected.map((name) => `--ginkgo.focus=${escape(name)}`);
    const { all } = await execa(
      program,
      [
        `--runtime-endpoint=unix://${daemon.socket}`,
        `--image-endpoint=unix://${images.socket}`,
        '--ginkgo.no-color',
        `--ginkgo.json-report=${report}`,
        ...focus,
      ],
      { all: true, reject: false },
    );
    const text = await readFile(report, 'utf8').catch(() => '[]');
    const ran = outcomes(JSON.parse(text) as { SpecReports: Spec[] | null }[]);
    // A spec that the focus leaves out is "skipped" without a message.
    const selected = ran.filter((spec) => spec.state !== 'skipped' || spec.message !== '');
    const passed = selected.filter((spec) => spec.state === 'passed').map((spec) => spec.name);
    assert.deepEqual(passed.sort(), [...expected].sort(), all);
    assert.equal(selected.length, expected.length, all);
  });
});
