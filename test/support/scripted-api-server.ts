/** An HTTP server on 127.0.0.1 that answers as a test says, and a cluster client that talks to it. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, type ClusterOptions, openCluster } from '../../src/kube/cluster/cluster.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { seededRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

export type Script = (request: SeenRequest, response: ServerResponse) => void;

export class ScriptedApiServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** Every connection that was ever made. */
  readonly sockets: Socket[] = [];
  /** How requests are answered from now on. Default: 404. */
  script: Script = (_, response) => response.writeHead(404).end();
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();
  readonly #directory: string;

  private constructor(server: Server, directory: string) {
    this.#server = server;
    this.#directory = directory;
  }

  static async start(): Promise<ScriptedApiServer> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const scripted = new ScriptedApiServer(server, await mkdtemp(join(tmpdir(), 'scripted-api-')));
    server.on('connection', (socket) => {
      scripted.sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => scripted.#changed());
      scripted.#changed();
    });
    server.on('request', (message, response) => void scripted.#serve(message, response));
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get kubeconfigPath(): string {
    return join(this.#directory, 'config');
  }

  async writeKubeconfig(user: object = {}): Promise<void> {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${this.port}` } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'c',
    };
    await writeFile(this.kubeconfigPath, JSON.stringify(config));
  }

  async open(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
    await this.writeKubeconfig();
    return openCluster({
      kubeconfigPath: this.kubeconfigPath,
      userAgent: 'test/1',
      clock: systemClock(),
      timers: systemTimers(),
      random: seededRandom(1),
      log: silentLog,
      ...options,
    });
  }

  /** Waits until the condition holds; it is looked at whenever a request comes, a connection opens or one closes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  get openSockets(): number {
    return this.sockets.filter((socket) => !socket.destroyed).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#directory, { recursive: true });
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    message.on('error', () => undefined);
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const url = new URL(message.url ?? '', 'http://server');
    const request: SeenRequest = {
      method: message.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: message.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      socket: message.socket,
    };
    this.requests.push(request);
    this.script(request, response);
    this.#changed();
  }

  #changed(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** Answers with JSON. */
export function answer(response: ServerResponse, value: unknown, status = 200, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** A Lease as a server sends it. */
export function leaseJson(name: string, resourceVersion = '1', spec: object = {}) {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      namespace: 'shop',
      name,
      uid: `uid-${name}`,
      resourceVersion,
      creationTimestamp: '2026-01-31T12:00:00Z',
      managedFields: [{ manager: 'somebody', operation: 'Update' }],
    },
    spec,
  };
}
