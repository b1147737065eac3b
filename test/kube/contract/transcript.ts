/** Plays a case against one API and writes down what it answered. */
import type { ContractCase, Request, Step } from './contract-case.ts';
import type { Received, Stream } from './connection.ts';
import { Normaliser } from './normalise.ts';
import type { Running, Side } from './side.ts';

/** What one side said in a case. */
export interface Transcript {
  /** Normalised, one entry for each step, by its number from 1. */
  readonly answers: Readonly<Record<string, unknown>>;
  /** Where the answers are not what the case says of the real API server. */
  readonly surprises: readonly string[];
}

const LOCKKEEPER = '/apis/lockkeeper.dev/v1alpha1/namespaces/$NAMESPACE';
const SHORT_PATHS: Readonly<Record<string, string>> = {
  locks: `${LOCKKEEPER}/distributedlocks`,
  pools: `${LOCKKEEPER}/lockpools`,
  leases: '/apis/coordination.k8s.io/v1/namespaces/$NAMESPACE/leases',
  events: '/api/v1/namespaces/$NAMESPACE/events',
};

/** The namespace must be there. Steps run one after the other; what was opened is closed at the end. */
export async function play(
  side: Side,
  { steps, withDescriptions }: ContractCase,
  namespace: string,
): Promise<Transcript> {
  const player = new Player(side, namespace, new Normaliser(withDescriptions));
  try {
    const answers: Record<string, unknown> = {};
    for (const [index, step] of steps.entries()) answers[index + 1] = await player.play(step, index + 1);
    return { answers, surprises: player.surprises };
  } finally {
    player.stop();
  }
}

class Player {
  readonly surprises: string[] = [];
  readonly #side: Side;
  readonly #namespace: string;
  readonly #normaliser: Normaliser;
  readonly #named = new Map<string, unknown>();
  readonly #watches = new Map<string, Stream>();
  readonly #running = new Map<string, Running>();

  constructor(side: Side, namespace: string, normaliser: Normaliser) {
    this.#side = side;
    this.#namespace = namespace;
    this.#normaliser = normaliser;
  }

