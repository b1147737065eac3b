/** The outer door of a fault proxy: plain TCP, so that a whole network can fail whatever is spoken over it. */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Passes bytes between its clients and one port of this machine. */
export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Map<Socket, Socket | undefined>();
  readonly #innerPort: number;
  #isBlackHole = false;

  private constructor(innerPort: number) {
    this.#innerPort = innerPort;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async open(innerPort: number): Promise<Gate> {
    const gate = new Gate(innerPort);
    await new Promise<void>((resolve, reject) => {
      gate.#server.once('error', reject);
      gate.#server.listen(0, '127.0.0.1', resolve);
    });
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** From now on connections are accepted, and no byte passes in any direction: no answer, no end, no reset. */
  swallowEverything(): void {
    this.#isBlackHole = true;
    for (const [client, inner] of this.#pairs) {
      client.unpipe();
      inner?.unpipe();
      client.pause();
      inner?.pause();
    }
  }

  /** Bytes pass again; what was on its way arrives, as after a network's outage. */
  heal(): void {
    if (!this.#isBlackHole) return;
    this.#isBlackHole = false;
    for (const [client, inner] of this.#pairs) {
      if (inner === undefined) this.#connect(client);
      else pipeBoth(client, inner);
    }
  }

  /** Resets the connection that comes from this port at its inner end. */
  resetConnection(innerPort: number): void {
    for (const [client, inner] of this.#pairs) if (inner?.localPort === innerPort) client.resetAndDestroy();
  }

  /** Resets every connection there is. */
  resetConnections(): void {
    for (const [client, inner] of this.#pairs) {
      client.resetAndDestroy();
      inner?.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.resetConnections();
    await closed;
  }

  #accept(client: Socket): void {
    client.setNoDelay(true);
    client.on('error', () => {});
    client.on('close', () => {
      this.#pairs.get(client)?.resetAndDestroy();
      this.#pairs.delete(client);
    });
    this.#pairs.set(client, undefined);
    if (this.#isBlackHole) client.pause();
    else this.#connect(client);
  }

  #connect(client: Socket): void {
    const inner = connect({ port: this.#innerPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#pairs.set(client, inner);
    inner.on('error', () => client.resetAndDestroy());
    pipeBoth(client, inner);
  }
}

function pipeBoth(one: Socket, other: Socket): void {
  one.pipe(other);
  other.pipe(one);
}
