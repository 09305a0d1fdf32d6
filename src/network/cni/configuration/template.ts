/**
 * The part of Go's text/template that CNI configuration templates are written in: fields, variables,
 * range, if, else, end, comments, trim markers. Anything else is an error that names its place.
 */
import { BerthError } from '../../../lib/errors.ts';

export type TemplateValue = string | number | readonly string[];
export type TemplateData = Readonly<Record<string, TemplateValue>>;

/** Renders a template. Throws INVALID_ARGUMENT with line and column. */
export function renderTemplate(text: string, data: TemplateData): string {
  const parser = new Parser(tokenize(text));
  const nodes = parser.block([]);
  return run(nodes, { dot: data, variables: new Map([['$', data]]) });
}

interface Token {
  readonly kind: 'text' | 'action';
  readonly text: string;
  /** `line:column`. */
  readonly at: string;
}

interface Pipeline {
  /** `.`, `.Name`, `$`, `$name` or `$.Name`. */
  readonly operand: string;
  readonly at: string;
}

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly value: Pipeline }
  | {
      readonly kind: 'if' | 'range';
      readonly value: Pipeline;
      /** Names with `$`; of two the first takes the index. */
      readonly variables: readonly string[];
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let from = 0;
  let isTrimming = false;
  const pushText = (piece: string, at: number, isTrimmedAfter: boolean): void => {
    let kept = isTrimming ? piece.trimStart() : piece;
    if (isTrimmedAfter) kept = kept.trimEnd();
    if (kept !== '') tokens.push({ kind: 'text', text: kept, at: place(text, at) });
  };
  for (let open = text.indexOf('{{'); open >= 0; open = text.indexOf('{{', from)) {
    const isComment = /^\{\{(- )?\/\*/.test(text.slice(open, open + 6));
    const commentEnd = isComment ? text.indexOf('*/', open) : open;
    const close = commentEnd < 0 ? -1 : text.indexOf('}}', commentEnd);
    if (close < 0) throw bad(place(text, open), isComment ? 'unclosed comment' : 'unclosed action');
    const inner = text.slice(open + 2, close);
    pushText(text.slice(from, open), from, /^-\s/.test(inner));
    isTrimming = /\s-$/.test(inner);
    const action = inner.replace(/^-\s/, '').replace(/\s-$/, '').trim();
    if (!isComment) tokens.push({ kind: 'action', text: action, at: place(text, open) });
    from = close + 2;
  }
  pushText(text.slice(from), from, false);
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Nodes up to one of the words, which is consumed; to the end of the text when there are none. */
  block(until: readonly string[], opened = ''): Node[] {
    const nodes: Node[] = [];
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token.kind === 'text') nodes.push({ kind: 'text', text: token.text });
      else if (until.includes(token.text)) return nodes;
      else nodes.push(this.#action(token));
    }
    if (until.length > 0) throw bad(opened, `missing {{end}}`);
    return nodes;
  }

  #take(): Token | undefined {
    this.#next += 1;
    return this.#tokens[this.#next - 1];
  }

  #action({ text, at }: Token): Node {
    const [, keyword, rest = ''] = /^(if|range)\s+([^]+)$/.exec(text) ?? [];
    if (keyword === 'if' || keyword === 'range') return this.#branch(keyword, rest, at);
    if (text === 'end' || text === 'else') throw bad(at, `unexpected {{${text}}}`);
    return { kind: 'value', value: operand(text, at) };
  }

  #branch(kind: 'if' | 'range', text: string, at: string): Node {
    this.#depth += 1;
    if (this.#depth > 32) throw bad(at, 'nested too deeply');
    const [, names, value = text] = /^(\$\w+(?:\s*,\s*\$\w+)?)\s*:=\s*([^]+)$/.exec(text) ?? [];
    const variables = names === undefined ? [] : names.split(',').map((name) => name.trim());
    if (kind === 'if' && variables.length > 1) throw bad(at, 'too many variables');
    const body = this.block(['end', 'else'], at);
    const hasElse = this.#tokens[this.#next - 1]?.text === 'else';
    const otherwise = hasElse ? this.block(['end'], at) : [];
    this.#depth -= 1;
    return { kind, value: operand(value.trim(), at), variables, body, otherwise };
  }
}

function operand(text: string, at: string): Pipeline {
  if (/^(\.|\.\w+|\$\w*|\$\.\w+)$/.test(text)) return { operand: text, at };
  throw bad(at, `unsupported action {{${text}}}`);
}

type Value = TemplateValue | TemplateData;

interface Scope {
  readonly dot: Value;
  readonly variables: ReadonlyMap<string, Value>;
}

function run(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => runNode(node, scope)).join('');
}

function runNode(node: Node, scope: Scope): string {
  if (node.kind === 'text') return node.text;
  const value = evaluate(node.value, scope);
  if (node.kind === 'value') return print(value, node.value.at);
  if (node.kind === 'if') {
    const [name] = node.variables;
    const inner = name === undefined ? scope : bind(scope, [[name, value]]);
    return isTrue(value) ? run(node.body, inner) : run(node.otherwise, scope);
  }
  if (!isList(value)) throw bad(node.value.at, `range can't iterate over ${node.value.operand}`);
  if (value.length === 0) return run(node.otherwise, scope);
  const [first, second] = node.variables;
  return value
    .map((item, index) => {
      const index_: [string, Value][] = second === undefined || first === undefined ? [] : [[first, index]];
      const name = second ?? first;
      const item_: [string, Value][] = name === undefined ? [] : [[name, item]];
      return run(node.body, { ...bind(scope, [...index_, ...item_]), dot: item });
    })
    .join('');
}

function bind(scope: Scope, values: readonly (readonly [string, Value])[]): Scope {
  return { dot: scope.dot, variables: new Map([...scope.variables, ...values]) };
}

function evaluate({ operand: text, at }: Pipeline, scope: Scope): Value {
  const [name = '', key] = text.split('.');
  const base = name === '' ? scope.dot : scope.variables.get(name);
  if (base === undefined) throw bad(at, `undefined variable "${name}"`);
  if (key === undefined || key === '') return base;
  if (typeof base !== 'object' || isList(base) || !Object.hasOwn(base, key))
    throw bad(at, `can't evaluate field ${key}`);
  const value = base[key];
  if (value === undefined) throw bad(at, `can't evaluate field ${key}`);
  return value;
}

function isList(value: Value): value is readonly string[] {
  return Array.isArray(value);
}

function isTrue(value: Value): boolean {
  return isList(value) ? value.length > 0 : Boolean(value);
}

function print(value: Value, at: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (isList(value)) return `[${value.join(' ')}]`;
  throw bad(at, 'this value cannot be printed');
}

function place(text: string, position: number): string {
  const before = text.slice(0, position).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}

function bad(at: string, problem: string): BerthError {
  return new BerthError('INVALID_ARGUMENT', `template: ${at}: ${problem}`);
}
