import { type Server, createServer } from 'node:http';
import { LockkeeperError } from '../api/codes.ts';
import type { EmbeddedStore } from '../kube/embedded/embedded-store.ts';
import { kubeApiHandler } from '../kube/embedded/http/handler.ts';
import { addressOf, listenOnLoopback } from '../sidecar/endpoint/listeners.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import { hostsOfPort, portOf, stop } from '../system/loopback.ts';
import type { Timers } from '../system/timers.ts';

/** Port of the embedded Kubernetes API: what `kubectl` talks to. */
export const DEFAULT_KUBE_PORT = 5680;

export interface KubeApiOptions {
  readonly store: EmbeddedStore;
  /** On 127.0.0.1 and [::1]; 0 takes any free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

export interface KubeApi extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:5680`, `http://[::1]:5680`. */
  readonly addresses: readonly string[];
  /** Nothing new is accepted; watches and connections are cut. */
  [Symbol.asyncDispose](): Promise<void>;
}

const CONNECTIONS_MAX = 4_096;

/**
 * Serves an embedded store to `kubectl` on the loopback addresses. Rejects with a LockkeeperError whose message is fit for a
 * terminal if the port cannot be had.
 */
export async function openKubeApi(options: KubeApiOptions): Promise<KubeApi> {
  let hosts: ReadonlySet<string> = new Set();
  const handler = kubeApiHandler({ ...options, hosts: () => hosts });
  const makeServer = () => {
    const server = createServer({ noDelay: true, requestTimeout: 30_000, headersTimeout: 10_000 }, handler);
    server.maxConnections = CONNECTIONS_MAX;
    return server;
  };
  const servers = await listen(makeServer, options);
  const port = servers.map(portOf).find((each) => each !== undefined) ?? options.port;
  hosts = hostsOfPort(port);
  let closing: Promise<void> | undefined;
  const close = async () => {
    const stopped = Promise.all(servers.map(stop));
    for (const server of servers) server.closeAllConnections();
    await stopped;
  };
  return { port, addresses: servers.map(addressOf), [Symbol.asyncDispose]: () => (closing ??= close()) };
}

async function listen(makeServer: () => Server, { port, log }: KubeApiOptions): Promise<readonly Server[]> {
  try {
    return await listenOnLoopback(makeServer, port, log);
  } catch (error) {
    if (!(error instanceof LockkeeperError)) throw error;
    // The port of `kubectl` has an option of its own.
    const message = error.message.replace('--port', '--kube-port');
    throw new LockkeeperError(error.code, message, error.details, { cause: error });
  }
}