  stop(): void {
    for (const each of [...this.#watches.values(), ...this.#running.values()]) each.stop();
  }

  async play(step: Step, number: number): Promise<unknown> {
    switch (step.do) {
      case 'request':
        return this.#request(step, number);
      case 'watch': {
        const stream = await this.#side.connection.stream(this.#path(step.path), step.headers);
        this.#watches.set(step.as, stream);
        return { code: stream.code };
      }
      case 'events':
        return this.#events(named(this.#watches, step.of), step.expect, number);
      case 'kubectl': {
        const words = step.words.map((word) => this.#filled(word));
        const told = await this.#side.kubectl(['--namespace', this.#namespace, ...words], step.input);
        this.#expect(number, told.exitCode === 0, !step.fails);
        this.#expectText(number, step.fails ? told.error : told.out, step.says);
        return { exitCode: told.exitCode, out: this.#output(told.out), error: this.#output(told.error) };
      }
      case 'start':
        this.#running.set(step.as, this.#side.start(['--namespace', this.#namespace, ...step.words]));
        return 'started';
      case 'said':
        break;
    }
    const running = named(this.#running, step.of);
    const text = await running.said(step.says);
    return { out: this.#output(step.ends ? await running.ended : text) };
  }

  async #request(step: Request, number: number): Promise<unknown> {
    const body = this.#filled(step.body);
    const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const path = this.#path(step.path);
    const { method, headers } = step;
    const received = await this.#side.connection.send({ method, path, headers, body: sent });
    if (step.as !== undefined) this.#named.set(step.as, received.body);
    this.#judge(step, received, number);
    return {
      code: received.code,
      type: received.headers['content-type']?.split(';', 1)[0],
      warnings: received.headers['warning'],
      body: this.#normaliser.value(step.pick === undefined ? received.body : step.pick(received.body)),
    };
  }

  #judge(step: Request, { code, body }: Received, number: number): void {
    const status = body as { readonly reason?: string; readonly details?: { readonly causes?: readonly Cause[] } };
    this.#expect(number, code, step.code);
    if (step.reason !== undefined) this.#expect(number, status.reason, step.reason);
    if (step.refuses !== undefined && !status.details?.causes?.some(({ field }) => field === step.refuses))
      this.surprises.push(`step ${number}: no cause is about ${step.refuses}: ${JSON.stringify(body)}`);
    if (step.tells !== undefined) this.#expect(number, toldBy(body, step.tells), step.tells.toSorted().join('\n'));
    if (step.causes !== undefined) {
      const found = (status.details?.causes ?? []).map(({ reason, field }) => `${reason} ${field}`);
      this.#expect(
        number,
        found.sort().join('\n'),
        step.causes
          .map((cause) => cause.join(' '))
          .sort()
          .join('\n'),
      );
    }
    if (step.says !== undefined && !includes(body, this.#filled(step.says)))
      this.surprises.push(`step ${number}: ${JSON.stringify(body)} does not have ${JSON.stringify(step.says)}`);
  }

  async #events(stream: Stream, expected: readonly string[], number: number): Promise<unknown> {
    const found: unknown[] = [];
    const names: string[] = [];
    for (const _each of expected) {
      const event = (await stream.next().catch(() => 'nothing more')) as WatchEvent | string | undefined;
      if (typeof event !== 'object') {
        names.push(event ?? 'end');
        found.push(event ?? 'end');
        break;
      }
      names.push([event.type, nameIn(event)].join(' ').trim());
      found.push(this.#normaliser.value(event));
    }
    this.#expect(number, names.join(', '), expected.join(', '));
    return found;
  }

  #expect(number: number, found: unknown, expected: unknown): void {
    if (found !== expected) this.surprises.push(`step ${number}: ${String(found)}, not ${String(expected)}`);
  }

  #expectText(number: number, found: string, expected: RegExp): void {
    if (!expected.test(found))
      this.surprises.push(`step ${number}: ${JSON.stringify(found)} does not match ${expected}`);
  }

  #output(text: string): string {
    return this.#normaliser.output(text);
  }

  #path(path: string): string {
    const [, first = '', rest = ''] = /^([a-z]+)(.*)$/s.exec(path) ?? [];
    return this.#filled(first === '' ? path : (SHORT_PATHS[first] ?? `/${first}`) + rest);
  }

  /** With every placeholder replaced. A text that is nothing but a placeholder becomes the value itself. */
  #filled<Value>(value: Value): Value {
    if (typeof value === 'string') {
      const text = value.replaceAll('$NAMESPACE', this.#namespace);
      const whole = /^\{\{([^}]+)\}\}$/.exec(text);
      if (whole !== null) return this.#lookUp(whole[1] ?? '') as Value;
      return text.replaceAll(/\{\{([^}]+)\}\}/g, (_all, path: string) => String(this.#lookUp(path))) as Value;
    }
    if (Array.isArray(value)) return value.map((item: unknown) => this.#filled(item)) as Value;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#filled(inner)])) as Value;
  }

  #lookUp(path: string): unknown {
    const [step = '', ...rest] = path.split('.');
    let value: unknown = named(this.#named, step);
    for (const part of rest) value = (value as Readonly<Record<string, unknown>> | undefined)?.[part];
    return value;
  }
}

interface Cause {
  readonly reason?: string;
  readonly field?: string;
}

interface WatchEvent {
  readonly type: string;
  readonly object: Readonly<Record<string, unknown>>;
}

/** Of the object, of the one row of a Table, or the code of a Status. */
function nameIn({ object }: WatchEvent): string {
  const row = (object['rows'] as readonly { readonly object?: Readonly<Record<string, unknown>> }[] | undefined)?.[0];
  const { metadata, code } = row?.object ?? object;
  const { name = '' } = (metadata ?? {}) as { readonly name?: string };
  return typeof code === 'number' ? String(code) : name;
}

/** What a Status finds wrong: its causes, or the part of its message that is expected. */
function toldBy(body: unknown, expected: readonly string[]): string {
  const { message = '', details } = body as {
    readonly message?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  const causes = (details?.['causes'] ?? []) as readonly { readonly field: string; readonly message: string }[];
  if (causes.length === 0) return expected.every((line) => message.endsWith(line)) ? expected.join('\n') : message;
  const lines = causes.filter(({ field }) => field !== '<nil>').map((cause) => `${cause.field}: ${cause.message}`);
  return lines.toSorted().join('\n');
}

function includes(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part;
  if (Array.isArray(part))
    return (
      Array.isArray(whole) && whole.length === part.length && part.every((each, index) => includes(whole[index], each))
    );
  if (typeof whole !== 'object' || whole === null) return false;
  return Object.entries(part).every(([key, each]) => includes((whole as Readonly<Record<string, unknown>>)[key], each));
}

function named<Value>(values: ReadonlyMap<string, Value>, name: string): Value {
  const found = values.get(name);
  if (found === undefined) throw new Error(`The case has no earlier step named "${name}".`);
  return found;
}
