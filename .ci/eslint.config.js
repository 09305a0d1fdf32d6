import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// The import arrows of src/ARCHITECTURE.md: a layer may import those after it, never those before it.
const layers = ['main', 'cli', 'daemon', 'cri', 'pod', ['network', 'containerd', 'oci', 'stdio', 'streaming'], 'config', 'kernel', 'lib'];

const koffi = { name: 'koffi', message: 'Only kernel/libc.ts talks to libc.' };
const nodePrefix = { regex: '^(fs|path|os|net|http|http2|child_process|crypto|events|stream|util|url|zlib|worker_threads|timers)(/.*)?$', message: 'Write the node: prefix.' };

function restrict(names, message) {
  return names.map((name) => ({ regex: `(^|/)\\.\\./(.*/)?${name}(/|\\.ts$)`, message }));
}

const arrows = layers.flatMap((layer, index) => {
  const above = layers.slice(0, index).flat();
  return [layer].flat().map((name) => {
    const beside = [layer].flat().filter((other) => other !== name);
    const patterns = [
      nodePrefix,
      ...restrict(above, `${name}/ may not import a layer above it.`),
      ...restrict(beside, `${name}/ may not import its neighbour.`),
    ];
    return {
      files: [`src/${name}/**/*.ts`],
      rules: { 'no-restricted-imports': ['error', { paths: [koffi], patterns }] },
    };
  });
});

export default defineConfig(
  { ignores: ['**/gen/**', '**/*.js', '**/*.mjs'] },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: false, project: ['test/tsconfig.json'], tsconfigRootDir: root } },
    rules: {
      'no-console': 'error',
      'no-restricted-imports': ['error', { paths: [koffi], patterns: [nodePrefix] }],
      'no-restricted-syntax': ['error', { selector: 'TSEnumDeclaration', message: 'A union of literals instead.' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/require-await': 'off',
    },
  },
  ...arrows,
  {
    files: ['src/network/cni/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [koffi],
          patterns: [
            nodePrefix,
            ...restrict(layers.slice(0, 5).flat(), 'network/cni may not import a layer above it.'),
            ...restrict(['plugins'], 'network/cni never imports network/plugins: both kinds of plugin stand behind Invoke.'),
          ],
        },
      ],
    },
  },
  { files: ['src/kernel/libc.ts'], rules: { 'no-restricted-imports': ['error', { patterns: [nodePrefix] }] } },
  { files: ['src/cli/**/*.ts', 'src/main.ts', 'test/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/no-unused-expressions': 'off' },
  },
);
