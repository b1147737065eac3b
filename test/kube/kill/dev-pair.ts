/** The operator and a sidecar's endpoint in one process (`npm start -- --kubeconfig`), to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { ROOT } from '../../support/dev-process.ts';
import { waitFor } from '../control-plane/wait.ts';

/** How often it may give up. */
const STARTS_MAX = 3;

export interface DevPairOptions {
  readonly kubeconfigPath: string;
  readonly port: number;
}

export class DevPair implements AsyncDisposable {
  readonly origin: string;
  readonly #options: DevPairOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #output = '';

  /** Starts nothing yet. */
  constructor(options: DevPairOptions) {
    this.#options = options;
    this.origin = `http://127.0.0.1:${options.port}`;
  }

  /** What all its lives have printed, the end of it. */
  get output(): string {
    return this.#output.slice(-20_000);
  }

  /** Whether its process is there. */
  get isAlive(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the process and does not wait for it. */
  spawn(): void {
    const { kubeconfigPath, port } = this.#options;
    const words = ['--kubeconfig', kubeconfigPath, '--port', String(port), '--log', 'warn'];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/dev/main.ts', ...words], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const collect = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-200_000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    // It does not outlive a test that is given up.
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#ended = new Promise((resolve) => child.on('close', resolve)).finally(() => process.off('exit', killWithUs));
    this.#child = child;
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
    this.#child?.kill('SIGKILL');
  }

  /** Kills it and resolves once it is gone. */
  async kill(): Promise<void> {
    this.killNow();
    await this.#ended;
  }

  /** A metric's value, summed over its labels. @throws Error if it is not there. */
  async metric(name: string): Promise<number> {
    const page = await (await fetch(`${this.origin}/metrics`)).text();
    const lines = page.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (lines.length === 0) throw new Error(`There is no metric ${name}.`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
