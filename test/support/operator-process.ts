import { waitFor } from './wait.ts';
import { NodeProcess } from './node-process.ts';

/** `npm run operator` as a process of its own, with health and metrics on a free port. */
export class OperatorProcess implements AsyncDisposable {
  /** Of health and metrics. */
  readonly port: number;
  readonly #process: NodeProcess;

  private constructor(program: NodeProcess, port: number) {
    this.#process = program;
    this.port = port;
  }

  /** Runs it to its end, which is expected to come by itself. */
  static async run(options: readonly string[]): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const program = spawnOperator(options);
    return { exitCode: await program.ended, output: program.output };
  }

  /** Resolves once it answers for its health, which is before it serves; rejects with what it printed if it ends before. */
  static async start(options: readonly string[]): Promise<OperatorProcess> {
    const program = spawnOperator(['--port', '0', ...options]);
    const port = await program.printed((output) => /"port":(\d+)/.exec(output)?.[1]);
    return new OperatorProcess(program, Number(port));
  }

  /** The answer to a request for health or metrics. */
  async get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return { status: response.status, text: (await response.text()).trim() };
  }

  /** Resolves when `/readyz` is 200; rejects with the reason it gives if that takes a minute. */
  async ready(): Promise<void> {
    let reason = '';
    const isReady = async () => {
      const { status, text } = await this.get('/readyz');
      reason = text;
      return status === 200;
    };
    await waitFor(isReady, { what: 'operator that serves', timeoutMs: 60_000, intervalMs: 20 }).catch(
      (error: unknown) => {
        throw new Error(`it did not serve within a minute: ${reason}`, { cause: error });
      },
    );
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Asks it to stop, and gives its exit code. */
  stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    return this.#process.stop(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

function spawnOperator(options: readonly string[]): NodeProcess {
  // None of the variables that it would take its configuration from.
  const { PATH, HOME } = process.env;
  return new NodeProcess('src/operator/main.ts', options, { PATH, HOME });
}
