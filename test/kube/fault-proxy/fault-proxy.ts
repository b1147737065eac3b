/** A proxy in front of a real API server that fails on demand: what a network and a busy server do to clients. */
import { Agent, type Server, createServer } from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createServing } from '../control-plane/certificates.ts';
import { type Access, accessFromKubeconfig } from '../control-plane/http.ts';
import { writeKubeconfig } from '../control-plane/kubeconfig.ts';
import { Exchange, type Observe, type Upstream } from './exchange.ts';
import type { Fault, HoldPoint, RequestMatch } from './faults.ts';
import { Gate } from './gate.ts';
import { type HeldRequest, type InjectedFault, RuleBook, type RuleOptions } from './rules.ts';

export interface FaultProxyOptions {
  /** Sees every request, and what becomes of it. */
  readonly observe?: Observe;
}

/**
 * Starts a proxy before the API server of this kubeconfig. Its own kubeconfig is for the clients that shall meet the
 * faults: they are the same user. It speaks HTTP/1.1. Without faults every request passes unchanged.
 */
export async function startFaultProxy(
  kubeconfigPath: string,
  { observe = () => undefined }: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const access = accessFromKubeconfig(kubeconfigPath);
  const authority = await createAuthority();
  const serving = await createServing(authority);
  const rules = new RuleBook();
  const token = access.token ?? randomUUID();
  const upstream = upstreamOf(access, token);
  const server = createServer({ cert: serving.certificate, key: serving.key, ALPNProtocols: ['http/1.1'] });
  // A client decides how long it keeps a connection.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.on('request', (incoming, outgoing) => {
    const port = incoming.socket.remotePort ?? 0;
    // A connection through TLS cannot be reset, only the one below it.
    const reset = () => gate.resetConnection(port);
    // The API server is gone, or its connection broke: the client's breaks too.
    new Exchange(incoming, outgoing, { upstream, observe, reset }).run(rules).catch(reset);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const gate = await Gate.open((server.address() as AddressInfo).port);
  const directory = mkdtempSync(join(tmpdir(), 'lockkeeper-proxy-'));
  const url = `https://127.0.0.1:${gate.port}`;
  writeKubeconfig(join(directory, 'kubeconfig'), { server: url, authority: authority.certificate, token });
  return new FaultProxy({ directory, url, rules, gate, server, upstream });
}

/**
 * The client certificate stands in for the proxy's own token. Any other token is the client's own and passes, without the
 * certificate: an API server that is shown both believes the certificate.
 */
function upstreamOf(access: Access, token: string): Upstream {
  const { server, authority, certificate, key } = access;
  const plain = new Agent({ keepAlive: true, ca: authority });
  const certified =
    certificate === undefined ? plain : new Agent({ keepAlive: true, ca: authority, cert: certificate, key });
  return {
    server,
    pass: (given) =>
      given === `Bearer ${token}` && certificate !== undefined
        ? { agent: certified, authorization: undefined }
        : { agent: plain, authorization: given },
    [Symbol.dispose]: () => {
      plain.destroy();
      certified.destroy();
    },
  };
}

interface Parts {
  readonly directory: string;
  readonly url: string;
  readonly rules: RuleBook;
  readonly gate: Gate;
  readonly server: Server;
  readonly upstream: Upstream;
}

export class FaultProxy implements AsyncDisposable {
  readonly kubeconfigPath: string;
  /** URL. */
  readonly server: string;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.server = parts.url;
    this.kubeconfigPath = join(parts.directory, 'kubeconfig');
  }

  /** Does this to requests that match, from now on, beside the faults already in force: the oldest that fits decides. */
  inject(match: RequestMatch, fault: Fault, options?: RuleOptions): InjectedFault {
    return this.#parts.rules.inject(match, fault, options);
  }

  /** Holds the next request that matches, after `skip` more (default 0), at this point until it is released. */
  hold(match: RequestMatch, point: HoldPoint, { skip = 0 } = {}): HeldRequest {
    return this.#parts.rules.hold(match, point, skip);
  }

  /** Ends every fault for later requests, and the outage if there is one. */
  clear(): void {
    this.#parts.rules.clear();
    this.#parts.gate.heal();
  }

  /** An outage that nobody is told about: connections are accepted and stay open, and no byte passes until `clear`. */
  swallowEverything(): void {
    this.#parts.gate.swallowEverything();
  }

  /** Resets every open connection. New ones are accepted. */
  resetConnections(): void {
    this.#parts.gate.resetConnections();
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#parts.gate.connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { gate, server, upstream, directory } = this.#parts;
    await gate[Symbol.asyncDispose]();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
    upstream[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  }
}
