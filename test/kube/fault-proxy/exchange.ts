/** One request on its way through a fault proxy: read, perhaps harmed, forwarded, answered. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import type { Fault, ProxyRequest, RefusalFault, WatchFault } from './faults.ts';
import type { Hold, RuleBook } from './rules.ts';
import { WatchFilter } from './watch-filter.ts';

export interface Upstream extends Disposable {
  readonly server: string;
  /** The connections to use for a client's `Authorization` header, and the header to send on them. */
  readonly pass: (given: string | undefined) => { readonly agent: Agent; readonly authorization: string | undefined };
}

/** Is told what becomes of one request. */
export interface RequestObserver {
  /** It is being sent to the API server. */
  readonly forwarded: () => void;
  /** The API server's answer has come; the client has it not. */
  readonly answered: (status: number) => void;
}

/** Is asked for every request, before any fault meets it. */
export type Observe = (request: ProxyRequest) => RequestObserver | undefined;

export interface Surroundings {
  readonly upstream: Upstream;
  readonly observe: Observe;
  /** Resets the client's connection. */
  readonly reset: () => void;
}

const refusals: Readonly<Record<RefusalFault['status'], string>> = {
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export class Exchange {
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #upstream: Upstream;
  readonly #observe: Observe;
  readonly #reset: () => void;
  #observer: RequestObserver | undefined;
  /** Aborts the forwarded request. */
  readonly #clientLeft = new AbortController();

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, { upstream, observe, reset }: Surroundings) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#upstream = upstream;
    this.#observe = observe;
    this.#reset = reset;
    outgoing.on('close', () => this.#clientLeft.abort());
    outgoing.on('error', () => {});
  }

  async run(rules: RuleBook): Promise<void> {
    const body = await readAll(this.#incoming);
    const request = this.#describe(body);
    this.#observer = this.#observe(request);
    const ruling = rules.rulingFor(request);
    if ('hold' in ruling) await this.#held(ruling.hold, body);
    else await this.#harmed(ruling.fault, body, request);
  }

  async #harmed(fault: Fault, body: Buffer, request: ProxyRequest): Promise<void> {
    switch (fault.kind) {
      case 'pass':
        return this.#answer(await this.#forward(body));
      case 'delay':
        if (await this.#pause(fault.ms)) await this.#answer(await this.#forward(body));
        return;
      case 'delayAnswer': {
        const answer = await this.#forward(body);
        if (await this.#pause(fault.ms)) await this.#answer(answer);
        return;
      }
      case 'resetBeforeForwarding':
        return this.#reset();
      case 'resetAfterForwarding':
        await readAll(await this.#forward(body, { evenWithoutClient: true }));
        return this.#reset();
      case 'swallow':
        return;
      case 'landUnanswered':
        await readAll(await this.#forward(body, { evenWithoutClient: true }));
        return;
      case 'landLate':
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        await readAll(await this.#forward(body, { evenWithoutClient: true }));
        return;
      case 'answer':
        return this.#refuse(fault);
      case 'cutWatch':
      case 'endWatch':
      case 'expireWatch':
      case 'stallWatch':
        return this.#answer(await this.#forward(body), request.isWatch ? fault : undefined);
    }
  }

  async #held({ point, reach, verdict }: Hold, body: Buffer): Promise<void> {
    if (point === 'beforeForwarding') {
      reach();
      if ((await verdict) === 'drop') return this.#reset();
      return this.#answer(await this.#forward(body, { evenWithoutClient: true }));
    }
    const onSent = point === 'inFlight' ? { onSent: reach } : {};
    const answer = await this.#forward(body, { evenWithoutClient: true, ...onSent });
    const bytes = await readAll(answer);
    reach();
    if ((await verdict) === 'drop') return this.#reset();
    this.#outgoing.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
    this.#outgoing.end(bytes);
  }

  #forward(body: Buffer, { evenWithoutClient = false, onSent = () => {} } = {}): Promise<IncomingMessage> {
    const { method = 'GET', url = '/', headers } = this.#incoming;
    const { authorization: given, host: _host, connection: _connection, ...others } = headers;
    const { agent, authorization } = this.#upstream.pass(given);
    return new Promise((resolve, reject) => {
      const forwarded = httpsRequest(new URL(url, this.#upstream.server), {
        method,
        agent,
        headers: { ...others, ...(authorization === undefined ? {} : { authorization }) },
        ...(evenWithoutClient ? {} : { signal: this.#clientLeft.signal }),
      });
      forwarded.on('error', reject);
      forwarded.on('response', (answer) => {
        this.#observer?.answered(answer.statusCode ?? 0);
        resolve(answer);
      });
      this.#observer?.forwarded();
      forwarded.end(body, onSent);
    });
  }

  async #answer(answer: IncomingMessage, fault?: WatchFault): Promise<void> {
    // What a client that left does not read must not block the connection to the API server.
    this.#outgoing.once('close', () => answer.destroy());
    if (this.#clientLeft.signal.aborted) answer.destroy();
    this.#outgoing.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
    // Before the first event of a watch there may be a long time.
    this.#outgoing.flushHeaders();
    if (fault === undefined) {
      answer.on('error', () => this.#reset());
      answer.pipe(this.#outgoing);
      return;
    }
    answer.on('error', () => {});
    await new WatchFilter(answer, this.#outgoing, fault).run();
    // Not a reset, which may overtake the events that passed before.
    if (fault.kind === 'cutWatch') this.#incoming.socket.destroySoon();
  }

  #refuse({ status, retryAfterSeconds }: RefusalFault): void {
    const reason = refusals[status];
    const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } };
    const message = `the fault proxy answers ${status}`;
    this.#outgoing.writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    });
    const object = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, ...details };
    this.#outgoing.end(JSON.stringify({ ...object, code: status }));
  }

  /** Whether the client still waits afterwards. */
  async #pause(ms: number): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return !this.#clientLeft.signal.aborted;
  }

  #describe(body: Buffer): ProxyRequest {
    const url = new URL(this.#incoming.url ?? '/', this.#upstream.server);
    return {
      method: this.#incoming.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      isWatch: ['1', 'true'].includes(url.searchParams.get('watch') ?? ''),
      userAgent: this.#incoming.headers['user-agent'] ?? '',
      body: asJson(body),
    };
  }
}

/** Without what concerns one connection alone. */
function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _connection, 'transfer-encoding': _encoding, ...others } = headers;
  return others;
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function asJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
