/** The operator and a sidecar's endpoint in one process (`npm start -- --kubeconfig`), to be killed and started again. */
import { metricOn, NodeProcess } from '../../support/node-process.ts';
import { waitFor } from '../../support/wait.ts';

/** How often it may give up. */
const STARTS_MAX = 3;

export interface DevPairOptions {
  readonly kubeconfigPath: string;
  readonly port: number;
}

export class DevPair implements AsyncDisposable {
  readonly origin: string;
  readonly #options: DevPairOptions;
  /** The present one, or the last. */
  #life: NodeProcess | undefined;
  #earlierOutput = '';

  /** Starts nothing yet. */
  constructor(options: DevPairOptions) {
    this.#options = options;
    this.origin = `http://127.0.0.1:${options.port}`;
  }

  /** What all its lives have printed, the end of it. */
  get output(): string {
    return (this.#earlierOutput + (this.#life?.output ?? '')).slice(-20_000);
  }

  /** Whether its process is there. */
  get isAlive(): boolean {
    return this.#life?.isAlive === true;
  }

  /** Starts the process and does not wait for it. */
  spawn(): void {
    const { kubeconfigPath, port } = this.#options;
    this.#earlierOutput = this.output;
    const words = ['--kubeconfig', kubeconfigPath, '--port', String(port), '--log', 'warn'];
    this.#life = new NodeProcess('src/dev/main.ts', words);
  }

  /** Starts it and waits until it serves. */
  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /**
   * Waits until it serves. One that gives up while it starts, since its API server does not answer, is started again, as a
   * kubelet would.
   *
   * @throws Error with its output if it ends again and again, or does not serve.
   */
  async ready(timeoutMs = 120_000): Promise<void> {
    let startsLeft = STARTS_MAX;
    await waitFor(
      async () => {
        if (!this.isAlive) {
          if (startsLeft === 0) throw new Error('it has ended again and again');
          startsLeft -= 1;
          this.spawn();
        }
        const answer = await fetch(`${this.origin}/readyz`).catch(() => undefined);
        await answer?.arrayBuffer();
        return answer?.status === 200;
      },
      { what: 'ready operator', timeoutMs, intervalMs: 20 },
    ).catch((error: unknown) => {
      throw new Error(`The operator does not serve. It printed:\n${this.output}`, { cause: error });
    });
  }

  /** Kills it at once (SIGKILL); the signal is out when this returns. */
  killNow(): void {
    this.#life?.signal('SIGKILL');
  }

  /** Kills it and resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#life?.kill();
  }

  /** A metric's value, summed over its labels. @throws Error if it is not there. */
  async metric(name: string): Promise<number> {
    const value = metricOn(await (await fetch(`${this.origin}/metrics`)).text(), name);
    if (value === undefined) throw new Error(`There is no metric ${name}.`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
