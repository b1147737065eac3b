/** Plain calls to an API server, for the harness itself and for tests that must not go through the client under test. */
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { parse } from 'yaml';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint: a test reads whatever is there
  readonly body: any;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 30,000. */
  readonly timeoutMs?: number;
}

/** Where a server is, and how to be let in. */
export interface Access {
  readonly server: string;
  /** PEM text of whom to trust. */
  readonly authority: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
}

/** Calls one API server over kept connections. An answer that is no JSON is given as text. */
export class HttpClient implements Disposable {
  readonly access: Access;
  readonly #agent: Agent;

  constructor(access: Access) {
    this.access = access;
    this.#agent = new Agent({
      keepAlive: true,
      ca: access.authority,
      ...(access.certificate === undefined ? {} : { cert: access.certificate, key: access.key }),
    });
  }

  /** @throws Error if there is no answer. An answer with an error status is an answer. */
  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body, contentType = 'application/json', headers = {}, timeoutMs = 30_000 } = options;
    const { token } = this.access;
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(new URL(path, this.access.server), {
        method,
        agent: this.#agent,
        timeout: timeoutMs,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': contentType }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)));
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: asJson(text) });
        });
      });
      outgoing.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  /** As `call`, and gives the body. @throws Error naming the answer unless it is a success. */
  async get(path: string): Promise<Answer['body']> {
    return this.expectSuccess('GET', path);
  }

  /** As `call`, and gives the body. @throws Error naming the answer unless it is a success. */
  async expectSuccess(method: string, path: string, options: CallOptions = {}): Promise<Answer['body']> {
    const { status, body } = await this.call(method, path, options);
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Reads the current context of a kubeconfig. Credential plugins are not run: such a context needs a token instead. */
export function accessFromKubeconfig(path: string): Access {
  const config = parse(readFileSync(path, 'utf8'));
  const named = (list: string, name: string) => {
    const found = config[list]?.find((each: { readonly name: string }) => each.name === name);
    if (!found) throw new Error(`${path} names no ${list.slice(0, -1)} "${name}".`);
    return found;
  };
  const { context } = named('contexts', config['current-context']);
  const { cluster } = named('clusters', context.cluster);
  const { user } = named('users', context.user);
  const data = (owner: Readonly<Record<string, string>>, name: string): string | undefined => {
    const [inline, file] = [owner[`${name}-data`], owner[name]];
    if (inline !== undefined) return Buffer.from(inline, 'base64').toString();
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  };
  const [certificate, key] = [data(user, 'client-certificate'), data(user, 'client-key')];
  const token = user.token ?? (user.tokenFile === undefined ? undefined : readFileSync(user.tokenFile, 'utf8'));
  if (certificate === undefined && token === undefined) {
    throw new Error(`User "${context.user}" of ${path} has neither a client certificate nor a token.`);
  }
  return {
    server: cluster.server,
    authority: data(cluster, 'certificate-authority') ?? '',
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(token === undefined ? {} : { token }),
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
