import { Agent } from 'undici';
import type { Access, Credentials } from './credentials.ts';
import { Exchange, type ExchangeListener, type HttpRequest } from './exchange.ts';

export interface ConnectionsOptions {
  readonly credentials: Credentials;
  /** At most so many at once; more requests wait. Undefined: as many as there are requests. */
  readonly connectionsMax: number | undefined;
  readonly userAgent: string;
}

/** How long a connection may idle before it is closed; servers close theirs after minutes. */
const IDLE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Probes on a silent connection begin after this: below the idle limit of common load balancers. */
const TCP_KEEP_ALIVE_MS = 30_000;

/** What to send; the address and who sends it are added. */
export type ApiRequest = Omit<HttpRequest, 'origin' | 'headers'> & { readonly contentType?: string | undefined };

/**
 * Kept-alive HTTP/1.1 connections to one API server. Follows the credentials: under another CA or client certificate new
 * connections are made, and the old ones end with the requests they carry.
 */
export class Connections implements AsyncDisposable {
  readonly #options: ConnectionsOptions;
  readonly #origin: string;
  /** Of servers behind a path of a gateway. */
  readonly #basePath: string;
  readonly #retired = new Set<Agent>();
  #agent: Agent | undefined;
  #fingerprint: string | undefined;
  #answers = 0;
  #closed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const url = new URL(options.credentials.server);
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/$/, '');
  }

  /** Counts answers, so that a caller can see whether anything has come since. */
  get answers(): number {
    return this.#answers;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a request. Rejects if there are no credentials to send it with; nothing is sent then. */
  async send(request: ApiRequest, listener: ExchangeListener): Promise<Exchange> {
    const access = await this.#options.credentials.current();
    const { method, path, body, contentType } = request;
    return new Exchange(
      this.#agentFor(access),
      {
        origin: this.#origin,
        method,
        path: this.#basePath + path,
        body,
        headers: {
          ...access.headers,
          accept: 'application/json',
          'user-agent': this.#options.userAgent,
          ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
        },
      },
      {
        onHead: (status, headers) => {
          this.#answers++;
          // Token or certificate may have been replaced since they were read.
          if (status === 401) this.#options.credentials.refused();
          listener.onHead(status, headers);
        },
        onData: (chunk) => listener.onData(chunk),
        onEnd: () => listener.onEnd(),
        onFailure: (error, sent) => {
          if (isCertificateFailure(error)) this.#options.credentials.refused();
          listener.onFailure(error, sent);
        },
      },
    );
  }

  /** The connections there are carry no more requests, as they may be dead without a sign; new ones are made. */
  retire(): void {
    const agent = this.#agent;
    if (agent === undefined) return;
    this.#agent = undefined;
    this.#retired.add(agent);
    void agent.close().then(() => this.#retired.delete(agent));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const agents = [...this.#retired, ...(this.#agent === undefined ? [] : [this.#agent])];
    this.#agent = undefined;
    await Promise.all(agents.map((agent) => agent.destroy()));
  }

  #agentFor({ tls, tlsFingerprint }: Access): Agent {
    if (this.#closed) throw new Error('this client of the API server has been closed');
    if (this.#fingerprint !== tlsFingerprint) this.retire();
    this.#fingerprint = tlsFingerprint;
    this.#agent ??= new Agent({
      connections: this.#options.connectionsMax ?? null,
      pipelining: 1,
      // Measured to cost five times the CPU of HTTP/1.1 here.
      allowH2: false,
      keepAliveTimeout: IDLE_MS,
      connect: {
        ...defined(tls),
        timeout: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      },
    });
    return this.#agent;
  }
}

function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>;
}

/** Whether TLS failed because one side does not accept the other's certificate. */
function isCertificateFailure(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_SSL|ERR_TLS/.test(code);
}
