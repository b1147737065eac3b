/** Running other programs, for the scripts in this folder. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The folder of the repository, where every program is run. */
export const repository = fileURLToPath(new URL('..', import.meta.url));

export interface Run {
  /** 0 means success; a program ended by a signal, or one that could not be started, counts as 1. */
  readonly exitCode: number;
  /** Standard output and standard error, interleaved as they arrived. */
  readonly output: string;
  readonly seconds: number;
}

/** Runs a program to its end. `show` passes its output on as it arrives. Programs of installed packages go by their bare name. */
export function run(command: readonly string[], options: { readonly show: boolean }): Promise<Run> {
  const [program = '', ...rest] = command;
  const startMs = performance.now();
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const end = (exitCode: number) =>
      resolve({
        exitCode,
        output: Buffer.concat(chunks).toString(),
        seconds: (performance.now() - startMs) / 1_000,
      });
    const child = spawn(program, rest, {
      cwd: repository,
      env: { ...process.env, NO_COLOR: '1', PATH: `${repository}/node_modules/.bin:${process.env['PATH'] ?? ''}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ] as const) {
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (options.show) target.write(chunk);
      });
    }
    child.on('error', (error) => {
      chunks.push(Buffer.from(`${program} could not be started: ${error.message}\n`));
      end(1);
    });
    child.on('close', (code) => end(code ?? 1));
  });
}

/** The command that runs Jest with `args`; ES modules in Jest need the flag. */
export function jest(...args: readonly string[]): string[] {
  return [
    'node',
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    ...args,
  ];
}
