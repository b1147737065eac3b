/** Plain HTTP requests to a Kubernetes API, as they are: no client library stands between the tests and the answers. */
import { type IncomingMessage, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Access } from '../control-plane/http.ts';

export interface Sent {
  readonly method: string;
  /** With its query, as it travels. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
}

export interface Received {
  readonly code: number;
  readonly headers: IncomingMessage['headers'];
  /** JSON as a value, anything else as text. */
  readonly body: unknown;
}

/** A watch: the answer's code, and its lines as they come. */
export interface Stream {
  readonly code: number;
  /** The next line as JSON; `undefined` at the end. Rejects after `waitMs`. */
  readonly next: () => Promise<unknown>;
  readonly stop: () => void;
}

/** How long an answer or an event may take before a case has failed. */
const WAIT_MS = 20_000;

/** Keep-alive connections to one API server. */
export class Connection implements Disposable {
  readonly #access: Access;
  readonly #isPlain: boolean;
  readonly #agent: HttpAgent;

  constructor(access: Access) {
    this.#access = access;
    this.#isPlain = access.server.startsWith('http:');
    const { authority: ca, certificate: cert, key } = access;
    this.#agent = this.#isPlain
      ? new HttpAgent({ keepAlive: true })
      : new HttpsAgent({ keepAlive: true, ca, cert, key });
  }

  async send(sent: Sent): Promise<Received> {
    const response = await this.#open(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    return { code: response.statusCode ?? 0, headers: response.headers, body: jsonOrText(text) };
  }

  async stream(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Stream> {
    const response = await this.#open({ method: 'GET', path, headers });
    const lines = linesOf(response);
    const next = async () => {
      const { value, done } = await lines.next();
      return done === true ? undefined : jsonOrText(value);
    };
    return { code: response.statusCode ?? 0, next, stop: () => response.destroy() };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open({ method, path, headers, body }: Sent): Promise<IncomingMessage> {
    const open = this.#isPlain ? httpRequest : httpsRequest;
    const { server, token } = this.#access;
    const own = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    };
    // Not as a URL, which would tidy up paths that are wrong on purpose.
    const { hostname, port } = new URL(server);
    return new Promise((resolve, reject) => {
      const options = {
        hostname,
        port,
        path,
        method,
        agent: this.#agent,
        timeout: WAIT_MS,
        headers: { ...own, ...headers },
      };
      const request = open(options, resolve);
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: nothing came for ${WAIT_MS} ms`)));
      request.on('error', reject);
      request.end(body);
    });
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    yield* lines;
  }
  if (text !== '') yield text;
  return undefined;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
