import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { BerthError } from '../../../../../src/lib/errors.ts';
import {
  templateData,
  writeFromTemplate,
} from '../../../../../src/network/cni/configuration/conf-template.ts';
import { renderTemplate } from '../../../../../src/network/cni/configuration/template.ts';

const data = templateData('10.1.0.0/24,fd00::/64');

describe('a configuration template', () => {
  for (const [template, rendered] of [
    ['{{.PodCIDR}}', '10.1.0.0/24'],
    [
      '{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}',
      '[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]',
    ],
    [
      '{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}',
      '{"dst": "0.0.0.0/0"}, {"dst": "::/0"}',
    ],
    ['{{range .Routes}}<{{.}}>{{end}}', '<0.0.0.0/0><::/0>'],
    ['{{range $r := .Routes}}{{$.PodCIDR}} {{$r}};{{end}}', '10.1.0.0/24 0.0.0.0/0;10.1.0.0/24 ::/0;'],
    ['a  {{- /* comment }} */ -}}  b', 'ab'],
    ['{{ if .PodCIDR }}yes{{ else }}no{{ end }}', 'yes'],
    ['x {{- .PodCIDR -}} \n y', 'x10.1.0.0/24y'],
    ['no actions', 'no actions'],
  ] as const) {
    it(`renders ${template}`, () => assert.equal(renderTemplate(template, data), rendered));
  }

  it('takes the else branch of nothing', () => {
    assert.equal(
      renderTemplate('{{range .Routes}}x{{else}}none{{end}}{{if .PodCIDR}}x{{else}}none{{end}}', {
        Routes: [],
        PodCIDR: '',
      }),
      'nonenone',
    );
  });

  for (const [template, problem] of [
    ['{{.Nope}}', /^template: 1:1: can't evaluate field Nope$/],
    ['a\n {{ $x }}', /^template: 2:2: undefined variable "\$x"$/],
    ['{{range .Routes}}', /^template: 1:1: missing \{\{end\}\}$/],
    ['{{if .PodCIDR}}a{{else}}', /missing \{\{end\}\}/],
    ['{{end}}', /^template: 1:1: unexpected \{\{end\}\}$/],
    ['{{else}}', /unexpected \{\{else\}\}/],
    ['{{.PodCIDR', /^template: 1:1: unclosed action$/],
    ['{{printf "%s" .PodCIDR}}', /unsupported action \{\{printf/],
    ['{{range .PodCIDR}}{{end}}', /can't iterate over \.PodCIDR/],
    ['{{.constructor}}', /can't evaluate field constructor/],
    ['{{.}}', /cannot be printed/],
    ['{{}}', /unsupported action/],
  ] as const) {
    it(`refuses ${JSON.stringify(template)} and names the place`, () => {
      assert.throws(
        () => renderTemplate(template, data),
        (error: Error) => error instanceof BerthError && problem.test(error.message),
      );
    });
  }

  it('is rendered or refused, whatever it holds', () => {
    const piece = fc.constantFrom(
      '{{',
      '}}',
      'range',
      'if',
      'end',
      'else',
      ' ',
      '.',
      '$i',
      ':=',
      ',',
      '.Routes',
      '-',
      '/*',
      '*/',
      'x',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          renderTemplate(pieces.join(''), data);
        } catch (error) {
          assert.ok(error instanceof BerthError, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('knows the routes of the families that the pod has', () => {
    assert.deepEqual(templateData('fd00::/64'), {
      PodCIDR: 'fd00::/64',
      PodCIDRRanges: ['fd00::/64'],
      Routes: ['::/0'],
    });
    assert.deepEqual(templateData('10.1.0.0/24, 10.2.0.0/24')['Routes'], ['0.0.0.0/0']);
    assert.throws(() => templateData('10.1.0.0'), /invalid pod_cidr: invalid CIDR address: 10\.1\.0\.0/);
  });

  describe('written into the directory', () => {
    let dir: string;
    beforeEach(async () => {
      dir = await mkdtemp(join(tmpdir(), 'brt-template-'));
    });
    afterEach(() => rm(dir, { recursive: true }));

    it('becomes a configuration file, also in a directory that is not there yet', async () => {
      const template = join(dir, 't');
      await writeFile(
        template,
        '{"name":"net","plugins":[{"type":"bridge","ipam":{"type":"host-local","subnet":"{{.PodCIDR}}"}}]}',
      );
      const path = await writeFromTemplate(template, '10.1.0.0/24', join(dir, 'net.d'));
      assert.equal(path, join(dir, 'net.d', '10-berth-net.conflist'));
      assert.match(await readFile(path, 'utf8'), /"subnet":"10\.1\.0\.0\/24"/);
      assert.equal((await stat(path)).mode & 0o777, 0o644);
      assert.deepEqual(await readdir(join(dir, 'net.d')), ['10-berth-net.conflist']);
    });

    it('leaves nothing when it is wrong', async () => {
      const template = join(dir, 't');
      await writeFile(template, '{"name":"net",{{.PodCIDR}}}');
      await assert.rejects(
        writeFromTemplate(template, '10.1.0.0/24', join(dir, 'net.d')),
        /failed to generate CNI configuration from template .*: invalid JSON/,
      );
      await assert.rejects(writeFromTemplate(join(dir, 'none'), '10.1.0.0/24', join(dir, 'net.d')), /ENOENT/);
      await assert.rejects(readdir(join(dir, 'net.d')), /ENOENT/);
    });
  });
});
